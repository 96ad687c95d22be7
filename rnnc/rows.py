"""Rows of int8 or int16 weights times a vector, and their requantization: the one product that every layer is made of.

A row's accumulator has the scale S (real units per LSB). S is chosen so that the multiplier to the target LSB is exact:
S = M / (256 * 2^p) * LSB, with M of at most 8 significant bits. All rounding constants live in the bias.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from rnnc.errors import Refused
from rnnc.fixed import Bools, Floats, Ints, all_int32, int32, matmul

WEIGHT_MAX = 127
WIDE_WEIGHT_MAX = 32767
"""Of an int16 row: it is as fine as the 32 bits of its accumulator allow."""
MULTIPLIER_BITS = 8
"""Significant bits of a multiplier. One of fewer makes a row's scale larger, and leaves more bits of its sum before it."""
FINAL_SHIFT = 8
"""The shift after the multiplication; less only where a preactivation could leave 32 bits."""
ACCUMULATOR_MAX = 2**31 - 2**17
"""What weights and bias may reach; the rest is left for rounding constants and the bias's correction."""
MULTIPLIER_MAX = 65535
TOO_WIDE = "a row of weights can pass what 32 bits hold"
TOO_WIDE_HINT = "Narrow the input's range (--calib, --input-range, --input-format), or normalise it before training."


@dataclass(frozen=True, eq=False)
class RowScale:
    """Scale of each row's accumulator, with the exact multiplier to its target LSB.

    Args:
        accumulator: S, real units of one accumulator LSB, ``[rows]``.
        m: the multiplier as the C has it, 1..65535, at most 8 significant bits, ``[rows]``.
        p: the shift before it, 0..24, ``[rows]``.
    """

    accumulator: Floats
    m: Ints
    p: Ints

    @staticmethod
    def choose(smallest: Floats, target: Floats, bits: int = MULTIPLIER_BITS) -> RowScale:
        """The smallest representable scales >= ``smallest`` for the target LSBs (both ``[rows]``).

        m is 16 bits wide only where an accumulator LSB is at most 2^8 target LSBs (``representable``).

        Args:
            bits: significant bits of m, 1..8.
        """
        top = 2.0**bits
        e = np.floor(np.log2(smallest / target))
        m = np.ceil(smallest / target / 2.0**e * top / 2 - 1e-9)
        e, m = np.where(m >= top, e + 1, e), np.where(m >= top, top / 2, m)
        p = bits - 1 - FINAL_SHIFT - e
        if np.any(p < -30):
            raise Refused(TOO_WIDE, hint=TOO_WIDE_HINT)
        accumulator = m * 2 / top * 2.0**e * target
        return RowScale(accumulator, (m * 2.0 ** np.maximum(-p, 0)).astype(np.int64), np.maximum(p, 0).astype(np.int64))

    @staticmethod
    def most_exact(smallest: Floats, target: Floats, power: float) -> RowScale:
        """As ``choose``, with as many significant bits of m as make the least error of weights and of the shift p together.

        Args:
            power: the sum of the variances of the operand's elements, in its LSBs: what weights that are rounded by an LSB
                of the accumulator each add to it.
        """
        scales = [RowScale.choose(smallest, target, bits) for bits in range(MULTIPLIER_BITS, 0, -1)]
        errors = [s.accumulator**2 * (power + s.rounding_shift * 4.0**s.p) for s in scales]
        best = np.argmin(errors, 0)[None]

        def picked(name: str) -> Any:
            return np.take_along_axis(np.stack([getattr(s, name) for s in scales]), best, 0)[0]

        return RowScale(picked("accumulator"), picked("m"), picked("p"))

    def narrowed(self, final_shift: int) -> RowScale:
        """The same scales where the product is shifted by ``final_shift`` <= 8 after the multiplication, not by 8."""
        m, p = self.m.copy(), self.p.copy()
        for _ in range(FINAL_SHIFT - final_shift):
            widened = (p == 0) & (m > 255)
            m, p = np.where(widened, m >> 1, m), np.where(widened, p, p + 1)
        return RowScale(self.accumulator, m, p)

    @property
    def representable(self) -> bool:
        """Whether every multiplier fits uint16."""
        return bool(self.m.max(initial=0) <= MULTIPLIER_MAX)

    @property
    def rounding_shift(self) -> Ints:
        """1 where the shift p drops bits, ``[rows]``."""
        return (self.p > 0).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Block:
    """Rows over one vector, ``weights [rows, columns]``, with the operand's largest magnitude.

    ``wide [rows]`` says which rows hold int16 weights, not int8; None where none does.
    """

    weights: Ints
    scale: RowScale
    operand_max: int
    wide: Bools | None = None

    @staticmethod
    def stacked(blocks: Sequence[Block]) -> Block:
        """The rows of blocks below each other."""
        m, p, a = (np.concatenate([getattr(b.scale, key) for b in blocks]) for key in ("m", "p", "accumulator"))
        weights = np.concatenate([b.weights for b in blocks])
        wide = [b.wide for b in blocks if b.wide is not None]
        return Block(weights, RowScale(a, m, p), blocks[0].operand_max, np.concatenate(wide) if wide else None)

    @cached_property
    def _transposed(self) -> Floats:
        return np.ascontiguousarray(self.weights.T, np.float64)

    def product(self, x: Ints) -> Ints:
        """``weights @ x``, x ``[..., columns]``."""
        return matmul(x, self._transposed)

    def accumulate(self, x: Ints, bias: Ints | int, what: str) -> Ints:
        """``bias + weights @ x`` as int32."""
        return int32(self.product(x) + bias, what)

    def worst(self, bias: Ints | int) -> Ints:
        """The largest |accumulator| of each row for any operand, at any point of the sum."""
        return np.asarray(np.abs(self.weights).sum(1) * self.operand_max + np.abs(bias))

    def real(self, column_scale: Floats) -> Floats:
        """The weights in real units, ``[rows, columns]``, given the operand's LSBs ``[columns]``."""
        return np.asarray(self.weights * self.scale.accumulator[:, None] / column_scale)


