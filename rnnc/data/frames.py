"""What data are read for, and what reading gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrangement = Literal["one", "stacked", "concatenated"]
Source = str | Path | Array | Mapping[str, Array | Sequence[Array]] | Sequence[str | Path | Array | Mapping[str, Array]]
"""A path of a file or folder, or a glob ("-" for standard input); the array of the only input; arrays by input name; or a
list of these, whose recordings may differ in length."""
FLOAT_LIMIT = float(np.finfo(np.float32).max)
MOST_BYTES = 256 << 20
"""The largest array or file that is read: what is larger is a damaged header, or takes the compiler hours."""
MOST_NUMBERS = 1 << 25
"""The most numbers that all files of the data hold: what follows takes 16 bytes for each."""
MOST_SEQUENCES = 1 << 18
"""Of a file; each takes some microseconds in every stage that looks at the data."""
LABEL = "label"
"""The array, or the column of a CSV file, that holds labels unless another is named."""
LENGTHS = "lengths"
"""The array that tells the steps of each of the sequences that the others hold one after the other."""


@dataclass(frozen=True)
class Frame:
    """What one step of an input is.

    Args:
        shape: as in the file, without batch and time axes.
        value: the same without axes of length 1: the shape of the network's value.
        rows: for an input of row numbers, how many rows there are; 0 for measured quantities.
        hop: samples from the begin of one frame of a .wav to that of the next, 0 for as many as a frame has.
        rank: how many axes the file's tensor has.
        time: which of them is time, None where none is.
        per_sequence: whether the file takes it once for a whole sequence.
    """

    name: str
    shape: tuple[int, ...]
    value: tuple[int, ...]
    rows: int = 0
    hop: int = 0
    rank: int = 0
    time: int | None = None
    per_sequence: bool = False

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.value, dtype=np.int64))

    def __str__(self) -> str:
        return ", ".join(["time", *map(str, self.shape)])


@dataclass(frozen=True, eq=False)
class Item:
    """Arrays by name, as a file or the caller holds them, where they are from, and the names of those that were not read.

    ``rate`` is the samples a second of a sound, 0 of others.
    """

    where: str
    arrays: dict[str, Array]
    unread: tuple[str, ...] = ()
    of_file: bool = False
    rate: int = 0


@dataclass(frozen=True, eq=False)
class Part:
    """What one file or array of the data held.

    Args:
        where: the file's path, or which of the caller's recordings it is.
        lengths: steps of each of its sequences.
        arrangement: how its arrays held them.
        others: arrays that are no inputs and were asked for: labels, recorded results.
    """

    where: str
    lengths: tuple[int, ...]
    arrangement: Arrangement
    others: dict[str, Array]


@dataclass(frozen=True, eq=False)
class Data:
    """Sequences ``[steps, *value]`` of each input, how the arrays held them, and what was worth a remark."""

    sequences: dict[str, list[Array]]
    arrangement: Arrangement
    notes: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)

    @property
    def lengths(self) -> list[int]:
        """Steps of each sequence."""
        return [len(s) for s in next(iter(self.sequences.values()))]
