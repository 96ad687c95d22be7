"""Recurrent layers of the finer form on every target."""

from __future__ import annotations

import pytest

from rnnc.backend.targets import TARGETS
from rnnc.verification.boards import BOARDS
from rnnc.verification.emulator import measure
from tests.support.fine import fine
from tests.support.packages import package
from tests.target.test_targets import PLATFORMS, need


@pytest.mark.target
@pytest.mark.parametrize("board", PLATFORMS)
def test_the_bits_of_finer_layers_are_the_oracle_s(board: str) -> None:
    need(board)
    program, files = package(fine(), target=board if board in TARGETS else "portable", steps=6)
    measured = measure(program, files, BOARDS[board])
    assert measured.equal
    assert measured.stack_bound is None or not BOARDS[board].counts or measured.stack <= measured.stack_bound
