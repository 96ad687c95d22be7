"""What inputs, states and outputs are over time, and what onnxruntime says to the same input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rnnc.backend.program import Port, Program
from rnnc.fixed import Floats
from rnnc.net import Array
from rnnc.options import Options
from rnnc.quantization.calibrate import Sequences
from rnnc.streams import stream_qnet
from rnnc.verification.engines import Engine, run_engine


@dataclass(frozen=True, eq=False)
class Signal:
    """One input, state or output.

    Args:
        at: the steps at which it is new, all sequences one after the other, ``[ticks]``.
        values: real units, ``[ticks, elements]``.
        reference: what onnxruntime says, NaN where it was not asked; None for inputs and states.
    """

    name: str
    kind: Literal["input", "state", "output"]
    at: Floats
    values: Floats
    reference: Floats | None = None


def traces(
    engine: Engine, model: bytes, program: Program, files: Mapping[str, str], options: Options, sequences: Sequences
) -> list[Signal]:
    """Every input, every state (of the integers) and every output over all sequences.

    Raises MissingTool (engine "c"), DataError (sequences shorter than what onnxruntime takes at once).
    """
    lengths = [len(s) for s in next(iter(sequences.values()))]
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    steps = np.arange(sum(lengths), dtype=np.float64)
    signals = [Signal(p.name, "input", steps, _flat(np.concatenate(sequences[p.name]))) for p in program.inputs]
    signals += [Signal(n, "state", steps, y) for n, y in _states(program, sequences).items()]
    got = run_engine(engine, model, program, files, options, sequences)
    want = {} if engine == "onnxruntime" else run_engine("onnxruntime", model, program, files, options, sequences)
    for p in program.outputs:
        ticks = [_ticks(program, p, len(y), n) for y, n in zip(got[p.name], lengths, strict=False)]
        at = np.concatenate([start + t for start, t in zip(starts, ticks, strict=False)])
        values = np.concatenate([y[: len(t)] for y, t in zip(got[p.name], ticks, strict=True)])
        comparable = p.name in want and len(want[p.name]) == len(ticks)
        reference = (
            np.concatenate([r[: len(t)] for r, t in zip(want[p.name], ticks, strict=True)]) if comparable else None
        )
        signals.append(Signal(p.name, "output", at, values, reference))
    return signals


def _flat(x: Array) -> Floats:
    return np.asarray(x, np.float64).reshape(len(x), -1)


def _ticks(program: Program, port: Port, count: int, steps: int) -> Floats:
    """The steps of a sequence at which an output's values come; those of a flush are left out."""
    k = np.arange(count)
    net = program.qnet.net
    if net.window:
        return np.asarray(net.window - 1 + k // max(port.ticks, 1) * net.every, np.float64)
    at = port.clock.phase + port.clock.rate * k
    return np.asarray(at[at < steps], np.float64)


def _states(program: Program, sequences: Sequences) -> dict[str, Floats]:
    """Every state after every step, by the oracle, which has the C's bits: ``[steps, elements]``, real units.

    Nothing where windows overlap: each has states of its own.
    """
    qnet = program.qnet
    members = [m for m in program.members if not (m.state.follows or qnet.net.overlaps)]
    found: dict[str, list[Array]] = {m.c_name: [] for m in members}
    for i in range(len(next(iter(sequences.values()))) if members else 0):
        stream = stream_qnet(qnet)
        x = {v.name: qnet.formats[v.name].quantize(sequences[v.name][i])[:, None] for v in qnet.inputs}
        for t in range(len(next(iter(x.values())))):
            stream.advance({name: values[t : t + 1] for name, values in x.items()})
            for m in members:
                found[m.c_name].append(m.state.format.dequantize(stream.state[m.state.name][0]).ravel())
    return {name: np.array(values) for name, values in found.items()}
