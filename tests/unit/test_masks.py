"""Masks before a softmax: minus infinity and its stand-ins are finite in the network, and give the file's answers."""

from __future__ import annotations

import numpy as np
import pytest

import rnnc
from rnnc.errors import Refused
from tests.support.graphs import Builder
from tests.support.imports import import_error

N, T = 6, 5
MASK = np.arange(N) % 3 == 1


def masked(form: str, low: float) -> bytes:
    """Softmax of x ``[1, T, N]`` without the scores of ``MASK``."""
    b = Builder()
    least = np.where(MASK, low, 0.0).astype(np.float32)
    if form == "add":
        scores = b.op("Add", "x", b.const(least))
    elif form == "where":
        scores = b.op("Where", b.const(MASK), b.const(np.float32(low)), "x")
    else:
        scores = b.op("Add", b.op("Reshape", "x", b.const(np.asarray([1, T, 1, N]))), b.const(least))
        scores = b.op("Reshape", b.op("Transpose", scores, perm=[0, 1, 3, 2]), b.const(np.asarray([1, T, N])))
    b.op("Softmax", scores, axis=-1, out="y")
    return b.model({"x": (1, T, N)}, ["y"])


@pytest.mark.parametrize("low", [-np.inf, -1e9, float(np.finfo(np.float32).min)])
@pytest.mark.parametrize("form", ["add", "where", "behind views"])
def test_masked_scores_are_nothing_in_float_and_in_integers(form: str, low: float) -> None:
    model = masked(form, low)
    error, _ = import_error(model)
    assert error < 1e-6
    x = np.random.default_rng(0).normal(0, 5, (40, N)).astype(np.float32)
    package = rnnc.compile_model(model, x, verify=False)
    y = package.simulate(x, "oracle")["y"]
    assert np.all(y[:, MASK] == 0)
    scores = np.exp(x[:, ~MASK] - x[:, ~MASK].max(1, keepdims=True))
    assert np.abs(y[:, ~MASK] - scores / scores.sum(1, keepdims=True)).max() < 1e-3


def test_masked_scores_that_are_an_output_as_well_are_left_as_they_are() -> None:
    b = Builder()
    scores = b.op("Add", "x", b.const(np.where(MASK, -5000.0, 0.0).astype(np.float32)), out="scores")
    b.op("Softmax", scores, axis=-1, out="y")
    error, _ = import_error(b.model({"x": (1, T, N)}, ["y", "scores"]))
    assert error < 1e-6


@pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan])
def test_infinite_weights_are_refused_by_name(value: float) -> None:
    b = Builder()
    weights = b.weights(N, N)
    weights[1, 2] = value
    b.op("Softmax", b.op("MatMul", "x", b.const(weights)), axis=-1, out="y")
    with pytest.raises(Refused, match="infinite numbers") as refused:
        rnnc.load_net(b.model({"x": (1, T, N)}, ["y"]))
    assert "check the weights" in refused.value.hint
