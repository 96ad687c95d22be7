"""Rows of int16 weights on every target, with every number of columns to spare, beside rows of int8."""

from __future__ import annotations

import pytest

from rnnc.backend.targets import TARGETS
from rnnc.options import Precision
from rnnc.verification.boards import BOARDS
from rnnc.verification.emulator import measure
from tests.support.packages import package
from tests.support.wide import lengthy, ragged, wide_functions
from tests.target.test_targets import PLATFORMS, need


@pytest.mark.target
@pytest.mark.parametrize(("board", "precision"), [*((board, "a16") for board in PLATFORMS), ("cortex-m55", "a8")])
def test_the_bits_are_the_oracle_s(board: str, precision: Precision) -> None:
    """Of an operand of 8 bits, too, where a target reads one as it is."""
    need(board)
    qnet = ragged(precision)
    assert len(wide_functions(qnet)) == len(qnet.ops) - sum(op.op.kind == "rescale" for op in qnet.ops)
    program, files = package(qnet, target=board if board in TARGETS else "portable", steps=6)
    measured = measure(program, files, BOARDS[board])
    assert measured.equal
    assert measured.stack_bound is None or not BOARDS[board].counts or measured.stack <= measured.stack_bound


@pytest.mark.target
@pytest.mark.parametrize("precision", ["a16", "a8"])
@pytest.mark.parametrize("columns", [256, 257, 600])
def test_rows_are_longer_than_the_sums_of_an_avr(columns: int, precision: Precision) -> None:
    need("avr")
    qnet = lengthy(columns, precision)
    assert len(wide_functions(qnet)) == 1
    program, files = package(qnet, target="avr", steps=3)
    assert measure(program, files, BOARDS["avr"]).equal
