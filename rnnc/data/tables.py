"""CSV: rows of numbers, one as soon as its line is there; what separates columns is found from the first rows."""

from __future__ import annotations

import codecs
import csv
import re
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rnnc.data.columns import ColumnChoice, by_heading, without_heading
from rnnc.data.frames import FLOAT_LIMIT, MOST_BYTES, Array, Frame
from rnnc.errors import DataError

QUOTED = re.compile(r'"[^"]*"')
WHOLE = re.compile(r"[+-]?\d+")
SEPARATORS = ";\t,"
"""In this order: where there are semicolons or tabs, commas are decimal."""
HEADING_LINES = 20
"""A quoted heading may go over so many lines."""
A_ROW = "A row is a step, its cells are numbers; what the columns are called stands in the first row, or nowhere."
GAP = "Leave the row out, or fill the gap as the firmware will."
DECIMALS = "Decimal commas are read where semicolons or tabs separate the columns."
MOST_READ = 5_000_000
"""Lines and cells of a file together; each takes a microsecond or two."""
MOST_CHARACTERS = 1 << 22
"""Of a line: 64 for each element of the largest input."""
BINARY = "Save it as .npy or .npz, which holds more, or give fewer recordings."
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_csv(path: Path, frames: Sequence[Frame], also: Collection[str], notes: list[str]) -> dict[str, Array]:
    """The arrays of a CSV file: ``[time, *frame]`` of each input, and the other columns asked for; raises DataError."""
    if path.stat().st_size > MOST_BYTES:
        raise DataError(f"takes {path.stat().st_size >> 20:,} MiB; at most {MOST_BYTES >> 20} are read")
    with path.open("rb") as raw:
        encoding = "utf-16" if raw.read(2) in UTF16 else "utf-8-sig"
    with path.open(encoding=encoding, errors="replace", newline=None) as lines:
        return arrays_of(lines, frames, also, notes)


def arrays_of(
    lines: Iterable[str], frames: Sequence[Frame], also: Collection[str], notes: list[str]
) -> dict[str, Array]:
    """As ``read_csv``, of lines."""
    table = Table(lines, frames, also, notes)
    numbers, rows = array("d"), 0
    for row in table.rows():
        numbers.extend(row)
        rows += 1
    if not rows:
        raise DataError("holds no numbers", hint=A_ROW)
    every = np.frombuffer(numbers, np.float64).reshape(rows, -1)
    shapes = {f.name: f.shape for f in frames}
    found: dict[str, Array] = {}
    at = 0
    for name, columns in table.choice.inputs.items():
        found[name] = every[:, at : at + len(columns)].reshape(rows, *shapes[name])
        at += len(columns)
    return found | table.others()


def csv_rows(lines: Iterable[str], frame: Frame, notes: list[str]) -> Iterator[list[float]]:
    """The elements of a frame, a list as soon as its line is there.

    Raises DataError naming the line of a cell that is not a number, or of a row of another width.
    """
    return Table(lines, [frame], (), notes, bounded=False).rows()


