"""How rows of weights are laid out for a kernel: what the C of each packing reads is in runtime_c/rows.h and runtime_c/isa."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import gcd

import numpy as np

from rnnc.fixed import Ints
from rnnc.qnet import UnitRows, WeightRows
from rnnc.row_forms import RowForm, runs

Layout = Callable[[Ints], Ints]
"""From ``[rows, columns]`` to the bytes that a kernel reads, flattened."""


def pack_rows(rows: Ints) -> Ints:
    """Row after row: ``[rows, columns]`` flattened."""
    return rows.ravel()


def padded(rows: Ints, columns: int) -> Ints:
    """Rows with zero columns appended to a multiple of ``columns``."""
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % columns)))


def interleaved(rows: Ints, group: int, columns: int) -> Ints:
    """``[blocks, column groups, group, columns]``: of every block of rows, ``columns`` columns of each row in turn."""
    full = padded(rows, columns)
    blocks = full.reshape(len(rows) // group, group, full.shape[1] // columns, columns)
    return np.ascontiguousarray(blocks.swapaxes(1, 2))


def pack_dsp(rows: Ints) -> Ints:
    """Two rows a halfword, two columns a word, four rows a block: see runtime_c/isa/dsp.h. Little-endian bytes."""
    blocks = padded(rows, 4).reshape(
        len(rows) // 4, 2, 2, -1, 2
    )  # block, pair of rows, high and low, pair of columns, column
    return int16_bytes((256 * blocks[:, :, 0] + blocks[:, :, 1]).transpose(0, 2, 1, 3))


def pack_telescope(rows: Ints, columns: int) -> Ints:
    """Four rows a word, a column each, the lower three raised by 128: see runtime_c/isa/telescope.h. Little-endian bytes."""
    words = interleaved(padded(rows, columns), 4, 1).reshape(-1, 4)
    raised = words + np.array([128, 128, 128, 0])
    return np.asarray(np.where(raised > 127, raised - 256, raised))


def pack_words(rows: Ints) -> Ints:
    """As ``pack_telescope``, of eight rows as long as there are, then of four: see runtime_c/isa/words.h."""
    return _eights(np.where(np.arange(len(rows))[:, None] % 4 == 3, rows, _raised(rows, 8)))


def pack_twos(rows: Ints) -> Ints:
    """Blocks of two rows raised by 128, column by column, then a row that is left: see runtime_c/isa/avr.h."""
    raised = _raised(padded(rows, 2), 8)
    even = len(rows) // 2 * 2
    return np.concatenate([interleaved(raised[:even], 2, 1).ravel(), raised[even:].ravel()])


def pack_fours(rows: Ints) -> Ints:
    """As ``pack_twos``, in blocks of four rows, then of those that are left: over operands of 8 bits."""
    raised = _raised(padded(rows, 2), 8)
    even = len(rows) // 4 * 4
    return np.concatenate([interleaved(raised[:even], 4, 1).ravel(), raised[even:].T.ravel()])


def _raised(rows: Ints, bits: int) -> Ints:
    """Weights raised by half of what their bits can tell apart, in as many bits."""
    half = 1 << bits - 1
    return np.where(rows < 0, rows + half, rows - half)


def _eights(rows: Ints) -> Ints:
    """Column by column, of eight rows as long as there are, then of four."""
    eights = len(rows) // 8 * 8
    return np.concatenate([interleaved(rows[:eights], 8, 1).ravel(), interleaved(rows[eights:], 4, 1).ravel()])


def pack_mve(rows: Ints) -> Ints:
    """Blocks of four rows, 16 columns of each in turn, then 8 where no more are left: see runtime_c/isa/mve.h."""
    full = padded(rows, 8)
    wide = full.shape[1] // 16 * 16
    parts = []
    for first in range(0, len(full), 4):
        block = full[first : first + 4]
        parts += [interleaved(block[:, :wide], 4, 16).ravel(), interleaved(block[:, wide:], 4, 8).ravel()]
    return np.concatenate(parts)


def pack_quads(rows: Ints) -> Ints:
    """Blocks of eight rows, four columns of each in turn: see runtime_c/isa/x86.h."""
    return interleaved(rows, 8, 4)


def pack_quads_together(rows: Ints) -> Ints:
    """Four columns of every row in turn, as ``pack_quads`` with all rows as one block."""
    return interleaved(rows, len(rows), 4)


def pack_dot(rows: Ints) -> Ints:
    """Blocks of sixteen rows, and of those that are left: 128 times each sum, then four columns of each row in turn.

    See runtime_c/isa/aarch64.h. Little-endian bytes.
    """
    parts = []
    for first in range(0, len(rows), 16):
        block = rows[first : first + 16]
        parts += [
            int16_bytes((128 * block.sum(1)).astype("<i4").view("<i2")),
            interleaved(block, len(block), 4).ravel(),
        ]
    return np.concatenate(parts)


# --------------------------------------------------------------------------- wide rows


def int16_bytes(words: Ints) -> Ints:
    """Each int16 as two int8, the low byte first."""
    return np.asarray(np.ascontiguousarray(words).astype("<i2").view(np.int8).astype(np.int64).ravel())


def pack_wide_rows(rows: Ints) -> Ints:
    """Row after row."""
    return int16_bytes(rows)


def pack_wide_dsp(rows: Ints) -> Ints:
    """Blocks of four rows, two columns of each in turn: see runtime_c/isa/dsp.h."""
    return int16_bytes(interleaved(padded(rows, 4), 4, 2))


def pack_wide_telescope(rows: Ints, columns: int) -> Ints:
    """Blocks of four rows, column by column, rows 0 and 2 raised by 32768: see runtime_c/isa/telescope.h."""
    raised = interleaved(padded(rows, columns), 4, 1) + np.array([32768, 0, 32768, 0])[:, None]
    return int16_bytes(np.where(raised > 32767, raised - 65536, raised))


def pack_wide_words(rows: Ints) -> Ints:
    """Every other row raised by 32768, of eight rows as long as there are, then of four: see runtime_c/isa/words.h."""
    return int16_bytes(_eights(np.where(np.arange(len(rows))[:, None] % 2, rows, _raised(rows, 16))))


def pack_wide_mve(rows: Ints) -> Ints:
    """Blocks of four rows, eight columns of each in turn: see runtime_c/isa/mve.h."""
    return int16_bytes(interleaved(rows, 4, 8))


def pack_wide_twos(rows: Ints) -> Ints:
    """Blocks of two rows, column by column, then a row that is left: see runtime_c/isa/avr.h."""
    even = len(rows) // 2 * 2
    return np.concatenate([int16_bytes(interleaved(rows[:even], 2, 1)), int16_bytes(rows[even:])])


def pack_wide_dot(rows: Ints) -> Ints:
    """Blocks of sixteen rows, and of those that are left, column by column: see runtime_c/isa/aarch64.h."""
    full = padded(rows, 4)
    return np.concatenate([int16_bytes(full[first : first + 16].T) for first in range(0, len(full), 16)])


def pack_wide_pairs(rows: Ints) -> Ints:
    """Blocks of eight rows, two columns of each in turn: see runtime_c/isa/x86.h."""
    return int16_bytes(interleaved(rows, 8, 2))


def pack_wide_pairs_together(rows: Ints) -> Ints:
    """Two columns of every row in turn, as ``pack_wide_pairs`` with all rows as one block."""
    return int16_bytes(interleaved(rows, len(rows), 2))


# --------------------------------------------------------------------------- layers


@dataclass(frozen=True)
class Packing:
    """How a target lays out rows of each width.

    Args:
        narrow: int8 rows.
        wide: int16 rows.
        narrow_batch, wide_batch: the same for the rows of a batch of units, where they differ.
        sparse: int8 rows without their blocks of zeros, where the target has such.
        narrow8: int8 rows over operands of 8 bits, where they differ.
    """

    narrow: Layout
    wide: Layout
    narrow_batch: Layout | None = None
    wide_batch: Layout | None = None
    sparse: Layout | None = None
    narrow8: Layout | None = None

    def layout(self, form: RowForm, bits: int, batched: bool) -> Layout:
        """That of rows over an operand of ``bits`` bits."""
        if form == "int8" and bits == 8 and self.narrow8:
            return self.narrow8
        if form == "sparse":
            assert self.sparse is not None
            return self.sparse
        one, batch = (self.wide, self.wide_batch) if form == "int16" else (self.narrow, self.narrow_batch)
        return batch if batch and batched else one


def units_at_once(rows: int, group: int, lanes: int = 1) -> int:
    """How many units of ``rows`` rows fill whole groups and lanes: RNNC_UNITS and RNNC_BATCH in runtime_c/rows.h."""
    return max(group // gcd(rows, group), lanes)


def pack_weights(weights: WeightRows, group: int, lanes: int, packing: Packing) -> Ints:
    """All units in order, zero rows behind the last: a batch of units' rows over the first operand, then over the next.

    Of rows of unlike forms each run is laid out by itself. Where units are not batched, all are one batch.
    """
    units = len(weights.blocks[0])
    step = units_at_once(weights.together, group, lanes) if weights.batched else -(-units // group) * group
    parts = [
        packing.layout(form, bits, weights.batched)(rows.reshape(-1, rows.shape[-1])).ravel()
        for first in range(0, units, step)
        for form, bits, rows in _runs(weights, first, step)
    ]
    return np.concatenate(parts)


def _runs(weights: WeightRows, first: int, step: int) -> Iterator[tuple[RowForm, int, Ints]]:
    """Runs of rows of ``step`` units from ``first`` on, with their form and the bits of their operand."""
    for i, block in enumerate(weights.blocks):
        part = block[first : first + step]
        filled = np.concatenate([part, np.zeros((step - len(part), *part.shape[1:]), np.int64)])
        forms: tuple[RowForm, ...] = weights.forms[i] if weights.forms else ("int8",) * block.shape[1]
        for at, count, form in runs(forms):
            rows = filled[:, at : at + count]
            yield form, weights.bits[i], rows.swapaxes(0, 1) if weights.batched else rows


def pack_units(constants: UnitRows, group: int, lanes: int) -> Ints:
    """``[units, n]`` as ``[batch][n][units of a batch]``, zero past the last unit, flattened."""
    step = units_at_once(constants.rows, group, lanes)
    units, n = constants.data.shape
    filled = np.concatenate([constants.data, np.zeros((-units % step, n), np.int64)])
    return np.ascontiguousarray(filled.reshape(-1, step, n).swapaxes(1, 2)).ravel()
