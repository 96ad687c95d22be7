"""Cautions about the data: states that never change in them, recorded results that the file does not reproduce."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnnc.frontend.read.naming import named_as_next, named_as_state
from rnnc.net import Net
from rnnc.ops.inner import Inner
from rnnc.options import Options
from rnnc.qnet import QNet
from rnnc.quantization.calibrate import Ranges
from rnnc.tracing import Graph
from rnnc.verification.score import THRESHOLD
from rnnc.verification.verify import Verification

FAR = 20.0
"""Below so many dB, recorded results must be those of another network."""


def state_cautions(net: Net, ranges: Ranges, qnet: QNet) -> Iterator[str]:
    """Yield a caution for each state that keeps its initial value in all calibration data: its range is unknown."""
    if not ranges.measured:
        return
    formats = {s.name: s.format for s in qnet.states()}
    for feedback in net.feedback:
        state = feedback.state
        initial = np.ravel(state.initial)
        seen = [ranges.samples[state.name], ranges.samples[feedback.next]]
        still = np.array_equal(ranges.peaks[state.name], np.abs(initial)) and all(np.all(s == initial) for s in seen)
        if still and (form := formats.get(state.name)) is not None and not form.index:
            limit = float((form.scale * form.hi).max())
            yield (
                f"State {state.alias or state.name} never moves in the calibration data: it has room for ±{limit:.3g} "
                "only, and what is larger is clipped. Give recordings in which it moves."
            )
    for op in net.ops:
        given = ranges.samples.get(op.outputs[0])
        if op.gates and op.states() and given is not None and len(given) and np.all(given == given[0]):
            names = ", ".join(s.alias or s.name for s in op.states())
            yield (
                f"{op.name} ({op.describe()}) never moves in the calibration data (its state: {names}): what comes behind it "
                "is fitted to a constant. Give recordings in which it moves."
            )


def open_loop_cautions(net: Net, options: Options) -> Iterator[str]:
    """Yield a caution for each input named like a state that nothing feeds back, although a result has its shape.

    An input beside others with a result that is named as its next value may be one, too; alone it is what is predicted.
    """
    for value in net.inputs:
        if value.name in options.states or value.dtype == "index":
            continue
        fitting = [o.name for o in net.outputs if net.values[o.value].shape == value.shape and not o.ticks]
        if not named_as_state(value.name):
            fitting = [name for name in fitting if len(net.inputs) > 1 and named_as_next(value.name, name)]
        if fitting:
            yield (
                f"input {value.name} is an argument of each step: nothing in the file says that it is a state. If "
                f"{' or '.join(fitting)} becomes it, --state {value.name}={fitting[0]} keeps it inside; if it is none, "
                f"--state {value.name}=none says so."
            )


def reading_notes(graph: Graph, net: Net, options: Options) -> Iterator[str]:
    """Yield what was assumed about the axes of inputs: which is time, and which are bands."""
    yield from _axis_notes(graph, net, options)
    yield from _band_notes(net)


def _band_notes(net: Net) -> Iterator[str]:
    """Yield what a layer on bands is, which a batch that was meant to be 1 looks like."""
    for op in net.ops:
        if isinstance(op, Inner) and op.kept:
            yield (
                f"{op.name} runs on {op.bands} rows of each frame ({op.node}), each with a state of its own. If they are a "
                "batch, export with a batch of 1: memory and time are those of so many streams."
            )


def _axis_notes(graph: Graph, net: Net, options: Options) -> Iterator[str]:
    """Yield which axis of a sequence of fixed length is taken as time, where little in the file speaks for it.

    So it is where layers run along each frame, and where nothing is kept from one step to the next.
    """
    inside = [op for op in net.ops if isinstance(op, Inner) and not op.kept]
    alone = not net.feedback and not any(op.states() for op in net.ops)
    shapes = {t.name: t.shape for t in graph.inputs}
    for value in net.inputs:
        if net.length < 2 or value.time is None or value.name in options.time_axis or not (inside or alone):
            continue
        longer = [axis for axis, n in enumerate(shapes[value.name]) if n > 1]
        if inside or longer[0] != value.time or len(longer) > 2:
            why = (
                f"{inside[0].name} ({inside[0].node}) runs along each frame"
                if inside
                else "no step keeps anything for the next"
            )
            yield (
                f"axis {value.time} of input {value.name!r} {list(shapes[value.name])} is taken as time, and {why}. If "
                f"another is time, --time-axis {value.name}=AXIS says so; if none is, --time-axis {value.name}=none."
            )


def record_cautions(verified: Verification | None) -> Iterator[str]:
    """Yield a caution for each output for which onnxruntime itself differs from the recorded results."""
    for r in verified.recorded if verified else ():
        if r.onnxruntime_db is not None and r.onnxruntime_db < FAR:
            yield (
                f"The file does not give what was recorded as {r.name}: onnxruntime is {r.onnxruntime_db:.1f} dB from it. "
                "Look at the export, the order of the inputs, and where states begin."
            )


def label_cautions(verified: Verification | None) -> Iterator[str]:
    """Yield a caution where labels of two classes meet an output that is no probability: its threshold may be another."""
    scored = verified.task if verified else None
    if verified is None or scored is None or scored.classes != 2:
        return
    answers = next(o.asked.reference for o in verified.measured.outputs if o.name == scored.output)
    if answers.shape[1] == 1 and np.any((answers < 0) | (answers > 1)):
        yield (
            f"Output {scored.output} leaves 0..1, and its labels are scored with a threshold of {THRESHOLD:g}: if it is a "
            "logit, export its sigmoid."
        )
