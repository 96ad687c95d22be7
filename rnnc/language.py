"""The integers of a recurrent unit, written once: a function over ``Quantity`` is the oracle, the certificate, and the C.

A text (rnnc/ops/cells.py) is a Python function over a dozen operations on int32. What it computes with is a *reading*:

    Arrays    int64 arrays: what the C computes, with every width asserted (rnnc/readings.py)
    Intervals    lowest and highest values: the certificate that nothing leaves 32 bits (rnnc/readings.py)
    CText     C expressions with their ranges (rnnc/ctext.py): the body of a kernel's loop over units

Structure (peepholes, coupled gates, which activation) is Python, and gone when the text has run; numbers (shifts, limits)
are constants of the C. Every value has an exponent, ``real = raw 2^exponent``; sums of unlike exponents are refused.
A text that yields a value wants all units to have computed it before its rows are multiplied; it is sent their results.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnc import fixed, functions
from rnnc.activations import IntegerActivation, Piece
from rnnc.fixed import FINER, GATE_FRACTION, Ints

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
    "quotient": functions.quotient,
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
