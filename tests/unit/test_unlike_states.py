"""States of unlike units that a layer computes and that are fed back: each channel keeps its bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnnc
from tests.support.graphs import Builder

Array = np.ndarray[Any, Any]
SCALE = np.array([300.0, 3.0, 0.02])
FAR = SCALE * np.array([12.0, -8.0, 0.0])


def _fed(form: str, middle: Array) -> bytes:
    """``y = f(x, s)`` in real units, s fed back from y; f normalises both, a small network computes the change."""
    b = Builder(3)
    normal = [b.op("Div", b.op("Sub", v, b.const(middle)), b.const(SCALE)) for v in ("x", "s")]
    hidden = b.op("Tanh", b.op("MatMul", b.op("Concat", *normal, axis=1), b.const(b.weights(6, 12, scale=0.4))))
    change = b.op("MatMul", hidden, b.const(b.weights(12, 3, scale=0.4)))
    if form == "average":
        part = b.op("Mul", b.op("Add", "x", b.op("Mul", change, b.const(SCALE))), b.const(np.array(0.1)))
        b.op("Add", b.op("Mul", "s", b.const(np.array(0.9))), part, out="y")
        return b.model({"x": [1, 3], "s": [1, 3]}, ["y"])
    change = b.op("Tanh", change) if form == "bounded" else change
    b.op("Add", b.op("Mul", change, b.const(SCALE)), b.const(middle), out="y")
    return b.model({"x": [1, 3], "s": [1, 3]}, ["y"])


def _steps(middle: Array, steps: int = 300) -> dict[str, Array]:
    g = np.random.default_rng(0)
    slow = np.sin(np.arange(steps)[:, None] / np.array([40.0, 25.0, 9.0])) + 0.2 * g.standard_normal((steps, 3))
    return {"x": (middle + SCALE * slow).astype(np.float32)}


@pytest.mark.parametrize(
    ("form", "middle", "least"),
    [("layer", 0 * FAR, 40.0), ("bounded", FAR, 35.0), ("average", FAR, 40.0), ("layer", 30 * FAR, 60.0)],
)
def test_a_fed_back_state_of_unlike_units_keeps_every_channel(form: str, middle: Array, least: float) -> None:
    package = rnnc.compile_model(_fed(form, middle), _steps(middle), states={"s": "y"})
    (output,) = package.report["verify"]["outputs"]
    assert min(output["channel_sqnr_db"]) >= least, output
    assert output["unjudged_channels"] == [] and package.report["verify"]["c_equals_oracle"]
    (kept,) = package.program.qnet.feedback
    assert kept.state.format.scale.size == len(SCALE)
    assert kept.state.format.bits == (16 if form == "layer" and not middle.any() else 32)
