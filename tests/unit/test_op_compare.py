"""Comparisons, and what is made of them: masks of row numbers, states that are held, casts of truth values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

import rnnc
from rnnc.errors import Refused
from rnnc.options import Options
from rnnc.streams import run_net
from tests.support.graphs import Builder
from tests.support.imports import import_error, kinds
from tests.support.operators import check_c, quantized


def padded_words(rows: int) -> bytes:
    """Row numbers x ``[1, time]``: each word's vector, 0 for word 0, as Keras masks it."""
    b = Builder()
    vectors = b.op("Gather", b.const(b.weights(rows, 3)), "x", axis=0)
    word = b.op("Not", b.op("Equal", "x", b.const(np.array(0))))
    mask = b.op("Unsqueeze", b.op("Cast", word, to=TensorProto.FLOAT), b.const(np.array([2])))
    b.op("Mul", vectors, mask, out="y")
    return b.model({"x": (1, "time")}, ["y"], types="i")


def test_row_numbers_are_compared(tmp_path: Path) -> None:
    error, net = import_error(padded_words(5))
    assert error <= 1e-5
    assert "compare" in kinds(net)
    check_c(quantized(net, None), tmp_path, steps=40)


def test_too_many_rows_are_refused() -> None:
    with pytest.raises(Refused, match="compares row numbers of a table of more than 32768 rows"):
        rnnc.load_net(padded_words(40000))


def test_a_state_is_held_where_a_frame_is_all_zero(tmp_path: Path) -> None:
    """Keras's Masking over a cell of its own: Any as a sum of casts, Where on the state."""
    b = Builder()
    nonzero = b.op("Cast", b.op("Not", b.op("Equal", "x", b.const(np.float32(0)))), to=TensorProto.INT32)
    count = b.op("ReduceSum", nonzero, b.const(np.array([-1])), keepdims=1)
    some = b.op("Greater", count, b.const(np.array(0, np.int32)))
    total = b.op("Add", b.op("MatMul", "x", b.const(b.weights(4, 3))), b.op("MatMul", "h", b.const(b.weights(3, 3))))
    b.op("Where", some, b.op("Softsign", total), "h", out="h_next")
    b.op("Mul", "h_next", b.const(2.0), out="y")
    model = b.model({"x": (1, 4), "h": (1, 3)}, ["y", "h_next"])
    error, net = import_error(model, Options(states={"h": "h_next"}))
    assert error <= 1e-5

    x = np.random.default_rng(0).standard_normal((40, 1, 4))
    x[10:20] = 0
    y = run_net(net, {"x": x})["y"]
    assert np.all(y[10:20] == y[9]) and np.all(y[20] != y[9])
    check_c(quantized(net, {"x": np.moveaxis(x, 0, 1)}), tmp_path)


def test_numbers_as_truth_values() -> None:
    b = Builder()
    truth = b.op("Cast", b.op("Relu", "x"), to=TensorProto.BOOL)
    b.op("Cast", b.op("And", truth, b.op("Less", "x", b.const(1.0))), out="y", to=TensorProto.FLOAT)
    error, _ = import_error(b.model({"x": (1, "time", 6)}, ["y"]), Options(time_axis={"x": 1}))
    assert error == 0


def test_a_number_is_compared_with_each_of_several_constants() -> None:
    b = Builder()
    b.op("Cast", b.op("Greater", "x", b.const(np.arange(6.0) / 6)), out="y", to=TensorProto.FLOAT)
    error, net = import_error(b.model({"x": (1, "time", 1)}, ["y"]), Options(time_axis={"x": 1}))
    assert error == 0 and net.values[net.outputs[0].value].shape == (6,)
