"""Products of computed tensors, elements picked and joined again, one-hot codes by comparison, states with two readers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnnc
from rnnc.errors import Refused
from rnnc.frontend.read.fold import complete_shapes, evaluate
from rnnc.frontend.rewrite.rules import canonical
from rnnc.options import Options
from rnnc.tracing import Graph, Node, Tensor
from tests.support.graphs import Builder
from tests.support.imports import import_error, kinds

T, X, K, V = 7, 5, 4, 3
LIMIT = 1e-5


def linear_attention(read: str) -> bytes:
    """One step of a state ``S' = 0.9 S + k v^T``, read by ``q S``."""
    b = Builder()
    q, k, v = (b.op("MatMul", "x", b.const(b.weights(X, n))) for n in (K, K, V))
    last, middle = b.const(np.array([2])), b.const(np.array([1]))
    if read == "einsum":
        outer = b.op("Einsum", k, v, equation="bk,bv->bkv")
    else:
        outer = b.op("Mul", b.op("Unsqueeze", k, last), b.op("Unsqueeze", v, middle))
    b.op("Add", b.op("Mul", "s", b.const(np.array(0.9))), outer, out="s_next")
    if read == "einsum":
        b.op("Einsum", q, "s_next", equation="bk,bkv->bv", out="y")
    elif read == "row":
        b.op("Squeeze", b.op("MatMul", b.op("Unsqueeze", q, middle), "s_next"), middle, out="y")
    else:
        turned = b.op("Transpose", "s_next", perm=[0, 2, 1])
        b.op("Squeeze", b.op("MatMul", turned, b.op("Unsqueeze", q, last)), last, out="y")
    return b.model({"x": [1, X], "s": [1, K, V]}, ["y", "s_next"])


@pytest.mark.parametrize("read", ["row", "column", "einsum"])
def test_a_vector_times_a_state(read: str) -> None:
    error, net = import_error(linear_attention(read))
    assert error < LIMIT
    assert [s.shape for s in net.states()] == [(K, V)]


@pytest.mark.parametrize("form", ["MatMul", "Einsum"])
def test_attention_without_a_recurrence_is_no_frame(form: str) -> None:
    b = Builder()
    if form == "MatMul":
        b.op("MatMul", "x", b.op("Transpose", "x", perm=[0, 2, 1]), out="y")
    else:
        b.op("Einsum", "x", "x", equation="btc,bsc->bts", out="y")
    content = b.model({"x": [1, T, X]}, ["y"])
    with pytest.raises(Refused, match=rf"the whole recording would be one frame(.|\n)*window={T} compiles it"):
        rnnc.load_net(content)
    assert rnnc.load_net(content, Options(window=T)).window == T
    assert kinds(rnnc.load_net(content, Options(time_axis={"x": None})))[-1] == "product"


@pytest.mark.parametrize("batch_dims", [0, 1])
def test_features_by_gather_nd(batch_dims: int) -> None:
    b = Builder()
    rows = np.array([[0], [3], [1]])
    turned = b.op("Transpose", "x", perm=[1, 2, 0] if batch_dims else [2, 0, 1])
    indices = np.repeat(rows[None], T, 0) if batch_dims else rows
    picked = b.op("GatherND", turned, b.const(indices), batch_dims=batch_dims)
    joined = b.op("Transpose", picked, perm=[0, 2, 1] if batch_dims else [2, 1, 0])
    weights = [b.const(b.weights(1, K, n)) for n in (3, K)]
    b.op("Squeeze", b.op("RNN", joined, *weights, hidden_size=K), b.const(np.array([1])), out="y")
    error, net = import_error(b.model({"x": [1, T, X]}, ["y"]))
    assert error < LIMIT
    assert "rnn" in kinds(net)


