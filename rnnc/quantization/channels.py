"""Numbers by channel: what a user gives of an input, and what belongs to the elements of a channel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnc.errors import UsageError
from rnnc.fixed import Floats
from rnnc.net import Value

Given = float | Sequence[float]
"""One number, or one for each channel."""


def by_channel(flag: str, value: Value, given: Given) -> Floats:
    """What is given for a value, ``[elements]``: once, for each index of its first axis, or for each element.

    Raises UsageError where there is another number of them.
    """
    numbers = np.atleast_1d(np.asarray(given, np.float64))
    channels = value.shape[0] if value.shape else 1
    if numbers.size == value.size:
        return numbers
    if numbers.size not in (1, channels):
        wanted = f"{channels}" if channels == value.size else f"{channels} (channels) or {value.size} (elements)"
        raise UsageError(
            f"{flag} {value.name}: {numbers.size} numbers for shape {list(value.shape)}: 1 or {wanted} fit"
        )
    return np.repeat(numbers, value.size // numbers.size)


def channels_of(shape: tuple[int, ...], axis: int | None, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Ends of a range ``[elements]``, made the same along all axes but one, or along all."""
    if axis is None:
        return np.full(low.size, low.min()), np.full(high.size, high.max())
    others = tuple(i for i in range(len(shape)) if i != axis)
    lo, hi = low.reshape(shape).min(others, keepdims=True), high.reshape(shape).max(others, keepdims=True)
    return np.broadcast_to(lo, shape).ravel(), np.broadcast_to(hi, shape).ravel()
