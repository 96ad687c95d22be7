"""Integer functions of one number in 32 bits: square root, reciprocal square root, power of two, logarithm.

Norms, softmax, magnitudes and powers are made of these. Each is the definition of the C function of the same name in
``runtime_c/functions.h``; an unsigned 32-bit number is called uint32 here and held in int64.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnnc.fixed import FINER, GATE_FRACTION, INT32_MAX, TABLE, Ints, int32, mul15, shift_round, uint32

CHORDS = 64
"""Chords of the tables of 2^-x and log2 over [0, 1); a power of two."""
CHORD_BITS = 16 - CHORDS.bit_length() + 1
"""Of an argument's 16 fraction bits, those within a chord."""
WITHIN, HALF = (1 << CHORD_BITS) - 1, 1 << CHORD_BITS >> 1
RSQRT_KNOTS = 48


def exp2_table() -> Ints:
    """T[k] = 2^16 2^-(k/64), k = 0..64, lowered by half the largest error of a chord, (1/64)^2/16 ln(2)^2 2^-(k/64)."""
    y = 2.0 ** -(np.arange(CHORDS + 1) / CHORDS)
    t = np.round(2.0**16 * y * (1 - np.log(2) ** 2 / CHORDS**2 / 16))
    return np.asarray(np.minimum(t, 65535), np.int64)


def log2_table() -> Ints:
    """T[k] = 2^19 (log2(1 + k/64) - k/64), k = 0..64, raised by half the largest error of a chord."""
    x = np.arange(CHORDS + 1) / CHORDS
    raised = np.log2(1 + x) - x + 1 / np.log(2) / (1 + x) ** 2 / CHORDS**2 / 16
    return np.asarray(np.round(2.0**19 * raised), np.int64)


def rsqrt_table() -> Ints:
    """T[k] = 2^16 / sqrt((k + 16.5) / 16), k = 0..47: the reciprocal square root in the middle of 48 steps over [1, 4)."""
    return np.asarray(np.round(2.0**16 / np.sqrt((np.arange(RSQRT_KNOTS) + 16.5) / 16)), np.int64)


def fine_exp2_table() -> Ints:
    """T[k] = 2^30 2^-(k/64), k = 0..63."""
    return np.asarray(np.round(2.0 ** (30 - np.arange(CHORDS) / CHORDS)), np.int64)


EXP2, LOG2, RSQRT, FINE_EXP2 = exp2_table(), log2_table(), rsqrt_table(), fine_exp2_table()
FINE_FRACTION, FINE_MAX = 24, 1 << 29
LONG_FRACTION = GATE_FRACTION + FINER
"""Of the argument of a long sigmoid."""
LONG_MAX, LONG_SPLIT = 21 << LONG_FRACTION, 8 << LONG_FRACTION
"""Its largest argument, and where powers of two take the place of the table."""
LOG2_E = 14506
"""2^15 (log2(e) - 1)."""


def leading_zeros(v: Ints) -> Ints:
    """Zero bits above the highest one of a uint32; 31 for 0."""
    bits = np.floor(np.log2(np.maximum(uint32(v, "leading_zeros"), 1).astype(np.float64))).astype(np.int64)
    return np.asarray(31 - bits)


def sqrt(v: Ints) -> Ints:
    """The square root of a uint32, rounded to nearest: 0..65536. In C a table and two steps, of 0 or from 2^30 on."""
    root = np.floor(np.sqrt(uint32(v, "sqrt").astype(np.float64))).astype(np.int64)
    return np.asarray(root + (v - root * root > root))


def rsqrt(m: Ints) -> Ints:
    """2^31 / sqrt(m) for 2^30 <= m < 2^32: 32768..65535, relative error below 2^-14.7. A table and two Newton steps."""
    assert not m.size or m.min() >= 1 << 30
    x = shift_round(uint32(m, "rsqrt"), 16)
    r = RSQRT[(m >> 26) - 16]
    for _ in range(2):
        square = uint32(r * r + 32768, "rsqrt square") >> 16
        error = int32((1 << 30) - x * square, "rsqrt error")
        r = np.minimum(r + (int32(r * shift_round(error, 14) + (1 << 16), "rsqrt step") >> 17), 65535)
    return np.asarray(r)


def exp2(t: Ints) -> Ints:
    """2^16 2^-(t/65536) for 0 <= t < 65536: 32768..65535, error <= 1.5 LSB."""
    assert not t.size or (t.min() >= 0 and t.max() < 65536)
    k = t >> CHORD_BITS
    return np.asarray(EXP2[k] - (((EXP2[k] - EXP2[k + 1]) * (t & WITHIN) + HALF) >> CHORD_BITS))


def log2(v: Ints) -> Ints:
    """2^16 log2(v) of a uint32 v >= 1: 0..2^21, error < 3.5 LSB, or 5.3e-5."""
    assert not v.size or v.min() >= 1
    n = leading_zeros(v)
    f = ((uint32(v, "log2") << n) >> 15) & 65535
    k = f >> CHORD_BITS
    c = LOG2[k] + (((LOG2[k + 1] - LOG2[k]) * (f & WITHIN) + HALF) >> CHORD_BITS)
    return np.asarray(((31 - n) << 16) + f + ((c + 4) >> 3))


