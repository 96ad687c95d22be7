"""Mean, sum, largest and smallest of a sequence so far (ReduceMean, GlobalAveragePool and the like over time).

A mean counts to 65,535 and goes on as a leaky one from there: each value then takes the place of the mean's share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np

from rnnc.fixed import Format, Ints, int32, mul15, multiplier
from rnnc.interval import Interval
from rnnc.net import Array, Op, Probe, Quantizer, State, States, Value, no_probe
from rnnc.qnet import Arg, Bound, Constant, KernelCall, QOp, QState
from rnnc.tracing import Node, Traced, Tracer

What = Literal["mean", "sum", "max", "min"]
MOST = 65535
FINEST = 8
SUM_LIMIT = 2**30
FINEST_SUM = 32768 / 32767
"""The least LSB of a sum, in LSBs of the input: nothing finer is in it, and the multiplier has 15 bits."""


@dataclass(frozen=True, eq=False)
class Running(Op):
    """``what`` of all ticks so far, element by element."""

    what: What
    size: int
    kind: ClassVar[str] = "running"

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [inputs[0]]

    def states(self) -> tuple[State, ...]:
        if self.what in ("max", "min"):
            start = -np.inf if self.what == "max" else np.inf
            return (State(f"{self.name}_best", (self.size,), np.full(self.size, start)),)
        total = State(f"{self.name}_sum", (self.size,), np.zeros(self.size))
        return (total, State(f"{self.name}_count", (1,), np.zeros(1))) if self.what == "mean" else (total,)

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x = inputs[0].reshape(len(inputs[0]), self.size)
        if self.what in ("max", "min"):
            return [self.best(x, state)]
        total = state[f"{self.name}_sum"]
        if self.what == "sum":
            state[f"{self.name}_sum"] = total = total + x
            return [total]
        count = state[f"{self.name}_count"]
        leak = np.where(count == MOST, total / MOST, 0.0)
        state[f"{self.name}_sum"] = total = total - leak + x
        state[f"{self.name}_count"] = count = np.minimum(count + 1, MOST)
        return [total / count]

    def best(self, x: Array, state: States) -> Array:
        """The largest or smallest so far."""
        pick = np.maximum if self.what == "max" else np.minimum
        state[f"{self.name}_best"] = result = pick(state[f"{self.name}_best"], x)
        return np.asarray(result)

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        return [Interval.of(-np.inf, np.inf, self.size)] if self.what == "sum" else [inputs[0]]

    def accepts_int8(self, index: int) -> bool:
        return self.what in ("max", "min")

    def quantize(self, q: Quantizer) -> QOp:
        x = q.input(0)
        if self.what in ("max", "min"):
            return QBest(self, self.inputs, (x,))
        wanted = q.output()
        if self.what == "sum":
            finest = FINEST_SUM * (x.scale.max() if wanted.uniform else x.scale_for(self.size))
            lsb = np.maximum(wanted.scale, finest)
            return QSum(self, self.inputs, (replace(wanted, scale=lsb),), x)
        finer = np.floor(np.log2((x.scale_for(self.size) / wanted.scale_for(self.size)).min()))
        finer = int(np.clip(finer, 0, FINEST))
        zero = x.zero_point << finer
        if abs(zero) > 2**14:
            finer, zero = 0, x.zero_point
        y = Format(16, x.scale / 2.0**finer, zero, -32768, 32767, residual=x.residual * 2.0**finer)
        return QMean(self, self.inputs, (y,), x, finer)

    def describe(self) -> str:
        return f"{self.what} so far"


@dataclass(frozen=True, eq=False)
class QBest(QOp):
    """The same integers. The output is the state."""

    op: Running

    def states(self) -> tuple[QState, ...]:
        (best,) = self.op.states()
        form = self.formats[0]
        top = 1 << (form.bits - 1)
        start = -top if self.op.what == "max" else top - 1
        return (QState(best.name, best.shape, form, np.full(self.op.size, start, np.int64)),)

    def output_state(self, index: int) -> str:
        return f"{self.name}_best"

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return [self.op.best(inputs[0].reshape(len(inputs[0]), self.op.size), state)]

    def calls(self) -> list[KernelCall]:
        fields = (("size", self.op.size), ("bits", self.formats[0].bits), ("smallest", int(self.op.what == "min")))
        args = (Arg("input", "0"), Arg("state", f"{self.name}_best"))
        return [KernelCall("rnnc_best", "best.h", "rnnc_best_params", fields, args)]


@dataclass(frozen=True, eq=False)
class QSum(QOp):
    """An int32 sum that saturates at +-2^30, and a 15-bit multiplier to the output's LSB."""

    op: Running
    x: Format

    @cached_property
    def multipliers(self) -> tuple[Ints, Ints]:
        """m and p of ``y = mul15(m, sum) / 2^p``, length 1 or one an element."""
        n = 1 if self.x.uniform and self.formats[0].uniform else self.op.size
        return multiplier(self.x.scale_for(n) / self.formats[0].scale_for(n) * 2.0**15)

    def states(self) -> tuple[QState, ...]:
        (total,) = self.op.states()
        form = Format(32, self.x.scale, 0, -SUM_LIMIT, SUM_LIMIT)
        return (QState(total.name, total.shape, form, np.zeros(self.op.size, np.int64)),)

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x = inputs[0].reshape(len(inputs[0]), self.op.size) - self.x.zero_point
        total = np.clip(int32(state[f"{self.name}_sum"] + x, f"{self.name} sum"), -SUM_LIMIT, SUM_LIMIT)
        state[f"{self.name}_sum"] = total
        m, p = self.multipliers
        y = self.formats[0]
        scaled = int32(mul15(m, total) + ((np.int64(1) << p) >> 1), f"{self.name} product") >> p
        return [np.clip(scaled, y.lo, y.hi)]

    def bounds(self) -> list[Bound]:
        _, p = self.multipliers
        return [
            Bound(self.name, "sum", SUM_LIMIT + 65535),
            Bound(self.name, "product", SUM_LIMIT + (1 << int(p.max()))),
        ]

    def calls(self) -> list[KernelCall]:
        m, p = self.multipliers
        y = self.formats[0]
        scale = Constant(f"{self.name}_s", "rnnc_scale1", np.stack([m, p], 1), "multipliers and shifts")
        fields = (
            ("scale", scale),
            ("size", self.op.size),
            ("scale_step", 0 if len(m) == 1 else 1),
            ("x_bits", self.x.bits),
            ("x_zero", self.x.zero_point),
            ("lo", y.lo),
            ("hi", y.hi),
        )
        args = (Arg("input", "0"), Arg("state", f"{self.name}_sum"), Arg("output", "0"))
        return [KernelCall("rnnc_running_sum", "running_sum.h", "rnnc_running_sum_params", fields, args)]


