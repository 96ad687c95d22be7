"""A board in the loop: the firmware that serves a network runs in an emulator, and a serial line leads to it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import rnnc
from rnnc.package import Package
from rnnc.verification.boards import BOARDS
from rnnc.verification.emulator import missing_tools
from rnnc.verification.on_board import run_on_board
from tests.conftest import require
from tests.support.board import PseudoBoard
from tests.support.packages import run
from tests.support.small import recording, small

CORES = [name for name, board in BOARDS.items() if board.counts]
AVR_SERIAL = Path(__file__).parents[1] / "support/avr_serial.c"
COUNTERS = {"cortex-m0": "TIMER0", "rv32imc": "mcycle", "xtensa": "CCOUNT", "avr": "Timer1"}
"""Of the emulated boards; the others have SysTick, as QEMU has no DWT."""


@cache
def compiled(target: str) -> Package:
    return rnnc.compile_model(small(), target=target, verify=False, name="fan")


def built(target: str, folder: Path) -> list[str | Path]:
    """The command that runs the firmware with its serial line on stdin and stdout."""
    board, image = BOARDS[target], folder / "serve.elf"
    for tool in ("make", *missing_tools(board)):
        require(tool)
    compiled(target).write(folder, "baremetal")
    run(["make", "serve.elf", f"CC={board.compiler} -Werror"], folder)
    if board.machine == "avr":
        run(["gcc", "-O2", AVR_SERIAL, "-o", "avr_serial", "-lsimavr", "-lelf"], folder)
        return [folder / "avr_serial", image]
    return [*("stdio" if word == "pty" else word for word in board.served), "-kernel", image]


@pytest.mark.target
@pytest.mark.parametrize("target", CORES)
def test_firmware_in_an_emulator_has_the_oracle_s_bits(target: str, tmp_path: Path) -> None:
    with PseudoBoard(built(target, tmp_path / "fan"), tmp_path) as device:
        found = run_on_board(compiled(target).program, {"x": [recording(20), recording(20, 1)]}, device)
    assert (found.steps, found.difference) == (40, "")
    assert found.counter == COUNTERS.get(target, "SysTick")
    assert min(found.ticks) > 0 and max(found.ticks) < 40 * np.median(found.ticks) and found.counts_cycles


@pytest.mark.target
@pytest.mark.parametrize("steps", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_line_that_damages_a_byte_in_a_hundred_gives_no_wrong_answer(steps: int, tmp_path: Path) -> None:
    noisy = PseudoBoard(built("cortex-m4", tmp_path / "fan"), tmp_path, noise=0.01, seed=1)
    with noisy as device:
        found = run_on_board(compiled("cortex-m4").program, {"x": [recording(steps)]}, device)
    assert (found.steps, found.difference) == (steps, "")
    assert all(n.damaged > steps / 10 for n in noisy.noise) and found.repeated > steps / 10
