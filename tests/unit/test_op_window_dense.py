"""A Dense layer over all steps of a window, against onnxruntime, and in C against the oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnc.errors import Refused
from rnnc.streams import run_net
from tests.support.graphs import Builder
from tests.support.operators import quantized, sequence
from tests.support.sequences import arithmetic_sqnr, imported
from tests.unit.test_op_reverse import T, answers, compiles, layer


def head(b: Builder, x: str, columns: int, rows: int = 5, relu: bool = True) -> None:
    """Flatten, a layer, ReLU, a layer."""
    y = b.op("Gemm", b.op("Flatten", x), b.const(b.weights(columns, rows)), b.const(b.weights(rows)))
    y = b.op("Relu", y) if relu else b.op("Tanh", y)
    b.op("Gemm", y, b.const(b.weights(rows, 3)), b.const(b.weights(3)), out="y")


def after_gru(kind: str = "GRU", direction: str = "forward") -> bytes:
    """A recurrent layer's hidden states, all of them, through an MLP."""
    b = Builder()
    d = 2 if direction == "bidirectional" else 1
    (y,) = layer(b, b.op("Transpose", "x", perm=[1, 0, 2]), kind, direction, 3, 4)
    flat = b.op("Reshape", b.op("Transpose", y, perm=[2, 0, 1, 3]), b.const(np.array([0, 0, 4 * d])))
    head(b, flat, T * 4 * d)
    return b.model({"x": (1, T, 3)}, ["y"])


def after_convolutions(pads: list[int], pool: bool) -> bytes:
    """Channels before time, as Flatten finds them behind a convolution."""
    b = Builder()
    x = b.op("Conv", b.op("Transpose", "x", perm=[0, 2, 1]), b.const(b.weights(4, 3, 3)), pads=pads)
    x = b.op("MaxPool", b.op("Relu", x), kernel_shape=[2], strides=[2]) if pool else b.op("Relu", x)
    head(b, x, 4 * (T + sum(pads) - 2) // (2 if pool else 1), relu=False)
    return b.model({"x": (1, T, 3)}, ["y"])


@pytest.mark.parametrize("precision", ["a16", "a8"])
def test_after_a_recurrent_layer(precision: Any, tmp_path: Path) -> None:
    net = answers(after_gru(), asked=0)
    assert [op.kind for op in net.ops] == ["gru", "windowdense", "dense"]
    assert not net.drain_steps
    assert arithmetic_sqnr(net) > 60
    compiles(net, tmp_path, precision)


@pytest.mark.parametrize("pads", [[2, 0], [1, 1], [0, 0]])
@pytest.mark.parametrize("pool", [False, True])
def test_after_convolutions(pads: list[int], pool: bool, tmp_path: Path) -> None:
    compiles(answers(after_convolutions(pads, pool), asked=0), tmp_path)


def test_over_time_and_frequency(tmp_path: Path) -> None:
    b = Builder()
    x = b.op("Conv", b.op("Unsqueeze", "x", b.const(np.array([1]))), b.const(b.weights(2, 1, 3, 3)), pads=[2, 0, 0, 0])
    head(b, x, 2 * T * 4)
    compiles(answers(b.model({"x": (1, T, 6)}, ["y"]), asked=0), tmp_path)


def test_a_function_between_flatten_and_the_layer() -> None:
    b = Builder()
    b.op("Gemm", b.op("LeakyRelu", b.op("Flatten", "x")), b.const(b.weights(T * 3, 2)), out="y")
    answers(b.model({"x": (1, T, 3)}, ["y"]), asked=0)


def test_after_both_directions(tmp_path: Path) -> None:
    compiles(answers(after_gru("LSTM", "bidirectional")), tmp_path)


def test_long_windows_of_full_scale(tmp_path: Path) -> None:
    """No sum overflows, however large the window and its weights."""
    b = Builder()
    b.op("Gemm", b.op("Flatten", "x"), b.const(b.weights(300 * 20, 2, scale=3.0)), out="y")
    net = imported(b.model({"x": (1, 300, 20)}, ["y"]))
    qnet = quantized(net, sequence(net, steps=600))
    assert all(bound.worst < 2**31 for op in qnet.ops for bound in op.bounds())
    exact = run_net(net, {"x": np.ones((300, 1, 20))})["y"]
    assert exact.shape == (1, 1, 2)


def test_what_is_no_layer_is_refused() -> None:
    b = Builder()
    b.op("Softmax", b.op("Flatten", "x"), out="y")
    with pytest.raises(Refused, match="side by side"):
        imported(b.model({"x": (1, T, 3)}, ["y"]))
