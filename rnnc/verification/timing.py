"""Cycles of Cortex-M estimated from the instruction tables of Arm's reference manuals.

Cortex-M0 (DDI 0432C, table 3-1), M3 (DDI 0337H, table 3-1) and M4 (DDI 0439B, table 3-1) have one. M7, M33 and M55 issue two
instructions at once or publish none: they have no estimate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

LINE = re.compile(r"^\s*([0-9a-f]+):\t([\w.]+)\s*([^;@]*)")
"""Of objdump -d --no-show-raw-insn: address, mnemonic, operands."""
CONDITIONS = "eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le"
SINGLE_LOAD = re.compile(rf"^(ldr(s?[bh])?t?|vldr)({CONDITIONS})?$")
SINGLE_STORE = re.compile(rf"^(str[bh]?t?|vstr)({CONDITIONS})?$")
PAIR = re.compile(rf"^(ldrd|strd)({CONDITIONS})?$")
MANY = re.compile(rf"^(ldm|stm|push|pop|vldm|vstm|vpush|vpop)(ia|db|fd|ea)?({CONDITIONS})?$")
DIVIDE = re.compile(rf"^[su]div({CONDITIONS})?$")


@dataclass(frozen=True)
class CycleTable:
    """What instructions of a core take.

    Args:
        cost: cycles of ``(mnemonic, operands)`` where no branch is taken, beside loads that overlap.
        refill: what a taken branch takes more.
        overlaps: whether a load or store of one value behind another takes one cycle.
        assumes: what the estimate rests on.
    """

    cost: Callable[[str, str], int]
    refill: int
    overlaps: bool
    assumes: str


def _m0(mnemonic: str, operands: str) -> int:
    if MANY.match(mnemonic):
        return 1 + _registers(operands) + (1 if mnemonic == "pop" and "pc" in operands else 0)
    if SINGLE_LOAD.match(mnemonic) or SINGLE_STORE.match(mnemonic):
        return 2
    return 2 if mnemonic == "bl" else 4 if mnemonic in ("mrs", "msr", "dmb", "dsb", "isb") else 1


def _m3(mnemonic: str, operands: str) -> int:
    """Long multiplications take at most 5 cycles, and 7 with an accumulator: the most is taken."""
    if mnemonic.startswith(("umlal", "smlal")):
        return 7
    if mnemonic.startswith(("umull", "smull")):
        return 5
    return 2 if mnemonic.startswith(("mla", "mls")) else _m4(mnemonic, operands)


def _m4(mnemonic: str, operands: str) -> int:
    """A store to an address with an immediate offset takes one cycle, a division at most 12."""
    if MANY.match(mnemonic):
        return 1 + _registers(operands)
    if PAIR.match(mnemonic):
        return 3
    if SINGLE_LOAD.match(mnemonic):
        return 2
    if SINGLE_STORE.match(mnemonic):
        return 2 if re.search(r"\[\w+, [a-z]", operands) else 1
    if DIVIDE.match(mnemonic):
        return 12
    return 2 if mnemonic.startswith("tb") else 1


PIPELINED = "loads that follow one another overlap; a taken branch refills the pipeline in 2 of 1 to 3 cycles"
TIMINGS = {
    "cortex-m0": CycleTable(_m0, 2, False, "memory without wait states, a multiplier of one cycle"),
    "cortex-m3": CycleTable(_m3, 2, True, f"memory without wait states; {PIPELINED}; long products take the most"),
    "cortex-m4": CycleTable(_m4, 2, True, f"memory without wait states; {PIPELINED}"),
}
"""By board."""


def instruction_costs(timing: CycleTable, disassembly: str) -> Iterator[tuple[int, int]]:
    """Address and cycles of each instruction of a disassembly, in its order."""
    single_before = False
    for line in disassembly.splitlines():
        if found := LINE.match(line):
            mnemonic = found[2].removesuffix(".n").removesuffix(".w").split(".")[0]
            single = bool(SINGLE_LOAD.match(mnemonic) or SINGLE_STORE.match(mnemonic))
            overlapped = timing.overlaps and single and single_before
            yield int(found[1], 16), 1 if overlapped else timing.cost(mnemonic, found[3])
            single_before = single


def write_costs(timing: CycleTable, disassembly: str, path: Path) -> None:
    """The file that count_plugin.c reads."""
    lines = [f"{address:x} {cycles}\n" for address, cycles in instruction_costs(timing, disassembly)]
    path.write_text("".join(lines), encoding="ascii")


def _registers(operands: str) -> int:
    """How many registers stand between braces: "{r4-r7, lr}" are five."""
    total = 0
    for part in operands[operands.find("{") + 1 :].rstrip("} \t").split(","):
        first, _, last = part.strip().strip("{}").partition("-")
        total += int(last[1:]) - int(first[1:]) + 1 if last else 1
    return total
