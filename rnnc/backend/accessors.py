"""Which states the caller can read and set, and by which graph input: what the accessors of a package give access to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rnnc.backend.names import Namer
from rnnc.backend.program import Member, Program
from rnnc.fixed import Format, Ints


@dataclass(frozen=True, eq=False)
class Run:
    """``size`` elements of an accessor, from ``start``, that are those of its state from ``at``."""

    start: int
    at: int
    size: int


@dataclass(frozen=True, eq=False)
class Accessor:
    """Reads and sets the states that one graph input, ``alias``, initialises: the elements ``elements`` of it.

    ``runs`` tells of each state, in order, which elements it is.
    """

    name: str
    size: int
    alias: str
    elements: Ints
    format: Format
    runs: tuple[tuple[Member, tuple[Run, ...]], ...]


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
            result.append(_together(namer.name(alias), members))
        else:
            result += [_alone(namer.name(f"{alias}_{m.c_name}"), m) for m in members]
    return result


def _together(name: str, members: Sequence[Member]) -> Accessor:
    """One for all states of a graph input."""
    windows = [_window(m) for m in members]
    size = int(max(w.max() for w in windows)) + 1
    runs = tuple((m, _runs(w)) for m, w in zip(members, windows, strict=True))
    first = members[0].state
    return Accessor(name, size, first.alias, np.arange(size), first.format, runs)


def _alone(name: str, member: Member) -> Accessor:
    """One for one state of a graph input."""
    size = member.state.size
    runs = ((member, (Run(0, 0, size),)),)
    return Accessor(name, size, member.state.alias, _window(member), member.state.format, runs)


def _window(member: Member) -> Ints:
    """Which elements of its graph input a state is."""
    window = member.state.window
    return np.arange(member.state.size) if window is None else window.ravel()


def _runs(window: Ints) -> tuple[Run, ...]:
    """A window as runs of consecutive elements."""
    cuts = [0, *(np.flatnonzero(np.diff(window) != 1) + 1).tolist(), len(window)]
    return tuple(Run(int(window[a]), a, b - a) for a, b in pairwise(cuts))
