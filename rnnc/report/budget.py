"""The parts of flash, RAM and stack, the largest first."""

from __future__ import annotations

from collections.abc import Mapping

from rnnc.backend.memory import WORK_BYTES
from rnnc.backend.program import Program

MOST_LINES = 12


def flash_parts(program: Program, code: int | None) -> str:
    """Constants by size, and the code where it was counted."""
    parts = [(a.bytes, f"{a.symbol}  {a.comment}") for a in program.arrays]
    known = sum(size for size, _ in parts)
    shared = program.cost.flash_weights + program.cost.flash_tables - known
    parts.append((shared, "rnnc_*  tables of sigmoid, tanh and other functions"))
    parts.append((code or 0, "code, linked with the C library's functions that it calls"))
    return _table(parts)


def ram_parts(program: Program) -> str:
    """States and work arrays by size."""
    lanes = program.overlap.lanes if program.overlap else 1
    of = f" of each of {lanes} windows" if lanes > 1 else ""
    parts = [(m.bytes * lanes, f"{m.c_name}  state{of}, {m.state.format}") for m in program.members]
    parts += [(r.bytes, f"{r.c_name}  the newest frames") for r in (program.overlap.rings if program.overlap else ())]
    parts += [(WORK_BYTES[name] * n, f"{name}  scratch, shared by lifetime") for name, n in program.scratch.items()]
    return _table(parts)


def stack_parts(frames: Mapping[str, int]) -> str:
    """Frames by size, of the functions on the deepest path."""
    return _table([(size, f"{name}  frame") for name, size in frames.items()])


def _table(parts: list[tuple[int, str]]) -> str:
    largest = sorted((p for p in parts if p[0]), reverse=True)
    lines = [f"{size:>8} B  {what}" for size, what in largest[:MOST_LINES]]
    rest = largest[MOST_LINES:]
    return "\n  ".join(lines + ([f"{sum(size for size, _ in rest):>8} B  {len(rest)} more"] if rest else []))
