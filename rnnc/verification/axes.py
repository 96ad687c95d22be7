"""Another choice of the time axis, where the one that was taken does not give what onnxruntime gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rnnc.errors import RnncError
from rnnc.frontend.stream.streaming import to_stream
from rnnc.net import Net
from rnnc.options import Options
from rnnc.quantization.calibrate import Sequences
from rnnc.streams import run_net
from rnnc.tracing import Graph
from rnnc.verification.batches import batches, by_sequence
from rnnc.verification.metrics import relative_error
from rnnc.verification.reference import run_reference
from rnnc.verification.session import Session

FAR = 0.1
"""An error of the import above that is no rounding: something else is computed."""
TRIED_STEPS = 64
MOST_CHOICES = 8


def better_axes(model: bytes, graph: Graph, options: Options, limit: float) -> str:
    """The --time-axis with which the import is within ``limit`` of onnxruntime on noise; "" where there is none.

    Args:
        model: what onnxruntime runs.
        graph: the same as it was imported.
        options: those of the import, which leave the axes open.
    """
    for k, (name, axis) in enumerate(_choices(graph, options)):
        chosen = replace(options, time_axis={**options.time_axis, name: axis})
        if k < MOST_CHOICES and _error(model, graph, chosen) <= limit:
            return f"--time-axis {name}={axis}"
    return ""


def _choices(graph: Graph, options: Options) -> Iterator[tuple[str, int]]:
    for tensor in graph.inputs:
        if tensor.name not in options.time_axis and tensor.name not in options.states:
            yield from ((tensor.name, axis) for axis in range(len(tensor.shape)))


def _error(model: bytes, graph: Graph, options: Options) -> float:
    """Of the import with these axes, infinite where there is none."""
    try:
        net = to_stream(graph, options)
        reference = run_reference(Session(model, net, options), _noise(net))
        groups = batches(reference.sequences, net)
        got = by_sequence(net, [(b, run_net(net, b.inputs)) for b in groups])
        errors = [
            relative_error(points.reference, points.of(got[o.name]), index=net.values[o.value].dtype == "index")
            for o in net.outputs
            for points in [reference.outputs[o.name]]
            if len(points.values)
        ]
    except RnncError:
        return np.inf
    return max(errors, default=np.inf)


def _noise(net: Net) -> Sequences:
    rng = np.random.default_rng(0)
    steps = max(TRIED_STEPS, 2 * net.window)
    return {
        v.name: [
            rng.integers(0, v.rows, (steps, *v.shape))
            if v.dtype == "index"
            else rng.standard_normal((steps, *v.shape)).astype(np.float32)
        ]
        for v in net.inputs
    }
