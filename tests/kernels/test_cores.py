"""A target's package on other cores than its own: it compiles where its instructions are, and says so where they are not."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from rnnc.backend.targets import TARGETS
from rnnc.verification.emulator import FIRMWARE
from tests.conftest import require
from tests.support.nets import draw_integers
from tests.support.packages import WARNINGS, package
from tests.support.wide import wide_functions, widened

KERNELS = Path(__file__).parents[2] / "runtime_c"
ARM = "arm-none-eabi-gcc -mthumb -mcpu="
RISCV = "riscv64-unknown-elf-gcc --specs=picolibc.specs -march="
XTENSA = f"xtensa-lx106-elf-gcc -ffreestanding -fbuiltin -mtext-section-literals -I{FIRMWARE / 'xtensa'}"
AVR = "avr-gcc -mmcu="
AARCH64 = "aarch64-linux-gnu-gcc"
FITS = [
    *(("cortex-m0", ARM + core) for core in ("cortex-m0plus", "cortex-m1", "cortex-m23", "cortex-m4")),
    *(("cortex-m3", ARM + core) for core in ("cortex-m4", "cortex-m33+nodsp")),
    *(("cortex-m4", ARM + core) for core in ("cortex-m7", "cortex-m33", "cortex-m55", "cortex-m33+nodsp -DRNNC_PLAIN")),
    *(("cortex-m55", ARM + "cortex-m55 -mfloat-abi=hard" + more) for more in ("", " -mfpu=auto")),
    ("rv32imc", RISCV + "rv32im -mabi=ilp32"),
    ("rv32imc", RISCV + "rv32imac -mabi=ilp32"),
    ("rv32imc", RISCV + "rv64gc -mabi=lp64d -DRNNC_PLAIN"),
    ("portable", RISCV + "rv32emc -mabi=ilp32e"),
    *(("aarch64", AARCH64 + more) for more in ("", " -march=armv8.2-a+dotprod", " -mcpu=cortex-a76")),
    ("xtensa", XTENSA),
    ("xtensa", XTENSA + " -mabi=windowed -S"),  # of the ESP32; this assembler does not know its instructions
    *(("avr", AVR + part) for part in ("attiny85", "atmega328p", "atmega2560", "atxmega128a1")),
]
LACKS = [
    ("cortex-m3", ARM + "cortex-m0plus", "--target cortex-m0"),
    ("cortex-m4", ARM + "cortex-m3", "--target cortex-m3"),
    ("cortex-m33", ARM + "cortex-m33+nodsp", "--target cortex-m3"),
    ("cortex-m55", ARM + "cortex-m55+nomve -mfloat-abi=soft", "--target cortex-m33"),
    ("rv32imc", RISCV + "rv32ic -mabi=ilp32", "--target portable"),
    ("rv32imc", RISCV + "rv32emc -mabi=ilp32e", "--target portable"),
]


THUMB = {"cortex-m0"}
THUMB_2 = THUMB | {"cortex-m3"}
DSP = THUMB_2 | {"cortex-m4", "cortex-m7", "cortex-m33"}
CORES = {
    AVR + "atmega328p": ({"avr"}, "avr"),
    AVR + "attiny85": ({"avr"}, "avr"),
    RISCV + "rv32imac -mabi=ilp32": ({"rv32imc"}, "rv32imc"),
    XTENSA: ({"xtensa"}, "xtensa"),
    RISCV + "rv32ec -mabi=ilp32e": (set(), "portable"),
    RISCV + "rv64gc -mabi=lp64d": (set(), "portable"),
    ARM + "cortex-m0plus": (THUMB, "cortex-m0"),
    ARM + "cortex-m3": (THUMB_2, "cortex-m3"),
    ARM + "cortex-m4": (DSP, "cortex-m4"),
    ARM + "cortex-m33": (DSP, "cortex-m33"),
    ARM + "cortex-m55 -mfloat-abi=hard": (DSP | {"cortex-m55"}, "cortex-m55"),
    "arm-none-eabi-gcc -marm -mcpu=cortex-a7": (set(), "portable"),
    "arm-none-eabi-gcc -mthumb -mcpu=cortex-m4 -mbig-endian": (set(), "portable"),
    "powerpc-linux-gnu-gcc": (set(), "portable"),
    "arm-none-eabi-gcc -U__GNUC__ -ffreestanding -mthumb -mcpu=cortex-m4": (set(), "portable"),
}
"""Each core's compiler, the targets whose instructions it has, and the one that it is told to take; the last stands for a
compiler without GNU's extensions."""

