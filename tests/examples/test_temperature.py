"""examples/temperature: an LSTM and a plain RNN that forecast twelve hours from twenty-four."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from examples.common import load_test_data
from tests.support.examples import check_firmware, check_folder, check_score, check_warnings

MODELS = ("temperature_lstm.onnx", "temperature_rnn.onnx")


@pytest.mark.target
@pytest.mark.parametrize("model", MODELS)
def test_firmware_prints_the_error_of_the_oracle(model: str, tmp_path: Path) -> None:
    assert check_firmware("temperature", model, tmp_path).startswith("forecasts 205\n")


@pytest.mark.parametrize("model", MODELS)
def test_error_is_that_of_onnxruntime_and_far_below_no_change(model: str) -> None:
    reference, _ = check_score("temperature", model)
    assert reference < 0.4 * np.abs(load_test_data("temperature")["target"]).mean()


def test_main_is_clean_c(tmp_path: Path) -> None:
    check_warnings("temperature", MODELS[0], tmp_path)


def test_folder() -> None:
    check_folder("temperature")
