"""Which formats are alike, and which of them an op takes."""

from __future__ import annotations

import numpy as np

from rnnc.fixed import GATE, Floats, Format
from rnnc.net import Accept


def same(a: Format, b: Format) -> bool:
    """Whether the integers of a are integers of b with the same meaning."""
    alike = a.bits == b.bits and a.zero_point == b.zero_point
    return alike and np.array_equal(a.scale, b.scale) and np.array_equal(a.offset, b.offset)


def satisfies(form: Format, accept: Accept, shape: tuple[int, ...]) -> bool:
    """Whether an op that accepts ``accept`` takes a value of this format and shape."""
    if accept in ("gate", "logit"):
        return form.bits == 32 and form.fraction == GATE.fraction
    if accept == "any" or form.uniform:
        return True
    if accept == "channel":
        scale = form.scale.reshape(shape[0], -1)
        return bool(np.all(scale == scale[:, :1]))
    return False


def by_axis(limit: Floats, shape: tuple[int, ...], axis: int | None) -> Floats:
    """The largest magnitudes of a value's elements, made the same along all axes but ``axis``; one for all without."""
    if axis is None or not shape:
        return np.array([limit.max()])
    others = tuple(i for i in range(len(shape)) if i != axis % len(shape))
    return np.broadcast_to(limit.reshape(shape).max(others, keepdims=True), shape).ravel()


def representable(limit: Floats, bound: float | Floats) -> Floats:
    """At least bound / 2^7: the requantized accumulator of the largest possible value must fit 32 bits."""
    return np.maximum(limit, np.where(np.isfinite(bound), bound, 0.0) / 2**7)
