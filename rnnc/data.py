"""Calibration and test data: files and arrays become sequences of steps for each input.

    .npz         arrays named as the inputs; others are ignored with a note
    .npy         the one input of the model
    .csv, "-"    a row a step, for models of one input ("-" is standard input)
    .wav         samples in [-1, 1), cut into frames of the input's size; they overlap where the hop is less

An array is ``[time, *frame]`` or ``[sequence, time, *frame]``; with an int array ``lengths`` it is concatenated sequences.
A frame is the input's shape without batch and time axes, ids have none: ``[time]``.
"""

from __future__ import annotations

import csv
import io
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rnnc.errors import DataError
from rnnc.wav import read_wav

Array = NDArray[Any]
Arrangement = Literal["one", "stacked", "concatenated"]
Source = str | Path | Array | Mapping[str, Array]
"""A path ("-" for standard input), the array of the only input, or arrays by input name."""
FLOAT_LIMIT = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Frame:
    """What one step of an input is.

    Args:
        shape: as in the file, without batch and time axes.
        value: the same without axes of length 1: the shape of the network's value.
        rows: for an input of row numbers, how many rows there are; 0 for measured quantities.
        hop: samples from the begin of one frame of a .wav to that of the next, 0 for as many as a frame has.
    """

    name: str
    shape: tuple[int, ...]
    value: tuple[int, ...]
    rows: int = 0
    hop: int = 0

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.value, dtype=np.int64))

    def __str__(self) -> str:
        return ", ".join(["time", *map(str, self.shape)])


@dataclass(frozen=True, eq=False)
class Data:
    """Sequences ``[steps, *value]`` of each input, how the arrays held them, and what was worth a remark."""

    sequences: dict[str, list[Array]]
    arrangement: Arrangement
    notes: list[str] = field(default_factory=list)

    @property
    def lengths(self) -> list[int]:
        """Steps of each sequence."""
        return [len(s) for s in next(iter(self.sequences.values()))]


def read_data(source: Source, frames: Sequence[Frame]) -> Data:
    """Read what the inputs ``frames`` need from a file or from arrays.

    Raises DataError where it is missing, does not fit, or is not finite.
    """
    notes: list[str] = []
    where = str(source) if isinstance(source, str | Path) else "data"
    try:
        arrays = _arrays(source, frames, notes)
        return _sequences(arrays, frames, notes)
    except DataError as error:
        error.where = error.where or ("standard input" if where == "-" else where)
        raise


# --------------------------------------------------------------------------- files


def _arrays(source: Source, frames: Sequence[Frame], notes: list[str]) -> dict[str, Array]:
    if isinstance(source, Mapping):
        return {name: np.asarray(a) for name, a in source.items()}
    if not isinstance(source, str | Path):
        return {only_frame(frames, "A bare array").name: np.asarray(source)}
    if str(source) == "-":
        return {only_frame(frames, "CSV").name: read_csv(sys.stdin.read(), notes)}
    path = Path(source)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"cannot read {path.suffix or 'a file without a suffix'}", hint="Data is .npz, .npy, .csv or .wav."
        )
    try:
        return reader(path, frames, notes)
    except OSError as error:
        raise DataError(error.strerror or str(error)) from None
    except (ValueError, KeyError, EOFError, NotImplementedError, BadZipFile, zlib.error) as error:
        raise DataError(f"is not a readable {path.suffix} file: {error}") from None


def only_frame(frames: Sequence[Frame], what: str) -> Frame:
    """The only input; raises DataError where there are several, which ``what`` cannot tell apart."""
    if len(frames) != 1:
        names = ", ".join(f.name for f in frames)
        raise DataError(f"{what} serves models of one input; this one has {len(frames)}: {names}", hint="Use an .npz.")
    return frames[0]


def _read_npz(path: Path, _: Sequence[Frame], __: list[str]) -> dict[str, Array]:
    archive = np.load(path, allow_pickle=False)
    if isinstance(archive, np.ndarray):
        raise DataError("holds one bare array", hint="Name it .npy.")
    with archive:
        return {name: archive[name] for name in archive.files}


