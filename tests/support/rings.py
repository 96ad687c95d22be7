"""Files of one step that keep whole numbers: rings and caches written at a place that goes on, and counters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import ModelProto, TensorProto

from tests.support.graphs import Builder

N, F = 5, 3
"""Entries of a ring, and elements of each."""


def _elements(b: Builder, new: str, place: str) -> str:
    at = b.op("Expand", b.op("Reshape", place, b.const(np.array([1, 1, 1]))), b.const(np.array([1, 1, F])))
    return b.op("ScatterElements", "ring", at, new, axis=1)


def _turned(b: Builder, new: str, place: str) -> str:
    ring, entry = (b.op("Transpose", n, perm=[1, 0, 2]) for n in ("ring", new))
    at = b.op("Unsqueeze", place, b.const(np.array([-1])))
    return b.op("Transpose", b.op("ScatterND", ring, at, entry), perm=[1, 0, 2])


def _full(b: Builder, new: str, place: str) -> str:
    rows = b.op("Concat", b.const(np.array([0])), place, axis=0)
    at = b.op("Reshape", rows, b.const(np.array([1, 2])))
    return b.op("ScatterND", "ring", at, b.op("Reshape", new, b.const(np.array([1, F]))))


def _here(b: Builder, place: str) -> str:
    return b.op("Reshape", b.op("Equal", b.const(np.arange(N)), place), b.const(np.array([1, N, 1])))


def _chosen(b: Builder, new: str, place: str) -> str:
    return b.op("Where", _here(b, place), new, "ring")


def _mixed(b: Builder, new: str, place: str) -> str:
    code = b.op("OneHot", place, b.const(np.array(N)), b.const(np.array([0, 1])), axis=-1)
    code = b.op("Reshape", b.op("Cast", code, to=TensorProto.FLOAT), b.const(np.array([1, N, 1])))
    kept = b.op("Mul", "ring", b.op("Sub", b.const(1.0), code))
    return b.op("Add", kept, b.op("Mul", code, new))


WRITES: dict[str, Callable[[Builder, str, str], str]] = {
    "ScatterElements": _elements,
    "ScatterND": _turned,
    "ScatterND by full indices": _full,
    "Where": _chosen,
    "OneHot": _mixed,
}
Read = Callable[[Builder, str, str], str]


def _all(b: Builder, ring: str, place: str) -> str:
    return b.op("Flatten", ring, axis=1)


def _ordered(b: Builder, ring: str, place: str) -> str:
    """All entries, the oldest first."""
    at = b.op("Add", b.op("Add", place, b.const(np.array(1))), b.const(np.arange(N)))
    return b.op("Flatten", b.op("Gather", ring, b.op("Mod", at, b.const(np.array(N))), axis=1), axis=1)


def _before(b: Builder, ring: str, place: str) -> str:
    """The entry before the one just written; of the first, that at the end."""
    return b.op("Flatten", b.op("Gather", ring, b.op("Sub", place, b.const(np.array(1))), axis=1), axis=1)


def _listed(b: Builder, ring: str, place: str) -> str:
    """The entry just written, by GatherND."""
    turned = b.op("Transpose", ring, perm=[1, 0, 2])
    return b.op("Flatten", b.op("GatherND", turned, b.op("Unsqueeze", place, b.const(np.array([-1])))), axis=1)


READS: dict[str, tuple[Read, int]] = {
    "all": (_all, N * F),
    "in order": (_ordered, N * F),
    "the one before": (_before, F),
    "GatherND": (_listed, F),
}


def ring(write: str, read: str = "all", *, endless: bool = False) -> bytes:
    """x ``[1, F]``, ring ``[1, N, F]`` and a place to y ``[1, 2]``; ``endless``: the place is a counter, modulo N."""
    b = Builder(3)
    place = b.op("Mod", "pos", b.const(np.array(N))) if endless else "pos"
    written = WRITES[write](b, b.op("Unsqueeze", "x", b.const(np.array([1]))), place)
    b.op("Identity", written, out="ring_out")
    function, size = READS[read]
    b.op("MatMul", function(b, written, place), b.const(b.weights(size, 2)), out="y")
    on = b.op("Add", "pos", b.const(np.array(1)))
    b.op("Identity" if endless else "Mod", *([on] if endless else [on, b.const(np.array(N))]), out="pos_out")
    return _typed(b, {"x": [1, F], "ring": [1, N, F], "pos": [1]}, ["y", "ring_out", "pos_out"])


def counter() -> bytes:
    """A state that moves in every third step alone, its result shown from the tenth on, with a row of a table by the count."""
    b = Builder(4)
    table = b.op("Gather", b.const(b.weights(4, F)), b.op("Mod", "count", b.const(np.array(4))), axis=0)
    new = b.op("Tanh", b.op("Add", b.op("Add", "x", table), b.op("MatMul", "h", b.const(b.weights(F, F)))))
    due = b.op("Equal", b.op("Mod", "count", b.const(np.array(3))), b.const(np.array(0)))
    h = b.op("Where", b.op("Unsqueeze", due, b.const(np.array([1]))), new, "h", out="h_out")
    warm = b.op("GreaterOrEqual", "count", b.const(np.array(10)))
    b.op("Mul", h, b.op("Cast", b.op("Unsqueeze", warm, b.const(np.array([1]))), to=TensorProto.FLOAT), out="y")
    b.op("Add", "count", b.const(np.array(1)), out="count_out")
    return _typed(b, {"x": [1, F], "h": [1, F], "count": [1]}, ["y", "h_out", "count_out"])


def halves() -> bytes:
    """A running sum over the ring, from which the oldest is taken again; half the place scales the result."""
    b = Builder(5)
    at = b.op("Expand", b.op("Reshape", "pos", b.const(np.array([1, 1, 1]))), b.const(np.array([1, 1, F])))
    old = b.op("Squeeze", b.op("GatherElements", "ring", at, axis=1), b.const(np.array([1])))
    total = b.op("Sub", b.op("Add", "sum_state", "x"), old, out="sum_state_out")
    b.op("ScatterElements", "ring", at, b.op("Unsqueeze", "x", b.const(np.array([1]))), out="ring_out", axis=1)
    half = b.op("Cast", b.op("Div", "pos", b.const(np.array(2))), to=TensorProto.FLOAT)
    b.op("Mul", total, half, out="y")
    b.op("Mod", b.op("Add", "pos", b.const(np.array(1))), b.const(np.array(N)), out="pos_out")
    shapes = {"x": [1, F], "ring": [1, N, F], "sum_state": [1, F], "pos": [1]}
    return _typed(b, shapes, ["y", "ring_out", "sum_state_out", "pos_out"])


def _typed(b: Builder, shapes: dict[str, list[int]], outputs: list[str]) -> bytes:
    """The file, its last input and output being integers."""
    proto = ModelProto.FromString(b.model(shapes, outputs, "f" * (len(shapes) - 1) + "i"))
    proto.graph.output[-1].type.tensor_type.elem_type = TensorProto.INT64
    return bytes(proto.SerializeToString())
