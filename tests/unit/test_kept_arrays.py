"""States that are arrays: rings written where a mask says, bands each with a state, flags that are truth values."""

from __future__ import annotations

import numpy as np

import rnnc
from tests.support.graphs import Builder
from tests.support.imports import import_error

X, H, N = 2, 4, 5
LIMIT = 1e-5


def ring() -> bytes:
    """A ring ``[1, N, H]`` whose place ``at`` is set to a layer of x: its mean."""
    b = Builder()
    here = b.op("Equal", "at", b.const(np.arange(N, dtype=np.float32).reshape(1, N)))
    hot = b.op("Unsqueeze", b.op("Cast", here, to=1), b.const([2]))
    fresh = b.op("Unsqueeze", b.op("MatMul", "x", b.const(b.weights(X, H))), b.const([1]))
    kept = b.op("Mul", "ring", b.op("Sub", b.const(1.0), hot))
    b.op("Add", kept, b.op("Mul", hot, fresh), out="ring_out")
    b.op("ReduceMean", "ring_out", b.const([1]), keepdims=0, out="y")
    return b.model({"x": (1, X), "at": (1, 1), "ring": (1, N, H)}, ["y", "ring_out"])


def bands() -> bytes:
    """One cell for each of four bands of a frame, with the same weights: h ``[1, 4, H]``."""
    b, every = Builder(), list[str]()
    w, r, bias = b.const(b.weights(X, H)), b.const(b.weights(H, H)), b.const(b.weights(H))
    for band in range(4):
        x, h = (b.op("Gather", name, b.const(np.asarray(band)), axis=1) for name in ("x", "h"))
        total = b.op("Add", b.op("Add", b.op("MatMul", x, w), b.op("MatMul", h, r)), bias)
        every.append(b.op("Unsqueeze", b.op("Tanh", total), b.const([1])))
    b.op("Concat", *every, axis=1, out="h_out")
    b.op("MatMul", "h_out", b.const(b.weights(H, 2)), out="y")
    return b.model({"x": (1, 4, X), "h": (1, 4, H)}, ["y", "h_out"])


def flagged() -> bytes:
    """A state that starts anew where a truth value says so."""
    b = Builder()
    h = b.op("Where", "start", b.const(np.full((1, H), 0.5)), "h")
    total = b.op("Add", b.op("MatMul", "x", b.const(b.weights(X, H))), b.op("MatMul", h, b.const(b.weights(H, H))))
    b.op("Tanh", total, out="h_out")
    b.op("MatMul", "h_out", b.const(b.weights(H, 2)), out="y")
    return b.model({"x": (1, X), "start": (1, 1), "h": (1, H)}, ["y", "h_out"], "fbf")


def test_a_ring_is_written_where_a_mask_says() -> None:
    error, net = import_error(ring())
    assert error < LIMIT
    assert [v.name for v in net.inputs] == ["x", "at"] and [s.shape for s in net.states()] == [(N, H)]


def test_copies_for_bands_are_not_steps() -> None:
    """Each reads and writes its own part of the state: none goes from one to the next."""
    error, net = import_error(bands())
    assert error < LIMIT
    assert [v.shape for v in net.inputs] == [(4, X)] and sum(s.initial.size for s in net.states()) == 4 * H


def test_a_truth_value_is_a_number_that_is_not_zero() -> None:
    x, start = np.random.default_rng(0).standard_normal((60, X)), np.arange(60) % 7 == 0
    package = rnnc.compile_model(flagged(), {"x": x, "start": start[:, None].astype(float)})
    report = package.report["verify"]
    assert report["c_equals_oracle"] and report["import_max_rel"] < LIMIT
    assert import_error(flagged())[0] < LIMIT
