"""examples/heartbeat: an LSTM that sounds an alarm at extra beats."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from examples.heartbeat.task import FRAME_MILLISECONDS, Verdicts, judged
from tests.support.examples import check_firmware, check_folder, check_score, check_warnings, example_package

MODEL = "heartbeat.onnx"


@pytest.mark.target
def test_firmware_sounds_the_alarms_of_the_oracle(tmp_path: Path) -> None:
    assert check_firmware("heartbeat", MODEL, tmp_path).startswith("beats 262\n")


def test_beats_are_judged_as_by_onnxruntime() -> None:
    reference, _ = check_score("heartbeat", MODEL)
    assert reference > 0.98


def test_alarms_are_quick() -> None:
    latency = judged(partial(example_package("heartbeat", MODEL).simulate, engine="oracle")).latency
    assert np.mean(latency) * FRAME_MILLISECONDS < 200


def test_verdicts() -> None:
    verdicts, above = Verdicts(beats=10), np.zeros(100, bool)
    above[[12, 13, 14, 40, 41, 60, 90, 91]] = True
    verdicts.judge(above, np.array([10, 70]))
    assert (verdicts.extra, verdicts.latency, verdicts.false) == (2, [3], 2)
    assert verdicts.share == 1 - 3 / 10


def test_main_is_clean_c(tmp_path: Path) -> None:
    check_warnings("heartbeat", MODEL, tmp_path)


def test_folder() -> None:
    check_folder("heartbeat")
