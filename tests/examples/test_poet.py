"""examples/poet: a character-level LSTM that reads a play and writes verse, sampling in integers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from examples.poet.prepare import ALPHABET
from examples.poet.task import log2_of, octaves_q20, power_of_half, surprise
from tests.support.examples import check_firmware, check_folder, check_score, check_warnings, example_package

MODEL = "poet.onnx"


@pytest.mark.target
def test_firmware_writes_the_poem_of_the_oracle(tmp_path: Path) -> None:
    printed = check_firmware("poet", MODEL, tmp_path)
    bits, poem = printed.split("\n", 1)
    assert 2.0 < float(bits.removeprefix("bits a character ")) < 2.5
    assert len(poem) == 321 and set(poem) <= set(ALPHABET)


def test_perplexity_is_that_of_onnxruntime() -> None:
    reference, _ = check_score("poet", MODEL)
    assert reference < 5.2


def test_powers_and_logarithms_of_the_firmware_are_exact_enough() -> None:
    e = np.arange(0, 20 << 20, 99_991)
    power = np.array([power_of_half(int(x)) for x in e])
    assert np.abs(power - 2**24 * 2.0 ** (-e / 2**20)).max() <= 2**24 * 7e-5
    assert power_of_half(0) == 1 << 24 and power_of_half(24 << 20) == 1 and power_of_half(0xFFFFFFFF) == 0
    for x in np.unique(np.geomspace(1 << 24, 62 << 24, 500).astype(int)):
        assert abs(log2_of(int(x)) / 4096 - math.log2(x / 2**24)) < 3 / 4096


def test_surprise_is_the_cross_entropy() -> None:
    lsb = octaves_q20(example_package("poet", MODEL))
    logits = np.random.default_rng(0).integers(-9000, 9000, (200, 62))
    real = logits * lsb / 2**20
    wanted = np.log2(np.exp2(real).sum(1)) - real[:, 7]
    got = np.array([surprise(y, 7, lsb) for y in logits]) / 4096
    assert np.abs(got - wanted).max() < 0.002


def test_main_is_clean_c(tmp_path: Path) -> None:
    check_warnings("poet", MODEL, tmp_path)


def test_folder() -> None:
    check_folder("poet")
