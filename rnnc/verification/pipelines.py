"""Clock cycles estimated: what each instruction of an image takes by its core's manual, for the emulator's plugin to add up.

Cortex-M0 (Arm DDI 0432C, table 3-1), M0+ (DDI 0484C, 3-1), M3 (DDI 0337H, 3-1) and M4 (DDI 0439B, 3-1) have tables, and so has
Ibex (its documentation, *Pipeline Details*). M7 and M55 issue two instructions at once or beat by beat, and M33 publishes none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

LINE = re.compile(r"^ *([0-9a-f]+):\t([\w.]+)\s*([^;@]*)")
"""A line of objdump -d --no-show-raw-insn: address, mnemonic, operands."""
CONDITIONS = "eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le"
SINGLE = re.compile(rf"v?(ldr|str)(s?[bh])?t?({CONDITIONS})?$")
"""A load or store of one value."""
TAKEN = r"b(?!ic|fc|fi|kpt)|cbn?z|tb[bh]|pop|ldm"
"""Instructions of Cortex-M behind which another may come than the next."""


@dataclass(frozen=True)
class Instruction:
    """An instruction of an image, and the mnemonic of the one before it."""

    address: int
    mnemonic: str
    operands: str
    before: str


Cost = int | Callable[[Instruction], int]


@dataclass(frozen=True)
class Pipeline:
    """A core's cycles.

    Args:
        core: its name.
        source: where the figures are from, and what they assume.
        costs: of the instructions whose mnemonic a pattern matches from its begin; the first that does; others take 1.
        branches: cycles more of a branch behind which another instruction comes than the next, by pattern likewise.
    """

    core: str
    source: str
    costs: tuple[tuple[str, Cost], ...]
    branches: tuple[tuple[str, int], ...]

    def cycles(self, instruction: Instruction) -> int:
        """Of an instruction that does not branch."""
        cost = next((c for pattern, c in self.costs if re.match(pattern, instruction.mnemonic)), 1)
        return cost if isinstance(cost, int) else cost(instruction)

    def more(self, instruction: Instruction) -> int:
        """Cycles more where it branches; what loads or moves to the pc does as a branch does."""
        word = "b" if instruction.operands.startswith("pc,") else instruction.mnemonic
        return next((c for pattern, c in self.branches if re.match(pattern, word)), 0)


def registers(instruction: Instruction) -> int:
    """1 and one for each register of a list."""
    listed = instruction.operands.partition("{")[2].partition("}")[0]
    ends = [[int(n) if n.isdigit() else 0 for n in re.findall(r"\d+|sp|lr|pc", part)] for part in listed.split(",")]
    return 1 + sum(e[1] - e[0] + 1 if len(e) > 1 else 1 for e in ends)


def loaded(instruction: Instruction) -> int:
    """2, or 1 behind another load or store of one value, whose data phase hides its address phase."""
    return 1 if SINGLE.match(instruction.before) else 2


def stored(instruction: Instruction) -> int:
    """1, or 2 where the address is a sum of two registers and nothing hides its phase."""
    return loaded(instruction) if re.search(r"\[\w+, [a-z]", instruction.operands) else 1


MULTIPLE = r"push|pop|v?ldm|v?stm|vpush|vpop"
M4 = (
    (MULTIPLE, registers),
    (r"ldrd|strd|vldr\.64|vstr\.64", 3),
    (r"ldr|vldr", loaded),
    (r"str|vstr", stored),
    (r"[su]div", 12),
    (r"tb[bh]", 2),
)
NO_WAITS = "no wait states"
V7M_TAKEN = ((TAKEN, 2),)
PIPELINES = {
    p.core: p
    for p in (
        Pipeline(
            "Cortex-M0",
            f"the manual's table, one-cycle multiplier, {NO_WAITS}",
            ((MULTIPLE, registers), (r"ldr|str", 2), (r"bl$", 2), (r"mrs|msr|dsb|dmb|isb", 4)),
            ((r"pop", 3), (TAKEN, 2)),
        ),
        Pipeline(
            "Cortex-M0+",
            f"the manual's table, one-cycle multiplier, {NO_WAITS}",
            ((MULTIPLE, registers), (r"ldr|str", 2), (r"bl$", 2), (r"mrs|msr|dsb|dmb|isb", 3)),
            ((r"pop", 2), (TAKEN, 1)),
        ),
        Pipeline(
            "Cortex-M3",
            f"the manual's table, long multiplications and divisions at their longest, {NO_WAITS}",
            (*M4, (r"ml[as]", 2), (r"[us]mull", 5), (r"[us]mlal", 7)),
            V7M_TAKEN,
        ),
        Pipeline("Cortex-M4", f"the manual's table, divisions at their longest, {NO_WAITS}", M4, V7M_TAKEN),
        Pipeline("Cortex-M33", f"as on Cortex-M4, as there is no table of its own, {NO_WAITS}", M4, V7M_TAKEN),
        Pipeline(
            "Cortex-M7",
            f"as on Cortex-M4, as there is no table of its own: it issues two instructions where it can, {NO_WAITS}",
            M4,
            V7M_TAKEN,
        ),
        Pipeline(
            "Cortex-M55",
            f"two beats for each vector instruction, which may overlap, else as on Cortex-M4, {NO_WAITS}",
            (*M4, (r"v", 2)),
            ((r"le|letp", 0), *V7M_TAKEN),
        ),
        Pipeline(
            "RV32IMC",
            f"as Ibex of two stages, one-cycle multiplier, {NO_WAITS}",
            ((r"l[bhw]u?$|s[bhw]$|flw|fsw", 2), (r"mulh", 2), (r"div|rem", 37)),
            ((r"j|ret|call", 1), (r"b", 2)),
        ),
    )
}


def instructions(listing: Iterable[str]) -> Iterator[Instruction]:
    """Those of what objdump prints."""
    before = ""
    for line in listing:
        found = LINE.match(line)
        if found is not None and not found[2].startswith("."):
            mnemonic = found[2].removesuffix(".n").removesuffix(".w")
            yield Instruction(int(found[1], 16), mnemonic, found[3].strip(), before)
            before = mnemonic


def cost_table(pipeline: Pipeline, listing: Iterable[str]) -> str:
    """What count_plugin.c reads: of each instruction its address, its cycles, and cycles more where it branches."""
    lines = (f"{i.address:x} {pipeline.cycles(i)} {pipeline.more(i)}" for i in instructions(listing))
    return "\n".join(lines) + "\n"
