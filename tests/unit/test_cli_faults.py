"""What the machine lacks, and what the user says that does not suit the data."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from rnnc.__main__ import main
from rnnc.cli import app
from rnnc.cli.shared import NOBODY_READS
from tests.support.small import FEATURES, small

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.onnx").write_bytes(small())
    np.save(tmp_path / "calib.npy", np.random.default_rng(0).standard_normal((300, FEATURES)).astype(np.float32))
    return tmp_path


def _run(*words: str) -> Any:
    return CliRunner().invoke(app, [*words])


def _process(folder: Path, *words: str, **streams: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rnnc", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=environment, check=False, stderr=subprocess.PIPE, text=True, timeout=120, **streams
    )


@pytest.mark.parametrize("words", [("inspect", "net.onnx"), ("inspect", "net.onnx", "--json")])
def test_a_full_disk_under_stdout_is_one_message(words: tuple[str, ...], here: Path) -> None:
    with open("/dev/full", "w") as full:
        done = _process(here, *words, "--calib", "calib.npy", stdout=full)
    assert done.returncode == 2
    assert done.stderr == "rnnc: error: cannot write the result: No space left on device\n"


def test_a_full_disk_for_temporary_files_is_no_fault_of_rnnc(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "scratch/net.c")

    monkeypatch.setattr("rnnc.verification.host.write_files", full)
    answer = _run("compile", "net.onnx", "--calib", "calib.npy", "--json")
    assert answer.exit_code == 2 and "cannot write scratch/net.c: No space left on device" in answer.stderr
    assert '"exit_code": 2' in answer.stdout and not (here / "net").exists()


def test_a_reader_that_leaves_ends_it_in_silence(here: Path) -> None:
    np.save(here / "long.npy", np.zeros((8_000, FEATURES), np.float32))  # more than a pipe holds
    command = f"{sys.executable} -m rnnc simulate net.onnx --calib calib.npy --input long.npy --engine oracle"
    shell = f"({command}; echo $? >&2) | head -n 1"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", shell], cwd=here, env=environment, check=True, capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "y[0],y[1]\n" and done.stderr == f"{NOBODY_READS}\n"


@pytest.mark.usefixtures("here")
def test_bench_without_any_emulator_is_exit_5(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    answer = _run("bench", "net.onnx", "--calib", "calib.npy")
    assert answer.exit_code == 5 and "rnnc doctor" in answer.stderr


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--input-format", "x=q0.15"), "Input x was clipped"),
        (("--input-range", "x=-0.5:0.5"), "Input x was clipped"),
        (("--input-affine", "x=0.00001,0"), "Input x was clipped"),
        (("--input-format", "x=q15.0"), "12 of 16 bits lie idle"),
        (("--input-range", "x=-900:900"), "7 of 16 bits lie idle"),
    ],
)
def test_an_input_range_that_does_not_suit_the_data_is_told(option: tuple[str, str], said: str) -> None:
    answer = _run("inspect", "net.onnx", "--calib", "calib.npy", *option)
    assert answer.exit_code == 0 and f"{option[0]} x=... sets it" in answer.stderr and said in answer.stderr


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("option", [(), ("--input-format", "x=q3.12"), ("--input-affine", "x=0.01,0")])
def test_an_input_range_that_suits_is_not_remarked(option: tuple[str, ...]) -> None:
    assert not _run("inspect", "net.onnx", "--calib", "calib.npy", *option).stderr


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("row", "said"),
    [("1,nan,2", "line 2: 'nan' is not finite"), ("1,2", "has 2 columns"), ("1,x,2", "line 2: 'x' is not a number")],
)
def test_a_row_of_a_pipe_that_does_not_fit_is_told_after_those_before(row: str, said: str) -> None:
    command = ["simulate", "net.onnx", "--calib", "calib.npy", "--input", "-", "--engine", "oracle"]
    answer = CliRunner().invoke(app, command, input=f"1,2,3\n{row}\n1,2,3\n")
    assert answer.exit_code == 4 and "standard input" in answer.stderr and said in answer.stderr
    assert len(answer.stdout.splitlines()) == 2, "the heading and the first row's answer"


@pytest.mark.usefixtures("here")
def test_an_interruption_is_a_word_and_exit_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rnnc.verification.host.write_files", interrupted)
    answer = _run("compile", "net.onnx", "--calib", "calib.npy")
    assert answer.exit_code == 130 and answer.stderr == "rnnc: interrupted\n" and not Path("net").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["compile"], "Try: rnnc compile --help"),
        (["net.onnx"], "Try: rnnc compile net.onnx"),
        (["--calb", "a.npz"], "Try: rnnc --help"),
        (["compile", "net.onnx", "--package", "ardiuno"], "'ardiuno' is not one of"),
    ],
)
def test_bad_usage_names_what_to_try(
    words: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["rnnc", *words])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr().err
    assert end.value.code == 2 and told in said and "Value error" not in said
