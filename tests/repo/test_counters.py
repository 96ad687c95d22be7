"""No loop counter of the C can wrap: each is at least as wide as the limit that it is compared with.

A counter that goes on by one and is below a limit of its own type never passes the type's range. One that goes on by more needs
room above the limit: counts in parameters leave 63 (``rnnc.backend.structs``), so that a step of up to 64 is safe; those loops
are listed here with their limit. Whatever is in neither form fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rnnc.backend.structs import field_types
from rnnc.net import MOST_COUNTED, MOST_ELEMENTS

ROOT = Path(__file__).parents[2]
HEADERS = sorted(ROOT.glob("runtime_c/**/*.h"))
BITS = {
    "uint8_t": 8,
    "uint16_t": 16,
    "uint32_t": 32,
    "size_t": 16,
    "int": 15,
    "int32_t": 31,
    "unsigned": 16,
    "int16_t": 15,
}
"""Of counters: what each type counts at least on every target."""
LIMIT_BITS = {**BITS, "size_t": 64}
"""Of limits: as much as the type can hold where it is widest."""
WIDEST_STEP = MOST_COUNTED - MOST_ELEMENTS + 1
STRIDED = {
    "u < p->units; u = (uint16_t)(u + batch)": "batch <= 64 units, the contract of a target",
    "r < rows; r = (uint16_t)(r + 4)": "rows of one call, a block of at most 64",
    "j + 1 < columns; j = (uint16_t)(j + 2)": "columns of an operand, a count of parameters",
    "j < columns; j = (uint16_t)(j + wide)": "columns of an operand, a count of parameters; wide <= 16",
    "j < columns; j = (uint16_t)(j + 4)": "columns of an operand, a count of parameters",
    "j < padded; j += 32": "columns of an operand, a count of parameters",
    "j + 16 <= n; j += 16": "columns of an operand, a count of parameters, as an int",
    "j < columns; j = (uint16_t)(j + 8)": "columns of an operand, a count of parameters",
    "u < units; u = (uint16_t)(u + RNNC_DSP_NARROW)": "units, a count of parameters; 8 at a time",
    "c < columns; c += 2": "columns of an operand, a count of parameters",
    "k < p->rows; k += vector": "rows, a count of parameters",
    "i < p->size; i += RNNC_VECTOR": "elements, a count of parameters",
    "j < n; j += RNNC_VECTOR": "elements of a line, a count of parameters",
    "k < n; k += RNNC_VECTOR": "elements of a line, a count of parameters",
    "r < p->rows; r += block": "block <= 64 rows, the contract of a target",
}
"""Loops whose counter goes on by more than one: why the limit leaves room."""
COUNTED_IN_SIZE_T = {"r < p->rows; r += block", "j < padded; j += 32"}
"""Those whose counter is as wide as the indices that it makes."""
DOWN = re.compile(r"(\w+)(--| -= \w+| = \(uint\d+_t\)\(\1 - \w+\))$")
UP = re.compile(r"(\w+)(\+\+| \+= [\w ]+| = \(uint\d+_t\)\(\1 \+ [\w>.-]+\))$")


@dataclass(frozen=True)
class Loop:
    """A for statement, and the function around it up to there."""

    file: str
    condition: str
    step: str
    before: str

    def __str__(self) -> str:
        return f"{self.file}: {self.condition}; {self.step}"


def loops(path: Path) -> Iterator[Loop]:
    """All for statements of a header."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    for found in re.finditer(r"for \(([^;]*);([^;]*);((?:[^()]|\([^()]*\)|\((?:[^()]|\([^()]*\))*\))*)\) \{", text):
        before = text[: found.start()]
        start = max(before.rfind("\n}\n"), 0)
        yield Loop(path.name, " ".join(found[2].split()), " ".join(found[3].split()), before[start:] + found[1])


def declared(name: str, before: str) -> str:
    """The type of a variable or parameter, that of what it points to for a pointer; "enum" for a constant of the function."""
    plain = re.sub(r"\[[^\]]*\]", "", before)
    found = re.findall(rf"\b(\w+_t|int|unsigned|rnnc_\w+)\s+(?:[^;{{}}]*?,\s*)?\*?\s*{name}\b(?! *\(|->)", plain)
    if found:
        return str(found[-1])
    return "enum" if re.search(rf"enum \{{[^}}]*\b{name} =", before) else ""


def bits_of(limit: str, before: str) -> int:
    """The bits of the largest number that a limit can be; 0 where that is not known."""
    if limit.isdigit():
        return int(limit).bit_length()
    if limit.startswith("(") and limit.endswith(" & 7)"):
        return 3
    if limit.isupper():
        return 8
    names = re.split(r"->|\.", re.sub(r"\[\w+\]", "", limit.lstrip("*")))
    kind = declared(names[0], before)
    for name in names[1:]:
        kind = field_types(kind).get(name, "")
    return 6 if kind == "enum" else LIMIT_BITS.get(kind, 0)


def fault(loop: Loop) -> str:
    """Why a loop's counter might wrap; "" where it cannot, or where the loop has none and returns from within."""
    if not loop.condition and not loop.step:
        return ""
    steps = re.split(r", (?![^(]*\))", loop.step)
    names = set(re.findall(r"(?<![\w>.])\w+", loop.condition))
    changed = [m for s in steps if (m := UP.match(s)) and m[1] in names]
    pointers = [n for n in re.findall(r"^\w+", loop.condition) if re.search(rf"\*\s*{n}\b", loop.before)]
    rounds = loop.condition.endswith("% 4")  # ends at the next multiple, whatever the type
    if not changed or pointers or rounds:
        down = [s for s in steps if (m := DOWN.match(s)) and m[1] in names]
        shifts = loop.step.endswith(">>= 2")
        return "" if down or pointers or shifts or rounds else "no counter is seen"
    counter, how = changed[0][1], changed[0][2]
    kind = declared(counter, loop.before)
    if kind not in BITS:
        return f"the type of {counter} is not seen"
    if how != "++":
        key = f"{loop.condition}; {changed[0][0]}"
        if key not in STRIDED:
            return "it goes on by more than one, and is not listed"
        return f"{counter} is no size_t" if key in COUNTED_IN_SIZE_T and kind != "size_t" else ""
    compared = re.search(rf"\b{counter}(?: \+ 1)? (<|!=) (\([^)]*\)|[\w>.\[\]*-]+)", loop.condition)
    if not compared:
        return f"what limits {counter} is not seen"
    bits = bits_of(compared[2], loop.before)
    if not bits:
        return f"the type of {compared[2]} is not seen"
    enough = kind == "size_t" or (BITS[kind] >= bits)
    return "" if enough else f"{counter} counts {BITS[kind]} bits, {compared[2]} can have {bits}"


@pytest.mark.parametrize("path", HEADERS, ids=[p.name for p in HEADERS])
def test_no_loop_counter_wraps(path: Path) -> None:
    assert [f"{loop}: {why}" for loop in loops(path) if (why := fault(loop))] == []


def test_every_for_statement_is_looked_at() -> None:
    for path in HEADERS:
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        assert len(list(loops(path))) == len(re.findall(r"\bfor \(", text)), path.name


def test_every_listed_loop_is_there() -> None:
    seen = {f"{loop.condition}; {loop.step.split(', ')[0]}" for path in HEADERS for loop in loops(path)}
    assert sorted(STRIDED.keys() - seen) == []


PLANTED = [
    ("dense.h", "size_t i, r;", "uint16_t i, r;"),
    ("blob.h", "size_t i;\n    for", "uint16_t i;\n    for"),
    ("layout.h", "uint16_t i, j, k;", "uint8_t i, j, k;"),
    ("window_dense.h", "uint16_t r, j;", "uint8_t r, j;"),
]


@pytest.mark.parametrize(("name", "right", "wrong"), PLANTED, ids=[p[0] for p in PLANTED])
def test_a_counter_that_is_too_narrow_is_found(name: str, right: str, wrong: str, tmp_path: Path) -> None:
    text = (ROOT / "runtime_c" / name).read_text()
    assert right in text
    (tmp_path / name).write_text(text.replace(right, wrong))
    assert any(map(fault, loops(tmp_path / name)))
