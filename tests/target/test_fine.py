"""Recurrent layers of the finer form, and those that keep nearly all of their state, on every target."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rnnc.backend.targets import TARGETS
from rnnc.qnet import QNet
from rnnc.verification.boards import BOARDS
from rnnc.verification.emulator import measure
from tests.support.fine import fine, long_gates
from tests.support.packages import package
from tests.target.test_targets import PLATFORMS, need


@pytest.mark.target
@pytest.mark.parametrize("layers", [fine, long_gates])
@pytest.mark.parametrize("board", PLATFORMS)
def test_the_bits_of_finer_layers_are_the_oracle_s(board: str, layers: Callable[[], QNet]) -> None:
    need(board)
    program, files = package(layers(), target=board if board in TARGETS else "portable", steps=6)
    measured = measure(program, files, BOARDS[board])
    assert measured.equal
    assert measured.stack_bound is None or not BOARDS[board].counts or measured.stack <= measured.stack_bound
