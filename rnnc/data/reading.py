"""Reading data: each file or array by itself, then all of them one after the other."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rnnc.data.archives import NUMBERS, read_npy, read_npz, shapes_of
from rnnc.data.columns import only_frame
from rnnc.data.damage import readable
from rnnc.data.frames import LENGTHS, MOST_NUMBERS, MOST_SEQUENCES, Arrangement, Array, Data, Frame, Item, Part, Source
from rnnc.data.paths import files_of
from rnnc.data.shapes import agreed, checked, in_order, spread, stand_in
from rnnc.data.sound import read_frames
from rnnc.data.tables import arrays_of, read_csv
from rnnc.errors import DataError

MOST_NOTES = 8
MOST_NAMES = 30


def read_data(source: Source, frames: Sequence[Frame], also: Collection[str] = ()) -> Data:
    """Read what the inputs ``frames`` need from files or from arrays.

    Args:
        also: names of arrays to keep besides, where they are there: labels, recorded results.

    Raises DataError where an input is missing, does not fit, or is not finite.
    """
    notes: list[str] = []
    sequences: dict[str, list[Array]] = {f.name: [] for f in frames}
    parts: list[Part] = []
    numbers, first = 0, None
    for item in _items(source, frames, also, notes):
        with _Where(item.where):
            first = _of_one_rate(item, first)
            part, found = _read(item, frames, also, notes)
            numbers += sum(a.size for all_ in found.values() for a in all_) if item.of_file else 0
            if numbers > MOST_NUMBERS:
                what = f"{numbers:,} numbers with the files before; {MOST_NUMBERS:,} are read"
                raise DataError(what, hint="Give fewer or shorter recordings.")
        parts.append(part)
        for name, all_ in found.items():
            sequences[name] += all_
    arrangement: Arrangement = parts[0].arrangement if len(parts) == 1 else "stacked"
    if any(p.arrangement == "concatenated" for p in parts):
        arrangement = "concatenated"
    return Data(sequences, arrangement, _few(list(dict.fromkeys(notes))), parts)


def _of_one_rate(item: Item, first: Item | None) -> Item | None:
    """The first sound of the data, this or the one before; raises DataError where the two have other samples a second."""
    if item.rate and first and item.rate != first.rate:
        what = f"has {item.rate:,} samples a second, {first.where} has {first.rate:,}"
        raise DataError(what, hint="Resample the recordings to the rate that the network was trained with.")
    return first or (item if item.rate else None)


def _few(notes: list[str]) -> list[str]:
    """Remarks on hundreds of files, cut short."""
    rest = len(notes) - MOST_NOTES
    return notes if rest <= 1 else [*notes[:MOST_NOTES], f"{rest} more remarks on the data"]


def _listed(names: Sequence[str]) -> str:
    """Names of arrays, of thousands the first."""
    rest = len(names) - MOST_NAMES
    return ", ".join(names if rest <= 1 else [*names[:MOST_NAMES], f"{rest:,} more"])


class _Where:
    """Names the file or recording in a DataError; what is too large for the memory is one."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Say where."""
        if isinstance(error, DataError):
            error.where = error.where or self.where
        elif isinstance(error, MemoryError):
            raise DataError("takes more memory than there is", where=self.where) from None


# --------------------------------------------------------------------------- files, arrays and lists


def _items(source: Source, frames: Sequence[Frame], also: Collection[str], notes: list[str]) -> Iterator[Item]:
    if isinstance(source, str | Path):
        yield from _files(str(source), frames, also, notes)
    elif isinstance(source, Mapping):
        yield from _mapping(source, frames, also, notes)
    elif isinstance(source, list | tuple) and any(isinstance(s, str | Path | Mapping) for s in source):
        for k, each in enumerate(source):
            for item in _items(each, frames, also, notes):
                yield item if item.where != "data" else Item(f"recording {k + 1} of the data", item.arrays)
    else:
        with _Where("data"):
            name = only_frame(frames, "A bare array").name
        yield from _mapping({name: source}, frames, also, notes)


def _files(path: str, frames: Sequence[Frame], also: Collection[str], notes: list[str]) -> Iterator[Item]:
    if path == "-":
        with _Where("standard input"):
            yield Item("standard input", arrays_of(sys.stdin, frames, also, notes))
        return
    with _Where(path):
        files = files_of(path, notes)
    for file in files:
        with _Where(str(file)):
            yield replace(_file(file, frames, also, notes), of_file=True)


def _file(path: Path, frames: Sequence[Frame], also: Collection[str], notes: list[str]) -> Item:
    kind = path.suffix.lower()
    with readable(kind):
        if kind == ".npz":
            meant = stand_in(shapes_of(path), frames, also)
            item = Item(str(path), *read_npz(path, {*(f.name for f in frames), *also, LENGTHS, meant or LENGTHS}))
            return _renamed(item, meant, frames, notes)
        if kind == ".csv":
            return Item(str(path), read_csv(path, frames, also, notes))
        frame = only_frame(frames, kind)
        if kind == ".npy":
            return Item(str(path), {frame.name: read_npy(path)})
        frames_of_sound, rate = read_frames(path, frame, notes)
        return Item(str(path), {frame.name: frames_of_sound}, rate=rate)


