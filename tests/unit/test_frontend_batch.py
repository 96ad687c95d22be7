"""Files whose batch is fixed above 1, with the batch built into constants."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import Builder
from tests.support.imports import import_error
from tests.support.models import Array

B, T, X, H = 3, 8, 5, 4
LIMIT = 1e-5


def fixed_batch(start: Array, expand: bool, mixed: bool = False) -> bytes:
    """A GRU on ``[T, B, X]`` from a constant state, a Reshape to a constant shape, a Dense."""
    b = Builder()
    weights = [b.const(b.weights(1, 3 * H, n)) for n in (X, H)]
    state = b.op("Expand", b.const(start), b.const(np.array([1, B, H]))) if expand else b.const(start)
    x = b.op("Add", "x", b.op("ReduceMean", "x", b.const(np.array([1])), keepdims=1)) if mixed else "x"
    y = b.op("GRU", x, *weights, b.const(b.weights(1, 6 * H)), "", state, hidden_size=H)
    flat = b.op("Reshape", b.op("Transpose", y, perm=[0, 2, 1, 3]), b.const(np.array([T, B, H])))
    b.op("MatMul", flat, b.const(b.weights(H, 2)), out="y")
    return b.model({"x": [T, B, X]}, ["y"])


@pytest.mark.parametrize("expand", [False, True])
def test_the_batch_is_taken_out_of_constants(expand: bool) -> None:
    error, net = import_error(fixed_batch(np.full((1, 1 if expand else B, H), 0.3), expand), steps=64)
    assert error < LIMIT
    assert [v.shape for v in net.inputs] == [(X,)]


@pytest.mark.parametrize(
    ("start", "mixed"), [(np.arange(B * H) / 9, False), (np.zeros(B * H), True)], ids=["starts", "mixed"]
)
def test_lanes_that_differ_are_bands_of_one_frame(start: Array, mixed: bool) -> None:
    """They start from states of their own, or depend on each other: no lane is a stream of its own."""
    error, net = import_error(fixed_batch(start.reshape(1, B, H), expand=False, mixed=mixed), steps=64)
    assert error < LIMIT
    assert [v.shape for v in net.inputs] == [(B, X)]
