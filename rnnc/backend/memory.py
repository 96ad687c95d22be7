"""Memory that values share: a place in a work array for as long as a value lives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rnnc.backend.places import PoolPlace

WORK_BYTES = {"work8": 1, "work16": 2, "work32": 4}
WORK_TYPE = {"work8": "int8_t", "work16": "int16_t", "work32": "int32_t"}


@dataclass(frozen=True)
class Request:
    """``length`` elements of a work array for what lives from the ``first`` call to the ``last``, both included."""

    name: str
    array: str
    length: int
    first: int
    last: int


@dataclass(frozen=True)
class Pool:
    """The work arrays: their ``sizes``, and the offset of each value in its own."""

    sizes: dict[str, int]
    offsets: dict[str, tuple[str, int]]

    @property
    def bytes(self) -> int:
        """Of all arrays."""
        return sum(WORK_BYTES[name] * n for name, n in self.sizes.items())

    def place(self, name: str, ctype: str) -> PoolPlace:
        """Where a value lies, as elements of ``ctype``."""
        return PoolPlace(*self.offsets[name], ctype)


def allocate(requests: Iterable[Request]) -> Pool:
    """First fit, the largest first: two values overlap in memory only where they do not in time."""
    placed: list[tuple[Request, int]] = []
    sizes: dict[str, int] = {}
    for r in sorted(requests, key=lambda r: -r.length):
        rivals = sorted(
            (start, start + p.length)
            for p, start in placed
            if p.array == r.array and p.first <= r.last and r.first <= p.last
        )
        offset = 0
        for start, end in rivals:
            if offset + r.length <= start:
                break
            offset = max(offset, end)
        placed.append((r, offset))
        sizes[r.array] = max(sizes.get(r.array, 0), offset + r.length)
    return Pool(dict(sorted(sizes.items())), {r.name: (r.array, offset) for r, offset in placed})
