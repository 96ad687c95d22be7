"""The headers of runtime_c as they stand: each compiles alone, without a warning, where int has 16 bits too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rnnc.verification.footprint import NAKED_FRAMES
from tests.conftest import require
from tests.support.packages import WARNINGS, run

KERNELS = Path(__file__).parents[2] / "runtime_c"
HEADERS = sorted(path.name for path in KERNELS.glob("*.h"))
FLAGS = [*WARNINGS, "-Wno-unused-function", "-fsyntax-only", "-O1", "-I", str(KERNELS)]


def check(compiler: list[str], names: list[str], folder: Path) -> None:
    (folder / "all.c").write_text("".join(f'#include "{name}"\n' for name in names) + "typedef int not_empty;\n")
    run([*compiler, *FLAGS, "all.c"], folder)


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_includes_what_it_needs(header: str, tmp_path: Path) -> None:
    check(["gcc"], [header], tmp_path)


@pytest.mark.parametrize("compiler", ["gcc", "clang", "avr-gcc", "arm-none-eabi-gcc"])
def test_all_headers_together(compiler: str, tmp_path: Path) -> None:
    flags = {"avr-gcc": ["-mmcu=atmega2560"]}.get(compiler, [])
    check([require(compiler), *flags], HEADERS, tmp_path)


@pytest.mark.parametrize("compiler", ["avr-gcc", "gcc"])
def test_constants_in_program_memory(compiler: str, tmp_path: Path) -> None:
    """What an AVR reads by other instructions; elsewhere the same header reads it plainly."""
    flags = {"avr-gcc": ["-mmcu=atmega2560"]}.get(compiler, [])
    check([require(compiler), *flags], ["isa/avr.h", *HEADERS], tmp_path)


def test_what_assembly_pushes_is_in_the_bound_of_the_stack() -> None:
    """A compiler tells no frame of a naked function."""
    pushing = set()
    for path in (KERNELS / "isa").glob("*.h"):
        for name, body in re.findall(r"naked[^;{}]*?\b(rnnc_\w+)\((.*?)\n}\n", path.read_text(), re.DOTALL):
            if re.search(r"push [{r]|addi sp, sp, -|RNNC_MVE_BLOCKS|RNNC_MVE_SPARSE", body):
                pushing.add(name)
    assert "rnnc_dsp_blocks" in pushing and pushing <= set(NAKED_FRAMES)
