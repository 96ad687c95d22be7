"""Where constants lie: all of them in the section that RNNC_PLACE names, on an AVR within reach of its reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnc.files import write_files
from tests.conftest import require
from tests.support.nets import LAYERS, draw_integers
from tests.support.packages import package, run

NETWORK = ("conv", "lstm", "skip", "gru_after", "norm", "dense", "softmax")
CORES = {
    "cortex-m0": "arm-none-eabi-gcc -mthumb -mcpu=cortex-m0",
    "cortex-m4": "arm-none-eabi-gcc -mthumb -mcpu=cortex-m4",
    "cortex-m55": "arm-none-eabi-gcc -mthumb -mcpu=cortex-m55 -mfloat-abi=hard",
    "rv32imc": "riscv64-unknown-elf-gcc --specs=picolibc.specs -march=rv32imc -mabi=ilp32",
}
PLACE = '-DRNNC_PLACE=__attribute__((section(".qspi")))'
FIRMWARE = """
#include <avr/pgmspace.h>
#include "fan.h"
const char first[30000] PROGMEM = {1};
const char second[30000] PROGMEM = {2};
const char third[30000] PROGMEM = {3};
static fan_t s;
int main(void)
{
    uint_farptr_t at[3];
    at[0] = pgm_get_far_address(first);
    at[1] = pgm_get_far_address(second);
    at[2] = pgm_get_far_address(third);
    return fan_selftest(&s) + pgm_read_byte_far(at[0]) + pgm_read_byte_far(at[1]) + pgm_read_byte_far(at[2]);
}
"""
RAM = 0x800000


@pytest.mark.parametrize("target", CORES)
def test_every_constant_is_where_rnnc_place_says(target: str, tmp_path: Path) -> None:
    command = CORES[target].split()
    require(command[0])
    files = package(draw_integers(7, NETWORK), "fan", target)[1]
    write_files(tmp_path, files)
    usual, placed = (constants([*command, "-std=c99", "-O2", "-Wall", "-Werror", *f], tmp_path) for f in ([], [PLACE]))
    assert set(placed) == {".qspi"}
    assert abs(placed[".qspi"] - sum(usual.values())) < 32  # of padding


def constants(command: list[str], folder: Path) -> dict[str, int]:
    """Bytes of constants of a package's object file by section."""
    run([*command, "-I.", "-c", "fan.c"], folder)
    lines = [line.split() for line in run(["size", "-A", "fan.o"], folder).splitlines()]
    sizes = {words[0]: int(words[1]) for words in lines if len(words) == 3 and words[1].isdecimal()}
    return {name: size for name, size in sizes.items() if size and name.startswith((".rodata", ".srodata", ".qspi"))}


@pytest.mark.parametrize("flags", ["", "-flto"])
def test_constants_of_an_avr_come_before_all_else_in_its_flash(flags: str, tmp_path: Path) -> None:
    """In firmware of more than 64 KB, most of it constants of others."""
    require("avr-gcc")
    program, files = package(draw_integers(7, [name for name in LAYERS if "general" not in name][:8]), "fan", "avr")
    write_files(tmp_path, {**files, "main.c": FIRMWARE})
    sources = ["main.c", "fan_selftest.c", "fan.c"]
    run(["avr-gcc", "-mmcu=atmega2560", "-std=gnu99", "-Os", *flags.split(), *sources, "-o", "main.elf"], tmp_path)
    addresses = {
        name.split(".")[0]: int(at, 16)
        for at, kind, name in (line.split() for line in run(["avr-nm", "main.elf"], tmp_path).splitlines())
        if kind in "tTrRdD"
    }
    own = {a.symbol for a in program.arrays} | {p.symbol for p in program.params}
    assert max(addresses[name] for name in own & set(addresses)) < 1 << 16 < addresses["main"]
    assert own & set(addresses) or flags
