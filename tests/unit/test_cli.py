"""The command line: words, exit codes, one JSON object on stdout, and nothing half-written."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from rnnc import __version__ as version
from rnnc.cli import app, main, shared
from rnnc.cli.shared import INTERNAL_ERROR
from tests.support.small import recording, small


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What is on stdout, which must be one JSON object."""
        content = json.loads(self.out)
        assert isinstance(content, dict)
        return content


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model and data, which is the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fan.onnx").write_bytes(small())
    np.savez(tmp_path / "calib.npz", x=recording(120), subject=np.zeros(1))
    np.savez(tmp_path / "test.npz", x=recording(60, seed=1), lengths=np.array([40, 20]))
    return tmp_path


def rnnc(*arguments: str, stdin: str = "") -> Answer:
    result = CliRunner().invoke(app, list(arguments), input=stdin)
    return Answer(result.exit_code, result.stdout, result.stderr)


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


# ------------------------------------------------------------------- help


def test_help_names_every_command_and_exit_code() -> None:
    answer = rnnc("--help")
    assert answer.code == 0
    for word in ("compile", "inspect", "simulate", "verify", "demo", "doctor", "Exit codes", "70"):
        assert word in answer.out


def test_no_command_shows_help() -> None:
    assert "Usage" in rnnc().out


def test_version() -> None:
    assert rnnc("--version").out.startswith("rnnc ")


@pytest.mark.parametrize("command", ["compile", "inspect", "simulate", "verify"])
def test_every_model_command_has_every_model_option(command: str) -> None:
    text = rnnc(command, "--help").out
    for option in (
        *("--calib", "--precision", "--target", "--search", "--window", "--bind", "--state", "--time-axis"),
        *("--output", "--input-range", "--input-format", "--input-affine", "--json"),
    ):
        assert option in text


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nsys.argv = ['rnnc', 'compile', '--help']\nfrom rnnc.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'numpy', 'onnx', 'onnxruntime', 'onnxslim', 'jinja2'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


# ------------------------------------------------------------------- compile


def test_compile_writes_a_proven_package_to_a_folder_of_its_name(here: Path) -> None:
    before = files(here)
    answer = rnnc("compile", "fan.onnx", "--calib", "calib.npz")
    assert answer.code == 0, answer.err
    assert "the C equals the oracle bit for bit" in answer.out and max(map(len, answer.out.splitlines())) <= 80
    assert {n for n in files(here) - before if "/rnnc/" not in n} == {
        f"fan/{n}"
        for n in (
            *("fan.h", "fan.c", "fan_state.c", "fan_float.h", "fan_selftest.c", "fan_serial.c"),
            *("report.json", "report.html"),
        )
    }
    assert "ignored: subject" in answer.err and "wrote fan/" in answer.err


def test_compile_without_data_warns_and_says_what_to_do(here: Path) -> None:
    answer = rnnc("compile", "fan.onnx", "-o", "out", "--name", "lift", "--no-verify")
    assert answer.code == 0, answer.err
    assert "warning: no calibration data" in answer.err and "--calib DATA" in answer.err
    assert (here / "out" / "lift.h").is_file() and json.loads((here / "out" / "report.json").read_text())[
        "verify"
    ] is None


def test_data_are_given_again_and_again(here: Path) -> None:
    """The banner repeats the command; simulate answers each recording from the start."""
    np.save(here / "more.npy", recording(30, seed=2))
    assert rnnc("compile", "fan.onnx", "--calib", "calib.npz", "--calib", "more.npy", "--no-verify").code == 0
    assert "rnnc compile fan.onnx --calib calib.npz --calib more.npy" in (here / "fan/fan.c").read_text()
    command = ["simulate", "fan.onnx", "--calib", "calib.npz", "--engine", "oracle", "-o", "y.npz"]
    assert rnnc(*command, "--input", "test.npz", "--input", "m*.npy").code == 0
    both = np.load(here / "y.npz")
    assert both["lengths"].tolist() == [40, 20, 30]
    assert rnnc(*command, "--input", "more.npy").code == 0
    assert np.array_equal(np.load(here / "y.npz")["y"], both["y"][60:])


