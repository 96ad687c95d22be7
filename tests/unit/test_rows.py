"""rows.py: scales with exact multipliers, rounding in the bias, and worst cases that are reached and never passed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnc.errors import Refused
from rnnc.fixed import GATE_LSB
from rnnc.quantization.rounding import round_nearest
from rnnc.rows import (
    ACCUMULATOR_MAX,
    MULTIPLIER_MAX,
    Block,
    OneBlock,
    RealRows,
    RowScale,
    TwoBlock,
    quantize_rows,
)
from tests.support.nets import Array

seeds = st.integers(0, 2**32 - 1)


def block(
    weights: Array,
    lsb: float = 2.0**-12,
    bias: Array | float = 0.0,
    operand_max: int = 32768,
    wide: Array | bool = False,
) -> Block:
    """Rows over an operand of one LSB, for gates."""
    rows = len(weights)
    scale, target = np.full(weights.shape[1], lsb), np.full(rows, GATE_LSB)
    real = RealRows(weights, scale, operand_max, np.broadcast_to(bias, rows), wide=wide)
    (found,) = quantize_rows([real], target, round_nearest, [1.0])
    return found


def some_weights(seed: int) -> tuple[np.random.Generator, Array]:
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 6), rng.choice([1, 2, 7, 40])
    return rng, rng.standard_normal(shape) * 10.0 ** rng.uniform(-4, 1, (shape[0], 1))


# --------------------------------------------------------------------------- scales


@given(st.floats(-20, 7.9), st.floats(-40, 10))
def test_the_multiplier_is_exact_and_has_8_significant_bits(ratio: float, log_target: float) -> None:
    smallest, target = np.array([2.0 ** (ratio + log_target)]), np.array([2.0**log_target])
    s = RowScale.choose(smallest, target)
    m, p = int(s.m[0]), int(s.p[0])
    assert s.accumulator[0] == pytest.approx(m / (256 * 2.0**p) * target[0], rel=1e-15)
    assert 128 <= m <= MULTIPLIER_MAX and 0 <= p <= 24
    significant = m // (m & -m) if m > 255 else m
    assert significant <= 255
    assert smallest[0] * (1 - 1e-9) <= s.accumulator[0] <= smallest[0] * (1 + 1 / 127)


@given(st.floats(-20, 7.9), st.floats(-40, 10), st.floats(0, 40))
def test_fewer_significant_bits_are_taken_where_they_lose_less_in_weights_than_they_save_in_the_shift(
    ratio: float, log_target: float, log_power: float
) -> None:
    smallest, target = np.array([2.0 ** (ratio + log_target)]), np.array([2.0**log_target])
    power = 2.0**log_power
    plain, s = RowScale.choose(smallest, target), RowScale.most_exact(smallest, target, power)
    m, p = int(s.m[0]), int(s.p[0])
    assert s.accumulator[0] == pytest.approx(m / (256 * 2.0**p) * target[0], rel=1e-15)
    assert 1 <= m <= MULTIPLIER_MAX and 0 <= p <= plain.p[0] and s.accumulator[0] >= smallest[0] * (1 - 1e-8)

    def error(scale: RowScale) -> float:
        return float(scale.accumulator[0] ** 2 * (power + 4.0 ** scale.p[0] * scale.rounding_shift[0]))

    assert error(s) <= error(plain)
    if power > 2.0**16 * 4.0 ** plain.p[0] and plain.m[0] % 2:
        assert m == plain.m[0]
    if power < 2.0**-10 * 4.0 ** plain.p[0]:
        assert p == 0 or m <= 64


def test_int8_rows_keep_the_smallest_scale_that_their_weights_allow() -> None:
    w, target = np.random.default_rng(2).standard_normal((4, 8)), np.full(4, GATE_LSB)
    lsb, wide = np.full(8, 2.0**-12), np.array([True, False, True, False])
    (found,) = quantize_rows([RealRows(w, lsb, 32768, np.zeros(4), wide=wide, power=1.0)], target, round_nearest, [1.0])
    (plain,) = quantize_rows([RealRows(w, lsb, 32768, np.zeros(4), wide=wide)], target, round_nearest, [1.0])
    assert np.array_equal(found.scale.m[~wide], plain.scale.m[~wide])
    assert np.all(found.scale.p[wide] < plain.scale.p[wide])


def test_int16_rows_beside_int8_ones_over_another_operand_keep_the_smallest_scale() -> None:
    w, lsb, target = np.random.default_rng(3).standard_normal((4, 8)), np.full(8, 2.0**-12), np.full(4, GATE_LSB)

    def wide_p(beside: bool) -> Array:
        parts = [RealRows(w, lsb, 32768, np.zeros(4), wide=wide, power=1.0) for wide in (True, beside)]
        return quantize_rows(parts, target, round_nearest, [1.0, 1.0])[0].scale.p

    plain = RealRows(w, lsb, 32768, np.zeros(4), wide=True)
    (alone,) = quantize_rows([plain], target, round_nearest, [1.0])
    assert np.array_equal(wide_p(False), alone.scale.p) and np.all(wide_p(True) < alone.scale.p)


def test_a_scale_that_is_exact_stays() -> None:
    target = np.full(3, 2.0**-12)
    s = RowScale.choose(target * np.array([1.0, 1.5, 129 / 128]), target)
    assert s.m.tolist() == [256, 384, 258] and s.p.tolist() == [0, 0, 0]


def test_a_scale_far_below_its_target_is_raised_to_where_p_fits() -> None:
    b = block(np.array([[1e-12, 0.0]]))
    assert b.scale.p[0] == 19 and not b.weights.any()


def test_a_zero_row_has_zero_weights_and_keeps_its_bias() -> None:
    b = block(np.zeros((2, 3)), bias=np.array([0.0, -3.25]))
    rows = OneBlock.build(b, np.array([0.0, -3.25]), 0)
    assert not b.weights.any()
    assert (rows(np.full((1, 3), 32767), "rows")[0] * GATE_LSB).tolist() == pytest.approx([0.0, -3.25], abs=GATE_LSB)


@pytest.mark.parametrize("bias", [100.0, -1000.0, 2000.0])
def test_a_dead_gate_with_a_large_bias(bias: float) -> None:
    """The bias alone decides the scale; the gate is what the bias says, whatever comes in."""
    b = block(np.full((1, 4), 1e-7), bias=bias)
    rows = OneBlock.build(b, np.array([bias]), 0)
    assert abs(rows.bias[0]) <= 2**30 + 2**24 and rows.representable
    assert rows(np.full((1, 4), 32767), "rows")[0, 0] * GATE_LSB == pytest.approx(bias, rel=1e-6, abs=2 * GATE_LSB)


def test_516_full_columns_fit_and_more_double_the_scale() -> None:
    for columns, times in ((516, 1), (517, 2), (1000, 2), (1030, 4), (2000, 4)):
        b = block(np.full((1, columns), 127 / 128))
        plain = block(np.full((1, 1), 127 / 128))
        assert b.scale.accumulator[0] == plain.scale.accumulator[0] * times
        assert b.worst(0)[0] <= ACCUMULATOR_MAX
        assert np.abs(b.weights).max() == round(127 / times)  # 64 where it is 63.5


def test_the_bias_counts_when_a_row_is_full() -> None:
    weights, bias = np.full((1, 512), 1 / 512), 1000.0
    b = block(weights, lsb=2.0**-15, bias=bias)
    rows = OneBlock.build(b, np.array([bias]), 0)
    assert b.worst(rows.bias)[0] < 2**31


def test_what_no_scale_can_hold_is_refused() -> None:
    with pytest.raises(Refused, match="32 bits"):
        block(np.full((1, 2), 1e12))


@given(seeds)
def test_weights_are_within_half_a_step(seed: int) -> None:
    _, w = some_weights(seed)
    b = block(w)
    step = b.scale.accumulator / 2.0**-12
    assert np.abs(b.weights).max() <= 127
    assert np.all(np.abs(b.real(np.full(w.shape[1], 2.0**-12)) - w) <= step[:, None] * 0.5000001)


# --------------------------------------------------------------------------- rounding


@given(seeds, st.integers(-200, 200))
def test_one_block_rows_are_within_one_lsb(seed: int, zero: int) -> None:
    """Against the dequantized weights and bias in float; the floor of the first shift costs up to M / 256 more."""
    rng, w = some_weights(seed)
    bias = rng.standard_normal(len(w))
    b = block(w, bias=bias)
    rows = OneBlock.build(b, bias, zero)
    x = rng.integers(-32768, 32768, (50, w.shape[1]))
    exact = ((x - zero) * 2.0**-12) @ b.real(np.full(w.shape[1], 2.0**-12)).T + rows.real_bias(zero)
    error = rows(x, "rows") - exact / GATE_LSB
    assert np.all(np.abs(error) <= 0.5 + b.scale.m / 256 * b.scale.rounding_shift + 1e-6)


@given(seeds)
def test_the_mean_error_is_at_most_a_quarter_lsb(seed: int) -> None:
    """A quarter at M = 128, whose products are all multiples of half an LSB; nothing where M is odd."""
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((4, 16)) * 0.3
    x, h = rng.integers(-8000, 8000, (4000, 16)), rng.integers(-32000, 32000, (4000, 16))
    bx, bh = block(w), block(w[::-1].copy(), lsb=2.0**-15)
    one, two = OneBlock.build(bx, np.zeros(4), 0), TwoBlock.build(bx, bh, np.zeros(4), 0)
    exact = (x * 2.0**-12) @ bx.real(np.full(16, 2.0**-12)).T
    both = exact + (h * 2.0**-15) @ bh.real(np.full(16, 2.0**-15)).T
    assert np.abs((one(x, "one") - exact / GATE_LSB).mean(0)).max() < 0.3
    assert np.abs((two(x, h, "two") - both / GATE_LSB).mean(0)).max() < 0.3


@given(seeds, st.integers(0, 8))
def test_a_narrower_final_shift_keeps_scales_and_rounding(seed: int, shift: int) -> None:
    rng, w = some_weights(seed)
    b = block(w)
    narrowed = b.scale.narrowed(shift)
    assert np.array_equal(narrowed.m * 2.0**-shift / 2.0**narrowed.p, b.scale.m / 256 / 2.0**b.scale.p)
    assert narrowed.m.min() >= 128 // 2**8
    rows = OneBlock.build(Block(b.weights, narrowed, b.operand_max), np.zeros(len(w)), 0, shift)
    x = rng.integers(-32768, 32768, (20, w.shape[1]))
    exact = (x * 2.0**-12) @ b.real(np.full(w.shape[1], 2.0**-12)).T / GATE_LSB
    slack = 0.5 + narrowed.m / 2.0**shift * (narrowed.p > 0) + 1e-6
    assert np.all(np.abs(rows(x, "rows") - exact) <= slack)


def test_rows_that_pass_32_bits_narrow_their_shift() -> None:
    """A preactivation of 3,000 does not fit at a final shift of 8."""
    weights = np.full((1, 4), 100.0)
    b = block(weights)
    rows = OneBlock.build(b, np.zeros(1), 0)
    assert not rows.representable
    safe = rows.safe(np.zeros(1), 0)
    assert safe.representable and safe.shift < 8
    full = np.full((1, 4), 32767)
    assert safe(full, "rows")[0, 0] == pytest.approx(100 * 4 * 32767, rel=1e-2)


# --------------------------------------------------------------------------- worst cases


def adversary(b: Block, sign: int) -> Array:
    """For each row the operand that drives its accumulator furthest, ``[rows, columns]``."""
    top = b.operand_max - 1
    return np.where(np.sign(b.weights) * sign < 0, -b.operand_max, np.where(b.weights == 0, 0, top))


@given(seeds, st.sampled_from([128, 32768]))
def test_the_worst_accumulator_is_reached_within_one_lsb_an_element_and_never_passed(
    seed: int, operand_max: int
) -> None:
    rng, w = some_weights(seed)
    bias = rng.standard_normal(len(w))
    b = block(w, bias=bias, operand_max=operand_max)
    rows = OneBlock.build(b, bias, 0)
    worst = b.worst(rows.bias)
    for k in range(len(w)):
        sign = 1 if rows.bias[k] >= 0 else -1
        reached = abs(int(b.weights[k] @ adversary(b, sign)[k] + rows.bias[k]))
        assert worst[k] - np.abs(b.weights[k]).sum() <= reached <= worst[k]
    x = rng.integers(-operand_max, operand_max, (200, w.shape[1]))
    assert np.all(np.abs(b.accumulate(x, rows.bias, "rows")) <= worst)


@given(seeds)
def test_the_worst_products_are_never_passed(seed: int) -> None:
    rng, w = some_weights(seed)
    v = rng.standard_normal((len(w), 9))
    bias = rng.standard_normal(len(w))
    bx, bh = block(w, bias=bias), block(v, lsb=2.0**-15)
    one, two = OneBlock.build(bx, bias, 0).safe(bias, 0), TwoBlock.build(bx, bh, bias, 0).safe(bias, 0)
    for sign in (-1, 1):
        x, h = adversary(bx, sign), adversary(bh, sign)
        assert np.all(np.abs(one(x, "one").diagonal() << one.shift) <= one.worst_product() + 256)
        assert np.all(np.abs(two(x, h, "two").diagonal() << two.shift) <= two.worst_product() + 256)


def test_the_worst_product_is_nearly_reached() -> None:
    w = np.array([[1.0, -2.0, 0.5]])
    b = block(w)
    rows = OneBlock.build(b, np.zeros(1), 0)
    reached = abs(int(rows(adversary(b, 1), "rows")[0, 0])) * 256
    assert reached <= rows.worst_product()[0] <= reached * 1.001


# --------------------------------------------------------------------------- int16 rows


def wide_block(weights: Array, bias: Array, zero: int, operand_max: int = 32768) -> Block:
    """int16 rows for gates over an operand of one LSB."""
    lsb, target = np.full(weights.shape[1], 2.0**-12), np.full(len(weights), GATE_LSB)
    (found,) = quantize_rows([RealRows(weights, lsb, operand_max, bias, zero, wide=True)], target, round_nearest, [1.0])
    return found


@given(seeds, st.sampled_from([128, 32768]), st.integers(-32768, 32767))
def test_int16_rows_fit_32_bits_and_are_as_fine_as_these_allow(seed: int, operand_max: int, zero: int) -> None:
    rng, w = some_weights(seed)
    zero = zero * operand_max // 32768
    bias = rng.standard_normal(len(w))
    b, coarse = wide_block(w, bias, zero, operand_max), block(w, bias=bias, operand_max=operand_max)
    rows = OneBlock.build(b, bias, zero)
    assert b.wide is not None and b.wide.all() and coarse.wide is None
    assert np.abs(b.weights).max() <= 32767 and np.all(b.worst(rows.bias) < 2**31)
    full, reach = np.abs(b.weights).max(1) >= 32767 * 0.98, b.worst(rows.bias) / 2.0**31
    finest = b.scale.accumulator <= GATE_LSB * 2.0**-22 * 1.01
    biased = np.abs(bias) / b.scale.accumulator > 2.0**30 * 0.98
    assert np.all(full | (reach > 0.8) | biased | finest | (b.scale.accumulator >= coarse.scale.accumulator))
    assert np.all(b.scale.accumulator <= coarse.scale.accumulator * 1.01)


def test_rows_of_one_operand_may_be_int8_and_int16() -> None:
    w = np.random.default_rng(0).standard_normal((4, 16))
    b = block(w, wide=np.array([True, False, True, False]))
    assert b.wide is not None and b.wide.tolist() == [True, False, True, False]
    assert np.all(np.abs(b.weights[1::2]).max(1) >= 126) and np.all(np.abs(b.weights[::2]).max(1) > 1000)
    assert np.array_equal(b.weights[1::2], block(w).weights[1::2])


def test_an_int16_row_that_its_rounding_made_too_large_is_rounded_again_a_little_coarser() -> None:
    """What a rounding adds beyond half a step a column: here every weight is 2 % larger."""
    w, target = np.random.default_rng(1).standard_normal((3, 400)), np.full(3, GATE_LSB)
    real = RealRows(w, np.full(400, 2.0**-12), 32768, np.zeros(3), wide=True)
    (fine,) = quantize_rows([real], target, round_nearest, [1.0])
    (again,) = quantize_rows([real], target, lambda w, g, m: round_nearest(w * 1.05, g, m), [1.0])
    assert np.all(again.worst(0) <= ACCUMULATOR_MAX - 2**25)
    assert np.all(
        (fine.scale.accumulator < again.scale.accumulator) & (again.scale.accumulator < 1.06 * fine.scale.accumulator)
    )
