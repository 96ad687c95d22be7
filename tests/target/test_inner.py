"""Dual path on emulated parts: along the bands of a frame both ways, then over time with a state for each band."""

from __future__ import annotations

import pytest

import rnnc
from rnnc.verification.boards import BOARDS
from rnnc.verification.emulator import measure
from tests.support.bands import BANDS, HIDDEN, dual_path
from tests.support.operators import quantized, sequence
from tests.support.packages import package
from tests.target.test_targets import need

STEPS = 16


@pytest.mark.target
@pytest.mark.parametrize("board", ["cortex-m4", "cortex-m55", "avr", "rv32imc"])
def test_bits_ram_and_worst_step_of_a_dual_path(board: str) -> None:
    need(board)
    net = rnnc.load_net(dual_path(linear_before_reset=1))
    program, files = package(quantized(net, sequence(net, steps=STEPS)), target=board, steps=STEPS)
    measured = measure(program, files, BOARDS[board])
    assert measured.equal and measured.instructions
    assert program.cost.ram_state == BANDS * HIDDEN * (4 + 2), "a state of 32 bits, and its upper part, for each band"
    assert program.cost.ram_scratch <= 256
    assert measured.instructions.most < 1.05 * measured.instructions.least, "every step runs all bands"
    if board == "cortex-m4":
        assert measured.instructions.most <= 17_000
