"""Flash and RAM of a linked package from its symbols, and the bound of its stack from the compiler's own figures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rnnc.backend.program import Program

NAKED_FRAMES = {
    "rnnc_dsp_block": 44,
    "rnnc_telescope_block": 44,
    "rnnc_mve_blocks8": 28,
    "rnnc_mve_blocks16": 28,
    "rnnc_avr_rows": 8,
}
"""Bytes that functions in assembly push, as the comments beside them say; the compiler does not see them."""
AVR_RETURN_ADDRESS = 2
LIBRARY_FRAME = 24
"""Bytes that memcpy, memset and the integer helpers of a C library push at most; no compiler tells. On AVR they are leaves
but for return addresses."""
AVR_LIBRARY_FRAME = 8
LIBRARY = re.compile(r"^(memcpy|memset|memmove|__(aeabi|gnu|mul|div|udiv|mod|umod|ash|lsh)\w*)$")


class SymbolLike(Protocol):
    """What is needed of a symbol."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def function(self) -> bool: ...


@dataclass(frozen=True)
class Footprint:
    """Bytes of flash and RAM.

    Args:
        code: functions with the library functions that they need, and the parameters of the ops.
        tables: those of runtime_c (sigmoid, tanh, ...) and of an op's own function.
        weights: with the rows' scales and biases, and padding.
    """

    code: int
    tables: int
    weights: int
    ram_state: int
    ram_scratch: int


def footprint(program: Program, symbols: Mapping[str, SymbolLike]) -> Footprint:
    """What a linked package takes, its self-test and the firmware around it left out."""
    roles = {a.symbol: a.role for a in program.arrays} | {p.symbol: "code" for p in program.params}
    code = tables = weights = 0
    for s in symbols.values():
        base = s.name.split(".", 1)[0]
        if roles.get(base) == "weights":
            weights += s.size
        elif roles.get(base) == "table" or (base.startswith("rnnc_") and not s.function):
            tables += s.size
        elif roles.get(base) == "code" or (s.function and _belongs(program, base)):
            code += s.size
    return Footprint(code, tables, weights, program.cost.ram_state, program.cost.ram_scratch)


def _belongs(program: Program, name: str) -> bool:
    if name.startswith(("rnnc_", "rnnc.")) or LIBRARY.match(name):
        return True
    return name.startswith(f"{program.name}_") and name != f"{program.name}_selftest"


def stack_bound(folder: Path, entry: str, is_avr: bool) -> int | None:
    """The most bytes of stack that ``entry`` and all it calls can use, from the .ci or .su files in ``folder``.

    avr-gcc writes no call graph: there the frames of all functions of the package are added up, as none is recursive.
    """
    if is_avr:
        frames = _usage(folder / f"{entry.removesuffix('_step')}.su")
        own = sum(size + NAKED_FRAMES.get(name, 0) for name, size in frames.items())
        return own + AVR_RETURN_ADDRESS * len(frames) + AVR_LIBRARY_FRAME
    path = folder / f"{entry.removesuffix('_step')}.ci"
    if not path.exists():
        return None
    text = path.read_text()
    frames = {
        _base(m[1]): int(m[2]) for m in re.finditer(r'node: \{ title: "([^"]+)" label: "[^"]*?\\n(\d+) bytes', text)
    }
    calls: dict[str, set[str]] = {}
    for m in re.finditer(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', text):
        calls.setdefault(_base(m[1]), set()).add(_base(m[2]))
    return _deepest(entry, frames, calls)


def _base(title: str) -> str:
    """``file.c:name.isra.0`` without the file and what the compiler appended."""
    return title.rsplit(":", 1)[-1]


def _deepest(name: str, frames: Mapping[str, int], calls: Mapping[str, set[str]]) -> int:
    if name not in frames and LIBRARY.match(name):
        return LIBRARY_FRAME
    own = frames.get(name, 0) + NAKED_FRAMES.get(name.split(".", 1)[0], 0)
    return own + max((_deepest(callee, frames, calls) for callee in calls.get(name, ())), default=0)


def _usage(path: Path) -> dict[str, int]:
    frames = {}
    for line in path.read_text().splitlines():
        place, size, _ = line.split("\t")
        frames[place.split(":")[-1]] = int(size)
    return frames
