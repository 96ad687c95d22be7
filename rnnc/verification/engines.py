"""Streaming data through a compiled network, by any of the four things that can compute it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np

from rnnc.backend.program import Program
from rnnc.errors import UsageError
from rnnc.fixed import Floats
from rnnc.net import Net
from rnnc.options import Options
from rnnc.quantization.calibrate import Sequences
from rnnc.streams import run_net
from rnnc.verification.batches import batches, by_sequence
from rnnc.verification.host import HostPackage, quantized, run_oracle
from rnnc.verification.reference import run_reference
from rnnc.verification.session import Session
from rnnc.verification.verify import real_outputs

Engine = Literal["c", "oracle", "float", "onnxruntime"]


def run_engine(
    engine: Engine, model: bytes, program: Program, files: Mapping[str, str], options: Options, sequences: Sequences
) -> dict[str, list[Floats]]:
    """Every tick of every output, real units: ``[ticks, size]`` of each sequence, of one shape from every engine.

    Of onnxruntime those are NaN that it is not asked for. A file of a fixed length starts anew after so many steps.

    Raises MissingTool (engine "c"), DataError (engine "onnxruntime", sequences shorter than the file takes at once).
    """
    if engine not in get_args(Engine):
        raise UsageError(f"unknown engine {engine!r}", hint=f"One of: {', '.join(get_args(Engine))}.")
    qnet, net = program.qnet, program.qnet.net
    if engine == "onnxruntime":
        return _onnxruntime(model, net, options, sequences)
    groups = batches(sequences, net)
    if engine == "float":
        return by_sequence(net, [(b, run_net(net, b.inputs)) for b in groups])
    if engine == "oracle":
        return real_outputs(qnet, [(b, run_oracle(qnet, b).outputs) for b in groups])
    with HostPackage(program, files) as host:
        return real_outputs(qnet, [(b, host.run(quantized(qnet, b)).outputs) for b in groups])


def _onnxruntime(model: bytes, net: Net, options: Options, sequences: Sequences) -> dict[str, list[Floats]]:
    reference = run_reference(Session(model, net, options), sequences)
    lengths = [len(s) for s in next(iter(sequences.values()))]
    result = {}
    for o in net.outputs:
        points, rate = reference.outputs[o.name], max(1, net.values[o.value].clock.rate)
        result[o.name] = [np.full((net.ticks(o, n), net.values[o.value].size), np.nan) for n in lengths]
        for piece, tick, y in zip(points.sequence, points.tick, points.values, strict=True):
            sequence, first = reference.origins[piece]
            at = first // rate + tick
            if first % rate == 0 and at < len(result[o.name][sequence]):
                result[o.name][sequence][at] = y
    return result
