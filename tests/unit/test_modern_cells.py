"""Cells of recent years: one step a file, copied for each frame, and in a Scan, each is one step with its states."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rnnc.net import Net
from tests.support.imports import import_error
from tests.support.modern import MODERN, copied_file, scanned_file, step_file
from tests.support.unrolled import X

LIMIT = 1e-5


def elements(net: Net) -> int:
    """Elements of all states."""
    return sum(s.initial.size for s in net.states())


@pytest.mark.parametrize("form", [step_file, copied_file, scanned_file])
@pytest.mark.parametrize("cell", MODERN)
def test_a_cell_in_each_form_is_one_step(cell: str, form: Callable[[str], bytes]) -> None:
    error, net = import_error(form(cell), steps=28)
    assert error < LIMIT
    assert [v.shape for v in net.inputs] == [(X,)] and net.outputs[0].kind == "stream"
    assert elements(net) > 0 and not net.window
