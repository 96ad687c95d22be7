"""One small LSTM in every form that exporters give it: open or fixed time, batch first or not, its state inside or outside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import helper

from tests.support.models import Array, model

HIDDEN, FEATURES = 4, 3
_RNG = np.random.default_rng(7)
WEIGHTS = {
    "W": _RNG.standard_normal((1, 4 * HIDDEN, FEATURES)),
    "R": _RNG.standard_normal((1, 4 * HIDDEN, HIDDEN)),
    "B": _RNG.standard_normal((1, 8 * HIDDEN)),
    "D": _RNG.standard_normal((HIDDEN, 2)),
}


def small(
    time: int | str = "time",
    batch: int | str = 1,
    *,
    explicit: bool = False,
    last: bool = False,
    batch_first: bool = False,
    outputs: Sequence[str] = (),
) -> bytes:
    """``x [time, batch, 3]`` (``[batch, time, 3]``) through an LSTM and a linear layer to ``y``.

    Args:
        explicit: the state comes in as h, c and goes out as hn, cn.
        last: y ``[batch, 2]`` is of the last step, else ``[time, batch, 2]`` of each.
        outputs: the order of the outputs.
    """
    n = helper.make_node
    transposed = [n("Transpose", ["x"], ["xt"], perm=[1, 0, 2])] if batch_first else []
    states = ["h", "c"] if explicit else []
    nodes = [
        *transposed,
        n(
            "LSTM",
            ["xt" if batch_first else "x", "W", "R", "B", "", *states],
            ["Y", "hn", "cn"],
            hidden_size=HIDDEN,
            name="cell",
        ),
        n("Squeeze", ["hn" if last else "Y", "axis"], ["h_y"]),
        n("MatMul", ["h_y", "D"], ["y"]),
    ]
    state = [1, batch, HIDDEN]
    inputs: dict[str, Sequence[int | str]] = {"x": [batch, time, FEATURES] if batch_first else [time, batch, FEATURES]}
    given: dict[str, Sequence[int | str]] = {"y": [batch, 2] if last else [time, batch, 2]}
    if explicit:
        inputs |= {"h": state, "c": state}
        given |= {"hn": state, "cn": state}
    chosen = {name: given[name] for name in outputs or given}
    return model(nodes, inputs, chosen, {**WEIGHTS, "axis": np.array([0 if last else 1])})


def recording(steps: int = 50, seed: int = 0) -> Array:
    """``x [steps, 3]``."""
    return np.random.default_rng(seed).standard_normal((steps, FEATURES)).astype(np.float32)
