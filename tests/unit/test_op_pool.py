"""MaxPool and AveragePool over time and frames, against onnxruntime over whole sequences, and in C against the oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnc.errors import Refused
from rnnc.streams import run_qnet
from tests.support.graphs import Builder
from tests.support.operators import quantized
from tests.support.sequences import STEPS, arithmetic_sqnr, compiles, follows, imported, over_time

MAX: list[dict[str, Any]] = [
    {"kernel_shape": [2], "strides": [2]},
    {"kernel_shape": [3], "strides": [1], "pads": [1, 1]},
    {"kernel_shape": [3], "strides": [2], "pads": [1, 1]},
    {"kernel_shape": [3], "strides": [1], "pads": [2, 0]},
    {"kernel_shape": [2], "dilations": [3]},
    {"kernel_shape": [3], "strides": [5], "ceil_mode": 1},
    {"kernel_shape": [4], "strides": [3], "ceil_mode": 1},
    {"kernel_shape": [3], "auto_pad": "SAME_UPPER", "strides": [2]},
    {"kernel_shape": [1], "strides": [3]},
]
AVERAGE = [
    {**a, "count_include_pad": c} for a in MAX if "dilations" not in a for c in (0, 1) if not (c and a.get("ceil_mode"))
]


def pool(op_type: str, **attributes: Any) -> Any:
    """Adds one pool."""
    return lambda b, x: b.op(op_type, x, **attributes)


@pytest.mark.parametrize(
    ("op_type", "attributes"), [("MaxPool", a) for a in MAX] + [("AveragePool", a) for a in AVERAGE], ids=str
)
def test_over_time(op_type: str, attributes: dict[str, Any]) -> None:
    follows(over_time(pool(op_type, **attributes)))


@pytest.mark.parametrize(
    ("op_type", "attributes"),
    [("MaxPool", a) for a in MAX[::3]] + [("AveragePool", a) for a in AVERAGE[::3]],
    ids=str,
)
def test_over_time_in_c(op_type: str, attributes: dict[str, Any], tmp_path: Path) -> None:
    compiles(imported(over_time(pool(op_type, **attributes))), tmp_path)


FRAMES = [
    {"kernel_shape": [1, 2], "strides": [1, 2]},
    {"kernel_shape": [2, 3], "strides": [2, 1], "pads": [0, 1, 0, 1]},
    {"kernel_shape": [3, 2], "strides": [1, 3], "pads": [1, 0, 1, 1], "ceil_mode": 1},
    {"kernel_shape": [1, 7]},
]


@pytest.mark.parametrize("attributes", FRAMES, ids=str)
@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("channels", [1, 2])
def test_over_time_and_frequency(op_type: str, channels: int, attributes: dict[str, Any]) -> None:
    follows(over_time(pool(op_type, **attributes), channels, 7))


def _after_conv(op_type: str, **attributes: Any) -> Any:
    def nodes(b: Builder, x: str) -> str:
        y = b.op("Relu", b.op("Conv", x, b.const(b.weights(4, 2, 3, 3)), pads=[2, 1, 0, 1]))
        y = b.op(op_type, y, **attributes)
        return b.op("Conv", y, b.const(b.weights(3, 4, 1, 1)))

    return nodes


@pytest.mark.parametrize("precision", ["a16", "a8"])
@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("attributes", FRAMES[1:3], ids=str)
def test_between_layers(op_type: str, attributes: dict[str, Any], precision: Any, tmp_path: Path) -> None:
    net = follows(over_time(_after_conv(op_type, **attributes), 2, 7))
    assert arithmetic_sqnr(net, precision) > (58 if precision == "a16" else 28)
    compiles(net, tmp_path, precision=precision)


def test_within_frames(tmp_path: Path) -> None:
    b = Builder()
    x = b.op("Reshape", "x", b.const(np.array([-1, 2, 5, 4])))
    x = b.op("MaxPool", x, kernel_shape=[2, 2])
    b.op("AveragePool", x, out="y", kernel_shape=[3, 2], pads=[1, 0, 0, 1])
    net = follows(b.model({"x": (1, STEPS, 2, 5, 4)}, ["y"]))
    assert not net.states()
    compiles(net, tmp_path)


def test_a_mean_keeps_its_level() -> None:
    """A constant comes out of every window as it went in, at the edges too."""
    net = imported(over_time(pool("AveragePool", kernel_shape=[5], pads=[2, 2])))
    data = {"x": np.full((1, STEPS, 3), 0.7, np.float32)}
    qnet = quantized(net, data)
    y = run_qnet(qnet, {"x": qnet.formats["x"].quantize(np.moveaxis(data["x"], 0, 1))})["y"]
    real = qnet.formats[qnet.outputs[0].value].dequantize(y)
    assert real.shape == (STEPS, 1, 3)
    np.testing.assert_allclose(real, 0.7, rtol=1e-4)


def test_long_windows(tmp_path: Path) -> None:
    """A mean over 300 frames, the first of which holds one."""
    nodes = pool("AveragePool", kernel_shape=[300], pads=[299, 0])
    net = imported(over_time(nodes, steps=320))
    assert arithmetic_sqnr(net) > 58
    compiles(net, tmp_path, steps=310)


def test_indices_are_refused() -> None:
    with pytest.raises(Refused, match="indices"):
        imported(over_time(_both))


def _both(b: Builder, x: str) -> str:
    values, indices = b.ops("MaxPool", 2, x, kernel_shape=[2])
    return b.op("Add", values, b.op("Cast", indices, to=1))
