"""The tables of runtime_c and the figures about them are what the oracle computes with: `make golden` writes them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

from rnnc import fixed
from tests.support.tables import MARKED, F, blocks, both_signs, filled, from_zero, marked, with_table_bytes

ROOT = Path(__file__).resolve().parents[2]
PLACES = sorted(p for p in (*ROOT.glob("runtime_c/**/*.h"), *ROOT.glob("docs/*.md")) if "generated: " in p.read_text())
TYPED = re.compile(r"static const [^;={]*\[[^;={]*\] = \{")


@pytest.mark.parametrize("path", PLACES, ids=lambda p: p.name)
def test_what_is_generated_is_what_stands_there(path: Path) -> None:
    text = filled(path.read_text(), blocks())
    if os.environ.get("RNNC_UPDATE_GOLDEN"):
        path.write_text(text)
    assert path.read_text() == text, f"{path.relative_to(ROOT)} is out of date: make golden writes it"


def test_the_page_of_costs_has_these_tables_sizes() -> None:
    page = ROOT / "docs/performance.md"
    text = with_table_bytes(page.read_text())
    if os.environ.get("RNNC_UPDATE_GOLDEN"):
        page.write_text(text)
    assert page.read_text() == text, "docs/performance.md is out of date: make golden writes the column of tables"


def test_everything_that_is_generated_has_its_place() -> None:
    assert sorted(name for path in PLACES for name in marked(path.read_text())) == sorted(blocks())


@pytest.mark.parametrize("path", PLACES, ids=lambda p: p.name)
def test_every_mark_has_its_end(path: Path) -> None:
    assert path.read_text().count("generated: ") == len(marked(path.read_text()))


def test_no_table_is_typed() -> None:
    typed = [p.name for p in ROOT.glob("runtime_c/**/*.h") if TYPED.search(MARKED.sub("", p.read_text()))]
    assert not typed, "a table belongs between marks: tests/support/tables.py"


def test_the_lines_for_both_signs_give_the_oracles_bits() -> None:
    """Over every preactivation of a gate and beyond, as runtime_c/isa/dsp_curves.h looks them up."""
    sigmoid, tanh, slope = both_signs()
    p = np.arange(-(1 << 17), 1 << 17)
    for line, q, shift, oracle in ((sigmoid, p, F + 6, fixed.sigmoid), (tanh, 2 * p, F + 5, fixed.tanh)):
        zero = len(line) // 2
        k = np.clip(q >> F, -zero, zero - 1) + zero
        assert np.array_equal(line[k] + slope[k] * (q & ((1 << F) - 1)) >> shift, oracle(p))
        assert max(abs(line).max(), abs(line + slope * ((1 << F) - 1)).max()) < 2**31


def test_the_lines_from_zero_give_the_oracles_bits() -> None:
    """As runtime_c/isa/mve_curves.h looks them up; the shift to the left that is before the one to the right saturates."""
    sigmoid, tanh, slope = from_zero()
    p = np.arange(-(1 << 17), 1 << 17)
    for line, q, shift, oracle in ((sigmoid, p, F + 6, fixed.sigmoid), (tanh, 2 * p, F + 5, fixed.tanh)):
        k = (np.clip(q << 15, -(2**31), 2**31 - 1) >> F + 15) + len(line) // 2
        product = slope[k] * q
        assert np.array_equal(line[k] + product >> shift, oracle(p))
        assert max(abs(line).max(), abs(product).max(), abs(line[k] + product).max()) < 2**31
    assert slope[0] == slope[-1] == 0, "beyond the tables' ends the product is nothing"
