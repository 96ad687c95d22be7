"""The C of a tiny network, kept: a change of what is generated is seen in review; `make golden` accepts it.

The weights are short binary fractions and there are no calibration data, so that the bytes are the same on any machine.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from rnnc.compiler import build
from rnnc.options import Options
from tests.support.models import recurrent

GOLDEN = Path(__file__).with_name("gru")
KEPT = ("tiny.h", "tiny.c", "tiny_state.c", "tiny_float.h")
COLUMNS, HIDDEN = 3, 4


def fractions(*shape: int) -> np.ndarray:
    """Multiples of 1/64 in -1..1 that look random."""
    return ((np.arange(np.prod(shape)) * 37 % 129) - 64).reshape(shape) / 64


def gru() -> bytes:
    """A GRU(3, 4)."""
    weights, recurrence = fractions(3 * HIDDEN, COLUMNS), fractions(3 * HIDDEN, HIDDEN)
    return recurrent("GRU", weights, recurrence, fractions(6 * HIDDEN), linear_before_reset=1)


@pytest.mark.parametrize("file", KEPT)
def test_what_is_generated_is_what_was_accepted(file: str) -> None:
    generated = build(gru(), None, Options(name="tiny"), verify=False).files[file]
    if os.environ.get("RNNC_UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / file).write_text(generated)
        return
    assert generated == (GOLDEN / file).read_text()
