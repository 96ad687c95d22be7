"""Rows of 32-bit weights over extended values: the matrix of a linear recurrence, whose poles stay where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnnc.fixed import Floats, Format, Ints, int32, round_half_up
from rnnc.functions import by_power, mul30
from rnnc.net import Array, Op, Probe, States, no_probe
from rnnc.ops.extended import EXTENDED_MAX, GAIN_BITS, LIFT, lift
from rnnc.qnet import Arg, Bound, Constant, Field, KernelCall, QOp


@dataclass(frozen=True, eq=False)
class ExtendedRows:
    """``y = (sum_j m_j x_j / 2^30) 2^k``: m ``[rows, columns]`` int32 within +-2^30, sum_j |m_j| <= 2^31; k ``[rows]``."""

    m: Ints
    k: Ints

    @staticmethod
    def of(gains: Floats) -> ExtendedRows:
        """The nearest to real weights ``[rows, columns]``; the finest that a row's sum has room for."""
        size = np.maximum(np.maximum(np.abs(gains).sum(1) / 2, np.abs(gains).max(1, initial=0.0)), 2.0**-30)
        k = np.ceil(np.log2(size)).astype(np.int64)
        limit = 1 << GAIN_BITS
        m = round_half_up(np.clip(gains * 2.0 ** (GAIN_BITS - k[:, None]), -limit, limit))
        return ExtendedRows(m, np.minimum(k, 29))

    def __call__(self, x: Ints, what: str) -> Ints:
        products = mul30(self.m, x[..., None, :])
        return by_power(int32(products.sum(-1), what), self.k)

    def worst(self) -> Ints:
        """The largest |sum| of each row."""
        return np.asarray((np.abs(self.m).sum(1) * EXTENDED_MAX >> GAIN_BITS) + 2 * self.m.shape[1])

    @property
    def real(self) -> Floats:
        """The weights."""
        return np.asarray(self.m / 2.0**GAIN_BITS * 2.0 ** self.k[:, None])


@dataclass(frozen=True, eq=False)
class QExtendedDense(QOp):
    """``y = clip(W x + b)`` at each position.

    Args:
        weights: real, ``[rows, columns]``.
        bias: real, ``[rows]``.
        positions: how often it is applied; the scale of x is that of each.
        relu: clip at 0.
    """

    op: Op
    weights: Floats
    bias: Floats
    positions: int
    x: Format
    relu: bool

    @property
    def _lsb(self) -> Floats:
        return self.x.scale_for(self.weights.shape[1]) / (1 if self.x.bits == 32 else 2**LIFT)

    @property
    def _target(self) -> Floats:
        """The LSB of each row; one of all positions."""
        return self.formats[0].scale_for(len(self.weights))

    @cached_property
    def rows(self) -> ExtendedRows:
        """The weights in LSBs of the output for one of the lifted operand."""
        return ExtendedRows.of(self.weights * self._lsb / self._target[:, None])

    @cached_property
    def offsets(self) -> Ints:
        """The bias in LSBs of the output, ``[rows]``."""
        rest = self.bias - self.x.residual * (self.weights * self.x.scale_for(self.weights.shape[1])).sum(1)
        return np.clip(round_half_up(rest / self._target), -EXTENDED_MAX, EXTENDED_MAX)

    @property
    def limits(self) -> tuple[int, int]:
        """What the output is clipped to."""
        y = self.formats[0]
        return (0 if self.relu else y.lo), y.hi

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x = lift(inputs[0].reshape(*inputs[0].shape[:2], self.positions, -1), self.x)
        total = int32(self.rows(x, "sum") + self.offsets, "result")
        return [np.clip(total, *self.limits)]

    def bounds(self) -> list[Bound]:
        return rows_bounds(self.name, self.rows, self.offsets)

    def calls(self) -> list[KernelCall]:
        return [rows_call(self.name, self.rows, self.offsets, self.x, self.positions, self.limits)]

    def dequantized(self) -> Op:
        return self.op


def rows_bounds(op: str, rows: ExtendedRows, offsets: Ints) -> list[Bound]:
    """The worst cases of a row's sum, and of it in the output's LSB with what is added."""
    sums = rows.worst()
    down = by_power(sums, np.minimum(rows.k, 0))
    result = np.where(rows.k < 0, down, EXTENDED_MAX) + np.abs(offsets)
    return [Bound(op, "sum", int(sums.max())), Bound(op, "result", int(result.max()))]


def rows_call(
    name: str,
    rows: ExtendedRows,
    offsets: Ints,
    x: Format,
    positions: int,
    limits: tuple[int, int],
    *,
    args: tuple[Arg, ...] = (),
) -> KernelCall:
    """The kernel call; ``args``: x, a further addend, y; else input 0, none, output 0."""
    fields: tuple[Field, ...] = (
        ("weights", Constant(f"{name}_w", "int32_t", rows.m.ravel(), "[rows][columns], 30 fraction bits")),
        ("shifts", Constant(f"{name}_k", "int8_t", rows.k, "[rows] log2 of a further factor")),
        ("offsets", Constant(f"{name}_b", "int32_t", offsets, "[rows] LSB of the output")),
        ("rows", rows.m.shape[0]),
        ("columns", rows.m.shape[1]),
        ("positions", positions),
        ("x_bits", x.bits),
        ("x_zero", x.zero_point),
        ("lo", limits[0]),
        ("hi", limits[1]),
    )
    args = args or (Arg("input", "0"), Arg("output", "0"))
    struct = "rnnc_extended_dense_params"
    return KernelCall("rnnc_extended_dense", "extended_dense.h", struct, fields, args, macs=positions * rows.m.size)
