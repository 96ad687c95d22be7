"""Operators outside the cells on cores with kernels of their own: vectors of four that do not divide the lengths, too."""

from __future__ import annotations

from typing import Any

import pytest

from rnnc.options import Options
from rnnc.qnet import QNet
from rnnc.verification.boards import BOARDS
from rnnc.verification.emulator import measure, missing_tools
from tests.conftest import require
from tests.support import sequences
from tests.support.graphs import Builder
from tests.support.nets import to_integers
from tests.support.operators import GROUPS, imported, model, quantized
from tests.support.packages import package

CORES = ("cortex-m55", "cortex-m4", "rv32imc")
STEPS = 10


def check(qnet: QNet, board: str) -> None:
    for tool in missing_tools(BOARDS[board]):
        require(tool)
    program, files = package(qnet, target=board, steps=STEPS)
    measured = measure(program, files, BOARDS[board])
    assert measured.equal, measured.failed_step


@pytest.mark.target
@pytest.mark.parametrize(("group", "board"), [("arithmetic", "cortex-m55"), *(("norms", core) for core in CORES)])
def test_pointwise_operators_and_norms(group: str, board: str) -> None:
    check(quantized(imported(model(GROUPS[group])), None), board)


@pytest.mark.target
@pytest.mark.parametrize(
    ("channels", "weights", "board"),
    [(6, "16", "cortex-m55"), (8, "8", "cortex-m55"), (6, "8", "cortex-m4"), (6, "16", "rv32imc")],
)
def test_convolutions_in_groups_of_one_channel_of_two_and_of_all(channels: int, weights: Any, board: str) -> None:
    def nodes(b: Builder, x: str) -> str:
        depthwise = b.op("Conv", x, b.const(b.weights(channels, 1, 3)), group=channels, pads=[2, 0])
        paired = b.op("Conv", x, b.const(b.weights(channels, 2, 2)), group=channels // 2, pads=[1, 0])
        return b.op("Conv", b.op("Add", depthwise, paired), b.const(b.weights(5, channels, 2)), pads=[1, 0])

    options = Options(weights=weights)
    check(to_integers(sequences.imported(sequences.over_time(nodes, channels)), None, options), board)
