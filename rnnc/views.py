"""What nodes that only move, select or join elements do to an array, on integer arrays that stand for elements.

A tensor is followed through such nodes by an array that holds, for each of its elements, a number that tells what the
element is. This serves states: which elements of a packed state input a layer starts from, and which of its elements
arrive in which output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnc.tracing import Node

Elements = NDArray[np.int64]
Constants = Mapping[str, NDArray[Any]]

FIRST_ONLY = (
    "Identity",
    "Dropout",
    "Cast",
    "Transpose",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Slice",
    "Gather",
    "Split",
    "Expand",
)
"""Operators whose first input is moved, the others being constants that say how."""
VIEWS = (*FIRST_ONLY, "Concat")


def moved_inputs(node: Node) -> tuple[str, ...]:
    """The inputs of a view whose elements it moves."""
    return node.inputs if node.op_type == "Concat" else node.inputs[:1]


def view(node: Node, arrays: Sequence[NDArray[Any]], constants: Constants) -> list[NDArray[Any]] | None:
    """The outputs of a node of ``VIEWS``, given its ``moved_inputs``.

    None where what else it needs is no constant, or does not fit their shapes.
    """
    how = [constants.get(name) if name else None for name in node.inputs]
    if node.op_type != "Concat" and any(name and c is None for name, c in zip(node.inputs[1:], how[1:], strict=True)):
        return None
    if node.op_type == "Concat":
        return [np.concatenate(list(arrays), axis=int(node.attributes["axis"]))]
    x, arguments = arrays[0], how[1:]
    try:
        return split(node, x, arguments) if node.op_type == "Split" else [_one(node, x, arguments)]
    except (ValueError, IndexError, TypeError):
        return None


def _one(node: Node, x: NDArray[Any], how: Sequence[NDArray[Any] | None]) -> NDArray[Any]:
    op, attributes = node.op_type, node.attributes
    first = how[0] if how else None
    if op == "Transpose":
        return np.transpose(x, attributes.get("perm"))
    if op == "Gather":
        assert first is not None
        axis = int(attributes.get("axis", 0))
        return np.take(x, np.where(first < 0, first + x.shape[axis], first), axis=axis)
    if op == "Slice":
        return x[slices(x.shape, how)]
    if op == "Expand":
        assert first is not None
        return np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(int(n) for n in first)))
    return x.reshape(new_shape(node, x.shape, first))


def new_shape(node: Node, shape: tuple[int, ...], how: NDArray[Any] | None) -> tuple[int, ...]:
    """The shape after Reshape, Flatten, Squeeze or Unsqueeze, and the same shape after Identity, Dropout or Cast."""
    rank, op = len(shape), node.op_type
    if op == "Reshape":
        assert how is not None
        return _reshape(shape, [int(n) for n in how.ravel()], bool(node.attributes.get("allowzero", 0)))
    if op == "Flatten":
        axis = int(node.attributes.get("axis", 1))
        axis += rank if axis < 0 else 0
        return int(np.prod(shape[:axis], dtype=np.int64)), int(np.prod(shape[axis:], dtype=np.int64))
    if op == "Squeeze":
        axes = range(rank) if how is None else [int(a) % rank for a in how.ravel()]
        return tuple(n for i, n in enumerate(shape) if not (n == 1 and i in axes))
    if op == "Unsqueeze":
        assert how is not None
        full = rank + how.size
        fresh = {int(a) % full for a in how.ravel()}
        rest = iter(shape)
        return tuple(1 if i in fresh else next(rest) for i in range(full))
    return shape


def _reshape(shape: tuple[int, ...], target: list[int], allow_zero: bool) -> tuple[int, ...]:
    dims = [shape[i] if n == 0 and not allow_zero else n for i, n in enumerate(target)]
    if -1 in dims:
        known = int(np.prod([n for n in dims if n != -1], dtype=np.int64))
        dims[dims.index(-1)] = int(np.prod(shape, dtype=np.int64)) // max(known, 1)
    return tuple(dims)


def slices(shape: tuple[int, ...], how: Sequence[NDArray[Any] | None]) -> tuple[slice, ...]:
    """The indices of ONNX Slice; ``how`` is starts, ends, axes, steps."""
    starts, ends, axes, steps = [*how, None, None][:4]
    assert starts is not None and ends is not None
    count = starts.size
    listed = range(count) if axes is None else [int(a) % len(shape) for a in axes.ravel()]
    strides = [1] * count if steps is None else [int(s) for s in steps.ravel()]
    result = [slice(None)] * len(shape)
    for axis, start, end, step in zip(listed, starts.ravel().tolist(), ends.ravel().tolist(), strides, strict=True):
        result[axis] = slice(start, end, step)
    return tuple(result)


def split(node: Node, x: NDArray[Any], how: Sequence[NDArray[Any] | None]) -> list[NDArray[Any]]:
    """The outputs of Split."""
    axis = int(node.attributes.get("axis", 0))
    return np.split(x, np.cumsum(split_sizes(node, x.shape[axis], how))[:-1], axis=axis)


def split_sizes(node: Node, length: int, how: Sequence[NDArray[Any] | None]) -> list[int]:
    """The lengths of Split's outputs along its axis."""
    if how and how[0] is not None:
        return [int(n) for n in how[0].ravel()]
    parts = len(node.outputs)
    size = -(-length // parts)
    return [min(size, length - i * size) for i in range(parts)]
