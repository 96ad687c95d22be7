"""Rounding of weights: to nearest, or with the error of each column carried into the next (GPTQ), then mended in turn.

Source: Frantar et al. 2022, "GPTQ" (arXiv 2210.17323), which is OBQ with one order for all rows.
"""

from __future__ import annotations

import numpy as np

from rnnc.fixed import Floats, Ints
from rnnc.rows import WEIGHT_MAX

DAMPING = 0.01
SWEEPS = 4
"""How often each column may still change for the better once all are rounded."""


def round_nearest(units: Floats) -> Ints:
    """``units [rows, columns]`` (weights over the row scale) to the nearest integers within +-127."""
    return np.clip(np.round(units), -WEIGHT_MAX, WEIGHT_MAX).astype(np.int64)


def covariance(samples: Floats) -> Floats:
    """Centred covariance ``[columns, columns]`` of an operand ``[n, columns]``, damped so that it can be inverted."""
    centred = samples - samples.mean(0)
    c = centred.T @ centred / len(samples)
    return np.asarray(c + np.eye(len(c)) * (DAMPING * np.mean(np.diag(c)) + 1e-12))


def round_gptq(units: Floats, samples: Floats) -> Ints:
    """Round ``units [rows, columns]`` so that their product with the operand changes least.

    Args:
        units: weights over the row scale.
        samples: the operand in LSBs, ``[n, columns]``.

    Columns go in the order of decreasing variance; each one's rounding error is made good in those that follow.
    """
    return round_jointly(units, np.ones_like(units), samples)


def round_jointly(weights: Floats, grid: Floats, samples: Floats) -> Ints:
    """``round_gptq`` over several operands side by side, whose rows have a scale of their own over each.

    Args:
        weights: by what each LSB of an operand changes the sum, ``[rows, columns]``.
        grid: by what one step of a weight does, ``[rows, columns]``, the same in all columns of an operand.
        samples: the operands in LSBs, ``[n, columns]``.

    Returns the weights in units of the grid. An error made over one operand is made good over the next as well, as far as
    the two are correlated: inputs and the hidden state are.
    """
    unit = np.median(grid, axis=0)
    c = covariance(samples * unit)
    order = np.argsort(-np.diag(c), kind="stable")
    factor = np.linalg.cholesky(np.linalg.inv(c[np.ix_(order, order)])).T
    rest, step = (weights / unit)[:, order], (grid / unit)[:, order]
    rounded = np.zeros_like(rest)
    for j in range(rest.shape[1]):
        rounded[:, j] = np.clip(np.round(rest[:, j] / step[:, j]), -WEIGHT_MAX, WEIGHT_MAX)
        error = (rest[:, j] - rounded[:, j] * step[:, j]) / factor[j, j]
        rest[:, j + 1 :] -= error[:, None] * factor[j, j + 1 :]
    result = np.zeros_like(rounded)
    result[:, order] = rounded
    return _mended(result, weights / unit, grid / unit, c).astype(np.int64)


def _mended(rounded: Floats, weights: Floats, step: Floats, c: Floats) -> Floats:
    """Coordinate descent on the error's variance: column after column takes the best integer, given all others."""
    gradient = (rounded * step - weights) @ c
    for _ in range(SWEEPS):
        before = rounded.copy()
        for j, variance in enumerate(np.diag(c)):
            wanted = rounded[:, j] - gradient[:, j] / (variance * step[:, j])
            better = np.clip(np.round(wanted), -WEIGHT_MAX, WEIGHT_MAX)
            gradient += ((better - rounded[:, j]) * step[:, j])[:, None] * c[j]
            rounded[:, j] = better
        if np.array_equal(before, rounded):
            break
    return rounded
