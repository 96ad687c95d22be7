"""Which axes of an array are sequences and time: what all inputs of a file agree on."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rnnc.data.frames import FLOAT_LIMIT, LABEL, LENGTHS, MOST_NUMBERS, Array, Frame
from rnnc.errors import DataError


@dataclass(frozen=True)
class ShapeReading:
    """One way to read an array: a sequence, or equal ones stacked, and the steps of each."""

    arrangement: Literal["one", "stacked"]
    lengths: tuple[int, ...]

    def split(self, array: Array, frame: Frame) -> list[Array]:
        """``[steps, *value]`` of each sequence."""
        return list(array.reshape(len(self.lengths), self.lengths[0], *frame.value))


def agreed(arrays: Mapping[str, Array], frames: Sequence[Frame], *, one: bool, notes: list[str]) -> ShapeReading:
    """The reading of all inputs by which they have the same sequences; ``one``: only as one sequence each.

    Raises DataError where an array does not fit its frame, or where the inputs differ.
    """
    choices = {f.name: readings(arrays[f.name].shape, f) for f in frames}
    if one:
        choices = {name: [r for r in found if r.arrangement == "one"] for name, found in choices.items()}
        for name, found in choices.items():
            if not found:
                raise DataError(
                    f"'lengths' goes with one array of concatenated sequences; {name!r} is {list(arrays[name].shape)}",
                    hint="Concatenate them along time, or leave 'lengths' out.",
                )
    first = frames[0]
    common = [r for r in choices[first.name] if all(_has(found, r) for found in choices.values())]
    if not common:
        raise _differ(arrays, frames, choices)
    for f in frames:
        shape = arrays[f.name].shape
        if f.value and shape[1:] == (1, *f.shape) and common[0].arrangement == "one":
            notes.append(f"{f.name!r} {list(shape)} is read as {shape[0]} steps, not as sequences of one step")
    return common[0]


def in_order(array: Array, frame: Frame, notes: list[str]) -> Array:
    """The array with time in front of the frame's axes, where it only fits as the file takes it: ``[sequence, 8, time]``."""
    if frame.time is None or frame.time < 2 or _readings(array.shape, frame):
        return array
    for axis, first in ((frame.time, 1), (frame.time - 1, 0)):
        if array.ndim == frame.rank - 1 + first:
            moved = np.moveaxis(array, axis, first)
            if _readings(moved.shape, frame):
                notes.append(f"{frame.name!r} {list(array.shape)} is read as the file takes it: time is axis {axis}")
                return moved
    return array


def spread(arrays: Mapping[str, Array], frames: Sequence[Frame], lengths: Sequence[int] | None) -> dict[str, Array]:
    """The arrays, where what the file takes once a sequence and the data hold once a sequence stands at each step.

    Args:
        lengths: steps of each sequence where the arrays hold them one after the other.
    """
    found, others = dict(arrays), [f for f in frames if not f.per_sequence]
    for f in frames if others else ():
        array, shape = arrays[f.name], arrays[others[0].name].shape
        if not f.per_sequence or array.size % f.size:
            continue
        reading = next(iter(_readings(shape, others[0])), None)
        if reading is None or any(r.lengths == reading.lengths for r in _readings(array.shape, f)):
            continue
        counts = reading.lengths if lengths is None else lengths
        if array.shape in ((len(counts), *f.shape), (len(counts), *f.value)) or (
            len(counts) == 1 and array.shape == f.value
        ):
            rows = np.repeat(array.reshape(len(counts), *f.value), counts, axis=0)
            lead = (len(counts), counts[0]) if reading.arrangement == "stacked" else (sum(counts),)
            found[f.name] = rows.reshape(*lead, *f.shape)
    return found


def readings(shape: tuple[int, ...], frame: Frame) -> list[ShapeReading]:
    """How an array may be read, the likeliest first; axes of length 1 may be left out of a frame, or added.

    ``[n, 1, *frame]`` is n steps of a batch of one, not n sequences of a step. Raises DataError where nothing fits.
    """
    found = _readings(shape, frame)
    if not found:
        raise _unfit(shape, frame)
    return found


def _readings(shape: tuple[int, ...], frame: Frame) -> list[ShapeReading]:
    found = [
        ShapeReading("one", shape[:1]) if axes == 1 else ShapeReading("stacked", (shape[1],) * shape[0])
        for exact in (True, False)
        for axes in (1, 2)
        if len(shape) >= axes
        and (shape[axes:] == frame.shape if exact else tuple(n for n in shape[axes:] if n != 1) == frame.value)
    ]
    return sorted(dict.fromkeys(found), key=lambda r: len(r.lengths) > 1 and r.lengths[0] == 1)


