"""Memory that values share: a place in a work array for as long as a value lives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

WORK_BYTES = {"work8": 1, "work16": 2, "work32": 4}
WORK_TYPE = {"work8": "int8_t", "work16": "int16_t", "work32": "int32_t"}

Request = tuple[str, str, int, int, int]
"""Name, work array, length, and the first and last op during which it lives."""


@dataclass(frozen=True)
class Pool:
    """The work arrays: their ``sizes``, and the offset of each value in its own."""

    sizes: dict[str, int]
    offsets: dict[str, tuple[str, int]]

    @property
    def bytes(self) -> int:
        """Of all arrays."""
        return sum(WORK_BYTES[name] * n for name, n in self.sizes.items())

    def expression(self, name: str, ctype: str) -> str:
        """The C expression of a value's address as ``ctype *``."""
        array, offset = self.offsets[name]
        plain = f"s->{array}" + (f" + {offset}" if offset else "")
        if WORK_TYPE[array] == ctype:
            return plain
        return f"({ctype} *)({plain})" if offset else f"({ctype} *){plain}"


def allocate(requests: Iterable[Request]) -> Pool:
    """First fit, the largest first: two values overlap in memory only where they do not in time."""
    placed: list[tuple[str, int, int, int, int]] = []
    offsets: dict[str, tuple[str, int]] = {}
    sizes: dict[str, int] = {}
    for name, array, length, first, last in sorted(requests, key=lambda r: -r[2]):
        rivals = sorted((p[1], p[2]) for p in placed if p[0] == array and p[3] <= last and first <= p[4])
        offset = 0
        for start, end in rivals:
            if offset + length <= start:
                break
            offset = max(offset, end)
        placed.append((array, offset, offset + length, first, last))
        offsets[name] = (array, offset)
        sizes[array] = max(sizes.get(array, 0), offset + length)
    return Pool(dict(sorted(sizes.items())), offsets)
