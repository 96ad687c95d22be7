"""Equal constants and equal nodes become one in a pass over the model; what they compute stays."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, helper

from rnnc.frontend.read.running import run
from rnnc.frontend.read.sharing import share
from tests.support.graphs import Builder


def model(b: Builder, outputs: list[str]) -> ModelProto:
    proto = ModelProto()
    proto.ParseFromString(b.model({"x": [1, 4]}, outputs))
    return proto


def copies(b: Builder) -> list[str]:
    """Four times tanh(w x), each with weights of its own that are equal."""
    array = b.weights(4)
    return [b.op("Tanh", b.op("Mul", "x", b.const(array.copy()))) for _ in range(4)]


def test_equal_constants_and_nodes_are_one() -> None:
    b = Builder()
    one, two, three, four = copies(b)
    b.op("Add", b.op("Add", one, two), b.op("Add", three, four), out="y")
    given = model(b, ["y"])
    x = {"x": np.linspace(-1, 1, 4, dtype=np.float32)[None]}
    want = run(given, x, ["y"])["y"]
    shared = share(given)
    assert [n.op_type for n in shared.graph.node] == ["Mul", "Tanh", "Add", "Add"] and len(
        shared.graph.initializer
    ) == 1
    np.testing.assert_array_equal(run(shared, x, ["y"])["y"], want)


def test_outputs_keep_their_names_and_random_numbers_are_each_their_own() -> None:
    b = Builder()
    b.op("Tanh", "x", out="y")
    b.op("Tanh", "x", out="z")
    one, two = (b.op("RandomNormalLike", "x") for _ in range(2))
    b.op("Sub", one, two, out="noise")
    shared = share(model(b, ["y", "z", "noise"]))
    assert [n.op_type for n in shared.graph.node].count("Tanh") == 2
    assert [n.op_type for n in shared.graph.node].count("RandomNormalLike") == 2


def test_what_a_branch_reads_from_outside_follows() -> None:
    b = Builder()
    one, two, _, _ = copies(b)
    inner = helper.make_node("Identity", [two], ["inner"])
    branch = helper.make_graph([inner], "branch", [], [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)])
    b.op(
        "If",
        b.op("Cast", b.op("ReduceMax", one, keepdims=0), to=TensorProto.BOOL),
        then_branch=branch,
        else_branch=branch,
        out="y",
    )
    shared = share(model(b, ["y"]))
    read = next(n for n in shared.graph.node if n.op_type == "If").attribute[0].g.node[0].input[0]
    assert read == next(n for n in shared.graph.node if n.op_type == "Tanh").output[0]