def _read_npy(path: Path, frames: Sequence[Frame], _: list[str]) -> dict[str, Array]:
    name = only_frame(frames, ".npy").name
    array = np.load(path, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise DataError("is an archive of arrays", hint="Name it .npz.")
    return {name: array}


def _read_csv_file(path: Path, frames: Sequence[Frame], notes: list[str]) -> dict[str, Array]:
    return {only_frame(frames, ".csv").name: read_csv(path.read_text(encoding="utf-8-sig"), notes)}


def _read_wav_file(path: Path, frames: Sequence[Frame], notes: list[str]) -> dict[str, Array]:
    """Frames ``hop`` samples apart, or a sample a step where the input is as wide as the file has channels."""
    frame = only_frame(frames, ".wav")
    samples = read_wav(path.read_bytes())
    channels = samples.shape[1]
    if channels not in (1, frame.size):
        raise DataError(
            f"has {channels} channels; input {frame.name!r} takes frames of {frame.size} samples of one channel"
        )
    if channels == frame.size:
        return {frame.name: samples.reshape(-1, *frame.shape)}
    hop = frame.hop or frame.size
    count = max(0, (len(samples) - frame.size) // hop + 1)
    rest = len(samples) - (count - 1) * hop - frame.size if count else len(samples)
    if rest:
        notes.append(f"{path.name}: the last {rest} samples do not fill a frame of {frame.size} and are dropped")
    frames_of = sliding_window_view(samples[:, 0], frame.size)[::hop] if count else samples[:0]
    return {frame.name: frames_of[:count].reshape(count, *frame.shape)}


Reader = Callable[[Path, Sequence[Frame], list[str]], dict[str, Array]]
READERS: dict[str, Reader] = {".npz": _read_npz, ".npy": _read_npy, ".csv": _read_csv_file, ".wav": _read_wav_file}


def read_csv(text: str, notes: list[str]) -> Array:
    """Rows of numbers ``[rows, columns]``; see ``csv_rows``."""
    rows = list(csv_rows(io.StringIO(text), notes))
    if not rows:
        raise DataError("holds no numbers")
    return np.array(rows)


def csv_rows(lines: Iterable[str], notes: list[str]) -> Iterator[list[float]]:
    """Rows of numbers, one as soon as its line is there; a first row that is no numbers is a heading, skipped with a note.

    Raises DataError naming the line of a cell that is not a number, or of a row of another width.
    """
    source = (line for line in lines)
    skipped, first = 0, ""
    while not first.strip():
        skipped += 1
        try:
            first = next(source)
        except StopIteration:
            return
    delimiter = next((d for d in ",;\t" if d in first), " ")
    reader = csv.reader(chain([first], source), delimiter=delimiter, skipinitialspace=True)
    width = 0
    for row in reader:
        line = reader.line_num + skipped - 1
        cells = [c for c in row if c] if delimiter == " " else row
        if not any(c.strip() for c in cells):
            continue
        try:
            numbers = [float(c) for c in cells]
        except ValueError:
            if width or line > skipped:
                bad = next(c for c in cells if not _is_number(c))
                raise DataError(f"line {line}: {bad!r} is not a number") from None
            notes.append(f"the first row is taken as a heading: {delimiter.join(cells)[:60]}")
            continue
        if width and len(numbers) != width:
            raise DataError(f"line {line} has {len(numbers)} columns, the first row has {width}")
        width = len(numbers)
        yield numbers


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


# --------------------------------------------------------------------------- sequences


def _sequences(arrays: dict[str, Array], frames: Sequence[Frame], notes: list[str]) -> Data:
    names = {f.name for f in frames}
    missing = [f.name for f in frames if f.name not in arrays]
    if missing:
        raise DataError(
            f"has no array {missing[0]!r}; it holds {', '.join(map(repr, arrays)) or 'nothing'}",
            hint=f"The model's inputs are {', '.join(f'{f.name} [{f}]' for f in frames)}.",
        )
    lengths = arrays["lengths"] if "lengths" in arrays and "lengths" not in names else None
    ignored = sorted(set(arrays) - names - {"lengths"})
    if ignored:
        notes.append(f"ignored: {', '.join(ignored)}")
    split: dict[str, list[Array]] = {}
    arrangements: dict[str, Arrangement] = {}
    for frame in frames:
        split[frame.name], arrangements[frame.name] = _split(_checked(arrays[frame.name], frame), frame, lengths)
    first = frames[0].name
    wanted = [len(s) for s in split[first]]
    for name, sequences in split.items():
        counts = [len(s) for s in sequences]
        if counts != wanted:
            raise DataError(f"{name!r} has {_count(counts)} and {first!r} has {_count(wanted)}")
    if len(wanted) > 1 and max(wanted) == 1:
        notes.append(f"{first!r} is read as {len(wanted)} sequences of one step each")
    return Data(split, arrangements[first], notes)


def _count(lengths: Sequence[int]) -> str:
    return f"{sum(lengths)} steps in {len(lengths)} sequence{'s' if len(lengths) > 1 else ''}"


def _checked(array: Array, frame: Frame) -> Array:
    """The array as float32, or int64 where the input is row numbers; every element finite and in range."""
    if array.dtype.kind not in "fiub":
        raise DataError(f"{frame.name!r} is of type {array.dtype}, not numbers")
    if array.size == 0:
        raise DataError(f"{frame.name!r} is empty, shape {list(array.shape)}")
    bad = ~np.isfinite(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
    if array.dtype.kind == "f" and array.dtype.itemsize > 4:
        bad |= np.abs(array) > FLOAT_LIMIT
    if bad.any():
        at = np.argwhere(bad)[0].tolist()
        raise DataError(
            f"{frame.name!r} is {array[tuple(at)]} at {at}; {int(bad.sum())} of {array.size} elements are not finite as float32"
        )
    if not frame.rows:
        return array.astype(np.float32)
    ids = array.astype(np.int64)
    outside = (ids != array) | (ids < 0) | (ids >= frame.rows)
    if outside.any():
        at = np.argwhere(outside)[0].tolist()
        raise DataError(f"{frame.name!r} is {array[tuple(at)]} at {at}; ids are whole numbers 0..{frame.rows - 1}")
    return ids


def _split(array: Array, frame: Frame, lengths: Array | None) -> tuple[list[Array], Arrangement]:
    sequences = _leading_axes(array, frame) == 2
    if lengths is None:
        if not sequences:
            return [array.reshape(-1, *frame.value)], "one"
        return list(array.reshape(*array.shape[:2], *frame.value)), "stacked"
    if sequences:
        raise DataError(
            f"'lengths' goes with one array of concatenated sequences; {frame.name!r} is {list(array.shape)}"
        )
    array = array.reshape(-1, *frame.value)
    counts = lengths.ravel()
    if counts.dtype.kind not in "iu" or counts.size == 0 or counts.min() < 1:
        raise DataError("'lengths' must be whole numbers above 0")
    if int(counts.sum()) != len(array):
        raise DataError(f"'lengths' add up to {int(counts.sum())} and {frame.name!r} has {len(array)} steps")
    return np.split(array, np.cumsum(counts)[:-1]), "concatenated"


def _leading_axes(array: Array, frame: Frame) -> int:
    """1 for ``[time, *frame]``, 2 for ``[sequence, time, *frame]``; axes of length 1 may be left out of a frame, or added."""
    for axes in (1, 2):
        if array.shape[axes:] == frame.shape and array.ndim >= axes:
            return axes
    for axes in (1, 2):
        if array.ndim >= axes and tuple(n for n in array.shape[axes:] if n != 1) == frame.value:
            return axes
    raise DataError(
        f"{frame.name!r} is {list(array.shape)}; a step has shape {list(frame.shape)}",
        hint=f"Give [{frame}] or [sequence, {frame}].",
    )
