"""Embedding: int8 rows, row numbers past the end, and arithmetic on row numbers folded into the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from rnnc.errors import Refused
from rnnc.net import Net
from rnnc.ops.embedding import Embedding
from rnnc.options import Options
from rnnc.streams import run_net, run_qnet
from tests.support.graphs import Builder
from tests.support.models import IR
from tests.support.operators import check_c, import_error, imported, quantized, sequence

ROWS, COLUMNS, STEPS = 30, 8, 48
TABLE = np.random.default_rng(0).standard_normal((ROWS, COLUMNS)) * np.linspace(0.1, 3, COLUMNS)


def looked_up(ids: Callable[[Builder], str], frame: tuple[int, ...] = ()) -> bytes:
    """A model that looks the table up by what a few nodes make of x."""
    b = Builder()
    y = b.op("Gather", b.const(TABLE), ids(b), out="y")
    return b.model({"x": (1, STEPS, *frame)}, [y], types="i")


def plain(b: Builder) -> str:
    return "x"


def keras(b: Builder) -> str:
    """ids + rows where ids < 0, as Keras writes it."""
    negative = b.op("Less", b.op("Cast", "x", to=TensorProto.FLOAT), b.const(0.0))
    kept = b.op("Mul", "x", b.op("Cast", b.op("Not", negative), to=TensorProto.INT64))
    shifted = b.op("Mul", b.op("Cast", negative, to=TensorProto.INT64), b.op("Add", "x", b.const(np.array(ROWS))))
    return b.op("Add", shifted, kept)


def torch_where(b: Builder) -> str:
    return b.op("Where", b.op("Less", "x", b.const(np.array(0))), b.op("Add", "x", b.const(np.array(ROWS))), "x")


def reversed_rows(b: Builder) -> str:
    return b.op("Sub", b.const(np.array(ROWS - 1)), "x")


def clipped(b: Builder) -> str:
    return b.op("Min", "x", b.const(np.array(9)))


@pytest.mark.parametrize("ids", [plain, keras, torch_where, reversed_rows, clipped], ids=lambda f: f.__name__)
def test_arithmetic_on_row_numbers_goes_into_the_table(ids: Callable[[Builder], str]) -> None:
    content = looked_up(ids)
    net = imported(content)
    (only,) = net.ops
    assert isinstance(only, Embedding)
    assert only.table.shape == (ROWS, COLUMNS)
    assert import_error(content, net, sequence(net)) == 0


def test_one_hot_looks_up_a_table_of_two_numbers() -> None:
    b = Builder()
    y = b.op("OneHot", keras(b), b.const(np.array(ROWS)), b.const(np.array([0.0, 1.0])), out="y", axis=-1)
    content = b.model({"x": (1, STEPS)}, [y], types="i")
    net = imported(content)
    (only,) = net.ops
    assert isinstance(only, Embedding)
    assert import_error(content, net, sequence(net)) == 0


def embedded(precision: str = "a16") -> tuple[Net, bytes]:
    content = looked_up(plain)
    return imported(content), content


def test_rows_are_int8_with_a_scale_for_each_column() -> None:
    net, _ = embedded()
    qnet = quantized(net, sequence(net))
    form = qnet.formats[qnet.outputs[0].value]
    y = run_qnet(qnet, {"x": np.arange(ROWS)[:, None]})["y"]
    assert form.bits == 16 and form.scale.size == COLUMNS
    assert np.all(y % 256 == 0) and np.abs(y).max() == 127 * 256
    assert np.all(np.abs(form.dequantize(y)[:, 0] - TABLE) <= np.abs(TABLE).max(0) / 127 * 0.501)


def test_a_row_number_past_the_end_names_the_last_row() -> None:
    net, _ = embedded()
    y = run_net(net, {"x": np.array([[ROWS - 1], [ROWS], [1000]])})["y"]
    assert np.array_equal(y[0], y[1]) and np.array_equal(y[0], y[2])


@pytest.mark.parametrize("frame", [(), (3,)], ids=["one", "three"])
@pytest.mark.parametrize("precision", ["a16", "a8"])
def test_c_equals_oracle(frame: tuple[int, ...], precision: Any, tmp_path: Path) -> None:
    net = imported(looked_up(plain, frame))
    check_c(quantized(net, sequence(net), Options(precision=precision)), tmp_path)


def test_argmax_can_be_looked_up(tmp_path: Path) -> None:
    b = Builder()
    y = b.op("Gather", b.const(TABLE), b.op("ArgMax", "x", axis=-1, keepdims=0), out="y")
    content = b.model({"x": (1, STEPS, ROWS)}, [y])
    net = imported(content)
    assert import_error(content, net, sequence(net)) <= 1e-6
    check_c(quantized(net, sequence(net)), tmp_path)


def test_row_numbers_are_for_looking_up_only() -> None:
    b = Builder()
    y = b.op("Cast", b.op("Add", "x", b.const(np.array(1))), to=TensorProto.FLOAT, out="y")
    with pytest.raises(Refused):
        imported(b.model({"x": (1, STEPS)}, [y], types="i"))


def test_computed_row_numbers_are_refused() -> None:
    b = Builder()
    ids = b.op("Cast", b.op("Exp", "x"), to=TensorProto.INT64)
    graph = b.graph({"x": (1, STEPS)}, [])
    graph.node.append(helper.make_node("Gather", [b.const(TABLE), ids], ["y"], name="n_y"))
    graph.initializer.append(onnx.numpy_helper.from_array(TABLE.astype(np.float32), next(reversed(b.constants))))
    graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, None))
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=IR)
    with pytest.raises(Refused, match="node"):
        imported(proto.SerializeToString())


def test_rows_of_16_bits_have_256_times_the_resolution(tmp_path: Path) -> None:
    net, _ = embedded()
    inputs = sequence(net)
    wide, narrow = (quantized(net, inputs, Options(weights=w)) for w in ("16", "8"))
    assert [b.name for b in wide.blocks if b.wide] == ["embedding0"]
    steps = [float(np.max(q.dequantized().ops[0].table - TABLE)) for q in (wide, narrow)]  # type: ignore[attr-defined]
    assert steps[0] < steps[1] / 100
    check_c(wide, tmp_path, STEPS)
