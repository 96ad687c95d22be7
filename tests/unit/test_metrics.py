"""metrics.py: SQNR as it is defined, and the figures beside it."""

from __future__ import annotations

import numpy as np
import pytest

from rnnc.verification.metrics import EQUAL_DB, difference, relative_error, sqnr_db

RNG = np.random.default_rng(0)


def test_sqnr_is_the_defined_ratio() -> None:
    r = RNG.standard_normal((50, 3)) + np.array([0.0, 10.0, -100.0])
    y = r + RNG.standard_normal((50, 3)) * 0.01
    signal = sum(((r[:, c] - r[:, c].mean()) ** 2).sum() for c in range(3))
    assert sqnr_db(r, y) == pytest.approx(10 * np.log10(signal / ((y - r) ** 2).sum()), abs=1e-12)


def test_sqnr_of_a_known_case() -> None:
    r = np.array([[1.0], [-1.0]])
    assert sqnr_db(r, r + 0.1) == pytest.approx(20.0)


def test_sqnr_does_not_see_the_mean_of_a_channel() -> None:
    r = RNG.standard_normal((20, 2))
    y = r + 0.01
    assert sqnr_db(r + 1000, y + 1000) == pytest.approx(sqnr_db(r, y), abs=1e-6)


def test_equal_is_200_and_constant_is_nothing() -> None:
    r = RNG.standard_normal((20, 2))
    assert sqnr_db(r, r) == EQUAL_DB == 200
    assert sqnr_db(r, r + 1e-200) == EQUAL_DB
    assert sqnr_db(np.full((20, 2), 0.1), r) is None
    assert sqnr_db(np.zeros((0, 2)), np.zeros((0, 2))) is None


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_has_no_sqnr(value: float) -> None:
    """It once counted as equal."""
    reference = np.array([[1.0, 0.5], [value, 0.25], [2.0, 0.0]])
    got = np.where(np.isfinite(reference), reference, 0.0)
    assert sqnr_db(reference, got) is None
    assert sqnr_db(got, reference) is None
    assert relative_error(reference, got) == np.inf


def test_difference() -> None:
    r, y = np.array([[1.0, 2.0], [3.0, 1.0]]), np.array([[1.5, 2.0], [0.5, 1.0]])
    d = difference(r, y)
    assert d.max_abs == 2.5 and d.rms == pytest.approx(np.sqrt((0.25 + 6.25) / 4)) and d.argmax_agreement == 0.5


def test_a_scalar_has_no_argmax() -> None:
    assert difference(np.array([[1.0], [2.0]]), np.array([[1.0], [2.5]])).argmax_agreement is None


def test_row_numbers_have_only_agreement() -> None:
    d = difference(np.array([[1], [2], [3], [4]]), np.array([[1], [2], [0], [4]]), index=True)
    assert (d.sqnr_db, d.max_abs, d.rms, d.argmax_agreement) == (None, None, None, 0.75)


def test_relative_error_is_of_the_largest() -> None:
    assert relative_error(np.array([[10.0], [1.0]]), np.array([[10.0], [1.1]])) == pytest.approx(0.01)
    assert relative_error(np.zeros((2, 1)), np.zeros((2, 1))) == 0
    assert relative_error(np.ones((1, 1)), np.full((1, 1), np.nan)) == np.inf


def test_near_ties_of_row_numbers_are_no_error() -> None:
    r = np.zeros((2000, 1))
    y = r.copy()
    y[0] = 1
    assert relative_error(r, y, index=True) == 0
    y[:20] = 1
    assert relative_error(r, y, index=True) == 0.01