@pytest.mark.parametrize("cut", ["Slice", "Split"])
def test_steps_that_are_cut_and_joined_again(cut: str) -> None:
    b = Builder()
    axis = b.const(np.array([0]))
    if cut == "Split":
        parts = b.ops("Split", T, "x", axis=0, num_outputs=T)
    else:
        parts = [b.op("Slice", "x", b.const(np.array([t])), b.const(np.array([t + 1])), axis) for t in range(T)]
    weights = [b.const(b.weights(1, K, n)) for n in (X, K)]
    y = b.op("RNN", b.op("Concat", *parts, axis=0), *weights, hidden_size=K)
    b.op("Squeeze", y, b.const(np.array([1])), out="y")
    error, net = import_error(b.model({"x": [T, 1, X]}, ["y"]))
    assert error < LIMIT
    assert kinds(net) == ["rnn"]


def test_steps_that_are_joined_in_another_order_are_refused() -> None:
    b = Builder()
    parts = b.ops("Split", T, "x", axis=0, num_outputs=T)
    weights = [b.const(b.weights(1, K, n)) for n in (X, K)]
    b.op("RNN", b.op("Concat", *parts[1:], parts[0], axis=0), *weights, hidden_size=K, out="y")
    with pytest.raises(Refused, match="takes the first step of a sequence by itself"):
        rnnc.load_net(b.model({"x": [T, 1, X]}, ["y"]))


def test_a_one_hot_code_by_comparison() -> None:
    b = Builder()
    equal = b.op("Equal", b.op("Unsqueeze", "ids", b.const(np.array([2]))), b.const(np.arange(6)))
    code = b.op("Transpose", b.op("Cast", b.op("Cast", equal, to=7), to=1), perm=[1, 0, 2])
    weights = [b.const(b.weights(1, K, n)) for n in (6, K)]
    b.op("Squeeze", b.op("RNN", code, *weights, hidden_size=K), b.const(np.array([1])), out="y")
    error, net = import_error(b.model({"ids": [1, T]}, ["y"], types="i"))
    assert error < LIMIT
    assert kinds(net)[0] == "embedding" and net.inputs[0].rows == 6


def test_a_cell_whose_state_another_cell_reads() -> None:
    """As in a Legendre memory unit: the memory takes the old h, h takes the new memory."""
    b = Builder()
    memory = b.op("MatMul", "mem", b.const(b.weights(V, V, scale=0.2)))
    written = b.op("Add", b.op("MatMul", "x", b.const(b.weights(X, V))), b.op("MatMul", "h", b.const(b.weights(K, V))))
    b.op("Add", memory, written, out="mem_next")
    own = b.op("Add", b.op("MatMul", "x", b.const(b.weights(X, K))), b.op("MatMul", "h", b.const(b.weights(K, K))))
    b.op("Tanh", b.op("Add", own, b.op("MatMul", "mem_next", b.const(b.weights(V, K)))), out="h_next")
    b.op("MatMul", "h_next", b.const(b.weights(K, 2)), out="y")
    error, net = import_error(b.model({"x": [1, X], "h": [1, K], "mem": [1, V]}, ["y", "h_next", "mem_next"]))
    assert error < LIMIT
    assert sorted(s.alias for s in net.states()) == ["h", "mem"]


# --------------------------------------------------------------------------- along which axes

PRODUCTS = [
    ("...xk,...ky->...xy", (5, 2, 3), (3, 4), "b", "Dense"),
    ("...k,...ky->...y", (3,), (3, 4), "b", "Dense"),
    ("xk,...ky->...xy", (4, 3), (5, 3, 2), "a", "Dense"),
    ("...xk,zky->...xy", (2, 3), (1, 3, 4), "b", "Dense"),
    ("bti,oi->bto", (1, 5, 3), (4, 3), "b", "Dense"),
    ("...i,io->...o", (1, 5, 3), (3, 4), "b", "Dense"),
    ("bit,oi->bot", (1, 3, 5), (4, 3), "b", "Dense"),
    ("oi,bti->bto", (4, 3), (1, 5, 3), "a", "Dense"),
    ("bi,oi->ob", (2, 3), (4, 3), "b", "Dense"),
    ("bi,i->b", (2, 3), (3,), "b", "Mul"),
    ("bk,bkv->bv", (1, 3), (1, 3, 4), "", "Mul"),
    ("...xk,...ky->...xy", (1, 1, 2, 3), (3, 1), "", "Mul"),
    ("ii,ij->j", (3, 3), (3, 4), "b", "Einsum"),
    ("ik,kk->ik", (3, 2), (2, 2), "b", "Einsum"),
    ("btc,bsc->bts", (1, 5, 3), (1, 5, 3), "", "MatMul"),
]
"""Equation, shapes, which operand is constant, what computes it in the end."""


