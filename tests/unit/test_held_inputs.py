"""Inputs that the file has once for a whole sequence: given again at every step."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import Builder
from tests.support.imports import import_error

T, X, H, C = 11, 5, 4, 3
LIMIT = 1e-5


def conditioned(repeat: str, steps: int | str) -> bytes:
    """A GRU of ``x [1, steps, X]`` and a context ``[1, C]`` that each step sees."""
    b = Builder()
    context = b.op("Unsqueeze", b.op("Gemm", "context", b.const(b.weights(C, 2))), b.const(np.array([1])))
    if repeat == "Expand":
        length = b.op("Slice", b.op("Shape", "x"), b.const(np.array([1])), b.const(np.array([2])))
        one, two = b.const(np.array([1])), b.const(np.array([2]))
        context = b.op("Expand", context, b.op("Concat", one, length, two, axis=0))
    elif repeat == "Tile":
        context = b.op("Tile", context, b.const(np.array([1, T, 1])))
    if repeat == "last":
        joined = "x"
    elif repeat == "broadcast":
        joined = b.op("Add", b.op("MatMul", "x", b.const(b.weights(X, 2))), context)
    else:
        joined = b.op("Concat", "x", context, axis=2)
    width = {"last": X, "broadcast": 2}.get(repeat, X + 2)
    weights = [b.const(b.weights(1, 3 * H, n)) for n in (width, H)]
    y = b.op("GRU", b.op("Transpose", joined, perm=[1, 0, 2]), *weights, hidden_size=H)
    y = b.op("Squeeze", y, b.const(np.array([1])))
    if repeat == "last":
        end = b.op("Gather", y, b.const(np.array(-1)), axis=0)
        y = b.op("Concat", end, b.op("Squeeze", context, b.const(np.array([1]))), axis=1)
    b.op("MatMul", y, b.const(b.weights(H + (2 if repeat == "last" else 0), 2)), out="y")
    return b.model({"x": [1, steps, X], "context": [1, C]}, ["y"])


@pytest.mark.parametrize(
    ("repeat", "steps"),
    [("Tile", T), *((repeat, steps) for repeat in ("Expand", "broadcast", "last") for steps in (T, "time"))],
)
def test_a_context_of_the_whole_sequence(repeat: str, steps: int | str) -> None:
    error, net = import_error(conditioned(repeat, steps), steps=3 * T)
    assert error < LIMIT
    assert {v.name: v.held for v in net.inputs} == {"x": False, "context": True}
    assert net.outputs[0].kind == ("last" if repeat == "last" else "stream")
