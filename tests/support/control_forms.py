"""The forms of loops, states and what surrounds a network that docs/supported.md lists."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, helper

from rnnc.options import Options
from tests.support.graphs import Builder
from tests.support.models import IR
from tests.support.rewritings import written
from tests.support.rings import counter, ring
from tests.support.supported import Form

STEPS = 12


def control() -> list[Form]:
    """Loops and states."""
    return [
        Form("Scan", "over the steps of a sequence", lambda: _scan(1)),
        Form("Scan", "two steps apart", lambda: _scan(2)),
        Form("inputs fed by outputs", "a cell of primitive operators", lambda: _cell("Tanh")),
        Form("inputs fed by outputs", "a cell of its own", lambda: _cell("Softsign")),
        Form("inputs fed by outputs", "a minimal gated unit", lambda: written("gru_minimal")),
        Form("inputs fed by outputs", "a gate and no reset (JANET)", lambda: written("gru_ungated")),
        Form("inputs fed by outputs", "--state h=none", lambda: _cell("Tanh"), Options(states={"h": "none"})),
        Form("inputs fed by outputs", "h (1 - done) before a layer, in a file of one step", _masked),
        Form("inputs fed by outputs", "rows of a state set by ScatterND", _scattered),
        Form(
            "inputs fed by outputs", "a ring set by ScatterND at a place, (place + 1) mod N", lambda: ring("ScatterND")
        ),
        Form("inputs fed by outputs", "a ring set by Where, read in order", lambda: ring("Where", "in order")),
        Form("inputs fed by outputs", "a ring set by a one-hot code", lambda: ring("OneHot")),
        Form("inputs fed by outputs", "a counter: its remainders, limits and table", counter),
        Form("QuantizeLinear, DequantizeLinear", "a pair of one constant scale: what it clips", _rounded),
        Form("ai.onnx.ml::ZipMap", "the scores themselves", _mapped),
        Form("com.microsoft::FusedMatMul", "any operator of another domain", _foreign),
    ]


def _scan(length: int) -> bytes:
    body = Builder(prefix="b_")
    total = body.op("Add", body.op("Mul", "h", body.const(0.5)), "s")
    result = body.op("Identity", total, out="h_out")
    body.op("Identity", result, out="y_out")
    inner = body.graph({"h": (1, 3), "s": (1, 3)}, ["h_out", "y_out"])
    b = Builder()
    start = b.const(np.zeros((1, 3)))
    y = b.ops("Scan", 2, start, "x", body=inner, num_scan_inputs=1)[1]
    if length > 1:
        y = b.op("Slice", y, *(b.const(np.array([v])) for v in (0, STEPS, 0, length)))
    return b.model({"x": (STEPS, 1, 3)}, [y])


def _cell(function: str) -> bytes:
    b = Builder()
    total = b.op("Add", b.op("MatMul", "x", b.const(b.weights(3, 4))), b.op("MatMul", "h", b.const(b.weights(4, 4))))
    b.op(function, total, out="h_out")
    return b.model({"x": (1, 3), "h": (1, 4)}, ["h_out", b.op("Mul", "h_out", b.const(2.0), out="y")])


def _masked() -> bytes:
    b = Builder()
    start = b.op("Mul", "h", b.op("Sub", b.const(1.0), "done"))
    weights = [b.const(b.weights(1, 12, n)) for n in (3, 4)]
    y, last = b.ops("GRU", 2, "x", *weights, "", "", start, hidden_size=4)
    b.op("Identity", last, out="h_n")
    b.op("Identity", y, out="y")
    return b.model({"x": (1, 1, 3), "h": (1, 1, 4), "done": (1, 1, 1)}, ["y", "h_n"])


def _scattered() -> bytes:
    b = Builder()
    old = b.op("Gather", "h", b.const(np.array(0)), axis=0)
    row = b.op("Tanh", b.op("Add", "x", b.op("MatMul", old, b.const(b.weights(3, 3)))), out="y")
    b.op("ScatterND", "h", b.const(np.array([[0]])), b.op("Unsqueeze", row, b.const(np.array([0]))), out="h_out")
    return b.model({"x": (1, 3), "h": (2, 1, 3)}, ["y", "h_out"])


def _rounded() -> bytes:
    b = Builder()
    scale, zero = b.const(0.05), b.const(np.int8(3))
    x = b.op("DequantizeLinear", b.op("QuantizeLinear", "x", scale, zero), scale, zero)
    weights = [b.const(b.weights(1, 4, n)) for n in (3, 4)]
    b.op("Identity", b.ops("RNN", 2, x, *weights, hidden_size=4)[0], out="y")
    return b.model({"x": ("time", 1, 3)}, ["y"])


def _mapped() -> bytes:
    b = Builder()
    weights = [b.const(b.weights(1, 4, n)) for n in (3, 4)]
    scores = b.op("Softmax", b.op("Squeeze", b.ops("RNN", 2, "x", *weights, hidden_size=4)[1], b.const(np.array([0]))))
    proto = ModelProto.FromString(b.model({"x": ("time", 1, 3)}, [scores]))
    made = helper.make_node("ZipMap", [scores], ["y"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2, 3])
    proto.graph.node.append(made)
    kind = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    proto.graph.output[0].CopyFrom(helper.make_value_info("y", helper.make_sequence_type_proto(kind)))
    proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    return bytes(proto.SerializeToString())


def _foreign() -> bytes:
    made = helper.make_node("FusedMatMul", ["x", "x"], ["y"], name="fused", domain="com.microsoft")
    floats = TensorProto.FLOAT
    graph = helper.make_graph(
        [made],
        "g",
        [helper.make_tensor_value_info("x", floats, [3, 3])],
        [helper.make_tensor_value_info("y", floats, [3, 3])],
    )
    sets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return bytes(helper.make_model(graph, opset_imports=sets, ir_version=IR).SerializeToString())
