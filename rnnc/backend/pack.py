"""How int8 rows are laid out for a kernel."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd

import numpy as np

from rnnc.fixed import Ints
from rnnc.net import WeightRows


def pack_rows(rows: Ints) -> Ints:
    """Row after row: ``[rows, columns]`` flattened."""
    return rows.ravel()


def units_at_once(rows: int, group: int) -> int:
    """How many units of ``rows`` rows fill whole groups: RNNC_UNITS in runtime_c/rows.h."""
    return group // gcd(rows, group)


def pack_weights(weights: WeightRows, group: int, pack: Callable[[Ints], Ints]) -> Ints:
    """All units in order: a group of units' rows over the first operand, then over the next; zero rows fill the last."""
    units, rows, _ = weights.blocks[0].shape
    step = units_at_once(rows, group)
    parts = []
    for first in range(0, units, step):
        for block in weights.blocks:
            part = block[first : first + step]
            filled = np.concatenate([part, np.zeros((step - len(part), *part.shape[1:]), np.int64)])
            parts.append(pack(filled.reshape(step * rows, -1)))
    return np.concatenate(parts)
