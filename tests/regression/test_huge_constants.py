"""Constants past 1e31 overflowed when they were rounded in float32: all were the same, and NumPy's warning was printed."""

from __future__ import annotations

import numpy as np
import pytest

from rnnc.frontend.rewrite.expressions import digest


@pytest.mark.filterwarnings("error")
def test_huge_constants_that_differ_are_not_the_same() -> None:
    huge = np.array([1e33, 3e38], np.float32)
    assert digest(huge) != digest(huge / 2)
    assert digest(huge) == digest(huge.copy())


def test_numbers_that_differ_in_the_last_bit_of_float32_are_the_same() -> None:
    assert digest(np.array([0.1], np.float32)) == digest(np.nextafter(np.array([0.1], np.float32), np.float32(1)))
