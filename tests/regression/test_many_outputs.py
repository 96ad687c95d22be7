"""Outputs that come at unlike steps: each has a bit of what step returns, and an int may have 16."""

from __future__ import annotations

import pytest

from rnnc.backend.lower import lower
from rnnc.backend.reach import MOST_APART
from rnnc.errors import Refused
from tests.support.graphs import Builder
from tests.support.operators import imported, quantized


def outputs(count: int) -> bytes:
    """One output of every second step, the others of every step."""
    b = Builder()
    x = b.op("Transpose", "x", perm=[0, 2, 1])
    b.op("MaxPool", x, out="y0", kernel_shape=[2], strides=[2])
    names = ["y0", *(b.op("Mul", "x", b.const(0.5 + k), out=f"y{k}") for k in range(1, count))]
    return b.model({"x": (1, 12, 2)}, names)


def test_as_many_as_step_can_tell_apart() -> None:
    assert lower(quantized(imported(outputs(MOST_APART)), None)).apart
    with pytest.raises(Refused, match="16 outputs come at unlike steps; step can tell 15 apart"):
        lower(quantized(imported(outputs(MOST_APART + 1)), None))