@pytest.mark.parametrize(("equation", "first", "second", "fixed", "by"), PRODUCTS)
def test_a_product_is_the_same_in_fewer_operators(
    equation: str, first: tuple[int, ...], second: tuple[int, ...], fixed: str, by: str
) -> None:
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(s).astype(np.float32) for name, s in (("a", first), ("b", second))}
    node = Node("n", "Einsum", "", ("a", "b"), ("y",), {"equation": equation})
    if equation.startswith(("...", "xk")) and "i" not in equation:
        node = Node("n", "MatMul", "", ("a", "b"), ("y",))
    wanted = evaluate([node], arrays, 18)["y"]
    inputs = tuple(Tensor(name, x.shape, "float32") for name, x in arrays.items() if name != fixed)
    constants = {name: x for name, x in arrays.items() if name == fixed}
    shapes = {name: x.shape for name, x in arrays.items()}
    graph = Graph("g", (node,), inputs, (Tensor("y", wanted.shape, "float32"),), constants, shapes, 18)
    rewritten = canonical(complete_shapes(graph))
    assert by in [n.op_type for n in rewritten.nodes]
    got = evaluate(rewritten.nodes, {**arrays, **rewritten.constants}, 18)["y"]
    np.testing.assert_allclose(got, wanted, atol=1e-5)


EINSUMS = [
    ("bthi,bthj,bth->bthij", (1, 4, 2, 3), (1, 4, 2, 5), (1, 4, 2)),
    ("clhn,cshn,hcls,cshp->clhp", (2, 3, 2, 4), (2, 3, 2, 4), (2, 2, 3, 3), (2, 3, 2, 5)),
    ("bclhn,bhcl,bclhp->bchpn", (1, 2, 3, 2, 4), (1, 2, 2, 3), (1, 2, 3, 2, 5)),
    ("hzc,chpn->zhpn", (2, 3, 3), (3, 2, 4, 5)),
    ("abc,cd->d", (2, 3, 4), (4, 5)),
    ("abc->ca", (2, 3, 4)),
]
"""Equations with what MatMul alone does not compute, and the shapes of their tensors."""


@pytest.mark.parametrize("case", EINSUMS, ids=[str(case[0]) for case in EINSUMS])
def test_einsum_of_any_tensors_is_products_of_two(case: tuple[Any, ...]) -> None:
    equation, *shapes = case
    rng = np.random.default_rng(0)
    arrays = {f"x{i}": rng.standard_normal(shape).astype(np.float32) for i, shape in enumerate(shapes)}
    wanted = np.einsum(equation, *arrays.values())
    node = Node("n", "Einsum", "", tuple(arrays), ("y",), {"equation": equation})
    inputs = tuple(Tensor(name, x.shape, "float32") for name, x in arrays.items())
    known = {name: x.shape for name, x in arrays.items()}
    graph = Graph("g", (node,), inputs, (Tensor("y", wanted.shape, "float32"),), {}, known, 18)
    rewritten = canonical(complete_shapes(graph))
    assert "Einsum" not in {n.op_type for n in rewritten.nodes}
    got = evaluate(rewritten.nodes, {**arrays, **rewritten.constants}, 18)["y"]
    np.testing.assert_allclose(got, wanted, atol=1e-4)
