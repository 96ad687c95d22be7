"""How far one signal is from another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnc.fixed import Floats

EQUAL_DB = 200.0
"""What SQNR is called where there is no difference, and its upper limit."""


def sqnr_db(reference: Floats, got: Floats) -> float | None:
    """Signal to quantization noise of ``got`` against ``reference``, both ``[points, channels]``.

    10 log10( sum (r - mean r)^2 / sum (y - r)^2 ), the mean of each channel over all points, both sums over all channels.
    None where the reference is constant, so that there is no signal, or where a number is infinite or none.
    """
    if not len(reference) or np.all(reference == reference[0]):
        return None
    if not (np.all(np.isfinite(reference)) and np.all(np.isfinite(got))):
        return None
    signal = float(np.sum((reference - reference.mean(0)) ** 2))
    noise = float(np.sum((got - reference) ** 2))
    if noise == 0:
        return EQUAL_DB
    return float(min(EQUAL_DB, 10 * np.log10(signal / noise)))


@dataclass(frozen=True)
class ErrorFigures:
    """Figures of one output; None where they mean nothing: ``sqnr_db`` of row numbers, agreement of a scalar, infinities."""

    sqnr_db: float | None
    max_abs: float | None
    rms: float | None
    argmax_agreement: float | None


def difference(reference: Floats, got: Floats, *, index: bool = False) -> ErrorFigures:
    """Compare ``[points, channels]``, real units, or row numbers where ``index``.

    ``argmax_agreement`` is the share of points where both have their largest channel in the same place, or, of row numbers,
    where they are equal.
    """
    if not len(reference):
        return ErrorFigures(None, None, None, None)
    if index:
        return ErrorFigures(None, None, None, float(np.mean(np.all(reference == got, axis=1))))
    agreement = float(np.mean(reference.argmax(1) == got.argmax(1))) if reference.shape[1] > 1 else None
    if not np.all(np.isfinite(reference)):
        return ErrorFigures(None, None, None, agreement)
    error = got - reference
    return ErrorFigures(
        sqnr_db(reference, got), float(np.abs(error).max()), float(np.sqrt(np.mean(error**2))), agreement
    )


INDEX_SLACK = 1e-3
"""Share of row numbers that may differ before it counts: float32 and float64 break near-ties differently."""


def relative_error(reference: Floats, got: Floats, *, index: bool = False) -> float:
    """max |got - reference| / max |reference|, equal infinities left out; of row numbers the share that differs, 0 below
    ``INDEX_SLACK``.
    """
    if not len(reference):
        return 0.0
    if index:
        share = float(np.mean(reference != got))
        return share if share > INDEX_SLACK else 0.0
    worst = float(distance(reference, got).max(initial=0.0))
    return worst / (largest(reference) or 1.0)


def distance(reference: Floats, got: Floats) -> Floats:
    """|got - reference| of each element: 0 where both are the same infinity, infinite where one is none or a number is not."""
    with np.errstate(invalid="ignore"):
        apart = np.where(got == reference, 0.0, np.abs(got - reference))
    return np.where(np.isnan(apart), np.inf, apart)


def largest(values: Floats) -> float:
    """The largest finite magnitude, 0 where there is none."""
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
