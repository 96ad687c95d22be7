"""Bare metal packages: what their Makefile builds runs in the emulator with one command, on each core."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

import rnnc
from rnnc.errors import UsageError
from rnnc.package import Package
from rnnc.verification.arranged import image_note
from rnnc.verification.baremetal import IMAGE
from rnnc.verification.boards import BOARDS
from rnnc.verification.emulator import FIRMWARE, missing_tools
from tests.conftest import require
from tests.support.packages import run
from tests.support.small import small

KERNELS = Path(__file__).parents[2] / "runtime_c"
CORES = [name for name, board in BOARDS.items() if board.counts]


@cache
def compiled(target: str) -> Package:
    return rnnc.compile_model(small(), target=target, verify=False, name="fan")


@pytest.mark.target
@pytest.mark.parametrize("target", [*CORES, "portable"])
def test_make_run_proves_every_bit_in_the_emulator(target: str, tmp_path: Path) -> None:
    require("make")
    for tool in missing_tools(BOARDS["cortex-m4" if target == "portable" else target]):
        require(tool)
    folder = compiled(target).write(tmp_path / "fan", "baremetal")
    assert (folder / IMAGE).exists() == (target != "portable")
    assert "fan_selftest: 0" in run(["make", "run", "CC=false"] if target != "portable" else ["make", "run"], folder)
    if target != "portable":
        (built := folder / IMAGE).rename(folder / "before.elf")
        run(["make"], folder)
        assert built.read_bytes() == (folder / "before.elf").read_bytes()


def test_make_run_fails_where_a_bit_is_wrong(tmp_path: Path) -> None:
    for tool in ("make", *missing_tools(BOARDS["cortex-m4"])):
        require(tool)
    folder = compiled("portable").write(tmp_path / "fan", "baremetal")
    wrong = folder / "src/fan_selftest.c"
    head, data = wrong.read_text().split("out_y_[", 1)
    wrong.write_text(f"{head}out_y_[{data.replace('{', '{1 + ', 1)}")
    done = subprocess.run(["make", "run"], cwd=folder, check=False, capture_output=True, text=True)
    assert done.returncode != 0 and "fan_selftest: differs" in done.stdout


@pytest.mark.parametrize("target", CORES)
def test_start_file_and_linker_script_are_those_that_rnnc_measures_with(target: str) -> None:
    files, board = compiled(target).arranged("baremetal"), BOARDS[target]
    for name, source in {"start.c": board.start, "board.h": "board.h", "board.ld": board.script}.items():
        assert files[name] == (FIRMWARE / source).read_text()
    assert all(flag in str(files["Makefile"]) for flag in board.flags)


def test_without_the_compiler_there_is_no_firmware_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    built = compiled("cortex-m0")
    assert IMAGE not in built.arranged("baremetal") and "Makefile" in built.arranged("baremetal")
    assert (
        image_note("baremetal", built.program) == f"no {IMAGE} beside its sources: arm-none-eabi-gcc is not installed"
    )
    assert image_note("cmake", built.program) == ""


def test_a_computer_is_no_bare_metal() -> None:
    with pytest.raises(UsageError, match=r"host.* is no microcontroller"):
        compiled("host").arranged("baremetal")


def test_constants_of_an_avr_beyond_the_reach_of_its_reads_do_not_link(tmp_path: Path) -> None:
    """Each file's alone are within it: their sum is too large."""
    require("avr-gcc")
    large = "static const char RNNC_ROM large[30000] = {1};"
    for name in "abc":
        text = f'#include "isa/avr_rom.h"\n{large}\nconst void *{name}(int i) {{ return large + i; }}\n'
        (tmp_path / f"{name}.c").write_text(text)
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    command = [
        "avr-gcc",
        "-mmcu=atmega1284p",
        "-std=gnu99",
        "-Os",
        "-I",
        str(KERNELS),
        str(FIRMWARE / "avr.ld"),
        "main.c",
    ]
    run([*command, "a.c", "b.c", "-o", "two.elf"], tmp_path)
    with pytest.raises(AssertionError, match="constants lie beyond the first 64 KB"):
        run([*command, "a.c", "b.c", "c.c", "-o", "three.elf"], tmp_path)
