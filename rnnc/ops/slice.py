"""Slice, Split and Gather with constant indices: along time all but some steps or the last, along features a selection."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnc.fixed import Ints
from rnnc.ops.layout import Layout, Move, strides
from rnnc.ops.reshape import Reshape
from rnnc.ops.time_shift import select_steps
from rnnc.tracing import Node, Traced, Tracer, handles
from rnnc.views import slices, split_sizes


@handles("Slice")
def from_slice(node: Node, trace: Tracer) -> None:
    """Axis by axis: all of it, some steps or the last of time, or a selection of features."""
    x = trace.input(node, 0)
    assert x is not None
    parts = slices(x.shape, [trace.constant(node, i) for i in range(1, 5)])
    for axis, part in enumerate(parts):
        x = select(node, trace, x, axis, np.arange(x.shape[axis])[part])
    trace.result(node, 0, x)


@handles("Split")
def from_split(node: Node, trace: Tracer) -> None:
    """Each output is a slice."""
    x = trace.input(node, 0)
    assert x is not None
    axis = int(node.attributes.get("axis", 0)) % len(x.shape)
    start = 0
    for i, size in enumerate(split_sizes(node, x.shape[axis], [trace.constant(node, 1)])):
        if node.outputs[i]:
            trace.result(node, i, select(node, trace, x, axis, np.arange(start, start + size)))
        start += size


def gather(node: Node, trace: Tracer, x: Traced, indices: Ints) -> None:
    """Gather of constant indices: a selection along an axis, which a scalar index takes away."""
    axis = int(node.attributes.get("axis", 0)) % len(x.shape)
    chosen = np.where(indices < 0, indices + x.shape[axis], indices)
    y = select(node, trace, x, axis, chosen.ravel())
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    time = y.time if y.time is None or y.time < axis else y.time + indices.ndim - 1
    result = replace(y, shape=shape, time=time)
    if indices.ndim > 1 and y.frame != result.frame:
        if axis == x.time:
            trace.refuse(node, f"takes a table of indices {list(indices.shape)} of steps; only a list is supported")
        result = replace(result, value=trace.add(node, Reshape, [y.value], shape=result.frame).outputs[0])
    trace.result(node, 0, result)


def select(node: Node, trace: Tracer, x: Traced, axis: int, indices: Ints) -> Traced:
    """``x`` with only ``indices`` of an axis, which stays."""
    n = x.shape[axis]
    if np.array_equal(indices, np.arange(n)):
        return x
    shape = (*x.shape[:axis], indices.size, *x.shape[axis + 1 :])
    if axis == x.time:
        if indices.tolist() == [n - 1]:
            return replace(x, shape=shape, kind="last", time=None)
        return select_steps(node, trace, x, indices)
    if n == 1 or indices.size == 0:
        trace.refuse(node, f"takes {indices.size} of {n} elements of axis {axis}")
    y = replace(x, shape=shape)
    moves = _moves(x, axis, indices)
    op = trace.add(node, Layout, [x.value], shape=y.frame, moves=moves, sources=(0,) * len(moves), what="slice")
    return replace(y, value=op.outputs[0])


def _moves(x: Traced, axis: int, indices: Ints) -> tuple[Move, ...]:
    """One move for each run of evenly spaced indices."""
    lengths = [1 if i == x.time else m for i, m in enumerate(x.shape)]
    source = strides(lengths)
    lengths[axis] = indices.size
    target = strides(lengths)
    moves = []
    for start, first, count, step in _runs(indices):
        lengths[axis] = count
        sources = tuple(step * s if i == axis else s for i, s in enumerate(source))
        moves.append(Move(tuple(lengths), sources, target, first * source[axis], start * target[axis]).merged())
    return tuple(moves)


def _runs(indices: Ints) -> list[tuple[int, int, int, int]]:
    """Evenly spaced runs of indices: (position, first index, count, step)."""
    runs: list[tuple[int, int, int, int]] = []
    for position, index in enumerate(indices.tolist()):
        if runs:
            start, first, count, step = runs[-1]
            if count == 1 or index == first + count * step:
                runs[-1] = (start, first, count + 1, index - first if count == 1 else step)
                continue
        runs.append((position, index, 1, 1))
    return runs
