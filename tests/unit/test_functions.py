"""functions.py: how far the integer functions are from the real ones."""

from __future__ import annotations

import numpy as np
import pytest

from rnnc import fixed, functions
from rnnc.fixed import OverflowInOracle

RNG = np.random.default_rng(0)
WIDE = np.unique(np.concatenate([(2 ** RNG.uniform(0, 32, 200_000)).astype(np.int64), [1, 2, 3, 2**32 - 1]]))


def test_square_root_is_the_nearest_integer() -> None:
    values = np.concatenate([[0], WIDE])
    assert np.abs(functions.sqrt(values) - np.sqrt(values)).max() <= 0.5
    assert functions.sqrt(np.array([2**32 - 1])).tolist() == [65536]


def test_reciprocal_square_root_errs_by_less_than_2_to_the_minus_14_7() -> None:
    m = np.concatenate([np.linspace(2**30, 2**32 - 1, 200_001).astype(np.int64), [2**30, 2**32 - 1]])
    r = functions.rsqrt(m)
    assert np.abs(r * np.sqrt(m) / 2**31 - 1).max() < 2**-14.7
    assert r.min() == 32768 and r.max() == 65535


def test_power_of_two_and_logarithm_are_within_their_lsb() -> None:
    t = np.arange(65536)
    assert np.abs(functions.exp2(t) - 65536 * 2.0 ** (-t / 65536)).max() <= 1.5
    assert np.abs(functions.log2(WIDE) - 65536 * np.log2(WIDE)).max() < 3.5


def test_both_are_monotone() -> None:
    assert np.diff(functions.exp2(np.arange(65536))).max() <= 0
    assert np.diff(functions.log2(WIDE)).min() >= 0


def test_power_of_two_rounds_and_saturates() -> None:
    t = np.arange(-40 << 16, 40 << 16, 997)
    want = np.minimum(2.0 ** (t / 65536), 32767)
    assert np.abs(functions.power_of_two(t) - want).max() <= 1.3
    assert functions.power_of_two(np.array([0, 65536, 15 << 16])).tolist() == [1, 2, 32767]


@pytest.mark.parametrize(("doublings", "m", "p"), [(0, 16384, 14), (3, 32767, 20), (14, 20000, 30), (10, 16384, 0)])
def test_scaled_root_is_exact_to_16_bits_and_saturates(doublings: int, m: int, p: int) -> None:
    y = functions.scaled_root(WIDE, np.asarray(doublings), np.asarray(m), np.asarray(p))
    want = np.minimum(np.sqrt(WIDE) * 2.0**doublings * m / 2.0**p, 2**31 - 1)
    assert np.all(np.abs(y - want) <= 0.51 + want * 2.0**-16)


def test_what_leaves_its_width_is_a_fault_of_the_oracle() -> None:
    with pytest.raises(OverflowInOracle):
        fixed.uint32(np.array([-1]), "x")
    with pytest.raises(OverflowInOracle):
        functions.leading_zeros(np.array([2**32]))