def test_compile_json_is_the_report(here: Path) -> None:
    answer = rnnc("compile", "fan.onnx", "--calib", "calib.npz", "--json")
    assert answer.code == 0 and answer.json == json.loads((here / "fan" / "report.json").read_text())


def test_a8_says_what_it_is_not_for(here: Path) -> None:
    assert "not for forecasting" in rnnc("compile", "fan.onnx", "--precision", "a8", "--no-verify").err


def test_the_banner_has_no_path(here: Path) -> None:
    assert rnnc("compile", str(here / "fan.onnx"), "--calib", str(here / "calib.npz"), "-o", "out").code == 0
    for name in files(here / "out"):
        assert str(here) not in (here / "out" / name).read_text()


@pytest.mark.parametrize(
    "options",
    [
        ("--search", "2"),
        ("--target", "portable"),
        ("--time-axis", "x=0"),
        ("--output", "Y"),
        ("--input-range", "x=-3:3"),
        ("--input-format", "x=q3.12"),
        ("--input-affine", "x=0.001,0.5"),
        ("--bind", "time=30"),
    ],
)
def test_model_options_are_taken_and_told(options: tuple[str, str], here: Path) -> None:
    answer = rnnc("compile", "fan.onnx", *options, "--json")
    assert answer.code == 0, answer.err
    banner = (here / "fan" / "fan.h").read_text()[:400]
    assert options == ("--target", "portable") or " ".join(options) in banner


def test_states_can_be_named(here: Path) -> None:
    (here / "fan.onnx").write_bytes(small(explicit=True))
    assert rnnc("compile", "fan.onnx", "--state", "h=hn", "--state", "c=cn", "--no-verify").code == 0


# ------------------------------------------------------------------- exit codes


