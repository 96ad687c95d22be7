"""Lists of tensors that scripted loops take steps from and append to; what a loop computes anew though it never changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.support.graphs import Builder
from tests.support.imports import import_error, kinds
from tests.support.models import IR, OPSET

X, H, T = 5, 4, 7
LIMIT = 1e-5
TAKES = ("list", "list kept", "slice")


def scripted(take: str, joins: int) -> bytes:
    """``for t in range(T): h = tanh(W x[t] + R h); ys.append(h)``, the ys joined by a stack or along axis ``joins``."""
    inner = Builder(prefix="in_")
    if take == "slice":
        numbers = [inner.const(np.array([n])) for n in (0, 2**62, 0, 1)]
        inner.op("Gather", inner.op("Slice", "x", *numbers), "t", out="x_t", axis=0)
    elif take == "list":
        inner.op("SequenceAt", "items", "t", out="x_t")
    else:
        inner.op("Squeeze", inner.op("SequenceAt", "items", "t"), inner.const(np.array([0])), out="x_t")
    gates = inner.op("MatMul", "x_t", inner.const(inner.weights(X, H)))
    width = inner.op("Gather", inner.op("Shape", gates), inner.const(np.array([1])))
    whole = inner.op("Slice", gates, inner.const(np.array([0])), width, inner.const(np.array([1])))
    inner.op("Tanh", inner.op("Add", whole, inner.op("MatMul", "h", inner.const(inner.weights(H, H)))), out="h_next")
    item = "h_next" if joins < 0 else inner.op("Unsqueeze", "h_next", inner.const(np.array([1])))
    inner.op("SequenceInsert", "ys", item, out="ys_next")
    inner.op("Identity", "go_in", out="go")
    tensor, listed = helper.make_tensor_value_info, helper.make_tensor_sequence_value_info
    body = helper.make_graph(
        inner.nodes,
        "body",
        [
            tensor("t", TensorProto.INT64, []),
            tensor("go_in", TensorProto.BOOL, []),
            listed("ys", TensorProto.FLOAT, None),
            tensor("h", TensorProto.FLOAT, [1, H]),
        ],
        [
            tensor("go", TensorProto.BOOL, []),
            listed("ys_next", TensorProto.FLOAT, None),
            tensor("h_next", TensorProto.FLOAT, [1, H]),
        ],
        [numpy_helper.from_array(v, k) for k, v in inner.constants.items()],
    )
    b = Builder()
    rounds = b.const(np.array(T))
    if take != "slice":
        cut = {"keepdims": 0} if take == "list" else {}
        b.op("SplitToSequence", "x", *([b.const(np.array(1))] if cut else []), out="items", axis=0, **cut)
        rounds = b.op("SequenceLength", "items")
    first = [b.const(np.array(True)), b.op("SequenceEmpty"), b.const(np.zeros((1, H)))]
    b.nodes.append(helper.make_node("Loop", [rounds, *first], ["all", "last"], name="the loop", body=body))
    how: dict[str, Any] = {"axis": 0, "new_axis": 1} if joins < 0 else {"axis": joins}
    b.op("Relu", b.op("ConcatFromSequence", "all", **how), out="y")
    graph = b.graph({"x": [T, 1, X]}, ["y", "last"])
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR).SerializeToString()
    )


@pytest.mark.parametrize(("take", "joins"), [*((take, -1) for take in TAKES), ("slice", 1)])
def test_a_scripted_loop(take: str, joins: int) -> None:
    error, net = import_error(scripted(take, joins))
    assert error < LIMIT
    assert "rnn" in kinds(net)
    assert {o.name: o.kind for o in net.outputs} == {"y": "stream", "last": "last"}


def test_names_in_a_body_may_be_those_outside() -> None:
    """A projection of the whole sequence that moves into the body keeps its weights, whatever names the body has."""
    inner = Builder(prefix="same_")
    inner.op("Tanh", inner.op("Add", "x_t", inner.op("MatMul", "h", inner.const(inner.weights(H, H)))), out="h_next")
    inner.op("Gemm", "h_next", inner.const(inner.weights(H, H)), out="y_t")
    body = inner.graph({"h": [1, H], "x_t": [1, H]}, ["h_next", "y_t"])
    b = Builder(seed=1)
    projected = b.op("MatMul", "x", b.const(b.weights(X, H)))
    start = b.const(np.zeros((1, H)))
    b.nodes.append(helper.make_node("Scan", [start, projected], ["last", "y"], body=body, num_scan_inputs=1))
    error, net = import_error(b.model({"x": ["time", 1, X]}, ["y"]))
    assert error < LIMIT
    assert "rnn" in kinds(net)