@dataclass(frozen=True, eq=False)
class OneBlock:
    """``y = ((a >> p) * M) >> 8`` with ``a = bias + W x``: Dense, Conv, the n blocks of a GRU that resets after."""

    block: Block
    bias: Ints
    shift: int = FINAL_SHIFT

    @staticmethod
    def build(block: Block, bias: Floats, zero_point: float, shift: int = FINAL_SHIFT) -> OneBlock:
        """Fold the real bias ``[rows]``, the operand's zero point and the rounding into one int32 a row."""
        s = block.scale
        rounding = np.floor(2.0**s.p * (0.5 * s.rounding_shift + (1 << shift >> 1) / s.m)).astype(np.int64)
        q = np.round(bias / s.accumulator - block.weights.sum(1) * zero_point).astype(np.int64) + rounding
        return OneBlock(block, q, shift)

    def safe(self, bias: Floats, zero_point: float) -> OneBlock:
        """These rows with the largest final shift for which no product can leave 32 bits; Refused where there is none."""
        for shift in range(FINAL_SHIFT, -1, -1):
            rows = OneBlock.build(replace(self.block, scale=self.block.scale.narrowed(shift)), bias, zero_point, shift)
            if rows.representable:
                return rows
        raise Refused(TOO_WIDE, hint=TOO_WIDE_HINT)

    @property
    def representable(self) -> bool:
        """Whether every multiplier and product fits its width."""
        return self.block.scale.representable and bool(self.worst_product().max() < 2**31)

    def __call__(self, x: Ints, what: str) -> Ints:
        return self.requantized(self.block.product(x), what)

    def requantized(self, products: Ints, what: str) -> Ints:
        """y, given W x ``[..., rows]``."""
        s = self.block.scale
        a = int32(products + self.bias, f"{what}.accumulator")
        return int32((a >> s.p) * s.m, f"{what}.product") >> self.shift

    def worst_product(self) -> Ints:
        """The largest |(a >> p) M| of each row."""
        s = self.block.scale
        return np.asarray(((self.block.worst(self.bias) >> s.p) + 1) * s.m)

    def real_bias(self, zero_point: float) -> Floats:
        """The bias in real units, as quantized."""
        bare = OneBlock.build(self.block, np.zeros(len(self.bias)), zero_point, self.shift).bias
        return np.asarray((self.bias - bare) * self.block.scale.accumulator)


