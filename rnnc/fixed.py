"""Fixed-point arithmetic: formats, rounding, saturation, and the sigmoid and tanh of the kernels.

Qm.n names a two's complement number with n fraction bits; the sign bit is not counted, so Q0.15 is an int16 in [-1, 1).
Every function here works on int64 arrays that hold what the C holds in narrower types, and is the definition of what
the C function of the same name in ``runtime_c`` computes. ``>>`` is arithmetic: it rounds towards minus infinity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

INT32_MAX = 2**31 - 1
GATE_FRACTION = 12
"""Fraction bits of a gate's preactivation (int32)."""
GATE_LSB = 2.0**-GATE_FRACTION
FINER = 3
"""Further fraction bits of the preactivations of a layer of the finer form."""
GATE_LIMIT = 65535
"""A stored preactivation is clipped to +-GATE_LIMIT: sigmoid and tanh are constant far before it."""
Q15 = 2.0**-15


class OverflowInOracle(AssertionError):
    """An integer left the width that the C gives it: a fault of rnnc, never of the model."""


def _leaves(x: Ints, lo: int = -INT32_MAX - 1, hi: int = INT32_MAX) -> bool:
    return bool(x.size and (np.minimum.reduce(x, axis=None) < lo or np.maximum.reduce(x, axis=None) > hi))


def fits(x: Ints, lo: int, hi: int, what: str) -> Ints:
    """Return x, having checked that it is within ``lo..hi`` everywhere. ``what``: its op and accumulator, as in ``Bound``."""
    if _leaves(x, lo, hi):
        raise OverflowInOracle(f"{what}: {int(x.min())}..{int(x.max())} does not fit in {lo}..{hi}")
    return x


def int32(x: Ints, what: str) -> Ints:
    """x, a signed integer of 32 bits."""
    return fits(x, -INT32_MAX - 1, INT32_MAX, what)


FEW = 1 << 16
"""Numbers that are looked at together: one look costs more than a hundred of them."""


def all_int32(what: str, named: Sequence[tuple[str, Ints]]) -> None:
    """Check that arrays, each with the name that it has in ``what``, are signed integers of 32 bits."""
    few = sum(x.size for _, x in named) <= FEW
    together = np.concatenate([x.ravel() for _, x in named]) if few and named else None
    if together is None or _leaves(together):
        for name, x in named:
            int32(x, f"{what}.{name}")


def uint32(x: Ints, what: str) -> Ints:
    """x, an unsigned integer of 32 bits."""
    return fits(x, 0, 2 * INT32_MAX + 1, what)


def shift_round(x: Ints, n: int) -> Ints:
    """x / 2^n rounded half up, n >= 0."""
    return (x + (1 << n >> 1)) >> n


def clip(x: Ints, lo: int, hi: int) -> Ints:
    """x within lo .. hi; ``np.clip`` looks at its arguments for longer than it takes to clip the units of a layer."""
    return np.minimum(np.maximum(x, lo), hi)


def round_half_up(x: Floats) -> Ints:
    """The nearest integer; halves go up."""
    return np.floor(x + 0.5).astype(np.int64)


