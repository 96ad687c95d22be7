"""C expressions without leftovers: no "1 *", no loop over one element."""

from __future__ import annotations


def times(index: str, n: int) -> str:
    """``index`` times ``n``."""
    return index if n == 1 else f"{index} * {n}"


def size_of(n: int, ctype: str) -> str:
    """The bytes of ``n`` elements."""
    return f"sizeof({ctype})" if n == 1 else f"{n} * sizeof({ctype})"


def for_each(n: int, statement: str) -> str:
    """``statement``, which has elements at ``[i]``, for each of ``n``."""
    return statement.replace("[i]", "[0]") if n == 1 else f"for (int i = 0; i < {n}; i++) {{ {statement} }}"
