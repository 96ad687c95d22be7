"""The examples' firmware prints the same on every emulated board, big-endian included."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.common import compile_network, find_task
from examples.firmware import run_firmware, target_of
from rnnc.verification.boards import BOARDS
from rnnc.verification.emulator import find_board, missing_tools
from tests.conftest import require

pytestmark = [pytest.mark.slow, pytest.mark.target]


@pytest.mark.parametrize("name", ["temperature", "policy", "heartbeat"])
@pytest.mark.parametrize("board", [b for b in BOARDS if b != "avr"])
def test_firmware(name: str, board: str, tmp_path: Path) -> None:
    for tool in missing_tools(find_board(board)):
        require(tool)
    task = find_task(name)
    package = compile_network(name, task.NETWORKS[0], target=target_of(board))
    assert run_firmware(name, package, board, tmp_path) == task.expected(package)
