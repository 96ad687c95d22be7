"""Affine: ``y = clip(gain x + offset)`` for each element: arithmetic with constants, Neg, HardSigmoid.

A positive gain alone costs nothing: it becomes the scale of the format (``scale.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from rnnc.fixed import Floats, Format, round_half_up
from rnnc.interval import Interval
from rnnc.language import Quantity, clip
from rnnc.net import Array, Op, Probe, Quantizer, States, Value, no_probe
from rnnc.ops.clip import Clip
from rnnc.ops.element import ByElement, combined
from rnnc.ops.elementwise import (
    Combination,
    Loops,
    Shape,
    aligned,
    at_least,
    broadcast,
    broadcast_interval,
    broadcast_scale,
    operands,
    reach_of,
    table_shape,
)
from rnnc.ops.extended import QExtendedSum, with_room
from rnnc.ops.log import Log
from rnnc.ops.power import Power
from rnnc.ops.scale import Scale
from rnnc.qnet import Arg, Bound, Field, KernelCall, QOp
from rnnc.tracing import Node, Traced, Tracer, handles


@runtime_checkable
class TakesAffine(Protocol):
    """A layer that takes in a gain and offset of each row where nothing needs the value between (``scaled``)."""

    def scaled(self, reader: Affine) -> Op | None: ...


@dataclass(frozen=True, eq=False)
class Affine(Op):
    """``y = clip(gain x + offset, lo, hi)``.

    Args:
        gain, offset: ``[*shape]``, or lengths of 1 where they are the same along an axis.
        operand: shape of x on the axes of the result, 1 where it is broadcast.
        shape: of the result.

    Inputs: x ``[*operand]``.
    """

    gain: Floats
    offset: Floats
    operand: Shape
    shape: Shape
    lo: float = -np.inf
    hi: float = np.inf
    kind: ClassVar[str] = "affine"
    linear: ClassVar[bool] = True

    @property
    def by_element(self) -> bool:
        return not any(np.isfinite(v) and v for v in (self.lo, self.hi))

    @property
    def extends(self) -> bool:
        return True

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [Value("", self.shape)]

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return [np.clip(broadcast(inputs[0], self.operand) * self.gain + self.offset, self.lo, self.hi)]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        x = broadcast_interval(inputs[0], self.operand, self.shape)
        gain, offset = (np.broadcast_to(c, self.shape).ravel() for c in (self.gain, self.offset))
        ends = np.where(gain == 0, 0.0, x.lo * gain), np.where(gain == 0, 0.0, x.hi * gain)
        low, high = np.minimum(*ends) + offset, np.maximum(*ends) + offset
        return [Interval(np.clip(low, self.lo, self.hi), np.clip(high, self.lo, self.hi))]

    def less(self, offsets: Sequence[Floats]) -> tuple[Op, Floats | None] | None:
        """A positive gain becomes a Scale, which costs nothing, and what reads it takes the offset."""
        offset = self.offset + self.gain * offsets[0].reshape(self.operand)
        if np.all(self.gain > 0) and np.isinf([self.lo, self.hi]).all() and self.operand == self.shape == offset.shape:
            gain = np.broadcast_to(self.gain, self.shape)
            return Scale(self.name, self.inputs, self.outputs, gain, node=self.node), offset.ravel()
        small = np.broadcast_shapes(self.gain.shape, table_shape(offset.shape, offset))
        if Loops.over(self.shape, self.operand, small) is None:
            return None
        return replace(self, offset=offset), None

    def absorb(self, reader: Op) -> Op | None:
        """One Affine with a gain, an offset or limits that follow; a root, power or logarithm takes in a positive one."""
        if not np.isinf([self.lo, self.hi]).all():
            return None
        if isinstance(reader, Clip):
            return replace(self, outputs=reader.outputs, lo=reader.lo, hi=reader.hi)
        if isinstance(reader, Scale):
            return replace(self, outputs=reader.outputs, gain=self.gain * reader.gain, offset=self.offset * reader.gain)
        if isinstance(reader, Affine) and reader.operand == self.shape == reader.shape:
            offset = self.offset * reader.gain + reader.offset
            return replace(
                reader, inputs=self.inputs, operand=self.operand, gain=self.gain * reader.gain, offset=offset
            )
        positive = bool(np.all(self.gain > 0) and np.all(self.offset >= 0))
        if not positive or self.operand != self.shape or not isinstance(reader, Log | Power) or not reader.bare:
            return None
        gain, offset = (np.broadcast_to(c, self.shape) for c in (self.gain, self.offset))
        return replace(reader, inputs=self.inputs, gain=gain, offset=offset)

    def quantize(self, q: Quantizer) -> QOp:
        x = q.input(0)
        if extended := q.extended():
            gain, offset = (np.broadcast_to(c, self.shape) for c in (self.gain, self.offset))
            limits = (self.lo, self.hi)
            form = with_room(extended, offset, np.broadcast_to(self.gain * q.peak(0).reshape(self.operand), self.shape))
            return QExtendedSum(self, self.inputs, (form,), (x,), (self.operand,), self.shape, (gain,), offset, limits)
        scale = broadcast_scale(x, self.operand, self.shape)
        y = at_least(q.output(int32=True), np.abs(self.gain) * scale / 2**14)
        if not y.uniform and any(np.isfinite(v) and v for v in (self.lo, self.hi)):
            y = replace(y, scale=y.scale.max())
        return QAffine(self, self.inputs, (y,), x)

    def describe(self) -> str:
        clip = f", clipped to {self.lo:g} .. {self.hi:g}" if np.isfinite([self.lo, self.hi]).any() else ""
        return f"gain x + offset of {list(self.shape)}{clip}"


@dataclass(frozen=True, eq=False)
class QAffine(ByElement):
    """``y = clip((x factor + offset) >> shift)``, a 15-bit factor and a shift for each scale."""

    op: Affine
    x: Format

    @cached_property
    def combination(self) -> Combination:
        """The factors; rounding and zero points lie in the offset."""
        op, y = self.op, self.formats[0]
        lsb = broadcast_scale(y, op.shape, op.shape)
        gain = np.broadcast_to(op.gain, op.shape) * broadcast_scale(self.x, op.operand, op.shape) / lsb
        offset = np.broadcast_to(op.offset, op.shape) / lsb - gain * self.x.zero + y.zero_point
        return Combination.of(gain[None], offset, [reach_of(self.x)])

    @cached_property
    def limits(self) -> tuple[int, int]:
        """What the output is clipped to."""
        y = self.formats[0]
        lo, hi = (np.clip(v / y.scale[0] + y.zero_point, y.lo, y.hi) for v in (self.op.lo, self.op.hi))
        return int(round_half_up(lo)), int(round_half_up(hi))

    @property
    def operands(self) -> Sequence[Shape]:
        return (self.op.operand,)

    def text(self, *x: Quantity) -> Quantity:
        lo, hi = self.limits
        return clip(combined(self.combination, *x), hi, lo)

    def bounds(self) -> list[Bound]:
        return [Bound(self.name, "sum", self.combination.worst([reach_of(self.x)]))]

    def calls(self) -> list[KernelCall]:
        table, small = self.combination.table(f"{self.name}_s")
        loops = Loops.over(self.op.shape, self.op.operand, small)
        assert loops is not None
        lo, hi = self.limits
        fields: tuple[Field, ...] = (
            *loops.fields("a", "scale"),
            ("lines", table),
            ("x_bits", self.x.bits),
            ("y_bits", self.formats[0].bits),
            ("lo", lo),
            ("hi", hi),
        )
        return [
            KernelCall("rnnc_affine", "affine.h", "rnnc_affine_params", fields, (Arg("input", "0"), Arg("output", "0")))
        ]


def apply_affine(
    node: Node,
    trace: Tracer,
    x: Traced,
    result: Traced,
    gain: Floats,
    offset: Floats,
    lo: float = -np.inf,
    hi: float = np.inf,
) -> None:
    """Add what computes ``clip(gain x + offset)`` as the node's result; gain and offset are ``aligned`` to it."""
    operand, shape = aligned(result, x), result.frame
    whole = np.broadcast_shapes(operand, gain.shape, offset.shape) == operand
    if whole and not offset.any() and np.all(gain > 0) and np.isinf([lo, hi]).all():
        if np.all(gain == 1):
            trace.result(node, 0, replace(result, value=x.value))
            return
        gain = np.broadcast_to(gain, shape)
        scaled = trace.add(node, Scale, [x.value], gain=gain)
        trace.result(node, 0, replace(result, value=scaled.outputs[0]))
        return
    if Loops.over(shape, operand, np.broadcast_shapes(gain.shape, offset.shape)) is None:
        trace.refuse(node, f"a constant is broadcast over the axes of {list(shape)} in a pattern that is not supported")
    op = trace.add(node, Affine, [x.value], gain=gain, offset=offset, operand=operand, shape=shape, lo=lo, hi=hi)
    trace.result(node, 0, replace(result, value=op.outputs[0]))


@handles("Neg")
def negative(node: Node, trace: Tracer) -> None:
    """ONNX Neg."""
    result, (x,) = operands(node, trace)
    apply_affine(node, trace, x, result, np.full(_ones(result), -1.0), np.zeros(_ones(result)))


@handles("HardSigmoid")
def hard_sigmoid(node: Node, trace: Tracer) -> None:
    """ONNX HardSigmoid: clip(alpha x + beta, 0, 1)."""
    result, (x,) = operands(node, trace)
    alpha, beta = float(node.attributes.get("alpha", 0.2)), float(node.attributes.get("beta", 0.5))
    apply_affine(node, trace, x, result, np.full(_ones(result), alpha), np.full(_ones(result), beta), 0.0, 1.0)


def _ones(result: Traced) -> Shape:
    return (1,) * len(result.frame_axes)
