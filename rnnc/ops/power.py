"""Powers with a constant exponent: Pow, Sqrt, Reciprocal. Integers: ``y = 2^(p log2 x + c)``, relative error below 2^-13.

A gain and a positive offset before it (``sqrt(x + epsilon)``) are taken in: they are added with 15 more bits than x has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np

from rnnc.fixed import Floats, Format, Ints, int32, mul15, multiplier, shift_round, uint32
from rnnc.functions import fine_power_of_two_16, log2, power_of_two
from rnnc.interval import Interval
from rnnc.net import Array, Op, Probe, Quantizer, States, Value, no_probe
from rnnc.ops.elementwise import Loops, Shape, broadcast_scale, operands, reach_of, shrink, table_shape
from rnnc.ops.extended import is_extended
from rnnc.qnet import Arg, Bound, Constant, Field, KernelCall, QOp
from rnnc.tracing import Node, Tracer, handles

MOST_BITS = 15
"""Fraction bits of the argument below the LSB of x."""
Sign = Literal["positive", "even", "odd"]


@dataclass(frozen=True, eq=False)
class Argument:
    """``v = (x - zero) 2^bits + offset`` as uint32, elementwise: gain x + offset in units of gain LSB / 2^bits."""

    bits: int
    offset: Ints

    @staticmethod
    def of(x: Format, gain: Floats, offset: Floats, shape: Shape) -> Argument:
        """The argument with as many more bits as 32 hold; gain > 0 and offset >= 0, ``[*shape]``."""
        lsbs = offset / gain / broadcast_scale(x, shape, shape)
        reach = reach_of(x) + abs(x.zero_point) + float(lsbs.max(initial=0.0))
        bits = int(np.clip(np.floor(32 - np.log2(reach + 1)), 0, MOST_BITS))
        return Argument(bits, np.minimum(np.round(lsbs * 2.0**bits), 2**31).astype(np.int64))

    def __call__(self, x: Ints) -> Ints:
        """v of x less its zero point; 0 where it is negative."""
        return uint32(np.maximum((x << self.bits) + self.offset, 0), "argument")

    def worst(self, x: Format) -> int:
        """The largest v."""
        return ((reach_of(x) + abs(x.zero_point)) << self.bits) + int(self.offset.max())


@dataclass(frozen=True, eq=False)
class Power(Op):
    """``y = (gain x + offset)^exponent``.

    Args:
        exponent: any but 0.
        gain, offset: > 0 and >= 0, ``[*shape]``; the offset is 0 unless the sign is "positive".
        shape: of x.
        sign: what a negative base gives: "even" what its magnitude gives, "odd" the opposite, "positive" what 0 gives.
    """

    exponent: float
    gain: Floats
    offset: Floats
    shape: Shape
    sign: Sign
    kind: ClassVar[str] = "power"

    @property
    def by_element(self) -> bool:
        return True

    @property
    def extends(self) -> bool:
        return True

    @property
    def reads_extended(self) -> bool:
        return True

    @property
    def bare(self) -> bool:
        """Whether it can take in a positive gain and offset."""
        return self.sign == "positive" and bool(np.all(self.gain == 1)) and not self.offset.any()

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [Value("", self.shape)]

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x = inputs[0].reshape(*inputs[0].shape[:2], *self.shape)
        return [self._power(self.gain * x + self.offset)]

    def _power(self, x: Array) -> Floats:
        with np.errstate(divide="ignore"):
            if self.sign == "positive":
                return np.asarray(np.maximum(x, 0.0) ** self.exponent)
            y = np.abs(x) ** self.exponent
            return np.asarray(np.where(x < 0, -y, y) if self.sign == "odd" else y)

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        gain, offset = self.gain.ravel(), self.offset.ravel()
        lo, hi = gain * inputs[0].lo + offset, gain * inputs[0].hi + offset
        ends = np.stack([self._power(lo), self._power(hi)])
        through = (lo < 0) & (hi > 0)
        if self.exponent > 0:
            zero = np.where(through, 0.0, ends[0])
            return [Interval(np.minimum(ends.min(0), zero), np.maximum(ends.max(0), zero))]
        lowest = -np.inf if self.sign == "odd" else 0.0
        pole = (lo <= 0) & (hi >= 0)
        return [Interval(np.where(pole, lowest, ends.min(0)), np.where(pole, np.inf, ends.max(0)))]

    def quantize(self, q: Quantizer) -> QPower:
        return QPower(self, self.inputs, (q.extended() or q.output(),), q.input(0))

    def describe(self) -> str:
        return f"x to the power of {self.exponent:g}"


@dataclass(frozen=True, eq=False)
class QPower(QOp):
    """``y = 2^((p log2 v + c) / 65536)``, v the argument; 0 has the logarithm of what is far below 1."""

    op: Power
    x: Format

    @property
    def fine(self) -> bool:
        """Whether x or y is extended."""
        return is_extended(self.x) or is_extended(self.formats[0])

    @cached_property
    def argument(self) -> Argument:
        """v."""
        return Argument.of(self.x, self.op.gain, self.op.offset, self.op.shape)

    @cached_property
    def exponent(self) -> tuple[int, int]:
        """m and s of ``|p| = m / 2^s``."""
        m, s = multiplier(np.array([abs(self.op.exponent)]))
        return int(m[0]), int(s[0])

    @cached_property
    def constant(self) -> Ints:
        """c for each element: from units of v to LSBs of the output, 16 fraction bits."""
        op = self.op
        unit = np.log2(op.gain * broadcast_scale(self.x, op.shape, op.shape)) - self.argument.bits
        c = op.exponent * unit - np.log2(broadcast_scale(self.formats[0], op.shape, op.shape))
        return np.asarray(np.round(c * 65536), np.int64)

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x = inputs[0].reshape(*inputs[0].shape[:2], *self.op.shape) - self.x.zero_point
        v = self.argument(x if self.op.sign == "positive" else np.abs(x))
        m, s = self.exponent
        t = shift_round(mul15(np.asarray(m), log2(np.maximum(v, 1)) << 8), s - 7)
        y, hi = int32((t if self.op.exponent > 0 else -t) + self.constant, "exponent"), self.formats[0].hi
        y = fine_power_of_two_16(y) if self.fine else power_of_two(y)
        y = np.minimum(np.where(v == 0, 0 if self.op.exponent > 0 else hi, y), hi)
        return [np.where(x < 0, -y, y) if self.op.sign == "odd" else y]

    def bounds(self) -> list[Bound]:
        m, s = self.exponent
        largest = (m << 21 >> s) + 1 + int(np.abs(self.constant).max())
        return [
            Bound(self.name, "argument", self.argument.worst(self.x), 33),
            Bound(self.name, "exponent", largest, 31),
        ]

    def calls(self) -> list[KernelCall]:
        op = self.op
        offset, constant = np.broadcast_arrays(self.argument.offset, self.constant)
        small = table_shape(op.shape, offset, constant)
        loops = Loops.over(op.shape, small)
        assert loops is not None
        m, s = self.exponent
        table = np.stack([shrink(offset, small), shrink(constant, small)], 1)
        fields: tuple[Field, ...] = (
            *loops.fields("scale"),
            ("arguments", Constant(f"{self.name}_s", "rnnc_argument", table, "offsets and constants")),
            ("bits", self.argument.bits),
            ("x_bits", self.x.bits),
            *((("y_bits", self.formats[0].bits),) if self.fine else ()),
            ("m", m),
            ("shift", s - 7),
            ("negative", int(op.exponent < 0)),
            ("sign", {"positive": 0, "even": 1, "odd": 2}[op.sign]),
            ("x_zero", self.x.zero_point),
            ("hi", self.formats[0].hi),
        )
        args = (Arg("input", "0"), Arg("output", "0"))
        if self.fine:
            function, tables = "rnnc_extended_power", ("fine_exp2", "log2")
            return [KernelCall(function, "extended_functions.h", f"{function}_params", fields, args, tables=tables)]
        return [KernelCall("rnnc_power", "power.h", "rnnc_power_params", fields, args, tables=("exp2", "log2"))]


@handles("Pow")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX Pow with one constant exponent."""
    trace.constant(node, 1)
    result, (x, power) = operands(node, trace)
    assert power.const is not None
    exponent = float(power.const.ravel()[0])
    if np.any(power.const != exponent) or result.frame != x.frame or not 1 / 256 <= abs(exponent) <= 64:
        trace.refuse(node, "its exponent is not one number of magnitude 1/256 to 64")
    whole = exponent == int(exponent)
    sign: Sign = "positive" if not whole else "odd" if int(exponent) % 2 else "even"
    add_power(node, trace, exponent, sign)


@handles("Sqrt")
def square_root(node: Node, trace: Tracer) -> None:
    """ONNX Sqrt."""
    add_power(node, trace, 0.5, "positive")


@handles("Reciprocal")
def reciprocal(node: Node, trace: Tracer) -> None:
    """ONNX Reciprocal."""
    add_power(node, trace, -1.0, "odd")


def add_power(node: Node, trace: Tracer, exponent: float, sign: Sign) -> None:
    """Add a Power of the node's first input as its result."""
    result, (x,) = operands(node, trace, 1)
    shape = result.frame
    gain, offset = np.ones(shape), np.zeros(shape)
    op = trace.add(node, Power, [x.value], exponent=exponent, gain=gain, offset=offset, shape=shape, sign=sign)
    trace.result(node, 0, replace(result, value=op.outputs[0]))
