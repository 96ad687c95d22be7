"""Rounding against optima that can be found by trying everything, and what each part of it is worth on data it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from rnnc.compiler import load_net
from rnnc.net import Net
from rnnc.options import Options
from rnnc.quantization import quantize as quantization
from rnnc.quantization import rounding, wide_rows
from rnnc.quantization.balance import balanced_scale
from rnnc.quantization.calibrate import Ranges, calibrate, lanes_of
from rnnc.quantization.quantize import quantize
from rnnc.quantization.rounding import covariance, round_gptq, round_nearest
from rnnc.streams import run_net, run_qnet
from rnnc.verification.metrics import sqnr_db
from tests.support.nets import Array

DRAWS = range(40)
COLUMNS = 3


def correlated(rng: np.random.Generator, columns: int = COLUMNS) -> Array:
    """An operand whose elements are correlated, as those of a hidden state are: ``[256, columns]``."""
    return rng.normal(size=(256, columns)) @ rng.normal(size=(columns, columns)) + rng.normal(size=columns)


def error(rounded: Array, weights: Array, step: Array, c: Array) -> Array:
    """The variance of each row's error, ``[rows]``."""
    difference = rounded * step - weights
    return np.asarray(np.einsum("ri,ij,rj->r", difference, c, difference))


def optimum(weights: Array, step: Array, c: Array) -> Array:
    """The least error of each row over all integers within 6 of the nearest, ``[rows]``."""
    nearest = np.round(weights / step)
    tried = [error(nearest + np.array(shift), weights, step, c) for shift in product(range(-6, 7), repeat=COLUMNS)]
    return np.asarray(np.min(tried, axis=0))


def draw(seed: int) -> tuple[Array, Array, Array]:
    """Weights ``[8, columns]``, grid of two operands of unlike steps, samples."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(8, COLUMNS)) * 20
    grid = rng.uniform(0.5, 2, (8, 2))[:, [0, 1, 1]]
    return weights, grid, correlated(rng)


def mean_excess(round_: Callable[[Array, Array, Array], Array]) -> float:
    """How far above the optimum the error is, on average over many rows: 1 is the optimum."""
    ratios = []
    for seed in DRAWS:
        weights, grid, samples = draw(seed)
        unit = np.median(grid, axis=0)
        c = covariance(samples * unit)
        got = error(round_(weights, grid, samples), weights / unit, grid / unit, c)
        ratios.append(got / optimum(weights / unit, grid / unit, c))
    assert min(map(np.min, ratios)) >= 1 - 1e-9
    return float(np.exp(np.mean(np.log(ratios))))


def test_joint_rounding_is_near_the_optimum_and_far_below_rounding_to_nearest() -> None:
    """With the sign of the carried error turned, it is above rounding to nearest."""
    nearest = mean_excess(lambda weights, grid, _: np.round(weights / grid))
    joint = mean_excess(round_gptq)
    assert joint < 1.15
    assert nearest > 1.5 * joint


def test_columns_in_parts_are_rounded_as_those_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is carried from part to part is what one part carries from column to column, sign and all."""
    rng = np.random.default_rng(3)
    columns = 3 * rounding.TOGETHER + 5
    weights, samples = rng.normal(size=(4, columns)) * 20, correlated(rng, columns)
    parts = round_gptq(weights, np.ones_like(weights), samples)
    monkeypatch.setattr(rounding, "TOGETHER", columns)
    np.testing.assert_array_equal(round_gptq(weights, np.ones_like(weights), samples), parts)


def test_rounded_weights_stay_within_int8() -> None:
    weights, grid = np.array([[400.0, -400.0, 0.4]]), np.ones((1, 3))
    samples = correlated(np.random.default_rng(0))
    assert np.abs(round_gptq(weights, grid, samples)).max() <= 127
    assert round_nearest(weights, grid).tolist() == [[127, -127, 0]]


def test_independent_elements_are_rounded_to_nearest() -> None:
    samples = np.repeat(np.eye(COLUMNS), 4, 0) - np.repeat(np.eye(COLUMNS), 4, 0).mean(0)
    samples = np.concatenate([samples, -samples])
    samples -= samples.mean(0)
    whitened = samples @ np.linalg.inv(np.linalg.cholesky(np.cov(samples.T) + 1e-9 * np.eye(COLUMNS))).T
    weights, _, _ = draw(2)
    grid = np.ones_like(weights)
    assert np.array_equal(round_gptq(weights, grid, whitened), round_nearest(weights, grid))


def test_an_int16_column_absorbs_what_int8_columns_leave() -> None:
    """Beside it rounded by itself."""
    grid, most = np.repeat([[1 / 64, 1.0, 1.0]], 8, 0), np.repeat([[32767, 127, 127]], 8, 0)
    ratios = []
    for seed in DRAWS:
        rng = np.random.default_rng(seed)
        weights, samples = rng.normal(size=(8, COLUMNS)) * 20, correlated(rng)
        unit = np.median(grid, axis=0)
        c = covariance(samples * unit, most[0] > 127)
        alone = round_nearest(weights, grid, most)
        alone[:, 1:] = round_gptq(weights[:, 1:], grid[:, 1:], samples[:, 1:])
        together, apart = (
            error(q, weights / unit, grid / unit, c) for q in (round_gptq(weights, grid, samples, most), alone)
        )
        ratios.append(together.mean() / apart.mean())
    assert np.exp(np.mean(np.log(ratios))) < 0.6


