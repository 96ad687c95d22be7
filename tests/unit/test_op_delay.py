"""Paths of unlike latency that join, outputs that come apart, and flushing in C."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnc.errors import Refused
from rnnc.net import Net
from rnnc.qnet import QNet
from rnnc.streams import run_qnet, stream_qnet
from tests.support.graphs import Builder
from tests.support.nets import integers
from tests.support.operators import quantized, sequence
from tests.support.packages import Built, package
from tests.support.sequences import STEPS, compiles, follows, imported, over_time


def _conv(b: Builder, x: str, kernel: int, pads: list[int], stride: int = 1, channels: int = 3) -> str:
    return b.op("Conv", x, b.const(b.weights(3, channels, kernel)), pads=pads, strides=[stride])


def _residual(b: Builder, x: str) -> str:
    return b.op("Add", x, b.op("Tanh", _conv(b, x, 5, [2, 2])))


def _two_residuals(b: Builder, x: str) -> str:
    for _ in range(2):
        y = _conv(b, b.op("Relu", _conv(b, x, 3, [1, 1])), 3, [1, 1])
        x = b.op("Add", y, x)
    return x


def _downsampling(b: Builder, x: str) -> str:
    """As in a residual network: the short way has a kernel of 1, and comes a step before the long one."""
    return b.op("Add", _conv(b, x, 3, [1, 1], 2), _conv(b, x, 1, [0, 0], 2))


def _branches(b: Builder, x: str) -> str:
    branches = [_conv(b, x, 1, [0, 0]), _conv(b, x, 3, [1, 1]), _conv(b, x, 5, [2, 2]), _conv(b, x, 5, [4, 0])]
    return b.op("Concat", *branches, axis=1)


def _cropped(b: Builder, x: str) -> str:
    """A residual connection around a convolution without padding."""
    middle = b.op("Slice", x, *(b.const(np.array([v])) for v in (2, -2, 2)))
    return b.op("Add", middle, _conv(b, x, 5, [0, 0]))


def _strided_thrice(b: Builder, x: str) -> str:
    y = b.op("MaxPool", _conv(b, x, 3, [1, 1], 3), kernel_shape=[3], pads=[1, 1])
    return b.op("Mul", y, _conv(b, x, 2, [0, 1], 3))


@pytest.mark.parametrize("nodes", [_residual, _two_residuals, _downsampling, _branches, _cropped, _strided_thrice])
@pytest.mark.parametrize("precision", ["a16", "a8"])
def test_joins(nodes: object, precision: str, tmp_path: Path) -> None:
    net = follows(over_time(nodes))  # type: ignore[arg-type]
    assert any(op.kind == "delay" for op in net.ops) == (nodes is not _cropped)
    compiles(net, tmp_path, precision=precision)


def test_unequal_rates_are_refused() -> None:
    def nodes(b: Builder, x: str) -> str:
        return b.op(
            "Add", b.op("ReduceMax", _conv(b, x, 2, [0, 0], 2), b.const(np.array([1]))), _conv(b, x, 13, [0, 0])
        )

    with pytest.raises(Refused, match=r"new every 1 and every 2 steps"):
        imported(over_time(nodes))


def recurrent(last: bool = False) -> bytes:
    """A look-ahead convolution, a GRU, and a residual connection around both."""
    b = Builder(3)
    c = _conv(b, b.op("Transpose", "x", perm=[0, 2, 1]), 5, [2, 2])
    seq = b.op("Transpose", b.op("Relu", c), perm=[2, 0, 1])
    w, r, bias = (b.const(b.weights(1, *shape)) for shape in ((9, 3), (9, 3), (18,)))
    y, h = b.ops("GRU", 2, seq, w, r, bias, hidden_size=3, linear_before_reset=1)
    if last:
        b.op("Squeeze", h, b.const(np.array([0])), out="y")
    else:
        flat = b.op("Transpose", b.op("Squeeze", y, b.const(np.array([1]))), perm=[1, 0, 2])
        b.op("Add", flat, "x", out="y")
    return b.model({"x": (1, STEPS, 3)}, ["y"])


@pytest.mark.parametrize("last", [False, True])
def test_recurrent_layers_run_only_on_values(last: bool, tmp_path: Path) -> None:
    net = follows(recurrent(last))
    assert net.drain_steps == 2
    compiles(net, tmp_path)


def two_outputs(rate: int) -> bytes:
    """y of each step; z later, and of every ``rate`` steps."""
    b = Builder()
    c = b.op("Transpose", "x", perm=[0, 2, 1])
    b.op("Tanh", "x", out="y")
    b.op("Transpose", _conv(b, c, 3, [1, 1], rate), out="z", perm=[0, 2, 1])
    return b.model({"x": (1, STEPS, 3)}, ["y", "z"])


@pytest.mark.parametrize("rate", [1, 2])
def test_two_outputs(rate: int, tmp_path: Path) -> None:
    """Of one rate they come together; else step says which it wrote."""
    net = follows(two_outputs(rate))
    program, _ = package(quantized(net, sequence(net)))
    assert program.apart == (rate == 2)
    compiles(net, tmp_path)


def _qnet(content: bytes) -> QNet:
    net = imported(content)
    return quantized(net, sequence(net))


def test_a_saved_stream_goes_on_anywhere(tmp_path: Path) -> None:
    """Saved and restored before every step, and between the steps of a flush."""
    qnet = _qnet(recurrent())
    x = integers(qnet, STEPS)
    want = run_qnet(qnet, x)["y"][:, 0].reshape(-1, 3)
    built = Built(*package(qnet), tmp_path)
    got, c, y = [], built.new(), np.zeros(3, np.int16)
    for t in range(STEPS + 3):
        other = built.new()
        assert other.restore(c.save()) == 0
        c = other
        frame = x["x"][min(t, STEPS - 1), 0].astype(np.int16)
        if c.call("step", frame, y) if t < STEPS else c.call("flush", y):
            got.append(y.astype(np.int64))
    np.testing.assert_array_equal(got, want)
    assert not c.call("flush", y)


def test_streams_of_any_length_are_whole() -> None:
    """A sequence shorter than the look-ahead gives as many values as it has steps."""
    net: Net = imported(recurrent())
    qnet = quantized(net, sequence(net))
    for steps in (1, 2, 3, 5):
        stream = stream_qnet(qnet)
        early = stream.advance(integers(qnet, steps))["y"]
        assert len(early) + len(stream.drain()["y"]) == steps == net.ticks(net.outputs[0], steps)
