"""Worked examples of textbooks and lecture notes, as tiny models through the float net, the oracle and the C."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rnnc
from rnnc.streams import run_net, run_qnet
from tests.support.models import recurrent
from tests.support.nets import Array, to_integers
from tests.support.packages import Built, package


def logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def check(model: bytes, x: Array, expected: Array, tmp_path: Path) -> None:
    """``x [steps]`` gives ``expected [steps]``: to 3 digits in float, to 3e-4 more in integers, the same bits in C."""
    net = rnnc.load_net(model)
    data = {"x": np.asarray(x, np.float64).reshape(-1, 1, *net.inputs[0].shape)}
    exact = run_net(net, data)["y"].ravel()
    assert np.round(exact, 3).tolist() == expected.tolist()

    qnet = to_integers(net, data)
    integers = {"x": qnet.formats["x"].quantize(data["x"])}
    answer = run_qnet(qnet, integers)["y"]
    assert np.abs(qnet.formats[qnet.outputs[0].value].dequantize(answer).ravel() - exact).max() < 3e-4

    c = Built(*package(qnet), tmp_path).new().run({"x": integers["x"][:, 0]})["y"]
    assert c.ravel().tolist() == answer.ravel().tolist()


def test_rnn(tmp_path: Path) -> None:
    model = recurrent("RNN", np.array([[2.0]]), np.array([[0.5]]), np.array([0.1, 0.0]))
    check(model, np.array([0.1, 0.2, 0.3]), np.array([0.291, 0.569, 0.755]), tmp_path)


def test_lstm(tmp_path: Path) -> None:
    gates = np.array([logit(0.6), logit(0.7), logit(0.4), np.arctanh(0.5)])
    zeros = np.zeros((4, 1))
    model = recurrent("LSTM", zeros, zeros, np.concatenate([gates, np.zeros(4)]), (np.zeros(1), np.ones(1)))
    check(model, np.array([1.0]), np.array([0.423]), tmp_path)


@pytest.mark.parametrize("reset_after", [0, 1])
def test_gru(reset_after: int, tmp_path: Path) -> None:
    """z = 0.3 is the weight of the candidate, so ONNX's z, the weight of the old state, is 0.7."""
    weights = np.array([[0.0], [0.0], [0.5]])
    bias = np.array([logit(0.7), 0.0, 0.0, 0.0, 0.0, 0.0])
    model = recurrent("GRU", weights, weights, bias, (np.array([0.8]),), linear_before_reset=reset_after)
    check(model, np.array([0.4]), np.array([0.674]), tmp_path)
    candidate = np.tanh(0.5 * 0.4 + 0.5 * 0.5 * 0.8)
    assert np.round(candidate, 3) == 0.380 and np.round(0.7 * 0.8 + 0.3 * candidate, 3) == 0.674
