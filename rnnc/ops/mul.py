"""Multiply two values element by element; with a constant it becomes Scale or Affine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from rnnc.fixed import Format, Ints, multiplier
from rnnc.interval import Interval
from rnnc.language import Quantity, clip, let
from rnnc.net import Array, Op, Quantizer
from rnnc.ops.affine import Affine, apply_affine
from rnnc.ops.element import ByElement, mul15, numbers, right
from rnnc.ops.elementwise import (
    Binary,
    Loops,
    Shape,
    aligned,
    aligned_constant,
    at_least,
    broadcast_scale,
    check_loops,
    operands,
    product_interval,
    reach_of,
    shrink,
    table_shape,
)
from rnnc.ops.extended import QExtendedProduct
from rnnc.ops.reduce import Reduce
from rnnc.qnet import Arg, Bound, Constant, Field, KernelCall, QOp
from rnnc.tracing import Node, Tracer, handles


@dataclass(frozen=True, eq=False)
class Mul(Binary):
    """``y = a b``."""

    kind: ClassVar[str] = "mul"

    @property
    def by_element(self) -> bool:
        return True

    @property
    def extends(self) -> bool:
        return True

    def of(self, a: Array, b: Array) -> Array:
        return np.asarray(a * b)

    def interval(self, a: Interval, b: Interval) -> Interval:
        square = self.inputs[0] == self.inputs[1]
        product = product_interval(a, b)
        return Interval(np.maximum(product.lo, 0), product.hi) if square else product

    def absorb(self, reader: Op) -> Op | None:
        """A sum of squares keeps the squares in 32 bits."""
        if self.inputs[0] == self.inputs[1] and isinstance(reader, Reduce) and reader.what == "sum":
            return replace(reader, inputs=self.inputs[:1], what="square")
        return None

    def quantize(self, q: Quantizer) -> QOp:
        sources = (q.input(0), q.input(1))
        if extended := q.extended():
            return QExtendedProduct(self, self.inputs, (extended,), sources, self.shapes, self.shape)
        scales = self.scales(sources)
        y = at_least(q.output(int32=True), 8 * scales[0] * scales[1])
        return QMul(self, self.inputs, (y,), sources)

    def describe(self) -> str:
        return f"a b of {list(self.shape)}"


@dataclass(frozen=True, eq=False)
class QMul(ByElement):
    """``y = clip(round(mul15(m, a b) / 2^p))``: the exact 31-bit product times a 15-bit multiplier."""

    op: Mul
    sources: tuple[Format, Format]

    @property
    def shifts(self) -> tuple[int, int]:
        """1 for an operand whose distance from its zero point can pass 2^15: its lowest bit is dropped."""
        a, b = (int(reach_of(f) + abs(f.zero_point) > 32768) for f in self.sources)
        return a, b

    @cached_property
    def scales(self) -> tuple[Ints, Ints]:
        """m and p for each element, ``y = a b m / 2^(15 + p)``."""
        op = self.op
        a, b = op.scales(self.sources)
        ratio = a * b / broadcast_scale(self.formats[0], op.shape, op.shape) * 2.0 ** sum(self.shifts)
        m, p = multiplier(ratio.ravel() * 2.0**15)
        return m.reshape(op.shape), p.reshape(op.shape)

    @property
    def operands(self) -> Sequence[Shape]:
        return self.op.shapes

    def text(self, *x: Quantity) -> Quantity:
        parts = zip(x, self.sources, self.shifts, strict=True)
        a, b = (right(q - f.zero_point, np.array([n])) for q, f, n in parts)
        m, p = self.scales
        y = mul15(numbers(a, m), let("product", "a b", a * b))
        y = let("rounding", "before the shift", y + numbers(y, (np.int64(1) << p) >> 1))
        y = right(y, p) + self.formats[0].zero_point
        return clip(y, self.formats[0].hi, self.formats[0].lo)

    def bounds(self) -> list[Bound]:
        reach = [(reach_of(f) + abs(f.zero_point)) >> s for f, s in zip(self.sources, self.shifts, strict=True)]
        _, p = self.scales
        return [Bound(self.name, "product", reach[0] * reach[1] + int((1 << p.max()) >> 1))]

    def calls(self) -> list[KernelCall]:
        op, y = self.op, self.formats[0]
        small = table_shape(op.shape, *self.scales)
        table = np.stack([shrink(t, small) for t in self.scales], 1)
        loops = Loops.over(op.shape, *op.shapes, small)
        assert loops is not None
        a, b = self.sources
        fields: tuple[Field, ...] = (
            *loops.fields("a", "b", "scale"),
            ("scales", Constant(f"{self.name}_s", "rnnc_scale1", table, "multipliers and shifts")),
            ("a_bits", a.bits),
            ("b_bits", b.bits),
            ("y_bits", y.bits),
            ("a_shift", self.shifts[0]),
            ("b_shift", self.shifts[1]),
            ("a_zero", a.zero_point),
            ("b_zero", b.zero_point),
            ("y_zero", y.zero_point),
            ("lo", y.lo),
            ("hi", y.hi),
        )
        args = (Arg("input", "0"), Arg("input", "1"), Arg("output", "0"))
        return [KernelCall("rnnc_mul", "mul.h", "rnnc_mul_params", fields, args)]


@handles("Mul")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX Mul."""
    result, (a, b) = operands(node, trace)
    if a.const is not None or b.const is not None:
        x, constant = (b, a) if a.const is not None else (a, b)
        gain = aligned_constant(result, constant)
        apply_affine(node, trace, x, result, gain, np.zeros((1,) * len(aligned(result, x))))
        return
    shapes = check_loops(node, trace, result, a, b)
    op = trace.add(node, Mul, [a.value, b.value], shapes=shapes, shape=result.frame)
    trace.result(node, 0, replace(result, value=op.outputs[0]))


@handles("HardSwish")
def hard_swish(node: Node, trace: Tracer) -> None:
    """ONNX HardSwish: x clip(x / 6 + 1/2, 0, 1)."""
    result, (x,) = operands(node, trace)
    shape = result.frame
    ones = np.ones((1,) * len(shape))
    gate = trace.add(
        node, Affine, [x.value], gain=ones / 6, offset=ones / 2, operand=shape, shape=shape, lo=0.0, hi=1.0
    )
    op = trace.add(node, Mul, [x.value, gate.outputs[0]], shapes=(shape, shape), shape=shape)
    trace.result(node, 0, replace(result, value=op.outputs[0]))
