"""ReduceSum, ReduceMean, ReduceSumSquare, ReduceL1, ReduceL2, ReduceMax, ReduceMin, GlobalAveragePool, GlobalMaxPool.

Along features in one step; along time as far as it has come (``running.py``).

Sums and squares stay in 32 bits; squares are shifted together, as far as the largest of a vector asks for. No division:
the mean's divisor lies in the multiplier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np

from rnnc.fixed import Format, Ints, int32, mul15, multiplier, shift_round, uint32
from rnnc.functions import leading_zeros, scaled_root
from rnnc.interval import Interval
from rnnc.net import Accept, Array, Op, Probe, Quantizer, States, Value, no_probe
from rnnc.ops.along import Along, along, without_axes
from rnnc.ops.elementwise import operands, reach_of
from rnnc.ops.extended import with_room
from rnnc.ops.extended_reduce import QExtendedReduce
from rnnc.ops.norm import shift_below, shifted
from rnnc.ops.power import Power
from rnnc.ops.running import What as Over
from rnnc.ops.running import so_far
from rnnc.qnet import Arg, Bound, Field, KernelCall, QOp
from rnnc.tracing import Node, Traced, Tracer, handles

MOST = 16383
SQUARES = 2**31
What = Literal["sum", "l1", "square", "l2", "max", "min"]


@dataclass(frozen=True, eq=False)
class Reduce(Op):
    """One number for each vector of an axis.

    ``factor`` times the sum of x, |x| or x^2 (sum, l1, square), the root of factor times the sum of x^2 plus epsilon (l2), or
    the largest or smallest element.

    Args:
        axis: along which.
        shape: of the output.
        factor: 1 over the count for a mean.
    """

    what: What
    axis: Along
    shape: tuple[int, ...]
    factor: float = 1.0
    epsilon: float = 0.0
    kind: ClassVar[str] = "reduce"

    @property
    def extends(self) -> bool:
        return self.what in ("sum", "l1")

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [Value("", self.shape)]

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x = self.axis.rows(inputs[0])
        if self.what in ("max", "min"):
            return [x.max(-1) if self.what == "max" else x.min(-1)]
        if self.what in ("sum", "l1"):
            return [self.factor * (np.abs(x) if self.what == "l1" else x).sum(-1)]
        squares = self.factor * (x**2).sum(-1)
        return [np.sqrt(squares + self.epsilon) if self.what == "l2" else squares]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        lo, hi = (self.axis.rows(side[None, None])[0, 0] for side in (inputs[0].lo, inputs[0].hi))
        if self.what in ("max", "min"):
            pick = np.max if self.what == "max" else np.min
            return [Interval(pick(lo, -1), pick(hi, -1))]
        if self.what == "sum":
            return [Interval(self.factor * lo.sum(-1), self.factor * hi.sum(-1))]
        size = np.maximum(np.abs(lo), np.abs(hi))
        top = self.factor * (size if self.what == "l1" else size**2).sum(-1)
        return [Interval(np.zeros_like(top), np.sqrt(top + self.epsilon) if self.what == "l2" else top)]

    def accepts(self, index: int) -> Accept:
        return "common"

    def absorb(self, reader: Op) -> Op | None:
        """The root of a sum of squares is computed from 32 bits."""
        root = isinstance(reader, Power) and reader.exponent == 0.5 and reader.sign == "positive"
        if self.what != "square" or not root:
            return None
        assert isinstance(reader, Power)
        gain, offset = reader.gain.ravel(), reader.offset.ravel()
        if np.any(gain != gain[0]) or np.any(offset != offset[0]):
            return None
        factor = self.factor * float(gain[0])
        return replace(self, outputs=reader.outputs, what="l2", factor=factor, epsilon=float(offset[0]))

    def quantize(self, q: Quantizer) -> QOp:
        x = q.input(0)
        if extended := q.extended():
            form = with_room(extended, self.factor * self.axis.rows(q.peak(0)[None, None]).sum(-1))
            return QExtendedReduce(self, self.inputs, (form,), self.axis, self.factor, x, self.what == "l1")
        if self.what in ("max", "min"):
            return QReduce(self, self.inputs, (x,), x)
        y = q.output(int32=self.what == "sum")
        unit = (
            float(x.scale[0])
            if self.what == "l2"
            else self.factor * float(x.scale[0]) ** (2 if self.what == "square" else 1)
        )
        y = replace(y, scale=np.maximum(y.scale.max(), unit / 2**10))
        return QReduce(self, self.inputs, (y,), x)

    def describe(self) -> str:
        return f"{self.what} of {self.axis.groups} x {self.axis.count}{f', times {self.factor:g}' if self.factor != 1 else ''}"


@dataclass(frozen=True, eq=False)
class QReduce(QOp):
    """A 32-bit sum and a 15-bit multiplier."""

    op: Reduce
    x: Format

    @property
    def reach(self) -> int:
        """The largest distance of an element from its zero point."""
        return reach_of(self.x) + abs(self.x.zero_point)

    @property
    def up(self) -> int:
        """How far a sum is shifted up before its multiplication; it stays below 2^30."""
        return int(np.floor(30 - np.log2(self.reach * self.op.axis.count)))

    @property
    def limit(self) -> int:
        """Elements are shifted below that before they are squared."""
        return int(np.sqrt(SQUARES / self.op.axis.count))

    @cached_property
    def multiplier(self) -> tuple[int, int]:
        """m and p, from the unit of the sum (for l2 of its root) to the output's LSB; for a sum over 2^(15 + p)."""
        scale, y = float(self.x.scale[0]), float(self.formats[0].scale[0])
        if self.op.what == "l2":
            ratio = scale * np.sqrt(self.op.factor) / y
        elif self.op.what == "square":
            ratio = scale**2 * self.op.factor / y
        else:
            ratio = scale * self.op.factor / y * 2.0 ** (15 - self.up)
        m, p = multiplier(np.array([ratio]))
        return int(m[0]), int(p[0])

    @property
    def epsilon(self) -> int:
        """In squares of the input's LSB, at most 2^31."""
        return int(min(self.op.epsilon / self.op.factor / float(self.x.scale[0]) ** 2 + 0.5, SQUARES))

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x, y = self.op.axis.rows(inputs[0]), self.formats[0]
        if self.op.what in ("max", "min"):
            return [x.max(-1) if self.op.what == "max" else x.min(-1)]
        d = x - self.x.zero_point
        m, p = self.multiplier
        if self.op.what in ("sum", "l1"):
            total = int32((np.abs(d) if self.op.what == "l1" else d).sum(-1), "sum") << self.up
            total = int32(total, "sum")
            return [np.clip(shift_round(int32(mul15(np.asarray(m), total), "sum"), p), y.lo, y.hi)]
        shift = shift_below(np.abs(d).max(-1, keepdims=True), self.limit)
        squares = uint32((shifted(d, shift) ** 2).sum(-1), "squares")
        shift = shift[..., 0]
        if self.op.what == "square":
            return [np.minimum(_scaled(squares, 2 * shift, m, p), y.hi)]
        squares = uint32(squares + (self.epsilon >> (2 * shift)), "squares")
        return [np.minimum(scaled_root(squares, shift, np.asarray(m), np.asarray(p)), y.hi)]

    def bounds(self) -> list[Bound]:
        count = self.op.axis.count
        if self.op.what in ("sum", "l1"):
            _, p = self.multiplier
            return [Bound(self.name, "sum", (self.reach * count << self.up) + (1 << p >> 1))]
        if self.op.what in ("square", "l2"):
            return [Bound(self.name, "squares", count * self.limit**2 + self.epsilon, 33)]
        return []

    def calls(self) -> list[KernelCall]:
        op, y = self.op, self.formats[0]
        args = (Arg("input", "0"), Arg("output", "0"))
        fields: tuple[Field, ...] = (*op.axis.fields(), ("x_bits", self.x.bits))
        if op.what in ("max", "min"):
            fields = (*fields, ("smallest", int(op.what == "min")))
            return [KernelCall("rnnc_reduce_max", "reduce_max.h", "rnnc_reduce_max_params", fields, args)]
        m, p = self.multiplier
        fields = (*fields, ("x_zero", self.x.zero_point), ("m", m), ("p", p))
        if op.what in ("sum", "l1"):
            fields = (
                *fields,
                ("up", self.up),
                ("sizes", int(op.what == "l1")),
                ("y_bits", y.bits),
                ("lo", y.lo),
                ("hi", y.hi),
            )
            return [KernelCall("rnnc_reduce_sum", "reduce_sum.h", "rnnc_reduce_sum_params", fields, args)]
        fields = (
            *fields,
            ("root", int(op.what == "l2")),
            ("epsilon", self.epsilon),
            ("limit", self.limit),
            ("hi", y.hi),
        )
        return [
            KernelCall(
                "rnnc_reduce_squares", "reduce_squares.h", "rnnc_reduce_squares_params", fields, args, tables=("root",)
            )
        ]


