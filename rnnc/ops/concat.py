"""Concat along features; zeros before or after a sequence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnc.ops.layout import Layout, Move, strides
from rnnc.ops.pad import pad_frame
from rnnc.ops.time_shift import pad_time
from rnnc.tracing import Node, Traced, Tracer, handles, join


@handles("Concat")
def from_node(node: Node, trace: Tracer) -> None:
    """Join the frames; along time only zeros can be joined to a sequence."""
    parts = [x for x in (trace.input(node, i) for i in range(len(node.inputs))) if x is not None]
    rank = len(parts[0].shape)
    axis = int(node.attributes["axis"]) % rank
    if any(x.time == axis for x in parts):
        _along_time(node, trace, parts, axis)
        return
    trace.result(node, 0, _with_constants(node, trace, parts, axis))


def _with_constants(node: Node, trace: Tracer, parts: list[Traced], axis: int) -> Traced:
    """Frames side by side; in a window a constant of one number at the ends is put around them."""
    join(node, trace, *(replace(x, shape=_without(x.shape, axis)) for x in parts))
    computed = [i for i, x in enumerate(parts) if x.kind != "static"]
    first, behind = computed[0], computed[-1] + 1
    numbers = {float(v) for x in parts if x.const is not None for v in np.unique(x.const)}
    within = not numbers or trace.windowed
    if not within or len(numbers) > 1 or behind - first != len(computed):
        trace.refuse(node, "joins a constant to a computed tensor", "Put the constant into the weights that follow.")
    y = _joined(node, trace, parts[first:behind], axis)
    if not numbers:
        return y
    before, after = (
        [sum(x.shape[axis] for x in side) if i == axis else 0 for i in range(len(y.shape))]
        for side in (parts[:first], parts[behind:])
    )
    return pad_frame(node, trace, y, before, after, numbers.pop())


def _joined(node: Node, trace: Tracer, parts: list[Traced], axis: int) -> Traced:
    """Computed frames side by side."""
    common = join(node, trace, *(replace(x, shape=_without(x.shape, axis)) for x in parts))
    if len(parts) == 1:
        return parts[0]
    shape = (*common.shape[:axis], sum(x.shape[axis] for x in parts), *common.shape[axis + 1 :])
    y = Traced(shape, common.kind, common.time)
    lengths = [1 if i == y.time else n for i, n in enumerate(shape)]
    target = strides(lengths)
    moves, offset = [], 0
    for x in parts:
        own = [1 if i == x.time else n for i, n in enumerate(x.shape)]
        moves.append(Move(tuple(own), strides(own), target, 0, offset * target[axis]).merged())
        offset += x.shape[axis]
    sources = tuple(range(len(parts)))
    op = trace.add(
        node, Layout, [x.value for x in parts], shape=y.frame, moves=tuple(moves), sources=sources, what="concat"
    )
    return replace(y, value=op.outputs[0])


def _along_time(node: Node, trace: Tracer, parts: list[Traced], axis: int) -> None:
    moving = [i for i, x in enumerate(parts) if x.kind != "static"]
    constants = [x.const for x in parts if x.const is not None]
    if len(moving) > 1 or any(np.any(c) for c in constants):
        hint = "Join features, or feed the parts one after the other."
        trace.refuse(node, "joins sequences one after the other in time", hint)
    at = moving[0]
    before, after = (sum(x.shape[axis] for x in side) for side in (parts[:at], parts[at + 1 :]))
    trace.result(node, 0, pad_time(node, trace, parts[at], before, after))


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return tuple(1 if i == axis else n for i, n in enumerate(shape))
