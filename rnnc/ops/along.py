"""What operations along one axis share: which elements of a value belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rnnc.net import Array
from rnnc.tracing import Node, Traced, Tracer


@dataclass(frozen=True)
class Along:
    """A value as ``[outer, count, inner]``: ``count`` elements, ``inner`` apart, belong together."""

    outer: int
    count: int
    inner: int

    @property
    def groups(self) -> int:
        """How many vectors there are."""
        return self.outer * self.inner

    def rows(self, x: Array) -> Array:
        """``[ticks, lanes, ...]`` as ``[ticks, lanes, groups, count]``."""
        split = x.reshape(*x.shape[:2], self.outer, self.count, self.inner)
        return np.swapaxes(split, -1, -2).reshape(*x.shape[:2], self.groups, self.count)

    def back(self, rows: Array) -> Array:
        """The inverse of ``rows``; where a row has become one number, ``[ticks, lanes, groups]``."""
        if rows.ndim == 3:
            return rows
        split = rows.reshape(*rows.shape[:2], self.outer, self.inner, self.count)
        return np.swapaxes(split, -1, -2).reshape(*rows.shape[:2], -1)

    def fields(self) -> tuple[tuple[str, int], ...]:
        """The initialiser of the C struct rnnc_along."""
        return ("along.outer", self.outer), ("along.count", self.count), ("along.inner", self.inner)


def along(node: Node, trace: Tracer, x: Traced, axes: Sequence[int]) -> Along:
    """The elements of x along neighbouring axes of its tensor; refused along time, or where others lie between."""
    rank = len(x.shape)
    chosen = sorted({a % rank for a in axes})
    if x.time in chosen:
        trace.refuse(
            node,
            "works along time, over the whole sequence",
            "A stream has one step at a time: work along the features, or compile what comes before it (--output TENSOR).",
        )
    places = [x.frame_axes.index(a) for a in chosen if x.shape[a] != 1]
    frame = x.frame
    if not places:
        return Along(int(np.prod(frame, dtype=np.int64)), 1, 1)
    first, last = places[0], places[-1] + 1
    if len(places) != last - first:
        trace.refuse(
            node, f"works along axes {chosen} of {list(x.shape)}, which are not neighbours", "Transpose before it."
        )
    sizes = [int(np.prod(part, dtype=np.int64)) for part in (frame[:first], frame[first:last], frame[last:])]
    return Along(*sizes)


def without_axes(x: Traced, axes: Sequence[int], keep: bool) -> Traced:
    """The tensor x reduced along some axes, which stay with length 1 or go; its value is still to be set."""
    gone = {a % len(x.shape) for a in axes}
    if keep:
        return replace(x, value="", shape=tuple(1 if i in gone else n for i, n in enumerate(x.shape)))
    time = None if x.time is None else x.time - sum(a < x.time for a in gone)
    return replace(x, value="", shape=tuple(n for i, n in enumerate(x.shape) if i not in gone), time=time)