def matmul(x: Ints, weights_t: Floats) -> Ints:
    """Exact x @ weights_t of integers, through float64: partial sums stay below 2^53.

    Args:
        x: ``[..., n]``.
        weights_t: ``[n, rows]``, integers held in float64.
    """
    return np.asarray(x.astype(np.float64) @ weights_t).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Format:
    """What the integers of a value mean: ``real = (q - zero_point) * scale + offset``.

    Args:
        bits: width, 8, 16 or 32.
        scale: real units per LSB, length 1 or one for each element of the flattened value.
        zero_point: the integer that means 0.
        residual: how much more than ``zero_point`` means exactly 0, a fraction of an LSB (raw sensor counts).
        offset: real units, length 1 or one for each element: of inputs and outputs of the network alone (``ops.offset``).
        lo, hi: what the integers are saturated to.
        index: an unsigned row number (embedding input, argmax) and no measured quantity.
    """

    bits: int
    scale: Floats
    zero_point: int = 0
    lo: int = -32767
    hi: int = 32767
    index: bool = False
    residual: float = 0.0
    offset: Floats = field(default_factory=lambda: np.zeros(1))

    def __post_init__(self) -> None:
        for name in ("scale", "offset"):
            values = np.atleast_1d(np.asarray(getattr(self, name), np.float64))
            object.__setattr__(self, name, values[:1] if np.all(values == values[0]) else values)

    @staticmethod
    def q(fraction: int, bits: int = 16, lo: int | None = None, hi: int | None = None) -> Format:
        """Qm.fraction in ``bits`` bits."""
        top = (1 << (bits - 1)) - 1
        return Format(bits, np.array([2.0**-fraction]), 0, -top if lo is None else lo, top if hi is None else hi)

    @staticmethod
    def rows(count: int) -> Format:
        """The format of a row number below ``count``."""
        return Format(16 if count <= 65536 else 32, np.ones(1), 0, 0, count - 1, index=True)

    @property
    def ctype(self) -> str:
        """The C type of one element."""
        return f"{'u' if self.index else ''}int{self.bits}_t"

    @property
    def uniform(self) -> bool:
        """Whether one scale holds for all elements."""
        return self.scale.size == 1

    @property
    def zero(self) -> float:
        """What means 0 exactly; rows of weights fold it into their bias."""
        return self.zero_point + self.residual

    @property
    def fraction(self) -> int | None:
        """n where the format is a Qm.n, else None."""
        if not self.uniform or self.zero_point or self.index or self.offset.any():
            return None
        n = -np.log2(self.scale[0])
        return int(n) if n == np.floor(n) and 0 <= n <= 40 else None

    @property
    def amax(self) -> int:
        """The largest magnitude that an element can have as a factor in a product."""
        return 1 << (self.bits - 1) if self.bits < 32 else max(abs(self.lo), abs(self.hi))

    def scale_for(self, size: int) -> Floats:
        """One scale for each of ``size`` elements."""
        return np.broadcast_to(self.scale, (size,))

    def offset_for(self, size: int) -> Floats:
        """One offset for each of ``size`` elements."""
        return np.broadcast_to(self.offset, (size,))

    def quantize(self, real: NDArray[Any]) -> Ints:
        """Nearest integers, halves up, saturated; ``real`` is ``[..., *shape]``, NaN becomes the zero point."""
        if self.index:
            return np.clip(np.asarray(real).astype(np.int64), self.lo, self.hi)
        flat = np.nan_to_num(np.asarray(real, np.float64), nan=0.0, posinf=1e30, neginf=-1e30)
        return round_half_up(np.clip(self.counts(flat) + self.zero, self.lo, self.hi))

    def counts(self, real: Floats) -> Floats:
        """Real numbers ``[..., *shape]`` in LSBs from what means the offset, not rounded."""
        return np.asarray((real - self._like(real, self.offset)) / self._like(real, self.scale))

    def dequantize(self, q: Ints) -> Floats:
        """Real units; ``q`` is ``[..., *shape]``."""
        real = np.asarray(q - self.zero, np.float64)
        return np.asarray(real * self._like(real, self.scale) + self._like(real, self.offset))

    def limit(self, real: NDArray[Any]) -> Floats:
        """Real numbers ``[..., *shape]`` kept within the range, and not rounded."""
        flat = np.asarray(real, np.float64)
        scale, offset = self._like(flat, self.scale), self._like(flat, self.offset)
        return np.asarray(np.clip(flat, (self.lo - self.zero) * scale + offset, (self.hi - self.zero) * scale + offset))

    @staticmethod
    def _like(x: Floats, each: Floats) -> Floats:
        """Scales or offsets in a shape that broadcasts to ``x``: elements are the last axes, in C order."""
        if each.size == 1:
            return each
        shape: tuple[int, ...] = ()
        for n in reversed(x.shape):
            shape = (n, *shape)
            if int(np.prod(shape)) == each.size:
                return each.reshape(shape)
        raise AssertionError(f"{each.size} scales or offsets do not fit an array of shape {x.shape}")

    def __str__(self) -> str:
        if self.index:
            return f"row number 0..{self.hi}"
        if self.fraction is not None:
            return f"Q{self.bits - 1 - self.fraction}.{self.fraction}"
        scale = f"{self.scale[0]:.6g}" if self.uniform else f"{self.scale.min():.3g}..{self.scale.max():.3g} by channel"
        zero = f", zero at {self.zero_point}" if self.zero_point else ""
        return f"int{self.bits}, LSB {scale}{zero}{', offset' if self.offset.any() else ''}"


HIDDEN = Format.q(15)
"""Q0.15, the format of every hidden state that a squashing function bounds."""
GATE = Format.q(GATE_FRACTION, 32, -GATE_LIMIT, GATE_LIMIT)
"""Q19.12, the preactivation of a stored sigmoid or tanh."""
LOGIT = Format.q(GATE_FRACTION, 32, -INT32_MAX, INT32_MAX)
"""Q19.12 without clipping: the input of softmax."""


