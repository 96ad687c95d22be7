"""fixed.py: formats, rounding, multipliers, and the accuracy and shape of sigmoid and tanh."""

from __future__ import annotations

from fractions import Fraction
from math import exp

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rnnc import fixed
from rnnc.fixed import TABLE, Format, OverflowInOracle

WIDE_RANGE = np.arange(-(2**17), 2**17 + 1)
EXTREMES = np.array([-(2**31), -(2**31) + 1, -(2**30), 2**30, 2**31 - 1])


def test_table_has_the_values_of_its_formula() -> None:
    """Each knot is sigma(-x) less half the largest error of a chord, by the second derivative of sigma."""
    ends = {0.0: 0.5, **{x: _sigma(x) - TABLE.step**2 / 16 * _bend(x) for x in (1.0, 2.5, 4.0, 7.0, 12.0)}}
    for x, t in ends.items():
        k = round(x / TABLE.step)
        if k <= TABLE.split:
            assert abs(TABLE.fine[k] - t * 2**16) <= 0.5
        if k >= TABLE.split:
            assert abs(TABLE.tail[k - TABLE.split] - t * 2**21) <= 0.5
    assert (len(TABLE.fine), len(TABLE.tail)) == (TABLE.split + 1, TABLE.knots - TABLE.split + 1)
    assert TABLE.values.min() >= 0 and TABLE.values.max() < 2**16


def _sigma(x: float) -> float:
    """sigma(-x)."""
    return 1 / (1 + exp(x))


def _bend(x: float) -> float:
    """|sigma''(x)|."""
    return abs(exp(x) * (1 - exp(x)) / (1 + exp(x)) ** 3)


def test_the_table_has_a_power_of_two_of_arguments_in_an_interval() -> None:
    assert 2.0**TABLE.fraction == TABLE.step * 2**fixed.GATE_FRACTION


def test_sigmoid_and_tanh_are_near_the_functions() -> None:
    """Within 1.6 and 2.2 LSB, of which 0.5 is the rounding of the result; docs/numerics.md has the exact figures."""
    sigmoid = fixed.sigmoid(WIDE_RANGE) - 2.0**15 / (1 + np.exp(-WIDE_RANGE / 4096))
    tanh = fixed.tanh(WIDE_RANGE) - 2.0**15 * np.tanh(WIDE_RANGE / 4096)
    assert np.abs(sigmoid).max() <= 1.6 and np.abs(tanh).max() <= 2.2


def test_both_are_monotone_and_symmetric() -> None:
    sigmoid, tanh = fixed.sigmoid(WIDE_RANGE), fixed.tanh(WIDE_RANGE)
    assert np.diff(sigmoid).min() >= 0
    assert np.diff(tanh).min() >= 0
    assert np.array_equal(sigmoid + sigmoid[::-1], np.full(len(sigmoid), 32768))
    assert np.array_equal(tanh, -tanh[::-1])


def test_both_saturate_exactly() -> None:
    assert fixed.sigmoid(EXTREMES).tolist() == [0, 0, 0, 32768, 32768]
    assert fixed.tanh(np.array([-fixed.TANH_MAX, fixed.TANH_MAX])).tolist() == [-32767, 32767]
    with pytest.raises(OverflowInOracle, match="tanh argument"):
        fixed.tanh(np.array([fixed.TANH_MAX + 1]))
    assert fixed.sigmoid(np.array([0, 49152, 2**17])).tolist() == [16384, 32768, 32768]
    assert fixed.tanh(np.array([0, 24576, 2**17])).tolist() == [0, 32767, 32767]


@given(st.integers(-32768, 32768), st.integers(-(2**30), 2**30))
@example(32768, 2**30)
@example(32768, -(2**30))
@example(-32768, -(2**30))
def test_mul15_is_the_rounded_product(u: int, d: int) -> None:
    result = int(fixed.mul15(np.array([u]), np.array([d]))[0])
    assert abs(result - Fraction(u * d, 2**15)) <= Fraction(1, 2)


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 30))
def test_shift_round_rounds_half_up(x: int, n: int) -> None:
    assert int(fixed.shift_round(np.array([x]), n)[0]) == (Fraction(x, 2**n) + Fraction(1, 2)).__floor__()