@pytest.mark.parametrize(
    ("code", "arguments", "message"),
    [
        (1, ["compile", "fan.onnx", "--no-verify", "--max-flash", "10"], "above --max-flash 10"),
        (1, ["compile", "fan.onnx", "--no-verify", "--max-ram", "10"], "above --max-ram 10"),
        (1, ["compile", "fan.onnx", "--no-verify", "--max-stack", "1"], "above --max-stack 1"),
        (1, ["verify", "fan.onnx", "--min-sqnr", "150"], "below 150 dB"),
        (2, ["compile", "fan.onnx", "--target", "z80"], "unknown target 'z80'"),
        (2, ["compile", "fan.onnx", "--search", "-1"], "--search -1: must not be negative"),
        (2, ["compile", "fan.onnx", "--input-range", "x"], "--input-range x: expected NAME=VALUE"),
        (2, ["compile", "fan.onnx", "--input-range", "x=3"], "--input-range x=3: expected LO:HI"),
        (2, ["compile", "fan.onnx", "--input-range", "x=3:3"], "LO must be below HI"),
        (2, ["compile", "fan.onnx", "--input-range", "z=0:1"], "no input 'z'"),
        (2, ["compile", "fan.onnx", "--input-format", "x=q4.10"], "M + N = 15"),
        (2, ["compile", "fan.onnx", "--input-format", "x=float"], "expected qM.N"),
        (2, ["compile", "fan.onnx", "--input-affine", "x=1"], "expected SCALE,OFFSET"),
        (2, ["compile", "fan.onnx", "--input-affine", "x=0,1"], "SCALE must be above 0"),
        (2, ["compile", "fan.onnx", "--bind", "time=soon"], "'soon' is not a number"),
        (2, ["compile", "fan.onnx", "--input-affine", "x=1,2,3"], "by channel S0/S1/..,O0/O1/.."),
        (2, ["compile", "fan.onnx", "--time-axis", "x=first"], "--time-axis x=first"),
        (2, ["compile", "fan.onnx", "--output", "nothing"], "--output nothing"),
        (2, ["compile", "fan.onnx", "--no-verify", "-o", "fan.onnx"], "cannot write to fan.onnx"),
        (2, ["inspect", "fan.onnx", "--after", "dinner"], "--after dinner: no such stage"),
        (2, ["simulate", "fan.onnx", "--input", "test.npz", "--engine", "gpu"], "unknown engine 'gpu'"),
        (3, ["compile", "nothing.onnx"], "nothing.onnx: no such file"),
        (3, ["compile", "calib.npz"], "calib.npz"),
        (3, ["inspect", "."], "not a file"),
        (4, ["compile", "fan.onnx", "--calib", "nothing.npz"], "nothing.npz: no such file"),
        (4, ["compile", "fan.onnx", "--calib", "fan.onnx"], "cannot read .onnx"),
        (4, ["verify", "fan.onnx", "--input", "wide.npy"], "a step has shape [3]"),
        (4, ["simulate", "fan.onnx", "--input", "-"], "standard input: holds no numbers"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_errors_have_their_exit_code_and_write_nothing(
    code: int, arguments: Sequence[str], message: str, as_json: bool, here: Path
) -> None:
    np.save(here / "wide.npy", np.zeros((5, 4)))
    before = files(here)
    answer = rnnc(*arguments, *(["--json"] if as_json else []))
    assert answer.code == code, answer.err
    assert message in answer.err and "rnnc: error: " in answer.err and "Traceback" not in answer.err
    assert files(here) == before and {p.name for p in here.iterdir()} == before
    if as_json:
        content = answer.json
        assert "verify" in content or (content["error"]["exit_code"] == code and message in content["error"]["message"])


def test_a_missing_compiler_is_exit_5_and_no_verify_needs_none(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    before = files(here)
    answer = rnnc("compile", "fan.onnx")
    assert answer.code == 5 and "no C compiler is installed" in answer.err and files(here) == before
    assert rnnc("compile", "fan.onnx", "--no-verify").code == 0


def test_a_fault_of_rnnc_is_one_line_and_exit_70(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("h0")

    monkeypatch.setattr("rnnc.compiler.build", broken)
    answer = rnnc("compile", "fan.onnx", "--json")
    assert answer.code == INTERNAL_ERROR and "internal error, a fault of rnnc: KeyError: 'h0'" in answer.err
    assert "Traceback" not in answer.err and answer.json["error"]["exit_code"] == INTERNAL_ERROR
    assert version in answer.json["error"]["hint"]


def test_too_little_memory_is_no_fault_of_rnnc(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 32. GiB")

    monkeypatch.setattr("rnnc.compiler.build", broken)
    answer = rnnc("compile", "fan.onnx")
    assert answer.code == 3 and "memory does not suffice" in answer.err


@pytest.mark.parametrize("arguments", [["compile"], ["compile", "--nonsense", "x.onnx"], ["explode"]])
def test_bad_usage_is_exit_2_and_one_message(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["rnnc", *arguments, "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    assert ended.value.code == 2 and captured.err.startswith("rnnc: error: ")
    assert json.loads(captured.out)["error"]["exit_code"] == 2


def test_python_m_rnnc(here: Path) -> None:
    root = {"PYTHONPATH": str(Path(shared.__file__).parents[2])}
    command = [sys.executable, "-m", "rnnc", "compile", "nothing.onnx"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **root})
    assert done.returncode == 3 and not done.stdout
    assert done.stderr.startswith("rnnc: error: nothing.onnx: no such file")


# ------------------------------------------------------------------- the other commands


def test_verify_uses_the_data_given(here: Path) -> None:
    answer = rnnc("verify", "fan.onnx", "--calib", "calib.npz", "--input", "test.npz", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["verify"]["steps"] == 60 and answer.json["verify"]["c_equals_oracle"] is True
    assert not (here / "fan").exists()


def test_a_failed_verify_still_prints_its_figures(here: Path) -> None:
    answer = rnnc("verify", "fan.onnx", "--min-sqnr", "150", "--json")
    assert answer.code == 1 and answer.json["verify"]["outputs"][0]["sqnr_db"] < 150


def test_inspect_describes_the_network(here: Path) -> None:
    answer = rnnc("inspect", "fan.onnx")
    assert answer.code == 0 and "LSTM 3 -> 4" in answer.out and "Dense 4 -> 2" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 80 and files(here) == {"fan.onnx", "calib.npz", "test.npz"}
    assert rnnc("inspect", "fan.onnx", "--json").json["verify"] is None


@pytest.mark.parametrize("stage", ["load", "stream", "calibrate", "quantize", "certify", "lower", "emit"])
def test_inspect_prints_any_stage(stage: str, here: Path) -> None:
    answer = rnnc("inspect", "fan.onnx", "--after", stage)
    assert answer.code == 0 and answer.out.strip() and " object at 0x" not in answer.out
    assert rnnc("inspect", "fan.onnx", "--after", stage, "--json").json["stage"] == stage


def test_inspect_tells_which_rule_rewrote_which_node(here: Path) -> None:
    answer = rnnc("inspect", "fan.onnx", "--rules", "--json")
    fired = {(r["rule"], r["op_type"]) for r in answer.json["rules"]}
    assert answer.code == 0 and fired & {("Gemm = Dense", "Gemm"), ("MatMul by a constant = Dense", "MatMul")}
    shown = rnnc("inspect", "fan.onnx", "--rules").out
    assert all(r["rule"] in shown and r["node"] in shown for r in answer.json["rules"])


def test_inspect_says_what_cannot_be_compiled_and_why(here: Path) -> None:
    from onnx import helper

    from tests.support.models import model

    nodes = [helper.make_node("NonZero", ["x"], ["n"], name="odd one"), helper.make_node("Cast", ["n"], ["y"], to=1)]
    (here / "fan.onnx").write_bytes(model(nodes, {"x": ["time", 1, 3]}, {"y": [3, "count"]}, {}))
    answer = rnnc("inspect", "fan.onnx")
    assert answer.code == 3 and "odd one" in answer.err and "NonZero" in answer.err


@pytest.mark.parametrize("engine", ["c", "oracle", "float", "onnxruntime"])
def test_simulate_writes_arrays_by_output_name(engine: str, here: Path) -> None:
    answer = rnnc("simulate", "fan.onnx", "--input", "test.npz", "-o", "out.npz", "--engine", engine)
    assert answer.code == 0, answer.err
    with np.load(here / "out.npz") as out:
        assert out["y"].shape == (60, 2) and out["lengths"].tolist() == [40, 20]
    assert not answer.out and files(here) == {"fan.onnx", "calib.npz", "test.npz", "out.npz"}


def test_simulate_pipes_csv_to_csv(here: Path) -> None:
    text = io.StringIO()
    np.savetxt(text, recording(5), delimiter=",", fmt="%.6f")
    answer = rnnc("simulate", "fan.onnx", "--input", "-", stdin=text.getvalue())
    assert answer.code == 0, answer.err
    rows = [line.split(",") for line in answer.out.splitlines()]
    assert rows[0] == ["y[0]", "y[1]"] and np.array(rows[1:], float).shape == (5, 2)


def test_simulate_json_holds_the_values(here: Path) -> None:
    content = rnnc("simulate", "fan.onnx", "--input", "test.npz", "--engine", "oracle", "--json").json
    assert content["outputs"][0]["name"] == "y" and np.shape(content["outputs"][0]["values"]) == (60, 2)


def test_simulate_plots(here: Path) -> None:
    pytest.importorskip("matplotlib")
    answer = rnnc("simulate", "fan.onnx", "--input", "test.npz", "-o", "out.npz", "--plot", "out.png")
    assert answer.code == 0, answer.err
    assert (here / "out.png").read_bytes()[:4] == b"\x89PNG"


def test_doctor_lists_tools() -> None:
    content = rnnc("doctor", "--json").json
    assert {"gcc", "clang", "qemu-system-arm", "avr-gcc"} <= {t["name"] for t in content["tools"]}
    assert " install " in rnnc("doctor").out or all(t["found"] for t in content["tools"])


def test_demo_shows_accuracy_and_where_the_files_are(here: Path) -> None:
    answer = rnnc("demo", "-o", "shown", "--json")
    assert answer.code == 0, answer.err
    accuracy = answer.json["accuracy"]
    assert abs(accuracy["c"]["steps"] - accuracy["onnxruntime"]["steps"]) < 0.005
    assert (here / "shown" / "gesture.h").is_file()
    text = rnnc("demo", "-o", "shown")
    for word in ("right", "SQNR", "flash", "RAM", "multiply-accumulates", "shown/"):
        assert word in text.out
