"""Rows stored without their blocks of zeros: which targets can, how they lay them out, and where it pays.

Four rows are a group. Of each group what is left is a header and its blocks of four columns that are not all zero, each with
where its columns are: see runtime_c/isa/dsp_sparse.h, rv32_sparse.h and mve_sparse.h. Zeros add nothing to an exact sum, so
that the bits are those of the rows stored whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from rnnc.fixed import Ints
from rnnc.qnet import QNet
from rnnc.row_forms import SPARSE_BLOCK, kept_blocks

Layout = Callable[[Ints], Ints]
SHORT_COLUMNS = 256
"""Of a column's number in one byte."""


def _bytes(values: Ints, ctype: str) -> Ints:
    return np.ascontiguousarray(values).astype(ctype).view(np.int8).astype(np.int64).ravel()


def pack_sparse_words(rows: Ints, block: Layout) -> Ints:
    """Of each group a word, the bytes of its blocks | how many of these lack to a multiple of four << 16; then each block.

    A block is a word, the bytes of activations before it, and four rows of four columns as ``block`` lays them out, 16 bytes.

    A group without weights keeps its first block.
    """
    parts = []
    for group, left in zip(np.split(rows, len(rows) // SPARSE_BLOCK), kept_blocks(rows), strict=True):
        at = np.flatnonzero(left) if left.any() else np.zeros(1, np.int64)
        parts.append(_bytes(np.array([20 * len(at) | -len(at) % 4 << 16]), "<u4"))
        for j in at:
            parts += [_bytes(np.array([8 * j]), "<u4"), block(group[:, 4 * j : 4 * j + 4]).ravel()]
    return np.concatenate(parts)


def pack_sparse_columns(rows: Ints) -> Ints:
    """Of each group a word, how many turns it takes; then each turn, of eight columns.

    A turn is the numbers of its columns, a byte each where no row has more than SHORT_COLUMNS, else two, and of each row their
    weights. A block that a turn lacks is the first, with zeros.
    """
    number = "u1" if rows.shape[1] <= SHORT_COLUMNS else "<u2"
    parts = []
    for group, left in zip(np.split(rows, len(rows) // SPARSE_BLOCK), kept_blocks(rows), strict=True):
        at = (4 * np.flatnonzero(left)[:, None] + np.arange(4)).ravel()
        lacks = -len(at) % 8
        columns = np.concatenate([at, np.arange(lacks)]).reshape(-1, 8)
        weights = np.pad(group[:, at], ((0, 0), (0, lacks))).reshape(4, -1, 8)
        parts.append(_bytes(np.array([len(columns)]), "<u4"))
        for k, turn in enumerate(columns):
            parts += [_bytes(turn, number), weights[:, k].ravel()]
    return np.concatenate(parts)


@dataclass(frozen=True)
class Sparse:
    """What a target does with rows stored without their blocks of zeros, and instructions that it takes.

    Args:
        layout: of ``[rows, columns]``, both multiples of four, to the bytes that the kernel reads.
        header: of runtime_c, with rnnc_product_sparse.
        whole, kept: of a block of rows stored whole, and of one that is kept.
        whole8: as ``whole``, over an operand of 8 bits.
        group: of a group of four rows, more than where they are stored whole.
        unit: of a unit, more than in the target's own loop over units, which is for rows stored whole.
    """

    layout: Layout
    header: str
    whole: float
    whole8: float
    kept: float
    group: float
    unit: float = 0.0

    def saved(self, rows: Ints, bits: int) -> float:
        """Instructions that ``rows [units, columns]`` take less; below 0 where they cannot be stored so."""
        if rows.shape[1] % SPARSE_BLOCK:
            return -1.0
        left = kept_blocks(rows)
        return (
            (self.whole8 if bits == 8 else self.whole) * left.size
            - self.kept * float(left.sum())
            - self.group * len(left)
        )

    def choose(self, rows: Sequence[tuple[Ints, int]], loop_of_its_own: bool) -> tuple[bool, ...]:
        """As ``rnnc.qnet.ChooseSparse``: those that save instructions, if all of them do."""
        saved = [max(self.saved(*one), 0.0) for one in rows]
        lost = self.unit * len(rows[0][0]) if rows and loop_of_its_own else 0.0
        return tuple(one > 0 and sum(saved) > lost for one in saved)


def without_zeros(qnet: QNet, sparse: Sparse | None) -> QNet:
    """The qnet with rows stored without their blocks of zeros where a target gains by it; what it computes is the same."""
    if sparse is None:
        return qnet
    return replace(qnet, ops=tuple(op.without_zeros(sparse.choose) for op in qnet.ops))


def sparse_words(header: str, block: Layout, whole: float, kept: float, group: float, unit: float = 0.0) -> Sparse:
    """``Sparse`` of ``pack_sparse_words``."""
    return Sparse(partial(pack_sparse_words, block=block), header, whole, whole, kept, group, unit)
