"""Ops whose integers are a text over single elements (rnnc/language.py): the oracle, and the C of a loop of several.

Values are raw integers: formats are Python's, and gone when the text has run.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from rnnc import fixed
from rnnc.fixed import Format, Ints
from rnnc.functions import FINE_MAX
from rnnc.language import Quantity, clip, do, let
from rnnc.net import Array, Probe, States, no_probe
from rnnc.ops.elementwise import Combination, Shape
from rnnc.qnet import QOp
from rnnc.readings import Elements


class ByElement(QOp):
    """An op in integers that computes each element of its output from the same element of each input."""

    @property
    def joins(self) -> bool:
        """Whether its text may be part of a loop of the C."""
        return True

    @property
    def operands(self) -> Sequence[Shape]:
        """The shape of each input on the axes of the result, 1 where it is broadcast; none where all are vectors."""
        return ()

    @abstractmethod
    def text(self, *x: Quantity) -> Quantity:
        """The integer of an element, given those of the inputs. What has a name (``let``) is a line of the certificate."""

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        shapes = self.operands or [(math.prod(x.shape[2:]),) for x in inputs]
        aligned = (x.reshape(*x.shape[:2], *shape) for x, shape in zip(inputs, shapes, strict=False))
        reading = Elements(self.name)
        return [self.text(*(Quantity(reading, x, 0) for x in aligned)).raw]


def uniform(values: Ints) -> int | None:
    """The number that all elements share, None where they differ."""
    return int(values.flat[0]) if np.all(values == values.flat[0]) else None


def numbers(like: Quantity, values: Ints) -> Quantity:
    """A constant of each element, in the reading of ``like``."""
    return Quantity(like.reading, like.reading.numbers(values), 0)


def less_zero(x: Quantity, form: Format) -> Quantity:
    """The distance from the format's zero point, within +-2^15; an extended value as it is."""
    return x if form.bits == 32 else clip(x - form.zero_point, 32768)


def right(x: Quantity, n: Ints) -> Quantity:
    """x >> n."""
    return do("right", x, numbers(x, n), exponent=0)


def left(x: Quantity, n: int) -> Quantity:
    """x 2^n."""
    return do("shl", x, n, exponent=0)


def rounded(x: Quantity, n: int) -> Quantity:
    """x / 2^n, rounded half up."""
    return do("rounded", x, n, exponent=0)


def mul15(u: Quantity, d: Quantity) -> Quantity:
    """u d / 2^15, rounded; u of 15 bits and a sign, or 2^15."""
    return do("mul15", u, d, exponent=0)


def mul30(m: Quantity, x: Quantity) -> Quantity:
    """m x / 2^30, rounded."""
    return do("mul30", m, x, exponent=0)


def by_power(x: Quantity, k: Ints) -> Quantity:
    """x 2^k, rounded where k < 0, clipped to +-2^29 before it is shifted left."""
    shift = uniform(k)
    if shift is None:
        return do("by_power", x, numbers(x, k), exponent=0)
    return rounded(x, -shift) if shift < 0 else left(clip(x, FINE_MAX >> shift), shift)


def power_of_two(x: Quantity) -> Quantity:
    """2^(x / 2^24), rounded, at most 2^29."""
    return do("power_of_two", x, exponent=0)


def least(x: Quantity, y: Quantity) -> Quantity:
    """The smaller of the two."""
    return do("least", x, y, exponent=0)


def most(x: Quantity, y: Quantity) -> Quantity:
    """The larger of the two."""
    return do("most", x, y, exponent=0)


def quotient(u: Quantity, v: Quantity, constant: Ints, hi: int, *, fine: bool) -> Quantity:
    """u / v 2^(constant / 2^16), within +-hi; ``fine``: of extended values."""
    return do("fine_quotient" if fine else "quotient", u, v, numbers(u, constant), hi, exponent=0)


def within(x: Quantity, lo: Ints, hi: Ints) -> Quantity:
    """1 where lo <= x <= hi, 0 else."""
    x = Quantity(x.reading, x.reading.kept_once(x), 0)
    return do("within", x, numbers(x, lo), numbers(x, hi), exponent=0)


def squash(function: str, p: Quantity) -> Quantity:
    """sigmoid or tanh of a preactivation, LSB 2^-15."""
    return do(function, clip(p, fixed.TANH_MAX) if function == "tanh" else p, exponent=0)


def combined(c: Combination, *x: Quantity, what: str = "sum") -> Quantity:
    """The weighted sum of a ``Combination``, under the name ``what``."""
    total, *more = (let(what, "a term", y * numbers(y, factor)) for factor, y in zip(c.factors, x, strict=True))
    for term in more:
        total = let(what, "terms", total + term)
    return right(let(what, "terms and offset", total + numbers(total, c.offset)), c.shift)
