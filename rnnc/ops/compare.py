"""Comparisons with constants: whether a number lies between two limits, as 1 or 0. What is true is a number like any other.

Limits are rounded to the format of the input, so that a number compares with a limit as their integers do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from rnnc.fixed import Floats, Format, Ints, round_half_up
from rnnc.interval import Interval
from rnnc.language import Quantity
from rnnc.net import Array, Op, Probe, Quantizer, States, Value, no_probe
from rnnc.ops.element import ByElement, left, within
from rnnc.ops.elementwise import Loops, Shape, aligned_constant, broadcast_scale, shrink, table_shape
from rnnc.ops.expand import repeated
from rnnc.qnet import Arg, Constant, Field, KernelCall
from rnnc.tracing import Node, Traced, Tracer, handles, join

TRUE = 1 << 14
FAR = 1 << 17
"""Beyond every integer of an input."""
ROWS_MAX = 32768


@dataclass(frozen=True, eq=False)
class Compare(Op):
    """``y = 1`` where ``lo <= x <= hi``, 0 else; the other way round where ``outside``.

    Args:
        lo, hi: ``[*shape]``, or lengths of 1 where they are the same along an axis; infinite for no limit.
        strict: whether the limits themselves lie outside.
        shape: of x.
    """

    lo: Floats
    hi: Floats
    shape: Shape
    strict: bool = False
    outside: bool = False
    kind: ClassVar[str] = "compare"
    jumps: ClassVar[bool] = True

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [Value("", self.shape)]

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x = inputs[0].reshape(*inputs[0].shape[:2], *self.shape)
        inside = (x > self.lo) & (x < self.hi) if self.strict else (x >= self.lo) & (x <= self.hi)
        return [np.asarray(inside != self.outside, x.dtype)]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        return [Interval.of(0.0, 1.0, int(np.prod(self.shape, dtype=np.int64)))]

    def quantize(self, q: Quantizer) -> QCompare:
        return QCompare(self, self.inputs, (Format(16, np.array([1 / TRUE]), 0, 0, TRUE),), q.input(0))

    def describe(self) -> str:
        lo, hi = float(self.lo.ravel()[0]), float(self.hi.ravel()[0])
        return f"1 {'outside' if self.outside else 'inside'} of {lo:g} .. {hi:g}"


@dataclass(frozen=True, eq=False)
class QCompare(ByElement):
    """``y = lo <= x <= hi ? 2^14 : 0`` on integers, or the other way round."""

    op: Compare
    x: Format

    @cached_property
    def limits(self) -> tuple[Ints, Ints]:
        """lo and hi in LSBs of x, both inside, ``[*shape]``."""
        op = self.op
        lsb = broadcast_scale(self.x, op.shape, op.shape)
        lo, hi = (
            round_half_up(np.clip(np.broadcast_to(v, op.shape) / lsb + self.x.zero, -FAR, FAR)) for v in (op.lo, op.hi)
        )
        return lo + op.strict, hi - op.strict

    @property
    def operands(self) -> Sequence[Shape]:
        return (self.op.shape,)

    def text(self, *x: Quantity) -> Quantity:
        inside = within(x[0], *self.limits)
        return left(1 - inside if self.op.outside else inside, TRUE.bit_length() - 1)

    def calls(self) -> list[KernelCall]:
        lo, hi = self.limits
        small = table_shape(self.op.shape, lo, hi)
        loops = Loops.over(self.op.shape, small)
        assert loops is not None
        table = np.stack([shrink(lo, small), shrink(hi, small)], 1).ravel()
        fields: tuple[Field, ...] = (
            *loops.fields("scale"),
            ("limits", Constant(f"{self.name}_l", "int32_t", table, "lo and hi")),
            ("bits", self.x.bits),
            ("outside", int(self.op.outside)),
        )
        args = (Arg("input", "0"), Arg("output", "0"))
        return [KernelCall("rnnc_compare", "compare.h", "rnnc_compare_params", fields, args)]


def apply_compare(
    node: Node, trace: Tracer, x: Traced, lo: Floats | float, hi: Floats | float, *, strict: bool, outside: bool
) -> None:
    """Add what compares x as the node's result; limits as ``Inside`` has them, or numbers."""
    shape = x.frame
    if x.kind != "static" and trace.value(x.value).rows > ROWS_MAX:
        trace.refuse(node, f"compares row numbers of a table of more than {ROWS_MAX} rows")
    limits = [np.asarray(v, np.float64).reshape(np.shape(v) or (1,) * len(shape)) for v in (lo, hi)]
    if Loops.over(shape, np.broadcast_shapes(*(v.shape for v in limits))) is None:
        trace.refuse(node, f"its limits differ over the axes of {list(x.shape)} in a pattern that is not supported")
    op = trace.add(node, Compare, [x.value], lo=limits[0], hi=limits[1], shape=shape, strict=strict, outside=outside)
    trace.result(node, 0, replace(x, value=op.outputs[0]))


@handles("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX's comparisons with a constant, on either side."""
    a, b = trace.input(node, 0), trace.input(node, 1)
    assert a is not None and b is not None
    x, constant = (b, a) if a.const is not None else (a, b)
    if constant.const is None:
        trace.refuse(node, "compares two numbers that the network computes, of shapes that are not known")
    result = join(node, trace, a, b)
    above = node.op_type.startswith("Greater") == (x is a)
    if result.frame != x.frame:
        x = repeated(node, trace, x, result.shape)
    limit = aligned_constant(result, constant)
    if node.op_type == "Equal":
        apply_compare(node, trace, replace(result, value=x.value), limit, limit, strict=False, outside=False)
        return
    infinite = np.full_like(limit, np.inf)
    lo, hi = (limit, infinite) if above else (-infinite, limit)
    strict = not node.op_type.endswith("OrEqual")
    apply_compare(node, trace, replace(result, value=x.value), lo, hi, strict=strict, outside=False)


@handles("Not")
def negation(node: Node, trace: Tracer) -> None:
    """ONNX Not."""
    x = trace.input(node, 0)
    assert x is not None
    apply_compare(node, trace, x, -np.inf, 0.5, strict=True, outside=False)