@dataclass(frozen=True, eq=False)
class TwoBlock:
    """``P = ((ax >> px) Mx + (ah >> ph) Mh) >> 8`` with ``ax = bias + Wx x`` and ``ah = Wh h``: a gate's preactivation."""

    x: Block
    h: Block
    bias: Ints
    shift: int = FINAL_SHIFT

    @staticmethod
    def build(x: Block, h: Block, bias: Floats, zero_point: float, shift: int = FINAL_SHIFT) -> TwoBlock:
        """Fold the real bias ``[rows]``, x's zero point and every rounding constant into ax's bias."""
        sx, sh = x.scale, h.scale
        k = sx.m / 2 * sx.rounding_shift + sh.m / 2 * sh.rounding_shift + (1 << shift >> 1)
        rounding = np.floor(2.0**sx.p * k / sx.m + 0.5).astype(np.int64)
        q = np.round(bias / sx.accumulator - x.weights.sum(1) * zero_point).astype(np.int64) + rounding
        return TwoBlock(x, h, q, shift)

    def safe(self, bias: Floats, zero_point: float) -> TwoBlock:
        """These rows with the largest final shift for which no product can leave 32 bits; Refused where there is none."""
        for shift in range(FINAL_SHIFT, -1, -1):
            x, h = (replace(b, scale=b.scale.narrowed(shift)) for b in (self.x, self.h))
            rows = TwoBlock.build(x, h, bias, zero_point, shift)
            if rows.representable:
                return rows
        raise Refused(TOO_WIDE, hint=TOO_WIDE_HINT)

    @property
    def representable(self) -> bool:
        """Whether every multiplier and product fits its width."""
        scales = self.x.scale.representable and self.h.scale.representable
        return scales and bool(self.worst_product().max() < 2**31)

    def __call__(self, x: Ints, h: Ints, what: str) -> Ints:
        ax, ah = self.x.product(x) + self.bias, self.h.product(h)
        sx, sh = self.x.scale, self.h.scale
        px, ph = (ax >> sx.p) * sx.m, (ah >> sh.p) * sh.m
        total = px + ph
        all_int32(what, (("x", ax), ("h", ah), ("sum", px), ("sum", ph), ("sum", total)))
        return total >> self.shift

    def worst_product(self) -> Ints:
        """The largest |(ax >> px) Mx + (ah >> ph) Mh| of each row."""
        sx, sh = self.x.scale, self.h.scale
        return np.asarray(((self.x.worst(self.bias) >> sx.p) + 1) * sx.m + ((self.h.worst(0) >> sh.p) + 1) * sh.m)

    def real_bias(self, zero_point: float) -> Floats:
        """The bias in real units, as quantized."""
        bare = TwoBlock.build(self.x, self.h, np.zeros(len(self.bias)), zero_point, self.shift).bias
        return np.asarray((self.bias - bare) * self.x.scale.accumulator)


