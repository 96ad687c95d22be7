"""Several networks in one firmware: they share kernels and tables, and each keeps its own functions, states and bits."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from rnnc.backend.layouts import LAYOUTS
from rnnc.cli.shared import ModelArguments
from rnnc.errors import UsageError
from rnnc.files import write_files, write_folder
from rnnc.options import Layout, Options
from rnnc.several import NetworkRequest, Several, compile_several
from rnnc.verification.arranged import arranged_files
from rnnc.verification.boards import BOARDS
from rnnc.verification.emulator import missing_tools
from rnnc.verification.on_board import run_on_board
from tests.conftest import require
from tests.support.board import PseudoBoard
from tests.support.models import model
from tests.support.packages import WARNINGS, run
from tests.support.small import recording, small

CORES = [name for name, board in BOARDS.items() if board.counts]


def gru(seed: int) -> bytes:
    """``x [time, 1, 3]`` through a GRU to ``y``."""
    rng = np.random.default_rng(seed)
    weights = {"W": rng.standard_normal((1, 12, 3)), "R": rng.standard_normal((1, 12, 4))}
    node = helper.make_node("GRU", ["x", "W", "R"], ["", "y"], hidden_size=4)
    return model([node], {"x": ["time", 1, 3]}, {"y": [1, 1, 4]}, weights)


OF_ONE: tuple[Layout, ...] = ("blob", "rust", "wasm", "micropython")
"""Layouts that hold one network."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """lift.onnx, door.onnx and bell.onnx."""
    here = tmp_path_factory.mktemp("networks")
    for name, content in {"lift": small(), "door": gru(3), "bell": gru(4)}.items():
        (here / f"{name}.onnx").write_bytes(content)
    return here


@cache
def compiled(folder: Path, target: str = "portable", *, verify: bool = False) -> Several:
    return built(folder, target, verify=verify)


def built(folder: Path, target: str = "portable", *, verify: bool = False, **options: object) -> Several:
    requests = [
        NetworkRequest(str(folder / f"{name}.onnx"), {"x": recording(40)}, Options(target=target, **options))  # type: ignore[arg-type]
        for name in ("lift", "door", "bell")
    ]
    return compile_several(requests, "House control", verify=verify)


def test_all_self_tests_run_from_the_shared_file(folder: Path) -> None:
    made = compiled(folder, verify=True)
    assert made.name == "house_control" and [p.name for p in made.packages] == ["lift", "door", "bell"]
    assert list(made.report) == ["networks", "shared"] and len(made.report["networks"]) == 3
    assert json.loads(made.files["report.json"]) == made.report


def test_they_compile_without_a_warning_and_state_their_bytes_once(folder: Path, tmp_path: Path) -> None:
    made = compiled(folder)
    write_files(tmp_path, made.files)
    run(["gcc", *WARNINGS, "-O2", "-c", *made.contents.sources, *made.contents.selftests], tmp_path)
    names = run(["nm", "house_control.o"], tmp_path).split()
    assert [names.count(table) for table in ("rnnc_sigmoid_line", "rnnc_slope")] == [1, 1]
    assert {"lift_step", "door_step", "bell_step"} <= set(names)


@pytest.mark.target
@pytest.mark.parametrize("target", [*CORES, "all"])
def test_they_run_in_one_firmware_on_each_core(target: str, folder: Path, tmp_path: Path) -> None:
    require("make")
    for tool in missing_tools(BOARDS["cortex-m4" if target == "all" else target]):
        require(tool)
    made = compiled(folder, target)
    where = write_folder(tmp_path / "firmware", arranged_files("baremetal", made.contents, made.files))
    said = run(["make", "run"], where)
    assert all(f"{name}_selftest: 0" in said for name in ("lift", "door", "bell"))


@pytest.mark.target
def test_a_board_serves_each_of_them_by_its_id(folder: Path, tmp_path: Path) -> None:
    board = BOARDS["cortex-m4"]
    for tool in ("make", *missing_tools(board)):
        require(tool)
    made = compiled(folder, board.name)
    where = made.write(tmp_path / "firmware", "baremetal")
    run(["make", "serve.elf", f"CC={board.compiler} -Werror"], where)
    command = [*("stdio" if word == "pty" else word for word in board.served), "-kernel", str(where / "serve.elf")]
    with PseudoBoard(command, tmp_path) as device:
        for package in reversed(made.packages):
            found = run_on_board(package.program, {"x": [recording(5)]}, device)
            assert (found.steps, found.difference) == (5, "")


def test_every_layout_names_every_source(folder: Path) -> None:
    made = compiled(folder)
    for layout in LAYOUTS:
        if layout in OF_ONE:
            continue
        placed = made.arranged(layout)
        assert {Path(name).name for name in placed} >= {Path(name).name for name in made.files}
        recipe = next((str(placed[name]) for name in ("CMakeLists.txt", "Makefile") if name in placed), "")
        wanted = {*made.contents.sources, *made.contents.selftests}
        assert not recipe or all(f"src/{file}" in recipe for file in wanted)


@pytest.mark.parametrize("layout", OF_ONE)
def test_what_holds_one_network_is_refused_for_several(layout: Layout, folder: Path) -> None:
    with pytest.raises(UsageError, match=r"holds one network|no crate for several networks"):
        compiled(folder).arranged(layout)


def test_cmake_builds_them(folder: Path, tmp_path: Path) -> None:
    require("cmake")
    compiled(folder).write(tmp_path, "cmake")
    run(["cmake", "-S", ".", "-B", "build", "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror"], tmp_path)
    run(["cmake", "--build", "build", "--target", "rnnc_house_control", "rnnc_house_control_selftest"], tmp_path)


def test_folders_compiled_apart_link_though_their_kernels_differ(folder: Path, tmp_path: Path) -> None:
    """As two versions of rnnc would leave them."""
    made = compiled(folder)
    for k, package in enumerate(made.packages):
        other = {name: text.replace("rnnc_mul15", f"rnnc_mul15_of_{k}") for name, text in package.files.items()}
        write_files(tmp_path / package.name, other)
    calls = "\n".join(
        f"    static {p.name}_t {p.name};\n    wrong |= {p.name}_selftest(&{p.name});" for p in made.packages
    )
    includes = "".join(f'#include "{p.name}.h"\n' for p in made.packages)
    (tmp_path / "main.c").write_text(
        f"{includes}int main(void)\n{{\n    int wrong = 0;\n{calls}\n    return wrong;\n}}\n"
    )
    paths = [word for p in made.packages for word in ("-I", p.name)]
    sources = [f"{p.name}/{p.name}{part}.c" for p in made.packages for part in ("", "_state", "_selftest")]
    run(["gcc", "-std=c99", *paths, *sources, "main.c", "-o", "main"], tmp_path)
    run([tmp_path / "main"], tmp_path)


def test_an_option_of_a_name_is_for_that_network_alone() -> None:
    typed = ModelArguments(
        "a.onnx", calib=["a:one.npz", "all.npz", "b:two.npz"], input_range=["x=-3:3"], precision="b:a8"
    )
    a, b = (typed.of(file, ["a", "b"]) for file in ("a.onnx", "b.onnx"))
    assert (a.calib, a.precision) == (["one.npz", "all.npz"], "a16") and (b.calib, b.precision) == (
        ["all.npz", "two.npz"],
        "a8",
    )
    assert a.input_range == b.input_range == ["x=-3:3"] and b.model == "b.onnx"


def test_what_names_an_input_is_for_the_networks_that_have_it(folder: Path) -> None:
    with pytest.raises(UsageError, match="no network has an input 'z'"):
        built(folder, input_range={"z": (-1.0, 1.0)})


def test_networks_of_one_name_or_of_two_targets_are_refused(folder: Path) -> None:
    lift, door = (NetworkRequest(str(folder / f"{name}.onnx"), None, Options()) for name in ("lift", "door"))
    with pytest.raises(UsageError, match="two networks are called 'lift'"):
        compile_several([lift, lift], "x", verify=False)
    with pytest.raises(UsageError, match="targets avr and portable share no kernels"):
        compile_several([lift, NetworkRequest(door.model, None, Options(target="avr"))], "x", verify=False)


def test_the_shared_file_is_called_as_none_of_theirs(folder: Path) -> None:
    request = [NetworkRequest(str(folder / "lift.onnx"), None, Options())]
    assert compile_several(request, "lift_state", verify=False).name == "lift_state_net"
