"""PutAt and PickAt: entries of an axis are set, or read, at places that the network computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rnnc.interval import Interval
from rnnc.net import Accept, Array, Op, Probe, Quantizer, States, Value, no_probe
from rnnc.ops.round import Round
from rnnc.qnet import Arg, KernelCall, QOp
from rnnc.tracing import Node, Traced, Tracer, handles


@dataclass(frozen=True, eq=False)
class AtPlace(Op):
    """An op at computed places of an axis.

    Args:
        outer, count, inner: x is ``[outer, count, inner]``.
        places: how many entries are set or read.
        shape: of the output.
    """

    outer: int
    count: int
    inner: int
    places: int
    shape: tuple[int, ...]
    kernel: ClassVar[str]

    @property
    def extends(self) -> bool:
        return True

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [Value("", self.shape)]

    def accepts(self, index: int) -> Accept:
        return "any" if index == len(self.inputs) - 1 else "common"

    def quantize(self, q: Quantizer) -> QAtPlace:
        return QAtPlace(self, self.inputs, (q.input(0),))


@dataclass(frozen=True, eq=False)
class QAtPlace(QOp):
    """The same integers; what is read and what is set have one format."""

    op: AtPlace

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        return self.op.step(inputs, state, tick)

    def calls(self) -> list[KernelCall]:
        op = self.op
        sizes = ("outer", op.outer), ("count", op.count), ("inner", op.inner), ("places", op.places)
        args = (*(Arg("input", str(i)) for i in range(len(op.inputs))), Arg("output", "0"))
        return [KernelCall(op.kernel, "place.h", "rnnc_place_params", (*sizes, ("bits", self.formats[0].bits)), args)]


@dataclass(frozen=True, eq=False)
class PutAt(AtPlace):
    """``y = x``, but ``y[:, place, :] = new``, of one place.

    Inputs: x, new ``[outer, inner]``, a place below ``count``.
    """

    kind: ClassVar[str] = "putat"
    kernel: ClassVar[str] = "rnnc_put_at"

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x, new, place = inputs
        lead = x.shape[:2]
        here = np.arange(self.count)[:, None] == place.reshape(*lead, 1, 1, 1)
        entry = new.reshape(*lead, self.outer, 1, self.inner)
        return [np.where(here, entry, x.reshape(*lead, self.outer, self.count, self.inner)).reshape(*lead, -1)]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        x, new = inputs[:2]
        dims, entry = (self.outer, self.count, self.inner), (self.outer, 1, self.inner)
        lo = np.minimum(x.lo.reshape(dims), new.lo.reshape(entry))
        return [Interval(lo.ravel(), np.maximum(x.hi.reshape(dims), new.hi.reshape(entry)).ravel())]

    def describe(self) -> str:
        return f"one of {self.count} entries set"


@dataclass(frozen=True, eq=False)
class PickAt(AtPlace):
    """``y = x[:, places, :]``.

    Inputs: x, places below ``count``.
    """

    kind: ClassVar[str] = "pickat"
    kernel: ClassVar[str] = "rnnc_pick_at"

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x, places = inputs
        lead = x.shape[:2]
        at = places.reshape(*lead, 1, -1, 1).astype(np.int64)
        return [np.take_along_axis(x.reshape(*lead, self.outer, self.count, self.inner), at, -2).reshape(*lead, -1)]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        lo, hi = (side.reshape(self.outer, self.count, self.inner) for side in (inputs[0].lo, inputs[0].hi))
        ends = lo.min(1, keepdims=True), hi.max(1, keepdims=True)
        return [Interval(*(np.repeat(end, self.places, 1).ravel() for end in ends))]

    def describe(self) -> str:
        return f"{self.places} of {self.count} entries"


@handles("Place")
def place(node: Node, trace: Tracer) -> None:
    """Whole numbers, rounded, as places below ``rows``."""
    x = trace.input(node, 0)
    assert x is not None
    op = trace.add(node, Round, [x.value], what="Round", shape=x.frame, rows=int(node.attributes["rows"]))
    trace.result(node, 0, replace(x, value=op.outputs[0]))


@handles("PutAt")
def put_at(node: Node, trace: Tracer) -> None:
    """An entry of ``axis`` set: x, new, place."""
    x, new, at = (trace.input(node, i) for i in range(3))
    assert x is not None and new is not None and at is not None
    if x.const is not None or new.const is not None:
        trace.refuse(node, "sets an entry of a constant, or to a constant", "Add the constant after what is set.")
    dims = _dims(node, trace, x)
    op = trace.add(node, PutAt, [x.value, new.value, at.value], **dims, places=1, shape=x.frame)
    trace.result(node, 0, replace(x, value=op.outputs[0]))


@handles("PickAt")
def pick_at(node: Node, trace: Tracer) -> None:
    """The entries of ``axis`` at places, in a shape of the file's: x, places."""
    x, at = trace.input(node, 0), trace.input(node, 1)
    assert x is not None and at is not None
    result = Traced(tuple(int(n) for n in node.attributes["shape"]), x.kind)
    places = trace.value(at.value).size
    op = trace.add(node, PickAt, [x.value, at.value], **_dims(node, trace, x), places=places, shape=result.frame)
    trace.result(node, 0, replace(result, value=op.outputs[0]))


def _dims(node: Node, trace: Tracer, x: Traced) -> dict[str, int]:
    """The lengths before the axis, of it, and behind it."""
    if x.time is not None:
        trace.refuse(node, "reads or sets, at a computed place, elements of a sequence", "Export the step alone.")
    axis = int(node.attributes["axis"])
    sizes = (x.shape[:axis], x.shape[axis : axis + 1], x.shape[axis + 1 :])
    outer, count, inner = (int(np.prod(part, dtype=np.int64)) for part in sizes)
    return {"outer": outer, "count": count, "inner": inner}
