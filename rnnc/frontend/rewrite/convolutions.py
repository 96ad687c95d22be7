"""Transposed convolutions as plain ones: over an input with zeros between its elements, with the kernel turned around."""

from __future__ import annotations

import numpy as np

from rnnc.fixed import Floats
from rnnc.frontend.rewrite.editor import Editor
from rnnc.frontend.rewrite.patterns import Term, op, put, tensor
from rnnc.tracing import Node


def transposed(editor: Editor, node: Node) -> bool:
    """ConvTranspose with constant weights as Conv; not where it gives more steps of an open time axis than it takes."""
    shape, weights = editor.shape(node.inputs[0]), editor.constant(node.inputs[1])
    if shape is None or weights is None or len(shape) < 3 or "output_shape" in node.attributes:
        return False
    if node.attributes.get("auto_pad", "NOTSET") != "NOTSET":
        return False
    kernel = weights.shape[2:]
    strides, dilations, pads, extra = (
        [int(v) for v in node.attributes.get(key, [usual] * (len(kernel) * sides))]
        for key, usual, sides in (("strides", 1, 1), ("dilations", 1, 1), ("pads", 0, 2), ("output_padding", 0, 1))
    )
    spans = [d * (k - 1) for d, k in zip(dilations, kernel, strict=True)]
    before = [span - p for span, p in zip(spans, pads, strict=False)]
    after = [span - p + e for span, p, e in zip(spans, pads[len(kernel) :], extra, strict=True)]
    open_time = [n == editor.graph.time for n in shape[2:]]
    if any(is_time and s > 1 for is_time, s in zip(open_time, strides, strict=True)):
        return False
    x = tensor(node.inputs[0])
    for i, stride in enumerate(strides):
        if stride > 1:
            x = _spread(x, shape, 2 + i, stride)
            shape = (*shape[: 2 + i], shape[2 + i] * stride, *shape[3 + i :])
            after[i] -= stride - 1
    if min(before + after) < 0:
        return False
    groups = int(node.attributes.get("group", 1))
    bias = [tensor(name) for name in node.inputs[2:3] if name]
    turned = _turned(np.asarray(weights, np.float64), groups).astype(weights.dtype)
    return put(editor, node, op("Conv", x, turned, *bias, dilations=dilations, group=groups, pads=before + after))


def _spread(x: Term, shape: tuple[int, ...], axis: int, stride: int) -> Term:
    """x with ``stride - 1`` zeros after each element of an axis."""
    apart = [*shape[: axis + 1], 1, *shape[axis + 1 :]]
    pads = np.zeros((2, len(apart)), np.int64)
    pads[1, axis + 1] = stride - 1
    joined = [*shape[:axis], shape[axis] * stride, *shape[axis + 1 :]]
    return op("Reshape", op("Pad", op("Reshape", x, apart), pads.ravel()), joined)


def _turned(weights: Floats, groups: int) -> Floats:
    """``[channels, rows of a group, kernel...]`` turned around, as in Conv: ``[rows, channels of a group, kernel...]``."""
    channels, rows = weights.shape[:2]
    by_group = weights.reshape(groups, channels // groups, rows, *weights.shape[2:]).swapaxes(1, 2)
    plain = by_group.reshape(groups * rows, channels // groups, *weights.shape[2:])
    return np.flip(plain, axis=tuple(range(2, plain.ndim)))
