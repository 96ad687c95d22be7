"""Which element of which tensor each element of a tensor is: one analysis for views, states, cells, tables and caches."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnc.frontend.read.fold import complete_shapes
from rnnc.frontend.rewrite.editor import Editor
from rnnc.frontend.rewrite.elements import Origins, sources
from rnnc.frontend.rewrite.rules import canonical
from rnnc.tracing import Graph, Node, Tensor

SHAPE = (2, 3)


def _graph(*nodes: Node, **constants: list[int]) -> Graph:
    arrays: dict[str, np.ndarray[Any, Any]] = {name: np.asarray(c, np.int64) for name, c in constants.items()}
    inputs = tuple(Tensor(name, SHAPE, "float32") for name in "xy")
    shapes = {t.name: t.shape for t in inputs} | {name: array.shape for name, array in arrays.items()}
    last = nodes[-1].outputs[0]
    return complete_shapes(Graph("g", nodes, inputs, (Tensor(last, (), "float32"),), arrays, shapes, 18))


TURN = Node("", "Transpose", "", ("x",), ("turned",), {"perm": [1, 0]})
JOIN = Node("", "Concat", "", ("turned", "back"), ("joined",), {"axis": 1})
CUT = Node("", "Split", "", ("x", "sizes"), ("first", "second"), {"axis": 1})
HALVES = {"sizes": [1, 2]}


def test_elements_are_followed_through_views_and_joins_of_several_tensors() -> None:
    back = Node("", "Transpose", "", ("y",), ("back",), {"perm": [1, 0]})
    origins = Origins(Editor(_graph(TURN, back, JOIN)))
    x, y = origins.own("x"), origins.own("y")
    assert x is not None and y is not None and not np.intersect1d(x, y).size
    np.testing.assert_array_equal(origins.of("joined"), np.concatenate([x.T, y.T], 1))


def test_what_is_computed_is_a_source_of_its_own() -> None:
    origins = Origins(Editor(_graph(Node("", "Tanh", "", ("x",), ("t",)))))
    x, t = origins.of("x"), origins.of("t")
    assert x is not None and t is not None and not np.intersect1d(x, t).size


def test_a_stop_is_a_source_whatever_it_is_made_of() -> None:
    editor = Editor(_graph(TURN, Node("", "Transpose", "", ("turned",), ("again",), {"perm": [1, 0]})))
    stopped, whole = Origins(editor, ("turned",)), Origins(editor)
    turned = stopped.own("turned")
    assert turned is not None
    np.testing.assert_array_equal(np.transpose(turned), stopped.of("again"))
    np.testing.assert_array_equal(whole.of("again"), whole.own("x"))
    assert list(sources(editor, "again")) == ["again", "turned", "x"]


def test_parts_joined_in_order_are_the_whole_and_in_another_order_are_not() -> None:
    for names, op_types in ((("first", "second"), ["Tanh"]), (("second", "first"), ["Split", "Concat", "Tanh"])):
        join = Node("join", "Concat", "", names, ("joined",), {"axis": 1})
        graph = canonical(_graph(CUT, join, Node("", "Tanh", "", ("joined",), ("t",)), **HALVES))
        assert [n.op_type for n in graph.nodes] == op_types
        assert ("view that moves nothing" in {r.rule for r in graph.rewritings}) == (len(op_types) == 1)
