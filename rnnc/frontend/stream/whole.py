"""What a window holds as a whole: all steps of a stream as one value when it is full, and such a value as a stream again.

In a window that the user asks for, a node that needs the whole sequence is given it: time is one of the axes of its inputs,
and it runs once a window. A recurrent layer that scans such a result runs after the window is full, a step for each frame.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rnnc.errors import Refused
from rnnc.frontend.read.fold import RECURRENT, scanned_axis
from rnnc.ops.layout import Layout
from rnnc.ops.reshape import Reshape
from rnnc.ops.stack import Stack
from rnnc.ops.transpose import transposed
from rnnc.ops.unstack import Unstack
from rnnc.tracing import FromNode, Node, Traced

if TYPE_CHECKING:
    from rnnc.frontend.stream.trace import Trace

MOST_FRAMES = 32_767
"""Of a window, when all are kept: the C counts them in an int16."""


def handle_whole(trace: Trace, node: Node, handle: FromNode, refused: Refused) -> None:
    """Let a node that cannot stream run once a window, on the whole of it; raises ``refused`` where that is no way out.

    It is one where the user asks for windows and the node takes what it needs in one piece.
    """
    held = _held_inputs(trace, node) if trace.parts.window else {}
    if not held:
        raise refused
    streams = {name: trace.tensors[name] for name in held}
    trace.tensors |= held
    try:
        handle(node, trace)
    except Refused:
        raise refused from None
    finally:
        trace.tensors |= streams


def _held_inputs(trace: Trace, node: Node) -> dict[str, Traced]:
    """The inputs of a node that are streams, each as one value of the whole window; none for a node that scans them."""
    if node.op_type in (*RECURRENT, "Scan"):
        return {}
    known = {name: trace.tensors[name] for name in node.inputs if name in trace.tensors}
    streams = {
        name: t for name, t in known.items() if t.flat is not None or (t.kind == "stream" and t.time is not None)
    }
    return {name: _whole(trace, node, t) for name, t in streams.items()}


def _whole(trace: Trace, node: Node, x: Traced) -> Traced:
    """All steps of a stream, once the window is full: time is an axis like others."""
    trace.need_window(node, "needs the whole sequence", buffered=True)
    if x.flat is not None:
        y = replace(_whole(trace, node, x.flat), shape=x.shape)
        return replace(y, value=trace.add(node, Reshape, [y.value], shape=y.frame).outputs[0])
    assert x.time is not None
    key = (x.value, x.time, x.shape)
    if key not in trace.parts.wholes:
        count = x.shape[x.time]
        if count == 1:
            return Traced(x.shape, "last", value=x.value)
        _check_count(trace, node, count)
        op = trace.add(node, Stack, [x.value], count=count, size=trace.value(x.value).size, shape=(count, *x.frame))
        stacked, y = Traced(op.shape, "last", value=op.outputs[0]), Traced(x.shape, "last")
        place, rank = y.frame_axes.index(x.time), len(y.frame)
        order = [*range(1, place + 1), 0, *range(place + 1, rank)]
        trace.parts.wholes[key] = replace(y, value=transposed(node, trace, stacked, order))
    return trace.parts.wholes[key]


def _check_count(trace: Trace, node: Node, count: int) -> None:
    if count > MOST_FRAMES:
        trace.refuse(node, f"needs {count:,} steps at once; {MOST_FRAMES:,} are supported")


# --------------------------------------------------------------------------- a stream again


def reopen(trace: Trace, node: Node) -> None:
    """Make streams of the results of a whole window that a recurrent node or a Scan scans."""
    for index, axis in _scanned(node):
        name = node.inputs[index]
        x = trace.tensors.get(name)
        if x is not None and x.kind == "last" and x.flat is None and x.shape[axis] > 1:
            trace.tensors[name] = _frames(trace, node, x, axis % len(x.shape))


def _scanned(node: Node) -> list[tuple[int, int]]:
    """Which inputs a node scans, each with the axis."""
    if node.op_type in RECURRENT:
        return [(0, scanned_axis(node))]
    first = len(node.inputs) - int(node.attributes["num_scan_inputs"])
    axes = node.attributes.get("scan_input_axes") or [0] * (len(node.inputs) - first)
    return [(first + k, int(axis)) for k, axis in enumerate(axes)]


def _frames(trace: Trace, node: Node, x: Traced, axis: int) -> Traced:
    """A result of the whole window whose axis is scanned, as a stream of ticks after the window is full."""
    count = x.shape[axis]
    _check_count(trace, node, count)
    stream = replace(x, kind="stream", time=axis)
    source = _repeated(trace, x, axis)
    frames = 1 if source else count
    place, rank = x.frame_axes.index(axis), len(x.frame)
    value = source or transposed(node, trace, x, [place, *(k for k in range(rank) if k != place)])
    op = trace.add(node, Unstack, [value], count=frames, ticks=count, shape=stream.frame)
    trace.parts.lengths[op.outputs[0]] = count
    return replace(stream, value=op.outputs[0])


def _repeated(trace: Trace, x: Traced, axis: int) -> str:
    """The value that is repeated along an axis to make x, "" where the frames along it are not all that value."""
    op = next((op for op in trace.ops if x.value in op.outputs), None)
    if not isinstance(op, Layout) or len(op.inputs) > 1:
        return ""
    size = trace.value(op.inputs[0]).size
    places = op.arrange([np.arange(size)]).reshape(x.frame)
    frames = np.moveaxis(places, x.frame_axes.index(axis), 0).reshape(x.shape[axis], -1)
    return op.inputs[0] if frames.shape[1] == size and bool(np.all(frames == np.arange(size))) else ""


def repeated_start(trace: Trace, node: Node, x: Traced) -> str:
    """A result of the whole window as what a recurrent node starts from: it waits for the node's first step.

    A node that takes one step only runs when both are there.
    """
    ticks = trace.ticks(trace.tensors[node.inputs[0]].value)
    if ticks == 1:
        return x.value
    op = trace.add(node, Unstack, [x.value], count=1, ticks=ticks, shape=x.frame)
    trace.parts.lengths[op.outputs[0]] = ticks
    return op.outputs[0]