def scaled_root(squares: Ints, doublings: Ints, m: Ints, p: Ints) -> Ints:
    """``sqrt(squares) 2^doublings m / 2^p`` rounded, of a uint32 and a 15-bit m: 0..2^31 - 1, saturated."""
    n = leading_zeros(squares) & ~1
    product = int32(sqrt(squares << n) * m, "root times multiplier")
    shift = p + (n >> 1) - doublings
    down, up = np.clip(shift, 0, 31), np.clip(-shift, 0, 31)
    rounded = uint32(product + ((np.int64(1) << down) >> 1), "rounding") >> down
    return np.where(shift > 31, 0, np.where(shift >= 0, rounded, np.minimum(product << up, INT32_MAX)))


def power_of_two(t: Ints) -> Ints:
    """2^(t / 65536) rounded, saturated at 32767; |t| < 2^30."""
    u = -t & 65535
    shift = 16 - ((t + u) >> 16)
    down = np.clip(shift, 1, 31)
    y = (exp2(u) + ((np.int64(1) << down) >> 1)) >> down
    return np.where(shift < 1, 32767, np.where(shift > 31, 0, np.minimum(y, 32767)))


def fine_exp2(t: Ints) -> Ints:
    """2^30 2^-(t/2^24) for 0 <= t < 2^24, relative error below 2^-20; exact at 0."""
    assert not t.size or (t.min() >= 0 and t.max() < 1 << FINE_FRACTION)
    left = FINE_EXP2[t >> 18]
    p = uint32(((t & 262143) >> 1) * 22713 + 65536, "fine_exp2 argument") >> 17
    p = p - ((p * p + (1 << 21)) >> 22)
    return np.asarray(left - ((mul15(p, left) + 32) >> 6))


def fine_power_of_two(t: Ints) -> Ints:
    """2^(t / 2^24) rounded, saturated at 2^29; |t| <= 2^30."""
    u = -t & ((1 << FINE_FRACTION) - 1)
    shift = 30 - ((t + u) >> FINE_FRACTION)
    down = np.clip(shift, 1, 31)
    y = (fine_exp2(u) + ((np.int64(1) << down) >> 1)) >> down
    return np.where(shift < 1, FINE_MAX, np.where(shift > 31, 0, y))


def fine_power_of_two_16(t: Ints) -> Ints:
    """The same of an exponent with 16 fraction bits; beyond +-63 taken as that."""
    return fine_power_of_two(np.clip(t, -63 << 16, 63 << 16) * 256)


def quotient(u: Ints, v: Ints, constant: Ints, hi: int | Ints, power: Callable[[Ints], Ints] = power_of_two) -> Ints:
    """u / v 2^(constant / 2^16), |result| <= hi; by 0 the largest number, and 0 / 0 = 0."""
    t = int32(log2(np.maximum(np.abs(u), 1)) - log2(np.maximum(np.abs(v), 1)) + constant, "exponent")
    y = np.minimum(np.where(u == 0, 0, np.where(v == 0, hi, power(t))), hi)
    return np.where((u < 0) != (v < 0), -y, y)


def fine_quotient(u: Ints, v: Ints, constant: Ints, hi: int | Ints) -> Ints:
    """As ``quotient``, of extended values."""
    return quotient(u, v, constant, hi, fine_power_of_two_16)


def mul30(m: Ints, x: Ints) -> Ints:
    """m x / 2^30 rounded, for |m| and |x| <= 2^30, in 32-bit products; exact where m is a power of two."""
    high = mul15(m >> 15, x)
    low = int32((m & 32767) * shift_round(x, 15) + 16384, "mul30 low product") >> 15
    return int32(high + low, "mul30 sum")


def by_power(y: Ints, k: Ints) -> Ints:
    """``y 2^k``, rounded where k < 0, clipped to +-2^29 before it is shifted left."""
    right, left = np.clip(-k, 0, 31), np.maximum(k, 0)
    down = int32(y + ((np.int64(1) << right) >> 1), "rounding") >> right
    room = FINE_MAX >> left
    return np.where(k < 0, down, np.clip(y, -room, room) << left)


def long_sigmoid(p: Ints) -> Ints:
    """2^30 / (1 + e^-x) at x = p / 2^15, |p| <= 21 2^15: 0..2^30. Within 1 / 1000 of the smaller of
    the result and 2^30 less it down to e^-12; one LSB is 2^-29."""
    a = np.abs(p)
    k, f = a >> (TABLE.fraction + FINER), a & ((1 << (TABLE.fraction + FINER)) - 1)
    k, tail = np.minimum(k, TABLE.knots - 1), k >= TABLE.split
    unit = np.where(tail, 1, 32)
    left, right = TABLE.values[k + tail] * unit, TABLE.values[k + tail + 1] * unit
    near = left * (1 << TABLE.fraction) - (((left - right) * f + (1 << FINER) - 1) >> FINER)
    t = a << (FINE_FRACTION - LONG_FRACTION)
    far = fine_power_of_two((29 << FINE_FRACTION) - int32(t + mul15(np.asarray(LOG2_E), t), "exponent"))
    y = np.where(a < LONG_SPLIT, near, far - ((far >> 4) ** 2 >> 21))
    return np.where(p < 0, 2 * y, (1 << 30) - 2 * y)
