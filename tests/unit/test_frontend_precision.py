"""Files in half and double precision are taken in single precision, by rnnc and by onnxruntime alike."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import rnnc
from rnnc.errors import Refused
from rnnc.frontend.read.load import load
from rnnc.frontend.read.precision import to_single
from rnnc.options import Options
from tests.support.graphs import Builder

H, X = 4, 3


def model(dtype: str) -> bytes:
    """A GRU and a Dense on ``[time, 1, X]``, all of it in ``dtype``, the input scaled by a number in float64."""
    b = Builder()
    weights = [b.const(b.weights(1, 3 * H, n)) for n in (X, H)]
    y = b.op("GRU", b.op("Mul", "x", "half"), *weights, hidden_size=H)
    b.op("MatMul", b.op("Squeeze", y, b.const(np.array([1]))), b.const(b.weights(H, 2)), out="y")
    proto = onnx.ModelProto.FromString(b.model({"x": ["time", 1, X]}, ["y"]))
    graph, element = proto.graph, helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    for value in [*graph.input, *graph.output]:
        value.type.tensor_type.elem_type = element
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype.kind == "f":
            tensor.CopyFrom(numpy_helper.from_array(array.astype(dtype), tensor.name))
    half = numpy_helper.from_array(np.array(0.5), "")
    cast = [
        helper.make_node("Constant", [], ["wide"], value=half),
        helper.make_node("Cast", ["wide"], ["half"], to=element),
    ]
    nodes = [*cast, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return bytes(proto.SerializeToString())


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_another_precision(dtype: str) -> None:
    package = rnnc.compile_model(model(dtype))
    assert package.report["verify"]["import_max_rel"] < 1e-5
    assert f"the file computes in {dtype}" in " ".join(load(model(dtype), Options()).notes)


def test_single_numbers_of_another_precision_are_not_told() -> None:
    proto = onnx.ModelProto.FromString(model("float32"))
    assert to_single(proto) == ""
    assert numpy_helper.to_array(proto.graph.node[0].attribute[0].t).dtype == np.float32
    assert not load(model("float32"), Options()).notes


def counts(reader: str) -> bytes:
    """A GRU of ``x / 64`` on ``[time, 1, X]`` integers; where ``reader`` is an operator, it reads the integers too."""
    b = Builder()
    x = b.op("Mul", b.op("Cast", "x", to=1), b.const(np.array(1 / 64)))
    weights = [b.const(b.weights(1, 3 * H, n)) for n in (X, H)]
    y = b.op("Squeeze", b.op("GRU", x, *weights, hidden_size=H), b.const(np.array([1])))
    if reader:
        y = b.op("Add", y, b.op("Cast", b.op("ReduceSum", b.op(reader, "x"), b.const(np.array([2])), keepdims=1), to=1))
    b.op("Identity", y, out="y")
    return b.model({"x": ["time", 1, X]}, ["y"], types="i")


def test_integers_that_are_cast_at_once_are_real_numbers() -> None:
    package = rnnc.compile_model(counts(""), input_range={"x": (-128.0, 127.0)})
    assert package.report["verify"]["import_max_rel"] < 1e-5
    assert package.report["inputs"][0]["scale"][0] == pytest.approx(128 / 32767, rel=0.01)
    assert "input_range={'x': (LO, HI)}" in " ".join(package.notes)


def test_integers_that_something_else_reads_are_refused() -> None:
    with pytest.raises(Refused):
        rnnc.load_net(counts("Neg"))


def test_row_numbers_that_are_declared_as_real_numbers_are_row_numbers() -> None:
    """As Keras declares what goes into an Embedding whose Input has no dtype; a mask compares the same numbers."""
    b = Builder()
    rows = b.op("Cast", "x", to=onnx.TensorProto.INT32)
    below = b.op("Cast", b.op("Less", rows, b.const(np.array(0, np.int32))), to=onnx.TensorProto.INT32)
    rows = b.op("Add", rows, b.op("Mul", below, b.const(np.array(5, np.int32))))
    words = b.op("Gather", b.const(b.weights(5, X)), rows)
    known = b.op("Cast", b.op("Not", b.op("Equal", "x", b.const(0.0))), to=onnx.TensorProto.FLOAT)
    known = b.op("Unsqueeze", known, b.const(np.array([2])))
    weights = [b.const(b.weights(1, 3 * H, n)) for n in (X, H)]
    y = b.op("GRU", b.op("Mul", words, known), *weights, hidden_size=H)
    b.op("Squeeze", y, b.const(np.array([1])), out="y")
    content = b.model({"x": ["time", 1]}, ["y"])
    assert [(v.dtype, v.rows) for v in rnnc.load_net(content).inputs] == [("index", 5)]
    calibration = np.random.default_rng(0).integers(0, 5, (40,))
    assert rnnc.compile_model(content, calibration).report["verify"]["import_max_rel"] < 1e-5
