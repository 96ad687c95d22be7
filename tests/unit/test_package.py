"""package.py, compiler.py and report/content.py: what a compilation gives, what it writes, and what it says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import rnnc
from rnnc.errors import BudgetError, DataError, MissingTool, UsageError
from rnnc.options import Options
from rnnc.package import Package, arranged, command_line
from tests.conftest import require
from tests.support.models import Array
from tests.support.small import recording, small


@pytest.fixture(scope="module")
def package() -> Package:
    return rnnc.compile_model(small(), {"x": recording(300)}, name="Lift door!")


# ------------------------------------------------------------------- the public names


def test_the_package_gives_its_public_names() -> None:
    for name in rnnc.__all__:
        assert getattr(rnnc, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = rnnc.nothing


def test_unknown_options_are_a_type_error() -> None:
    with pytest.raises(TypeError, match="no option 'precison'"):
        rnnc.compile_model(small(), precison="a8")


def test_changes_replace_options() -> None:
    package = rnnc.compile_model(small(), None, Options(precision="a8"), verify=False, name="other")
    assert package.report["precision"] == "a8" and package.name == "other"


def test_a_package_has_the_version_that_it_is_given_in_its_header_and_manifests(tmp_path: Path) -> None:
    package = rnnc.compile_model(small(), verify=False, name="lift", package_version="4.5.6")
    assert '#define LIFT_VERSION "4.5.6" ' in package.files["lift.h"]
    assert "project(rnnc_lift VERSION 4.5.6 " in package.arranged("cmake")["CMakeLists.txt"]
    assert "--package-version 4.5.6" in package.files["lift.c"].split("*/")[1]
    assert (
        '#define LIFT_DOOR_VERSION "0.1.0" '
        in rnnc.compile_model(small(), verify=False, name="lift door").files["lift_door.h"]
    )


@pytest.mark.parametrize("version", ["1.2", "v1.2.3", "1.2.3-rc1", "01.2.3", "1.2.3\n", ""])
def test_a_version_that_some_build_system_does_not_take_is_refused(version: str) -> None:
    with pytest.raises(UsageError, match="expected three numbers"):
        Options(package_version=version)


@pytest.mark.parametrize("option", ["input_range", "input_format", "input_affine"])
def test_options_for_an_input_that_is_not_there_are_refused(option: str) -> None:
    value = 11 if option == "input_format" else (1, 2)
    with pytest.raises(UsageError, match=f"{option}: the network has no input 'z'"):
        rnnc.compile_model(small(), None, Options(**cast(Any, {option: {"z": value}})), verify=False)


# ------------------------------------------------------------------- the report


def test_the_report_has_the_keys_of_the_contract(package: Package) -> None:
    report = package.report
    assert list(report) == [
        *("model", "name", "version", "precision", "target", "part", "changes"),
        *("weights", "inputs", "outputs", "cost", "certificate", "counts", "verify"),
    ]
    assert set(report["model"]) == {"file", "sha256"} and len(report["model"]["sha256"]) == 64
    assert set(report["inputs"][0]) == {"name", "shape", "dtype", "scale", "offset"}
    assert set(report["outputs"][0]) == {"name", "shape", "dtype", "scale", "kind", "rate", "latency"}
    assert set(report["cost"]) == {
        *("macs", "flash_weights", "flash_tables", "flash_code", "sparse"),
        *("ram_state", "ram_scratch", "stack", "instructions", "cycles", "milliseconds", "windows"),
    }
    assert set(report["certificate"][0]) == {"op", "accumulator", "bits", "worst", "margin_bits"}
    assert set(report["verify"]) >= {
        *("steps", "compared", "c_equals_oracle", "import_max_rel", "float32", "verdict", "cause", "advice"),
        *("outputs", "task", "recorded"),
    }
    assert set(report["verify"]["outputs"][0]) == {
        *("name", "sqnr_db", "channel_sqnr_db", "unjudged_channels", "warm_up", "sqnr_same_weights_db"),
        *("max_abs", "rms", "argmax_agreement", "argmax_agreement_clear"),
    }


def test_the_report_says_what_was_found(package: Package) -> None:
    report = package.report
    assert report["name"] == package.name == "lift_door"
    assert report["inputs"][0]["shape"] == [3] and len(report["inputs"][0]["scale"]) == 3
    assert report["outputs"][0]["shape"] == [2] and isinstance(report["outputs"][0]["scale"], float)
    assert report["verify"]["steps"] == 300 and report["verify"]["c_equals_oracle"] is True
    assert report["verify"]["import_max_rel"] < 1e-5 and report["verify"]["outputs"][0]["sqnr_db"] > 30


def test_what_was_not_measured_is_null() -> None:
    report = rnnc.compile_model(small(), verify=False).report
    assert report["verify"] is None and report["cost"]["instructions"] is None and report["cost"]["stack"] is None


def test_raw_counts_have_scale_and_offset() -> None:
    report = rnnc.compile_model(small(), verify=False, input_affine={"x": (0.25, 2.0)}).report
    assert report["inputs"][0]["scale"] == [0.25] and report["inputs"][0]["offset"] == 2.0


def test_report_json_is_the_report(package: Package) -> None:
    assert json.loads(package.files["report.json"]) == package.report


# ------------------------------------------------------------------- budgets


def test_budgets(package: Package) -> None:
    cost = package.report["cost"]
    flash, ram = cost["flash_weights"] + cost["flash_tables"], cost["ram_state"] + cost["ram_scratch"]
    package.check_budget(flash, ram)
    with pytest.raises(BudgetError, match=f"flash: {flash} B, 1 B above max_flash={flash - 1}"):
        package.check_budget(max_flash=flash - 1)
    with pytest.raises(BudgetError, match=f"ram: {ram} B, 1 B above max_ram={ram - 1}"):
        package.check_budget(max_ram=ram - 1)


def test_a_limit_for_the_stack_is_held_against_the_compilers_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    package = rnnc.compile_model(small(), verify=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingTool, match="gcc is not installed"):
        package.measure_stack()
    monkeypatch.undo()
    require("gcc")
    package.measure_stack()
    stack = package.report["cost"]["stack"]
    assert 16 < stack < 4096 and json.loads(package.files["report.json"])["cost"]["stack"] == stack
    package.check_budget(max_stack=stack)
    with pytest.raises(BudgetError, match=f"stack: {stack} B, 1 B above max_stack={stack - 1}") as error:
        package.check_budget(max_stack=stack - 1)
    assert f"{package.name}_step  frame" in error.value.hint
    assert sum(package.stack_frames.values()) == stack


# ------------------------------------------------------------------- writing


def test_write_makes_the_folder(package: Package, tmp_path: Path) -> None:
    folder = package.write(tmp_path / "deep" / "out")
    written = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert written == set(package.files)
    assert [p.name for p in folder.parent.iterdir()] == ["out"]


def test_write_keeps_what_else_is_in_the_folder(package: Package, tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text("mine")
    (tmp_path / f"{package.name}.h").write_text("old")
    package.write(tmp_path)
    assert (tmp_path / "main.c").read_text() == "mine"
    assert (tmp_path / f"{package.name}.h").read_text() == package.files[f"{package.name}.h"]


def test_write_where_a_file_is_refuses_and_leaves_nothing(package: Package, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UsageError, match="cannot write to"):
        package.write(tmp_path / "out")
    with pytest.raises(UsageError, match="cannot write to"):
        package.write(tmp_path / "out" / "deeper")
    assert [p.name for p in tmp_path.iterdir()] == ["out"] and (tmp_path / "out").read_text() == "a file"


# ------------------------------------------------------------------- streaming


def test_the_c_and_the_oracle_simulate_the_same(package: Package) -> None:
    x = recording(40, seed=3)
    c, oracle = package.simulate(x)["y"], package.simulate({"x": x}, "oracle")["y"]
    assert c.shape == (40, 2) and np.array_equal(c, oracle)


def test_float_and_onnxruntime_simulate_nearly_the_same(package: Package) -> None:
    x = recording(40, seed=3)
    exact, reference = package.simulate(x, "float")["y"], package.simulate(x, "onnxruntime")["y"]
    assert np.allclose(exact, reference, atol=1e-5) and not np.array_equal(exact, package.simulate(x)["y"])


def test_simulated_sequences_come_back_as_they_went_in(package: Package) -> None:
    a, b = recording(10, 1), recording(10, 2)
    one = package.simulate(a)["y"]
    stacked = package.simulate(np.stack([a, b]))
    assert stacked["y"].shape == (2, 10, 2) and np.array_equal(stacked["y"][0], one)
    joined = package.simulate({"x": np.concatenate([a, b[:4]]), "lengths": np.array([10, 4])})
    assert joined["lengths"].tolist() == [10, 4] and np.array_equal(joined["y"][10:], stacked["y"][1][:4])


def test_onnxruntime_says_nan_where_it_cannot_be_asked() -> None:
    y = rnnc.build(small(last=True), None, Options(), verify=False).simulate(recording(500), "onnxruntime")["y"]
    assert np.isfinite(y[-1]).all() and 0 < np.isnan(y).sum() < y.size


def test_unknown_engines_and_bad_data_are_refused(package: Package) -> None:
    with pytest.raises(UsageError, match="unknown engine 'tflite'"):
        package.simulate(recording(3), "tflite")  # type: ignore[arg-type]
    with pytest.raises(DataError):
        package.simulate(np.zeros((3, 4)))


@pytest.mark.parametrize(
    ("outputs", "concatenated", "expected"),
    [
        ({"y": [np.zeros((3, 2))]}, False, {"y": (3, 2)}),
        ({"y": [np.zeros((3, 2))]}, True, {"y": (3, 2), "lengths": (1,)}),
        ({"y": [np.zeros((3, 2))] * 2}, False, {"y": (2, 3, 2)}),
        ({"y": [np.zeros((3, 2)), np.zeros((1, 2))]}, False, {"y": (4, 2), "lengths": (2,)}),
    ],
)
def test_arranged(outputs: dict[str, list[Array]], concatenated: bool, expected: dict[str, Any]) -> None:
    assert {name: a.shape for name, a in arranged(outputs, concatenated).items()} == expected


# ------------------------------------------------------------------- the banner


def test_the_command_line_is_normalised() -> None:
    options = Options(
        name="a b",
        precision="a8",
        search=3,
        bind={"sr": 16000},
        states={"h": "hn"},
        time_axis={"x": 1},
        outputs=("y", "z"),
        input_range={"x": (-2, 2)},
        input_format={"u": 11},
        input_affine={"v": (0.5, -1)},
    )
    assert command_line("fan.onnx", "/some/where/c.npz", options) == (
        "rnnc compile fan.onnx --calib c.npz --name 'a b' --precision a8 --search 3 --bind sr=16000 --state h=hn "
        "--time-axis x=1 --output y --output z --input-range x=-2:2 --input-format u=q4.11 --input-affine v=0.5,-1"
    )


def test_the_banner_says_how_it_was_made(package: Package) -> None:
    source = package.files[f"{package.name}.c"]
    assert "rnnc compile model --calib data --name 'Lift door!'" in source
    assert package.model.sha256 in source and "SQNR against onnxruntime over 300 steps: y " in source


# ------------------------------------------------------------------- flash with its code


def test_the_code_counts_as_flash_where_the_targets_compiler_is_there() -> None:
    require("arm-none-eabi-gcc")
    package = rnnc.build(small(), None, Options(target="cortex-m4"), verify=False)
    constants = package.flash
    package.check_budget(max_flash=constants)
    package.measure_code()
    code = package.report["cost"]["flash_code"]
    assert 500 < code == package.flash - constants and package.code_note == f"code {code} B"
    assert json.loads(package.files["report.json"])["cost"]["flash_code"] == code
    package.check_budget(max_flash=constants + code)
    with pytest.raises(BudgetError, match=rf"1 B above max_flash=\d+ \(code {code} B\)"):
        package.check_budget(max_flash=constants + code - 1)


@pytest.mark.parametrize("target", ["portable", "host", "cortex-m4"])
def test_code_that_is_not_counted_is_told_in_the_same_line(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    package = rnnc.build(small(), None, Options(target=target), verify=False)
    package.measure_code()
    assert package.report["cost"]["flash_code"] is None
    why = "arm-none-eabi-gcc is not installed" if target == "cortex-m4" else f"target {target} names no part"
    with pytest.raises(BudgetError, match=rf"above max_flash=1 \(code not counted: {why}\)"):
        package.check_budget(max_flash=1)
