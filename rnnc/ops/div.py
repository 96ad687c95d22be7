"""Divide two values element by element, without a division: ``y = 2^(log2 |a| - log2 |b| + c)``, relative error below 2^-13.

By a constant it becomes Scale or Affine; a constant over a value is a Power. Division by 0 gives the largest number, 0 / 0
gives 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from rnnc.fixed import Format, Ints
from rnnc.functions import log2
from rnnc.interval import Interval
from rnnc.language import Quantity
from rnnc.net import Array, Quantizer
from rnnc.ops.affine import apply_affine
from rnnc.ops.element import ByElement, quotient
from rnnc.ops.elementwise import (
    Binary,
    Loops,
    Shape,
    aligned,
    aligned_constant,
    broadcast_scale,
    check_loops,
    operands,
    product_interval,
    reach_of,
    shrink,
    table_shape,
)
from rnnc.ops.extended import is_extended
from rnnc.qnet import Arg, Bound, Constant, Field, KernelCall
from rnnc.tracing import Node, Tracer, handles


@dataclass(frozen=True, eq=False)
class Div(Binary):
    """``y = a / b``."""

    kind: ClassVar[str] = "div"

    @property
    def by_element(self) -> bool:
        return True

    @property
    def extends(self) -> bool:
        return True

    @property
    def reads_extended(self) -> bool:
        return True

    def of(self, a: Array, b: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(a / b)

    def interval(self, a: Interval, b: Interval) -> Interval:
        with np.errstate(divide="ignore"):
            inverse = product_interval(a, Interval(1 / b.hi, 1 / b.lo))
        pole = (b.lo <= 0) & (b.hi >= 0)
        return Interval(np.where(pole, -np.inf, inverse.lo), np.where(pole, np.inf, inverse.hi))

    def quantize(self, q: Quantizer) -> QDiv:
        return QDiv(self, self.inputs, (q.extended() or q.output(),), (q.input(0), q.input(1)))

    def describe(self) -> str:
        return f"a / b of {list(self.shape)}"


@dataclass(frozen=True, eq=False)
class QDiv(ByElement):
    """The sign aside, a power of two of a difference of logarithms."""

    op: Div
    sources: tuple[Format, Format]

    @property
    def fine(self) -> bool:
        """Whether an operand or the result is extended."""
        return any(is_extended(f) for f in (*self.sources, *self.formats))

    @cached_property
    def constant(self) -> Ints:
        """c for each element: from the quotient of LSBs to the output's LSB, 16 fraction bits."""
        op = self.op
        a, b = op.scales(self.sources)
        lsb = broadcast_scale(self.formats[0], op.shape, op.shape)
        return np.asarray(np.round(65536 * np.log2(a / b / lsb)), np.int64)

    @property
    def operands(self) -> Sequence[Shape]:
        return self.op.shapes

    @property
    def joins(self) -> bool:
        return self.fine

    def text(self, *x: Quantity) -> Quantity:
        a, b = (q - f.zero_point for q, f in zip(x, self.sources, strict=True))
        return quotient(a, b, self.constant, self.formats[0].hi, fine=self.fine)

    def bounds(self) -> list[Bound]:
        a, b = (int(log2(np.asarray(reach_of(f) + abs(f.zero_point)))) for f in self.sources)
        return [Bound(self.name, "exponent", max(a + int(self.constant.max()), b - int(self.constant.min())), 31)]

    def calls(self) -> list[KernelCall]:
        op, (a, b) = self.op, self.sources
        small = table_shape(op.shape, self.constant)
        loops = Loops.over(op.shape, *op.shapes, small)
        assert loops is not None
        table = Constant(
            f"{self.name}_s", "int32_t", shrink(self.constant, small), "to LSBs of the output, 16 fraction bits"
        )
        fields: tuple[Field, ...] = (
            *loops.fields("a", "b", "scale"),
            ("constants", table),
            ("a_bits", a.bits),
            ("b_bits", b.bits),
            *((("y_bits", self.formats[0].bits),) if self.fine else ()),
            ("a_zero", a.zero_point),
            ("b_zero", b.zero_point),
            ("hi", self.formats[0].hi),
        )
        args = (Arg("input", "0"), Arg("input", "1"), Arg("output", "0"))
        if self.fine:
            function, tables = "rnnc_extended_div", ("fine_exp2", "log2")
            return [KernelCall(function, "extended_functions.h", f"{function}_params", fields, args, tables=tables)]
        return [KernelCall("rnnc_div", "div.h", "rnnc_div_params", fields, args, tables=("exp2", "log2"))]


@handles("Div")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX Div."""
    result, (a, b) = operands(node, trace)
    if b.const is not None:
        if not np.all(b.const):
            trace.refuse(node, "divides by the constant 0")
        apply_affine(node, trace, a, result, 1 / aligned_constant(result, b), np.zeros((1,) * len(aligned(result, a))))
        return
    shapes = check_loops(node, trace, result, a, b)
    op = trace.add(node, Div, [a.value, b.value], shapes=shapes, shape=result.frame)
    trace.result(node, 0, replace(result, value=op.outputs[0]))
