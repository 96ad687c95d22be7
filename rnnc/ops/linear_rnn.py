"""An RNN of ReLU or linear units whose recurrence is near 1: h has 32 bits and so have the weights that feed it back.

    h' = clip(W x + R h + b)

Rows of 8 bits would move the poles of R too far; one row of 16 bits still does where errors last for a thousand steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from rnnc.fixed import Floats, Format, Ints
from rnnc.net import Array, Op, Probe, Quantizer, States, no_probe
from rnnc.ops.dense import dense_call
from rnnc.ops.extended import EXTENDED_MAX, QExtendedSum, extended_format
from rnnc.ops.extended_dense import ExtendedRows, rows_bounds, rows_call
from rnnc.ops.gate_rows import one_block_bounds
from rnnc.qnet import Arg, Bound, KernelCall, QOp, QState, Scratch
from rnnc.rows import WEIGHT_MAX, OneBlock, RowScale

if TYPE_CHECKING:
    from rnnc.ops.rnn import Rnn

WORTH_DB = 40.0
"""Rows of 8 bits stay where a row's rounding leaves the response of the recurrence this much."""
STUCK, MOVING = 0.01, 0.1
"""Of a unit's standard deviation; and of the largest unit's, those that count."""
LONG = 16.0
"""By so much a constant error of h may grow where nothing is known of what it moves by."""
MOST_WEIGHTS = 1 << 16
LONGEST = 4096
LOST = 1e6
"""So many times the signal, an error says enough: what has become unstable would grow without end."""
PROBES = 8
SMALLEST = 2.0**-20
INPUT_BITS = 22
"""Of W x + b, so that its rescaling fits 32 bits."""


def near_one(recurrence: Floats) -> bool:
    """Whether rows of int8 would change what the recurrence ``[hidden, hidden]`` answers, and 32 bits are affordable."""
    if recurrence.size > MOST_WEIGHTS or not recurrence.any():
        return False
    smallest = np.maximum(np.abs(recurrence).max(1), 2.0**-20) / WEIGHT_MAX
    step = RowScale.choose(smallest, np.ones(len(recurrence))).accumulator[:, None]
    return response_db(recurrence, np.round(recurrence / step) * step) < WORTH_DB


def sticks(recurrence: Floats, lsb: float, spread: Floats | None) -> bool:
    """Whether an h of int16 would stop short of where it is going by more than ``STUCK`` of what a unit moves by.

    Args:
        recurrence: ``[hidden, hidden]``.
        lsb: of h.
        spread: standard deviation of each unit, None where that is not known.
    """
    if not 0 < recurrence.size <= MOST_WEIGHTS:
        return False
    held = np.abs(np.linalg.pinv(np.eye(len(recurrence)) - recurrence)).sum(1)
    if spread is None:
        return bool(held.max() > LONG)
    moving = spread >= MOVING * spread.max(initial=0.0)
    return bool(np.any((held * lsb / 2 > STUCK * spread) & moving & (spread > 0)))


def response_db(wanted: Floats, got: Floats) -> float:
    """How well the matrix ``got`` stands in for ``wanted`` in ``s' = A s``: dB of the answers to random states, over time."""
    start = np.random.default_rng(0).standard_normal((len(wanted), PROBES))
    a, b = start, start
    signal = noise = 0.0
    for _ in range(LONGEST):
        a, b = wanted @ a, got @ b
        size = float((a**2).sum())
        signal, noise = signal + size, noise + float(((a - b) ** 2).sum())
        if not 1e-8 * signal < size < 1e12 or noise > LOST * signal:
            break
    return float(10 * np.log10(max(signal, 1e-30) / max(noise, 1e-30)))


