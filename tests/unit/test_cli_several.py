"""rnnc compile with several networks, and what is wrong with such a command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from rnnc.cli import app
from tests.support.small import FEATURES, small


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """lift.onnx and door.onnx, with data of their own."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("lift", "door")):
        (tmp_path / f"{name}.onnx").write_bytes(small(last=name == "door"))
        np.save(
            tmp_path / f"{name}.npy", np.random.default_rng(seed).standard_normal((120, FEATURES)).astype(np.float32)
        )
    return tmp_path


def _run(*words: str) -> Any:
    return CliRunner().invoke(app, ["compile", *words])


def test_each_has_its_own_data_and_all_are_in_one_report(here: Path) -> None:
    data = ("--calib", "lift:lift.npy", "--calib", "door:door.npy")
    answer = _run("lift.onnx", "door.onnx", *data, "--precision", "door:a8", "-o", "house", "--json")
    assert answer.exit_code == 0, answer.stderr
    report = json.loads(answer.stdout)
    assert report == json.loads((here / "house/report.json").read_text())
    assert [(n["name"], n["precision"]) for n in report["networks"]] == [("lift", "a16"), ("door", "a8")]
    assert report["shared"]["flash_weights"] == sum(n["cost"]["flash_weights"] for n in report["networks"])
    assert "lift, door, which share house.c" in answer.stderr
    assert "--calib lift.npy" in (here / "house/lift.h").read_text().split("*/")[1]
    assert "--calib door.npy --precision a8" in (here / "house/door.h").read_text().split("*/")[1]


def test_without_a_folder_they_go_to_networks(here: Path) -> None:
    answer = _run("lift.onnx", "door.onnx", "--no-verify")
    assert answer.exit_code == 0, answer.stderr
    assert (here / "networks/networks.c").is_file() and "GESTURE" not in answer.stdout
    assert "networks/lift.h " in answer.stdout and "networks/door.html " in answer.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("lift.onnx", "lift.onnx"), "two networks are called 'lift'"),
        (("lift.onnx", "door.onnx", "--name", "x"), "--name is for one network"),
        (("lift.onnx", "--link", "y=x"), "two networks are linked by --link OUT=IN"),
        (("lift.onnx", "door.onnx", "lift.onnx", "--link", "y=x"), "two networks are linked by --link OUT=IN"),
        (("lift.onnx", "door.npy"), "door.npy is no network"),
        (("lift.onnx", "door.onnx", "--input-range", "z=-1:1"), "no network has an input 'z'"),
        (("lift.onnx", "door.onnx", "--package-version", "1.x"), "--package-version 1.x: expected three numbers"),
    ],
)
def test_what_makes_no_sense_is_told(here: Path, words: tuple[str, ...], said: str) -> None:
    answer = _run(*words, "--no-verify")
    assert answer.exit_code == 2 and said in " ".join(answer.stderr.split())
    assert not list(here.glob("*/"))
