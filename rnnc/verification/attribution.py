"""What each layer costs: the network in real numbers with one thing at a time as the C has it.

For each layer, SQNR at the network's worst output of

    weights       its weights rounded, all else exact
    activations   its inputs, outputs, states and functions in integers, against exact arithmetic with the same rounded weights
    tables        its sigmoids and tanhs as the table gives them, their arguments in 12 fraction bits, all else exact
    layer         the whole layer in integers, all other layers exact

and for each input, what its own rounding and saturation cost. The layers are fed with the inputs as rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from rnnc import fixed
from rnnc.activations import SIGMOID, TANH, Activation
from rnnc.clock import Timing
from rnnc.fixed import Floats, round_half_up
from rnnc.net import Array, Net, Op, Output, Probe, States, no_probe
from rnnc.options import ProgressCallback, no_progress
from rnnc.qnet import QNet, QOp
from rnnc.quantization.calibrate import Sequences
from rnnc.streams import Stream, stream_net
from rnnc.verification.batches import batches, by_sequence
from rnnc.verification.copies import InsertedCopies, through
from rnnc.verification.metrics import EQUAL_DB, sqnr_db
from rnnc.verification.verify import Measurement

Results = dict[str, list[Floats]]
"""Each output's ``[ticks, size]`` of each sequence."""
FARTHEST = 2.0**6
"""Sigmoid and tanh are constant long before."""
QUICK, QUICK_MACS, FEWEST = 12000, 2.5e8, 100
"""How often ops may step where nobody asked for it, and multiply; the fewest steps that say something."""
LANES = 32
"""The most sequences, or pieces of them, that run side by side."""
ALL_STEPS = 32768
"""The longest sequence that is run whole where layers were asked for."""


@dataclass(frozen=True)
class Loss:
    """SQNR in dB at the worst output; None where a layer has no such part, or no output has a signal."""

    name: str
    what: str
    weights: float | None
    activations: float | None
    tables: float | None
    layer: float | None


@dataclass(frozen=True)
class Attribution:
    """The losses of inputs and layers, in order, over so many steps, and of the whole network in integers (dB).

    ``stretches`` are those steps: sequence, first step, and the one after the last.
    """

    steps: int
    inputs: tuple[Loss, ...]
    layers: tuple[Loss, ...]
    network: float | None
    stretches: tuple[tuple[int, int, int], ...]

    @property
    def worst(self) -> Loss | None:
        """The layer or input that costs most."""
        known = [loss for loss in (*self.inputs, *self.layers) if loss.layer is not None and loss.layer < EQUAL_DB]
        return min(known, key=lambda loss: loss.layer or 0.0, default=None)


def attribute(
    qnet: QNet, sequences: Sequences, steps: int, progress: ProgressCallback = no_progress, *, whole: bool = False
) -> Attribution:
    """Measure every layer in ``steps`` steps of many lanes: sequences, or pieces of long ones; ``whole``: of all of them."""
    lanes = None if whole else LANES
    return _Attribution(qnet, excerpts(sequences, qnet.net, steps, lanes), progress).measure()


def over_same_steps(found: Attribution, measured: Measurement, net: Net) -> Attribution:
    """The same with the figure that verify gives, against onnxruntime, over these steps for all layers together."""
    figures = []
    for o, output in zip(measured.outputs, net.outputs, strict=True):
        spans: dict[int, list[tuple[int, int]]] = {}
        for i, a, b in found.stretches:
            spans.setdefault(i, []).append((net.ticks(output, a) if a else 0, net.ticks(output, b)))
        at = zip(o.asked.sequence, o.asked.tick, strict=True)
        kept = [k for k, (i, t) in enumerate(at) if any(a <= t < b for a, b in spans.get(i, ()))]
        figures.append(
            None if net.values[output.value].dtype == "index" else sqnr_db(o.asked.reference[kept], o.got[kept])
        )
    return replace(found, network=min((db for db in figures if db is not None), default=None))


