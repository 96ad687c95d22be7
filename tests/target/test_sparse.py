"""Rows stored without their blocks of zeros, on the cores that have a kernel for them: bits, and what they save."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rnnc.backend.targets import TARGETS
from rnnc.options import Precision
from rnnc.verification.boards import BOARDS
from rnnc.verification.emulator import TargetMeasurement, measure
from tests.support.packages import package
from tests.support.pruned import dense, layers, quantized
from tests.target.test_targets import need

FASTER = {"cortex-m4": 1.5, "cortex-m55": 1.45, "rv32imc": 1.55}
"""A whole step of 256 rows and 96 columns, half of it zero, requantization and all."""


@pytest.mark.target
@pytest.mark.parametrize("board", FASTER)
def test_half_of_a_layer_s_blocks_left_out_is_as_much_faster(board: str, monkeypatch: pytest.MonkeyPatch) -> None:
    need(board)
    qnet = quantized(dense(256, 96, 0.5))
    program, files = package(qnet, target=board, steps=2)
    sparse = measure(program, files, BOARDS[board])
    monkeypatch.setitem(TARGETS, board, replace(TARGETS[board], sparse=None))
    whole = measure(*package(qnet, target=board, steps=2), BOARDS[board])
    assert sparse.equal and whole.equal
    assert whole.instructions and sparse.instructions
    assert whole.instructions.median > FASTER[board] * sparse.instructions.median
    assert program.cost.flash_weights < 0.72 * whole.footprint.weights
    if board == "cortex-m4":
        assert _rows(whole) > 1.6 * _rows(sparse)


def _rows(measured: TargetMeasurement) -> float:
    """Instructions of the rows' kernel alone."""
    return float(sum(n for name, n in measured.profile.items() if "rnnc_dsp" in name))


@pytest.mark.target
@pytest.mark.parametrize("precision", ["a16", "a8"])
@pytest.mark.parametrize("board", FASTER)
def test_the_bits_of_every_layer_are_the_oracle_s(board: str, precision: Precision) -> None:
    need(board)
    program, files = package(quantized(layers(), precision), target=board, steps=4)
    measured = measure(program, files, BOARDS[board])
    assert measured.equal and any(a.whole for a in program.arrays)
    assert measured.stack_bound is not None and measured.stack <= measured.stack_bound
