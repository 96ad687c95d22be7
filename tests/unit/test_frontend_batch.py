"""Files whose batch is fixed above 1, with the batch built into constants."""

from __future__ import annotations

import numpy as np
import pytest

import rnnc
from rnnc.errors import Refused
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


def test_lanes_that_start_differently_are_refused() -> None:
    with pytest.raises(Refused, match="batch of 3"):
        rnnc.load_net(fixed_batch(np.arange(B * H).reshape(1, B, H) / 9, expand=False))


def test_lanes_that_depend_on_each_other_are_refused() -> None:
    with pytest.raises(Refused, match="batch of 3"):
        rnnc.load_net(fixed_batch(np.zeros((1, B, H)), expand=False, mixed=True))
