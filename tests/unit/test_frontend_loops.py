"""Loop, Scan and unrolled copies of a step are one thing: what happens in a step."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import rnnc
from rnnc.errors import Refused
from tests.support.graphs import Builder
from tests.support.imports import import_error, kinds
from tests.support.models import IR, OPSET, Array

X, H, T = 5, 4, 7
LIMIT = 1e-5


def gru_step(b: Builder, x: str, h: str, out: str) -> None:
    """A GRU of ``[1, X]`` and ``[1, H]`` in primitive operators, the same weights each time it is called."""
    rng = np.random.default_rng(9)
    w, r, bias = rng.standard_normal((X, 3 * H)) / 2, rng.standard_normal((H, 3 * H)) / 2, rng.standard_normal(3 * H)
    a = b.ops("Split", 3, b.op("Gemm", x, b.const(w), b.const(bias)), axis=1, num_outputs=3)
    u = b.ops("Split", 3, b.op("Gemm", h, b.const(r), b.const(bias[::-1].copy())), axis=1, num_outputs=3)
    z, reset = (b.op("Sigmoid", b.op("Add", a[k], u[k])) for k in range(2))
    n = b.op("Tanh", b.op("Add", a[2], b.op("Mul", reset, u[2])))
    b.op("Add", b.op("Mul", b.op("Sub", h, n), z), n, out=out)


def leaky_step(b: Builder, x: str, h: str, out: str) -> None:
    """A recurrence that is no LSTM, GRU or RNN: h' = tanh(0.9 h) + W x."""
    rng = np.random.default_rng(9)
    old = b.op("Tanh", b.op("Mul", h, b.const(np.array(0.9))))
    b.op("Add", old, b.op("MatMul", x, b.const(rng.standard_normal((X, H)) / 4)), out=out)


STEPS = {"gru": gru_step, "leaky": leaky_step}


def scan_model(cell: str, start: Array, backward: bool = False) -> bytes:
    inner = Builder(prefix="in_")
    STEPS[cell](inner, "x_t", "h", "h_next")
    inner.op("Identity", "h_next", out="y_t")
    body = inner.graph({"h": [1, H], "x_t": [1, X]}, ["h_next", "y_t"])
    b = Builder()
    b.nodes.append(
        helper.make_node(
            "Scan",
            [b.const(start), "x"],
            ["last", "all"],
            name="the scan",
            body=body,
            num_scan_inputs=1,
            scan_input_directions=[int(backward)],
        )
    )
    b.op("Gemm", "last", b.const(b.weights(H, 3)), out="final")
    b.op("Squeeze", "all", b.const(np.array([1])), out="every")
    return b.model({"x": ["time", 1, X]}, ["final", "every"])


@pytest.mark.parametrize("cell", STEPS)
@pytest.mark.parametrize("start", [np.zeros((1, H)), np.linspace(-0.5, 0.5, H)[None]])
def test_scan(cell: str, start: Array) -> None:
    error, net = import_error(scan_model(cell, start))
    assert error < LIMIT
    assert {o.name: o.kind for o in net.outputs} == {"final": "last", "every": "stream"}
    assert ("gru" in kinds(net)) == (cell == "gru")


def test_scan_backwards_is_refused() -> None:
    with pytest.raises(Refused, match=r"'the scan' \(Scan\)(.|\n)*window=T"):
        rnnc.load_net(scan_model("gru", np.zeros((1, H)), backward=True))


def loop_model(cell: str, condition: str = "count") -> bytes:
    """As Keras exports: weights carried along, a counter, a condition that counts in floats."""
    inner = Builder(prefix="in_")
    inner.op("Gather", "sequence", "t", out="x_t", axis=0)
    STEPS[cell](inner, "x_t", "h", "h_next")
    inner.op("Add", "t", inner.const(np.array(1)), out="t_next")
    if condition == "count":
        inner.op("Less", inner.op("Cast", "t_next", to=1), inner.const(np.array(float(T))), out="go")
    else:
        total = inner.op("ReduceSum", "h_next", keepdims=0)
        inner.op("Less", total, inner.const(np.array(1e6)), out="go")
    inner.op("Identity", "weights", out="weights_next")
    inner.op("Identity", "h_next", out="y_t")
    outputs = ["go", "t_next", "weights_next", "h_next", "y_t"]
    kinds_of = {"i": TensorProto.INT64, "go_in": TensorProto.BOOL, "t": TensorProto.INT64}
    shapes: dict[str, list[int]] = {"i": [], "go_in": [], "t": [], "weights": [X, H], "h": [1, H]}
    body = helper.make_graph(
        inner.nodes,
        "body",
        [helper.make_tensor_value_info(k, kinds_of.get(k, TensorProto.FLOAT), s) for k, s in shapes.items()],
        [
            helper.make_tensor_value_info(
                o, {"go": TensorProto.BOOL, "t_next": TensorProto.INT64}.get(o, TensorProto.FLOAT), None
            )
            for o in outputs
        ],
        [numpy_helper.from_array(v, k) for k, v in inner.constants.items()],
    )
    b = Builder()
    b.op("Transpose", "x", out="sequence", perm=[1, 0, 2])
    b.constants |= {"most": np.array(T), "yes": np.array(True), "zero": np.array(0)}
    first = [b.const(b.weights(X, H)), b.const(np.zeros((1, H)))]
    b.nodes.append(
        helper.make_node(
            "Loop", ["most", "yes", "zero", *first], ["t_end", "w_end", "h_end", "all"], name="the loop", body=body
        )
    )
    b.op("Transpose", "all", out="every", perm=[1, 0, 2])
    b.op("Gemm", "h_end", b.const(b.weights(H, 3)), out="final")
    graph = b.graph({"x": [1, T, X]}, ["every", "final"])
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR).SerializeToString()
    )


