"""What a target's compilers and an int of 16 bits can hold."""

from __future__ import annotations

from rnnc.backend.program import Program
from rnnc.errors import Refused

MOST_APART = 15
"""Outputs that come at unlike steps: a bit of step's result for each, an int of 16 bits."""


def check_reach(program: Program) -> None:
    """Raise Refused where a target's compilers, or the int that step returns, do not reach as far as a program needs."""
    if (program.apart or program.apart_in_window) and len(program.outputs) > MOST_APART:
        raise Refused(
            f"{len(program.outputs)} outputs come at unlike steps; step can tell {MOST_APART} apart",
            where=program.name,
            hint="Choose those you need: --output TENSOR.",
        )
    t, total = program.target, program.cost.flash_weights + program.cost.flash_tables
    largest = max(program.arrays, key=lambda a: a.bytes, default=None)
    if t.most_constant and largest and largest.bytes > t.most_constant:
        raise Refused(
            f"target {t.name}: the array {largest.symbol} needs {largest.bytes} B; its compilers take {t.most_constant} B",
            where=program.name,
            hint=f"{'Weights of 8 bits, a' if largest.span else 'A'} smaller layer, or another target.",
        )
    if t.most_constants and total > t.most_constants:
        raise Refused(
            f"target {t.name}: constants need {total} B; its reads of flash reach {t.most_constants} B",
            where=program.name,
            hint="A smaller network, or another target.",
        )
