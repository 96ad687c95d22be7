"""The most stack that a step can use, from the frames and calls that the target's own compiler reports."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from rnnc.backend.program import Program
from rnnc.errors import MissingTool, VerificationError
from rnnc.files import write_files
from rnnc.interruption import TemporaryFolder
from rnnc.verification.boards import BOARDS, PACKAGES
from rnnc.verification.footprint import reporting, stack_frames
from rnnc.verification.levels import COMPARED, LEVEL
from rnnc.verification.tools import run_tool


def stack_by_level(program: Program, files: Mapping[str, str], level: str) -> dict[str, int]:
    """Bytes of stack that a step can use by level of optimization, ``level`` first; raises as ``step_frames`` does."""
    levels = dict.fromkeys((level, *COMPARED))
    return {each: sum(step_frames(program, files, each).values()) for each in levels}


def step_frames(program: Program, files: Mapping[str, str], level: str = LEVEL) -> dict[str, int]:
    """Bytes of stack of ``NAME_step`` and of what it calls on the deepest path; their sum is what it can use.

    Args:
        level: of optimization.

    A target that names no part (portable) is built with this machine's gcc, whose frames are rather larger than a
    microcontroller's.

    Raises MissingTool without the target's compiler.
    """
    board = BOARDS.get(program.target.name, BOARDS["host"])
    if not shutil.which(board.compiler):
        hint = f"apt-get install {PACKAGES[board.compiler]}"
        raise MissingTool(
            f"{board.compiler} is not installed: it reports the stack for {program.target.name}", hint=hint
        )
    with TemporaryFolder() as folder:
        here, is_avr = Path(folder), board.machine == "avr"
        write_files(here, files)
        standard = "-std=gnu99" if is_avr else "-std=c99"
        command = [
            board.compiler,
            *board.flags,
            *board.includes,
            standard,
            level,
            *reporting(is_avr),
            "-I",
            ".",
            "-c",
            f"{program.name}.c",
        ]
        done = run_tool(command, here)
        frames = None if done.returncode else stack_frames(here, f"{program.name}_step", is_avr)
        if frames is None:
            raise VerificationError(f"{board.compiler} does not report the stack: {done.stderr.strip()[:300]}")
        return frames
