"""Flash and RAM of a linked package from its symbols, and the bound of its stack from the compiler's own figures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rnnc.backend.program import Program
from rnnc.verification.avr_frames import frames_and_calls

NAKED_FRAMES = {
    "rnnc_dsp_block": 44,
    "rnnc_dsp_blocks": 56,
    "rnnc_dsp_wide": 36,
    "rnnc_dsp_lstm_units": 112,
    "rnnc_dsp_lstm_ones": 112,
    "rnnc_dsp_lstm_twos": 104,
    "rnnc_dsp_lstm_fours": 104,
    "rnnc_dsp_gru_units": 164,
    "rnnc_dsp_gru_fours": 104,
    "rnnc_telescope_block": 44,
    "rnnc_telescope_wide": 48,
    "rnnc_mve_blocks8": 28,
    "rnnc_mve_blocks16": 28,
    "rnnc_mve_wide8": 28,
    "rnnc_mve_wide16": 28,
    "rnnc_rv32_blocks": 16,
    "rnnc_rv32_wide_blocks": 16,
    "rnnc_dsp_sparse": 48,
    "rnnc_mve_sparse8": 24,
    "rnnc_mve_sparse16": 24,
    "rnnc_mve_short_sparse8": 24,
    "rnnc_mve_short_sparse16": 24,
    "rnnc_rv32_sparse": 16,
}
"""Bytes that functions in assembly push, as the comments beside them say; the compiler does not see them."""
LIBRARY_FRAME = 24
"""Bytes that memcpy, memset and the integer helpers of a C library push at most; no compiler tells. On AVR they are leaves
but for return addresses."""
AVR_LIBRARY_FRAME = 8
LIBRARY_NAME = "of the C library"
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


def reporting(is_avr: bool) -> list[str]:
    """What makes the compiler leave the files that ``stack_frames`` reads."""
    return ["-save-temps=obj"] if is_avr else ["-fstack-usage", "-fcallgraph-info=su"]


def stack_frames(folder: Path, entry: str, is_avr: bool) -> dict[str, int] | None:
    """Bytes of stack of each function on the deepest path from ``entry``, from the .ci or .s files in ``folder``.

    None without these files.
    """
    path = folder / f"{entry.removesuffix('_step')}.{'s' if is_avr else 'ci'}"
    if not path.exists():
        return None
    text = path.read_text(encoding="utf-8")
    if is_avr:
        return _deepest(entry, *frames_and_calls(text), AVR_LIBRARY_FRAME)
    frames = {
        _base(m[1]): int(m[2]) for m in re.finditer(r'node: \{ title: "([^"]+)" label: "[^"]*?\\n(\d+) bytes', text)
    }
    calls: dict[str, set[str]] = {}
    for m in re.finditer(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', text):
        calls.setdefault(_base(m[1]), set()).add(_base(m[2]))
    return _deepest(entry, frames, calls, LIBRARY_FRAME)


def stack_bound(folder: Path, entry: str, is_avr: bool) -> int | None:
    """The most bytes of stack that ``entry`` and all it calls can use."""
    frames = stack_frames(folder, entry, is_avr)
    return None if frames is None else sum(frames.values())


def _base(title: str) -> str:
    """``file.c:name.isra.0`` without the file and what the compiler appended."""
    return title.rsplit(":", 1)[-1]


def _deepest(name: str, frames: Mapping[str, int], calls: Mapping[str, set[str]], library: int) -> dict[str, int]:
    """The functions on the deepest path from one, and their frames; a library's is ``library``."""
    if name not in frames and LIBRARY.match(name):
        return {LIBRARY_NAME: library}
    own = frames.get(name, 0) + NAKED_FRAMES.get(name.split(".", 1)[0], 0)
    paths = [_deepest(callee, frames, calls, library) for callee in sorted(calls.get(name, ()))]
    return {name: own} | max(paths, key=lambda path: sum(path.values()), default={})