@dataclass(frozen=True, eq=False)
class QLinearRnn(QOp):
    """int32 rows over x, 32-bit weights over the extended h, their sum clipped as by ReLU or not at all."""

    op: Rnn
    x: Format
    inputs_rows: OneBlock
    between: Format

    @property
    def _h(self) -> Format:
        return self.formats[0]

    @cached_property
    def recurrence(self) -> ExtendedRows:
        """R in LSBs of h for one of h."""
        return ExtendedRows.of(self.op.recurrence)

    @cached_property
    def _zero(self) -> Ints:
        return np.zeros(self.op.hidden, np.int64)

    @cached_property
    def _sum(self) -> QExtendedSum:
        shape = (self.op.hidden,)
        ones = (np.ones(shape), np.ones(shape))
        sources = (self._h, self.between)
        return QExtendedSum(
            self.op,
            ("", ""),
            (self._h,),
            sources,
            (shape, shape),
            shape,
            ones,
            np.zeros(shape),
            self.op.activation.limits,
            label="next",
        )

    def states(self) -> tuple[QState, ...]:
        (h,) = self.op.states()
        return (QState(h.name, h.shape, self._h, self._h.quantize(h.initial), h.alias, h.window),)

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        key = f"{self.name}_h"
        p = self.inputs_rows(inputs[0].reshape(-1, self.op.columns), f"{self.name}.i.x")
        fed = np.clip(self.recurrence(state[key], "sum"), -EXTENDED_MAX, EXTENDED_MAX)
        (h,) = self._sum.step([fed[None], p[None]], {}, 0)
        state[key] = h[0]
        return [h[0]]

    def bounds(self) -> list[Bound]:
        over_h, _ = rows_bounds(self.name, self.recurrence, self._zero)
        return [*one_block_bounds(self.name, "i.x", self.inputs_rows), over_h, *self._sum.bounds()]

    def output_state(self, index: int) -> str:
        return f"{self.name}_h"

    def calls(self) -> list[KernelCall]:
        n, hidden = self.name, self.op.hidden
        h, p, fed = Arg("state", f"{n}_h"), Arg("scratch", "p"), Arg("scratch", "fed")
        scratch = (Scratch("p", "int32_t", hidden), Scratch("fed", "int32_t", hidden))
        full = (-EXTENDED_MAX, EXTENDED_MAX)
        back = rows_call(f"{n}_r", self.recurrence, self._zero, self._h, 1, full, args=(h, fed))
        limits = self.between.lo, self.between.hi
        over_x = dense_call(n, self.inputs_rows, 1, self.x, self.between, limits, Arg("input", "0"), p)
        (total,) = self._sum.calls()
        return [
            replace(over_x, scratch=(*over_x.scratch, *scratch)),
            replace(back, scratch=scratch),
            replace(total, args=(fed, p, h), scratch=scratch),
        ]

    def dequantized(self) -> Op:
        weights = self.inputs_rows.block.real(self.x.scale_for(self.op.columns))
        return replace(
            self.op,
            weights=weights,
            recurrence=self.recurrence.real,
            bias=self.inputs_rows.real_bias(self.x.zero),
        )


def linear_rnn(op: Rnn, q: Quantizer, room: float) -> QLinearRnn:
    """The layer in integers, its function ReLU or the identity; h has room for the magnitude ``room``."""
    x = q.input(0)
    reach = np.abs(op.weights) @ (x.scale_for(op.columns) * x.amax) + np.abs(op.bias)
    lsb = 2.0 ** (np.ceil(np.log2(max(float(reach.max()), SMALLEST))) - INPUT_BITS)
    part = (op.weights, x.scale_for(op.columns), x.amax, q.samples(0))
    (block,), correction = q.round_rows([part], np.full(op.hidden, lsb), op.bias, x.zero, ("i.x",))
    bias = op.bias + correction
    rows = OneBlock.build(block, bias, x.zero)
    rows = rows if rows.representable else rows.safe(bias, x.zero)
    between = Format(32, np.array([lsb]), 0, -EXTENDED_MAX + 1, EXTENDED_MAX - 1)
    return QLinearRnn(op, op.inputs, (extended_format(room),), x, rows, between)
