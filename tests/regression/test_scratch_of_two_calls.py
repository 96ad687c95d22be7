"""A layer of two loops takes its operands into the same scratch: it is as large as the larger of them."""

from __future__ import annotations

import numpy as np
import pytest

from rnnc.backend.lower import lower
from rnnc.backend.targets import TARGETS
from rnnc.net import Net, Output, Value
from rnnc.ops.lstm import Lstm
from rnnc.tracing import InitialState
from tests.support.nets import to_integers


@pytest.mark.parametrize("width", [2, 14])
def test_an_lstm_whose_projection_is_narrower_or_wider_than_its_cell(width: int) -> None:
    rng = np.random.default_rng(0)
    hidden = 16 - width
    w, r, b = (rng.standard_normal((4, hidden, *n)) * 0.3 for n in ((1,), (width,), ()))
    zero, none = InitialState(np.zeros(width)), InitialState(np.zeros(hidden))
    layer = Lstm("lstm0", ("x",), ("y",), w, r, b, zero, none, projection=rng.standard_normal((width, hidden)) * 0.3)
    qnet = to_integers(Net("net", (Value("x", (1,)),), (layer,), (Output("y", "y"),)))
    for target in ("cortex-m4", "cortex-m0"):
        ctype, length = TARGETS[target].operand(14, 16)
        assert ctype == "int32_t" and lower(qnet, target).scratch["work32"] >= length
