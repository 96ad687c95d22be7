"""Rounding of weights: to nearest, or with the error of each column carried into the next (GPTQ).

Source: Frantar et al. 2022, "GPTQ" (arXiv 2210.17323), which is OBQ with one order for all rows.
"""

from __future__ import annotations

import numpy as np

from rnnc.fixed import Floats, Ints
from rnnc.rows import WEIGHT_MAX

DAMPING = 0.01


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
    c = covariance(samples)
    order = np.argsort(-np.diag(c), kind="stable")
    factor = np.linalg.cholesky(np.linalg.inv(c[np.ix_(order, order)])).T
    rest = units[:, order].copy()
    rounded = np.zeros_like(rest)
    for j in range(rest.shape[1]):
        rounded[:, j] = np.clip(np.round(rest[:, j]), -WEIGHT_MAX, WEIGHT_MAX)
        error = (rest[:, j] - rounded[:, j]) / factor[j, j]
        rest[:, j + 1 :] -= error[:, None] * factor[j, j + 1 :]
    result = np.zeros_like(rounded)
    result[:, order] = rounded
    return result.astype(np.int64)
