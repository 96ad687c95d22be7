"""The natural logarithm. Integers: a table of 64 chords gives log2 within 5.3e-5.

A gain and a positive offset before it (``log(x + epsilon)``) are taken in: they are added with up to 15 more bits than x has.
The logarithm of 0 and below is the lowest number of the output's format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from rnnc.fixed import Floats, Format, Ints, int32, mul15, multiplier, round_half_up
from rnnc.functions import log2
from rnnc.interval import Interval
from rnnc.net import Array, Op, Probe, Quantizer, States, Value, no_probe
from rnnc.ops.elementwise import Loops, Shape, broadcast_scale, operands, shrink, table_shape
from rnnc.ops.extended import Gain, with_room
from rnnc.ops.power import Argument
from rnnc.qnet import Arg, Bound, Constant, Field, KernelCall, QOp
from rnnc.tracing import Node, Tracer, handles

FLOOR = 2.0**-40
"""The interval of a logarithm begins at that of this number."""
LARGEST = 32 * np.log(2)
"""The logarithm of an argument in its own unit is smaller."""


@dataclass(frozen=True, eq=False)
class Log(Op):
    """``y = ln(gain x + offset)``.

    Args:
        gain, offset: > 0 and >= 0, ``[*shape]``.
        shape: of x.
    """

    gain: Floats
    offset: Floats
    shape: Shape
    kind: ClassVar[str] = "log"

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
        return bool(np.all(self.gain == 1)) and not self.offset.any()

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [Value("", self.shape)]

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x = inputs[0].reshape(*inputs[0].shape[:2], *self.shape)
        return [np.log(np.maximum(self.gain * x + self.offset, FLOOR))]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        gain, offset = self.gain.ravel(), self.offset.ravel()
        ends = [np.log(np.maximum(gain * side + offset, FLOOR)) for side in (inputs[0].lo, inputs[0].hi)]
        return [Interval(*ends)]

    def quantize(self, q: Quantizer) -> QOp:
        if form := q.extended():
            room = np.abs(_unit(self, q.input(0))) + LARGEST
            return QExtendedLog(
                self, self.inputs, (with_room(replace(form, scale=form.scale.max()), room),), q.input(0)
            )
        y = q.output()
        return QLog(self, self.inputs, (replace(y, scale=y.scale.max()),), q.input(0))

    def describe(self) -> str:
        return "natural logarithm"


def _argument(op: Log, x: Format) -> Argument:
    """What the logarithm is taken of."""
    return Argument.of(x, op.gain, op.offset, op.shape)


def _unit(op: Log, x: Format) -> Floats:
    """The logarithm of the unit of the argument, for each element."""
    return np.asarray(np.log(op.gain * broadcast_scale(x, op.shape, op.shape)) - _argument(op, x).bits * np.log(2))


@dataclass(frozen=True, eq=False)
class QLog(QOp):
    """``y = (m log2 v / 2^7 + c) >> s``, v the argument."""

    op: Log
    x: Format

    @cached_property
    def argument(self) -> Argument:
        """v."""
        return _argument(self.op, self.x)

    @cached_property
    def multiplier(self) -> tuple[int, int]:
        """m and s: from log2 with 16 fraction bits to LSBs of the output is m / 2^(s + 7)."""
        m, s = multiplier(np.log(2) / 65536 / self.formats[0].scale)
        assert s[0] >= 7, "the output's LSB is far too fine"
        return int(m[0]), int(s[0]) - 7

    @cached_property
    def constant(self) -> Ints:
        """c for each element: the logarithm of the unit of v, and rounding."""
        _, s = self.multiplier
        unit = _unit(self.op, self.x) / self.formats[0].scale[0]
        return np.asarray(np.round(unit * 2.0**s), np.int64) + (1 << s >> 1)

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        v = self.argument(inputs[0].reshape(*inputs[0].shape[:2], *self.op.shape) - self.x.zero_point)
        (m, s), form = self.multiplier, self.formats[0]
        y = int32(mul15(np.asarray(m), log2(np.maximum(v, 1)) << 8) + self.constant, "logarithm") >> s
        return [np.where(v == 0, form.lo, np.clip(y, form.lo, form.hi))]

    def bounds(self) -> list[Bound]:
        m, _ = self.multiplier
        lo, hi = int(self.constant.min()), (m << 14) + 1 + int(self.constant.max())
        return [
            Bound(self.name, "argument", self.argument.worst(self.x), 33),
            Bound(self.name, "logarithm", max(-lo, hi)),
        ]

    def calls(self) -> list[KernelCall]:
        offset, constant = np.broadcast_arrays(self.argument.offset, self.constant)
        small = table_shape(self.op.shape, offset, constant)
        loops = Loops.over(self.op.shape, small)
        assert loops is not None
        (m, s), y = self.multiplier, self.formats[0]
        table = np.stack([shrink(offset, small), shrink(constant, small)], 1)
        fields: tuple[Field, ...] = (
            *loops.fields("scale"),
            ("arguments", Constant(f"{self.name}_s", "rnnc_argument", table, "offsets and constants")),
            ("bits", self.argument.bits),
            ("x_bits", self.x.bits),
            ("m", m),
            ("shift", s),
            ("x_zero", self.x.zero_point),
            ("lo", y.lo),
            ("hi", y.hi),
        )
        args = (Arg("input", "0"), Arg("output", "0"))
        return [KernelCall("rnnc_log", "log.h", "rnnc_log_params", fields, args, tables=("log2",))]


@dataclass(frozen=True, eq=False)
class QExtendedLog(QOp):
    """``y = gain (2^24 log2 v) + c``, v the argument, y extended: the absolute error is that of log2, 3.7e-5."""

    op: Log
    x: Format

    @cached_property
    def argument(self) -> Argument:
        """v."""
        return _argument(self.op, self.x)

    @cached_property
    def gain(self) -> Gain:
        """From log2 with 24 fraction bits to LSBs of the output."""
        return Gain.of(np.asarray(np.log(2) / 2.0**24 / self.formats[0].scale[0]))

    @cached_property
    def constant(self) -> Ints:
        """c for each element, in LSBs of the output."""
        return np.asarray(round_half_up(_unit(self.op, self.x) / self.formats[0].scale[0]), np.int64)

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        v = self.argument(inputs[0].reshape(*inputs[0].shape[:2], *self.op.shape) - self.x.zero_point)
        form = self.formats[0]
        y = int32(self.gain(log2(np.maximum(v, 1)) << 8) + self.constant, "logarithm")
        return [np.where(v == 0, form.lo, np.clip(y, form.lo, form.hi))]

    def bounds(self) -> list[Bound]:
        lo, hi = int(self.constant.min()), int(self.gain.reach(1 << 29).max()) + int(self.constant.max())
        return [
            Bound(self.name, "argument", self.argument.worst(self.x), 33),
            Bound(self.name, "logarithm", max(-lo, hi)),
        ]

    def calls(self) -> list[KernelCall]:
        offset, constant = np.broadcast_arrays(self.argument.offset, self.constant)
        small = table_shape(self.op.shape, offset, constant)
        loops = Loops.over(self.op.shape, small)
        assert loops is not None
        table, y = np.stack([shrink(offset, small), shrink(constant, small)], 1), self.formats[0]
        fields: tuple[Field, ...] = (
            *loops.fields("scale"),
            ("arguments", Constant(f"{self.name}_s", "rnnc_argument", table, "offsets and constants")),
            ("bits", self.argument.bits),
            ("x_bits", self.x.bits),
            ("gain", int(self.gain.m)),
            ("shift", int(self.gain.k)),
            ("x_zero", self.x.zero_point),
            ("lo", y.lo),
            ("hi", y.hi),
        )
        args, function = (Arg("input", "0"), Arg("output", "0")), "rnnc_extended_log"
        return [KernelCall(function, "extended_functions.h", f"{function}_params", fields, args, tables=("log2",))]


@handles("Log")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX Log."""
    result, (x,) = operands(node, trace)
    shape = result.frame
    op = trace.add(node, Log, [x.value], gain=np.ones(shape), offset=np.zeros(shape), shape=shape)
    trace.result(node, 0, replace(result, value=op.outputs[0]))
