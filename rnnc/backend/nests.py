"""Work of a step in nests of loops."""

from __future__ import annotations

from collections.abc import Sequence

from rnnc.backend.program import Call, Copy


def nests(work: Sequence[Call | Copy]) -> list[list[Call | Copy]]:
    """Work, in order, in groups: what is in one nest of loops together, all else alone."""
    groups: list[list[Call | Copy]] = []
    key: tuple[str, tuple[int, ...]] | None = None
    for one in work:
        own = (one.op, one.times) if isinstance(one, Call) and one.times else None
        if own is None or own != key:
            groups.append([])
        groups[-1].append(one)
        key = own
    return groups
