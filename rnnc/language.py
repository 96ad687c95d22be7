"""The integers of a recurrent unit, written once: a function over ``Quantity`` is the oracle, the certificate, and the C.

A text (rnnc/ops/cells.py) is a Python function over a dozen operations on int32. What it computes with is a *reading*:

    Arrays    int64 arrays: what the C computes, with every width asserted
    Intervals    lowest and highest values: the certificate that nothing leaves 32 bits
    CText     C expressions with their ranges (rnnc/backend/cell_text.py): the body of a kernel's loop over units

Structure (peepholes, coupled gates, which activation) is Python, and gone when the text has run; numbers (shifts, limits)
are constants of the C. Every value has an exponent, ``real = raw 2^exponent``; sums of unlike exponents are refused.
A text that yields a value wants all units to have computed it before its rows are multiplied; it is sent their results.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from rnnc import fixed, functions
from rnnc.activations import IntegerActivation, Piece
from rnnc.fixed import FINER, GATE_FRACTION, INT32_MAX, Ints, all_int32

GATE = -GATE_FRACTION
"""The exponent of a preactivation."""
FINE = GATE - FINER
"""The same in a layer of the finer form."""

OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "shl": lambda x, n: x << n,
    "rounded": fixed.shift_round,
    "clip": fixed.clip,
    "where_less": lambda x, y, a, b: np.where(x < y, a, b),
    "mul15": lambda u, d: (u * d + 16384) >> 15,
    "toward": lambda s, t, w: s + ((w * (t - s) + 16384) >> 15),
    "toward30": lambda s, t, w: s + functions.mul30(w, t - s),
    "sigmoid": fixed.sigmoid,
    "tanh": fixed.tanh,
    "sigmoid_fine": lambda p: fixed.sigmoid(p, FINER),
    "tanh_fine": lambda p: fixed.tanh(p, FINER),
    "long_sigmoid": functions.long_sigmoid,
    "curve": lambda p, f: f.interpolate(p),
    "output": lambda p, f: fixed.clip(f(p), -32767, 32767),
    "right": lambda x, n: x >> n,
    "mul30": functions.mul30,
    "by_power": functions.by_power,
    "power_of_two": functions.fine_power_of_two,
    "least": np.minimum,
    "most": np.maximum,
    "fine_quotient": functions.fine_quotient,
    "within": lambda x, lo, hi: ((x >= lo) & (x <= hi)).astype(np.int64),
}
"""What each means. Monotone by argument: all but those that ``Intervals.range_of`` names."""


# --------------------------------------------------------------------------- the language


@dataclass(eq=False, slots=True)
class Quantity:
    """An int32 of each unit in the form of its reading; ``real = raw 2^exponent``."""

    reading: Reading
    raw: Any
    exponent: int

    def __add__(self, other: Quantity | int) -> Quantity:
        return do("add", self, other, exponent=self._like(other))

    def __sub__(self, other: Quantity | int) -> Quantity:
        return do("sub", self, other, exponent=self._like(other))

    def __rsub__(self, other: int) -> Quantity:
        return do("sub", other, self, exponent=self.exponent)

    def __mul__(self, other: Quantity) -> Quantity:
        return do("mul", self, other, exponent=self.exponent + other.exponent)

    def _like(self, other: Quantity | int) -> int:
        assert isinstance(other, int) or other.exponent == self.exponent, "a sum of unlike formats"
        return self.exponent

    def one_less(self) -> Quantity:
        """1 - x."""
        return (1 << -self.exponent) - self


Cell = Generator[Quantity, Quantity, "tuple[Quantity, Quantity | None]"]
"""A running text: what it yields is multiplied by rows; it returns h and the new state."""


def do(op: str, *args: Any, exponent: int) -> Quantity:
    """Apply an operation in the reading of its operands; integers and activations are constants."""
    first = args[0] if isinstance(args[0], Quantity) else args[1]
    reading: Reading = first.reading
    raws = [a.raw if isinstance(a, Quantity) else reading.constant(a) for a in args]
    return Quantity(reading, reading.apply(op, *raws), exponent)


def let(name: str, meaning: str, x: Quantity) -> Quantity:
    """Name a value: a line of the certificate, and a variable of the C with its meaning."""
    return Quantity(x.reading, x.reading.named(name, meaning, x), x.exponent)


def rounded(x: Quantity, exponent: int) -> Quantity:
    """x in units of 2^exponent, which are not finer: rounded half up."""
    return do("rounded", x, exponent - x.exponent, exponent=exponent)


def raised(x: Quantity, exponent: int, limit: int) -> Quantity:
    """x in finer units of 2^exponent, clipped first so that the result is within +-limit."""
    n = x.exponent - exponent
    return do("shl", clip(x, limit >> n), n, exponent=exponent)


def clip(x: Quantity, hi: int, lo: int | None = None) -> Quantity:
    """x within lo .. hi, within +-hi where lo is left out."""
    return do("clip", x, -hi if lo is None else lo, hi, exponent=x.exponent)


def mul15(u: Quantity | int, d: Quantity, exponent: int | None = None) -> Quantity:
    """u d / 2^15, rounded; u of 15 bits and a sign, or 2^15. ``exponent``: of the result, where u is a number."""
    return do("mul15", u, d, exponent=u.exponent + d.exponent + 15 if isinstance(u, Quantity) else (exponent or 0))


def toward(s: Quantity, t: Quantity, share: Quantity) -> Quantity:
    """s + share (t - s): between s and t, for a share within 0 .. 1 with LSB 2^-15."""
    assert s.exponent == t.exponent and share.exponent == -15
    return do("toward", s, t, share, exponent=s.exponent)


def toward30(s: Quantity, t: Quantity | int, share: Quantity) -> Quantity:
    """The same with a share that has LSB 2^-30, within 2 LSB; t may be a number, in the LSB of s."""
    assert share.exponent == -30 and (isinstance(t, int) or s.exponent == t.exponent)
    return do("toward30", s, t, share, exponent=s.exponent)


def long_sigmoid(p: Quantity) -> Quantity:
    """The logistic function of a preactivation with 30 fraction bits."""
    return do("long_sigmoid", raised(p, FINE, functions.LONG_MAX), exponent=-30)


def mul30(m: Quantity, x: Quantity) -> Quantity:
    """m x, m with LSB 2^-30, in the LSB of x."""
    return do("mul30", m, x, exponent=x.exponent)


def upper(s: Quantity) -> Quantity:
    """The int16 of a state with 14 more fraction bits."""
    return clip(rounded(s, s.exponent + 14), 32767)


def activation(f: IntegerActivation, p: Quantity) -> Quantity:
    """f of a preactivation, LSB 2^(f.exponent - 15)."""
    fine = "_fine" if p.exponent == FINE else ""
    assert p.exponent == GATE or (fine and f.kind in ("tanh", "sigmoid"))
    if f.kind == "tanh":
        y = rounded(do(f"tanh{fine}", clip(p, fixed.TANH_MAX), exponent=-15), f.exponent - 15)
    elif f.kind == "sigmoid":
        y = rounded(do(f"sigmoid{fine}", p, exponent=-15), f.exponent - 15)
    elif f.kind == "pieces":
        p = Quantity(p.reading, p.reading.kept_once(p), p.exponent)
        below, above = (_line(piece, p, f.exponent - 15) for piece in f.pieces)
        y = do("where_less", p, f.threshold, below, above, exponent=f.exponent - 15)
    else:
        y = do("curve", p, f, exponent=f.exponent - 15)
    return clip(y, f.hi, f.lo)


def _line(piece: Piece, p: Quantity, exponent: int) -> Quantity:
    y = mul15(piece.u, p, exponent - piece.s)
    return (rounded(y, exponent) if piece.s >= 0 else raised(y, exponent, 2**20 << -piece.s)) + piece.offset


def output(f: IntegerActivation, p: Quantity) -> Quantity:
    """f as an int16 that a layer gives out; of those in runtime_c/lut.h, the C takes any by its name."""
    if f.named and (f.kind == "relu" or p.exponent == GATE):
        return do("output", clip(p, fixed.TANH_MAX) if f.kind == "tanh" else p, f, exponent=f.exponent - 15)
    return clip(activation(f, p), 32767)


def run(cell: Cell, rows: Callable[[Quantity], Quantity]) -> tuple[Quantity, Quantity | None]:
    """Run a text to its end; ``rows`` answers what it yields."""
    try:
        operand = next(cell)
        while True:
            operand = cell.send(rows(operand))
    except StopIteration as end:
        h, s = end.value
        return h, s


# --------------------------------------------------------------------------- readings


class Reading:
    """What operations work on."""

    def constant(self, n: Any) -> Any:
        """An integer, or an activation."""
        return n

    def numbers(self, values: Ints) -> Any:
        """A constant of each element."""
        return self.constant(int(values.flat[0])) if np.all(values == values.flat[0]) else self.differing(values)

    def differing(self, values: Ints) -> Any:
        """Constants that are not the same for all elements."""
        return values

    def named(self, name: str, meaning: str, x: Quantity) -> Any:
        """A value that the text gives a name."""
        return x.raw

    def kept_once(self, x: Quantity) -> Any:
        """A value that is read more than once."""
        return x.raw

    def apply(self, op: str, *args: Any) -> Any:
        """An operation of OPERATIONS."""
        raise NotImplementedError


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
        elif op == "fine_quotient":
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
