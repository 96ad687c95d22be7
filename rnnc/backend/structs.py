"""The parameter structs of the kernels, as runtime_c declares them: what each field can hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np

from rnnc.backend.emit import data_root

INTEGERS = {f"{u}int{bits}_t": (u, bits) for u in ("", "u") for bits in (8, 16, 32)}


def overflows(struct: str, fields: Sequence[tuple[str, Any]]) -> Iterator[tuple[str, int, str]]:
    """The fields of a struct, and of structs in it, whose integers do not fit: name, value, C type."""
    declared = _structs().get(struct, {})
    for name, value in fields:
        ctype = declared.get(name, "")
        if isinstance(value, tuple):
            yield from overflows(ctype, value)
        elif isinstance(value, int | np.integer) and ctype in INTEGERS:
            unsigned, bits = INTEGERS[ctype]
            lowest = 0 if unsigned else -(1 << (bits - 1))
            if not lowest <= value < lowest + (1 << bits):
                yield name, int(value), ctype


@cache
def _structs() -> dict[str, dict[str, str]]:
    """Field types by struct and field name."""
    found: dict[str, dict[str, str]] = {}
    for header in sorted((data_root() / "runtime_c").rglob("*.h")):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.DOTALL)
        for body, name in re.findall(r"typedef struct \{([^}]*)\}\s*(\w+);", text):
            fields = found.setdefault(name, {})
            for ctype, names in re.findall(r"(\w+)\s+([\w\s,]+);", body):
                fields.update(dict.fromkeys(re.findall(r"\w+", names), ctype))
    return found