@pytest.mark.parametrize("cell", STEPS)
def test_loop(cell: str) -> None:
    error, net = import_error(loop_model(cell))
    assert error < LIMIT
    assert {o.name: o.kind for o in net.outputs} == {"final": "last", "every": "stream"}
    assert ("gru" in kinds(net)) == (cell == "gru")


def test_loop_that_depends_on_data_is_refused() -> None:
    with pytest.raises(Refused, match=r"'the loop' \(Loop\): how long it runs depends on the data"):
        rnnc.load_net(loop_model("gru", condition="data"))


def take(b: Builder, how: str, t: int, parts: list[str]) -> str:
    if how == "gather":
        return b.op("Gather", "x", b.const(np.array(t)), axis=1)
    one = b.const(np.array([1]))
    if how == "slice":
        cut = b.op("Slice", "x", b.const(np.array([t])), b.const(np.array([t + 1])), one)
        return b.op("Squeeze", cut, one)
    if not parts:
        parts += b.ops("Split", T, "x", axis=1, num_outputs=T)
    return b.op("Squeeze", parts[t], one)


@pytest.mark.parametrize("cell", STEPS)
@pytest.mark.parametrize("how", ["gather", "slice", "split"])
@pytest.mark.parametrize("result", ["last", "all", "head each step"])
def test_unrolled(cell: str, how: str, result: str) -> None:
    b = Builder()
    h, parts, every = b.const(np.zeros((1, H))), list[str](), list[str]()
    one = b.const(np.array([1]))
    head = b.const(b.weights(H, 3))
    for t in range(T):
        STEPS[cell](b, take(b, how, t, parts), h, f"h{t}")
        h = f"h{t}"
        y = b.op("MatMul", h, head) if result == "head each step" else h
        every.append(b.op("Unsqueeze", y, one))
    if result == "last":
        b.op("MatMul", h, head, out="y")
    else:
        b.op("Concat", *every, axis=1, out="y")
    error, net = import_error(b.model({"x": [1, T, X]}, ["y"]))
    assert error < LIMIT
    assert net.outputs[0].kind == ("last" if result == "last" else "stream")
    assert len(net.ops) < 12
    assert ("gru" in kinds(net)) == (cell == "gru")


def test_unrolled_from_a_state_that_is_not_zero() -> None:
    """W x at once for the whole sequence; R h0 is a constant."""
    b = Builder()
    wx, recurrence = b.op("MatMul", "x", b.const(b.weights(X, H))), b.const(b.weights(H, H))
    h = b.const(np.linspace(-1, 1, H)[None])
    for t in range(T):
        x = b.op("Gather", wx, b.const(np.array(t)), axis=0)
        h = b.op("Tanh", b.op("Add", x, b.op("MatMul", h, recurrence)))
    b.op("MatMul", h, b.const(b.weights(H, 3)), out="y")
    error, net = import_error(b.model({"x": [T, 1, X]}, ["y"]))
    assert error < LIMIT and net.outputs[0].kind == "last"


def test_time_distributed() -> None:
    """A head that Keras repeats for each step of a recurrent layer."""
    b = Builder()
    w, r, bias = b.weights(1, 4 * H, X), b.weights(1, 4 * H, H), b.weights(1, 8 * H)
    b.ops("LSTM", 1, "x", b.const(w), b.const(r), b.const(bias), hidden_size=H)
    y = b.op("Squeeze", b.nodes[-1].output[0], b.const(np.array([1])))
    weights, every, axes = b.const(b.weights(H, 3)), [], b.const(np.array([0]))
    for t in range(T):
        at = b.op("Slice", y, b.const(np.array([t])), b.const(np.array([t + 1])), b.const(np.array([0])))
        head = b.op("Add", b.op("MatMul", b.op("Squeeze", at, axes), weights), b.const(np.arange(3.0)))
        every.append(b.op("Unsqueeze", head, axes))
    b.op("Concat", *every, axis=0, out="y")
    error, net = import_error(b.model({"x": [T, 1, X]}, ["y"]))
    assert kinds(net) == ["lstm", "dense"] and error < LIMIT


def test_unrolled_layers_one_on_the_other() -> None:
    b = Builder()
    names = [b.op("Gather", "x", b.const(np.array(t)), axis=0) for t in range(T)]
    for layer in range(2):
        rng = np.random.default_rng(layer)
        w, r = rng.standard_normal((X if layer == 0 else H, H)) / 2, rng.standard_normal((H, H)) / 2
        h, outs = b.const(np.zeros((1, H))), []
        for x in names:
            a = b.op("Add", b.op("MatMul", x, b.const(w)), b.op("MatMul", h, b.const(r)))
            h = b.op("Tanh", a)
            outs.append(h)
        stacked = b.op("Concat", *outs, axis=0)
        names = [b.op("Slice", stacked, *(b.const(np.array([v])) for v in (t, t + 1, 0))) for t in range(T)]
    b.op("MatMul", h, b.const(b.weights(H, 3)), out="y")
    error, net = import_error(b.model({"x": [T, 1, X]}, ["y"]))
    assert kinds(net) == ["rnn", "rnn", "dense"] and error < LIMIT
