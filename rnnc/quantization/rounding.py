"""Rounding of weights: to nearest, or with the error of each column carried into the next (GPTQ), then mended in turn.

Source: Frantar et al. 2022, "GPTQ" (arXiv 2210.17323), which is OBQ with one order for all rows.
"""

from __future__ import annotations

import numpy as np

from rnnc.fixed import Bools, Floats, Ints
from rnnc.rows import WEIGHT_MAX

DAMPING = 0.01
SWEEPS = 4
"""How often each column may still change for the better once all are rounded."""
TOGETHER = 64
"""Columns whose effect on all others is computed at once: only the speed depends on it."""

MANY = 8
"""Where fewer than one of so many rows change, those alone are computed: only the speed depends on it."""


def round_nearest(weights: Floats, grid: Floats, most: Ints | int = WEIGHT_MAX) -> Ints:
    """``weights [rows, columns]`` in steps of the grid, to the nearest integers within +-``most``."""
    return np.clip(np.round(weights / grid), -most, most).astype(np.int64)


def covariance(samples: Floats, wide: Bools | bool = False) -> Floats:
    """Centred covariance ``[columns, columns]`` of an operand ``[n, columns]``, damped so that it can be inverted.

    Columns that are ``wide`` are damped by their own mean: they have far finer steps, which the others' would drown.
    """
    centred = samples - samples.mean(0)
    c = centred.T @ centred / len(samples)
    damping = np.zeros(len(c))
    for alike in (np.broadcast_to(wide, len(c)), ~np.broadcast_to(wide, len(c))):
        damping[alike] = DAMPING * np.diag(c)[alike].mean() if alike.any() else 0
    return np.asarray(c + np.diag(damping + 1e-12))


def round_gptq(weights: Floats, grid: Floats, samples: Floats, most: Ints | int = WEIGHT_MAX) -> Ints:
    """Round rows over one operand, or several side by side, so that their product with the operands changes least.

    Args:
        weights: by what each LSB of an operand changes the sum, ``[rows, columns]``.
        grid: by what one step of a weight does, ``[rows, columns]``, the same in all columns of an operand.
        samples: the operands in LSBs, ``[n, columns]``.
        most: the largest weight, ``[rows, columns]`` or one for all.

    Returns the weights in steps of the grid. Columns go in the order of decreasing variance, int8 before int16; each one's
    error is made good in those that follow, over the next operand as well, as far as the two are correlated: inputs and
    the hidden state are.
    """
    most = np.broadcast_to(most, weights.shape)
    result = np.zeros(weights.shape, np.int64)
    alike: dict[bytes, list[int]] = {}
    for row, wide in enumerate(most > WEIGHT_MAX):
        alike.setdefault(wide.tobytes(), []).append(row)
    for rows in alike.values():
        wide = most[rows[0]] > WEIGHT_MAX
        result[rows] = _round_alike(weights[rows], grid[rows], samples, most[rows], wide)
    return result


def _round_alike(weights: Floats, grid: Floats, samples: Floats, most: Ints, wide: Bools) -> Ints:
    """``round_gptq`` of rows whose ``wide [columns]`` are int16."""
    unit = np.median(grid, axis=0)
    unit = unit / unit.max(initial=0.0)  # so that what the rows are requantized to, whose LSB may be any, plays no part
    c = covariance(samples * unit, wide)
    order = np.lexsort((-np.diag(c), wide))
    factor = np.linalg.cholesky(np.linalg.inv(c[np.ix_(order, order)])).T
    real, step, limit = (np.ascontiguousarray(a.T) for a in (weights / unit, grid / unit, most))
    rounded = np.zeros_like(real)
    rounded[order] = _swept(real[order], step[order], limit[order], factor)
    return _mended(rounded, real, step, limit, c).T.astype(np.int64)


def _parts(columns: int) -> list[slice]:
    """Of columns that are gone through one by one; what follows from a part for the others is one product of matrices."""
    return [slice(start, min(start + TOGETHER, columns)) for start in range(0, columns, TOGETHER)]


def _swept(weights: Floats, step: Floats, most: Ints, factor: Floats) -> Floats:
    """Columns ``[columns, rows]`` in their order, the error of each carried into those that follow."""
    rest, rounded = weights.copy(), np.zeros_like(weights)
    for part in _parts(len(rest)):
        errors = []
        for j in range(part.start, part.stop):
            rounded[j] = np.clip(np.round(rest[j] / step[j]), -most[j], most[j])
            errors.append((rest[j] - rounded[j] * step[j]) / factor[j, j])
            rest[j + 1 : part.stop] -= factor[j, j + 1 : part.stop, None] * errors[-1]
        rest[part.stop :] -= factor[part, part.stop :].T @ np.array(errors)
    return rounded


def _mended(rounded: Floats, weights: Floats, step: Floats, most: Ints, c: Floats) -> Floats:
    """Coordinate descent on the error's variance: column after column takes the best integer, given all others."""
    error = rounded * step - weights
    for _ in range(SWEEPS):
        before = rounded.copy()
        for part in _parts(len(c)):
            gradient = c[part] @ error
            for j, of_column in enumerate(gradient, part.start):
                wanted = rounded[j] - of_column / (c[j, j] * step[j])
                better = np.clip(np.round(wanted), -most[j], most[j])
                change = (better - rounded[j]) * step[j]
                later, rows = slice(j + 1 - part.start, None), np.flatnonzero(change)
                if len(rows) > len(change) // MANY:
                    gradient[later] += c[j + 1 : part.stop, j, None] * change
                else:
                    gradient[later, rows] += c[j + 1 : part.stop, j, None] * change[rows]
                rounded[j] = better
            error[part] = rounded[part] * step[part] - weights[part]
        if np.array_equal(before, rounded):
            break
    return rounded