@dataclass(frozen=True)
class SigmoidTable:
    """sigma(-x) at x = 0, step, 2 step .. 12 in two ranges, the one table that sigmoid and tanh share (uint16).

    Between knots the curve is a chord; each knot is lowered by half the largest chord error of its interval,
    t(k) = sigma(-x) - step^2/16 |sigma''(x)| at x = k step, and t(0) = 1/2 keeps the symmetry exact.

    fine: A[k] = round(2^16 t(k)), x = 0..4.   tail: B[k - split] = round(2^21 t(k)), x = 4..12.

    Args:
        step: a power of two. To change it, edit the default and run `make golden`: it writes the tables of ``runtime_c``.
    """

    step: float = 1 / 16
    fine: Ints = field(init=False)
    tail: Ints = field(init=False)

    def __post_init__(self) -> None:
        x = np.arange(self.knots + 1) * self.step
        s = 1 / (1 + np.exp(x))
        t = s - self.step**2 / 16 * np.abs(s * (1 - s) * (1 - 2 * s))
        t[0] = 0.5
        object.__setattr__(self, "fine", np.round(t[: self.split + 1] * 2**16).astype(np.int64))
        object.__setattr__(self, "tail", np.round(t[self.split :] * 2**21).astype(np.int64))

    @cached_property
    def knots(self) -> int:
        """Intervals up to x = 12; beyond it sigma(-x) is 0."""
        return round(12 / self.step)

    @cached_property
    def split(self) -> int:
        """The knot at x = 4, where the tail begins."""
        return round(4 / self.step)

    @cached_property
    def fraction(self) -> int:
        """Bits of a gate's argument that lie between two knots."""
        return GATE_FRACTION + int(np.log2(self.step))

    @cached_property
    def values(self) -> Ints:
        """Both ranges: [*fine, *tail]."""
        return np.concatenate([self.fine, self.tail])

    def lookup(self, a: Ints, finer: int = 0) -> tuple[Ints, NDArray[np.bool_]]:
        """Interpolate at a >= 0 (12 + ``finer`` fraction bits): 2^16 sigma(-a) below 4, 2^21 sigma(-a) in the tail, 0 past 12.

        Returns the value and where it is a value of the tail.
        """
        step = self.fraction + finer
        i, f = a >> step, a & ((1 << step) - 1)
        inside, tail = i < self.knots, i >= self.split
        k = np.minimum(i, self.knots - 1) + tail
        left, right = self.values[k], self.values[k + 1]
        half = (((1 << self.fraction >> 1) + 1) << finer) - 1  # what the C's shifts make together
        y = left - (((left - right) * f + half) >> step)
        return np.where(inside, y, 0), tail


TABLE = SigmoidTable()


@cache
def _curves(finer: int) -> tuple[Ints, Ints]:
    """Sigmoid and tanh of each p from -12 to 12 (12 + ``finer`` fraction bits), beyond which they stay as they are.

    The oracle asks for them so often that a look at this is worth more than it costs to make.
    """
    end = TABLE.knots << TABLE.fraction + finer
    p = np.arange(-end, end + 1)
    y, tail = TABLE.lookup(np.abs(p), finer)
    y = np.where(tail, (y + 32) >> 6, (y + 1) >> 1)
    z, tail = TABLE.lookup(2 * np.abs(p), finer)
    t = np.minimum(32768 - np.where(tail, (z + 16) >> 5, z), 32767)
    return np.where(p < 0, y, 32768 - y), np.where(p < 0, -t, t)


def sigmoid(p: Ints, finer: int = 0) -> Ints:
    """Logistic function of p (12 + ``finer`` fraction bits, |p| < 2^31) as 15 fraction bits, 0..32768."""
    values, _ = _curves(finer)
    return values.take(p + len(values) // 2, mode="clip")


TANH_MAX = 2**30 - 1
"""The largest argument of ``tanh``, which is constant long before."""


def tanh(p: Ints, finer: int = 0) -> Ints:
    """Hyperbolic tangent of p (12 + ``finer`` fraction bits, |p| < 2^30) as Q0.15, -32767..32767."""
    _, values = _curves(finer)
    return values.take(fits(p, -TANH_MAX, TANH_MAX, "tanh argument") + len(values) // 2, mode="clip")


def mul15(u: Ints, d: Ints) -> Ints:
    """u d / 2^15 rounded, for |u| <= 32768 and |d| <= 2^30, in 32-bit products."""
    high = int32(u * (d >> 15), "mul15 high product")
    low = int32(u * (d & 32767) + 16384, "mul15 low product") >> 15
    return int32(high + low, "mul15 sum")


def multiplier(ratio: Floats, mantissa_bits: int = 15, shift_max: int = 30) -> tuple[Ints, Ints]:
    """``(m, s)`` with ``ratio ~ m / 2^s``, m of ``mantissa_bits`` bits, 0 <= s <= shift_max, for each positive ratio.

    A ratio too small for the shift loses mantissa bits; one of 2^mantissa_bits or more is refused by assertion.
    """
    ratio = np.atleast_1d(np.asarray(ratio, np.float64))
    top = 1 << mantissa_bits
    if not ratio.max() < top:
        raise OverflowInOracle(f"a scale ratio of {ratio.max():.3g} is too large for a {mantissa_bits}-bit multiplier")
    s = np.clip(mantissa_bits - 1 - np.floor(np.log2(np.maximum(ratio, 1e-30))), 0, shift_max).astype(np.int64)
    m = round_half_up(ratio * 2.0**s)
    carry = (m >= top) & (s > 0)
    s = np.where(carry, s - 1, s)
    m = np.where(carry, round_half_up(ratio * 2.0**s), m)
    if np.any(m >= top):
        raise OverflowInOracle(f"a scale ratio of {ratio.max():.3g} is too large for a {mantissa_bits}-bit multiplier")
    return m, s
