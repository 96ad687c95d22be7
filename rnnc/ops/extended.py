"""Extended values: int32 with a scale of their own, for states of plain arithmetic and what is computed from them.

An int16 state would stick short of its limit, and a gain of 16 bits would move its pole. An extended value has 29 bits and
an LSB that is a power of two, so that a counter counts exactly and a value in another format of this kind is a shift away.
Operands of 8 and 16 bits are shifted left by 14. Gains have 30 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from rnnc.fixed import Floats, Format, Ints, round_half_up
from rnnc.functions import by_power, mul30
from rnnc.language import Quantity, clip, let
from rnnc.net import Op
from rnnc.ops import element
from rnnc.ops.element import ByElement, least, left, less_zero, most, numbers, uniform
from rnnc.ops.elementwise import Loops, Shape, broadcast_scale, shrink, table_shape
from rnnc.qnet import Arg, Bound, Constant, Field, KernelCall

LIFT = 14
EXTENDED_BITS = 29
EXTENDED_MAX = 1 << EXTENDED_BITS
"""The largest magnitude of an extended value, of a lifted operand, of a term and of an offset."""
GAIN_BITS = 30
SMALLEST = 2.0**-40
"""No extended value has less room."""
Pick = Literal["sum", "max", "min"]


def extended_format(limit: float | Floats) -> Format:
    """An extended value with room for ``limit``, one or one for each element, exactly where that is a power of two."""
    exponent = np.ceil(np.log2(np.maximum(limit, SMALLEST)) - 1e-12)
    return Format(32, 2.0 ** (exponent - EXTENDED_BITS), 0, -EXTENDED_MAX, EXTENDED_MAX)


def is_extended(form: Format) -> bool:
    """Whether a format is that of extended values; no other of 32 bits ends where they do."""
    return form.bits == 32 and form.hi == EXTENDED_MAX


def with_room(form: Format, *reaches: Floats) -> Format:
    """An extended format in which no term of a sum saturates by itself, given the magnitudes that the terms reach.

    1 - z of a gate that hardly moves is small, and neither 1 nor z is.
    """
    room, none = form.scale * EXTENDED_MAX, np.zeros(form.scale.size)
    sizes = [np.abs(r).ravel() for r in reaches]
    need = np.maximum.reduce([none, *(s if s.size == room.size else none + s.max(initial=0.0) for s in sizes)])
    return form if np.all(need <= room) else extended_format(np.maximum(need, room))


def lift(x: Ints, form: Format) -> Ints:
    """An operand with 14 more fraction bits, |result| <= 2^29."""
    return x if form.bits == 32 else shorten(x, form) << LIFT


def shorten(x: Ints, form: Format) -> Ints:
    """An operand of 8 or 16 bits less its zero point, |result| <= 2^15."""
    return np.clip(x - form.zero_point, -32768, 32768)


def lifted_scale(form: Format, operand: Shape, shape: Shape) -> Floats:
    """The LSB of ``lift`` for each element of the result, ``[*shape]``."""
    return broadcast_scale(form, operand, shape) / (1 if form.bits == 32 else 2**LIFT)


@dataclass(frozen=True, eq=False)
class Gain:
    """``y = (m x / 2^30) 2^k``: m int32, 2^29 <= |m| <= 2^30 or 0; k -30..29; both ``[*shape]``."""

    m: Ints
    k: Ints

    @staticmethod
    def of(gain: Floats) -> Gain:
        """The nearest to a gain ``[*shape]``; one too large for k gives the largest number, one too small 0."""
        size = np.maximum(np.abs(gain), 1e-30)
        k = np.ceil(np.log2(size) - 1e-12)
        m = np.where(k < -30, 0, round_half_up(gain / 2.0**k * 2.0**GAIN_BITS))
        limit = 1 << GAIN_BITS
        return Gain(np.clip(m, -limit, limit).astype(np.int64), np.clip(k, -30, EXTENDED_BITS).astype(np.int64))

    def __call__(self, x: Ints) -> Ints:
        return by_power(mul30(self.m, x), self.k)

    def reach(self, x: int) -> Ints:
        """The largest magnitude of a term of |x|."""
        right, left = np.clip(-self.k, 0, 31), np.maximum(self.k, 0)
        y = (np.abs(self.m) * x >> GAIN_BITS) + 2
        down = (y + ((np.int64(1) << right) >> 1)) >> right
        return np.where(self.k < 0, down, np.minimum(y, EXTENDED_MAX >> left) << left)


def lifted(x: Quantity, form: Format) -> Quantity:
    """The text of ``lift``."""
    return x if form.bits == 32 else left(less_zero(x, form), LIFT)


def gained(gain: Gain, x: Quantity) -> Quantity:
    """The text of a ``Gain``: one that is a power of two is a shift."""
    m = uniform(gain.m)
    if m is None or abs(m) != 1 << GAIN_BITS:
        x = element.mul30(numbers(x, gain.m), x)
    elif m < 0:
        x = 0 - x
    return element.by_power(x, gain.k)


@dataclass(frozen=True, eq=False)
class QExtendedSum(ByElement):
    """``y = clip(gain_a a + gain_b b + offset)``, or the larger or smaller of the two terms; y extended or narrower.

    Args:
        sources: formats of the operands, one or two.
        shapes: of the operands on the axes of the result.
        shape: of the result.
        gains: real, one ``[*shape]`` for each operand.
        offset: real, ``[*shape]``.
        limits: real bounds of the result.
        label: tells several of one op apart.
    """

    sources: tuple[Format, ...]
    shapes: tuple[Shape, ...]
    shape: Shape
    gains: tuple[Floats, ...]
    offset: Floats
    limits: tuple[float, float] = (-np.inf, np.inf)
    pick: Pick = "sum"
    label: str = ""

    @property
    def _accumulator(self) -> str:
        return f"{self.label} sum".strip()

    @cached_property
    def _lsb(self) -> Floats:
        return broadcast_scale(self.formats[0], self.shape, self.shape)

    @cached_property
    def terms(self) -> list[Gain]:
        """What each operand is multiplied by, ``[*shape]``."""
        parts = zip(self.gains, self.sources, self.shapes, strict=True)
        return [Gain.of(g * lifted_scale(f, operand, self.shape) / self._lsb) for g, f, operand in parts]

    @cached_property
    def offsets(self) -> Ints:
        """The constant in LSBs, ``[*shape]``."""
        parts = zip(self.gains, self.sources, self.shapes, strict=True)
        residuals = sum((g * f.residual * broadcast_scale(f, o, self.shape) for g, f, o in parts), np.zeros(self.shape))
        zero = self.formats[0].zero_point
        return np.clip(round_half_up((self.offset - residuals) / self._lsb + zero), -EXTENDED_MAX, EXTENDED_MAX)

    @property
    def clip(self) -> tuple[int, int]:
        """Bounds of the result in LSBs."""
        y = self.formats[0]
        if np.isinf(self.limits).all():
            return y.lo, y.hi
        assert y.uniform or not any(np.isfinite(v) and v for v in self.limits)
        lo, hi = (int(np.clip(np.floor(v / y.scale[0] + y.zero_point + 0.5), y.lo, y.hi)) for v in self.limits)
        return lo, hi

    @property
    def operands(self) -> Sequence[Shape]:
        return self.shapes

    def text(self, *x: Quantity) -> Quantity:
        given = [x[min(i, len(x) - 1)] for i in range(len(self.sources))]
        terms = [gained(t, lifted(q, f)) for t, q, f in zip(self.terms, given, self.sources, strict=True)]
        if self.pick != "sum":
            terms = [(most if self.pick == "max" else least)(*terms)]
        name = self._accumulator
        total = terms[0] if len(terms) == 1 else let(name, "both terms", terms[0] + terms[1])
        lo, hi = self.clip
        return clip(let(name, "terms and offset", total + numbers(total, self.offsets)), hi, lo)

    def bounds(self) -> list[Bound]:
        reaches = [t.reach(EXTENDED_MAX) for t in self.terms]
        terms = np.sum(reaches, 0) if self.pick == "sum" else np.max(reaches, 0)
        return [Bound(self.name, self._accumulator, int((np.abs(self.offsets) + terms).max(initial=0)))]

    def calls(self) -> list[KernelCall]:
        small = table_shape(self.shape, self.offsets, *(c for t in self.terms for c in (t.m, t.k)))
        gains, shifts = (np.stack([shrink(c, small) for c in cs], 1).ravel() for cs in self._columns)
        second = self.shapes[-1]
        loops = Loops.over(self.shape, self.shapes[0], second, small)
        assert loops is not None
        a, b = self.sources[0], self.sources[-1]
        lo, hi = self.clip
        n = f"{self.name}_{self.label}" if self.label else self.name
        fields: tuple[Field, ...] = (
            *loops.fields("a", "b", "scale"),
            ("gains", Constant(f"{n}_g", "int32_t", gains, "gain of each operand, 30 fraction bits")),
            ("shifts", Constant(f"{n}_k", "int8_t", shifts, "log2 of what each gain is multiplied by")),
            ("offsets", Constant(f"{n}_o", "int32_t", shrink(self.offsets, small), "LSB of the result")),
            ("operands", len(self.sources)),
            ("pick", ("sum", "max", "min").index(self.pick)),
            ("a_bits", a.bits),
            ("b_bits", b.bits),
            ("y_bits", self.formats[0].bits),
            ("a_zero", a.zero_point),
            ("b_zero", b.zero_point),
            ("lo", lo),
            ("hi", hi),
        )
        other = Arg("input", str(len(self.inputs) - 1)) if len(self.sources) == 2 else Arg("null")
        args = (Arg("input", "0"), other, Arg("output", "0"))
        return [KernelCall("rnnc_extended_sum", "extended.h", "rnnc_extended_sum_params", fields, args)]

    @property
    def _columns(self) -> tuple[list[Ints], list[Ints]]:
        return [t.m for t in self.terms], [t.k for t in self.terms]


@dataclass(frozen=True, eq=False)
class QExtendedProduct(ByElement):
    """``y = clip(gain p)``, p the product of both operands less their zero points: exact where both are short, ``a b / 2^15``
    where one is, else ``a b / 2^30``."""

    sources: tuple[Format, Format]
    shapes: tuple[Shape, Shape]
    shape: Shape

    @property
    def dropped(self) -> int:
        """The bits of the product that p does not have."""
        return 15 * sum(f.bits == 32 for f in self.sources)

    @cached_property
    def gain(self) -> Gain:
        """From the product's LSB to the result's, ``[*shape]``."""
        a, b = (broadcast_scale(f, o, self.shape) for f, o in zip(self.sources, self.shapes, strict=True))
        return Gain.of(a * b * 2.0**self.dropped / broadcast_scale(self.formats[0], self.shape, self.shape))

    @property
    def operands(self) -> Sequence[Shape]:
        return self.shapes

    def text(self, *x: Quantity) -> Quantity:
        a, b = (less_zero(q, f) for q, f in zip(x, self.sources, strict=True))
        if self.dropped == 30:
            p = element.mul30(a, b)
        elif self.dropped:
            p = element.mul15(a, b) if self.sources[1].bits == 32 else element.mul15(b, a)
        else:
            p = let("short product", "a b", a * b)
        y = let("product", "in the LSB of the result", gained(self.gain, p))
        return clip(y, self.formats[0].hi, self.formats[0].lo)

    def bounds(self) -> list[Bound]:
        reach = {0: 1 << 30, 15: EXTENDED_MAX, 30: EXTENDED_MAX // 2}[self.dropped]
        found = [Bound(self.name, "product", int(self.gain.reach(reach).max()))]
        return found if self.dropped else [*found, Bound(self.name, "short product", reach)]

    def calls(self) -> list[KernelCall]:
        small = table_shape(self.shape, self.gain.m, self.gain.k)
        loops = Loops.over(self.shape, *self.shapes, small)
        assert loops is not None
        a, b = self.sources
        fields: tuple[Field, ...] = (
            *loops.fields("a", "b", "scale"),
            ("gains", Constant(f"{self.name}_g", "int32_t", shrink(self.gain.m, small), "30 fraction bits")),
            ("shifts", Constant(f"{self.name}_k", "int8_t", shrink(self.gain.k, small), "log2 of a further factor")),
            ("a_bits", a.bits),
            ("b_bits", b.bits),
            ("y_bits", self.formats[0].bits),
            ("a_zero", a.zero_point),
            ("b_zero", b.zero_point),
            ("lo", self.formats[0].lo),
            ("hi", self.formats[0].hi),
        )
        args = (Arg("input", "0"), Arg("input", "1"), Arg("output", "0"))
        return [KernelCall("rnnc_extended_product", "extended.h", "rnnc_extended_product_params", fields, args)]


def extended_copy(op: Op, inputs: tuple[str, ...], source: Format, gain: Floats, target: Format) -> QExtendedSum:
    """``gain x`` in another format, the source or the target being extended; gain ``[*shape]`` of x."""
    shape = np.shape(gain)
    return QExtendedSum(op, inputs, (target,), (source,), (shape,), shape, (np.asarray(gain),), np.zeros(shape))
