"""A simplified model is held against the original as exactly as float32 allows."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto

from rnnc.frontend.read.simplify import _difference, _outside, _reference, random_inputs
from tests.support.graphs import Builder

SIZE, STEPS = 300, 40


def unlikely(parts: int, wrong: float = 0.0) -> ModelProto:
    """A probability of about a thousandth: one product, or the sum of several over parts of the features."""
    b = Builder(3)
    weights = b.rng.standard_normal((SIZE, 1)) / np.sqrt(SIZE) * 1e-2
    weights[0] += wrong
    names = b.ops("Split", parts, "x", axis=-1, num_outputs=parts) if parts > 1 else ["x"]
    total = ""
    for name, rows in zip(names, np.split(weights, parts), strict=True):
        product = b.op("MatMul", name, b.const(rows))
        total = b.op("Add", total, product) if total else product
    b.op("Sigmoid", b.op("Add", total, b.const(np.array(-6.7))), out="y")
    model: ModelProto = ModelProto.FromString(b.model({"x": (1, STEPS, SIZE)}, ["y"]))
    return model


@pytest.mark.parametrize("seed", range(8))
def test_the_last_bits_of_a_small_probability_are_noise(seed: int) -> None:
    model, slim = unlikely(1), unlikely(3)
    inputs = random_inputs(model, seed)
    assert _difference(model, _reference(model, inputs), slim, inputs) == ""


def test_a_changed_weight_is_no_noise() -> None:
    model, slim = unlikely(1), unlikely(3, 1e-4)
    inputs = random_inputs(model)
    reference = _reference(model, inputs)
    assert "simplification changes output 'y'" in _difference(model, reference, slim, inputs)


def test_noise_excuses_a_thousandth_at_most() -> None:
    """A chaotic network moves as far as it can: that does not make any other equal to it."""
    want = {"y": np.array([1.0, -2.0])}
    assert _outside(want, {"y": np.array([1.0, -2.001])}, {"y": 5.0}) == ""
    assert _outside(want, {"y": np.array([1.0, -2.003])}, {"y": 5.0}) == "y"


def test_without_the_noise_some_would_be_rejected() -> None:
    model, slim = unlikely(1), unlikely(3)
    rejected = 0
    for seed in range(8):
        inputs = random_inputs(model, seed)
        want, have = _reference(model, inputs), _reference(slim, inputs)
        assert not isinstance(want, str) and not isinstance(have, str)
        rejected += bool(_outside(want, have, {}))
    assert rejected
