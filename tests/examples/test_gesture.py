"""examples/gesture: which exercise is the wearer doing?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from examples.gesture.task import shown
from tests.support.examples import check_firmware, check_folder, check_score, check_warnings

MODEL = "gesture.onnx"


@pytest.mark.target
def test_firmware_shows_what_the_oracle_does(tmp_path: Path) -> None:
    assert check_firmware("gesture", MODEL, tmp_path).startswith("recordings 42\n")


def test_verdicts_are_those_of_onnxruntime() -> None:
    reference, _ = check_score("gesture", MODEL)
    assert reference > 0.8


def test_display_changes_after_twelve_frames() -> None:
    verdicts = np.repeat([2, 5, 2, 3], [12, 11, 1, 12])
    assert shown(verdicts).tolist() == [-1] * 11 + [2] * 24 + [3]


def test_main_is_clean_c(tmp_path: Path) -> None:
    check_warnings("gesture", MODEL, tmp_path)


def test_folder() -> None:
    check_folder("gesture")
