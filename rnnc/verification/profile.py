"""Where the instructions of a step go: by function, and by op of the network.

The step calls each op's kernels on lines of its own; the compiler inlines some and leaves others functions. The plugin counts,
for each block of the step, its instructions and those of what it calls; the debug information says on which line the block is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnc.backend.emit.spelling import statement
from rnnc.backend.program import Call, Program
from rnnc.verification.tools import run_tool

AROUND = "step"
"""What is between the ops: guards, counters, entry and exit."""


@dataclass(frozen=True)
class Counts:
    """What count_plugin.c or avr_runner.c wrote.

    Args:
        regions: instructions of each step.
        blocks: (address, instructions) of each block over all steps.
        sites: (address of the last instruction, instructions) of each block of the step, what it calls included.
        cycles: of each step, where the emulator knows them.
    """

    regions: list[int]
    blocks: list[tuple[int, int]]
    sites: list[tuple[int, int]]
    cycles: list[int]


def read_counts(path: Path) -> Counts:
    """The file's content; nothing where there is none."""
    counts = Counts([], [], [], [])
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        kind, *words = line.split()
        if kind == "R":
            counts.regions.append(int(words[0]))
        elif kind == "C":
            counts.cycles.append(int(words[0]))
        elif kind == "B":
            counts.blocks.append((int(words[0], 16), int(words[1]) * int(words[2])))
        else:
            counts.sites.append((int(words[0], 16), int(words[1])))
    return counts


def per_step(total: Mapping[str, int], steps: int) -> dict[str, int]:
    """Means of a step, the largest first, without what is nearly nothing."""
    means = {name: round(n / steps) for name, n in total.items() if 2 * n >= steps}
    return dict(sorted(means.items(), key=lambda item: -item[1]))


def lines_of_ops(program: Program, source: str) -> dict[int, str]:
    """The lines of NAME.c, counted from 1, that call the kernels of an op."""
    calls = {
        statement(program, work): work.op if isinstance(work, Call) else "" for r in program.regions for work in r.work
    }
    found = ((number, calls.get(line.strip())) for number, line in enumerate(source.splitlines(), 1))
    return {number: op for number, op in found if op is not None}


def by_op(
    sites: Sequence[tuple[int, int]], lines: Mapping[int, str], source: str, image: Path, addr2line: str
) -> dict[str, int]:
    """Instructions of each op over all steps, and of what is around them.

    Args:
        lines: ``lines_of_ops`` of the file named ``source``.
        addr2line: the command that comes with the compiler.
    """
    if not sites:
        return {}
    command = [addr2line, "-a", "-i", "-e", str(image), *(f"{address:#x}" for address, _ in sites)]
    text = run_tool(command).stdout
    frames: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("0x"):
            frames.append([])
        else:
            frames[-1].append(line)
    total: dict[str, int] = {}
    for (_, count), chain in zip(sites, frames, strict=True):
        found = (lines.get(number) for file, number in map(_position, chain) if file == source)
        op = next((name for name in found if name), AROUND)
        total[op] = total.get(op, 0) + count
    return total


def _position(frame: str) -> tuple[str, int]:
    """File and line of "path/file.c:12 (discriminator 3)"; line 0 where it is not known."""
    path, _, number = frame.partition(" ")[0].rpartition(":")
    return Path(path).name, int(number) if number.isdigit() else 0
