"""The parameter structs of the kernels, as runtime_c declares them: what each field can hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from rnnc.backend.emit import data_root
from rnnc.net import MOST_COUNTED, MOST_ELEMENTS

INTEGERS = {f"{u}int{bits}_t": (u, bits) for u in ("", "u") for bits in (8, 16, 32)}
ROOM = {"uint16_t": MOST_COUNTED - MOST_ELEMENTS}
"""What a count stays below the limit of its type: a loop that takes up to 64 at once may go that far past it."""


@dataclass(frozen=True)
class Width:
    """A field of a struct: its value, its C type, and the least and most that it may hold."""

    field: str
    value: int
    ctype: str
    least: int
    most: int

    @property
    def fits(self) -> bool:
        """Whether the value is within the limits."""
        return self.least <= self.value <= self.most

    @property
    def used(self) -> float:
        """The part of the limit that the value takes, of either sign; above 1 it does not fit."""
        return max(self.value / self.most, self.value / self.least if self.least else 0.0)


def widths(struct: str, fields: Sequence[tuple[str, Any]]) -> Iterator[Width]:
    """Every integer of a struct, and of structs in it, whose C type has a limit."""
    for name, value in fields:
        ctype = struct
        for part in name.split("."):
            ctype = field_types(ctype).get(part.partition("[")[0], "")
        if isinstance(value, tuple):
            yield from widths(ctype, value)
        elif isinstance(value, int | np.integer) and ctype in INTEGERS:
            unsigned, bits = INTEGERS[ctype]
            least = 0 if unsigned else -(1 << (bits - 1))
            yield Width(name, int(value), ctype, least, least + (1 << bits) - 1 - ROOM.get(ctype, 0))


def count_nearest_limit(struct: str, fields: Sequence[tuple[str, Any]]) -> Width | None:
    """The count of a struct that takes most of its limit; None where it has none."""
    counts = [w for w in widths(struct, fields) if w.ctype in ROOM]
    return max(counts, key=lambda w: w.used, default=None)


def field_types(struct: str) -> dict[str, str]:
    """The C type of each field of a struct, that of what it points at for a pointer."""
    return _structs().get(struct, {})


@cache
def folding_kernels() -> dict[str, tuple[str, str]]:
    """The kernels that become part of their caller: the struct that they take, and their further parameters."""
    found = {}
    for header in sorted((data_root() / "runtime_c").glob("*.h")):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.DOTALL)
        for name, struct, parameters in re.findall(r"_KERNEL\s+void\s+(\w+)\(const\s+(\w+) \*p,([^)]*)\)", text):
            found[name] = struct, " ".join(parameters.split())
    return found


@cache
def _structs() -> dict[str, dict[str, str]]:
    """Field types by struct and field name."""
    found: dict[str, dict[str, str]] = {}
    for header in sorted((data_root() / "runtime_c").rglob("*.h")):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.DOTALL)
        for body, name in re.findall(r"typedef struct \{([^}]*)\}\s*(\w+);", text):
            fields = found.setdefault(name, {})
            for ctype, names in re.findall(r"(\w+)\s+([\w\s,]+(?:\[\w+\][\w\s,]*)*);", body):
                fields.update(dict.fromkeys(re.findall(r"\w+", re.sub(r"\[\w+\]", "", names)), ctype))
    return found
