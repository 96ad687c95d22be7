"""Files of a few kilobytes that would take all time or memory: each is refused by what it would spend, before it does."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from rnnc.compiler import load_net
from rnnc.errors import Refused, UnreadableModel
from rnnc.frontend.read import running
from rnnc.frontend.read.load import read_model
from tests.support.small import FEATURES, small

node = helper.make_node
SECONDS = 10


def tensor(name: str, value: object, dtype: type) -> TensorProto:
    return numpy_helper.from_array(np.asarray(value, dtype), name)


def in_front(*nodes: NodeProto, constants: list[TensorProto], result: str) -> bytes:
    """The small LSTM, its input plus a scalar that ``nodes`` compute."""
    model: ModelProto = ModelProto.FromString(small())
    first = model.graph.node[0]
    first.input[0] = "shifted"
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, node("Add", ["x", result], ["shifted"]), *rest])
    model.graph.initializer.extend(constants)
    return bytes(model.SerializeToString())


def loop(count: int | None, goes_on: str = "on") -> bytes:
    """A Loop over ``count`` iterations, None for no end, that adds 1 each time."""
    on_in = helper.make_tensor_value_info("on", TensorProto.BOOL, [])
    on_out = helper.make_tensor_value_info("on_out", TensorProto.BOOL, [])
    numbers = [helper.make_tensor_value_info(n, TensorProto.FLOAT, []) for n in ("v", "v_out")]
    counter = helper.make_tensor_value_info("i", TensorProto.INT64, [])
    body = helper.make_graph(
        [node("Identity", [goes_on], ["on_out"]), node("Add", ["v", "one"], ["v_out"])],
        "body",
        [counter, on_in, numbers[0]],
        [on_out, numbers[1]],
        [tensor("one", 1, np.float32)],
    )
    constants = [tensor("zero", 0, np.float32), tensor("yes", True, np.bool_)]
    constants += [tensor("count", count, np.int64)] if count is not None else []
    names = ["count" if count is not None else "", "yes", "zero"]
    return in_front(node("Loop", names, ["sum"], body=body), constants=constants, result="sum")


def ranges(limit: list[NodeProto], constants: list[TensorProto]) -> bytes:
    nodes = [
        *limit,
        node("Range", ["start", "limit", "step"], ["r"]),
        node("Cast", ["r"], ["rf"], to=TensorProto.FLOAT),
        node("ReduceSum", ["rf"], ["sum"], keepdims=0),
    ]
    ends = [tensor("start", 0, np.int64), tensor("step", 1, np.int64)]
    return in_front(*nodes, constants=[*ends, *constants], result="sum")


def range_of_a_constant() -> bytes:
    return ranges([], [tensor("limit", 1 << 33, np.int64)])


def range_of_a_computed_length() -> bytes:
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Mul", ["n", "many"], ["limit"]),
    ]
    return ranges(nodes, [tensor("zero", 0, np.int64), tensor("many", 1 << 30, np.int64)])


def expanded() -> bytes:
    nodes = [node("Expand", ["zero", "shape"], ["big"]), node("ReduceSum", ["big"], ["sum"], keepdims=0)]
    constants = [tensor("zero", 0, np.float32), tensor("shape", [1 << 14, 1 << 14, 8], np.int64)]
    return in_front(*nodes, constants=constants, result="sum")


def doubled() -> bytes:
    """A shape that is joined to itself again and again."""
    nodes = [node("Shape", ["x"], ["d0"])]
    nodes += [node("Concat", [f"d{i}", f"d{i}"], [f"d{i + 1}"], axis=0) for i in range(30)]
    nodes += [node("Cast", ["d30"], ["f"], to=TensorProto.FLOAT), node("ReduceSum", ["f"], ["sum"], keepdims=0)]
    return in_front(*nodes, constants=[], result="sum")


def multiplied(side: int) -> bytes:
    """Products of large matrices, one after the other, that a few elements are expanded to."""
    nodes = [node("Expand", ["zero", "shape"], ["p0"])]
    nodes += [node("MatMul", [f"p{i}", f"p{i}"], [f"p{i + 1}"]) for i in range(6)]
    nodes += [node("ReduceSum", ["p6"], ["sum"], keepdims=0)]
    constants = [tensor("zero", 0, np.float32), tensor("shape", [side, side], np.int64)]
    return in_front(*nodes, constants=constants, result="sum")


def wide_inputs() -> bytes:
    """Three inputs, each of which is as large as a tensor may be."""
    wide = [helper.make_tensor_value_info(f"wide{k}", TensorProto.FLOAT, [1 << 26]) for k in range(3)]
    nodes = [node("Sum", [v.name for v in wide], ["all"]), node("ReduceMax", ["all"], ["sum"], keepdims=0)]
    model = ModelProto.FromString(in_front(*nodes, constants=[], result="sum"))
    model.graph.input.extend(wide)
    return bytes(model.SerializeToString())


BOMBS: list[tuple[Callable[[], bytes], str]] = [
    (lambda: loop(10_000_000), "nodes that a loop runs through"),
    (range_of_a_constant, "elements"),
    (range_of_a_computed_length, "elements of a range"),
    (expanded, "elements are more than"),
    (doubled, "elements are more than"),
    (lambda: multiplied(4096), "multiplications for one sequence are more than"),
    (wide_inputs, "MiB for one sequence of the inputs are more than 128 MiB"),
]


@pytest.mark.parametrize(
    ("bomb", "message"), BOMBS, ids=["loop", "range", "computed range", "expand", "doubling", "products", "inputs"]
)
def test_what_would_be_spent_is_predicted(bomb: Callable[[], bytes], message: str) -> None:
    content = bomb()
    begin = time.process_time()
    with pytest.raises(UnreadableModel, match=message) as refused:
        load_net(content)
    assert refused.value.where
    assert time.process_time() - begin < SECONDS


def test_a_loop_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "MOST_SECONDS", 0.3)
    with pytest.raises(UnreadableModel, match="does its Loop end"):
        load_net(loop(None))


def test_where_time_runs_out_without_a_loop_none_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Now:
        """A thread that has run when it starts."""

        def __init__(self, target: Callable[..., None], args: tuple[Any, ...], **_: Any) -> None:
            self.start = partial(target, *args)

    monkeypatch.setattr(running, "Thread", Now)
    monkeypatch.setattr(running, "MOST_SECONDS", -1.0)
    model = ModelProto.FromString(small())
    inputs = {"x": np.zeros((5, 1, FEATURES), np.float32)}
    with pytest.raises(UnreadableModel, match="no Loop, so it is too large"):
        running.run(model, inputs, [o.name for o in model.graph.output])


def test_a_short_loop_is_computed() -> None:
    assert load_net(loop(10)).ops


def functions(depth: int, calls: int) -> ModelProto:
    """Functions, each of which calls the one before ``calls`` times."""
    model: ModelProto = ModelProto.FromString(small())
    opsets = [*model.opset_import, helper.make_opsetid("own", 1)]
    for level in range(depth):
        names = ["a", *(f"t{i}" for i in range(calls - 1)), "b"]
        kind, domain = (f"f{level - 1}", "own") if level else ("Relu", "")
        body = [node(kind, [p], [q], domain=domain) for p, q in pairwise(names)]
        model.functions.append(helper.make_function("own", f"f{level}", ["a"], ["b"], body, opsets))
    model.opset_import.append(opsets[-1])
    first = model.graph.node[0]
    first.input[0] = "called"
    model.graph.node.insert(0, node(f"f{depth - 1}", ["x"], ["called"], domain="own"))
    return model


@pytest.mark.parametrize(("depth", "calls"), [(60, 2), (7, 10)])
def test_functions_are_counted_before_they_are_inlined(depth: int, calls: int) -> None:
    with pytest.raises(UnreadableModel, match=r"nodes and .* with all that it calls"):
        read_model(functions(depth, calls).SerializeToString())


def test_functions_that_call_others_are_inlined() -> None:
    model = read_model(functions(3, 2).SerializeToString()).model
    assert sum(n.op_type == "Relu" for n in model.graph.node) == 8


def test_a_function_that_calls_itself_from_a_branch_is_refused() -> None:
    model = functions(1, 1)
    inner = helper.make_graph(
        [node("f0", ["a"], ["r"], domain="own")], "g", [], [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)]
    )
    yes = node("Constant", [], ["yes"], value=tensor("", True, np.bool_))
    model.functions[0].node.extend([yes, node("If", ["yes"], ["c"], then_branch=inner, else_branch=inner)])
    with pytest.raises(UnreadableModel, match="calls itself"):
        read_model(model.SerializeToString())


def test_branches_within_branches_are_counted() -> None:
    """Each level has twice as many graphs as the one above."""
    branch = helper.make_graph([node("Identity", ["one"], ["o"])], "g", [], [helper.make_empty_tensor_value_info("o")])
    for level in range(6):
        nodes = [node("If", ["yes"], [f"o{level}"], then_branch=branch, else_branch=branch)]
        branch = helper.make_graph(nodes, "g", [], [helper.make_empty_tensor_value_info(f"o{level}")])
    constants = [tensor("one", 1, np.float32), tensor("yes", True, np.bool_)]
    content = in_front(
        node("If", ["yes"], ["sum"], then_branch=branch, else_branch=branch), constants=constants, result="sum"
    )
    with pytest.raises(UnreadableModel, match="255 graphs inside nodes are more than 128"):
        read_model(content)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_attribute_that_is_no_number_is_refused(value: float) -> None:
    content = in_front(
        node("LeakyRelu", ["one"], ["l"], alpha=value), constants=[tensor("one", 1, np.float32)], result="l"
    )
    with pytest.raises(Refused, match="attribute 'alpha' is NaN or infinite"):
        load_net(content)