def _scaled(squares: Ints, doublings: Ints, m: int, p: int) -> Ints:
    """``squares 2^doublings m / 2^p`` rounded, from the upper 16 bits of squares: 0..2^31 - 1, saturated."""
    n = leading_zeros(squares)
    product = int32(((squares << n) >> 16) * m, "squares times multiplier")
    shift = p + n - 16 - doublings
    down, up = np.clip(shift, 0, 31), np.clip(-shift, 0, 31)
    rounded = uint32(product + ((np.int64(1) << down) >> 1), "rounding") >> down
    return np.where(shift > 31, 0, np.where(shift >= 0, rounded, np.minimum(product << up, 2**31 - 1)))


REDUCTIONS: dict[str, tuple[What, bool]] = {
    "ReduceSum": ("sum", False),
    "ReduceMean": ("sum", True),
    "ReduceSumSquare": ("square", False),
    "MeanSquare": ("square", True),
    "ReduceL1": ("l1", False),
    "ReduceL2": ("l2", False),
    "ReduceMax": ("max", False),
    "ReduceMin": ("min", False),
}
"""What each operator is, and whether it is divided by the count. MeanSquare is the canonical form of a mean of squares."""


OVER_TIME: dict[str, Over] = {"ReduceSum": "sum", "ReduceMean": "mean", "ReduceMax": "max", "ReduceMin": "min"}
GLOBAL = {"GlobalAveragePool": "ReduceMean", "GlobalMaxPool": "ReduceMax"}


