"""Cells whose state the graph itself feeds back, beside other layers: combinations that once ended in an internal error."""

from __future__ import annotations

import numpy as np

from rnnc.streams import run_qnet
from tests.support.nets import draw, integers, noise, to_integers


def test_a_recurrent_layer_reads_what_a_custom_cell_feeds_back() -> None:
    """Its operand is the 16-bit copy of an extended state: calibration knows it by the state's name."""
    net = draw(35, ("custom", "rnn"))
    qnet = to_integers(net, noise(net, 64, 1))
    assert any(name.endswith(".int16") for name in qnet.formats)


def test_a_custom_cell_behind_a_layer_that_skips_steps() -> None:
    """Calibration sees values that have no new tick at a step."""
    net = draw(53, ("stack", "custom"))
    qnet = to_integers(net, noise(net, 64, 1))
    data = integers(qnet, 41, 1)
    ticks = run_qnet(qnet, data)["y"]
    assert len(ticks) == 41 // net.values[net.outputs[0].value].clock.rate
    assert np.any(ticks != ticks[0])
