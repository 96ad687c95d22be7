"""Softmax, norms, ArgMax: how far the integers are from float64 on the same integers, and what they do at the edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnc.fixed import HIDDEN, LOGIT, Format
from rnnc.ops.along import Along
from rnnc.ops.argmax import ArgMax, QArgMax
from rnnc.ops.norm import Norm, QNorm
from rnnc.ops.softmax import QLogSoftmax, QSoftmax, Softmax
from rnnc.qnet import QOp

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)


def decibels(reference: Array, got: Array) -> float:
    """SQNR, the mean of each element left out."""
    centred = reference - reference.mean(0)
    return float(10 * np.log10((centred**2).sum() / ((got - reference) ** 2).sum()))


def run(qop: QOp, x: Array) -> Array:
    """The integers' result in real units, for x ``[ticks, elements]``."""
    (y,) = qop.step([x[:, None].astype(np.int64)], {}, 0) or []
    return qop.formats[0].dequantize(y.reshape(len(x), -1))


def logits(count: int, ticks: int = 2000) -> Array:
    """Integers of 12 fraction bits, normal with deviation 3."""
    return np.round(RNG.standard_normal((max(20, ticks // count * 10), count)) * 3 * 4096)


@pytest.mark.parametrize(
    ("count", "floor", "lsb"), [(2, 84, 2.3), (10, 83, 2.3), (32, 78, 2.3), (100, 73, 2.0), (1000, 62, 2.0)]
)
def test_softmax_is_as_near_as_it_says(count: int, floor: float, lsb: float) -> None:
    op = Softmax("s", ("x",), ("y",), Along(1, count, 1))
    x = logits(count)
    want = op.step([x[:, None] / 4096], {}, 0)[0].reshape(len(x), -1)
    got = run(QSoftmax(op, ("x",), (HIDDEN,)), x)
    assert decibels(want, got) >= floor
    assert np.abs(got - want).max() * 2**15 <= lsb


@pytest.mark.parametrize(("count", "floor"), [(2, 78), (10, 80), (32, 80), (1000, 80)])
def test_log_softmax_is_as_near_as_it_says(count: int, floor: float) -> None:
    op = Softmax("s", ("x",), ("y",), Along(1, count, 1), logarithm=True)
    x = logits(count)
    want = op.step([x[:, None] / 4096], {}, 0)[0].reshape(len(x), -1)
    got = run(QLogSoftmax(op, ("x",), (Format.q(10, hi=0),)), x)
    assert decibels(want, got) >= floor
    assert np.abs(got - want).max() * 2**10 <= 0.54


def test_softmax_of_extreme_logits() -> None:
    op = QSoftmax(Softmax("s", ("x",), ("y",), Along(1, 4, 1)), ("x",), (HIDDEN,))
    x = np.array([[LOGIT.hi, LOGIT.lo, LOGIT.lo, LOGIT.lo], [7] * 4, [LOGIT.lo] * 4, [0, -65535, -65536, -65537]])
    y = np.round(run(op, x) * 2**15)
    assert y[0].tolist() == [32767, 0, 0, 0]
    assert y[1].tolist() == y[2].tolist() == [8192] * 4
    assert y[3].tolist() == [32767, 0, 0, 0]


def test_softmax_sums_up_to_one() -> None:
    op = QSoftmax(Softmax("s", ("x",), ("y",), Along(1, 10, 1)), ("x",), (HIDDEN,))
    assert np.abs(run(op, logits(10)).sum(1) - 1).max() <= 6 / 2**15


def norm(count: int, **how: Any) -> Norm:
    """A norm without gain and offset."""
    ones = np.ones((1, count))
    return Norm("n", ("x",), ("y",), Along(1, count, 1), ones, 0 * ones, (count,), how.pop("epsilon", 1e-5), **how)


def quantized(op: Norm, scale: float, reach: float) -> QNorm:
    """Its integer form for an input LSB and a largest output."""
    return QNorm(op, ("x",), (Format(16, np.array([reach / 32767])),), Format(16, np.array([scale])))


@pytest.mark.parametrize(("count", "floor"), [(16, 78), (64, 77), (256, 75), (1024, 70)])
@pytest.mark.parametrize("centred", [True, False], ids=["layer_norm", "rms_norm"])
def test_norms_are_as_near_as_they_say(count: int, floor: float, centred: bool) -> None:
    op = norm(count, centred=centred)
    x = np.round(RNG.standard_normal((200, count)) * 4000 + (2000 if centred else 0))
    want = op.step([x[:, None] * 1e-3], {}, 0)[0].reshape(len(x), -1)
    assert decibels(want, run(quantized(op, 1e-3, 6.0), x)) >= floor


def test_norm_of_small_integers_counts_epsilon() -> None:
    op = norm(16, epsilon=1e-2)
    x = np.round(RNG.standard_normal((500, 16)) * 300)
    want = op.step([x[:, None] * 1e-4], {}, 0)[0].reshape(len(x), -1)
    assert np.abs(want).max() < 1.5
    assert decibels(want, run(quantized(op, 1e-4, 2.0), x)) >= 70


@pytest.mark.parametrize("centred", [True, False], ids=["layer_norm", "rms_norm"])
@pytest.mark.parametrize("epsilon", [0.0, 1e-5, 1e3, 1e9])
def test_norm_of_extreme_vectors(centred: bool, epsilon: float) -> None:
    op = norm(8, centred=centred, epsilon=epsilon)
    x = np.array([[0] * 8, [-32768] * 8, [32767] * 8, [32767] * 4 + [-32768] * 4, [1] + [0] * 7, [-32768] + [0] * 7])
    want = op.step([x[:, None] * 1e-3], {}, 0)[0].reshape(len(x), -1)
    assert np.abs(run(quantized(op, 1e-3, 4.0), x) - want).max() <= 2e-3


def test_a_length_has_a_floor() -> None:
    op = norm(4, centred=False, total=True, floor=True, epsilon=1.0)
    x = np.array([[0, 0, 0, 0], [100, 0, 0, 0], [3000, 4000, 0, 0]])
    want = op.step([x[:, None] * 1e-3], {}, 0)[0].reshape(len(x), -1)
    assert want[1].tolist() == [0.1, 0, 0, 0] and want[2].tolist() == [0.6, 0.8, 0, 0]
    assert np.abs(run(quantized(op, 1e-3, 1.0), x) - want).max() <= 1e-4


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_argmax_takes_the_lowest_of_equal_elements(bits: int) -> None:
    op = ArgMax("a", ("x",), ("y",), Along(1, 4, 1), ())
    q = QArgMax(op, ("x",), (Format.rows(4),), Format(bits, np.ones(1)))
    x = np.array([[1, 3, 3, 2], [-5, -5, -5, -5], [-(2 ** (bits - 1)), 0, 1, 2 ** (bits - 1) - 1]])
    assert run(q, x).ravel().tolist() == [1, 0, 3]


def test_vectors_of_an_inner_axis_are_found_and_put_back() -> None:
    axis = Along(2, 3, 4)
    x = np.arange(24).reshape(1, 1, 24)
    rows = axis.rows(x)
    assert rows.shape == (1, 1, 8, 3)
    assert rows[0, 0, 5].tolist() == [13, 17, 21]
    assert np.array_equal(axis.back(rows).ravel(), x.ravel())