@handles(*REDUCTIONS)
def from_node(node: Node, trace: Tracer) -> None:
    """The operators of ``REDUCTIONS``: along features within a step, then along time so far."""
    _, (x,) = operands(node, trace, 1)
    axes = trace.constant(node, 1)
    chosen = [int(a) % len(x.shape) for a in np.ravel(axes)] if axes is not None and axes.size else range(len(x.shape))
    trace.result(node, 0, reduced(node, trace, x, node.op_type, list(chosen), bool(node.attributes.get("keepdims", 1))))


@handles(*GLOBAL)
def global_pool(node: Node, trace: Tracer) -> None:
    """ONNX GlobalAveragePool and GlobalMaxPool: along all axes after the channels."""
    _, (x,) = operands(node, trace, 1)
    trace.result(node, 0, reduced(node, trace, x, GLOBAL[node.op_type], list(range(2, len(x.shape))), keepdims=True))


def reduced(node: Node, trace: Tracer, x: Traced, op_type: str, axes: list[int], keepdims: bool) -> Traced:
    """x reduced along axes of its tensor."""
    if x.time not in axes:
        return _features(node, trace, x, op_type, axes, keepdims)
    if op_type not in OVER_TIME:
        trace.refuse(node, f"{op_type} along time", f"Along time there are: {', '.join(OVER_TIME)}.")
    within = [a for a in axes if a != x.time]
    if any(x.shape[a] != 1 for a in within):
        x = _features(node, trace, x, op_type, within, keepdims=True)
    y = so_far(node, trace, x, OVER_TIME[op_type], keepdims=True)
    return y if keepdims else replace(without_axes(y, axes, False), value=y.value)


def _features(node: Node, trace: Tracer, x: Traced, op_type: str, axes: list[int], keepdims: bool) -> Traced:
    what, mean = REDUCTIONS[op_type]
    axis = along(node, trace, x, axes)
    if axis.count > MOST:
        trace.refuse(node, f"sums up {axis.count} elements; {MOST} are supported")
    traced = without_axes(x, axes, keepdims)
    factor = 1 / axis.count if mean else 1.0
    epsilon = float(node.attributes.get("epsilon", 0.0))
    op = trace.add(node, Reduce, [x.value], what=what, axis=axis, shape=traced.frame, factor=factor, epsilon=epsilon)
    return replace(traced, value=op.outputs[0])
