"""SoftmaxPool: the mean of a sequence so far, weighted by a softmax of scores over time (attention pooling), in O(1).

    best' = max(best, s)        total' = total e^(best - best') + e^(s - best')
    mean' = mean + (x - mean) e^(s - best') / total'

No sum of values is kept, so none overflows, and errors fade as the weights of what they came with. A total has 24 fraction
bits, fewer where it is large: from the weight of 65,536 steps on it is kept, and the mean goes on as a leaky one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from rnnc.fixed import LOGIT, Format, Ints, int32, mul15, multiplier, uint32
from rnnc.functions import exp2, leading_zeros
from rnnc.interval import Interval
from rnnc.net import Accept, Array, Op, Probe, Quantizer, State, States, Value, no_probe
from rnnc.ops.elementwise import aligned, at_least, operands, reach_of
from rnnc.ops.softmax import FARTHEST, LOG2_E
from rnnc.qnet import Arg, Bound, Constant, Field, KernelCall, QOp, QState
from rnnc.tracing import HANDLERS, Node, Traced, Tracer, handles

TERM = 24
TOTAL = 2**30
HALVED = 10
REACH = 2**29
MOST = 2.0 ** (30 + HALVED - TERM)
"""The largest total."""
NO_SCORE = -(2.0**31)
COUNTS = Format(16, np.ones(1), 0, 0, HALVED)


@dataclass(frozen=True, eq=False)
class SoftmaxPool(Op):
    """The weighted mean so far of ``groups`` times ``size`` values.

    Args:
        groups: how many scores there are; each weighs the ``size`` values at its place.
        size: values of each score.
        shape: of the output.

    Inputs: the scores, the values.
    """

    groups: int
    size: int
    shape: tuple[int, ...]
    kind: ClassVar[str] = "softmax_pool"

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        assert inputs[0].size == self.groups and inputs[1].size == self.groups * self.size
        return [Value("", self.shape)]

    def states(self) -> tuple[State, ...]:
        n, whole = (self.groups,), (self.groups, self.size)
        return (
            State(f"{self.name}_best", n, np.full(n, NO_SCORE)),
            State(f"{self.name}_total", n, np.zeros(n)),
            State(f"{self.name}_halved", n, np.zeros(n)),
            State(f"{self.name}_mean", whole, np.zeros(whole)),
        )

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        best, total, _, mean = (s.name for s in self.states())
        score = inputs[0].reshape(len(inputs[0]), self.groups)
        x = inputs[1].reshape(len(score), self.groups, self.size)
        largest = np.maximum(state[best], score)
        weight = np.exp(score - largest)
        state[total] = np.minimum(state[total] * np.exp(state[best] - largest) + weight, MOST)
        state[best] = largest
        state[mean] = state[mean] + (x - state[mean]) * (weight / state[total])[..., None]
        return [state[mean]]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        return [inputs[1]]

    def accepts(self, index: int) -> Accept:
        return "logit" if index == 0 else "any"

    def quantize(self, q: Quantizer) -> QSoftmaxPool:
        x = q.input(1)
        result = QSoftmaxPool(self, self.inputs, (q.output(),), x)
        finest = 2.0 * x.scale_for(self.groups * self.size) / 2.0**result.up
        wanted = result.formats[0]
        return replace(result, formats=(at_least(wanted, finest.max() if wanted.uniform else finest),))

    def describe(self) -> str:
        return f"mean so far of {self.groups} x {self.size}, weighted by a softmax over time"


@dataclass(frozen=True, eq=False)
class QSoftmaxPool(QOp):
    """The same on int32 scores with 12 fraction bits; the mean has ``up`` fraction bits more than the values."""

    op: SoftmaxPool
    x: Format

    @property
    def up(self) -> int:
        """The most that the values can be shifted by within 2^29."""
        reach = reach_of(self.x) + abs(self.x.zero_point)
        return next(n for n in range(29, -1, -1) if reach << n <= REACH)

    @cached_property
    def multipliers(self) -> tuple[Ints, Ints]:
        """m and p of ``y = mean m / 2^(15 + p)``, length 1 or one an element."""
        n = 1 if self.x.uniform and self.formats[0].uniform else self.op.groups * self.op.size
        return multiplier(self.x.scale_for(n) / 2.0**self.up / self.formats[0].scale_for(n) * 2.0**15)

    def states(self) -> tuple[QState, ...]:
        best, total, halved, mean = self.op.states()
        n, values = self.op.groups, self.op.groups * self.op.size
        zeros = np.zeros(n, np.int64)
        fine = Format(32, self.x.scale_for(values) / 2.0**self.up, 0, -REACH, REACH)
        return (
            QState(best.name, best.shape, LOGIT, zeros),
            QState(total.name, total.shape, Format(32, np.array([2.0**-TERM]), 0, 0, TOTAL), zeros),
            QState(halved.name, halved.shape, COUNTS, zeros),
            QState(mean.name, mean.shape, fine, np.zeros(mean.shape, np.int64)),
        )

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        op, mean = self.op, f"{self.name}_mean"
        a, z = (part[..., None] for part in self._weigh(inputs[0].reshape(len(inputs[0]), -1), state))
        x = (inputs[1].reshape(len(inputs[1]), op.groups, op.size) - self.x.zero_point) << self.up
        m = np.clip(state[mean], -REACH, REACH)
        change = mul15(a, int32(int32(x, "value") - m, "difference"))
        m = np.clip(m + (int32(change + ((np.int64(1) << z) >> 1), "change") >> z), -REACH, REACH)
        state[mean] = m
        factor, p = self.multipliers
        y = self.formats[0]
        flat = mul15(factor, m.reshape(len(m), -1))
        scaled = int32(flat + ((np.int64(1) << p) >> 1), "product") >> p
        return [np.clip(scaled + y.zero_point, y.lo, y.hi)]

    def _weigh(self, score: Ints, state: States) -> tuple[Ints, Ints]:
        """What new scores weigh beside those before: ``a / 2^(15 + z)``."""
        best, total, halved, _ = (s.name for s in self.op.states())
        largest, h = state[best], np.clip(state[halved], 0, HALVED)
        known = np.clip(state[total], 0, TOTAL)
        rises = (known == 0) | (score > largest)
        faded = np.where(known == 0, 0, self._faded(known, np.where(rises, score - largest, 0) & 0xFFFFFFFF))
        known, largest = np.where(rises, faded, known), np.where(rises, score, largest)
        for _ in range(HALVED):
            again = rises & (h > 0) & (known < TOTAL // 2)
            known, h = np.where(again, 2 * known, known), np.where(again, h - 1, h)
        term = self._term((largest - score) & 0xFFFFFFFF) >> h
        known = int32(known + term, "total")
        share = self._share(term, known)
        halves = (known > TOTAL) & (h < HALVED)
        state[best], state[halved] = largest, np.where(halves, h + 1, h)
        state[total] = np.minimum(np.where(halves, known >> 1, known), TOTAL)
        return share

    @staticmethod
    def _exponent(d: Ints) -> Ints:
        """d log2 e with 16 fraction bits, of what is nearer than ``FARTHEST``."""
        return uint32(np.minimum(d, FARTHEST - 1) * LOG2_E + 1024, "exponent") >> 11

    def _faded(self, total: Ints, d: Ints) -> Ints:
        """total e^-d."""
        t = self._exponent(d)
        return np.where(d < FARTHEST, mul15(exp2(t & 65535) >> 1, total) >> (t >> 16), 0)

    def _term(self, d: Ints) -> Ints:
        """2^24 e^-d."""
        t = self._exponent(d)
        halvings = t >> 16
        e = ((exp2(t & 65535) << (TERM - 16)) + ((np.int64(1) << halvings) >> 1)) >> halvings
        return np.where(d < FARTHEST, e, 0)

    @staticmethod
    def _share(term: Ints, total: Ints) -> tuple[Ints, Ints]:
        """term / total as ``a / 2^(15 + z)``."""
        n = leading_zeros(total)
        divisor = uint32(total << n, "divisor") >> 16
        reciprocal = ((1 << 31) + (divisor >> 1)) // divisor
        q29 = mul15((reciprocal + 1) >> 1, uint32(term << n, "dividend") >> 2)
        whole = q29 >= 1 << 29
        z = np.where(whole, 0, leading_zeros(np.where(whole, 0, q29)) - 3)
        return np.where(whole, 32768, (np.where(whole, 0, q29) << z) >> 14), z

    def bounds(self) -> list[Bound]:
        _, p = self.multipliers
        return [
            Bound(self.name, "total", TOTAL + (1 << TERM)),
            Bound(self.name, "difference", 2 * REACH),
            Bound(self.name, "change", 2 * REACH + 2**15 + (1 << 28 >> 1)),
            Bound(self.name, "product", REACH + 2**15 + int((1 << p.max()) >> 1)),
        ]

    def calls(self) -> list[KernelCall]:
        op, y, (m, p) = self.op, self.formats[0], self.multipliers
        scale = Constant(f"{self.name}_s", "rnnc_scale1", np.stack([m, p], 1), "multipliers and shifts")
        fields: tuple[Field, ...] = (
            ("scale", scale),
            *(("scores", op.groups), ("size", op.size), ("scale_step", int(len(m) > 1))),
            *(("x_bits", self.x.bits), ("y_bits", y.bits), ("up", self.up)),
            *(("x_zero", self.x.zero_point), ("y_zero", y.zero_point), ("lo", y.lo), ("hi", y.hi)),
        )
        kept = (Arg("state", s.name) for s in op.states())
        args = (Arg("input", "0"), Arg("input", "1"), *kept, Arg("output", "0"))
        name = "rnnc_softmax_pool"
        return [KernelCall(name, "softmax_pool.h", f"{name}_params", fields, args, tables=("exp2",))]


# --------------------------------------------------------------------------- from the canonical form


@handles("SoftmaxPool")
def from_node(node: Node, trace: Tracer) -> None:
    """The canonical form of ReduceSum(Softmax(s, axis) v, axis): inputs s and v of one rank; the axis stays, of length 1."""
    result, (score, x) = operands(node, trace)
    axis = int(node.attributes["axis"])
    shares = aligned(result, score)
    leading = next((i for i, n in enumerate(shares) if n == 1), len(shares))
    over_time = score.time == x.time == axis and score.kind == x.kind == "stream"
    if not over_time or shares != result.frame[:leading] + (1,) * (len(shares) - leading) or x.frame != result.frame:
        _apart(node, trace, axis)
        return
    count = int(np.prod(shares, dtype=np.int64))
    size = int(np.prod(result.frame, dtype=np.int64)) // count
    op = trace.add(node, SoftmaxPool, [score.value, x.value], groups=count, size=size, shape=result.frame)
    shape = tuple(1 if i == axis else n for i, n in enumerate(result.shape))
    trace.result(node, 0, Traced(shape, "last", value=op.outputs[0]))


def _apart(node: Node, trace: Tracer, axis: int) -> None:
    """The three nodes that it stands for."""
    y = node.outputs[0]
    shares, parts, axes = (f"{y}.{part}" for part in ("shares", "parts", "axes"))
    trace.result(replace(node, outputs=(axes,)), 0, Traced((1,), "static", const=np.array([axis])))
    steps: tuple[tuple[str, tuple[str, str] | tuple[str], tuple[str], dict[str, int]], ...] = (
        ("Softmax", (node.inputs[0],), (shares,), {"axis": axis}),
        ("Mul", (shares, node.inputs[1]), (parts,), {}),
        ("ReduceSum", (parts, axes), (y,), {"keepdims": 1}),
    )
    for op_type, inputs, outputs, attributes in steps:
        HANDLERS[op_type](Node(node.name or y, op_type, "", inputs, outputs, attributes), trace)