def test_widths_are_asserted() -> None:
    assert fixed.fits(np.array([-128, 127]), -128, 127, "x").tolist() == [-128, 127]
    with pytest.raises(OverflowInOracle, match=r"x: 128\.\.128 does not fit in -128\.\.127"):
        fixed.fits(np.array([128]), -128, 127, "x")
    with pytest.raises(OverflowInOracle):
        fixed.int32(np.array([-(2**31) - 1]), "x")


@given(st.floats(1e-9, 32767.0))
def test_multiplier_is_as_exact_as_its_mantissa(ratio: float) -> None:
    m, s = (int(v[0]) for v in fixed.multiplier(np.array([ratio])))
    assert 0 <= m < 2**15 and 0 <= s <= 30
    assert abs(m / 2**s - ratio) <= max(ratio * 2.0**-14, 2.0**-31)
    assert s == 30 or m >= 2**14 or s == 0


def test_multiplier_refuses_what_does_not_fit() -> None:
    with pytest.raises(OverflowInOracle):
        fixed.multiplier(np.array([32768.0]))


@given(st.lists(st.integers(-127, 127), min_size=1, max_size=40), st.integers(1, 5))
def test_matmul_is_exact(weights: list[int], rows: int) -> None:
    w = np.array([np.roll(weights, k) for k in range(rows)])
    x = np.array([(-1) ** k * 32768 for k in range(len(weights))])
    expected = [sum(int(a) * int(b) for a, b in zip(row, x, strict=True)) for row in w]
    assert fixed.matmul(x[None], w.T.astype(np.float64))[0].tolist() == expected


# --------------------------------------------------------------------------- formats

formats = st.builds(
    lambda bits, scale, zero: Format(bits, np.array([scale]), zero, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1),
    st.sampled_from([8, 16]),
    st.floats(1e-6, 1e3),
    st.integers(-100, 100),
)


@given(formats, st.floats(-1e7, 1e7))
def test_quantize_takes_the_nearest_integer_or_saturates(form: Format, real: float) -> None:
    q = form.quantize(np.array([real]))
    assert form.lo <= q[0] <= form.hi
    back = form.dequantize(q)[0]
    if form.lo < q[0] < form.hi:
        assert abs(back - real) <= form.scale[0] * 0.5000001
    else:
        assert abs(real) >= abs(back) - form.scale[0]


@given(formats, st.integers(-128, 127))
def test_integers_survive_a_round_trip(form: Format, q: int) -> None:
    assert form.quantize(form.dequantize(np.array([q])))[0] == q


def test_what_is_no_number_becomes_zero_and_infinity_saturates() -> None:
    form = Format(16, np.array([0.5]), 3, -32768, 32767)
    assert form.quantize(np.array([np.nan, np.inf, -np.inf])).tolist() == [3, 32767, -32768]


def test_halves_go_up() -> None:
    assert Format.q(0).quantize(np.array([0.5, -0.5, 1.5, -1.5])).tolist() == [1, 0, 2, -1]


def test_q_formats_are_named_after_their_fraction() -> None:
    assert str(Format.q(15)) == "Q0.15" and Format.q(15).fraction == 15
    assert str(Format.q(12, 32)) == "Q19.12" and Format.q(12, 32).ctype == "int32_t"
    assert Format(16, np.array([0.3])).fraction is None
    assert Format(16, np.array([0.5]), zero_point=1).fraction is None
    assert str(Format.rows(10)) == "row number 0..9"


def test_row_numbers_are_clamped_and_unsigned() -> None:
    form = Format.rows(10)
    assert form.quantize(np.array([-1, 0, 9, 10, 70000])).tolist() == [0, 0, 9, 9, 9]
    assert (form.ctype, Format.rows(65536).ctype, Format.rows(65537).ctype) == ("uint16_t", "uint16_t", "uint32_t")


def test_scales_by_channel_belong_to_the_last_axes() -> None:
    form = Format(16, np.array([1.0, 2.0, 4.0]))
    assert form.quantize(np.full((5, 2, 3), 4.0))[0, 0].tolist() == [4, 2, 1]
    assert form.quantize(np.full((5, 2, 3, 1), 4.0))[0, 0, :, 0].tolist() == [4, 2, 1]
    assert form.dequantize(np.full((5, 2, 3), 1))[4, 1].tolist() == [1.0, 2.0, 4.0]
    assert Format(16, np.array([2.0, 2.0])).uniform


def test_amax_is_the_largest_factor_that_the_type_can_hold() -> None:
    assert Format.q(15).amax == 32768
    assert Format(8, np.ones(1)).amax == 128
    assert Format.q(12, 32, -100, 90).amax == 100
