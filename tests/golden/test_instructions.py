"""Instructions of one step, kept: a change above 1 % fails until `make golden` accepts it, and the commit explains it."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from rnnc.backend.targets import TARGETS
from rnnc.verification.boards import BOARDS
from rnnc.verification.emulator import measure, missing_tools
from tests.conftest import require
from tests.support.packages import package
from tests.support.pruned import dense, quantized

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).with_name("instructions.json")
CASES = (("lstm", 10, 20, "a16"), ("gru", 16, 32, "a16"), ("gru", 10, 20, "a8"), ("rnn", 16, 32, "a16"))
WIDE = ((0, ("",)), (0, ("c",)), (2, ("",)))
"""Of these cases with int16 weights: all, an LSTM's candidate."""
MEASURED = [name for name in TARGETS if name in BOARDS and BOARDS[name].instructions]
ALLOWED = 0.01
SPREAD = {"cortex-m0": 0.0}
"""How far the most instructions may be from the least, whatever the inputs: 2 % but where one count is promised."""
LOOSE = 1.25
"""How far the bound of the stack may be above what is used."""


@pytest.fixture(scope="module")
def cells() -> Any:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    return importlib.import_module("_cells")


@pytest.mark.target
@pytest.mark.parametrize("target", MEASURED)
def test_instructions_of_a_step(target: str, cells: Any) -> None:
    for tool in missing_tools(BOARDS[target]):
        require(tool)
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    counted = {}
    for case, wide in [*((case, ()) for case in CASES), *((CASES[i], wide) for i, wide in WIDE)]:
        cell, columns, hidden, precision = case
        program, files = cells.package(cells.cell_qnet(*case, wide=wide), target)
        measured = measure(program, files, BOARDS[target])
        assert measured.equal and measured.instructions
        least, most = measured.instructions.least, measured.instructions.most
        assert most - least <= SPREAD.get(target, 0.02) * least
        assert measured.stack_bound is not None
        if BOARDS[target].counts:  # under an operating system no stack is measured
            assert measured.stack <= measured.stack_bound <= LOOSE * measured.stack
        which = f", wide {' '.join(wide)}".rstrip() if wide else ""
        counted[f"{cell} {columns},{hidden} {precision}{which}"] = measured.instructions.most
    if TARGETS[target].sparse:
        measured = measure(*package(quantized(dense(256, 96, 0.5)), target=target, steps=2), BOARDS[target])
        assert measured.equal and measured.instructions
        counted["dense 96,256 a16, half of its blocks zero"] = measured.instructions.most
    if os.environ.get("RNNC_UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps({**golden, target: counted}, indent=1, sort_keys=True) + "\n")
        return
    assert set(golden[target]) == set(counted)
    changed = {k: (golden[target][k], n) for k, n in counted.items() if abs(n / golden[target][k] - 1) > ALLOWED}
    assert not changed, f"instructions before and now: {changed}; accept with make golden"
