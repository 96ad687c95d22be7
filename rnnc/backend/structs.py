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
    declared = field_types(struct)
    for name, value in fields:
        ctype = declared.get(name, "")
        if isinstance(value, tuple):
            yield from overflows(ctype, value)
        elif isinstance(value, int | np.integer) and ctype in INTEGERS:
            unsigned, bits = INTEGERS[ctype]
            lowest = 0 if unsigned else -(1 << (bits - 1))
            if not lowest <= value < lowest + (1 << bits):
                yield name, int(value), ctype


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
            for ctype, names in re.findall(r"(\w+)\s+([\w\s,]+);", body):
                fields.update(dict.fromkeys(re.findall(r"\w+", names), ctype))
    return found
