"""Whether a frame and what is made of it may share one array: a promise of the header."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rnnc.backend.program import ITEM_BYTES, Port, Program


def may_overlap(program: Program, given: Port, made: Port) -> bool:
    """Whether an input and an output may lie in the same memory.

    They may where the last call that is given the one comes before the first call that is given the other: all is read then
    before anything is written. Elements of unlike size are no one array, and what is given once a sequence has to last.
    """
    if given.clock.rate != 1 or ITEM_BYTES[given.format.ctype] != ITEM_BYTES[made.format.ctype]:
        return False
    calls = [" ".join(call.args) for region in program.regions for call in region.calls]
    reads, writes = (_mentions(calls, port.c_name) for port in (given, made))
    return not reads or not writes or max(reads) < min(writes)


def overlap_comment(program: Program) -> str:
    """What the header says: which inputs and outputs may be one array."""
    pairs = [(x, y) for x in program.inputs for y in program.outputs if may_overlap(program, x, y)]
    if not pairs:
        return "Inputs and outputs must be different arrays."
    shared = "; ".join(f"{x.c_name} and {y.c_name} may be the same array" for x, y in pairs)
    length = ", of the longer one's length" if any(x.size != y.size for x, y in pairs) else ""
    others = "" if len(program.inputs) == len(program.outputs) == 1 else " All others must be different arrays."
    return f"{shared}{length}.{others}"


def _mentions(calls: Sequence[str], name: str) -> list[int]:
    """Which calls are given a parameter of step."""
    word = re.compile(rf"(?<![\w>.]){re.escape(name)}(?!\w)")
    return [i for i, arguments in enumerate(calls) if word.search(arguments)]
