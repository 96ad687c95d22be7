"""Formats that once did not hold what they had to."""

from __future__ import annotations

import numpy as np
import pytest

from rnnc.errors import Refused
from rnnc.net import Net, Op, Output, Value
from rnnc.ops.reverse import Reverse
from rnnc.ops.running import Running
from rnnc.ops.scale import Scale
from rnnc.ops.time_shift import TimeShift
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


@pytest.mark.parametrize(
    ("op", "window"),
    [
        (Reverse("reverse0", ("x",), ("y",), 40_000, 1), 40_000),
        (TimeShift("shift0", ("x",), ("y",), 0, 0, 1, 70_000), 0),
    ],
)
def test_more_steps_than_a_counter_of_16_bits_holds_are_refused(op: Op, window: int) -> None:
    """The C would have waited for a count that never comes."""
    kind = Output("y", "y", "window") if window else Output("y", "y")
    net = Net("long", (Value("x", (1,)),), (op,), (kind,), window=window)
    with pytest.raises(Refused, match=r"steps; (32767|65535) are supported"):
        to_integers(net, {"x": np.ones((70_000, 1, 1))})
