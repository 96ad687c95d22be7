"""Layers called step by step after an encoder; lengths that a file computes with, or has built in; time beside bands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rnnc
from rnnc.errors import RnncError
from rnnc.options import Options
from tests.support.graphs import Builder
from tests.support.imports import import_error
from tests.support.operators import check_c, quantized, sequence

X, H, T = 3, 4, 8


def gru(b: Builder, x: str, start: str = "", features: int = X, **attributes: str) -> tuple[str, str]:
    """Y and Y_h of a GRU over ``[time, batch, features]``."""
    directions = 1 + (attributes.get("direction") == "bidirectional")
    weights = [b.const(b.weights(directions, 3 * H, n)) for n in (features, H)]
    y, h = b.ops("GRU", 2, x, *weights, b.const(b.weights(directions, 6 * H)), "", start, hidden_size=H, **attributes)
    return y, h


def cut(b: Builder, x: str, start: int, end: int, axis: int) -> str:
    return b.op("Slice", x, *(b.const(np.array([n])) for n in (start, end, axis)))


def decoder(calls: int) -> bytes:
    """A GRU that is called so many times for one step, from the state of the encoder, and fed with its own result."""
    b = Builder()
    x = b.op("Transpose", "x", perm=[1, 0, 2])
    _, h = gru(b, x)
    given, results = cut(b, x, -1, np.iinfo(np.int64).max, 0), []
    for _ in range(calls):
        y, h = gru(b, given, h)
        given = b.op("Add", given, b.op("MatMul", b.op("Squeeze", y, b.const(np.array([1]))), b.const(b.weights(H, X))))
        results.append(given)
    b.op("Concat", *results, axis=0, out="y")
    return b.model({"x": [1, T, X]}, ["y"])


@pytest.mark.parametrize("calls", [1, 3])
def test_a_decoder_called_for_single_steps_runs_once_a_window(calls: int) -> None:
    with pytest.raises(RnncError, match="window=8 compiles it"):
        rnnc.load_net(decoder(calls), Options())
    error, net = import_error(decoder(calls), Options(window=T), steps=3 * T)
    assert error < 1e-6 and [(o.kind, o.ticks) for o in net.outputs] == [("window", 0)]


def test_the_c_of_such_a_decoder_has_the_bits_of_the_oracle(tmp_path: Path) -> None:
    net = rnnc.load_net(decoder(1), Options(window=T))
    check_c(quantized(net, sequence(net, steps=4 * T)), tmp_path, 3 * T)


def masked_mean() -> bytes:
    """The sum over time by the length that is computed from a mask of all steps."""
    b = Builder()
    y, _ = gru(b, b.op("Transpose", "x", perm=[1, 0, 2]))
    y = b.op("Squeeze", y, b.const(np.array([1])))
    length = b.op("Gather", b.op("Shape", "x"), b.const(np.array(1)))
    steps = b.op("Range", b.const(np.array(0)), length, b.const(np.array(1)))
    mask = b.op("Cast", b.op("Less", steps, length), to=1)
    mask = b.op("Unsqueeze", mask, b.const(np.array([1, 2])))
    total, count = (b.op("ReduceSum", v, b.const(np.array([0])), keepdims=0) for v in (b.op("Mul", y, mask), mask))
    b.op("Div", total, count, out="y")
    return b.model({"x": [1, "time", X]}, ["y"])


def test_a_sum_by_the_length_of_the_sequence_is_the_mean_so_far() -> None:
    error, net = import_error(masked_mean())
    assert error < 1e-6 and [o.kind for o in net.outputs] == ["last"]


def built_in(batch: int | str) -> bytes:
    """Attention in which the exporter left the length 8 of an open axis."""
    b = Builder()
    y, _ = gru(b, b.op("Transpose", "x", perm=[1, 0, 2]))
    shape = b.op("Concat", *(b.const(np.array([n])) for n in (T, 1, H)), axis=0)
    y = b.op("Reshape", b.op("Squeeze", y, b.const(np.array([1]))), shape)
    keys = b.op("Transpose", y, perm=[1, 2, 0])
    scores = b.op("Softmax", b.op("MatMul", b.op("Transpose", y, perm=[1, 0, 2]), keys), axis=-1)
    b.op("MatMul", scores, b.op("Transpose", y, perm=[1, 0, 2]), out="y")
    return b.model({"x": [batch, "s27", X]}, ["y"])


@pytest.mark.parametrize("batch", [1, "s77"])
def test_a_length_that_is_built_in_is_named(batch: int | str) -> None:
    with pytest.raises(RnncError, match=r"bind=\{'s27': 8\}"):
        rnnc.load_net(built_in(batch), Options())
    error, _ = import_error(built_in(1), Options(bind={"s27": T}, window=T), steps=2 * T)
    assert error < 1e-6


def dual_path(steps: int | str) -> bytes:
    """A GRU both ways along the bands of each frame, then one over time for each band."""
    b, bands = Builder(), 5
    frames = b.op("Reshape", "x", b.const(np.array([-1, bands, X])))
    y, _ = gru(b, b.op("Transpose", frames, perm=[1, 0, 2]), direction="bidirectional")
    y = b.op("Reshape", b.op("Transpose", y, perm=[2, 0, 1, 3]), b.const(np.array([-1, bands, 2 * H])))
    y = b.op("Reshape", b.op("MatMul", y, b.const(b.weights(2 * H, X))), b.const(np.array([-1, bands, X])))
    y, _ = gru(b, y)
    b.op("Squeeze", y, b.const(np.array([1])), out="y")
    return b.model({"x": [1, steps, bands, X]}, ["y"])


@pytest.mark.parametrize("steps", [T, "s27"])
def test_a_dual_path_needs_no_name_and_no_open_axis_of_time(steps: int | str) -> None:
    error, net = import_error(dual_path(steps), steps=3 * T)
    assert error < 1e-6 and [v.shape for v in net.inputs] == [(5, X)]
