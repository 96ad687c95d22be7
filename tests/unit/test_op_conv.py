"""Conv over time and frames, against onnxruntime over whole sequences, and in C against the oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnc.backend.lower import lower
from rnnc.clock import Clock
from rnnc.errors import Refused
from rnnc.ops.conv import Conv
from rnnc.options import Options
from tests.support.graphs import Builder
from tests.support.operators import quantized, sequence, sqnr
from tests.support.sequences import STEPS, compiles, follows, imported, over_time

OVER_TIME = [
    {"pads": [4, 0], "kernel_shape": [5]},
    {"pads": [2, 2], "kernel_shape": [5]},
    {"kernel_shape": [3]},
    {"kernel_shape": [1]},
    {"pads": [0, 3], "kernel_shape": [4]},
    {"pads": [6, 1], "kernel_shape": [3]},
    {"pads": [4, 4], "kernel_shape": [3], "dilations": [2]},
    {"pads": [8, 0], "kernel_shape": [3], "dilations": [4]},
    {"pads": [1, 1], "kernel_shape": [3], "strides": [2]},
    {"kernel_shape": [4], "strides": [3]},
    {"kernel_shape": [1], "strides": [2]},
    {"pads": [5, 2], "kernel_shape": [2], "strides": [2]},
    {"pads": [0, 2], "kernel_shape": [1]},
    {"auto_pad": "SAME_UPPER", "kernel_shape": [4]},
    {"auto_pad": "SAME_LOWER", "kernel_shape": [4], "strides": [2]},
    {"auto_pad": "VALID", "kernel_shape": [2]},
]


def conv(rows: int, channels: int, group: int = 1, bias: bool = True, **attributes: Any) -> Any:
    """Adds one Conv."""

    def nodes(b: Builder, x: str) -> str:
        inputs = [b.const(b.weights(rows, channels // group, *attributes["kernel_shape"]))]
        inputs += [b.const(b.weights(rows))] if bias else []
        return b.op("Conv", x, *inputs, group=group, **attributes)

    return nodes


@pytest.mark.parametrize("attributes", OVER_TIME, ids=str)
def test_over_time(attributes: dict[str, Any]) -> None:
    follows(over_time(conv(4, 3, **attributes)))


@pytest.mark.parametrize("attributes", OVER_TIME[::3], ids=str)
def test_over_time_in_c(attributes: dict[str, Any], tmp_path: Path) -> None:
    compiles(imported(over_time(conv(4, 3, **attributes))), tmp_path)


@pytest.mark.parametrize(("channels", "rows", "group"), [(4, 4, 4), (4, 8, 4), (6, 4, 2), (1, 3, 1), (3, 1, 1)])
def test_groups(channels: int, rows: int, group: int, tmp_path: Path) -> None:
    nodes = conv(rows, channels, group, bias=False, pads=[4, 0], kernel_shape=[3], dilations=[2])
    compiles(follows(over_time(nodes, channels)), tmp_path)


def _two_layers(b: Builder, x: str) -> str:
    y = b.op("Conv", x, b.const(b.weights(8, 6, 3)), b.const(b.weights(8)), pads=[2, 0])
    y = b.op("Conv", b.op("Relu", y), b.const(b.weights(4, 8, 2)), pads=[1, 0])
    return b.op("Mul", y, b.const(b.weights(4, 1)))


@pytest.mark.parametrize("precision", ["a16", "a8"])
def test_precision(precision: Any, tmp_path: Path) -> None:
    net = follows(over_time(_two_layers, 6))
    assert [op.kind for op in net.ops] == ["conv", "conv"]
    first = net.ops[0]
    assert isinstance(first, Conv) and first.relu
    data = sequence(net, steps=512)
    qnet = quantized(net, data, Options(precision=precision))
    assert qnet.formats[first.outputs[0]].bits == (8 if precision == "a8" else 16)
    assert sqnr(net, qnet, data) > (40 if precision == "a16" else 33)
    compiles(net, tmp_path, precision=precision)


@pytest.mark.parametrize(
    ("attributes", "clock", "late"),
    [
        ({"pads": [2, 2], "kernel_shape": [5]}, Clock(1, 2, 2), 2),
        ({"kernel_shape": [5]}, Clock(1, 4, 0), 0),
        ({"pads": [1, 1], "kernel_shape": [3], "strides": [2]}, Clock(2, 1, 1), 1),
        ({"pads": [4, 0], "kernel_shape": [5]}, Clock(), 0),
        ({"pads": [4, 4], "kernel_shape": [5]}, Clock(), 4),
    ],
    ids=str,
)
def test_clocks(attributes: dict[str, Any], clock: Clock, late: int) -> None:
    net = imported(over_time(conv(4, 3, **attributes)))
    assert net.values[net.outputs[0].value].clock == clock
    assert net.drain_steps == late


CHAINS = [
    ([3, 3, 3], [(1, 1), (1, 1), (1, 1)], [1, 1, 1]),
    ([3, 3, 2], [(1, 1), (0, 0), (1, 0)], [2, 1, 2]),
    ([2, 4, 3], [(0, 0), (2, 1), (2, 2)], [1, 3, 1]),
    ([5, 1, 3], [(4, 4), (0, 0), (0, 2)], [2, 2, 1]),
]


@pytest.mark.parametrize(("kernels", "pads", "strides"), CHAINS)
def test_chains(kernels: list[int], pads: list[tuple[int, int]], strides: list[int], tmp_path: Path) -> None:
    def nodes(b: Builder, x: str) -> str:
        for kernel, pad, stride in zip(kernels, pads, strides, strict=True):
            x = b.op("Conv", x, b.const(b.weights(3, 3, kernel)), pads=list(pad), strides=[stride])
        return x

    compiles(follows(over_time(nodes)), tmp_path)


OVER_FRAMES: list[dict[str, Any]] = [
    {"pads": [1, 1, 1, 1], "kernel_shape": [3, 3]},
    {"pads": [2, 0, 0, 0], "kernel_shape": [3, 4], "strides": [1, 2]},
    {"kernel_shape": [2, 6]},
    {"pads": [4, 2, 0, 2], "kernel_shape": [3, 3], "dilations": [2, 2]},
    {"pads": [1, 0, 1, 1], "kernel_shape": [3, 2], "strides": [2, 3]},
    {"kernel_shape": [1, 3], "auto_pad": "SAME_UPPER", "strides": [1, 2]},
]


@pytest.mark.parametrize("attributes", OVER_FRAMES, ids=str)
@pytest.mark.parametrize(("channels", "rows"), [(1, 3), (2, 3), (2, 1)])
def test_over_time_and_frequency(channels: int, rows: int, attributes: dict[str, Any]) -> None:
    follows(over_time(conv(rows, channels, **attributes), channels, 6))


@pytest.mark.parametrize("precision", ["a16", "a8"])
@pytest.mark.parametrize(("channels", "rows", "group"), [(1, 3, 1), (4, 4, 4), (2, 1, 1)])
def test_over_time_and_frequency_in_c(channels: int, rows: int, group: int, precision: Any, tmp_path: Path) -> None:
    net = follows(over_time(conv(rows, channels, group, **OVER_FRAMES[3]), channels, 6))
    compiles(net, tmp_path, precision=precision)


def test_time_last(tmp_path: Path) -> None:
    b = Builder()
    x = b.op("Transpose", "x", perm=[0, 2, 3, 1])
    x = b.op("Conv", x, b.const(b.weights(3, 2, 3, 3)), pads=[1, 2, 1, 0])
    b.op("Transpose", x, out="y", perm=[0, 3, 1, 2])
    compiles(follows(b.model({"x": (1, STEPS, 2, 5)}, ["y"])), tmp_path)


def test_within_frames(tmp_path: Path) -> None:
    """Time is the batch axis of the convolutions."""
    b = Builder()
    x = b.op("Reshape", "x", b.const(np.array([-1, 1, 30])))
    x = b.op("Relu", b.op("Conv", x, b.const(b.weights(6, 1, 8)), strides=[4]))
    b.op("Conv", x, b.const(b.weights(4, 6, 3)), out="y", pads=[1, 1], strides=[2])
    net = follows(b.model({"x": (1, STEPS, 30)}, ["y"]))
    assert not net.states()
    compiles(net, tmp_path)


def test_planes_within_frames(tmp_path: Path) -> None:
    b = Builder()
    x = b.op("Reshape", "x", b.const(np.array([-1, 2, 5, 4])))
    b.op("Conv", x, b.const(b.weights(3, 2, 3, 2)), out="y", pads=[1, 0, 1, 1], strides=[2, 1])
    compiles(follows(b.model({"x": (1, STEPS, 2, 5, 4)}, ["y"])), tmp_path)


def test_macs() -> None:
    net = imported(over_time(conv(3, 2, **OVER_FRAMES[0]), 2, 6))
    assert lower(quantized(net, sequence(net))).cost.macs == 3 * 6 * 2 * 9


def test_transposed_with_a_stride_over_time_is_refused() -> None:
    with pytest.raises(Refused, match="mixes time"):
        imported(over_time(lambda b, x: b.op("ConvTranspose", x, b.const(b.weights(3, 2, 2)), strides=[2])))


def test_weights_from_the_input_are_refused() -> None:
    with pytest.raises(Refused, match="constant"):
        imported(over_time(lambda b, x: b.op("Conv", x, x)))
