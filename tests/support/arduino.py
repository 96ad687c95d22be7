"""A library as Arduino's own builder compiles it for the AVR core, on a Debian system without the IDE."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import require
from tests.support.packages import run

HARDWARE = Path("/usr/share/arduino/hardware")
BOARD, MCU = "arduino:avr:mega:cpu=atmega2560", "atmega2560"
PREFERENCES = (
    "runtime.tools.avr-gcc.path=/usr",
    "compiler.cpp.extra_flags=-DDECIMAL_DIG=__DECIMAL_DIG__",  # Debian's avr-gcc has it for C only
)


def built_sketch(libraries: Path, sketch: Path, folder: Path) -> Path:
    """The program that a sketch becomes, with the libraries of a sketchbook."""
    require("arduino-builder")
    folder.mkdir()
    words: list[str | Path] = [
        "arduino-builder",
        "-compile",
        "-hardware",
        HARDWARE,
        "-hardware",
        "/usr/share/arduino-builder",
    ]
    words += ["-tools", "/usr/share/arduino-builder", "-libraries", libraries, "-fqbn", BOARD, "-build-path", folder]
    run([*words, *(f"-prefs={p}" for p in PREFERENCES), "-warnings", "all", sketch], folder)
    return folder / f"{sketch.name}.elf"
