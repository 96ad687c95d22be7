"""Values of unlike units between a layer and an output: each channel keeps its bits, whatever is computed between."""

from __future__ import annotations

import numpy as np
import pytest

import rnnc
from rnnc.compiler import compile_stages
from rnnc.options import Options
from tests.support.graphs import Builder

UNITS = np.array([0.001, 0.03, 1.0, 30.0, 1000.0])


def _heads() -> tuple[bytes, list[str]]:
    """Two layers of unlike units, and an output for each of what is made of them element by element."""
    b = Builder(7)
    h = b.op("Tanh", "x")
    one, two = (b.op("MatMul", h, b.const(b.weights(6, 5) * UNITS)) for _ in range(2))
    unit = b.op("Div", two, b.const(UNITS))
    outputs = [
        b.op("Add", one, two, out="sum"),
        b.op("LeakyRelu", one, out="leaky", alpha=0.1),
        b.op("Max", one, two, out="larger"),
        b.op("Mul", one, b.op("Sigmoid", unit), out="gated"),
        b.op("Mul", one, two, out="product"),
        b.op("Div", one, b.op("Add", b.op("Abs", unit), b.const(np.array(1.0))), out="quotient"),
        b.op("Sqrt", b.op("Abs", two), out="root"),
        b.op("Pow", one, b.const(np.array(3.0)), out="cube"),
    ]
    return b.model({"x": [1, 6]}, outputs), outputs


def _steps(count: int = 300) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(0).standard_normal((count, 6)).astype(np.float32)}


def test_outputs_of_unlike_units_keep_every_channel_behind_what_works_by_element() -> None:
    content, names = _heads()
    package = rnnc.compile_model(content, _steps())
    verify = package.report["verify"]
    assert verify["c_equals_oracle"] and [o["name"] for o in verify["outputs"]] == names
    for output in verify["outputs"]:
        assert min(output["channel_sqnr_db"]) > 35, output
        assert output["unjudged_channels"] == [], output


@pytest.mark.parametrize("rests", [False, True])
def test_an_inner_channel_that_moves_has_an_lsb_of_its_own_and_one_at_rest_keeps_room(rests: bool) -> None:
    """A channel that calibration leaves at rest, but for one frame, may come as far as the others."""
    b, x = Builder(1), _steps()["x"]
    gain, bias = np.eye(6), np.zeros(6)
    gain[5, 5], bias[5] = (1.0, 0.001 - x[:, 5].max()) if rests else (0.001, 0.0)
    y = b.op("Relu", b.op("Add", b.op("MatMul", "x", b.const(gain)), b.const(bias)))
    b.op("MatMul", y, b.const(b.weights(6, 2)), out="y")
    qnet = compile_stages(b.model({"x": [1, 6]}, ["y"]), {"x": x}, Options()).qnet
    (layer,) = (q for q in qnet.ops if q.op.kind == "dense" and q.op.inputs == ("x",))
    lsb = layer.formats[0].scale_for(6)
    assert (lsb[5] < lsb[0] / 100) == (not rests)