def affordable_steps(qnet: QNet) -> int:
    """How many steps cost no more than a fraction of a second; 0 where these are too few to say something."""
    macs = sum(call.macs for op in qnet.ops for call in op.calls())
    runs = _runs(qnet.net)
    steps = min(QUICK // (runs * max(len(qnet.net.ops), 1)), int(QUICK_MACS // (runs * max(macs, 1))))
    return steps if steps >= FEWEST else 0


def _runs(net: Net) -> int:
    return 3 + len(net.inputs) + 3 * len(net.ops)


@dataclass(frozen=True, eq=False)
class Excerpts:
    """Sequences to run; of each, the first ``skips`` steps serve to reach a state and are not compared.

    ``stretches`` are the steps that are: sequence, first, and the one after the last.
    """

    sequences: dict[str, list[Array]]
    skips: list[int]
    stretches: tuple[tuple[int, int, int], ...]


def excerpts(sequences: Sequences, net: Net, steps: int, lanes: int | None = LANES) -> Excerpts:
    """Sequences of at most ``steps`` steps: as they are, or evenly spaced pieces that overlap by a quarter.

    ``lanes``: the most of them, None for all.
    """
    cuts: list[tuple[int, int, int]] = []
    overlap, window = steps // 4, net.window
    for i, length in enumerate(len(s) for s in next(iter(sequences.values()))):
        if length <= steps:
            cuts.append((i, 0, length))
        elif window:
            cuts += [(i, t, t + window) for t in range(0, length - window + 1, window)]
        else:
            cuts += [
                (i, max(0, t - overlap), min(length, t + steps - overlap)) for t in range(0, length, steps - overlap)
            ]
    count = len(cuts) if lanes is None else min(len(cuts), lanes)
    kept = [cuts[k] for k in np.unique(np.linspace(0, len(cuts) - 1, count).round().astype(int))]
    skips = [overlap if start and not window else 0 for _, start, _ in kept]
    compared = tuple((i, a + skip, b) for (i, a, b), skip in zip(kept, skips, strict=True))
    return Excerpts({name: [all_[i][a:b] for i, a, b in kept] for name, all_ in sequences.items()}, skips, compared)


class _Attribution:
    def __init__(self, qnet: QNet, chosen: Excerpts, progress: ProgressCallback) -> None:
        self.qnet, self.net, self.skips, self.progress = qnet, replace(qnet.net, hop=0), chosen.skips, progress
        self.stretches = chosen.stretches
        self.groups = batches(chosen.sequences, qnet.net)
        self.done, self.runs = 0, _runs(self.net)
        self.rounded = [self._rounded(b.inputs, [v.name for v in qnet.inputs]) for b in self.groups]

    def measure(self) -> Attribution:
        exact = self._run(lambda n: stream_net(self.net, n), [b.inputs for b in self.groups])
        fed = self._run(lambda n: stream_net(self.net, n), self.rounded)
        inputs = tuple(self._input(v.name, exact) for v in self.qnet.inputs)
        by_op = {q.op.name: q for q in self.qnet.ops}
        layers = tuple(self._layer(op, by_op[op.name], fed) for op in self.net.ops)
        whole = self._run(lambda n: self._mixed(set(by_op), n), self.rounded)
        steps = sum(sum(b.lengths) for b in self.groups) - sum(self.skips)
        return Attribution(steps, inputs, layers, self._worst(exact, whole), self.stretches)

    def _input(self, name: str, exact: Results) -> Loss:
        got = self._run(lambda n: stream_net(self.net, n), [self._rounded(b.inputs, [name]) for b in self.groups])
        loss = self._worst(exact, got)
        return Loss(name, f"input, {self.qnet.formats[name]}", None, loss, None, loss)

    def _layer(self, op: Op, q: QOp, fed: Results) -> Loss:
        rounded, tables = q.dequantized(), by_table(op)
        integers = self._run(lambda n: self._mixed({op.name}, n), self.rounded)
        weights = self._replaced(op, rounded)
        functions = self._replaced(op, tables)
        return Loss(
            op.name,
            op.describe(),
            None if weights is None else self._worst(fed, weights),
            self._worst(weights or fed, integers),
            None if functions is None else self._worst(fed, functions),
            self._worst(fed, integers),
        )

    def _replaced(self, op: Op, by: Op) -> Results | None:
        """The network with another op in an op's place, None where it is the same."""
        if by is op:
            self._tell()
            return None
        net = replace(self.net, ops=tuple(by if o is op else o for o in self.net.ops))
        return self._run(lambda n: stream_net(net, n), self.rounded)

    def _mixed(self, names: set[str], lanes: int) -> Stream:
        """A stream of the net with the named ops in integers."""
        stream = stream_net(self.net, lanes)
        by_name = {q.name: q for q in self.qnet.ops}
        stream.substitute({name: InIntegers(by_name[name], self.qnet) for name in names & by_name.keys()})
        for name in names & {o.name for o in self.net.ops}:
            for s in by_name[name].states():
                stream.initial[s.name] = np.repeat(s.initial.reshape(s.shape)[None], lanes, axis=0)
        stream.reset()
        return stream

    def _rounded(self, inputs: Mapping[str, Array], names: Sequence[str]) -> dict[str, Array]:
        formats = self.qnet.formats
        return {k: formats[k].dequantize(formats[k].quantize(x)) if k in names else x for k, x in inputs.items()}

    def _run(self, start: Callable[[int], Stream], inputs: Sequence[Mapping[str, Array]]) -> Results:
        found = []
        for batch, x in zip(self.groups, inputs, strict=True):
            stream = start(len(batch.members))
            outputs, late = stream.advance(x), stream.drain()
            found.append((batch, {name: np.concatenate([y, late[name]]) for name, y in outputs.items()}))
        self._tell()
        return by_sequence(self.net, found)

    def _tell(self) -> None:
        self.done += 1
        self.progress(self.done, self.runs)

    def _worst(self, reference: Results, got: Results) -> float | None:
        found = [
            sqnr_db(self._compared(o, reference), self._compared(o, got))
            for o in self.net.outputs
            if self.net.values[o.value].dtype != "index"
        ]
        return min((db for db in found if db is not None), default=None)

    def _compared(self, output: Output, results: Results) -> Floats:
        rate = max(self.net.values[output.value].clock.rate, 1)
        return np.concatenate([y[n // rate :] for y, n in zip(results[output.name], self.skips, strict=True)])


class InIntegers:
    """An op in integers among ops in real numbers: what it reads is rounded as it and its copies are, what it gives is real."""

    def __init__(self, q: QOp, qnet: QNet) -> None:
        self.q = q
        copied = InsertedCopies(qnet).formats(q)
        self.sources = [c or [qnet.formats[name]] for name, c in zip(q.inputs, copied, strict=True)]
        self.shapes = [qnet.values[name].shape for name in q.outputs]
        self.leading = 2 if q.elastic or not q.states() else 1

    @property
    def name(self) -> str:
        """As the op."""
        return self.q.name

    @property
    def inputs(self) -> tuple[str, ...]:
        """As the op in real numbers reads them."""
        return self.q.op.inputs

    @property
    def outputs(self) -> tuple[str, ...]:
        """As the op."""
        return self.q.outputs

    @property
    def timing(self) -> Timing:
        """As the op's."""
        return self.q.timing

    @property
    def elastic(self) -> bool:
        """As the op's."""
        return self.q.elastic

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        """``Op.step`` through ``QOp.step``."""
        read = [through(x, formats) for formats, x in zip(self.sources, inputs, strict=True)]
        return self._real(self.q.step(read, state, tick))

    def drain(self, state: States, tick: int) -> list[Array] | None:
        """``Op.drain`` through ``QOp.drain``."""
        return self._real(self.q.drain(state, tick))

    def _real(self, results: Sequence[Array] | None) -> list[Array] | None:
        if results is None:
            return None
        found = zip(self.q.formats, results, self.shapes, strict=True)
        return [f.dequantize(y.reshape(*y.shape[: self.leading], *shape)) for f, y, shape in found]


@dataclass(frozen=True)
class ByTable(Activation):
    """Sigmoid or tanh as the table gives it, its argument rounded to 12 fraction bits."""

    def __call__(self, x: Floats) -> Floats:
        p = round_half_up(np.clip(x, -FARTHEST, FARTHEST) * 2.0**fixed.GATE_FRACTION)
        y = fixed.sigmoid(p) if self.name == SIGMOID.name else fixed.tanh(p)
        return np.asarray(y * fixed.Q15, np.float64)


def by_table(op: Op) -> Op:
    """The op with every sigmoid and tanh among its fields as the table gives it; the op itself where it has none."""
    changed = {f.name: _tabled(getattr(op, f.name)) for f in fields(op) if _tabled(getattr(op, f.name)) is not None}
    return replace(op, **changed) if changed else op


def _tabled(field: Any) -> Any:
    """An activation, or a tuple of them, with the table's in place of the exact ones; None where there are none."""
    if isinstance(field, Activation):
        return ByTable(field.name) if field in (SIGMOID, TANH) else None
    if isinstance(field, tuple) and any(isinstance(a, Activation) and a in (SIGMOID, TANH) for a in field):
        return tuple(_tabled(a) or a for a in field)
    return None
