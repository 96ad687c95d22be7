"""ArgMax along one axis: the index of the largest element, the lowest of equal ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rnnc.fixed import Format
from rnnc.interval import Interval
from rnnc.net import Accept, Array, Op, Probe, Quantizer, States, Value, no_probe
from rnnc.ops.along import Along, along, without_axes
from rnnc.ops.elementwise import operands
from rnnc.qnet import Arg, KernelCall, QOp
from rnnc.tracing import Node, Tracer, handles


@dataclass(frozen=True, eq=False)
class ArgMax(Op):
    """``y = argmax(x)``.

    Args:
        axis: along which.
        shape: of the output.
    """

    axis: Along
    shape: tuple[int, ...]
    kind: ClassVar[str] = "argmax"
    jumps: ClassVar[bool] = True

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [Value("", self.shape, dtype="index", rows=self.axis.count)]

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return [np.argmax(self.axis.rows(inputs[0]), -1)]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        return [Interval.of(0, self.axis.count - 1, self.axis.groups)]

    def accepts(self, index: int) -> Accept:
        return "order"

    def quantize(self, q: Quantizer) -> QArgMax:
        return QArgMax(self, self.inputs, (Format.rows(self.axis.count),), q.input(0))

    def describe(self) -> str:
        return f"argmax of {self.axis.groups} x {self.axis.count}"


@dataclass(frozen=True, eq=False)
class QArgMax(QOp):
    """A comparison of integers."""

    op: ArgMax
    x: Format

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return [np.argmax(self.op.axis.rows(inputs[0]), -1)]

    def calls(self) -> list[KernelCall]:
        args = (Arg("input", "0"), Arg("output", "0"))
        fields = (*self.op.axis.fields(), ("x_bits", self.x.bits))
        return [KernelCall("rnnc_argmax", "argmax.h", "rnnc_argmax_params", fields, args)]


@handles("ArgMax")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX ArgMax."""
    if node.attributes.get("select_last_index", 0):
        trace.refuse(node, "select_last_index=1 takes the last of equal elements; the first is supported")
    _, (x,) = operands(node, trace)
    number = int(node.attributes.get("axis", 0)) % len(x.shape)
    axis = along(node, trace, x, [number])
    if axis.count > 65535:
        trace.refuse(node, f"compares {axis.count} elements; 65535 are supported")
    traced = without_axes(x, [number], bool(node.attributes.get("keepdims", 1)))
    op = trace.add(node, ArgMax, [x.value], axis=axis, shape=traced.frame)
    trace.result(node, 0, replace(traced, value=op.outputs[0]))
