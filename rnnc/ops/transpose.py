"""Transpose: free where the frame's axes keep their order (time and axes of length 1 are none of them)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rnnc.ops.layout import Layout, Move, strides
from rnnc.tracing import Node, Traced, Tracer, handles


@handles("Transpose")
def from_node(node: Node, trace: Tracer) -> None:
    """Move time to its new place; move elements where the frame's axes change order."""
    x = trace.input(node, 0)
    assert x is not None
    perm = [int(a) for a in node.attributes.get("perm", range(len(x.shape))[::-1])]
    if sorted(perm) != list(range(len(x.shape))):
        trace.refuse(node, f"perm={perm} does not fit {list(x.shape)}")
    time = None if x.time is None else perm.index(x.time)
    turned = replace(x, shape=tuple(x.shape[a] for a in perm), time=time)
    order = [x.frame_axes.index(a) for a in perm if a in x.frame_axes]
    trace.result(node, 0, replace(turned, value=transposed(node, trace, x, order)))


def transposed(node: Node, trace: Tracer, x: Traced, order: Sequence[int]) -> str:
    """The value of x's frame with its axes in another order; that of x where the order is theirs."""
    if list(order) == sorted(order):
        return x.value
    shape, source = tuple(x.frame[a] for a in order), strides(x.frame)
    move = Move(shape, tuple(source[a] for a in order), strides(shape)).merged()
    op = trace.add(node, Layout, [x.value], shape=shape, moves=(move,), sources=(0,), what="transpose")
    return op.outputs[0]