@dataclass
class Table:
    """A CSV file while it is read.

    Args:
        bounded: all of it is to be kept, so that it must end.
    """

    lines: Iterable[str]
    frames: Sequence[Frame]
    also: Collection[str]
    notes: list[str]
    bounded: bool = True
    choice: ColumnChoice = field(default_factory=lambda: ColumnChoice({}))
    line: int = 0
    separator: str = ""
    width: int = 0
    spent: int = 0
    heading: list[str] | None = None
    point: str = ""
    picked: list[int] = field(default_factory=list)
    texts: dict[str, list[list[str]]] = field(default_factory=dict)

    def rows(self) -> Iterator[list[float]]:
        """The numbers of the inputs' columns, side by side."""
        source = self._filled()
        for text in self._begin(source):
            cells = self._cells(text)
            self.spent += len(cells)
            if not self.width:
                self._choose(cells)
            if len(cells) == self.width + 1 and not cells[-1]:
                del cells[-1]
            if len(cells) != self.width:
                what = "the first row" if self.heading is None else "the heading"
                raise DataError(
                    f"line {self.line} has {len(cells)} columns, {what} has {self.width}", hint=self._hint()
                )
            for name, columns in self.choice.others.items():
                self.texts[name].append([cells[k] for k in columns])
            yield self._plain(cells) or [self._number(cells, k) for k in self.picked]

    def others(self) -> dict[str, Array]:
        """The other columns asked for, ``[time]`` or ``[time, columns]``; whole numbers where all are written so."""
        found = {}
        for name, rows in self.texts.items():
            whole = all(WHOLE.fullmatch(cell) for row in rows for cell in row)
            try:
                values = np.array([[float(c.replace(",", ".")) for c in row] for row in rows])
            except ValueError:
                self.notes.append(f"column {name} is left out: it holds what is not a number")
                continue
            values = values.astype(np.int64) if whole and np.abs(values).max() < 2.0**63 else values
            found[name] = values[:, 0] if values.shape[1] == 1 else values
        return found

    def _filled(self) -> Iterator[str]:
        """Lines that are not empty and no comments after the first row."""
        source = _of_bounded_length(self.lines)
        while True:
            try:
                text = next(source)
            except StopIteration:
                return
            except UnicodeDecodeError:
                raise DataError(f"line {self.line + 1} is not text in UTF-8") from None
            except OSError as error:
                raise DataError(error.strerror or str(error)) from None
            self.line += 1
            if self.bounded and self.line + self.spent > MOST_READ:
                what = f"has more than {MOST_READ:,} lines and cells, counted up to line {self.line:,}"
                raise DataError(what, hint=BINARY)
            if len(text) > MOST_CHARACTERS:
                raise DataError(f"line {self.line} is longer than {MOST_CHARACTERS:,} characters")
            text = text.rstrip("\r\n")
            text = text.removeprefix("\ufeff") if self.line == 1 else text
            if text.strip() and not (self.width and text.startswith("#")):
                yield text

    def _begin(self, source: Iterator[str]) -> Iterator[str]:
        """Rows of numbers, all after the heading where there is one."""
        comment, heading = "", ""
        for text in source:
            if text.startswith("#"):
                comment = text.lstrip("# ")
            elif re.fullmatch(r"sep=.", text):
                self.separator = text[-1]
            elif heading or not self._is_heading(first := self._whole(text, source)):
                self._divide(heading, comment, text)
                yield text
                break
            else:
                heading = first
        yield from source

    def _whole(self, text: str, source: Iterator[str]) -> str:
        """A heading with the lines that its quotes go over."""
        for _ in range(HEADING_LINES):
            if text.count('"') % 2 == 0:
                break
            text += f" {next(source, '')}"
        return text

    def _divide(self, heading: str, comment: str, first: str) -> None:
        """Find the separator in the first row of numbers, and split the heading by it."""
        self.separator = self.separator or _separator(first)
        if heading:
            self.heading = self._cells(heading)
        elif comment:
            cells = self._cells(comment)
            self.heading = cells if len(cells) == len(self._cells(first)) > 0 and not _numeric(cells) else None

    def _is_heading(self, text: str) -> bool:
        """A first row without a number; or, as pandas names columns, with a name first and then 0, 1, 2, ..."""
        cells = self._split(text, self.separator or _separator(text))
        numbers = [c for c in cells if _is_number(c)]
        if not numbers:
            return True
        counted = not _is_number(cells[0]) and cells[1:] == [str(k) for k in range(len(cells) - 1)]
        if not counted and any(c and not _is_number(c) for c in cells):
            bad = next(c for c in cells if c and not _is_number(c))
            raise DataError(f"line {self.line}: {_shown(bad)} is not a number", hint=self._hint(cells) or A_ROW)
        return counted

    def _choose(self, cells: list[str]) -> None:
        width = len(cells)
        if width > 1 and not cells[-1] and (self.heading is None or len(self.heading) < width or not self.heading[-1]):
            width -= 1
            self.heading = self.heading[:width] if self.heading is not None else None
        if self.heading is None:
            self.choice = without_heading(width, self.frames, self.line)
        else:
            self.choice = by_heading(self.heading, self.frames, self.also)
            width = len(self.heading)
        self.width = width
        self.picked = [k for columns in self.choice.inputs.values() for k in columns]
        self.notes.extend(self.choice.notes)
        self.texts = {name: [] for name in self.choice.others}

    def _cells(self, text: str) -> list[str]:
        return self._split(text, self.separator)

    def _split(self, text: str, separator: str) -> list[str]:
        if separator == " ":
            return text.split()
        try:
            row = next(csv.reader([text], delimiter=separator, skipinitialspace=True, strict=True))
        except csv.Error as error:
            raise DataError(f"line {self.line} cannot be read: {error}") from None
        return [c.strip() for c in row]

    def _plain(self, cells: Sequence[str]) -> list[float] | None:
        """The numbers of a row of which nothing is to be said: with decimal points, as rows before, and finite."""
        try:
            numbers = [float(cells[k]) for k in self.picked]
        except ValueError:
            return None
        text = "".join(cells[k] for k in self.picked)
        if self.point == "," or "_" in text or not all(abs(x) <= FLOAT_LIMIT for x in numbers):
            return None
        self.point = "." if "." in text else self.point
        return numbers

    def _number(self, cells: Sequence[str], column: int) -> float:
        cell = cells[column]
        number = _parsed(cell)
        where = f"line {self.line}"
        if self.heading is not None:
            where += f", column {self.heading[column]}"
        if number is None:
            said = f"{_shown(cell)} is not a number" if cell else f"column {column + 1} is empty"
            raise DataError(f"{where}: {said}", hint=self._hint(cells) or (A_ROW if cell else GAP))
        if not abs(number) <= FLOAT_LIMIT:
            raise DataError(f"{where}: {_shown(cell)} is not finite as float32")
        point = "," if "," in cell else "." if "." in cell else ""
        if point and self.point and point != self.point:
            raise DataError(
                f"{where}: {_shown(cell)} has a decimal {_called(point)}, numbers before have a decimal {_called(self.point)}"
            )
        if point == "," and not self.point:
            self.notes.append(f"commas are decimal: {cell} is {number:g}")
        self.point = self.point or point
        return number

    def _hint(self, cells: Sequence[str] = ()) -> str:
        """What may be behind a row that does not fit, where commas separate."""
        return DECIMALS if self.separator in (",", "") and (not cells or any(" " in c for c in cells)) else ""


def _of_bounded_length(lines: Iterable[str]) -> Iterator[str]:
    """Lines, of one that is too long no more than its beginning."""
    read = getattr(lines, "readline", None)
    return iter(lines) if read is None else iter(lambda: read(MOST_CHARACTERS + 1), "")


def _separator(text: str) -> str:
    """What separates the columns of a row: what is quoted does not count."""
    bare = QUOTED.sub("", text)
    return next((s for s in SEPARATORS if s in bare), "," if '"' in text else " ")


def _parsed(cell: str) -> float | None:
    """The number of a cell, with a decimal point or comma; None where it is none."""
    try:
        return None if "_" in cell else float(cell.replace(",", ".", 1) if cell.count(",") == 1 else cell)
    except ValueError:
        return None


def _is_number(cell: str) -> bool:
    return _parsed(cell) is not None


def _numeric(cells: Sequence[str]) -> bool:
    return any(map(_is_number, cells))


def _called(point: str) -> str:
    return "comma" if point == "," else "point"


def _shown(cell: str) -> str:
    return repr(cell) if len(cell) <= 40 else f"a cell of {len(cell):,} characters"
