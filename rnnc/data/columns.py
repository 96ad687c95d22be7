"""Which columns of a CSV file hold which input: by the heading where there is one, else by their number alone."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from rnnc.data.frames import LABEL, Frame
from rnnc.errors import DataError

MOST_NAMED = 3
UNIT = re.compile(r"[\s_]*[\[(][^\d)\]][^)\]]*[\])]$")
TIME = re.compile(r"(time|timestamp|time[ _]stamp|datetime|date)([ _]?(s|ms|us|ns|sec|secs|seconds|utc))?|^$")
INDEX = re.compile(r"index|idx|row|unnamed: \d+")
COUNTER = re.compile(r"t|id|no|nr|sample|step|tick|frame")
"""Names that are time or an index only where there are more columns than the input takes."""


@dataclass(frozen=True)
class ColumnChoice:
    """Columns by the name of what they hold: inputs, and others that were asked for; what to remark on them."""

    inputs: Mapping[str, Sequence[int]]
    others: Mapping[str, Sequence[int]] = field(default_factory=dict)
    notes: Sequence[str] = ()


def only_frame(frames: Sequence[Frame], what: str, hint: str = "Use an .npz.") -> Frame:
    """The only input; raises DataError where there are several, which ``what`` cannot tell apart."""
    if len(frames) != 1:
        names = ", ".join(f.name for f in frames)
        raise DataError(f"{what} serves models of one input; this one has {len(frames)}: {names}", hint=hint)
    return frames[0]


def without_heading(width: int, frames: Sequence[Frame], line: int) -> ColumnChoice:
    """All columns, which must be as many as the input's frame has elements; raises DataError."""
    frame = only_frame(frames, "CSV without a heading", f"Use an .npz, or a heading: {_names(frames)}.")
    if width != frame.size:
        raise DataError(
            f"line {line} has {_columns(width)}; input {frame.name!r} takes {frame.size} a step",
            hint=f"A heading chooses columns: {_names(frames)}. Columns called time or index are left out.",
        )
    return ColumnChoice({frame.name: range(width)})


def by_heading(heading: Sequence[str], frames: Sequence[Frame], also: Collection[str]) -> ColumnChoice:
    """The columns of each input: those of its name, else all that are neither time, nor an index, nor asked for besides.

    Raises DataError where they are not as many as the frames have elements.
    """
    plain = [name.strip() for name in heading]
    others = {name: found for name in dict.fromkeys([*also, LABEL]) if (found := _series(plain, name))}
    inputs = {f.name: found for f in frames if (found := _of_input(plain, f))}
    if len(inputs) < len(frames):
        if len(frames) > 1:
            missing = next(f.name for f in frames if f.name not in inputs)
            raise DataError(f"no column is called {missing!r}; {_listed(plain)}", hint=f"Expected {_names(frames)}.")
        inputs = {frames[0].name: _rest(plain, frames[0], {k for found in others.values() for k in found})}
    taken = {k for found in inputs.values() for k in found}
    others = {name: [k for k in found if k not in taken] for name, found in others.items()}
    left = [plain[k] or "(no name)" for k in range(len(plain)) if k not in taken.union(*others.values(), ())]
    said = [f"columns {', '.join(plain[k] for k in found)} are input {name}" for name, found in inputs.items()]
    notes = [_short("; ".join(said)) + (f"; left out: {_short(', '.join(left))}" if left else "")]
    return ColumnChoice(inputs, {name: found for name, found in others.items() if found}, notes)


def _of_input(heading: Sequence[str], frame: Frame) -> list[int]:
    """The columns named as the input or its elements, in order; [] where there are none."""
    found = _series(heading, frame.name)
    if found and len(found) != frame.size:
        raise DataError(
            f"the heading has {_columns(len(found))} of input {frame.name!r}, which takes {frame.size} a step",
            hint=f"Expected {_names([frame])}.",
        )
    return found


def _series(heading: Sequence[str], name: str) -> list[int]:
    """The column ``name``, or columns ``name0, name1, ..``, ``name[0]``, ``name_1``: by their numbers."""
    alone = [k for k, h in enumerate(heading) if h.casefold() == name.casefold()]
    if alone:
        return alone
    element = re.compile(rf"{re.escape(name)}[ _.]?\[?(\d+)\]?", re.IGNORECASE)
    numbers = {k: int(m[1]) for k, h in enumerate(heading) if (m := element.fullmatch(h))}
    found = sorted(numbers, key=lambda k: numbers[k])
    if not found:
        return []
    in_order = [numbers[k] for k in found]
    if in_order not in (list(range(len(found))), list(range(1, len(found) + 1))):
        raise DataError(f"the heading numbers the columns of {name!r} {', '.join(map(str, in_order))}")
    return found


def _rest(heading: Sequence[str], frame: Frame, others: Collection[int]) -> list[int]:
    """All columns but time, indices and ``others``, in the file's order."""
    named = [UNIT.sub("", h).casefold() for h in heading]
    left = [k for k, n in enumerate(named) if k in others or TIME.fullmatch(n) or INDEX.fullmatch(n)]
    rest = [k for k in range(len(heading)) if k not in left]
    if len(rest) > frame.size:
        without = [k for k in rest if not COUNTER.fullmatch(named[k])]
        rest = without if len(without) == frame.size else rest
    if len(rest) != frame.size:
        without_text = f" without {', '.join(heading[k] or '(no name)' for k in left)}" if left else ""
        raise DataError(
            f"the heading has {_columns(len(rest))}{without_text}: {_short(', '.join(heading[k] for k in rest))}; "
            f"input {frame.name!r} takes {frame.size} a step",
            hint=f"Call the columns {_names([frame])} to choose them.",
        )
    return rest


def _names(frames: Sequence[Frame]) -> str:
    """The heading that would be right."""
    return ", ".join(map(_name, frames))


def _name(frame: Frame) -> str:
    if frame.size == 1:
        return frame.name
    elements = [f"{frame.name}{k}" for k in range(frame.size)]
    return ", ".join(elements) if frame.size <= MOST_NAMED else f"{elements[0]}, {elements[1]} .. {elements[-1]}"


def _columns(count: int) -> str:
    return f"{count} column{'' if count == 1 else 's'}"


def _listed(heading: Sequence[str]) -> str:
    return f"the heading is {_short(', '.join(heading))}"


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:80]} .. {text[-30:]}"
