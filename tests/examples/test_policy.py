"""examples/policy: an LSTM with explicit state that walks mazes from memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from examples.policy.maze import FORWARD, MOST_STEPS, Mazes, seeds
from tests.support.examples import check_firmware, check_folder, check_score, check_warnings, example_package

MODEL = "policy.onnx"


@pytest.mark.target
def test_firmware_walks_the_mazes_of_the_oracle(tmp_path: Path) -> None:
    assert check_firmware("policy", MODEL, tmp_path).startswith("exits found ")


def test_as_many_exits_are_found_as_by_onnxruntime() -> None:
    reference, _ = check_score("policy", MODEL)
    assert reference > 0.88


def test_the_state_is_no_argument_of_the_step() -> None:
    header = example_package("policy", MODEL).files["policy.h"]
    assert "void policy_step(policy_t *s, const int16_t x[POLICY_X_LEN], int16_t logits[POLICY_LOGITS_LEN]);" in header


def test_memory_is_needed() -> None:
    """Who forgets the flashes finds half of the exits; the teacher, who need not remember, all."""
    found = {}
    for name in ("teacher", "forgetful"):
        mazes = Mazes(seeds(2000, 50_000))
        for _ in range(MOST_STEPS):
            mazes.observe()
            mazes.act(mazes.teacher() if name == "teacher" else np.where(mazes.at_junction, 1, FORWARD))
        found[name] = np.mean(mazes.turned == mazes.side)
    assert found["teacher"] == 1.0
    assert 0.46 < found["forgetful"] < 0.54


def test_main_is_clean_c(tmp_path: Path) -> None:
    check_warnings("policy", MODEL, tmp_path)


def test_folder() -> None:
    check_folder("policy")
