"""Texts of rnnc/language.py as C expressions: the body of a loop, with the range and format of every variable.

What the ranges show to be idle is left out: a clip within its limits, a shift by 0, a product in two halves where one fits.
So the text of a plain layer, whatever its options could have been, is the plain kernel. Intervals are those of the domain (any
preactivation that 32 bits hold, any state), not of one layer's weights: layers of one form share their code.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rnnc.activations import IntegerActivation
from rnnc.language import Quantity
from rnnc.readings import Intervals, Range

WIDTH = 96
FORMS = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "shl": "{} * {}",
    "rounded": "rnnc_right({} + {}, {})",
    "clip": "rnnc_clip({}, {}, {})",
    "where_less": "{} < {} ? {} : {}",
    "mul15": "rnnc_mul15({}, {})",
    "short15": "rnnc_right({} * {} + 16384, 15)",
    "toward": "{0} + rnnc_mul15({2}, {1} - {0})",
    "toward30": "{0} + rnnc_mul30({2}, {1} - {0})",
    "long_sigmoid": "rnnc_long_sigmoid({})",
    "sigmoid": "rnnc_sigmoid({})",
    "tanh": "rnnc_tanh({})",
    "sigmoid_fine": "rnnc_sigmoid_fine({})",
    "tanh_fine": "rnnc_tanh_fine({})",
    "curve": "rnnc_chord({1}, {0})",
    "output": "rnnc_activate(activation, {})",
    "right": "rnnc_right({}, {})",
    "mul30": "rnnc_mul30({}, {})",
    "by_power": "rnnc_by_power({}, {})",
    "power_of_two": "rnnc_fine_power_of_two({})",
    "fine_quotient": "rnnc_fine_quotient({}, {}, {}, {})",
    "least": "rnnc_picked(2, {}, {})",
    "most": "rnnc_picked(1, {}, {})",
    "within": "({0} >= {1} && {0} <= {2})",
}
CALLS = (
    *("clip", "mul15", "sigmoid", "tanh", "sigmoid_fine", "tanh_fine", "long_sigmoid", "curve", "output"),
    *("right", "mul30", "by_power", "power_of_two", "fine_quotient", "least", "most", "within"),
)
"""Whose operands stand between commas, and need no parentheses."""
SHIFTS = ("rounded", "short15")
"""Calls as well, of a sum."""
SUMS = ("add", "sub", "mul", "shl", "toward", "toward30")
"""What may be added to as it stands."""


@dataclass(frozen=True)
class Written(Range):
    """A range with the C expression that has it; ``phase`` is the loop that computes a variable, -1 for others.

    ``atom``: it needs no parentheses as an operand; ``additive``: none as the first operand of a sum.
    """

    text: str = ""
    phase: int = -1
    atom: bool = True

    additive: bool = False

    @property
    def inner(self) -> str:
        """The expression as an operand."""
        return self.text if self.atom else f"({self.text})"


@dataclass
class CText(Intervals):
    """C expressions.

    Args:
        phases: the statements of each loop over units; a yield ends a loop.
        kept: variables that a later loop reads, with their C types: each has an array.
        named_activation: the activation that the C is told by its name.
        temporaries: how many variables the text has no name for.
        curves: the activations that it interpolates in tables.
    """

    phases: list[list[str]] = field(default_factory=lambda: [[]])
    kept: dict[str, str] = field(default_factory=dict)
    named_activation: IntegerActivation | None = None
    temporaries: int = 0
    curves: list[IntegerActivation] = field(default_factory=list)

    def constant(self, n: Any) -> Any:
        if isinstance(n, int):
            return Written(n, n, str(n))
        return n

    def leaf(self, text: str, reach: int, exponent: int) -> Quantity:
        """What is read, within +-reach."""
        return Quantity(self, Written(-reach, reach, text), exponent)

    def named(self, name: str, meaning: str, x: Quantity) -> Written:
        return self._variable(name, meaning, x)

    def _variable(self, name: str, meaning: str, x: Quantity) -> Written:
        if x.raw.phase == len(self.phases) - 1:  # a variable by another name
            return self._as(x.raw, x.raw)
        lo, hi, lsb = x.raw.lo, x.raw.hi, 2.0**x.exponent
        self._write(f"/* {meaning}: {lo} .. {hi}, LSB 2^{x.exponent}, {lo * lsb:.6g} .. {hi * lsb:.6g} */")
        self._write(f"int32_t {name} = {x.raw.text};")
        return Written(lo, hi, name, len(self.phases) - 1)

    def kept_once(self, x: Quantity) -> Written:
        if x.raw.phase >= 0:
            return self._as(x.raw, x.raw)
        self.temporaries += 1
        return self._variable(f"p{self.temporaries}", "a preactivation", x)

    def apply(self, op: str, *args: Any) -> Written:
        r = self.range_of(op, *args)
        x, y = args[0], args[-1] if len(args) == 1 else args[1]
        if r.lo == r.hi:
            return Written(r.lo, r.lo, str(r.lo))
        if op in ("add", "sub", "shl", "rounded", "right") and y == self.constant(0):
            return self._as(x, r)
        if op == "clip" and x.within(y.lo, args[2].lo):
            return self._as(x, r)
        if op == "where_less" and args[2].text == args[3].text:
            return self._as(args[2], r)
        if op == "mul15" and x.within(32768, 32768):
            return self._as(y, r)
        if op == "mul15" and self.short15(x, y):
            op = "short15"
        return Written(r.lo, r.hi, self._text(op, args), -1, op in (*CALLS, *SHIFTS), op in SUMS)

    @staticmethod
    def _as(x: Written, r: Range) -> Written:
        return Written(r.lo, r.hi, x.text, x.phase, x.atom, x.additive)

    def _text(self, op: str, args: Sequence[Any]) -> str:
        if op == "shl":
            return FORMS[op].format(self._read(args[0]), 1 << args[1].lo)
        if op == "rounded":
            x = self._read(args[0], bare=args[0].additive)
            return FORMS[op].format(x, 1 << args[1].lo >> 1, args[1].lo)
        if op == "sub" and args[0] == self.constant(0):
            return f"-{self._read(args[1])}"
        if op == "toward30" and args[1] == self.constant(0):
            return "{0} + rnnc_mul30({1}, -{0})".format(self._read(args[0]), self._read(args[2], bare=True))
        if op == "output":
            self.named_activation = args[1]
        if op == "curve":
            if args[1] not in self.curves:
                self.curves.append(args[1])
            return FORMS[op].format(self._read(args[0], bare=True), f"curve{self.curves.index(args[1])}")
        texts = [self._read(a, bare=op in CALLS) for a in args if isinstance(a, Written)]
        return FORMS[op].format(*texts)

    def _read(self, x: Written, bare: bool = False) -> str:
        """An operand; a variable of an earlier loop is kept in an array."""
        if x.phase in (-1, len(self.phases) - 1):
            return x.text if bare else x.inner
        if x.text not in self.kept:
            ctype = "uint16_t" if x.within(0, 65535) else "int16_t" if x.within(-32768, 32767) else "int32_t"
            self.kept[x.text] = ctype
            self.phases[x.phase].append(f"kept_{x.text}[k] = ({ctype}){x.text};")
        return f"kept_{x.text}[k]"

    def store(self, target: str, x: Quantity, ctype: str = "") -> None:
        """Assign at the end of the loop that computes x."""
        cast = f"({ctype})" if ctype else ""
        self.phases[x.raw.phase].append(f"{target} = {cast}{x.raw.text};")

    def _write(self, line: str) -> None:
        self.phases[-1].append(line)


def wrapped(line: str, indent: int) -> list[str]:
    """Lines of at most WIDTH columns, broken behind commas and operators."""
    glued = re.sub(r"(?<![,=+*?:]) ", "\0", line)
    lines = textwrap.wrap(glued, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 4))
    return [text.replace("\0", " ") for text in lines]
