"""Max and Min of two values, element by element; with a constant they become Clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from rnnc.fixed import Format
from rnnc.interval import Interval
from rnnc.language import Quantity, clip
from rnnc.net import Array, Quantizer
from rnnc.ops.clip import apply_clip
from rnnc.ops.element import ByElement, combined, least, most
from rnnc.ops.elementwise import (
    Binary,
    Combination,
    Loops,
    Shape,
    aligned_constant,
    at_least,
    broadcast_scale,
    check_loops,
    operands,
    reach_of,
    shrink,
    table_shape,
)
from rnnc.ops.extended import QExtendedSum, with_room
from rnnc.qnet import Arg, Bound, Constant, Field, KernelCall, QOp
from rnnc.tracing import Node, Traced, Tracer, handles


@dataclass(frozen=True, eq=False)
class MinMax(Binary):
    """``y = max(a, b)``, or ``min(a, b)``."""

    smaller: bool = False
    kind: ClassVar[str] = "minmax"
    linear: ClassVar[bool] = True

    @property
    def by_element(self) -> bool:
        return True

    @property
    def extends(self) -> bool:
        return True

    def of(self, a: Array, b: Array) -> Array:
        return np.asarray(np.minimum(a, b) if self.smaller else np.maximum(a, b))

    def interval(self, a: Interval, b: Interval) -> Interval:
        pick = np.minimum if self.smaller else np.maximum
        return Interval(pick(a.lo, b.lo), pick(a.hi, b.hi))

    def quantize(self, q: Quantizer) -> QOp:
        sources = (q.input(0), q.input(1))
        if extended := q.extended():
            form, none = with_room(extended, q.peak(0), q.peak(1)), np.zeros(self.shape)
            gains = (np.ones(self.shape), np.ones(self.shape))
            picked = QExtendedSum(self, self.inputs, (form,), sources, self.shapes, self.shape, gains, none)
            return replace(picked, pick="min" if self.smaller else "max")
        return QMinMax(self, self.inputs, (at_least(q.output(), np.maximum(*self.scales(sources)) / 2**14),), sources)

    def describe(self) -> str:
        return f"{'min' if self.smaller else 'max'}(a, b) of {list(self.shape)}"


@dataclass(frozen=True, eq=False)
class QMinMax(ByElement):
    """Both operands in the output's LSB, then compared."""

    op: MinMax
    sources: tuple[Format, Format]

    @cached_property
    def combinations(self) -> list[Combination]:
        """For each operand its factor to the output's LSB; rounding and zero points lie in the offset."""
        op, y = self.op, self.formats[0]
        lsb = broadcast_scale(y, op.shape, op.shape)
        gains = [scale / lsb for scale in op.scales(self.sources)]
        return [
            Combination.of(g[None], y.zero_point - g * f.zero, [reach_of(f)])
            for g, f in zip(gains, self.sources, strict=True)
        ]

    @property
    def operands(self) -> Sequence[Shape]:
        return self.op.shapes

    def text(self, *x: Quantity) -> Quantity:
        lines = zip("ab", self.combinations, x, strict=True)
        a, b = (combined(line, q, what=f"sum {n}") for n, line, q in lines)
        return clip((least if self.op.smaller else most)(a, b), self.formats[0].hi, self.formats[0].lo)

    def bounds(self) -> list[Bound]:
        pairs = zip("ab", self.combinations, self.sources, strict=True)
        return [Bound(self.name, f"sum {n}", line.worst([reach_of(f)])) for n, line, f in pairs]

    def calls(self) -> list[KernelCall]:
        op, y = self.op, self.formats[0]
        lines = self.combinations
        tables = [t for line in lines for t in (line.offset, *line.factors, line.shift)]
        small = table_shape(op.shape, *tables)
        loops = Loops.over(op.shape, *op.shapes, small)
        assert loops is not None
        constants = []
        for n, line in zip("ab", lines, strict=True):
            columns = [shrink(t, small) for t in (line.offset, *line.factors, line.shift)]
            constants.append(Constant(f"{self.name}_{n}", "rnnc_line", np.stack(columns, 1), "offset, factor, shift"))
        fields: tuple[Field, ...] = (
            *loops.fields("a", "b", "scale"),
            ("lines_a", constants[0]),
            ("lines_b", constants[1]),
            ("a_bits", self.sources[0].bits),
            ("b_bits", self.sources[1].bits),
            ("y_bits", y.bits),
            ("smaller", int(op.smaller)),
            ("lo", y.lo),
            ("hi", y.hi),
        )
        args = (Arg("input", "0"), Arg("input", "1"), Arg("output", "0"))
        return [KernelCall("rnnc_minmax", "minmax.h", "rnnc_minmax_params", fields, args)]


@handles("Max", "Min")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX Max and Min of two inputs."""
    if len(node.inputs) != 2:
        trace.refuse(node, f"compares {len(node.inputs)} values", "Write it as several nodes of two inputs.")
    result, (a, b) = operands(node, trace)
    smaller = node.op_type == "Min"
    if a.const is not None or b.const is not None:
        _with_constant(node, trace, result, a, b, smaller)
        return
    shapes = check_loops(node, trace, result, a, b)
    op = trace.add(node, MinMax, [a.value, b.value], shapes=shapes, shape=result.frame, smaller=smaller)
    trace.result(node, 0, replace(result, value=op.outputs[0]))


def _with_constant(node: Node, trace: Tracer, result: Traced, a: Traced, b: Traced, smaller: bool) -> None:
    x, constant = (b, a) if a.const is not None else (a, b)
    limit = aligned_constant(result, constant)
    if result.frame != x.frame or np.any(limit != limit.ravel()[0]):
        trace.refuse(
            node, "compares with a constant that differs by element", "Only one number for all elements is supported."
        )
    value = float(limit.ravel()[0])
    apply_clip(node, trace, x, *((-np.inf, value) if smaller else (value, np.inf)))