def stand_in(shapes: Mapping[str, tuple[int, ...]], frames: Sequence[Frame], also: Collection[str]) -> str | None:
    """The array that is meant by the only input where none has its name: the one that fits, apart from those of ``also``.

    None where an array has the input's name, and where not exactly one fits.
    """
    if len(frames) != 1 or frames[0].name in shapes:
        return None
    fit = [n for n, s in shapes.items() if n not in {*also, LABEL, LENGTHS} and _fits(s, frames[0])]
    return fit[0] if len(fit) == 1 else None


def _fits(shape: tuple[int, ...], frame: Frame) -> bool:
    count = math.prod(int(n) for n in shape)
    if not 0 < count <= MOST_NUMBERS:
        return False
    return bool(_readings(in_order(np.broadcast_to(np.float32(0), shape), frame, []).shape, frame))


def _has(found: Sequence[ShapeReading], wanted: ShapeReading) -> bool:
    return any(r.lengths == wanted.lengths for r in found)


def _unfit(shape: tuple[int, ...], frame: Frame) -> DataError:
    what = f"{frame.name!r} is {list(shape)}; a step has shape {list(frame.shape)}"
    hint = f"Give [{frame}] or [sequence, {frame}]."
    if shape == frame.shape:
        hint = f"One step is {[1, *shape]}. {hint}"
    elif len(shape) > 1 and (shape[-1], *shape[:-1])[1:] in (frame.shape, frame.value):
        hint = f"Time comes first: move its axis to get {[shape[-1], *shape[:-1]]}. {hint}"
    return DataError(what, hint=hint)


def _differ(
    arrays: Mapping[str, Array], frames: Sequence[Frame], choices: Mapping[str, Sequence[ShapeReading]]
) -> DataError:
    """The first input whose preferred reading is not the first input's, and the shape that would be right."""
    first = frames[0]
    wanted = choices[first.name][0]
    name = next(f.name for f in frames if not _has(choices[f.name], wanted))
    frame = next(f for f in frames if f.name == name)
    lead = [wanted.lengths[0]] if wanted.arrangement == "one" else [len(wanted.lengths), wanted.lengths[0]]
    return DataError(
        f"{name!r} has {counted(choices[name][0].lengths)} and {first.name!r} has {counted(wanted.lengths)}",
        hint=f"With {first.name!r} {list(arrays[first.name].shape)}, give {name!r} as {[*lead, *frame.shape]}.",
    )


def counted(lengths: Sequence[int]) -> str:
    """ "12 steps in 3 sequences"."""
    return f"{sum(lengths)} steps in {len(lengths)} sequence{'s' if len(lengths) > 1 else ''}"


def checked(array: Array, frame: Frame) -> Array:
    """The array as float32, or int64 where the input is row numbers; every element finite and in range."""
    if array.dtype.kind not in "fiub":
        raise DataError(f"{frame.name!r} is of type {array.dtype}, not numbers", hint=f"Give floats, [{frame}].")
    if array.size == 0:
        raise DataError(f"{frame.name!r} is empty, shape {list(array.shape)}", hint=f"Give [{frame}].")
    bad = ~np.isfinite(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
    if array.dtype.kind == "f" and array.dtype.itemsize > 4:
        bad |= np.abs(array) > FLOAT_LIMIT
    if bad.any():
        at = np.argwhere(bad)[0].tolist()
        raise DataError(
            f"{frame.name!r} is {array[tuple(at)]} at {at}; "
            f"{int(bad.sum())} of {array.size} elements are not finite as float32",
            hint="A network would keep it in its state: cut the recording there, or fill the gap as the firmware will.",
        )
    if not frame.rows:
        return array.astype(np.float32)
    ids = array.astype(np.int64)
    outside = (ids != array) | (ids < 0) | (ids >= frame.rows)
    if outside.any():
        at = np.argwhere(outside)[0].tolist()
        raise DataError(f"{frame.name!r} is {array[tuple(at)]} at {at}; ids are whole numbers 0..{frame.rows - 1}")
    if array.shape[-1:] == (frame.rows,) and is_one_hot(array):
        raise DataError(
            f"{frame.name!r} {list(array.shape)} is one-hot: a single 1 in each row of {frame.rows}; the input takes ids",
            hint=f"Give the place of each 1, {list(array.shape[:-1])}: its argmax along the last axis.",
        )
    return ids


def is_one_hot(array: Array) -> bool:
    """Whether an array tells classes by a single 1 among zeros along its last axis, of which there are several rows."""
    if array.ndim < 2 or len(array) < 2 or array.shape[-1] < 2:
        return False
    return bool(np.all((array == 0) | (array == 1)) and np.all((array == 1).sum(-1) == 1))
