"""docs/edgemark.md: the rebuilt networks have the published numbers, and the page's figures are those of this build."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import require

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/edgemark.md").read_text()
APART = 0.02
"""What figures may differ by between compilers of the same major version."""


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return runpy.run_path(str(ROOT / "benchmarks/edgemark.py"), run_name="edgemark")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


def _numbers(line: str) -> list[float]:
    return [float(n.replace(",", "")) for n in re.findall(r"\d[\d,]*\.?\d*", line)]


def test_the_networks_have_the_published_parameters(script: dict[str, Any]) -> None:
    assert len(script["ROWS"]) == 6
    for row in script["ROWS"]:
        assert script["parameters"](script["net"](row).ops) == row.parameters
        assert f"| {row.name} | {row.parameters:,} |" in PAGE


@pytest.mark.target
def test_a_row_of_the_page_is_what_this_build_measures(script: dict[str, Any]) -> None:
    for tool in ("arm-none-eabi-gcc", "qemu-system-arm"):
        require(tool)
    (row,) = [r for r in script["ROWS"] if r.name == "GRU"]
    (told,) = [line for line in PAGE.splitlines() if line.startswith("| GRU |")]
    assert _numbers(script["line"](row)) == pytest.approx(_numbers(told), rel=APART)


@pytest.mark.target
def test_the_fastgrnn_s_cycles_are_what_simavr_counts(script: dict[str, Any]) -> None:
    for tool in ("avr-gcc", "simavr"):
        require(tool)
    (told,) = [line for line in PAGE.splitlines() if line.startswith("| rnnc, int8 weights")]
    assert _numbers(script["fast_line"]("8")) == pytest.approx(_numbers(told), rel=APART)
