"""CumSum along an axis of the frame, or of a whole window: a Dense layer of zeros and ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnc.ops.dense import Dense
from rnnc.ops.transpose import transposed
from rnnc.tracing import Node, Tracer, handles

MOST = 1024
"""Elements that are summed up: as many rows of as many weights."""


@handles("CumSum")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX CumSum, exclusive or not, from either end."""
    x, axes = trace.input(node, 0), trace.constant(node, 1)
    assert x is not None and axes is not None
    axis = int(axes.ravel()[0]) % len(x.shape)
    if axis == x.time:
        trace.refuse(
            node,
            "sums up over time: in a stream it would grow without end",
            "Take a leaky sum (h' = a h + x).",
        )
    count = x.shape[axis]
    if count > MOST:
        trace.refuse(node, f"sums up {count} elements; {MOST} are supported")
    if count == 1 and not node.attributes.get("exclusive", 0):
        trace.result(node, 0, x)
        return
    last = (*(n for i, n in enumerate(x.shape) if i != axis), count)
    time = None if x.time is None else x.time - (axis < x.time)
    turned = replace(x, shape=last, time=time)
    weights = np.tri(count, k=-int(node.attributes.get("exclusive", 0)))
    weights = weights[::-1, ::-1] if node.attributes.get("reverse", 0) else weights
    order = sorted(range(len(x.frame)), key=lambda k: x.frame_axes[k] == axis)
    value = transposed(node, trace, x, order)
    op = trace.add(node, Dense, [value], weights=weights, bias=np.zeros(count), shape=turned.frame or (1,))
    summed = replace(turned, value=op.outputs[0])
    trace.result(node, 0, replace(x, value=transposed(node, trace, summed, np.argsort(order).tolist())))
