"""States that hold several delay lines, each computed from those before it.

Taken as a whole such a state follows from itself by arithmetic; its elements only move.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from rnnc.fixed import Ints
from rnnc.net import Feedback, Net, Op


def moves(op: Op) -> bool:
    """Whether an op gives elements of its inputs as they are, in another order or shape."""
    return op.kind == "layout" or (op.passes and len(op.inputs) == len(op.outputs) == 1)


@dataclass(frozen=True, eq=False)
class MovedElements:
    """Where the elements of a net's values come from that are only moved.

    An element of what an op computes, of an input or of a state has a number: ``first`` of its value and its index in it.
    """

    net: Net

    @cached_property
    def _numbered(self) -> tuple[dict[str, int], list[str]]:
        moved = {name for op in self.net.ops if moves(op) for name in op.outputs}
        names = [name for name in self.net.values if name not in moved]
        sizes = [self.net.values[name].size for name in names]
        return dict(zip(names, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True)), names

    @property
    def first(self) -> dict[str, int]:
        """The number of the first element of each value that is no moved one."""
        return self._numbered[0]

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return max((n + self.net.values[name].size for name, n in self.first.items()), default=0)

    @cached_property
    def of(self) -> dict[str, Ints]:
        """For each value the numbers of its elements, ``[elements]``."""
        found = {name: n + np.arange(self.net.values[name].size) for name, n in self.first.items()}
        for op in self.net.ops:
            if moves(op):
                parts = [found[name] for name in op.inputs]
                arrange = getattr(op, "arrange", None)
                found[op.outputs[0]] = arrange(parts) if arrange else parts[0]
        return found

    def values(self, numbers: Ints) -> set[str]:
        """The names of the values that elements are of."""
        return {self._numbered[1][k] for k in np.unique(self._makers(numbers))}

    def parts(self, numbers: Ints) -> dict[str, tuple[Ints, Ints]]:
        """By value where its elements are among some, and which elements they are."""
        makers = self._makers(numbers)
        found = {}
        for k in dict.fromkeys(makers.tolist()):
            at, name = np.flatnonzero(makers == k), self._numbered[1][k]
            found[name] = at, numbers[at] - self.first[name]
        return found

    def _makers(self, numbers: Ints) -> Ints:
        """The place among all numbered values of that which each element is of."""
        return np.searchsorted(np.array(list(self.first.values())), numbers, "right") - 1

    def written(self, feedback: Feedback) -> Ints:
        """What comes into each element of a state, however often it is moved within: numbers; its own where nothing does."""
        state = self.of[feedback.state.name]
        low, high = int(state[0]), int(state[-1])
        origin = self.of[feedback.next].copy()
        for _ in range(int(state.size).bit_length()):
            inner = (origin >= low) & (origin <= high)
            origin = np.where(inner, origin[np.where(inner, origin - low, 0)], origin)
        inner = (origin >= low) & (origin <= high)
        return np.where(inner, state, origin)


@lru_cache(maxsize=4)
def packed_states(net: Net) -> dict[str, Ints]:
    """By name the fed-back states that are several delay lines: what comes into each element, as ``MovedElements.written``."""
    origins = MovedElements(net)
    found = {}
    for f in net.feedback:
        if f.next in origins.first or np.any(f.state.initial):
            continue
        written = origins.written(f)
        if not _circular(net, origins, f, written):
            found[f.state.name] = written
    return found


def _circular(net: Net, origins: MovedElements, feedback: Feedback, written: Ints) -> bool:
    """Whether an element of a state follows from itself by what an op computes."""
    state = feedback.state.name
    followers = _followers(net, origins, state, written)
    for line in {n for n in followers if n.startswith(f"{state}/")}:
        seen: set[str] = set()
        todo = list(followers[line])
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += followers.get(name, ())
        if line in seen:
            return True
    return False


def _followers(net: Net, origins: MovedElements, state: str, written: Ints) -> dict[str, set[str]]:
    """What is made of each value and, as "state/value", of each line of a state, the elements that a value comes into."""
    first = origins.first[state]
    followers: dict[str, set[str]] = {}

    def read(numbers: Ints, by: Iterable[str]) -> None:
        own = (numbers >= first) & (numbers < first + len(written))
        names = origins.values(numbers[~own]) if not own.all() else set()
        lines = origins.values(written[numbers[own] - first]) if own.any() else set()
        for name in (*names, *(f"{state}/{line}" for line in lines)):
            followers.setdefault(name, set()).update(by)

    for op in net.ops:
        if not moves(op):
            for name in op.inputs:
                read(origins.of[name], op.outputs)
    for f in net.feedback:
        if f.state.name != state:
            read(origins.of[f.next], [f.state.name])
    for name in origins.values(written):
        followers.setdefault(name, set()).add(f"{state}/{name}")
    return followers
