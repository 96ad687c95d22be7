"""Whether a frame and what is made of it may share one array: a promise of the header."""

from __future__ import annotations

from collections.abc import Sequence

from rnnc.backend.nests import nests
from rnnc.backend.places import PortPlace, place_of
from rnnc.backend.program import ITEM_BYTES, Call, Copy, Port, Program


def may_overlap(program: Program, given: Port, made: Port) -> bool:
    """Whether an input and an output may lie in the same memory.

    They may where the last call that is given the one comes before the first call that is given the other: all is read then
    before anything is written. Elements of unlike size are no one array, and what is given once a sequence has to last.
    """
    if given.clock.rate != 1 or ITEM_BYTES[given.format.ctype] != ITEM_BYTES[made.format.ctype]:
        return False
    work = [w for region in program.regions for w in region.work]
    reads, writes = (_mentions(work, PortPlace(port.c_name)) for port in (given, made))
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


def _mentions(work: Sequence[Call | Copy], place: PortPlace) -> list[int]:
    """Which calls and copies are given a parameter of step; those of one nest of loops run as one."""
    return [i for i, nest in enumerate(nests(work)) if any(place in map(place_of, w.args) for w in nest)]
