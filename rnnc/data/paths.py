"""Which files a path names: a file, all data in a folder, or what a glob matches; the same order every time."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from rnnc.errors import DataError

SUFFIXES = (".npz", ".npy", ".csv", ".wav")
KINDS = "Data is .npz, .npy, .csv or .wav. In Python: np.savez('data.npz', x=...) with the input's name, time first."
TEXTS = (".txt", ".tsv", ".dat", ".tab", ".asc")
"""What files of numbers in columns are called, too."""
SHEETS = (".xlsx", ".xls", ".ods", ".numbers")


def files_of(path: str, notes: list[str]) -> list[Path]:
    """The files that a path, a folder or a glob names, sorted; adds a note where they are several.

    Raises DataError where there is none, or where it is no regular file.
    """
    if not path:
        raise DataError("the data's path is empty")
    given = Path(path)
    if given.is_dir():
        return _in_folder(given, notes)
    if not given.exists() and glob.has_magic(path):
        return _matched(path, notes)
    if not given.exists():
        raise DataError("no such file", hint=_near(given))
    if not given.is_file():
        raise DataError("is not a regular file", hint="Use - to read CSV from standard input.")
    if given.suffix.lower() not in SUFFIXES:
        raise DataError(f"cannot read {given.suffix or 'a file without a suffix'}", hint=_how(given.suffix.lower()))
    return [given]


def _near(missing: Path) -> str:
    """The data that lie where a file was looked for."""
    folder = missing.parent
    if not folder.is_dir():
        return f"There is no folder {folder}."
    try:
        found = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    except OSError as error:
        return f"{folder}: {error.strerror or error}."
    return f"In {'this folder' if str(folder) == '.' else folder}: {_some(found)}." if found else KINDS


def _how(suffix: str) -> str:
    """What to do with a file that is not read."""
    if suffix in SHEETS:
        return "Save the sheet as CSV: a row a step."
    if suffix in TEXTS:
        return "If it holds a row of numbers a step, separated by commas, semicolons, tabs or spaces, name it .csv."
    return "It is a model: data are recordings of its input. " + KINDS if suffix == ".onnx" else KINDS


def _in_folder(folder: Path, notes: list[str]) -> list[Path]:
    try:
        inside = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    except OSError as error:
        raise DataError(error.strerror or str(error)) from None
    found = [p for p in inside if p.suffix.lower() in SUFFIXES]
    if not found:
        raise DataError(
            "the folder holds no .npz, .npy, .csv or .wav file",
            hint=f"A glob reaches files in folders below: '{folder}/**/*.csv'.",
        )
    rest = [p.name for p in inside if p not in found]
    notes.append(_several(str(folder), found) + (f"; {_some(rest)} not read" if rest else ""))
    return found


def _matched(pattern: str, notes: list[str]) -> list[Path]:
    matches = sorted(Path(p) for p in glob.glob(pattern, recursive=True))
    found = [p for p in matches if p.is_file()]
    if not found:
        raise DataError("no file matches")
    for p in found:
        if p.suffix.lower() not in SUFFIXES:
            raise DataError(f"matches {p.name}, which cannot be read", hint=KINDS)
    notes.append(_several(pattern, found))
    return found


def _several(what: str, found: Sequence[Path]) -> str:
    names = found[0].name if len(found) == 1 else f"{found[0].name} .. {found[-1].name}"
    return f"{what}: {len(found)} file{'s' if len(found) > 1 else ''}, {names}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
