"""Reshape, Flatten, Squeeze, Unsqueeze: free, because elements stay in order. Time must stay an axis of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rnnc.fixed import Floats
from rnnc.interval import Interval
from rnnc.net import Array, Op, Probe, Quantizer, States, Value, no_probe
from rnnc.ops.stack import Stack
from rnnc.qnet import KernelCall, QOp
from rnnc.tracing import Node, Traced, Tracer, handles
from rnnc.views import new_shape


@dataclass(frozen=True, eq=False)
class Reshape(Op):
    """The same elements in another shape."""

    shape: tuple[int, ...]
    kind: ClassVar[str] = "reshape"
    passes: ClassVar[bool] = True

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        y = replace(inputs[0], shape=self.shape)
        assert y.size == inputs[0].size, f"{self.name}: {inputs[0].shape} to {self.shape}"
        return [y]

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return [inputs[0]]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        return [inputs[0]]

    def less(self, offsets: Sequence[Floats]) -> tuple[Op, Floats | None]:
        return self, offsets[0]

    def accepts_int8(self, index: int) -> bool:
        return True

    def quantize(self, q: Quantizer) -> QReshape:
        return QReshape(self, self.inputs, (q.input(0),))

    def describe(self) -> str:
        return f"view as {list(self.shape)}"


@dataclass(frozen=True, eq=False)
class QReshape(QOp):
    """The same memory."""

    op: Reshape

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return [inputs[0]]

    def calls(self) -> list[KernelCall]:
        return []


@handles("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def from_node(node: Node, trace: Tracer) -> None:
    """Find time's place in the new shape: as many elements must lie before it as did."""
    x = trace.input(node, 0)
    assert x is not None
    shape = new_shape(node, x.shape, trace.constant(node, 1))
    reshape(node, trace, x, shape)


def reshape(node: Node, trace: Tracer, x: Traced, shape: tuple[int, ...]) -> None:
    """Say that output 0 of a node is x in another shape."""
    time = None if x.time is None else _find_time(x, shape)
    if x.flat is not None or (x.time is not None and time is None and _is_flat(x, shape)):
        _flatten(node, trace, x, shape)
        return
    if x.time is not None and time is None:
        together = _stacked(x, shape)
        if together is not None and x.kind == "stream":
            _stack(node, trace, x, shape, *together)
            return
        trace.refuse(
            node,
            f"{list(x.shape)} to {list(shape)} mixes time (axis {x.time}) with features",
            "A stream has one step at a time: keep time as an axis of its own.",
        )
    y = replace(x, shape=shape, time=time)
    if y.frame != x.frame:
        y = replace(y, value=trace.add(node, Reshape, [x.value], shape=y.frame).outputs[0])
    trace.result(node, 0, y)


def _is_flat(x: Traced, shape: tuple[int, ...]) -> bool:
    """Whether a shape holds all of a stream in one axis."""
    return x.kind == "stream" and max(shape, default=1) == int(np.prod(x.shape, dtype=np.int64))


def _flatten(node: Node, trace: Tracer, x: Traced, shape: tuple[int, ...]) -> None:
    """Say that output 0 of a node holds a whole stream, its steps side by side, or such a tensor as a stream again."""
    stream = x.flat or x
    if stream.shape == shape:
        trace.result(node, 0, stream)
    elif _is_flat(stream, shape):
        trace.need_window(node, "puts all steps of a sequence side by side", buffered=False)
        trace.result(node, 0, Traced(shape, "last", value=stream.value, flat=stream))
    else:
        trace.refuse(node, f"puts the steps of {list(stream.shape)} side by side, and makes {list(shape)} of them")


def _stack(node: Node, trace: Tracer, x: Traced, shape: tuple[int, ...], time: int, count: int) -> None:
    """Say that output 0 of a node is x with ``count`` frames taken together."""
    y = replace(x, shape=shape, time=time)
    size = int(np.prod(x.frame, dtype=np.int64))
    op = trace.add(node, Stack, [x.value], count=count, size=size, shape=y.frame)
    trace.result(node, 0, replace(y, value=op.outputs[0]))


def _stacked(x: Traced, shape: tuple[int, ...]) -> tuple[int, int] | None:
    """(time axis, frames together) where the new shape takes frames together that follow each other."""
    assert x.time is not None
    steps = x.shape[x.time]
    if int(np.prod(x.shape[: x.time], dtype=np.int64)) != 1:
        return None
    for axis, n in enumerate(shape):
        if int(np.prod(shape[:axis], dtype=np.int64)) == 1 and n > 1 and steps > n and steps % n == 0:
            return axis, steps // n
    return None


def _find_time(x: Traced, shape: tuple[int, ...]) -> int | None:
    """The axis of the new shape that is as long as time and has as many elements before it."""
    assert x.time is not None
    before = int(np.prod(x.shape[: x.time], dtype=np.int64))
    for axis, n in enumerate(shape):
        if n == x.shape[x.time] and int(np.prod(shape[:axis], dtype=np.int64)) == before:
            return axis
    return None
