"""States that start at 0 and live far from it: what reads them has all bits of what varies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnnc
from rnnc.compiler import compile_stages
from rnnc.net import Net
from rnnc.ops.dense import Dense
from rnnc.options import Options
from rnnc.quantization import settled
from rnnc.quantization.search import Yardstick
from rnnc.streams import run_net
from tests.support.graphs import Builder

Array = np.ndarray[Any, Any]
MIDDLE, SPREAD = np.array([101325.0, 293.0]), np.array([15.0, 1.5])
STEPS = 400


def _recording(seed: int = 0, middle: Array = MIDDLE) -> dict[str, Array]:
    g, t = np.random.default_rng(seed), np.arange(STEPS)[:, None]
    slow = np.sin(t / np.array([23.0, 31.0]) + g.uniform(0, 6, 2)) + 0.3 * g.standard_normal((STEPS, 2))
    return {"x": (middle + SPREAD * slow).astype(np.float32)}


def _small_network(b: Builder, x: str, middle: Array) -> None:
    weights = b.weights(len(middle), 8) / np.resize(SPREAD, len(middle))[:, None]
    hidden = b.op("Tanh", b.op("Add", b.op("MatMul", x, b.const(weights)), b.const(-middle @ weights)))
    b.op("MatMul", hidden, b.const(b.weights(8, 2)), out="y")


def average(form: str) -> bytes:
    """A moving average of raw units that starts at 0, and a small network over it."""
    b = Builder(1)
    kept, new = b.op("Mul", "s", b.const(np.array(0.95))), b.op("Mul", "x", b.const(np.array(0.05)))
    s = b.op("Add", kept, new, out="s_next")
    if form == "average":
        _small_network(b, s, MIDDLE)
    elif form == "beside the input":
        _small_network(b, b.op("Concat", "x", s, axis=1), np.tile(MIDDLE, 2))
    else:
        _small_network(b, b.op("Sub", "x", s), 0 * MIDDLE)
    return b.model({"x": [1, 2], "s": [1, 2]}, ["y", "s_next"])


@pytest.mark.parametrize("form", ["average", "beside the input", "difference"])
def test_what_reads_an_average_of_raw_units_is_accurate_from_the_start(form: str) -> None:
    package = rnnc.compile_model(average(form), _recording(), states={"s": "s_next"})
    verify = package.report["verify"]
    assert verify["c_equals_oracle"] and verify["verdict"] == "good"
    assert min(verify["outputs"][0]["channel_sqnr_db"]) > 50
    first = next(q.op for q in package.program.qnet.ops if isinstance(q.op, Dense))
    assert first.whole and package.program.qnet.formats[first.inputs[0]].bits == 32


def predictor() -> bytes:
    """A recurrent step that reads its own prediction in raw units, beside the input."""
    b, h = Builder(2), 6
    both = b.op("Concat", "x", "p", axis=1)
    middle, spread = np.tile(MIDDLE, 2), np.tile(SPREAD, 2)
    seen = b.op("Div", b.op("Sub", both, b.const(middle)), b.const(spread))
    fed = b.op("Add", b.op("MatMul", seen, b.const(b.weights(4, h))), b.op("MatMul", "h", b.const(b.weights(h, h))))
    b.op("Tanh", fed, out="h_next")
    b.op(
        "Add",
        b.op("Mul", b.op("MatMul", "h_next", b.const(b.weights(h, 2))), b.const(SPREAD)),
        b.const(MIDDLE),
        out="p_next",
    )
    return b.model({"x": [1, 2], "p": [1, 2], "h": [1, h]}, ["p_next", "h_next"])


def test_what_is_read_less_its_middle_through_a_concatenation_is_the_same_in_float(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[Net] = []

    def noted(other: settled.Settled, yardstick: Yardstick, options: Options) -> float:
        tried.append(other.net)
        return 1.0

    monkeypatch.setattr(settled, "_worst", noted)
    data = _recording()
    options = Options(states={"p": "p_next", "h": "h_next"})
    done = compile_stages(predictor(), data, options)
    lanes = {"x": data["x"][:, None].astype(np.float64)}
    want = run_net(done.net, lanes)
    assert len(tried) > 3
    for net in tried:
        for name, y in run_net(net, lanes).items():
            assert np.abs(y - want[name]).max() <= 1e-6 * np.abs(want[name]).max(), name


def test_an_average_of_what_is_near_zero_is_read_in_16_bits() -> None:
    options = Options(states={"s": "s_next"})
    done = compile_stages(average("difference"), _recording(middle=0 * MIDDLE), options)
    assert not any(op.whole for op in done.qnet.net.ops if isinstance(op, Dense))
    assert done.ranges.usual == {}
