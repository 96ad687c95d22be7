"""rnnc verify --port and rnnc bench --port: what is shown, and how a command ends."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
from typer.testing import CliRunner

import rnnc
from rnnc.cli import app
from tests.conftest import require
from tests.support.board import PseudoBoard, host_main
from tests.support.packages import run
from tests.support.small import recording, small


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A board that serves fan.onnx of the folder beside it."""
    require("gcc")
    folder = tmp_path_factory.mktemp("board")
    (folder / "fan.onnx").write_bytes(small())
    np.save(folder / "data.npy", recording(30))
    package = rnnc.compile_model(folder / "fan.onnx", verify=False)
    package.write(folder)
    (folder / "main.c").write_text(host_main(["fan"], "DWT"))
    run(["gcc", "-O1", "-I.", "fan.c", "fan_serial.c", "main.c", "-o", "board"], folder)
    with PseudoBoard([folder / "board"], folder) as name, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield name


def command(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(words))
    return result.exit_code, result.stdout, result.stderr


def test_verify_says_what_the_board_answered(device: str) -> None:
    code, out, _ = command("verify", "fan.onnx", "--input", "data.npy", "--port", device)
    assert code == 0
    assert f"30 steps on {device}, bits equal; cycles of a step by DWT: 1000, at most 1000, 1 ms" in out


def test_bench_has_the_board_s_cycles_in_json(device: str) -> None:
    code, out, _ = command("bench", "fan.onnx", "--port", device, "--json")
    found = json.loads(out)
    assert code == 0 and found["board"]["c_equals_oracle"] and found["board"]["steps"] == 32
    assert found["cost"]["cycles"] == [{"core": "board", "min": 1000, "median": 1000, "max": 1000, "estimate": False}]
    assert found["cost"]["milliseconds"] == 1.0


def test_other_options_are_another_network(device: str) -> None:
    code, _, err = command("bench", "fan.onnx", "--precision", "a8", "--port", device)
    assert (
        code == 1 and "runs another network: fan 0.1.0" in err and "options that the board's was compiled with" in err
    )


def test_the_options_of_the_firmware_may_name_its_target(device: str) -> None:
    code, out, err = command("bench", "fan.onnx", "--port", device, "--target", "cortex-m4")
    assert code == 0 and "32 steps" in out and "are of emulated parts" in err
