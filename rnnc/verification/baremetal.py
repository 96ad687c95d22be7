"""Firmware with no system below: a package's self-test with the start file and linker script of its target's board.

The files are those that rnnc itself measures with (firmware/); the Makefile says what ``firmware_image`` does.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from rnnc.backend.emit import render
from rnnc.backend.layouts import Contents
from rnnc.backend.program import Program
from rnnc.backend.targets import ALL
from rnnc.errors import UsageError
from rnnc.files import write_files
from rnnc.interruption import TemporaryFolder
from rnnc.options import Layout
from rnnc.verification.boards import BOARDS, Board
from rnnc.verification.emulator import FIRMWARE, PORTABLE_BOARD, build_by, roomy, why_uncounted

IMAGE = "firmware.elf"
LIBRARY = "libc"
"""The folder of headers that the compiler lacks."""
FLAGS = ("-std=gnu99", "-O2", "-Wall", "-Wextra", "-ffunction-sections", "-fdata-sections", "-Isrc")


def bare_metal(contents: Contents) -> dict[str, str]:
    """The files that make firmware of a package whose C lies in src/, beside its main.c.

    Raises UsageError for a target that is no microcontroller, NoRoom where the network does not fit the board.
    """
    board = _board(contents.programs)
    context: dict[str, Any] = {
        "name": contents.name,
        "networks": [p.name for p in contents.programs],
        "board": f"{board.name}, {_machine(board)}",
        "compiler": board.compiler,
        "flags": shlex.join(board.flags),
        "cflags": shlex.join(_flags(board)),
        "sources": " ".join(_sources(contents)),
        "link": " \\\n    ".join(map(shlex.quote, _linking(board))),
        "emulator": shlex.join(_emulator(board)),
        "serial": shlex.join(board.serial),
        "served": shlex.join([*board.served, "-kernel"]) if board.served else "",
        "serving": " ".join(_serving(contents)),
    }
    shared = {
        "start.c": board.start,
        "board.h": "board.h",
        "board.ld": board.script,
        "port.c": board.port,
        "port.h": "port.h",
    }
    shared |= {f"{LIBRARY}/{f.name}": f"{board.headers}/{f.name}" for f in _headers(board)}
    return {"Makefile": render("packages/baremetal/Makefile.j2", **context)} | {
        name: (FIRMWARE / source).read_text(encoding="utf-8") for name, source in shared.items()
    }


def firmware_image(contents: Contents, files: Mapping[str, str]) -> bytes | None:
    """The firmware that the files of a package make, or None where ``why_uncounted`` says why there is none.

    Raises VerificationError where it does not build.
    """
    if why_uncounted(contents.programs[0]):
        return None
    board = _board(contents.programs)
    with TemporaryFolder() as folder:
        here = Path(folder)
        write_files(here, files)
        command = [board.compiler, *board.flags, *_flags(board), *_sources(contents), *_linking(board), "-o", IMAGE]
        build_by(command, here, IMAGE)
        return (here / IMAGE).read_bytes()


def _headers(board: Board) -> list[Path]:
    """What a compiler without a C library lacks."""
    return sorted((FIRMWARE / board.headers).iterdir()) if board.headers else []


def _flags(board: Board) -> list[str]:
    return [*FLAGS, f"-I{LIBRARY}"] if board.headers else [*FLAGS]


def _board(programs: Sequence[Program]) -> Board:
    name = programs[0].target.name
    board = BOARDS[PORTABLE_BOARD if name in ("portable", ALL.name) else name]
    if not board.counts:
        known = ", ".join(b.name for b in BOARDS.values() if b.counts)
        raise UsageError(
            f"--package baremetal: target {name!r} is no microcontroller", hint=f"Take --target portable, {known}."
        )
    return roomy(board, *programs)


def _machine(board: Board) -> str:
    """What the emulator takes its part for."""
    words = _emulator(board)
    return next(after for option, after in pairwise(words) if option in ("-M", "-m"))


def _emulator(board: Board) -> list[str]:
    if board.machine == "avr":
        return ["simavr", "-m", board.flags[0].removeprefix("-mmcu="), "-f", "16000000"]
    return [*board.emulator, "-kernel"]


def _sources(contents: Contents) -> list[str]:
    selftests = [f"{p.name}_selftest.c" for p in contents.programs]
    return ["start.c", "main.c", *(f"src/{file}" for file in (*contents.sources, *selftests))]


def _serving(contents: Contents) -> list[str]:
    """What the firmware that serves the networks is made of."""
    networks = [f"src/{p.name}_serial.c" for p in contents.programs]
    return ["start.c", "serve.c", "port.c", f"src/{contents.name}.c", *networks]


def _linking(board: Board) -> list[str]:
    return [*board.linking("board.ld"), "-Wl,--gc-sections", *board.libraries]


def image_note(layout: Layout, program: Program) -> str:
    """Why the files of a layout hold no firmware; "" where there is nothing to say."""
    why = why_uncounted(program) if layout == "baremetal" else ""
    return f"no {IMAGE} beside its sources: {why}" if why else ""
