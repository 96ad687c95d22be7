"""NumPy files: only arrays that are named are read, and none before its size is known to be true."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile, is_zipfile

import numpy as np
from numpy.lib import format as npy

from rnnc.data.damage import readable
from rnnc.data.frames import MOST_BYTES, MOST_NUMBERS, Array
from rnnc.errors import DataError

MAGIC = b"\x93NUMPY"
MOST_HEADER = 10_000
"""Bytes; NumPy reads no longer ones either, but all of them before it says so."""
MOST_END = 22 + 0xFFFF
"""Bytes at the end of an archive that tell where its list is, a comment included."""
MOST_DIRECTORY = 1 << 22
"""Bytes of that list: about 60,000 arrays."""
NUMBERS = "fiub"
"""Kinds of arrays that hold numbers."""


def read_npy(path: Path) -> Array:
    """The array of a .npy file; raises DataError."""
    if is_zipfile(path):
        raise DataError("is an archive of arrays", hint="Name it .npz.")
    with path.open("rb") as stream:
        return _array(stream, path.stat().st_size)


def shapes_of(path: Path) -> dict[str, tuple[int, ...]]:
    """What the headers of a .npz file say of its arrays of numbers; others, and what is damaged, are left out."""
    found: dict[str, tuple[int, ...]] = {}
    if not is_zipfile(path):
        return found
    check_directory(path)
    with ZipFile(path) as archive:
        for entry in archive.infolist():
            with contextlib.suppress(Exception), archive.open(entry) as stream:
                shape, _, dtype = _header(stream)
                if dtype.kind in NUMBERS:
                    found[entry.filename.removesuffix(".npy")] = shape
    return found


def check_directory(path: Path) -> None:
    """Raise DataError where an archive lists more than zipfile would read in a moment: it reads all of the list at once."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - MOST_END))
        end = stream.read()
    at = end.rfind(b"PK\x05\x06")
    size = int.from_bytes(end[at + 12 : at + 16], "little") if at >= 0 else 0
    if size > MOST_DIRECTORY or end[max(0, at - 20) : max(0, at)].startswith(b"PK\x06\x07"):
        raise DataError("is damaged, or holds many thousands of arrays", hint="One array and 'lengths' hold them all.")


def read_npz(path: Path, wanted: Collection[str]) -> tuple[dict[str, Array], tuple[str, ...]]:
    """The arrays of a .npz file that are wanted, and the names of all others; raises DataError."""
    with path.open("rb") as stream:
        if stream.read(len(MAGIC)) == MAGIC:
            raise DataError("holds one bare array", hint="Name it .npy.")
    arrays: dict[str, Array] = {}
    others: list[str] = []
    with ZipFile(path) as archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            if name not in wanted:
                others.append(name)
                continue
            if name in arrays:
                raise DataError(f"holds the array {name!r} twice")
            with readable(".npz", name), archive.open(entry) as stream:
                arrays[name] = _array(stream, entry.file_size)
    return arrays, tuple(others)


def _array(stream: IO[bytes], size: int) -> Array:
    """The array that a stream of ``size`` bytes holds; nothing is allocated before its shape is known to fit."""
    shape, by_columns, dtype = _header(stream)
    if dtype.hasobject:
        raise DataError(
            "holds Python objects, not numbers", hint="Recordings of unlike length: one array and 'lengths'."
        )
    need, rest = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if need != rest:
        raise DataError(f"its header says shape {list(shape)}, which takes {need:,} bytes; {max(rest, 0):,} follow")
    if need > MOST_BYTES:
        raise DataError(f"takes {need >> 20:,} MiB; at most {MOST_BYTES >> 20} are read", hint="Give fewer recordings.")
    if math.prod(shape) > MOST_NUMBERS:
        raise DataError(f"holds {math.prod(shape):,} numbers; {MOST_NUMBERS:,} are read", hint="Give fewer recordings.")
    content = stream.read(need)
    if len(content) != need:
        raise DataError(f"is cut off: {len(content):,} of {need:,} bytes")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if by_columns else "C")


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether it is stored by columns, and type."""
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise DataError(f"is of a format that is not read here (version {version[0]}.{version[1]})")
    length = stream.read(2 if version == (1, 0) else 4)
    if (count := int.from_bytes(length, "little")) > MOST_HEADER:  # before it is decompressed
        raise DataError(f"is damaged: a header of {count:,} bytes, of {MOST_HEADER:,} at most")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, by_columns, dtype = read(io.BytesIO(length + stream.read(count)))
    return tuple(shape), by_columns, dtype
