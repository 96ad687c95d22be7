"""Readings of a text of rnnc/language.py as numbers: arrays, which are the oracle, and intervals, which are the certificate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from rnnc.activations import IntegerActivation
from rnnc.fixed import INT32_MAX, Ints, all_int32, int32
from rnnc.language import OPERATIONS, Quantity, Reading


@dataclass
class Arrays(Reading):
    """int64 arrays: the oracle. Every result, and every product and sum on the way to it, is asserted to fit 32 bits.

    Args:
        what: whose integers they are.
        short: of each mul15 in turn, whether one product does (``Intervals.short``).
        terms: what was computed since the last value with a name.
        found: what was computed before, with the name that came after it.
    """

    what: str
    short: Iterator[bool]
    terms: list[Ints] = field(default_factory=list)
    found: list[tuple[str, Ints]] = field(default_factory=list)

    def named(self, name: str, meaning: str, x: Quantity) -> Any:
        self.found += [(name if term is x.raw else f"{name}, terms", term) for term in self.terms]
        self.terms.clear()
        return x.raw

    def finish(self) -> None:
        """Assert the widths of all that was computed, at once: the text has run, and nothing was kept of it yet."""
        self.found += [("output, terms", term) for term in self.terms]
        all_int32(self.what, self.found)

    def apply(self, op: str, *args: Any) -> Ints:
        if op == "mul15":
            u, d = np.asarray(args[0]), args[1]
            self.terms += [u * d + 16384] if next(self.short) else [u * (d >> 15), u * (d & 32767) + 16384]
        elif op == "toward":
            s, t, w = args
            self.terms.append(s + self.apply("mul15", w, self.apply("sub", t, s)))
        elif op == "toward30":
            self.terms.append(args[1] - args[0])
        elif op == "rounded":
            self.terms.append(args[0] + (1 << args[1] >> 1))
        self.terms.append(np.asarray(OPERATIONS[op](*args)))
        return self.terms[-1]


@dataclass
class Elements(Reading):
    """int64 arrays: the oracle of ops of single elements. What has a name is asserted to fit 32 bits.

    Args:
        what: whose integers they are.
    """

    what: str

    def numbers(self, values: Ints) -> Ints:
        return values

    def named(self, name: str, meaning: str, x: Quantity) -> Ints:
        return int32(x.raw, f"{self.what} {name}")

    def apply(self, op: str, *args: Any) -> Ints:
        return np.asarray(OPERATIONS[op](*args))


@dataclass(frozen=True)
class Range:
    """What a value can be."""

    lo: int
    hi: int

    @property
    def worst(self) -> int:
        """The largest magnitude."""
        return max(abs(self.lo), abs(self.hi))

    def within(self, lo: int, hi: int) -> bool:
        """Whether it always is in lo .. hi."""
        return self.lo >= lo and self.hi <= hi


WORD = Range(-INT32_MAX - 1, INT32_MAX)


@dataclass
class Intervals(Reading):
    """Lowest and highest values of everything: the certificate.

    A range beyond 32 bits is recorded, and goes on as what 32 bits hold: whoever reads ``worst`` refuses it.

    Args:
        worst: the reach of each named value, and of what it is made of where that is more.
        short: of each mul15 in turn, whether one product does.
    """

    worst: dict[str, int] = field(default_factory=dict)
    short: list[bool] = field(default_factory=list)
    terms: int = 0

    def constant(self, n: Any) -> Any:
        return Range(n, n) if isinstance(n, int) else n

    def differing(self, values: Ints) -> Any:
        return Range(int(values.min()), int(values.max()))

    def named(self, name: str, meaning: str, x: Quantity) -> Any:
        self._record(name, x.raw.worst)
        if self.terms > x.raw.worst:
            self._record(f"{name}, terms", self.terms)
        self.terms = 0
        return x.raw

    def finish(self) -> None:
        """Record what no name followed."""
        if self.terms:
            self._record("output, terms", self.terms)

    def _record(self, name: str, worst: int) -> None:
        self.worst[name] = max(self.worst.get(name, 0), worst)

    def apply(self, op: str, *args: Any) -> Any:
        return self.range_of(op, *args)

    def range_of(self, op: str, *args: Any) -> Range:
        """The result's range; the reach of it and of what the C computes on the way is recorded."""
        if op == "curve":
            found = self._curve(*args)
        elif op == "output":
            found = _hull(int(OPERATIONS[op](np.asarray(v), args[1])) for v in (args[0].lo, args[0].hi))
        elif op == "where_less":
            found = _hull(v for r in args[2:] for v in (r.lo, r.hi))
        elif op == "toward":
            found = self._toward(*args)
        elif op == "toward30":
            found = self._toward30(*args)
        elif op in ("long_sigmoid", "within"):
            found = Range(0, 1 if op == "within" else 1 << 30)
        elif op in ("fine_quotient", "quotient"):
            u, v, _, hi = args
            found = Range(0 if min(u.lo, v.lo) >= 0 else -hi.hi, hi.hi)
        elif op == "mul30":
            ends = [m * x >> 30 for m, x in product(*((a.lo, a.hi) for a in args))]
            found = Range(min(ends) - 1, max(ends) + 2)
        else:
            self._inside(op, *args)
            found = _corners(op, *args)
        self.terms = max(self.terms, found.worst)
        return Range(max(found.lo, WORD.lo), min(found.hi, WORD.hi))

    def _inside(self, op: str, *args: Range) -> None:
        """What an operation computes on the way to its result."""
        if op == "rounded":
            self.range_of("add", args[0], Range(0, 1 << args[1].lo >> 1))
        elif op == "mul15":
            u, d = args
            self.short.append(self.short15(u, d))
            if self.short[-1]:
                self.range_of("add", self.range_of("mul", u, d), Range(16384, 16384))
                return
            self.range_of("mul", u, Range(d.lo >> 15, d.hi >> 15))
            self.range_of("add", self.range_of("mul", u, Range(0, 32767)), Range(16384, 16384))

    @staticmethod
    def short15(u: Range, d: Range) -> bool:
        """Whether u d + 2^14 fits 32 bits: then one product does."""
        return u.worst <= 32768 and u.worst * d.worst + 16384 <= INT32_MAX

    def _toward(self, s: Range, t: Range, w: Range) -> Range:
        """A rounded mean of s and t lies between them."""
        change = self.range_of("mul15", w, self.range_of("sub", t, s))
        return _hull((s.lo, s.hi, t.lo, t.hi)) if w.within(0, 32768) else self.range_of("add", s, change)

    def _toward30(self, s: Range, t: Range, w: Range) -> Range:
        """The same with a share of 30 bits, whose product may be 2 LSB too far."""
        assert w.within(0, 1 << 30)
        self.range_of("mul30", w, self.range_of("sub", t, s))
        return Range(min(s.lo, t.lo) - 2, max(s.hi, t.hi) + 2)

    @staticmethod
    def _curve(p: Range, f: IntegerActivation) -> Range:
        """Chords: the extremes are at the ends of p and at the knots between."""
        starts = [*(s.offset for s in f.segments[1:]), len(f.knots)]
        at = np.concatenate(
            [s.first + (np.arange(n - s.offset) << s.step) for s, n in zip(f.segments, starts, strict=True)]
        )
        inner = f.knots[(at > p.lo) & (at < p.hi)]
        return _hull([*f.interpolate(np.array([p.lo, p.hi])).tolist(), *inner.tolist()])


def _hull(values: Any) -> Range:
    found = list(values)
    return Range(min(found), max(found))


def _corners(op: str, *args: Range) -> Range:
    """The range of a monotone operation: its extremes are at the ends of its arguments."""
    ends: Sequence[tuple[int, ...]] = list(product(*({a.lo, a.hi} for a in args)))
    if len(args) == 1:
        return _hull(int(OPERATIONS[op](np.asarray(x))) for (x,) in ends)
    return _hull(int(OPERATIONS[op](*e)) for e in ends)
