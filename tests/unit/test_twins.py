"""Nodes that compute the same become one in a pass over the graph; what they compute stays."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from rnnc.frontend.read.fold import evaluate
from rnnc.frontend.read.load import load
from rnnc.frontend.rewrite.editor import from_outside
from rnnc.frontend.rewrite.twins import without_twins
from rnnc.options import Options
from rnnc.tracing import Graph
from tests.support.graphs import Builder


def graph(b: Builder, *outputs: str) -> Graph:
    return load(b.model({"x": [1, 4]}, list(outputs)), Options())


def copies(b: Builder, scales: tuple[float, ...] = (1, 1, 1, 1)) -> list[str]:
    """Several times tanh(w x), each with weights of its own."""
    array = b.weights(4)
    return [b.op("Tanh", b.op("Mul", "x", b.const(np.float32(s) * array))) for s in scales]


def test_nodes_with_equal_constants_are_one() -> None:
    b = Builder()
    one, two, three, four = copies(b)
    b.op("Add", b.op("Add", one, two), b.op("Add", three, four), out="y")
    given = graph(b, "y")
    shared = without_twins(given)
    assert [n.op_type for n in shared.nodes] == ["Mul", "Tanh", "Add", "Add"] and len(shared.constants) == 1
    x = {"x": np.linspace(-1, 1, 4, dtype=np.float32)[None]}
    got, want = (evaluate(g.nodes, {**g.constants, **x}, g.opset)["y"] for g in (shared, given))
    np.testing.assert_array_equal(got, want)


def test_constants_that_differ_in_the_last_bit_are_two() -> None:
    b = Builder()
    one, two = copies(b, (1e-9, 2e-9))
    b.op("Add", one, two, out="y")
    assert [n.op_type for n in without_twins(graph(b, "y")).nodes].count("Tanh") == 2


def test_outputs_keep_their_names_and_random_numbers_are_each_their_own() -> None:
    b = Builder()
    b.op("Tanh", "x", out="y")
    b.op("Tanh", "x", out="z")
    one, two = (b.op("RandomNormalLike", "x") for _ in range(2))
    b.op("Sub", one, two, out="noise")
    kinds = [n.op_type for n in without_twins(graph(b, "y", "z", "noise")).nodes]
    assert (kinds.count("Tanh"), kinds.count("RandomNormalLike")) == (2, 2)


def test_what_a_branch_reads_from_outside_stays() -> None:
    b = Builder()
    one, two = copies(b, (1, 1))
    inner = helper.make_node("Identity", [two], ["inner"])
    branch = helper.make_graph([inner], "branch", [], [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)])
    condition = b.op("Cast", b.op("ReduceMax", one, keepdims=0), to=TensorProto.BOOL)
    b.op("If", condition, then_branch=branch, else_branch=branch, out="y")
    shared = without_twins(graph(b, "y"))
    read = from_outside(next(n for n in shared.nodes if n.op_type == "If").attributes["then_branch"])
    assert read and {o for n in shared.nodes for o in n.outputs}.issuperset(read)