OWN = {
    "cortex-m0": ARM + "cortex-m0",
    "cortex-m3": ARM + "cortex-m3",
    "cortex-m4": ARM + "cortex-m4",
    "cortex-m55": ARM + "cortex-m55 -mfloat-abi=hard",
    "rv32imc": RISCV + "rv32imc -mabi=ilp32",
    "xtensa": XTENSA,
    "aarch64": AARCH64,
    "avr": AVR + "atmega328p",
}


def compile_for(
    target: str, command: str, folder: Path, layers: tuple[str, ...] = ("gru_after",)
) -> subprocess.CompletedProcess[str]:
    """A network's package, with int8 and int16 weights; every warning is an error. avr/pgmspace.h is GNU C."""
    words = command.split()
    if not shutil.which(words[0]):
        require(words[0])
    qnet = widened(draw_integers(2, layers), np.random.default_rng(2))
    assert wide_functions(qnet)
    program, files = package(qnet, target=target)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    avr = words[0] == "avr-gcc"
    flags = ["-std=gnu99" if f == "-std=c99" else f for f in WARNINGS if f != "-pedantic"] if avr else WARNINGS
    sources = [f"{program.name}{part}.c" for part in ("", "_state", "_selftest")]
    arguments = [*words, *flags, *([] if "-O" in command else ["-O2"]), "-I.", "-c", *sources]
    return subprocess.run(arguments, cwd=folder, check=False, capture_output=True, text=True)


@pytest.mark.target
@pytest.mark.parametrize(("target", "command"), FITS)
def test_it_compiles_where_its_instructions_are(target: str, command: str, tmp_path: Path) -> None:
    done = compile_for(target, command, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.target
@pytest.mark.parametrize(("target", "command", "advice"), LACKS)
def test_it_says_which_target_to_take_where_they_are_not(
    target: str, command: str, advice: str, tmp_path: Path
) -> None:
    done = compile_for(target, command, tmp_path)
    assert done.returncode != 0
    assert f"Take rnnc {advice}" in done.stderr


@pytest.mark.parametrize("command", CORES)
def test_every_target_but_its_own_says_so_and_names_the_right_one(command: str, tmp_path: Path) -> None:
    words = command.split()
    require(words[0])
    own, right = CORES[command]
    for name, target in TARGETS.items():
        text = "".join(f'#include "{header}"\n' for header in target.isa)
        (tmp_path / "isa.c").write_text(text)
        arguments = [*words, "-std=c99", "-E", "-I", str(KERNELS), "isa.c"]
        done = subprocess.run(arguments, cwd=tmp_path, check=False, capture_output=True, text=True)
        told = done.returncode != 0 and f"Take rnnc --target {right}" in done.stderr
        assert told if target.isa and name not in own else done.returncode == 0, (name, done.stderr)


@pytest.mark.parametrize("target", TARGETS)
def test_on_a_computer_every_package_is_plain_c(target: str, tmp_path: Path) -> None:
    assert compile_for(target, "gcc", tmp_path).returncode == 0


@pytest.mark.target
@pytest.mark.parametrize("level", ["-O0", "-Os", "-O3"])
@pytest.mark.parametrize("target", OWN)
def test_any_optimization_does(target: str, level: str, tmp_path: Path) -> None:
    """What is written in assembly asks for no register that a compiler may not have left."""
    layers = ("lstm", "lstm_general", "gru_before", "conv", "rnn")
    done = compile_for(target, f"{OWN[target]} {level}", tmp_path, layers)
    assert done.returncode == 0, done.stderr
