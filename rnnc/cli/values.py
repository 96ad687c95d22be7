"""Values of options as the command line writes them: NAME=VALUE, ranges, formats, scales. Each raises ValueError."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from rnnc.errors import UsageError
from rnnc.flags import BYTE_BITS, CHANNEL_MARK, WORD_BITS, q_bits
from rnnc.options import Pair

T = TypeVar("T")


def pairs(flag: str, items: Sequence[str] | None, read: Callable[[str], T]) -> dict[str, T]:
    """NAME=VALUE options as a mapping; raises UsageError where one is not of that form."""
    result = {}
    for item in items or ():
        name, equals, value = item.rpartition("=")
        if not name or not equals:
            raise UsageError(f"{flag} {item}: expected NAME=VALUE")
        if name in result:
            raise UsageError(f"{flag} {item}: {name!r} is given twice")
        try:
            result[name] = read(value)
        except ValueError as error:
            raise UsageError(f"{flag} {item}: {error}") from None
    return result


def at_least_one(flag: str, value: int | None, hint: str) -> int:
    """The value, 0 where it is not given; raises UsageError where 0 is given. What is less is refused by Options."""
    if value == 0:
        raise UsageError(f"{flag} {value}: must be at least 1", hint=hint)
    return value or 0


def number(text: str) -> float:
    """A number."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


def _channels(text: str) -> float | tuple[float, ...]:
    """A number, or one for each channel."""
    numbers = tuple(map(number, text.split(CHANNEL_MARK)))
    return numbers[0] if len(numbers) == 1 else numbers


def value_range(text: str) -> Pair:
    """LO:HI, each a number or one for each channel."""
    lo, colon, hi = text.partition(":")
    if not colon:
        raise ValueError("expected LO:HI")
    return _channels(lo), _channels(hi)


def axis(text: str) -> int | None:
    """The number of an axis, or none."""
    if text != "none" and not text.removeprefix("-").isdecimal():
        raise ValueError("expected the number of an axis, or none")
    return None if text == "none" else int(text)


def fraction(text: str) -> int:
    """n of qM.N."""
    whole, bits = _q(text)
    if whole + bits != WORD_BITS:
        raise ValueError(f"expected qM.N with M + N = {WORD_BITS}, q4.11 say")
    return bits


def input_fraction(text: str) -> int | str:
    """n of qM.N; the text itself for int8."""
    whole, bits = _q(text)
    if whole + bits == BYTE_BITS:
        return f"q{whole}.{bits}"
    if whole + bits != WORD_BITS:
        raise ValueError(f"expected qM.N with M + N = {WORD_BITS}, q4.11 say, or {BYTE_BITS} for int8, q3.4 say")
    return bits


def _q(text: str) -> tuple[int, int]:
    """m and n of qm.n, whose q may be missing; what is neither adds up to nothing that is taken."""
    try:
        return q_bits(f"q{text.lower().removeprefix('q')}")
    except ValueError:
        return 0, 0


def affine(text: str) -> Pair:
    """SCALE,OFFSET, each a number or one for each channel."""
    scale, comma, offset = text.partition(",")
    if not comma or "," in offset:
        raise ValueError("expected SCALE,OFFSET, or by channel S0/S1/..,O0/O1/..")
    return _channels(scale), _channels(offset)
