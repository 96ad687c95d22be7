"""Which LSBs an operand should have, element by element, for the sake of the int8 weights that multiply it.

A row has one scale. Where some elements of its operand have far finer LSBs than others (the parts of a concatenation, say),
their weights get only the lowest levels of int8. A coarser LSB costs such an element bits that its int16 can spare and
gives its weights as many.
"""

from __future__ import annotations

import numpy as np

from rnnc.fixed import Floats
from rnnc.rows import WEIGHT_MAX

ROUNDS = 8
COARSEST = 2.0**9
"""Seven of an int16's bits are left at least."""
WORTH = 2.0
"""The error must fall to this part of what it was, at least, for the elements to be rescaled (3 dB)."""


def balanced_scale(weights: Floats, scale: Floats, spread: Floats) -> Floats | None:
    """LSBs ``[columns]``, none finer than ``scale``, that make the error of the rows least; None where little is gained.

    Args:
        weights: real, ``[rows, columns]``.
        scale: the LSBs that the operand has, ``[columns]``.
        spread: standard deviation of each element, ``[columns]``.

    The error of a row, in units of its own step S: sum_j (spread_j / s_j)^2 (rounding of weights) + (W_j s_j / S)^2
    (rounding of the operand), both over 12. With S fixed it is least at s_j^2 = S spread_j / |W_j|; S follows from the s_j.
    """
    s = np.array(scale)
    for _ in range(ROUNDS):
        step = _steps(weights, s)
        relative = np.abs(weights) / step[:, None]
        typical, most = np.sqrt((relative**2).mean(0)), relative.max(0)
        wanted = np.sqrt(spread / np.maximum(typical, 1e-30))
        s = np.clip(wanted, scale, np.clip(WEIGHT_MAX / np.maximum(most, 1e-30), scale, COARSEST * scale))
    return s if _error(weights, s, spread) * WORTH < _error(weights, scale, spread) else None


def _steps(weights: Floats, scale: Floats) -> Floats:
    """S of each row, ``[rows]``."""
    return np.asarray(np.maximum(np.abs(weights * scale).max(1), 1e-30) / WEIGHT_MAX)


def _error(weights: Floats, scale: Floats, spread: Floats) -> float:
    """Mean squared error of a row's sum in real units, over all rows."""
    step = _steps(weights, scale)
    rounding = step**2 * ((spread / scale) ** 2).sum()
    return float((rounding + ((weights * scale) ** 2).sum(1)).mean())
