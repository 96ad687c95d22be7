"""States in 32 bits, and what reads them.

One that can grow far beyond where a squashing function is flat lost its small values on the way to that function. One that
was reshaped before a Dense reached it in 32 bits: the C read it as 16.
"""

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


def test_the_squashing_of_an_extended_state_without_data() -> None:
    package = rnnc.compile_model(integrator())
    verify = package.report["verify"]
    assert verify["c_equals_oracle"]
    assert verify["outputs"][0]["sqnr_same_weights_db"] > 50


def test_an_extended_state_that_is_reshaped_first() -> None:
    b = Builder()
    added = b.op("Reshape", b.op("MatMul", "x", b.const(b.weights(X, 6))), b.const(np.array([1, 2, 3])))
    b.op("Add", b.op("Mul", "s", b.const(np.array(0.9))), added, out="s_next")
    turned = b.op("Transpose", "s_next", perm=[0, 2, 1])
    flat = b.op("Reshape", turned, b.const(np.array([1, 6])), out="z")
    b.op("MatMul", flat, b.const(b.weights(6, H)), out="y")
    package = rnnc.compile_model(b.model({"x": [1, X], "s": [1, 2, 3]}, ["y", "z", "s_next"]))
    verify = package.report["verify"]
    assert verify["c_equals_oracle"]
    assert min(o["sqnr_same_weights_db"] for o in verify["outputs"]) > 35
