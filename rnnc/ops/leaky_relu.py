"""LeakyRelu, PRelu and Abs: one slope below zero, another above, in the format of the input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from rnnc.fixed import Floats, Format, Ints, int32, round_half_up
from rnnc.interval import Interval
from rnnc.net import Array, Op, Probe, Quantizer, States, Value, no_probe
from rnnc.ops.elementwise import Loops, Shape, aligned_constant, operands, shrink, table_shape
from rnnc.ops.extended import QExtendedSum, with_room
from rnnc.qnet import Arg, Bound, Constant, Field, KernelCall, QOp
from rnnc.tracing import Node, Traced, Tracer, handles


@dataclass(frozen=True, eq=False)
class LeakyRelu(Op):
    """``y = below x`` for x < 0, ``above x`` else.

    Args:
        below, above: ``[*shape]``, or lengths of 1 where they are the same along an axis.
        shape: of x.
    """

    below: Floats
    above: Floats
    shape: Shape
    kind: ClassVar[str] = "leaky_relu"
    linear: ClassVar[bool] = True

    @property
    def by_element(self) -> bool:
        return True

    @property
    def extends(self) -> bool:
        """Where one of its two lines is above the other everywhere, for all elements."""
        return bool(np.all(self.below <= self.above) or np.all(self.below >= self.above))

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [Value("", self.shape)]

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x = inputs[0].reshape(*inputs[0].shape[:2], *self.shape)
        return [np.where(x < 0, self.below * x, self.above * x)]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        below, above = (np.broadcast_to(s, self.shape).ravel() for s in (self.below, self.above))
        with np.errstate(invalid="ignore"):
            ends = [np.nan_to_num(np.where(x < 0, below, above) * x) for x in (inputs[0].lo, inputs[0].hi)]
        through_zero = np.where((inputs[0].lo < 0) & (inputs[0].hi > 0), 0.0, ends[0])
        return [Interval(np.minimum(np.minimum(*ends), through_zero), np.maximum(np.maximum(*ends), through_zero))]

    def quantize(self, q: Quantizer) -> QOp:
        x = q.input(0)
        if extended := q.extended():
            gains = tuple(np.broadcast_to(s, self.shape) for s in (self.below, self.above))
            peak = q.peak(0).reshape(self.shape)
            form, none = with_room(extended, *(g * peak for g in gains)), np.zeros(self.shape)
            two = (self.shape, self.shape)
            lines = QExtendedSum(self, self.inputs, (form,), (x, x), two, self.shape, gains, none)
            return replace(lines, pick="max" if np.all(self.below <= self.above) else "min")
        steepest = max(float(np.abs(self.below).max()), float(np.abs(self.above).max()), 2.0**-8)
        lo, hi = (-127, 127) if x.bits == 8 else (-32767, 32767)
        y = Format(x.bits, x.scale * steepest, 0, lo, hi)
        return QLeakyRelu(self, self.inputs, (y,), x, steepest)

    def describe(self) -> str:
        return f"slope {self.below.ravel()[0]:g} below 0, {self.above.ravel()[0]:g} above"


@dataclass(frozen=True, eq=False)
class QLeakyRelu(QOp):
    """``y = round(x slope / 2^shift)``; the output's LSB is the input's times the steepest slope."""

    op: LeakyRelu
    x: Format
    steepest: float

    @property
    def reach(self) -> int:
        """The largest distance of an input from its zero point."""
        return (1 << (self.x.bits - 1)) + abs(self.x.zero_point)

    @property
    def shift(self) -> int:
        """Fraction bits of the slopes: 15, or 14 where the input's zero point lets it reach farther."""
        return 15 if self.reach <= 32768 else 14

    @cached_property
    def slopes(self) -> tuple[Ints, Ints]:
        """Below and above zero, within +-2^shift, ``[*shape]``."""
        unit = 2.0**self.shift / self.steepest
        below, above = (round_half_up(np.broadcast_to(s, self.op.shape) * unit) for s in (self.op.below, self.op.above))
        return below, above

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x = inputs[0].reshape(*inputs[0].shape[:2], *self.op.shape) - self.x.zero_point
        below, above = self.slopes
        y, half = self.formats[0], 1 << (self.shift - 1)
        return [np.clip(int32(x * np.where(x < 0, below, above) + half, "product") >> self.shift, y.lo, y.hi)]

    def bounds(self) -> list[Bound]:
        steepest = max(int(np.abs(s).max()) for s in self.slopes)
        return [Bound(self.name, "product", self.reach * steepest + (1 << (self.shift - 1)))]

    def calls(self) -> list[KernelCall]:
        below, above = self.slopes
        small = table_shape(self.op.shape, below, above)
        loops = Loops.over(self.op.shape, small)
        assert loops is not None
        table = np.stack([shrink(below, small), shrink(above, small)], 1).ravel()
        y = self.formats[0]
        fields: tuple[Field, ...] = (
            *loops.fields("scale"),
            ("slopes", Constant(f"{self.name}_s", "int32_t", table, "slopes below and above zero")),
            ("shift", self.shift),
            ("bits", y.bits),
            ("x_zero", self.x.zero_point),
            ("lo", y.lo),
            ("hi", y.hi),
        )
        args = (Arg("input", "0"), Arg("output", "0"))
        return [KernelCall("rnnc_leaky_relu", "leaky_relu.h", "rnnc_leaky_relu_params", fields, args)]


@handles("LeakyRelu", "Abs")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX LeakyRelu and Abs."""
    result, (x,) = operands(node, trace)
    ones = np.ones((1,) * len(result.frame_axes))
    below = -ones if node.op_type == "Abs" else ones * float(node.attributes.get("alpha", 0.01))
    _add(node, trace, result, x, below)


@handles("PRelu")
def prelu(node: Node, trace: Tracer) -> None:
    """ONNX PRelu with constant slopes."""
    trace.constant(node, 1)
    result, (x, slope) = operands(node, trace)
    if result.frame != x.frame:
        trace.refuse(node, f"its slopes {list(slope.shape)} are larger than its input {list(x.shape)}")
    _add(node, trace, result, x, aligned_constant(result, slope))


def _add(node: Node, trace: Tracer, result: Traced, x: Traced, below: Floats) -> None:
    if Loops.over(result.frame, below.shape) is None:
        trace.refuse(node, f"its slopes differ over the axes of {list(x.shape)} in a pattern that is not supported")
    op = trace.add(node, LeakyRelu, [x.value], below=below, above=np.ones_like(below), shape=result.frame)
    trace.result(node, 0, replace(result, value=op.outputs[0]))
