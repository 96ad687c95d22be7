"""Ranges that calibration or bounds once took too narrowly, or not at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnnc.activations import RELU
from rnnc.net import Net, Op, Output, Value
from rnnc.ops.along import Along
from rnnc.ops.argmax import ArgMax
from rnnc.ops.clip import Clip
from rnnc.ops.curve import FUNCTIONS
from rnnc.ops.dense import Dense
from rnnc.ops.lstm import Lstm
from rnnc.ops.reduce import Reduce
from rnnc.ops.rnn import Rnn
from rnnc.ops.running import Running
from rnnc.options import Options
from rnnc.qnet import QNet
from rnnc.streams import run_net, run_qnet
from rnnc.tracing import InitialState, Node
from tests.support.nets import Array, draw, integers, noise, to_integers


def worst(net: Net, qnet: QNet, x: Array) -> float:
    """The largest error of y over its largest value."""
    want = run_net(net, {"x": x})["y"]
    got = qnet.formats[qnet.outputs[0].value].dequantize(run_qnet(qnet, {"x": qnet.formats["x"].quantize(x)})["y"])
    return float(np.abs(got - want).max() / np.abs(want).max())


def single(op: Op, columns: int) -> Net:
    return Net("one", (Value("x", (columns,)),), (op,), (Output("y", op.outputs[0]),))


def test_a_cell_beyond_96_is_not_clipped() -> None:
    """150 steps up and 150 down end where they began: a cell that clips on its way forgets how far it went."""
    ones, zero = np.ones((4, 1, 1)), np.zeros((4, 1, 1))
    weights = ones * np.array([0, 0, 0, 8.0])[:, None, None]
    bias = np.array([20.0, 20.0, 20.0, 0.0])[:, None]
    start = InitialState(np.zeros(1))
    net = single(Lstm("lstm0", ("x",), ("h",), weights, zero, bias, start, start), 1)
    x = np.concatenate([np.ones((150, 1, 1)), -np.ones((147, 1, 1))])
    qnet = to_integers(net, {"x": x})
    y = qnet.formats["h"].dequantize(run_qnet(qnet, {"x": qnet.formats["x"].quantize(x)})["y"])
    assert y[-1, 0, 0] == pytest.approx(np.tanh(3.0), abs=0.01)


@pytest.mark.parametrize(
    "reader",
    [
        Clip("clip0", ("lstm0.y",), ("y",), -0.5, 0.5),
        ArgMax("argmax0", ("lstm0.y",), ("y",), Along(1, 6, 1), ()),
        Reduce("reduce0", ("lstm0.y",), ("y",), "max", Along(1, 6, 1), (), 1.0, 0.0),
    ],
)
def test_what_is_not_made_of_rows_reads_16_bits_in_a8(reader: Op) -> None:
    rng, start = np.random.default_rng(0), InitialState(np.zeros(6))
    weights, recurrence, bias = (rng.standard_normal(shape) / 2 for shape in ((4, 6, 3), (4, 6, 6), (4, 6)))
    lstm = Lstm("lstm0", ("x",), ("lstm0.y",), weights, recurrence, bias, start, start)
    net = Net("two", (Value("x", (3,)),), (lstm, reader), (Output("y", "y"),))
    assert to_integers(net, None, Options(precision="a8")).formats["lstm0.y"].bits == 16


def test_a_projected_state_has_room_for_what_its_rows_can_reach() -> None:
    """However quiet calibration was, no accumulator overflows at the extremes of the input."""
    net = draw(8, ("lstm_general",))
    (op,) = net.ops
    assert isinstance(op, Lstm) and op.projection is not None
    loud = replace(net, ops=(replace(op, projection=op.projection + 50.0),))
    qnet = to_integers(loud, {"x": noise(loud, 50)["x"] * 1e-4})
    run_qnet(qnet, integers(qnet, 200))


def test_a_layer_whose_units_are_all_dead() -> None:
    dense = Dense("dense0", ("x",), ("y",), np.ones((3, 2)), np.full(3, -100.0), (3,), relu=True)
    qnet = to_integers(single(dense, 2), {"x": np.random.default_rng(0).standard_normal((50, 1, 2))})
    assert not np.any(run_qnet(qnet, {"x": qnet.formats["x"].quantize(np.ones((5, 1, 2)))})["y"])
    run_qnet(qnet, integers(qnet, 200))


@pytest.mark.parametrize("data", [np.full((20, 1, 2), 1e-3), None])
def test_a_state_that_stays_at_zero(data: Array | None) -> None:
    rnn = Rnn("rnn0", ("x",), ("y",), np.zeros((3, 2)), np.zeros((3, 3)), np.zeros(3), InitialState(np.zeros(3)), RELU)
    qnet = to_integers(single(rnn, 2), None if data is None else {"x": data})
    y = qnet.formats["y"].dequantize(run_qnet(qnet, integers(qnet, 50))["y"])
    assert np.abs(y).max() < 1e-6


def test_rows_over_a_sum_that_nothing_bounds() -> None:
    sums = Running("running0", ("x",), ("s",), "sum", 2)
    dense = Dense("dense0", ("s",), ("y",), np.ones((1, 2)), np.zeros(1), (1,))
    net = Net("sums", (Value("x", (2,)),), (sums, dense), (Output("y", "y"),))
    x = np.abs(np.random.default_rng(0).standard_normal((80, 1, 2)))
    assert worst(net, to_integers(net, {"x": x}), x) < 2e-3


@pytest.mark.parametrize("name", ["Softplus", "Gelu", "Elu"])
def test_a_curve_of_what_nothing_bounds_has_no_bound(name: str) -> None:
    function = FUNCTIONS[name](Node("", name, "", (), ()))
    lo, hi = function.range(np.full(1, -np.inf), np.full(1, np.inf))
    assert hi == np.inf and np.isfinite(lo)


def test_a_channel_that_calibration_leaves_at_zero_has_room() -> None:
    dense = Dense("dense0", ("x",), ("y",), np.array([[1.0, 1.0]]), np.zeros(1), (1,))
    net = single(dense, 2)
    seen = np.random.default_rng(0).uniform(-1, 1, (100, 1, 2)) * [1.0, 0.0]
    qnet = to_integers(net, {"x": seen})
    x = np.array([[[0.0, 0.4]]])
    assert worst(net, qnet, x) < 2e-2