# --------------------------------------------------------------------------- balance


def unlike(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Rows over an operand of 3 elements of unlike LSBs: weights, LSBs, spreads."""
    scale = 10.0 ** rng.uniform(-5, -1, 3)
    return rng.normal(size=(4, 3)) * 10.0 ** rng.uniform(-1, 1, 3), scale, scale * 10.0 ** rng.uniform(2, 4, 3)


def row_error(weights: Array, scale: Array, spread: Array) -> float:
    """The mean squared error of a row's sum in real units: rounding of weights, rounding of the operand."""
    step = np.abs(weights * scale).max(1, keepdims=True) / 127
    return float(((step * spread / scale) ** 2 + (weights * scale) ** 2).sum(1).mean())


def test_balanced_lsbs_halve_the_error_at_least_and_none_is_finer() -> None:
    """On average the error comes within a factor of two of the best that any coarser LSBs give."""
    excess = []
    for seed in range(60):
        weights, scale, spread = unlike(np.random.default_rng(seed))
        balanced = balanced_scale(weights, scale, spread)
        if balanced is None:
            continue
        factors = 2.0 ** np.arange(0, 9.5, 0.5)
        best = min(row_error(weights, scale * np.array(f), spread) for f in product(factors, repeat=3))
        assert np.all(balanced >= scale)
        assert row_error(weights, balanced, spread) < row_error(weights, scale, spread) / 2
        excess.append(row_error(weights, balanced, spread) / best)
    assert len(excess) > 10 and np.exp(np.mean(np.log(excess))) < 2


def test_lsbs_that_are_alike_stay() -> None:
    rng = np.random.default_rng(3)
    assert balanced_scale(rng.normal(size=(8, 6)), np.full(6, 1e-4), np.full(6, 0.3)) is None


# --------------------------------------------------------------------------- on data that calibration has not seen

EXAMPLES = Path(__file__).parents[2] / "examples"
SEQUENCES, BUILDS = 30, range(4)


class Example:
    """A network of examples/, calibrated on its calibration data and judged on its test data."""

    def __init__(self, folder: str, model: str) -> None:
        self.net: Net = load_net(EXAMPLES / folder / model)
        self.ranges: Ranges = calibrate(self.net, self._sequences(folder, "calib.npz"), Options())
        tested = {name: all_[:SEQUENCES] for name, all_ in self._sequences(folder, "test.npz").items()}
        self.inputs, lengths = lanes_of(self.net, tested)
        self.reference = run_net(self.net, self.inputs)
        self.compared = np.arange(lengths.max())[:, None] < lengths[None, :]

    def _sequences(self, folder: str, file: str) -> dict[str, list[Array]]:
        """A file's sequences are equally long, or concatenated with ``lengths``."""
        with np.load(EXAMPLES / folder / file) as arrays:
            ends = np.cumsum(arrays["lengths"])[:-1] if "lengths" in arrays else None
            names = [v.name for v in self.net.inputs]
            return {n: list(arrays[n]) if ends is None else np.split(arrays[n], ends) for n in names}

    def mean_db(self) -> float:
        """Of builds with jittered row scales: the luck of one build is several dB."""
        return float(np.mean([self._db(jitter) for jitter in BUILDS]))

    def _db(self, jitter: int) -> float:
        qnet = quantize(self.net, self.ranges, Options(), jitter)
        got = run_qnet(qnet, {name: qnet.formats[name].quantize(x) for name, x in self.inputs.items()})
        (o,) = self.net.outputs
        r, y = self.reference[o.name], qnet.formats[o.value].dequantize(got[o.name])
        db = sqnr_db(r[self.compared], y[self.compared])
        assert db is not None
        return db


@pytest.fixture(scope="module")
def forecast() -> Example:
    return Example("temperature", "temperature_rnn.onnx")


@pytest.fixture(scope="module")
def policy() -> Example:
    return Example("policy", "policy.onnx")


@pytest.fixture(scope="module")
def forecast_db(forecast: Example) -> float:
    return forecast.mean_db()


def test_carrying_the_error_on_is_worth_more_than_4_db(
    forecast: Example, forecast_db: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wide_rows, "round_gptq", lambda weights, grid, *_: round_nearest(weights, grid))
    assert forecast.mean_db() < forecast_db - 4


def test_rounding_input_and_hidden_state_jointly_is_worth_more_than_2_db(
    forecast: Example, forecast_db: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def apart(weights: Array, grid: Array, samples: Array, _: Array) -> Array:
        """Each operand, a run of equal grid, by itself."""
        ends = [*(np.flatnonzero(np.any(np.diff(grid, axis=1) != 0, axis=0)) + 1), weights.shape[1]]
        starts = [0, *ends[:-1]]
        parts = [slice(a, b) for a, b in zip(starts, ends, strict=True)]
        return np.concatenate([round_gptq(weights[:, p], grid[:, p], samples[:, p]) for p in parts], 1)

    monkeypatch.setattr(wide_rows, "round_gptq", apart)
    assert forecast.mean_db() < forecast_db - 2


def test_balancing_lsbs_is_worth_more_than_1_db(policy: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    balanced = policy.mean_db()
    monkeypatch.setattr(quantization, "balanced_scale", lambda *_: None)
    assert policy.mean_db() < balanced - 1