@dataclass(frozen=True, eq=False)
class QMean(QOp):
    """An int32 sum of at most 65,535 integers and their number; one division a step.

    u = round(2^(15+n) / count), 2^n <= count < 2^(n+1); the mean is mul15(u, sum) / 2^n, its LSB 2^-finer of the input's.
    """

    op: Running
    x: Format
    finer: int

    @property
    def reach(self) -> int:
        """What the sum is saturated at: with it no step can overflow, whatever a restored state holds."""
        return (MOST - 2) << (self.x.bits - 1)

    def states(self) -> tuple[QState, ...]:
        total, count = self.op.states()
        sums = Format(32, self.x.scale, 0, -self.reach, self.reach)
        return (
            QState(total.name, total.shape, sums, np.zeros(self.op.size, np.int64)),
            QState(count.name, (1,), Format(32, np.ones(1), 0, 0, MOST), np.zeros(1, np.int64)),
        )

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x = inputs[0].reshape(len(inputs[0]), self.op.size)
        total, count = state[f"{self.name}_sum"], state[f"{self.name}_count"]
        leak = np.where(count == MOST, self._mean(total, count, 0), 0)
        total = np.clip(int32(int32(total - leak, f"{self.name} sum") + x, f"{self.name} sum"), -self.reach, self.reach)
        count = np.minimum(count + 1, MOST)
        state[f"{self.name}_sum"], state[f"{self.name}_count"] = total, count
        y = self.formats[0]
        return [np.clip(self._mean(total, count, self.finer), y.lo, y.hi)]

    def _mean(self, total: Ints, count: Ints, finer: int) -> Ints:
        """``total / count 2^finer``, rounded."""
        many = np.maximum(count, 1)
        n = np.floor(np.log2(many.astype(np.float64))).astype(np.int64)
        u = ((np.int64(1) << (15 + n)) + (many >> 1)) // many
        halved = (n == 15).astype(np.int64)
        v = mul15(u, total >> halved)
        down = n - halved - finer
        coarse = int32(v + ((np.int64(1) << np.maximum(down, 0)) >> 1), f"{self.name} rounding") >> np.maximum(down, 0)
        fine = int32(np.clip(v, -(2**22), 2**22) << np.maximum(-down, 0), f"{self.name} mean")
        return np.where(down >= 0, coarse, fine)

    def bounds(self) -> list[Bound]:
        top = 1 << (self.x.bits - 1)
        return [Bound(self.name, "sum", self.reach + 2 * top), Bound(self.name, "mean", 2**22 << self.finer)]

    def calls(self) -> list[KernelCall]:
        y = self.formats[0]
        fields = (
            ("size", self.op.size),
            ("x_bits", self.x.bits),
            ("finer", self.finer),
            ("limit", self.reach),
            ("lo", y.lo),
            ("hi", y.hi),
        )
        total, count = Arg("state", f"{self.name}_sum"), Arg("state", f"{self.name}_count")
        args = (Arg("input", "0"), total, count, Arg("output", "0"))
        return [KernelCall("rnnc_running_mean", "running_mean.h", "rnnc_running_mean_params", fields, args)]


def so_far(node: Node, trace: Tracer, x: Traced, what: What, keepdims: bool) -> Traced:
    """``what`` of a stream along time: the result of the sequence so far, time's axis of length 1 or gone."""
    assert x.time is not None
    op = trace.add(node, Running, [x.value], what=what, size=trace.value(x.value).size)
    middle = (1,) if keepdims else ()
    return Traced((*x.shape[: x.time], *middle, *x.shape[x.time + 1 :]), "last", value=op.outputs[0])
