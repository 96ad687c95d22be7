"""How rows of weights are stored: as int8, as int16, or as int8 without the blocks that are all zero."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from math import gcd
from typing import Literal, TypeVar

import numpy as np

from rnnc.fixed import Bools, Floats, Ints

T = TypeVar("T")
RowForm = Literal["int8", "int16", "sparse"]
"""How a row is stored; "sparse": int8 without the blocks that are all zero."""
Forms = tuple[tuple[RowForm, ...], ...]
"""Of each operand and each row of a unit; () where all are int8."""
SPARSE_BLOCK = 4
"""Rows and columns of a block of weights that is left out where all of it is zero."""
SPARSE_SHARE = 0.25
"""As many of the blocks are zero where somebody pruned them."""


def runs(forms: Sequence[T]) -> list[tuple[int, int, T]]:
    """Rows of one form that follow each other: the first of them, their number, and their form."""
    found, first = [], 0
    for same, rows in groupby(forms):
        count = len(list(rows))
        found.append((first, count, same))
        first += count
    return found


def together(rows: int, forms: Sequence[Sequence[RowForm]]) -> int:
    """The largest number that divides each run of rows of one form, of the ``rows`` of a unit; 1 where some are sparse.

    Blocks of sparse rows hold the same row of several units.
    """
    every = [run for block in forms for run in runs(block)]
    return 1 if any(form == "sparse" for _, _, form in every) else gcd(rows, *(count for _, count, _ in every))


def kept_blocks(rows: Ints | Floats) -> Bools:
    """Which blocks of SPARSE_BLOCK rows and columns are not all zero, ``[rows / 4, columns / 4]``, both rounded up."""
    n = SPARSE_BLOCK
    full = np.pad(rows, ((0, -rows.shape[0] % n), (0, -rows.shape[1] % n))) != 0
    return np.asarray(full.reshape(full.shape[0] // n, n, full.shape[1] // n, n).any((1, 3)))


def pruned(rows: Floats, of_unit: int) -> Bools:
    """Which weights of ``rows [units * of_unit, columns]``, unit by unit, are zeros that rounding has to keep.

    Those of blocks that are all zero, where these are SPARSE_SHARE of an operand's: somebody pruned them.
    """
    n, columns = SPARSE_BLOCK, rows.shape[1]
    by_gate = rows.reshape(-1, of_unit, columns).swapaxes(0, 1)
    kept = [kept_blocks(gate) for gate in by_gate]
    zero = [~np.repeat(np.repeat(k, n, 0), n, 1)[: by_gate.shape[1], :columns] for k in kept]
    if np.mean(zero) < SPARSE_SHARE:
        return np.zeros(rows.shape, np.bool_)
    return np.stack(zero, 1).reshape(rows.shape)
