"""--target all: one folder, from which each core's compiler takes what the package of that core alone has."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import rnnc
from rnnc.backend.emit.every import PACKINGS, PORTABLE
from rnnc.backend.lower import lower
from rnnc.backend.targets import ALL, TARGETS
from rnnc.files import write_files
from rnnc.options import Layout
from rnnc.package import Package
from rnnc.verification.boards import BOARDS
from rnnc.verification.emulator import linked, measure, missing_tools
from tests.conftest import require
from tests.support.models import model
from tests.support.packages import run
from tests.support.small import recording, small

CORES = [name for name, board in BOARDS.items() if board.counts]
KERNELS = Path(__file__).parents[2] / "runtime_c"


@pytest.fixture(scope="module")
def every() -> Package:
    return rnnc.compile_model(small(), {"x": recording(120)}, target="all", name="fan")


def test_every_target_has_its_packing_or_that_of_one_with_the_same_kernels() -> None:
    packed = [TARGETS[name] for name in (*PACKINGS, PORTABLE)]
    assert {t.name for t in packed} <= set(TARGETS) and ALL.name not in TARGETS
    for target in TARGETS.values():
        assert (target.isa, target.packing) in [(t.isa, t.packing) for t in packed]
    defined = {
        line.split()[1] for line in (KERNELS / "isa/core.h").read_text().splitlines() if "define RNNC_CORE" in line
    }
    assert defined == set(PACKINGS.values())


def test_it_is_verified_as_any_package_and_runs_on_this_machine(every: Package) -> None:
    assert every.verified is not None and not every.verified.problems()
    assert every.report["target"] == "all"
    single = rnnc.compile_model(small(), {"x": recording(120)}, target="host", name="fan", verify=False)
    x = recording(50)
    assert all(np.array_equal(y, single.simulate(x)[name]) for name, y in every.simulate(x).items())


@pytest.mark.target
@pytest.mark.parametrize("target", CORES)
def test_each_core_has_the_bits_and_the_flash_of_its_own_package(target: str, every: Package) -> None:
    for tool in missing_tools(BOARDS[target]):
        require(tool)
    program = lower(every.program.qnet, target, "fan")
    found = measure(program, every.files, BOARDS[target])
    assert found.equal
    single = rnnc.compile_model(small(), {"x": recording(120)}, target=target, verify=False, name="fan")
    alone = linked(single.program, single.files)
    assert found.footprint.code == pytest.approx(alone.code, rel=0.01)
    assert replace(found.footprint, code=0) == replace(alone, code=0)


@pytest.mark.parametrize("layout", ["plain", "cmake", "baremetal"])
def test_it_lies_as_any_package_does(layout: Layout, every: Package, tmp_path: Path) -> None:
    """A build that compiles every .c of a folder, as Arduino and PlatformIO do, compiles each once."""
    folder = every.write(tmp_path / "fan", layout)
    sources = sorted(str(p) for p in folder.rglob("*.c") if p.name.startswith("fan"))
    main = '#include "fan.h"\nstatic fan_t s;\nint main(void) { return fan_selftest(&s); }\n'
    write_files(tmp_path, {"main.c": main})
    include = Path(sources[0]).parent
    run(["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{include}", *sources, "main.c", "-o", "main"], tmp_path)
    run([tmp_path / "main"], tmp_path)


def test_a_target_that_the_network_does_not_fit_is_left_out_and_says_so(tmp_path: Path) -> None:
    """On an AVR no array is larger than 32 KB."""
    require("avr-gcc")
    rng = np.random.default_rng(3)
    nodes = [helper.make_node("LSTM", ["x", "W", "R"], ["", "y"], hidden_size=64)]
    weights = {name: rng.standard_normal((1, 256, 64)) / 8 for name in "WR"}
    file = model(nodes, {"x": ["time", 1, 64]}, {"y": [1, 1, 64]}, weights)
    package = rnnc.compile_model(file, target="all", verify=False, name="wide")
    (note,) = [note for note in package.notes if "holds no" in note]
    assert note.startswith("the package holds no avr: target avr: the array") and "32767 B" in note
    write_files(tmp_path, package.files)
    command = ["avr-gcc", "-mmcu=atmega2560", "-std=gnu99", "-I.", "-c", "wide.c"]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode != 0 and "rnnc: target avr: the array" in done.stderr
