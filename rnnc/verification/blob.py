"""A network as bytes that run at any address, which firmware loads as an update (runtime_c/network.h).

Parameters of kernels that are inlined are constants of the code, which reads weights and tables relative to itself: nothing
holds an address. Linked for two addresses, the bytes must be the same.
"""

from __future__ import annotations

import shlex
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnc.backend.emit import kernels, render
from rnnc.backend.emit.blob import blob_context
from rnnc.backend.layouts import Contents
from rnnc.backend.program import Program
from rnnc.backend.targets import ALL
from rnnc.errors import UsageError, VerificationError
from rnnc.files import write_files
from rnnc.interruption import TemporaryFolder
from rnnc.verification.boards import BOARDS, Board
from rnnc.verification.emulator import FIRMWARE, PORTABLE_BOARD, build_by, why_uncounted

SOURCE = "blob.c"
BASES = {"low": "0", "high": "0x10000000"}
"""Where it is linked for."""
FLAGS = (
    *("-std=gnu99", "-O2", "-Wall", "-Wextra", "-ffunction-sections", "-fdata-sections", "-Isrc"),
    *("-fPIC", "-fvisibility=hidden", "-DRNNC_ANYWHERE"),
)
LINK = ("-nostartfiles", "-T", "blob.ld", "-Wl,--gc-sections", "-Wl,--build-id=none")


def blob_name(contents: Contents) -> str:
    """The file that holds the bytes."""
    return f"{contents.name}.blob"


def blob_sources(contents: Contents) -> dict[str, str]:
    """The files that make a blob of a package whose C lies in src/.

    Raises UsageError for several networks, and for a target that has none.
    """
    program, board = _program(contents), _board(contents)
    context: dict[str, Any] = {
        "board": board.name,
        "compiler": board.compiler,
        "objcopy": _objcopy(board),
        "flags": shlex.join(_flags(board)),
        "cflags": shlex.join(FLAGS),
        "source": SOURCE,
        "link": shlex.join([*LINK, *board.libraries]),
        "bases": list(BASES.items()),
        **blob_context(program),
    }
    source = render("packages/blob/blob.c.j2", **context)
    used = kernels(source)
    return {
        "Makefile": render("packages/blob/Makefile.j2", **context),
        SOURCE: source,
        f"src/{program.name}_blob.h": render("packages/blob/blob.h.j2", **context),
        **{name: (FIRMWARE / name).read_text(encoding="utf-8") for name in ("blob.ld", "seal.c")},
        **{f"src/{name}": text for name, text in used.items()},
    }


def blob_bytes(contents: Contents, files: Mapping[str, str]) -> bytes | None:
    """The blob that the files of a package make, or None where ``why_uncounted`` says why there is none.

    Raises VerificationError where it does not build, or could not run at any address.
    """
    if why_uncounted(_program(contents)):
        return None
    board = _board(contents)
    with TemporaryFolder() as folder:
        here = Path(folder)
        write_files(here, files)
        linked = [_linked(contents, board, here, name, base) for name, base in BASES.items()]
    if linked[0] != linked[1]:
        raise VerificationError(f"{blob_name(contents)} holds addresses: it cannot run at any")
    return linked[0] + zlib.crc32(linked[0]).to_bytes(4, "little")


def _linked(contents: Contents, board: Board, here: Path, name: str, base: str) -> bytes:
    elf, image = f"{name}.elf", f"{name}.bin"
    command = [board.compiler, *_flags(board), *FLAGS, SOURCE, f"-Wl,--defsym=BASE={base}"]
    build_by([*command, *LINK, *board.libraries, "-o", elf], here, blob_name(contents))
    build_by([_objcopy(board), "-O", "binary", "-j", ".blob", elf, image], here, blob_name(contents))
    return (here / image).read_bytes()


def _program(contents: Contents) -> Program:
    if len(contents.programs) > 1:
        raise UsageError("--package blob: a blob holds one network", hint="Compile each by itself.")
    return contents.programs[0]


def _board(contents: Contents) -> Board:
    name = _program(contents).target.name
    board = BOARDS[PORTABLE_BOARD if name in ("portable", ALL.name) else name]
    if board.machine not in ("cortex-m", "riscv"):
        known = ", ".join(b.name for b in BOARDS.values() if b.machine in ("cortex-m", "riscv"))
        raise UsageError(f"--package blob: target {name!r} runs no code that is loaded", hint=f"Take one of {known}.")
    return board


def _flags(board: Board) -> list[str]:
    """What selects the part, without its FPU where that is no part of the vector unit: firmware may keep it off."""
    if board.machine != "cortex-m" or board.name == "cortex-m55":
        return list(board.flags)
    return [*(f for f in board.flags if not f.startswith(("-mfpu", "-mfloat-abi"))), "-mfloat-abi=soft"]


def _objcopy(board: Board) -> str:
    return board.compiler.removesuffix("gcc") + "objcopy"
