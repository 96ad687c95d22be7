"""The proof that simplification changed nothing: it once took infinite results for equal to anything."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto

from rnnc.frontend.read.simplify import _difference, _reference, random_inputs
from tests.support.graphs import Builder


def _logarithm(offset: float) -> ModelProto:
    """log(max(x, 0)) + offset, -inf for about half of normally distributed x."""
    b = Builder()
    b.op("Add", b.op("Log", b.op("Relu", "x")), b.const(np.array(offset)), out="y")
    model: ModelProto = ModelProto.FromString(b.model({"x": (1, 40)}, ["y"]))
    return model


@pytest.mark.parametrize(("offset", "told"), [(0.0, ""), (1.0, "simplification changes output 'y'")])
def test_a_difference_beside_infinities_is_found(offset: float, told: str) -> None:
    original = _logarithm(0.0)
    inputs = random_inputs(original)
    found = _difference(original, _reference(original, inputs), _logarithm(offset), inputs)
    assert found.startswith(told) and bool(found) == bool(told)
