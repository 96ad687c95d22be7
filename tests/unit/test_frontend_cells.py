"""Cells written as primitive operators become LSTM, GRU and RNN, however they are written."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest

from tests.support.graphs import Builder
from tests.support.imports import import_error, kinds

X, H = 5, 4
LIMIT = 1e-5


def affine(b: Builder, x: str, h: str, rows: int, how: str, columns: int = X, hidden: int = H) -> str:
    """``W x + R h + bias``, ``[1, rows]``, in one of several forms."""
    w, r, bias = b.weights(columns, rows), b.weights(hidden, rows), b.weights(rows)
    if how == "joined":
        joined = b.op("Concat", x, h, axis=1)
        return b.op("Gemm", joined, b.const(np.concatenate([w, r])), b.const(bias))
    if how == "two gemms":
        left = b.op("Gemm", x, b.const(w.T), b.const(bias), transB=1)
        return b.op("Add", b.op("Gemm", h, b.const(r.T), b.const(b.weights(rows)), transB=1), left)
    if how == "gemm of gemm":
        return b.op("Gemm", x, b.const(w), b.op("Gemm", h, b.const(r), b.const(bias)))
    products = b.op("Add", b.op("MatMul", x, b.const(w)), b.op("MatMul", h, b.const(r)))
    return b.op("Add", b.const(bias), products)


FORMS = ("joined", "two gemms", "gemm of gemm", "matmul")


def cut(b: Builder, name: str, parts: int, how: str, size: int = H) -> list[str]:
    """A vector ``[1, parts * size]`` in pieces."""
    if how == "split":
        return b.ops("Split", parts, name, axis=1, num_outputs=parts)
    return [
        b.op("Slice", name, b.const(np.array([k * size])), b.const(np.array([(k + 1) * size])), b.const(np.array([1])))
        for k in range(parts)
    ]


def lstm(b: Builder, x: str, h: str, c: str, order: str = "ifgo", how: str = "matmul", cutting: str = "split") -> None:
    gates = dict(zip(order, cut(b, affine(b, x, h, 4 * H, how), 4, cutting), strict=True))
    i, f, o = (b.op("Sigmoid", gates[g]) for g in "ifo")
    kept = b.op("Mul", c, f)
    b.op("Add", b.op("Mul", i, b.op("Tanh", gates["g"])), kept, out="c_out")
    b.op("Mul", b.op("Tanh", "c_out"), o, out="h_out")


def check(
    b: Builder, expected: list[str], inputs: dict[str, list[int]] | None = None, outputs: tuple[str, ...] = ()
) -> None:
    b.op("Gemm", "h_out", b.const(b.weights(H, 3)), out="y")
    inputs = inputs or {"x": [1, X], "h": [1, H], "c": [1, H]}
    error, net = import_error(b.model(inputs, ["y", *(outputs or ("h_out", "c_out"))]))
    assert kinds(net) == expected
    assert error < LIMIT
    assert [o.name for o in net.outputs] == ["y"]


@pytest.mark.parametrize("order", ["".join(p) for p in permutations("ifgo")][::3])
@pytest.mark.parametrize("cutting", ["split", "slice"])
def test_lstm_gates_in_any_order(order: str, cutting: str) -> None:
    b = Builder()
    lstm(b, "x", "h", "c", order, "matmul", cutting)
    check(b, ["lstm", "dense"])


@pytest.mark.parametrize("how", FORMS)
def test_lstm_weights_in_any_form(how: str) -> None:
    b = Builder()
    lstm(b, "x", "h", "c", how=how)
    check(b, ["lstm", "dense"])


def test_lstm_one_matmul_a_gate() -> None:
    b = Builder()
    gates = {g: affine(b, "x", "h", H, how) for g, how in zip("ifgo", FORMS, strict=True)}
    i, f, o = (b.op("Sigmoid", gates[g]) for g in "ifo")
    b.op("Add", b.op("Mul", f, "c"), b.op("Mul", i, b.op("Tanh", gates["g"])), out="c_out")
    b.op("Mul", o, b.op("Tanh", "c_out"), out="h_out")
    check(b, ["lstm", "dense"])


def test_lstm_sigmoid_before_the_split() -> None:
    b = Builder()
    ifo, g = affine(b, "x", "h", 3 * H, "joined"), affine(b, "x", "h", H, "joined")
    i, f, o = b.ops("Split", 3, b.op("Sigmoid", ifo), axis=1, num_outputs=3)
    b.op("Add", b.op("Mul", f, "c"), b.op("Mul", i, b.op("Tanh", g)), out="c_out")
    b.op("Mul", o, b.op("Tanh", "c_out"), out="h_out")
    check(b, ["lstm", "dense"])


def test_lstm_peepholes() -> None:
    b = Builder()
    gates = dict(zip("ifgo", cut(b, affine(b, "x", "h", 4 * H, "joined"), 4, "split"), strict=True))
    i, f = (b.op("Sigmoid", b.op("Add", gates[g], b.op("Mul", b.const(b.weights(H)), "c"))) for g in "if")
    b.op("Add", b.op("Mul", f, "c"), b.op("Mul", i, b.op("Tanh", gates["g"])), out="c_out")
    o = b.op("Sigmoid", b.op("Add", b.op("Mul", "c_out", b.const(b.weights(H))), gates["o"]))
    b.op("Mul", o, b.op("Tanh", "c_out"), out="h_out")
    check(b, ["lstm", "dense"])


@pytest.mark.parametrize("kept", [True, False])
def test_lstm_coupled_gates(kept: bool) -> None:
    """c' = f c + (1 - f) g, and c' = (1 - i) c + i g."""
    b = Builder()
    a, g, o = (affine(b, "x", "h", H, "joined") for _ in range(3))
    gate, new = b.op("Sigmoid", a), b.op("Tanh", g)
    other = b.op("Sub", b.const(np.ones(1)), gate)
    old, fresh = (gate, other) if kept else (other, gate)
    b.op("Add", b.op("Mul", old, "c"), b.op("Mul", fresh, new), out="c_out")
    b.op("Mul", b.op("Sigmoid", o), b.op("Tanh", "c_out"), out="h_out")
    check(b, ["lstm", "dense"])


def test_lstm_projection() -> None:
    b = Builder()
    width = 3
    parts = cut(b, affine(b, "x", "h", 4 * H, "joined", hidden=width), 4, "split")
    i, f, o = (b.op("Sigmoid", parts[k]) for k in range(3))
    b.op("Add", b.op("Mul", f, "c"), b.op("Mul", i, b.op("Tanh", parts[3])), out="c_out")
    b.op("MatMul", b.op("Mul", o, b.op("Tanh", "c_out")), b.const(b.weights(H, width)), out="h_out")
    b.op("Gemm", "h_out", b.const(b.weights(width, 2)), out="y")
    error, net = import_error(b.model({"x": [1, X], "h": [1, width], "c": [1, H]}, ["y", "h_out", "c_out"]))
    assert kinds(net) == ["lstm", "dense"] and error < LIMIT


def hard_sigmoid_node(b: Builder, x: str) -> str:
    return b.op("HardSigmoid", x)


def hard_sigmoid_by_relu6(b: Builder, x: str) -> str:
    clipped = b.op("Clip", b.op("Add", x, b.const(np.array(3.0))), b.const(np.array(0.0)), b.const(np.array(6.0)))
    return b.op("Div", clipped, b.const(np.array(6.0)))


def hard_sigmoid_by_min_max(b: Builder, x: str) -> str:
    line = b.op("Add", b.op("Mul", x, b.const(np.array(0.2))), b.const(np.array(0.5)))
    return b.op("Max", b.op("Min", line, b.const(np.array(1.0))), b.const(np.array(0.0)))


def sigmoid_by_tanh(b: Builder, x: str) -> str:
    half = b.const(np.array(0.5))
    return b.op("Add", b.op("Mul", b.op("Tanh", b.op("Mul", x, half)), half), half)


@pytest.mark.parametrize("gate", [hard_sigmoid_node, hard_sigmoid_by_relu6, hard_sigmoid_by_min_max, sigmoid_by_tanh])
def test_gates_of_other_forms(gate: Callable[[Builder, str], str]) -> None:
    b = Builder()
    parts = cut(b, affine(b, "x", "h", 4 * H, "two gemms"), 4, "split")
    i, f, o = (gate(b, parts[k]) for k in range(3))
    b.op("Add", b.op("Mul", f, "c"), b.op("Mul", i, b.op("Tanh", parts[3])), out="c_out")
    b.op("Mul", o, b.op("Tanh", "c_out"), out="h_out")
    check(b, ["lstm", "dense"])


def gru_update(b: Builder, form: str, z: str, n: str) -> None:
    one = b.const(np.array([1.0]))
    if form == "z h + (1-z) n":
        b.op("Add", b.op("Mul", z, "h"), b.op("Mul", b.op("Sub", one, z), n), out="h_out")
    elif form == "(1-z) h + z n":
        b.op("Add", b.op("Mul", b.op("Sub", one, z), "h"), b.op("Mul", n, z), out="h_out")
    elif form == "n + z (h-n)":
        b.op("Add", n, b.op("Mul", b.op("Sub", "h", n), z), out="h_out")
    elif form == "h + z (n-h)":
        b.op("Add", b.op("Mul", z, b.op("Sub", n, "h")), "h", out="h_out")
    else:
        b.op("Sub", "h", b.op("Mul", z, b.op("Sub", "h", n)), out="h_out")


def test_gru_by_lerp() -> None:
    """torch.lerp chooses between two forms of one mixture."""
    b = Builder()
    z, r = (b.op("Sigmoid", a) for a in cut(b, affine(b, "x", "h", 2 * H, "joined"), 2, "split"))
    n = b.op("Tanh", affine(b, "x", b.op("Mul", r, "h"), H, "joined"))
    d = b.op("Sub", "h", n)
    below = b.op("Less", z, b.const(np.array(0.5)))
    low = b.op("Add", n, b.op("Mul", z, d))
    high = b.op("Sub", "h", b.op("Mul", d, b.op("Sub", b.const(np.array(1.0)), z)))
    b.op("Where", below, low, high, out="h_out")
    check(b, ["gru", "dense"], {"x": [1, X], "h": [1, H]}, ("h_out",))


UPDATES = ("z h + (1-z) n", "(1-z) h + z n", "n + z (h-n)", "h + z (n-h)", "h - z (h-n)")


@pytest.mark.parametrize("form", UPDATES)
@pytest.mark.parametrize("reset_after", [False, True])
def test_gru(form: str, reset_after: bool) -> None:
    b = Builder()
    z, r = (b.op("Sigmoid", a) for a in cut(b, affine(b, "x", "h", 2 * H, "joined"), 2, "split"))
    w, recurrence = b.op("Gemm", "x", b.const(b.weights(X, H)), b.const(b.weights(H))), b.const(b.weights(H, H))
    if reset_after:
        inner = b.op("Mul", r, b.op("Gemm", "h", recurrence, b.const(b.weights(H))))
    else:
        inner = b.op("MatMul", b.op("Mul", "h", r), recurrence)
    gru_update(b, form, z, b.op("Tanh", b.op("Add", inner, w)))
    check(b, ["gru", "dense"], {"x": [1, X], "h": [1, H]}, ("h_out",))


@pytest.mark.parametrize("form", UPDATES)
@pytest.mark.parametrize("reset", ["before", "after", "none"])
def test_a_cell_with_one_gate(form: str, reset: str) -> None:
    """The minimal gated unit, whose gate resets as well, and JANET, where nothing does."""
    b = Builder()
    f = b.op("Sigmoid", affine(b, "x", "h", H, "joined"))
    w, recurrence = b.op("Gemm", "x", b.const(b.weights(X, H)), b.const(b.weights(H))), b.const(b.weights(H, H))
    if reset == "after":
        inner = b.op("Mul", f, b.op("Gemm", "h", recurrence, b.const(b.weights(H))))
    else:
        inner = b.op("MatMul", b.op("Mul", "h", f) if reset == "before" else "h", recurrence)
    gru_update(b, form, f, b.op("Tanh", b.op("Add", inner, w)))
    check(b, ["gru", "dense"], {"x": [1, X], "h": [1, H]}, ("h_out",))


@pytest.mark.parametrize("activation", ["Tanh", "Relu"])
@pytest.mark.parametrize("how", FORMS)
def test_rnn(activation: str, how: str) -> None:
    b = Builder()
    b.op(activation, affine(b, "x", "h", H, how), out="h_out")
    check(b, ["rnn", "dense"], {"x": [1, X], "h": [1, H]}, ("h_out",))


def test_states_in_one_tensor() -> None:
    """h and c as two rows of one input, shapes of three axes."""
    b = Builder()
    h, c = b.ops("Split", 2, "state", axis=0, num_outputs=2)
    flat = b.const(np.array([1, H]))
    lstm(b, "x", b.op("Reshape", h, flat), b.op("Reshape", c, flat))
    deep = b.const(np.array([1, 1, H]))
    b.op("Concat", b.op("Reshape", "h_out", deep), b.op("Reshape", "c_out", deep), axis=0, out="state_out")
    check(b, ["lstm", "dense"], {"x": [1, X], "state": [2, 1, H]}, ("state_out",))


def test_two_cells_in_a_row() -> None:
    b = Builder()
    for k in range(2):
        x, columns = ("x", X) if k == 0 else ("h0_out", H)
        z, r = (b.op("Sigmoid", a) for a in cut(b, affine(b, x, f"h{k}", 2 * H, "two gemms", columns), 2, "split"))
        n = b.op("Tanh", affine(b, x, b.op("Mul", r, f"h{k}"), H, "joined", columns))
        kept = b.op("Mul", z, f"h{k}")
        b.op("Add", kept, b.op("Mul", b.op("Sub", b.const(np.array(1.0)), z), n), out=f"h{k}_out")
    b.op("Gemm", "h1_out", b.const(b.weights(H, 3)), out="y")
    error, net = import_error(b.model({"x": [1, X], "h0": [1, H], "h1": [1, H]}, ["y", "h0_out", "h1_out"]))
    assert kinds(net) == ["gru", "gru", "dense"] and error < LIMIT


def test_other_cells_stay_primitive() -> None:
    """A linear recurrence with an input gate (minGRU) is none of the three."""
    b = Builder()
    z = b.op("Sigmoid", b.op("Gemm", "x", b.const(b.weights(X, H)), b.const(b.weights(H))))
    n = b.op("Gemm", "x", b.const(b.weights(X, H)), b.const(b.weights(H)))
    gru_update(b, "n + z (h-n)", z, n)
    b.op("Gemm", "h_out", b.const(b.weights(H, 3)), out="y")
    error, net = import_error(b.model({"x": [1, X], "h": [1, H]}, ["y", "h_out"]))
    assert "gru" not in kinds(net) and error < LIMIT
    assert [f.state.alias for f in net.feedback] == ["h"]


def test_a_layer_that_is_not_fed_back_is_no_cell() -> None:
    """tanh(W x + V u) looks like an RNN; u is an input of its own."""
    b = Builder()
    b.op("Tanh", affine(b, "x", "u", H, "two gemms"), out="y")
    error, net = import_error(b.model({"x": [1, X], "u": [1, H]}, ["y"]))
    assert "rnn" not in kinds(net) and error < LIMIT