@dataclass(frozen=True, eq=False)
class RealRows:
    """Rows of real weights over one operand, to be quantized.

    Args:
        weights: ``[rows, columns]``.
        scale: LSB of each element of the operand, ``[columns]``.
        operand_max: largest magnitude of an element, in LSBs.
        bias: real ``[rows]``, in the accumulator from the start.
        zero: what means 0 in the operand, in LSBs; the accumulator starts from ``bias - weights @ (zero scale)``.
        mean: of each element, real ``[columns]``, where it is known: the bias is corrected by what rounding adds to it.
        wide: which rows get int16 weights, ``[rows]``.
        zeros: which weights stay 0, ``[rows, columns]``; not those of int16 rows.
        power: of the operand, where it is known: see ``RowScale.most_exact``.
    """

    weights: Floats
    scale: Floats
    operand_max: int
    bias: Floats
    zero: Floats | float = 0.0
    mean: Floats | None = None
    wide: Bools | bool = False
    zeros: Bools | bool = False
    power: float | None = None

    @cached_property
    def per_lsb(self) -> Floats:
        """By what one LSB of an element changes the sum, ``[rows, columns]``."""
        return np.asarray(self.weights * self.scale)

    @cached_property
    def most(self) -> Ints:
        """The largest weight of each row, ``[rows]``."""
        wide = np.broadcast_to(self.wide, len(self.weights))
        return np.where(wide, WIDE_WEIGHT_MAX, WEIGHT_MAX)

    @property
    def most_of_each(self) -> Ints:
        """The largest magnitude of each weight, ``[rows, columns]``."""
        stay = self.zeros & (self.most == WEIGHT_MAX)[:, None]
        return np.where(stay, 0, np.broadcast_to(self.most[:, None], self.weights.shape))

    def smallest(self, target: Floats, stretch: Floats | float = 1.0) -> Floats:
        """The smallest scale of each row's accumulator that its weights, its bias and 32 bits allow, ``[rows]``.

        An int16 row has room for the rounding of every column, for the bias's correction, and 2^26 besides.
        """
        size, columns = np.abs(self.per_lsb), self.weights.shape[1]
        largest, start = size.max(1, initial=0.0), np.abs(self.bias)
        coarse = np.maximum.reduce([largest * stretch / WEIGHT_MAX, start / 2.0**30, target * 2.0**-20])
        reach = size.sum(1) * self.operand_max + np.abs(self.bias - self.per_lsb @ self._zeros)
        room = max(ACCUMULATOR_MAX - 2**26 - columns * self.operand_max / 2, 1.0)
        fine = np.maximum.reduce([largest / WIDE_WEIGHT_MAX, reach / room, start / 2.0**30, target * 2.0**-22])
        return np.asarray(np.where(self.most > WEIGHT_MAX, np.minimum(fine * stretch, coarse), coarse))

    def scale_of(self, smallest: Floats, target: Floats, wide: Bools) -> RowScale:
        """Scales >= ``smallest``; the smallest of rows that are not ``wide``: int8 weights err by far more than the shift p.

        ``wide``: the rows that hold int16 weights over every operand that they sum over.
        """
        plain = RowScale.choose(smallest, target)
        if self.power is None or not np.any(wide):
            return plain
        exact = RowScale.most_exact(smallest, target, self.power)
        pairs = ((getattr(exact, n), getattr(plain, n)) for n in ("accumulator", "m", "p"))
        return RowScale(*(np.where(wide, a, b) for a, b in pairs))

    def correction(self, block: Block) -> Floats:
        """What to add to the bias for what rounding adds on average, ``[rows]``; 0 where the mean is not known."""
        if self.mean is None:
            return np.zeros(len(self.weights))
        return np.asarray((self.weights - block.real(self.scale)) @ self.mean)

    def over(self, block: Block, target: Floats) -> Bools:
        """The rows whose accumulator could pass what 32 bits hold: int16 rows leave 2^25 and half a target LSB more."""
        s = block.scale.accumulator
        start = np.abs(self.bias / s - block.weights @ self._zeros)
        more = np.abs(self.correction(block)) / s + target / s + 2**25
        reach = block.worst(0) + start + np.where(self.most > WEIGHT_MAX, more, 0)
        return np.asarray(reach > ACCUMULATOR_MAX)

    @property
    def _zeros(self) -> Floats:
        return np.broadcast_to(self.zero, (self.weights.shape[1],))


Rounding = Callable[[Floats, Floats, Ints], Ints]
"""Weights, grid and the largest integer of each, all ``[rows, columns]``: the weights in steps of the grid."""


def quantize_rows(
    parts: Sequence[RealRows], target: Floats, rounding: Rounding, stretches: Sequence[Floats | float]
) -> list[Block]:
    """Choose the scales of rows over one operand or several, and round their weights together.

    Args:
        parts: the rows over each operand.
        target: LSB that they are requantized to, ``[rows]``.
        rounding: of rows over all operands side by side.
        stretches: for each operand, what makes the scales larger than they have to be, ``[rows]`` or one for all.

    A row that could pass what 32 bits hold is rounded again with a scale that is larger, by 2, or by 1.02 where its weights
    are int16. Raises Refused where no scale can hold a row.
    """
    smallest = [part.smallest(target, by) for part, by in zip(parts, stretches, strict=True)]
    widths = [part.weights.shape[1] for part in parts]
    weights = np.concatenate([part.per_lsb for part in parts], 1)
    most = np.concatenate([part.most_of_each for part in parts], 1)
    wide = np.all([part.most > WEIGHT_MAX for part in parts], 0)
    rounded, again = np.zeros(weights.shape, np.int64), np.ones(len(weights), bool)
    while True:
        scales = [part.scale_of(s, target, wide) for part, s in zip(parts, smallest, strict=True)]
        grid = np.repeat(np.stack([s.accumulator for s in scales], 1), widths, 1)
        rounded[again] = np.clip(rounding(weights[again], grid[again], most[again]), -most[again], most[again])
        columns = np.split(rounded, np.cumsum(widths)[:-1], 1)
        blocks = [
            Block(q, scale, part.operand_max, part.most > WEIGHT_MAX if np.any(part.wide) else None)
            for q, scale, part in zip(columns, scales, parts, strict=True)
        ]
        over = [part.over(block, target) for part, block in zip(parts, blocks, strict=True)]
        again = np.any(over, 0)
        if not again.any():
            return blocks
        larger = [np.where(part.most > WEIGHT_MAX, 1.02, 2.0) for part in parts]
        smallest = [np.where(o, by * s, s) for o, by, s in zip(over, larger, smallest, strict=True)]
