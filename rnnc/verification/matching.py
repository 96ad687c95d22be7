"""Arrays of the user's beside what was compared: which entry of labels, or of recorded results, belongs to which answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rnnc.data import Array, Part
from rnnc.errors import DataError
from rnnc.fixed import Ints
from rnnc.net import Net, Output
from rnnc.verification.reference import Points

Each = Literal["step", "sequence", "answer"]
"""What an entry is for: a step, a sequence (its answer at the end), or an answer where those are fewer than steps."""
Span = tuple[int, int, int]
"""A sequence that was run: which of the data's it is of, from which step on, and up to which."""


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of an output that were compared, one an entry of each array.

    Args:
        sequence: of the data.
        step: of that sequence, the step that the answer is about.
        number: which answer of its sequence it is.
        last: whether there is none after it in its sequence.
        counts: how many answers each sequence of the data has.
    """

    sequence: Ints
    step: Ints
    number: Ints
    last: Array
    counts: list[int]


@dataclass(frozen=True, eq=False)
class Matched:
    """Entries beside answers: ``at [n]`` numbers the points of the output, ``values [n, *tail]`` are the user's."""

    each: Each
    at: Ints
    values: Array


def answers(net: Net, output: Output, points: Points, spans: Sequence[Span], lengths: Sequence[int]) -> Answers:
    """What each point of an output is about.

    Args:
        spans: the sequences that points count by.
        lengths: steps of each sequence of the data.
    """
    before = [0] * len(spans)
    counts, final = [0] * len(lengths), dict[int, int]()
    for k, (sequence, start, stop) in enumerate(spans):
        before[k] = counts[sequence]
        counts[sequence] += net.ticks(output, stop - start)
        final[sequence] = before[k] + _within(net, output, stop - start) - 1
    which, tick = np.array(points.sequence, np.int64), np.array(points.tick, np.int64)
    origin = np.array(spans, np.int64).reshape(-1, 3)[which]
    number = tick + np.array(before, np.int64)[which]
    late = number >= np.array([final.get(s, 0) for s in origin[:, 0].tolist()], np.int64)
    newest = dict(sorted(zip(origin[late, 0].tolist(), number[late].tolist(), strict=True)))
    last = np.array([newest.get(s) == n for s, n in zip(origin[:, 0].tolist(), number.tolist(), strict=True)], bool)
    return Answers(origin[:, 0], origin[:, 1] + step_of(net, output, tick), number, last, counts)


def step_of(net: Net, output: Output, ticks: Ints) -> Ints:
    """The step that each answer is about; of a window that answers once, its last."""
    if output.kind == "window":
        each = max(output.ticks, 1)
        return np.asarray(ticks // each * net.every + (ticks % each + 1) * net.window // each - 1)
    clock = net.values[output.value].clock
    return np.asarray(clock.phase + max(clock.rate, 1) * ticks - clock.delay)


def _within(net: Net, output: Output, steps: int) -> int:
    """How many answers come before a sequence has ended."""
    if output.kind == "window":
        return net.ticks(output, steps)
    clock = net.values[output.value].clock
    return 0 if steps <= clock.phase else (steps - 1 - clock.phase) // max(clock.rate, 1) + 1


def match(name: str, parts: Sequence[Part], tails: Sequence[tuple[int, ...]], found: Answers) -> Matched:
    """The entries of array ``name`` beside the answers.

    Args:
        tails: the shapes that one entry may have.

    Raises DataError where the array is missing in a file, or fits neither steps nor sequences nor answers.
    """
    each: Each | None = None
    split: list[Array] = []
    first = 0
    for part in parts:
        if name not in part.others:
            raise DataError(f"has no array {name!r}, others have", where=part.where)
        counts = found.counts[first : first + len(part.lengths)]
        first += len(part.lengths)
        kind, entries = _entries(name, part, tails, counts)
        if each not in (None, kind):
            raise DataError(f"{name!r} has an entry a {kind} here and an entry a {each} before", where=part.where)
        each = kind
        split += entries
    at = np.flatnonzero(found.last) if each == "sequence" else np.arange(len(found.step))
    index = {"sequence": 0 * found.step, "step": found.step, "answer": found.number}[each or "step"]
    known = [k for k in at.tolist() if 0 <= index[k] < len(split[found.sequence[k]])]
    values = np.array([split[found.sequence[k]][index[k]] for k in known]).reshape(len(known), *split[0].shape[1:])
    return Matched(each or "step", np.array(known, np.int64), values)


def _entries(
    name: str, part: Part, tails: Sequence[tuple[int, ...]], counts: Sequence[int]
) -> tuple[Each, list[Array]]:
    """Whether a part's array has an entry a step, a sequence or an answer, and those of each sequence ``[n, *tail]``."""
    array = part.others[name]
    choices = list(_choices(part, counts))
    for each, lead, lengths in choices:
        for tail in tails:
            if array.shape == (*lead, *tail) or (array.size and _bare(array.shape) == _bare((*lead, *tail))):
                flat = array.reshape(sum(lengths), *tail)
                return each, np.split(flat, np.cumsum(lengths)[:-1])
    right = [f"{[*lead, *tails[0]]} (one a {each})" for each, lead, _ in choices]
    raise DataError(
        f"{name!r} is {list(array.shape)} and fits nothing that was compared",
        where=part.where,
        hint=f"Give {', '.join(right[:-1])} or {right[-1]}.",
    )


def _choices(part: Part, counts: Sequence[int]) -> Iterator[tuple[Each, tuple[int, ...], Sequence[int]]]:
    """What an array may have an entry for, the axes that it then begins with, and how many entries each sequence has."""
    stacked, each_one = part.arrangement == "stacked", [1] * len(part.lengths)
    steps = part.lengths
    yield "step", (len(steps), steps[0]) if stacked else (sum(steps),), steps
    yield "sequence", (len(steps),), each_one
    if list(counts) != list(steps) and all(counts) and (not stacked or len(set(counts)) == 1):
        yield "answer", (len(counts), counts[0]) if stacked else (sum(counts),), counts


def _bare(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)
