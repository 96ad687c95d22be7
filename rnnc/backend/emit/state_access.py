"""What the C says of states: how they are saved and restored, and read and set from outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnnc.backend.accessors import Accessor, accessors
from rnnc.backend.emit.expressions import for_each, size_of
from rnnc.backend.emit.hop import clamp_lines
from rnnc.backend.emit.spelling import owner
from rnnc.backend.program import ITEM_BYTES, Member, Overlap, Program


def accessor_context(program: Program) -> list[dict[str, Any]]:
    """What the templates are given of each accessor."""
    return [_accessor(program, a) for a in accessors(program)]


def _accessor(program: Program, accessor: Accessor) -> dict[str, Any]:
    f, get, set_ = accessor.format, [], []
    for m, runs in accessor.runs:
        for run in runs:
            field, user = _at(f"s->{m.c_name}", run.at), _at(accessor.name, run.start)
            get.append(f"(void)memcpy({user}, {field}, {size_of(run.size, f.ctype)});")
            set_.append(f"(void)memcpy({field}, {user}, {size_of(run.size, f.ctype)});")
        set_ += _clamp(m, "s")
        for follower in program.members:
            if follower.state.follows == m.state.name:
                set_ += _follow(follower.c_name, m.c_name, follower, "s")
    limits = f", set clips to {f.lo} .. {f.hi}" if _limited(accessor.runs[0][0]) else ""
    return {
        "name": accessor.name,
        "ctype": f.ctype,
        "size": accessor.size,
        "comment": f"{accessor.name}: {f}{limits}.",
        "get_lines": get,
        "set_lines": set_,
    }


def _at(base: str, offset: int) -> str:
    return f"{base} + {offset}" if offset else base


def _limited(member: Member) -> bool:
    """Whether the kernels assume less of a state than its C type holds: of 32 bits, or a count from 0 up."""
    f = member.state.format
    return (f.bits == 32 or f.lo == 0) and f.hi - f.lo < 2**32 - 2


def _clamp(member: Member, at: str) -> list[str]:
    """Keep a state within what the kernels assume, wherever it comes from."""
    if not _limited(member):
        return []
    f, n, x = member.state.format, member.state.size, f"{at}->{member.c_name}[i]"
    value = f"rnnc_clip({x}, {f.lo}, {f.hi})"
    return [for_each(n, f"{x} = {value if f.bits == 32 else f'({f.ctype}){value}'};")]


def _follow(narrow: str, extended: str, member: Member, at: str) -> list[str]:
    value = f"rnnc_upper({at}->{extended}[i])"
    if member.state.format.bits == 8:
        value = f"rnnc_narrow({value})"
    return [for_each(member.state.size, f"{at}->{narrow}[i] = {value};")]


def state_context(program: Program) -> dict[str, Any]:
    """What the template of save and restore is given."""
    save, restore, check = _of_states(program)
    if program.overlap:
        save, restore, check = _of_windows(program, program.overlap, save, restore, check)
    return {
        "save": save,
        "restore": [*restore, "(void)p;", *check],
        "fixed": any(_limited(m) or m.state.follows for m in program.members),
    }


def _of_states(program: Program) -> tuple[list[str], list[str], list[str]]:
    """C that saves all states and counters, that restores them, and that brings them within their limits then."""
    at, by_name = owner(program), {m.state.name: m for m in program.members}
    save, restore = [], []
    for m in program.members:
        if not m.state.follows:
            bits, n = m.state.format.bits, m.state.size
            save.append(f"p = rnnc_write{bits}(p, {at}->{m.c_name}, {n});")
            restore.append(f"p = rnnc_read{bits}({at}->{m.c_name}, p, {n});")
    wait = ["wait"] if program.overlap and not program.overlap.rings else []
    for name in [*(c.c_name for c in program.counters), *wait]:
        save.append(f"p = rnnc_write_u16(p, {at}->{name});")
        restore.append(f"p = rnnc_read_u16(&{at}->{name}, p);")
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
        save.append(f"p = rnnc_write{bits}(p, (const int{bits}_t *)s->{r.c_name}, {r.size});")
        restore.append(f"p = rnnc_read{bits}((int{bits}_t *)s->{r.c_name}, p, {r.size});")
    for name, _ in overlap.counters:
        save.append(f"p = rnnc_write_u16(p, s->{name});")
        restore.append(f"p = rnnc_read_u16(&s->{name}, p);")
    return save, restore, [*(_each(program, "", check) if check else []), *clamp_lines(overlap)]


def _each(program: Program, const: str, lines: Sequence[str]) -> list[str]:
    assert program.overlap is not None
    window = f"    {const}{program.name}_window_t *w = &s->w[k];"
    return [f"for (int k = 0; k < {program.overlap.lanes}; k++) {{", window, *(f"    {line}" for line in lines), "}"]
