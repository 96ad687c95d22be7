"""Concat along features."""

from __future__ import annotations

from dataclasses import replace

from rnnc.ops.layout import Layout, Move, strides
from rnnc.tracing import Node, Traced, Tracer, handles, join


@handles("Concat")
def from_node(node: Node, trace: Tracer) -> None:
    """Join the frames; joining sequences one after the other in time cannot stream."""
    parts = [x for x in (trace.input(node, i) for i in range(len(node.inputs))) if x is not None]
    rank = len(parts[0].shape)
    axis = int(node.attributes["axis"]) % rank
    if any(x.time == axis for x in parts):
        hint = "Join features, or feed the parts one after the other."
        trace.refuse(node, "joins sequences one after the other in time", hint)
    if any(x.kind == "static" for x in parts):
        trace.refuse(node, "joins a constant to a computed tensor", "Put the constant into the weights that follow.")
    common = join(node, trace, *(replace(x, shape=_without(x.shape, axis)) for x in parts))
    if len(parts) == 1:
        trace.result(node, 0, parts[0])
        return
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
    trace.result(node, 0, replace(y, value=op.outputs[0]))


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return tuple(1 if i == axis else n for i, n in enumerate(shape))
