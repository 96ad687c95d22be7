"""A state that can grow far beyond where a squashing function is flat lost its small values on the way to that function."""

from __future__ import annotations

import numpy as np

import rnnc
from tests.support.graphs import Builder

X, H = 5, 4


def integrator() -> bytes:
    """``c' = 0.999 c + W x``, ``y = tanh(c')``: under constant inputs c reaches a thousand times what noise makes of it."""
    b = Builder()
    kept = b.op("Mul", "c", b.const(np.array(0.999)))
    b.op("Add", kept, b.op("MatMul", "x", b.const(b.weights(X, H, scale=0.01))), out="c_next")
    b.op("Tanh", "c_next", out="y")
    return b.model({"x": [1, X], "c": [1, H]}, ["y", "c_next"])


def test_the_squashing_of_a_wide_state_without_data() -> None:
    package = rnnc.compile_model(integrator())
    verify = package.report["verify"]
    assert verify["c_equals_oracle"]
    assert verify["outputs"][0]["sqnr_same_weights_db"] > 50
