"""Expand and Tile: elements repeated along the axes of a frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnc.ops.layout import Layout, Move, strides
from rnnc.tracing import Node, Traced, Tracer, handles


@handles("Expand")
def from_expand(node: Node, trace: Tracer) -> None:
    """Repeat along axes of length 1."""
    x, target = trace.input(node, 0), trace.constant(node, 1)
    assert x is not None and target is not None
    shape = np.broadcast_shapes(x.shape, tuple(int(n) for n in target.ravel()))
    trace.result(node, 0, repeated(node, trace, x, shape))


def repeated(node: Node, trace: Tracer, x: Traced, shape: tuple[int, ...]) -> Traced:
    """x with its axes of length 1 repeated to a shape that it broadcasts to."""
    aligned = (1,) * (len(shape) - len(x.shape)) + x.shape
    return _repeat(node, trace, x, tuple(n // m for n, m in zip(shape, aligned, strict=True)))


@handles("Tile")
def from_tile(node: Node, trace: Tracer) -> None:
    """Repeat whole axes."""
    x, repeats = trace.input(node, 0), trace.constant(node, 1)
    assert x is not None and repeats is not None
    trace.result(node, 0, _repeat(node, trace, x, tuple(int(n) for n in repeats.ravel())))


def _repeat(node: Node, trace: Tracer, x: Traced, repeats: tuple[int, ...]) -> Traced:
    """x repeated along each axis; new axes come in front.

    What the file has once for a sequence, repeated over all steps, is a value of each step: every step is given it.
    """
    fresh = len(repeats) - len(x.shape)
    shape = (1,) * fresh + x.shape
    time = None if x.time is None else x.time + fresh
    if time is None and x.kind == "stream" and trace.steps > 1:
        time = next((i for i, pair in enumerate(zip(shape, repeats, strict=True)) if pair == (1, trace.steps)), None)
    elif time is not None and repeats[time] != 1:
        trace.refuse(node, "repeats a sequence in time", "A stream has no end after which it could start again.")
    y = replace(x, shape=tuple(n * r for n, r in zip(shape, repeats, strict=True)), time=time)
    if y.frame != x.frame:
        inside = tuple(1 if i == time else r for i, r in enumerate(repeats))
        y = replace(y, value=_layout(node, trace, x, y, shape, inside))
    return y


def _layout(node: Node, trace: Tracer, x: Traced, y: Traced, shape: tuple[int, ...], repeats: tuple[int, ...]) -> str:
    """Each axis as two: how often it is repeated, and the elements of x along it."""
    lengths: list[int] = []
    sources: list[int] = []
    targets: list[int] = []
    own = [1 if i == y.time else n for i, n in enumerate(shape)]
    result = [n * (1 if i == y.time else r) for i, (n, r) in enumerate(zip(own, repeats, strict=True))]
    for n, r, source, target in zip(own, repeats, strides(own), strides(result), strict=True):
        lengths += [r, n]
        sources += [0, source]
        targets += [n * target, target]
    move = Move(tuple(lengths), tuple(sources), tuple(targets)).merged()
    if len(move.lengths) > 4:
        trace.refuse(node, f"repeats {list(x.shape)} along several axes")
    op = trace.add(node, Layout, [x.value], shape=y.frame, moves=(move,), sources=(0,), what="repeat")
    return op.outputs[0]
