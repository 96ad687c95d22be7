"""How int8 rows are laid out for a kernel: what the C of each packing reads is in runtime_c/rows.h and runtime_c/isa."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd

import numpy as np

from rnnc.fixed import Ints
from rnnc.qnet import UnitRows, WeightRows


def pack_rows(rows: Ints) -> Ints:
    """Row after row: ``[rows, columns]`` flattened."""
    return rows.ravel()


def padded(rows: Ints, columns: int) -> Ints:
    """Rows with zero columns appended to a multiple of ``columns``."""
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % columns)))


def interleaved(rows: Ints, group: int, columns: int) -> Ints:
    """``[blocks, column groups, group, columns]``: of every block of rows, ``columns`` columns of each row in turn."""
    blocks = padded(rows, columns).reshape(len(rows) // group, group, -1, columns)
    return np.ascontiguousarray(blocks.swapaxes(1, 2))


def pack_dsp(rows: Ints) -> Ints:
    """Two rows a halfword, two columns a word, four rows a block: see runtime_c/isa/dsp.h. Little-endian bytes."""
    blocks = padded(rows, 4).reshape(
        len(rows) // 4, 2, 2, -1, 2
    )  # block, pair of rows, high and low, pair of columns, column
    halfwords = (256 * blocks[:, :, 0] + blocks[:, :, 1]).transpose(0, 2, 1, 3)
    return np.asarray(np.ascontiguousarray(halfwords).astype("<i2").view(np.int8).astype(np.int64))


def pack_telescope(rows: Ints, columns: int) -> Ints:
    """Four rows a word, a column each, the lower three raised by 128: see runtime_c/isa/telescope.h. Little-endian bytes."""
    words = interleaved(padded(rows, columns), 4, 1).reshape(-1, 4)
    raised = words + np.array([128, 128, 128, 0])
    return np.asarray(np.where(raised > 127, raised - 256, raised))


def pack_columns(rows: Ints) -> Ints:
    """Blocks of four rows, column by column: see runtime_c/isa/rv32.h."""
    return interleaved(rows, 4, 1)


def pack_mve(rows: Ints) -> Ints:
    """Blocks of four rows, 16 columns of each in turn, then 8 where no more are left: see runtime_c/isa/mve.h."""
    full = padded(rows, 8)
    wide = full.shape[1] // 16 * 16
    parts = []
    for first in range(0, len(full), 4):
        block = full[first : first + 4]
        parts += [interleaved(block[:, :wide], 4, 16).ravel(), interleaved(block[:, wide:], 4, 8).ravel()]
    return np.concatenate(parts)


def pack_pairs(rows: Ints) -> Ints:
    """Blocks of eight rows, two columns of each in turn: see runtime_c/isa/x86.h."""
    return interleaved(rows, 8, 2)


def pack_pairs_together(rows: Ints) -> Ints:
    """Two columns of every row in turn, as ``pack_pairs`` with all rows as one block."""
    return interleaved(rows, len(rows), 2)


def units_at_once(rows: int, group: int, lanes: int = 1) -> int:
    """How many units of ``rows`` rows fill whole groups and lanes: RNNC_UNITS and RNNC_BATCH in runtime_c/rows.h."""
    return max(group // gcd(rows, group), lanes)


def pack_weights(
    weights: WeightRows, group: int, lanes: int, pack: Callable[[Ints], Ints], pack_batch: Callable[[Ints], Ints] | None
) -> Ints:
    """All units in order: a batch of units' rows over the first operand, then over the next; zero rows fill the last."""
    units, rows, _ = weights.blocks[0].shape
    step = units_at_once(rows, group, lanes if weights.batched else 1)
    parts = []
    for first in range(0, units, step):
        for block in weights.blocks:
            part = block[first : first + step]
            filled = np.concatenate([part, np.zeros((step - len(part), *part.shape[1:]), np.int64)])
            ordered = filled.swapaxes(0, 1) if weights.batched else filled
            layout = pack_batch if pack_batch and weights.batched else pack
            parts.append(layout(ordered.reshape(step * rows, -1)).ravel())
    return np.concatenate(parts)


def pack_units(constants: UnitRows, group: int, lanes: int) -> Ints:
    """``[units, n]`` as ``[batch][n][units of a batch]``, zero past the last unit, flattened."""
    step = units_at_once(constants.rows, group, lanes)
    units, n = constants.data.shape
    filled = np.concatenate([constants.data, np.zeros((-units % step, n), np.int64)])
    return np.ascontiguousarray(filled.reshape(-1, step, n).swapaxes(1, 2)).ravel()
