"""Formats that once did not hold what they had to."""

from __future__ import annotations

import numpy as np

from rnnc.net import Net, Output, Value
from rnnc.ops.running import Running
from rnnc.ops.scale import Scale
from rnnc.options import Options
from rnnc.streams import run_qnet
from tests.support.nets import to_integers


def test_a_sum_of_values_far_below_their_format() -> None:
    """Its LSB is never finer than the input's: the multiplier of 15 bits cannot enlarge."""
    sums = Running("running0", ("x",), ("s",), "sum", 1)
    table = Scale("scale0", ("s",), ("y",), np.ones(1))
    net = Net("tiny", (Value("x", (1,)),), (sums, table), (Output("y", "y"),))
    x = np.full((4, 1, 1), 1e-4)
    qnet = to_integers(net, {"x": x}, Options(input_range={"x": (-1.0, 1.0)}))
    integers = qnet.formats["x"].quantize(x)
    y = qnet.formats[qnet.outputs[0].value].dequantize(run_qnet(qnet, {"x": integers})["y"])
    seen = np.cumsum(qnet.formats["x"].dequantize(integers), 0)
    assert np.abs(y - seen).max() <= 2 * qnet.formats["x"].scale[0]