def _renamed(item: Item, meant: str | None, frames: Sequence[Frame], notes: list[str]) -> Item:
    """The arrays with the one that is meant by the only input under its name; says so."""
    if meant is None:
        return item
    notes.append(f"array {meant!r} is input {frames[0].name!r}")
    return replace(item, arrays={frames[0].name if n == meant else n: a for n, a in item.arrays.items()})


def _mapping(
    source: Mapping[str, Any], frames: Sequence[Frame], also: Collection[str], notes: list[str]
) -> Iterator[Item]:
    """The arrays; where an input is a list of recordings, those one by one."""
    with _Where("data"):
        listed = {f.name: found for f in frames if (found := _recordings(source.get(f.name), f)) is not None}
        if not listed:
            arrays = {name: _array(a, name) for name, a in source.items()}
            shapes = {name: a.shape for name, a in arrays.items() if a.dtype.kind in NUMBERS}
            yield _renamed(Item("data", arrays), stand_in(shapes, frames, also), frames, notes)
            return
        count = len(next(iter(listed.values())))
        for name, value in source.items():
            if not hasattr(value, "__len__") or len(value) != count:
                first = next(iter(listed))
                have = f"{len(value)} entries" if hasattr(value, "__len__") else "no entries"
                raise DataError(f"{first!r} is a list of {count} recordings and {name!r} has {have}")
    for k in range(count):
        where = f"recording {k + 1} of the data"
        with _Where(where):
            yield Item(where, {n: listed[n][k] if n in listed else _array(v[k], n) for n, v in source.items()})


def _recordings(value: Any, frame: Frame) -> list[Array] | None:
    """The recordings of a list of arrays; None where it is one array, or a list of frames."""
    if not isinstance(value, list | tuple) or not value:
        return None
    arrays = [_array(a, frame.name) for a in value]
    if any(a.ndim == 0 for a in arrays) or all(a.shape == frame.shape for a in arrays):
        return None
    return arrays


def _array(value: Any, name: str) -> Array:
    try:
        return np.asarray(value)
    except ValueError as error:
        raise DataError(
            f"{name!r} is no array: {error}", hint="Recordings of unlike length: a list of arrays."
        ) from None


# --------------------------------------------------------------------------- one file or array


def _read(
    item: Item, frames: Sequence[Frame], also: Collection[str], notes: list[str]
) -> tuple[Part, dict[str, list[Array]]]:
    names = {f.name for f in frames}
    arrays = item.arrays
    missing = [f.name for f in frames if f.name not in arrays]
    if missing:
        holds = _listed([repr(name) for name in (*arrays, *item.unread)])
        raise DataError(
            f"has no array {missing[0]!r}; it holds {holds or 'nothing'}",
            hint=f"The model's inputs are {', '.join(f'{f.name} [{f}]' for f in frames)}."
            + f" In Python: np.savez('data.npz', {missing[0]}=...)." * missing[0].isidentifier()
            + f" If {missing[0]} is a state: --state {missing[0]}=OUTPUT." * (len(missing) < len(frames)),
        )
    ignored = sorted({*arrays, *item.unread} - names - set(also) - {LENGTHS})
    if ignored:
        notes.append(f"ignored: {_listed(ignored)}")
    given = {f.name: in_order(checked(arrays[f.name], f), f, notes) for f in frames}
    others = {name: arrays[name] for name in dict.fromkeys(also) if name in arrays}
    lengths = arrays.get(LENGTHS) if LENGTHS not in names else None
    given = spread(given, frames, None if lengths is None else _counts(lengths))
    reading = agreed(given, frames, one=lengths is not None, notes=notes)
    _check_count(len(reading.lengths))
    if lengths is None:
        split = {f.name: reading.split(given[f.name], f) for f in frames}
        return Part(item.where, reading.lengths, reading.arrangement, others), split
    counts = _lengths(lengths, frames[0].name, reading.lengths[0])
    _check_count(len(counts))
    ends = np.cumsum(counts)[:-1]
    split = {f.name: np.split(reading.split(given[f.name], f)[0], ends) for f in frames}
    return Part(item.where, tuple(counts), "concatenated", others), split


def _check_count(sequences: int) -> None:
    if sequences > MOST_SEQUENCES:
        what = f"holds {sequences:,} sequences; {MOST_SEQUENCES:,} are read"
        raise DataError(what, hint="Give fewer recordings, or several of them as one.")


def _counts(lengths: Array) -> list[int]:
    counts = lengths.ravel()
    if counts.dtype.kind not in "iu" or counts.size == 0 or counts.min() < 1:
        raise DataError("'lengths' must be whole numbers above 0")
    found: list[int] = counts.tolist()
    return found


def _lengths(lengths: Array, name: str, steps: int) -> list[int]:
    found = _counts(lengths)
    if sum(found) != steps:
        hint = "It has the number of steps of each sequence, in their order."
        raise DataError(f"'lengths' add up to {sum(found)} and {name!r} has {steps} steps", hint=hint)
    return found
