"""Add and subtract two values; with a constant they become Affine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from rnnc.fixed import Floats, Format
from rnnc.interval import Interval
from rnnc.language import Quantity, clip
from rnnc.net import Array, Op, Quantizer
from rnnc.ops.affine import apply_affine
from rnnc.ops.element import ByElement, combined
from rnnc.ops.elementwise import (
    Binary,
    Combination,
    Loops,
    Shape,
    aligned,
    aligned_constant,
    at_least,
    broadcast_scale,
    check_loops,
    operands,
    reach_of,
)
from rnnc.ops.extended import QExtendedSum, with_room
from rnnc.qnet import Arg, Bound, Field, KernelCall, QOp
from rnnc.tracing import Node, Traced, Tracer, handles


@dataclass(frozen=True, eq=False)
class Add(Binary):
    """``y = a + b``, or ``a - b``."""

    subtract: bool = False
    kind: ClassVar[str] = "add"
    linear: ClassVar[bool] = True

    @property
    def by_element(self) -> bool:
        return True

    @property
    def extends(self) -> bool:
        return True

    @property
    def signs(self) -> tuple[int, int]:
        """The factors of a and b."""
        return 1, -1 if self.subtract else 1

    def of(self, a: Array, b: Array) -> Array:
        return np.asarray(a - b if self.subtract else a + b)

    def interval(self, a: Interval, b: Interval) -> Interval:
        return Interval(a.lo - b.hi, a.hi - b.lo) if self.subtract else Interval(a.lo + b.lo, a.hi + b.hi)

    def less(self, offsets: Sequence[Floats]) -> tuple[Op, Floats | None]:
        a, b = (o.reshape(shape) for o, shape in zip(offsets, self.shapes, strict=True))
        return self, np.broadcast_to(self.of(a, b), self.shape).ravel()

    def quantize(self, q: Quantizer) -> QOp:
        sources = (q.input(0), q.input(1))
        if extended := q.extended():
            gains = tuple(np.full(self.shape, float(sign)) for sign in self.signs)
            form, none = with_room(extended, q.peak(0), q.peak(1)), np.zeros(self.shape)
            return QExtendedSum(self, self.inputs, (form,), sources, self.shapes, self.shape, gains, none)
        y = at_least(q.output(int32=True), np.maximum(*self.scales(sources)) / 2**14)
        return QAdd(self, self.inputs, (y,), sources)

    def describe(self) -> str:
        return f"a {'-' if self.subtract else '+'} b of {list(self.shape)}"


@dataclass(frozen=True, eq=False)
class QAdd(ByElement):
    """``y = clip((a factor_a + b factor_b + offset) >> shift)``: both with 15-bit factors to the output's LSB."""

    op: Add
    sources: tuple[Format, Format]

    @cached_property
    def combination(self) -> Combination:
        """The factors; rounding and zero points lie in the offset."""
        op, y = self.op, self.formats[0]
        lsb = broadcast_scale(y, op.shape, op.shape)
        gains = np.stack([sign * scale / lsb for sign, scale in zip(op.signs, op.scales(self.sources), strict=True)])
        offset = y.zero_point - sum((g * f.zero for g, f in zip(gains, self.sources, strict=True)), np.zeros(op.shape))
        return Combination.of(gains, offset, self._reach)

    @property
    def _reach(self) -> list[int]:
        return [reach_of(f) for f in self.sources]

    @property
    def operands(self) -> Sequence[Shape]:
        return self.op.shapes

    def text(self, *x: Quantity) -> Quantity:
        return clip(combined(self.combination, *x), self.formats[0].hi, self.formats[0].lo)

    def bounds(self) -> list[Bound]:
        return [Bound(self.name, "sum", self.combination.worst(self._reach))]

    def calls(self) -> list[KernelCall]:
        table, small = self.combination.table(f"{self.name}_s")
        loops = Loops.over(self.op.shape, *self.op.shapes, small)
        assert loops is not None
        y = self.formats[0]
        fields: tuple[Field, ...] = (
            *loops.fields("a", "b", "scale"),
            ("sums", table),
            ("a_bits", self.sources[0].bits),
            ("b_bits", self.sources[1].bits),
            ("y_bits", y.bits),
            ("lo", y.lo),
            ("hi", y.hi),
        )
        args = (Arg("input", "0"), Arg("input", "1"), Arg("output", "0"))
        return [KernelCall("rnnc_add", "add.h", "rnnc_add_params", fields, args)]


@handles("Add", "Sub")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX Add and Sub."""
    result, (a, b) = operands(node, trace)
    subtract = node.op_type == "Sub"
    if a.const is not None or b.const is not None:
        _with_constant(node, trace, result, a, b, subtract)
        return
    shapes = check_loops(node, trace, result, a, b)
    op = trace.add(node, Add, [a.value, b.value], shapes=shapes, shape=result.frame, subtract=subtract)
    trace.result(node, 0, replace(result, value=op.outputs[0]))


def _with_constant(node: Node, trace: Tracer, result: Traced, a: Traced, b: Traced, subtract: bool) -> None:
    x, constant = (b, a) if a.const is not None else (a, b)
    offset = aligned_constant(result, constant) * (-1 if subtract and constant is b else 1)
    gain = -1.0 if subtract and constant is a else 1.0
    apply_affine(node, trace, x, result, np.full((1,) * len(aligned(result, x)), gain), offset)
