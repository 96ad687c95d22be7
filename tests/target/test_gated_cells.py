"""Cells as a graph spells them out: one layer in C, or one loop behind the rows, and what a step costs on a Cortex-M4."""

from __future__ import annotations

import numpy as np
import pytest

import rnnc
from rnnc.verification.boards import BOARDS
from rnnc.verification.emulator import measure
from tests.support.graphs import Builder
from tests.support.imports import import_error, kinds
from tests.support.nets import noise, to_integers
from tests.support.packages import package
from tests.target.test_targets import need

COLUMNS, HIDDEN = 32, 64


def cell(resets: bool) -> bytes:
    """h' = (1 - f) h + f n with r = f (minimal gated unit), or h' = f h + (1 - f) n (JANET)."""
    b = Builder(0)

    def rows(h: str) -> str:
        weights, recurrence = (b.const(b.weights(n, HIDDEN, scale=0.1)) for n in (COLUMNS, HIDDEN))
        return b.op("Add", b.op("MatMul", "x", weights), b.op("MatMul", h, recurrence))

    f = b.op("Sigmoid", rows("h"))
    n = b.op("Tanh", rows(b.op("Mul", f, "h") if resets else "h"))
    rest = b.op("Sub", b.const(np.array(1.0)), f)
    kept, new = (rest, f) if resets else (f, rest)
    b.op("Add", b.op("Mul", kept, "h"), b.op("Mul", new, n), out="h_out")
    return b.model({"x": [1, COLUMNS], "h": [1, HIDDEN]}, [b.op("Identity", "h_out", out="y"), "h_out"])


@pytest.mark.target
@pytest.mark.parametrize(("resets", "most"), [(True, 22_000), (False, 27_000)], ids=["minimal", "janet"])
def test_instructions_of_a_step(resets: bool, most: int) -> None:
    need("cortex-m4")
    _, net = import_error(cell(resets))
    assert kinds(net) == ["gru"]
    measured = measure(*package(to_integers(net, noise(net, 64)), target="cortex-m4", steps=8), BOARDS["cortex-m4"])
    assert measured.equal and measured.instructions and measured.instructions.most <= most


@pytest.mark.target
def test_instructions_of_a_cell_that_no_layer_knows() -> None:
    """minGRU, h' = (1 - z) h + z n: behind the rows of z and n one loop, where each of six operators had one (26,000)."""
    need("cortex-m4")
    b = Builder(0)
    z, n = (b.op("MatMul", "x", b.const(b.weights(COLUMNS, HIDDEN, scale=0.1))) for _ in "zn")
    z, rest = b.op("Sigmoid", z), b.op("Sub", b.const(np.array(1.0)), b.op("Sigmoid", z))
    b.op("Add", b.op("Mul", rest, "h"), b.op("Mul", z, n), out="h_out")
    model = b.model({"x": [1, COLUMNS], "h": [1, HIDDEN]}, [b.op("Identity", "h_out", out="y"), "h_out"])
    net = rnnc.load_net(model)
    program, files = package(to_integers(net, noise(net, 64)), target="cortex-m4", steps=8)
    assert len(program.calls) == 3
    measured = measure(program, files, BOARDS["cortex-m4"])
    assert measured.equal and measured.instructions and measured.instructions.most <= 13_000
