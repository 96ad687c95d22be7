"""Frama-C Eva over small networks: no undefined behaviour in a step, whatever the state and the input. More by ``make eva``."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import pytest

from assurance import eva
from tests.conftest import require


@pytest.mark.parametrize(("name", "machine"), list(zip(eva.QUICK, cycle(eva.MACHINES), strict=False)))
def test_a_step_has_no_undefined_behaviour(name: str, machine: str) -> None:
    require("frama-c")
    assert eva.run(f"{machine} {name}").failures == []


def test_an_index_past_the_end_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dense layer that reads one input more than there is."""
    require("frama-c")
    program, files = eva.packaged("dense-0")
    wrong = {n: t.replace("for (j = 0; j < n; j++)", "for (j = 0; j < n + 1; j++)") for n, t in files.items()}
    assert wrong != files
    monkeypatch.setattr(eva, "packaged", lambda name: (program, wrong))
    found, _ = eva.analyse("dense-0", "x86_32", tmp_path, eva.SLEVELS[0])
    assert any("out of bounds" in alarm.condition for alarm in found)
