"""Arithmetic on the states that a graph itself feeds back, in 32 bits: an int16 state would stick short of its limit.

A wide value is int32 with 14 more fraction bits than int16, saturated at +-(32767 << 14). Operands of 8 and 16 bits are
shifted left by 14. Add, Sub, Mul and arithmetic with constants take this form on every path that ends in such a state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnnc.fixed import Floats, Format, Ints, int32, mul15, round_half_up, shift_round
from rnnc.net import Array, Op, Probe, States, no_probe
from rnnc.ops.elementwise import Loops, Shape, broadcast, shrink, table_shape
from rnnc.qnet import Arg, Bound, Constant, Field, KernelCall, QOp

LIFT = 14
WIDE_MAX = 32767 << LIFT
TERM_MAX = 1 << 29
"""|lifted operand|, and what a term is clipped to before it is shifted left."""


def wide_format(limit: float) -> Format:
    """A wide value with room for ``limit``."""
    return Format(32, np.array([limit / 32767 / 2**LIFT]), 0, -WIDE_MAX, WIDE_MAX)


def with_room(form: Format, *reaches: Floats) -> Format:
    """A wide format in which no term of a sum saturates by itself, given the magnitudes that the terms reach.

    1 - z of a gate that hardly moves is small, and neither 1 nor z is.
    """
    limit, need = float(form.scale[0]) * WIDE_MAX, max(float(np.max(np.abs(r), initial=0.0)) for r in reaches)
    return form if need <= limit else wide_format(need)


def lift(x: Ints, form: Format) -> Ints:
    """An operand with 14 more fraction bits, |result| <= 2^29."""
    if form.bits == 32:
        return x
    return np.clip(x - form.zero_point, -32768, 32768) << LIFT


def lifted_scale(form: Format) -> float:
    """The LSB of ``lift``; the format is uniform."""
    return float(form.scale[0]) / (1 if form.bits == 32 else 2**LIFT)


@dataclass(frozen=True, eq=False)
class Terms:
    """``y = base x + (m x / 2^15) / 2^s``: x times a gain that is exact where it is 0 or +-1, fine where it is near them.

    base -1..1, m int16, s -10..15 (a negative one shifts left, after clipping), all ``[*shape]``.
    """

    base: Ints
    m: Ints
    s: Ints

    @staticmethod
    def of(gain: Floats) -> Terms:
        """The nearest to a gain ``[*shape]``, |gain| < 2^10."""
        base = np.where(np.abs(np.abs(gain) - 1) < 0.5, np.sign(gain), 0)
        rest = gain - base
        s = np.where(
            rest == 0, 0, np.clip(np.floor(-np.log2(np.maximum(np.abs(rest), 1e-30) * 32768 / 32767)), -10, 15)
        )
        m = np.clip(round_half_up(rest * 2.0 ** (15 + s)), -32767, 32767)
        return Terms(base.astype(np.int64), m, s.astype(np.int64))

    def reach(self, x: int) -> Ints:
        """The largest magnitude of a term of |x|, and of what it is made of."""
        scaled = (np.abs(self.m) * x >> 15) + 1
        right, left = np.maximum(self.s, 0), np.maximum(-self.s, 0)
        rounded = (scaled + (np.int64(1) << right >> 1)) >> right
        return np.asarray(np.abs(self.base) * x + np.where(self.s >= 0, rounded, np.minimum(scaled << left, TERM_MAX)))

    def __call__(self, x: Ints, what: str) -> Ints:
        y = mul15(self.m, x)
        right, left = np.maximum(self.s, 0), np.maximum(-self.s, 0)
        down = (y + (np.int64(1) << right >> 1)) >> right
        room = TERM_MAX >> left
        return int32(self.base * x + np.where(self.s >= 0, down, np.clip(y, -room, room) << left), what)


@dataclass(frozen=True, eq=False)
class QWideSum(QOp):
    """``y = clip(term_a(a) + term_b(b) + offset)``.

    Args:
        sources: formats of the operands, one or two, each uniform.
        shapes: of the operands on the axes of the result.
        shape: of the result.
        gains: real, one ``[*shape]`` for each operand.
        offset: real, ``[*shape]``.
        limits: real bounds of the result.
    """

    sources: tuple[Format, ...]
    shapes: tuple[Shape, ...]
    shape: Shape
    gains: tuple[Floats, ...]
    offset: Floats
    limits: tuple[float, float] = (-np.inf, np.inf)

    @cached_property
    def terms(self) -> list[Terms]:
        """What each operand is multiplied by."""
        lsb = self.formats[0].scale[0]
        return [Terms.of(g * lifted_scale(f) / lsb) for g, f in zip(self.gains, self.sources, strict=True)]

    @cached_property
    def offsets(self) -> Ints:
        """The constant in LSBs, ``[*shape]``."""
        shifted = self.offset - sum(
            (g * f.residual * f.scale[0] for g, f in zip(self.gains, self.sources, strict=True)), np.zeros(self.shape)
        )
        return np.clip(round_half_up(shifted / self.formats[0].scale[0]), -TERM_MAX, TERM_MAX)

    @property
    def clip(self) -> tuple[int, int]:
        """Bounds of the result in LSBs."""
        y = self.formats[0]
        lo, hi = (int(np.clip(np.floor(v / y.scale[0] + 0.5), y.lo, y.hi)) for v in self.limits)
        return lo, hi

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        total = np.broadcast_to(self.offsets, (*inputs[0].shape[:2], *self.shape))
        for term, form, shape, x in zip(self.terms, self.sources, self.shapes, inputs, strict=True):
            total = int32(total + term(broadcast(lift(x, form), shape), "sum"), "sum")
        return [np.clip(total, *self.clip)]

    def bounds(self) -> list[Bound]:
        reach = np.abs(self.offsets)
        for t in self.terms:
            reach = reach + t.reach(TERM_MAX)
        return [Bound(self.name, "sum", int(reach.max(initial=0)))]

    def calls(self) -> list[KernelCall]:
        columns = [c for t in self.terms for c in (t.m, t.s, t.base)]
        small = table_shape(self.shape, self.offsets, *columns)
        terms = np.stack([shrink(c, small) for c in columns], 1).reshape(-1, 3)
        loops = Loops.over(self.shape, *self.shapes, *(() if len(self.shapes) == 2 else (self.shapes[0],)), small)
        assert loops is not None
        a, b = self.sources[0], self.sources[-1]
        lo, hi = self.clip
        fields: tuple[Field, ...] = (
            *loops.fields("a", "b", "scale"),
            ("terms", Constant(f"{self.name}_t", "rnnc_wide_term", terms, "multiplier, shift, base of each operand")),
            ("offsets", Constant(f"{self.name}_o", "int32_t", shrink(self.offsets, small), "LSB of the result")),
            ("operands", len(self.sources)),
            ("a_bits", a.bits),
            ("b_bits", b.bits),
            ("a_zero", a.zero_point),
            ("b_zero", b.zero_point),
            ("lo", lo),
            ("hi", hi),
        )
        second = Arg("input", "1") if len(self.sources) == 2 else Arg("null")
        args = (Arg("input", "0"), second, Arg("output", "0"))
        return [KernelCall("rnnc_wide_sum", "wide.h", "rnnc_wide_sum_params", fields, args)]


@dataclass(frozen=True, eq=False)
class QWideProduct(QOp):
    """``y = clip(term(u d / 2^15))``: u is a as int16 (the upper half of a wide one), d is b lifted."""

    sources: tuple[Format, Format]
    shapes: tuple[Shape, Shape]
    shape: Shape

    @property
    def swapped(self) -> bool:
        """Whether b is the factor of 16 bits: it is where a alone is wide."""
        return self.sources[0].bits == 32 and self.sources[1].bits != 32

    @cached_property
    def term(self) -> Terms:
        """From the product's LSB to the result's."""
        u, d = self.sources[::-1] if self.swapped else self.sources
        factor = u.scale[0] * (2**LIFT if u.bits == 32 else 1)
        return Terms.of(np.array(factor * 2**15 * lifted_scale(d) / self.formats[0].scale[0]))

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        operands = [broadcast(x, s) for x, s in zip(inputs, self.shapes, strict=True)]
        (u, d), (fu, fd) = (operands[::-1], self.sources[::-1]) if self.swapped else (operands, self.sources)
        factor = shift_round(u, LIFT) if fu.bits == 32 else u - fu.zero_point
        product = mul15(np.clip(factor, -32768, 32768), lift(d, fd))
        y = self.formats[0]
        return [np.clip(self.term(product, "product"), y.lo, y.hi)]

    def bounds(self) -> list[Bound]:
        return [Bound(self.name, "product", int(self.term.reach(TERM_MAX).max()))]

    def calls(self) -> list[KernelCall]:
        order = (1, 0) if self.swapped else (0, 1)
        (u, d), shapes = [self.sources[i] for i in order], [self.shapes[i] for i in order]
        loops = Loops.over(self.shape, *shapes, tuple(1 for _ in self.shape))
        assert loops is not None
        t = self.term
        fields: tuple[Field, ...] = (
            *loops.fields("a", "b", "scale"),
            ("term", (("m", int(t.m)), ("s", int(t.s)), ("base", int(t.base)))),
            ("u_bits", u.bits),
            ("d_bits", d.bits),
            ("u_zero", u.zero_point),
            ("d_zero", d.zero_point),
        )
        args = (Arg("input", str(order[0])), Arg("input", str(order[1])), Arg("output", "0"))
        return [KernelCall("rnnc_wide_product", "wide.h", "rnnc_wide_product_params", fields, args)]


def wide_copy(op: Op, inputs: tuple[str, ...], source: Format, gain: Floats, target: Format) -> QWideSum:
    """``gain x`` as a wide value; gain ``[*shape]`` of x."""
    shape = np.shape(gain)
    return QWideSum(op, inputs, (target,), (source,), (shape,), shape, (np.asarray(gain),), np.zeros(shape))
