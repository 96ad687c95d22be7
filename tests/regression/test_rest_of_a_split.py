"""A Split whose parts an unrolled loop takes, but for one: it once became the whole sequence."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.imports import import_error, kinds
from tests.support.unrolled import H, Unrolled, X

LIMIT, STEPS = 1e-5, 6


@pytest.mark.parametrize(("width", "rest"), [(1, 3), (2, 1)])
def test_what_the_loop_leaves_of_a_split_is_what_it_was(width: int, rest: int) -> None:
    """y: an RNN over parts of ``width`` steps; z: the sigmoid of the last ``rest`` steps."""
    b = Unrolled()
    sizes = [width] * STEPS + [rest]
    *parts, left = b.ops("Split", len(sizes), "x", b.const(np.array(sizes)), axis=1)
    h = b.const(np.zeros((1, H)))
    for part in parts:
        (a,) = b.gates(b.op("Reshape", part, b.fixed("flat", [1, width * X])), h, "h", columns=width * X)
        h = b.op("Tanh", a)
    content = b.model({"x": (1, sum(sizes), X)}, [b.op("Identity", h, out="y"), b.op("Sigmoid", left, out="z")])
    error, net = import_error(content)
    assert error < LIMIT
    assert "rnn" in kinds(net)
