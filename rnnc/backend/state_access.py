"""What the C says of states: how they are saved and restored, and read and set from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

import rnnc
from rnnc.backend.expressions import for_each, size_of
from rnnc.backend.hop import clamp_lines
from rnnc.backend.names import Namer
from rnnc.backend.program import ITEM_BYTES, Member, Overlap, Program
from rnnc.fixed import Format, Ints


@dataclass(frozen=True, eq=False)
class Accessor:
    """Reads and sets the states that one graph input, ``alias``, initialises: the elements ``elements`` of it."""

    name: str
    size: int
    comment: str
    get: list[str]
    set: list[str]
    alias: str
    elements: Ints
    format: Format

    @property
    def ctype(self) -> str:
        """The C type of an element."""
        return self.format.ctype


def accessors(program: Program) -> list[Accessor]:
    """One for each graph input that initialises states; one for each state where these differ in format.

    None where windows overlap: each starts from the file's states.
    """
    if program.overlap:
        return []
    namer = Namer(program.name, frozenset({"s", "i"}))
    found: dict[str, list[Member]] = {}
    for m in program.members:
        if m.state.alias:
            found.setdefault(m.state.alias, []).append(m)
    result = []
    for alias, members in found.items():
        if len({(m.state.format.ctype, *m.state.format.scale) for m in members}) == 1:
            result.append(_accessor(program, namer.name(alias), members, [_window(m) for m in members]))
        else:
            each = [(namer.name(f"{alias}_{m.c_name}"), m) for m in members]
            single = [(_accessor(program, name, [m], [np.arange(m.state.size)]), m) for name, m in each]
            result += [replace(accessor, elements=_window(m)) for accessor, m in single]
    return result


def _window(member: Member) -> Ints:
    """Which elements of its graph input a state is."""
    window = member.state.window
    return np.arange(member.state.size) if window is None else window.ravel()


def _accessor(program: Program, name: str, members: Sequence[Member], windows: Sequence[Ints]) -> Accessor:
    form = members[0].state.format
    size = int(max(w.max() for w in windows)) + 1
    get, set_ = [], []
    for m, window in zip(members, windows, strict=True):
        for source, to, n in _runs(window):
            field, user = _at(f"s->{m.c_name}", to), _at(name, source)
            get.append(f"memcpy({user}, {field}, {size_of(n, form.ctype)});")
            set_.append(f"memcpy({field}, {user}, {size_of(n, form.ctype)});")
        set_ += _clamp(m)
        set_ += [
            line for f in program.members if f.state.follows == m.state.name for line in _follow(f.c_name, m.c_name, f)
        ]
    limits = f", set clips to {form.lo} .. {form.hi}" if _clamp(members[0]) else ""
    comment = f"{name}: {form}{limits}."
    return Accessor(name, size, comment, get, set_, members[0].state.alias, np.arange(size), form)


def _clamp(member: Member, owner: str = "s") -> list[str]:
    """Keep a 32-bit state or a count (from 0 up) within what the kernels assume, wherever it comes from."""
    f = member.state.format
    if (f.bits < 32 and f.lo != 0) or f.hi - f.lo >= 2**32 - 2:
        return []
    n, at = member.state.size, f"{owner}->{member.c_name}[i]"
    value = f"rnnc_clip({at}, {f.lo}, {f.hi})"
    return [for_each(n, f"{at} = {value if f.bits == 32 else f'({f.ctype}){value}'};")]


def _at(base: str, offset: int) -> str:
    return f"{base} + {offset}" if offset else base


def _runs(window: Ints) -> list[tuple[int, int, int]]:
    """A window as runs of consecutive elements: (first in the graph input, first in the state, length)."""
    cuts = [0, *(np.flatnonzero(np.diff(window) != 1) + 1).tolist(), len(window)]
    return [(int(window[a]), a, b - a) for a, b in pairwise(cuts)]


def _follow(narrow: str, wide: str, member: Member, owner: str = "s") -> list[str]:
    value = f"rnnc_upper({owner}->{wide}[i])"
    if member.state.format.bits == 8:
        value = f"rnnc_narrow({value})"
    return [for_each(member.state.size, f"{owner}->{narrow}[i] = {value};")]


def state_context(program: Program) -> dict[str, Any]:
    """What the template of save and restore is given."""
    major, minor, patch = (int(part) for part in rnnc.__version__.split(".")[:3])
    save, restore, check = _of_states(program)
    if program.overlap:
        save, restore, check = _of_windows(program, program.overlap, save, restore, check)
    return {
        "save": save,
        "restore": [*restore, "(void)p;", *check],
        "fixed": any("rnnc_clip(" in line or "rnnc_upper(" in line for line in check),
        "version": f"0x{major << 16 | minor << 8 | patch:06x}",
    }


def _of_states(program: Program) -> tuple[list[str], list[str], list[str]]:
    """C that saves all states and counters, that restores them, and that brings them within their limits then."""
    at, by_name = program.owner, {m.state.name: m for m in program.members}
    save, restore = [], []
    for m in program.members:
        if not m.state.follows:
            bits, n = m.state.format.bits, m.state.size
            save.append(f"p = rnnc_put{bits}(p, {at}->{m.c_name}, {n});")
            restore.append(f"p = rnnc_take{bits}({at}->{m.c_name}, p, {n});")
    wait = ["wait"] if program.overlap and not program.overlap.rings else []
    for name in [*(c.c_name for c in program.counters), *wait]:
        save.append(f"p = rnnc_put_u16(p, {at}->{name});")
        restore.append(f"p = rnnc_take_u16(&{at}->{name}, p);")
    check = [line for m in program.members for line in _clamp(m, at)]
    for m in program.members:
        if m.state.follows:
            check += _follow(m.c_name, by_name[m.state.follows].c_name, m, at)
    return save or ["(void)s;"], restore, check


def _of_windows(
    program: Program, overlap: Overlap, save: list[str], restore: list[str], check: list[str]
) -> tuple[list[str], list[str], list[str]]:
    """The same of all windows, given the C for one, and of the frames that are kept."""
    save, restore = _each(program, "const ", save), _each(program, "", restore)
    for r in overlap.rings:
        bits = 8 * ITEM_BYTES[r.port.format.ctype]
        save.append(f"p = rnnc_put{bits}(p, (const int{bits}_t *)s->{r.c_name}, {r.size});")
        restore.append(f"p = rnnc_take{bits}((int{bits}_t *)s->{r.c_name}, p, {r.size});")
    for name, _ in overlap.counters:
        save.append(f"p = rnnc_put_u16(p, s->{name});")
        restore.append(f"p = rnnc_take_u16(&s->{name}, p);")
    return save, restore, [*(_each(program, "", check) if check else []), *clamp_lines(overlap)]


def _each(program: Program, const: str, lines: Sequence[str]) -> list[str]:
    assert program.overlap is not None
    window = f"    {const}{program.name}_window_t *w = &s->w[k];"
    return [f"for (int k = 0; k < {program.overlap.lanes}; k++) {{", window, *(f"    {line}" for line in lines), "}"]
