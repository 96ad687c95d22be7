"""Keras' LayerNormalization by tf2onnx: means by GlobalAveragePool, x (gain / s) + (-mean) (gain / s) + offset."""

from __future__ import annotations

import numpy as np

from tests.support.graphs import Builder
from tests.support.sequences import STEPS, follows

FEATURES = 6


def test_it_is_one_norm() -> None:
    b = Builder()
    mean = b.op("GlobalAveragePool", "x")
    d = b.op("Sub", "x", mean)
    variance = b.op("GlobalAveragePool", b.op("Mul", d, d))
    root = b.op("Sqrt", b.op("Add", variance, b.const(np.array(1e-3))))
    gain = b.op("Mul", b.op("Reciprocal", root), b.const(np.linspace(0.5, 1.5, FEATURES)))
    shift = b.op("Mul", b.op("Neg", mean), gain)
    whole = b.op("Add", b.op("Mul", "x", gain), shift)
    b.op("Add", whole, b.const(np.linspace(-1, 1, FEATURES)), out="y")
    net = follows(b.model({"x": (1, STEPS, FEATURES)}, ["y"]))
    assert [op.kind for op in net.ops] == ["norm"]
