"""Clock cycles of one step, kept as instruction counts are: RV32 cores on RTL, AVR in its simulator, M4 estimated."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from rnnc.verification.boards import BOARDS
from rnnc.verification.cycles import Cycles
from rnnc.verification.emulator import measure, missing_tools
from rnnc.verification.rtl import CORES, TARGET, missing_parts, simulate_cycles
from tests.conftest import require
from tests.golden.test_instructions import ALLOWED, cells

GOLDEN = Path(__file__).with_name("cycles.json")
CASES: tuple[tuple[str, int, int, str, tuple[str, ...]], ...] = (
    ("lstm", 10, 20, "a16", ()),
    ("lstm", 32, 64, "a16", ()),
    ("gru", 16, 32, "a16", ("",)),
)
EMULATED = (*CASES, ("lstm", 32, 64, "a8", ()))
STEPS = 6
EACH_CHANGE = ("ibex", "vexriscv")
"""Cores that every run of the tests simulates; the others: make targets."""

__all__ = ["cells"]


def name_of(case: tuple[str, int, int, str, tuple[str, ...]]) -> str:
    cell, columns, hidden, precision, wide = case
    return f"{cell} {columns},{hidden} {precision}{', wide' if wide else ''}"


def compare(core: str, counted: dict[str, int]) -> None:
    """With the file, or into it; cycles that became fewer are a change as well."""
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("RNNC_UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps({**golden, core: counted}, indent=1, sort_keys=True) + "\n")
        return
    assert set(golden[core]) == set(counted)
    changed = {k: (golden[core][k], n) for k, n in counted.items() if abs(n / golden[core][k] - 1) > ALLOWED}
    assert not changed, f"cycles before and now: {changed}; accept with make golden"


@pytest.mark.target
@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in EACH_CHANGE else pytest.mark.slow) for n in CORES])
def test_cycles_of_a_step_on_rtl(name: str, cells: Any) -> None:
    core = CORES[name]
    for tool in [*missing_tools(BOARDS[TARGET]), *missing_parts(core)]:
        require(tool)
    counted = {}
    for case in CASES:
        program, files = cells.package(cells.cell_qnet(*case[:4], wide=case[4]), TARGET, STEPS)
        cycles = simulate_cycles(program, files, core)
        assert cycles.least <= cycles.median <= cycles.most and not cycles.estimate
        counted[name_of(case)] = cycles.most
    compare(name, counted)


@pytest.mark.target
@pytest.mark.parametrize("target", ["avr", "cortex-m4"])
def test_cycles_of_a_step_in_an_emulator(target: str, cells: Any) -> None:
    """Of AVR as its simulator counts them, of Cortex-M as estimated."""
    for tool in missing_tools(BOARDS[target]):
        require(tool)
    counted = {}
    for case in EMULATED:
        program, files = cells.package(cells.cell_qnet(*case[:4], wide=case[4]), target, STEPS)
        measured = measure(program, files, BOARDS[target])
        assert measured.equal and isinstance(measured.cycles, Cycles) and measured.instructions
        assert measured.cycles.most > measured.instructions.most
        assert measured.cycles.estimate == (target != "avr") == bool(measured.cycles.assumes)
        counted[name_of(case)] = measured.cycles.most
    compare(target, counted)
