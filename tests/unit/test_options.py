"""Options are checked once, when they are made: the library refuses what the command line refuses, in its own spelling."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import rnnc
from rnnc.backend.targets import BOARDS, find_target
from rnnc.cli import app
from rnnc.errors import BudgetError, Refused, UsageError
from rnnc.flags import KEYWORDS, in_python, words
from rnnc.options import RULES, Options, check_limits
from tests.support.faults import FAULTS
from tests.support.small import small

REFUSED = [
    ({"precision": "b16"}, ("--precision", "b16"), "expected a16 or a8"),
    ({"layer_precision": {"lstm0": "a4"}}, ("--layer-precision", "lstm0=a4"), "expected a16 or a8"),
    ({"weights": "12"}, ("--weights", "12"), "expected auto, 8 or 16"),
    (
        {"wide": ("lstm0.c.y",)},
        ("--wide", "lstm0.c.y"),
        "expected LAYER, LAYER.GATE, or LAYER.GATE.x and LAYER.GATE.h",
    ),
    ({"search": -1}, ("--search", "-1"), "must not be negative"),
    ({"window": -8}, ("--window", "-8"), "must not be negative"),
    ({"wav_hop": -2}, ("--wav-hop", "-2"), "must not be negative"),
    ({"bind": {"sr": float("nan")}}, ("--bind", "sr=nan"), "must be finite"),
    ({"input_range": {"x": (3, 3)}}, ("--input-range", "x=3:3"), "LO must be below HI"),
    ({"input_range": {"x": (0, float("inf"))}}, ("--input-range", "x=0:inf"), "LO and HI must be finite"),
    ({"input_affine": {"x": (0, 1)}}, ("--input-affine", "x=0,1"), "SCALE must be above 0"),
    ({"input_affine": {"x": (1, float("nan"))}}, ("--input-affine", "x=1,nan"), "SCALE and OFFSET must be finite"),
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.onnx").write_bytes(small())
    return tmp_path


def run(*words: str) -> tuple[int, str]:
    answer = CliRunner().invoke(app, [*words])
    return answer.exit_code, answer.stderr


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("changes", "typed", "problem"), REFUSED)
def test_the_library_and_the_command_line_refuse_the_same_in_the_same_words(
    changes: dict[str, Any], typed: tuple[str, str], problem: str
) -> None:
    with pytest.raises(UsageError) as error:
        rnnc.compile_model("net.onnx", verify=False, **changes)
    assert error.value.what == f"{' '.join(typed)}: {problem}"
    assert run("compile", "net.onnx", *typed) == (2, f"rnnc: error: {' '.join(typed)}: {problem}\n")
    keyword = next(iter(changes))
    assert str(error.value).startswith(f"{keyword}=") and str(error.value).endswith(f": {problem}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"search": "8"}, "search: expected a whole number, not '8'"),
        ({"window": 2.5}, "window: expected a whole number, not 2.5"),
        ({"window": True}, "window: expected a whole number, not True"),
        ({"bind": {"sr": "8k"}}, "bind sr: expected a number, not '8k'"),
        ({"bind": [("sr", 8000)]}, "bind: expected a mapping of names, not [('sr', 8000)]"),
        ({"states": {"h": None}}, "states h: expected a text, not None"),
        ({"outputs": "y"}, "outputs: expected a tuple of names, not 'y'"),
        ({"time_axis": {"x": "first"}}, "time_axis x: expected a whole number, not 'first'"),
        ({"input_range": {"x": 3}}, "input_range x: expected two numbers, LO and HI, not 3"),
        ({"input_format": {"x": 1.5}}, "input_format x: expected a whole number, or a text like q3.4, not 1.5"),
        ({"input_format": {"x": "q3.5"}}, "input_format={'x': 'q3.5'}: expected qM.N with M + N = 15, or 7 for int8"),
        ({"input_format": {"x": 16}}, "input_format={'x': 16}: N must be 0 to 15"),
        ({"external_data": "yes"}, "external_data: expected True or False, not 'yes'"),
        ({"step_many": 1}, "step_many: expected True or False, not 1"),
        ({"step_many": True, "hop": 2}, "step_many: no streams with window or hop\n  Step each window by itself."),
        (
            {"step_many": True, "target": "all"},
            "step_many: not in a package for all cores\n  Name one target: host, for a server.",
        ),
        ({"name": None}, "name: expected a text, not None"),
        ({"target": 4}, "target: expected a text, not 4"),
    ],
)
def test_values_of_another_kind_are_refused_in_the_words_of_python(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        Options(**changes)
    assert str(error.value) == message


def test_numbers_of_numpy_are_numbers() -> None:
    low, high = np.array([-1, 1], np.float32)
    Options(search=np.int64(3), bind={"sr": np.float32(2)}, input_range={"x": (low, high)})  # type: ignore[arg-type, dict-item]


@pytest.mark.usefixtures("here")
def test_one_input_has_one_meaning() -> None:
    with pytest.raises(UsageError, match="input_range and input_format are both given for 'x'"):
        Options(input_range={"x": (-1, 1)}, input_format={"x": 12})
    code, said = run("inspect", "net.onnx", "--input-range", "x=-1:1", "--input-affine", "x=1,0")
    assert code == 2 and "--input-range and --input-affine are both given for 'x'" in said
    code, said = run("inspect", "net.onnx", "--input-range", "x=-1:1", "--input-range", "x=-2:2")
    assert code == 2 and "--input-range x=-2:2: 'x' is given twice" in said


def test_every_option_has_a_rule_and_a_flag() -> None:
    names = {f.name for f in fields(Options)}
    assert names == set(RULES) and names <= set(KEYWORDS)


def test_a_target_is_checked_before_anything_is_read() -> None:
    with pytest.raises(UsageError, match="unknown target 'z80'"):
        rnnc.build(small(), "there is no such file.npz", Options(target="z80"), verify=False)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("limit", ["--max-flash", "--max-ram", "--max-stack"])
def test_a_negative_budget_is_refused_before_anything_is_compiled(limit: str) -> None:
    assert run("compile", "nothing.onnx", limit, "-5") == (2, f"rnnc: error: {limit} -5: must not be negative\n")
    package = rnnc.build(small(), None, Options(), verify=False)
    keyword = limit[2:].replace("-", "_")
    with pytest.raises(UsageError, match=f"{keyword}=-5: must not be negative"):
        package.check_budget(**{keyword: -5})


@pytest.mark.usefixtures("here")
def test_other_limits_that_make_no_sense_are_refused() -> None:
    assert run("verify", "nothing.onnx", "--min-sqnr", "nan")[0] == 2
    assert run("tune", "net.onnx", "--calib", "nothing.npz", "--budget-flash", "-1")[0] == 2
    check_limits(min_sqnr=-3.0, max_flash=0, max_ram=None)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("name", "prefix"), [("my net", "my_net"), ("while", "while_net"), ("Fan", "fan"), ("7", "n7")]
)
def test_a_name_that_is_changed_is_told(name: str, prefix: str) -> None:
    code, said = run("compile", "net.onnx", "--no-verify", "--name", name, "-o", "out")
    assert code == 0 and f"the prefix in the C is {prefix} " in said and (Path("out") / f"{prefix}.h").is_file()


@pytest.mark.usefixtures("here")
def test_a_name_that_is_kept_is_not() -> None:
    assert "prefix" not in run("compile", "net.onnx", "--no-verify", "--name", "my_net")[1]


# ------------------------------------------------------------------- two spellings


@pytest.mark.parametrize(
    ("shell", "python"),
    [
        ("Compile with --window T, or retrain.", "Compile with window=T, or retrain."),
        ("sees 5, and --window says 7", "sees 5, and window says 7"),
        ("Bind it (--bind NAME=VALUE), or", "Bind it (bind={'NAME': VALUE}), or"),
        ("(--bind), or say (--time-axis).", "(bind), or say (time_axis)."),
        ("--time-axis INPUT=AXIS.", "time_axis={'INPUT': AXIS}."),
        ("--time-axis INPUT=none says that", "time_axis={'INPUT': None} says that"),
        ("--state h=hn: no such input", "states={'h': 'hn'}: no such input"),
        ("--state 'my h=hn': no such input", "states={'my h': 'hn'}: no such input"),
        ("Leave it out: --output names those", "Leave it out: outputs names those"),
        ("Choose: --output TENSOR.", "Choose: outputs=(TENSOR,)."),
        ("--calib DATA, --input-range x=LO:HI or", "calibration=DATA, input_range={'x': (LO, HI)} or"),
        ("--input-format x=q4.11: no", "input_format={'x': 11}: no"),
        ("--input-range x=... says so", "input_range={'x': ...} says so"),
        ("--external-data reads it", "external_data=True reads it"),
        ("Give longer ones: --input DATA of rnnc verify.", "Give longer ones: test=DATA of rnnc.build."),
        ("rnnc doctor --json; -Wl,--wrap=f", "rnnc doctor --json; -Wl,--wrap=f"),
    ],
)
def test_messages_speak_of_flags_in_the_shell_and_of_keywords_in_python(shell: str, python: str) -> None:
    assert in_python(shell) == python
    error = Refused("cannot", hint=shell)
    assert error.hint == shell and str(error) == f"cannot\n  {python}"


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("states", {"h": "hn"}),
        ("bind", {"sr": 8000}),
        ("time_axis", {"x": None, "y": 1}),
        ("input_range", {"x": (-2, 2.5)}),
        ("input_format", {"x": 11, "y": "q3.4"}),
        ("input_affine", {"x": (0.5, -1)}),
        ("layer_precision", {"gru0": "a8"}),
        ("outputs", ("logits", "y")),
        ("search", 8),
    ],
)
def test_what_the_shell_says_is_what_python_means(keyword: str, value: Any) -> None:
    """From a value to the words of a command line, and from a message with these words to the value."""
    said = words(keyword, value)
    mentions = [in_python(f"{flag} {word}: no") for flag, word in zip(said[::2], said[1::2], strict=True)]
    values = [eval(text.removeprefix(f"{keyword}=").removesuffix(": no")) for text in mentions]
    if isinstance(value, dict):
        assert {k: v for each in values for k, v in each.items()} == value
    else:
        assert (sum(values, ()) if isinstance(value, tuple) else values[0]) == value


def test_what_a_package_says_speaks_of_keywords_in_python_and_of_flags_in_the_shell(tmp_path: Path) -> None:
    """Notes, cautions, verdict, report.json and the page: of a net that starts anew, an input that is clipped, and noise."""
    (tmp_path / "net.onnx").write_bytes(FAULTS["beyond_calibration"]().model)
    x = FAULTS["beyond_calibration"]().test
    np.save(tmp_path / "x.npy", x)
    made = rnnc.build(tmp_path / "net.onnx", None, Options(input_range={"x": (-0.5, 0.5)}), test=x)
    assert made.verdict is not None
    said = [*made.notes, *made.cautions, made.verdict.text, made.verdict.cure, made.report["verify"]["advice"]]
    page = re.search(r"What to do.*?</ul>", made.files["report.html"], re.DOTALL)
    assert page
    assert not re.search(r"--[a-z]", " ".join(said) + page[0]), said
    assert "input_range={'x': ...}" in " ".join(said) and "calibration=DATA" in page[0]
    answer = CliRunner().invoke(
        app,
        ["compile", str(tmp_path / "net.onnx"), "--input-range", "x=-0.5:0.5", "-o", str(tmp_path / "out"), "--json"],
    )
    assert "--calib DATA" in answer.stderr and "calibration=" not in answer.stderr
    text = (tmp_path / "out/report.html").read_text()
    assert "--calib DATA" in text and "calibration=" not in text


def test_an_error_of_a_budget_names_the_keyword() -> None:
    package = rnnc.build(small(), None, Options(), verify=False)
    with pytest.raises(BudgetError, match="above max_flash=1"):
        package.check_budget(max_flash=1)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("cortexm4", "Is it cortex-m4?"),
        ("M4", "Is it cortex-m4?"),
        ("STM32L476RG", "Is it stm32l476?"),
        ("stm32l467", "Is it stm32l476?"),
        ("stm32f4", "Is it stm32f401re or stm32f411re or stm32f446re?"),
        ("ESP32-S3", "--target xtensa"),
        ("Arduino_Nano", "--target atmega328p"),
        ("z80", "One of: portable"),
    ],
)
def test_a_target_by_another_name_is_told_what_it_is_called_here(name: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_target(name)
    assert caught.value.hint.startswith(meant) or meant in caught.value.hint.split(".")[0]


def test_what_boards_are_compiled_for_are_targets() -> None:
    for advice in BOARDS.values():
        find_target(advice.rsplit("--target ", 1)[1].split()[0].rstrip(".,"))
