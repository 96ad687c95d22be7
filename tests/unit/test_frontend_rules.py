"""Rewriting rules: each equation holds in numbers, has a name of its own, and is told where it fired."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from rnnc.frontend.recurrence.first_steps import _values
from rnnc.frontend.rewrite.editor import Editor
from rnnc.frontend.rewrite.equations import ARITHMETIC, TRUTHS
from rnnc.frontend.rewrite.layers import ABSORBED
from rnnc.frontend.rewrite.patterns import Rule
from rnnc.frontend.rewrite.rules import JUMPING, RULES, apply
from rnnc.tracing import Graph, Node, Tensor

SHAPE = (2, 3)
RNG = np.random.default_rng(0)
X, Y = RNG.uniform(0.5, 2, SHAPE).astype(np.float32), RNG.uniform(-2, 2, SHAPE).astype(np.float32)
ROW = np.asarray([1.5, -0.5, 2.0], np.float32)
TRUTH: list[tuple[str, tuple[object, ...], dict[str, object]]] = [("Greater", ("y", 0.0), {}), ("Less", ("x", 1.0), {})]
CASES: dict[str, list[tuple[str, tuple[object, ...], dict[str, object]]]] = {
    "x + 0 = x": [("Add", (0.0, "x"), {})],
    "x - 0 = x": [("Sub", ("x", 0.0), {})],
    "x * 1 = x": [("Mul", ("x", 1.0), {})],
    "x / 1 = x": [("Div", ("x", 1.0), {})],
    "-(-x) = x": [("Neg", ("x",), {}), ("Neg", ("0",), {})],
    "-(-1 x) = x": [("Mul", (-1.0, "x"), {}), ("Neg", ("0",), {})],
    "x^1 = x": [("Pow", ("x", 1.0), {})],
    "x^2 = x x": [("Pow", ("x", 2.0), {})],
    "x^(1/2) = sqrt x": [("Pow", ("x", 0.5), {})],
    "x^(-1) = 1 / x": [("Pow", ("x", -1.0), {})],
    "c / x = c (1 / x)": [("Div", (ROW, "x"), {})],
    "1 / sqrt x = x^(-1/2)": [("Sqrt", ("x",), {}), ("Reciprocal", ("0",), {})],
    "1 / (1 + exp x) = sigmoid(-x)": [("Exp", ("y",), {}), ("Add", ("0", 1.0), {}), ("Reciprocal", ("1",), {})],
    "true ? a : b = a": [("Where", (np.asarray(True), "x", "y"), {})],
    "false ? a : b = b": [("Where", (np.asarray(False), "x", "y"), {})],
    "x > 14 ? x : softplus x = softplus x": [
        ("Greater", ("y", 20.0), {}),
        ("Softplus", ("y",), {}),
        ("Where", ("0", "y", "1"), {}),
    ],
    "w < 1/2 ? a + w (b - a) : b - (b - a) (1 - w) = a + w (b - a)": [
        ("Less", ("x", 0.5), {}),
        ("Sub", ("y", "x"), {}),
        ("Mul", ("1", "x"), {}),
        ("Add", ("2", "x"), {}),
        ("Sub", (1.0, "x"), {}),
        ("Mul", ("4", "1"), {}),
        ("Sub", ("y", "5"), {}),
        ("Where", ("0", "3", "6"), {}),
    ],
    "argmin x = argmax(-x)": [("ArgMin", ("y",), {"axis": 1, "keepdims": 0})],
    "log-sum x = log(sum x)": [("ReduceLogSum", ("x",), {})],
    "log-sum x = log(sum x), along axes": [("ReduceLogSum", ("x", np.asarray([1])), {"keepdims": 0})],
    "Greater(x, y) = Greater(x - y, 0)": [("Greater", ("x", "y"), {})],
    "LessOrEqual(x, y) = LessOrEqual(x - y, 0)": [("LessOrEqual", ("x", "y"), {})],
    "sign x = (x > 0) - (x < 0)": [("Sign", ("y",), {})],
    "thresholded x = x (x > alpha)": [("ThresholdedRelu", ("y",), {"alpha": 0.25})],
    "shrunk x = (x - bias) (x > lambd) + (x + bias) (x < -lambd)": [("Shrink", ("y",), {"lambd": 0.75, "bias": 0.5})],
    "x mod c = x - c (floor relu(x / c) - floor relu(-x / c))": [("Mod", ("y", ROW), {"fmod": 1})],
    "max(x, v) = relu(x - v) + v": [("Max", ("y", ROW), {})],
    "min(x, v) = v - relu(v - x)": [("Min", (ROW, "y"), {})],
    "constant p ? a : b = p a + (1 - p) b": [("Where", (np.asarray([True, False, True]), "x", "y"), {})],
    "constant p ? 0 : b = (1 - p) b": [("Where", (np.asarray([True, False, True]), 0.0, "y"), {})],
    "constant p ? a : 0 = p a": [("Where", (np.asarray([True, False, True]), "x", 0.0), {})],
    **{f"{k}(x, y) = {k}(x - y, 0)": [(k, ("x", "y"), {})] for k in ("Equal", "GreaterOrEqual", "Less")},
    "a and b = min(a, b)": [*TRUTH, ("And", ("0", "1"), {})],
    "a or b = max(a, b)": [*TRUTH, ("Or", ("0", "1"), {})],
    "a xor b = |a - b|": [*TRUTH, ("Xor", ("0", "1"), {})],
    "p ? 0 : b = (1 - p) b": [*TRUTH, ("Where", ("0", 0.0, "y"), {})],
    "p ? a : 0 = p a": [*TRUTH, ("Where", ("0", "x", 0.0), {})],
    "p ? a : b = p a + (1 - p) b": [*TRUTH, ("Where", ("0", "x", "y"), {})],
}
"""For each equation, nodes that they rewrite: the inputs x and y, constants, and earlier nodes by their number."""


def _graph(nodes: list[tuple[str, tuple[object, ...], dict[str, object]]]) -> Graph:
    constants: dict[str, np.ndarray] = {}
    made = []
    for i, (op_type, inputs, attributes) in enumerate(nodes):
        names = []
        for k, x in enumerate(inputs):
            names.append(x if isinstance(x, str) else f"c{i}.{k}")
            if not isinstance(x, str):
                constants[names[-1]] = x if isinstance(x, np.ndarray) else np.asarray(x, np.float32)
        made.append(Node(f"n{i}", op_type, "", tuple(names), (str(i),), attributes))
    values = _values(made, {"x": X, "y": Y, **constants}, 18)
    shapes = {name: array.shape for name, array in values.items()}
    ports = tuple(Tensor(name, SHAPE, "float32") for name in "xy")
    last = str(len(nodes) - 1)
    return Graph("g", tuple(made), ports, (Tensor(last, shapes[last], "float32"),), constants, shapes, 18)


@pytest.mark.parametrize("name", CASES)
def test_both_sides_of_an_equation_are_the_same_number(name: str) -> None:
    graph = _graph(CASES[name])
    last = graph.outputs[0].name
    rule = next(r for r in (*ARITHMETIC, *TRUTHS) if r.name == name)
    after = apply(graph, (rule,))
    assert [r.rule for r in after.rewritings] == [name] and after.rewritings[0].node == f"n{len(graph.nodes) - 1}"
    want, got = (_values(g.nodes, {"x": X, "y": Y, **g.constants}, 18)[last] for g in (graph, after))
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


ORDERS = [
    (r, constant_first)
    for r in ABSORBED
    for constant_first in (False, True)
    if r.at[0] in ("Add", "Mul") or constant_first == r.name.startswith("c - ")
]


@pytest.mark.parametrize(("rule", "first"), ORDERS, ids=lambda x: getattr(x, "name", x))
def test_a_constant_behind_dense_becomes_part_of_its_weights(rule: Rule, first: bool) -> None:
    weights, bias = RNG.normal(size=(3, 3)), RNG.normal(size=3)
    op_type = rule.at[0]
    operands = (ROW, "0") if first else ("0", ROW)
    graph = _graph([("Dense", ("x", weights, bias), {}), (op_type, operands, {})])
    after = apply(graph, (rule,))
    assert [n.op_type for n in after.nodes] == ["Dense"] and after.nodes[0].name == "n0"
    want, got = (_values(g.nodes, {"x": X, **g.constants}, 18)["1"] for g in (graph, after))
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_an_equation_holds_only_where_the_shape_stays() -> None:
    graph = _graph([("Add", ("x", np.zeros((4, 2, 3), np.float32)), {})])
    assert [n.op_type for n in apply(graph, ARITHMETIC).nodes] == ["Add"]


def test_a_variable_is_one_tensor() -> None:
    graph = _graph([("Greater", ("x", 20.0), {}), ("Softplus", ("y",), {}), ("Where", ("0", "x", "1"), {})])
    assert "Where" in [n.op_type for n in apply(graph, ARITHMETIC).nodes]


def test_every_equation_is_tried() -> None:
    assert {r.name for r in (*ARITHMETIC, *TRUTHS)} == set(CASES)


def test_every_rule_has_a_name_of_its_own() -> None:
    assert {name for name, n in Counter(r.name for r in (*RULES, *JUMPING)).items() if n > 1} == set()


def test_a_choice_by_what_is_not_finite_is_made_where_nothing_has_a_pole() -> None:
    """``torch.nan_to_num`` of inputs that are normalised; a quotient of two of them may be none."""
    nodes: list[tuple[str, tuple[object, ...], dict[str, object]]]
    nodes = [("IsNaN", ("0",), {}), ("Where", ("1", 0.0, "0"), {}), ("IsInf", ("2",), {})]
    nodes += [("Greater", ("2", 0.0), {}), ("And", ("3", "4"), {}), ("Where", ("5", 9.0, "2"), {})]
    for divisor, left in ((ROW, ["Div"]), ("y", ["Div", "IsNaN", "Where", "IsInf", "Greater", "And", "Where"])):
        graph = apply(_graph([("Div", ("x", divisor), {}), *nodes]), [r for r in RULES if "IsNaN" in r.name])
        assert [n.op_type for n in graph.nodes if n.op_type != "Identity"] == left


def test_what_nothing_reads_any_more_goes_at_once() -> None:
    editor = Editor(_graph(CASES["1 / sqrt x = x^(-1/2)"]))
    rule = next(r for r in ARITHMETIC if r.name.startswith("1 / sqrt"))
    assert rule.rewrite(editor, editor.nodes[-1]) and [n.op_type for n in editor.nodes] == ["Pow"]
