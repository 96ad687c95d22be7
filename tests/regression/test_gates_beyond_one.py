"""Gates that leave 0 .. 1: 1 - i of coupled gates reached 2 in a format that holds 1, and f c overflowed, certified."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnc.net import Net
from rnnc.streams import run_net, run_qnet
from tests.support.nets import to_integers
from tests.support.operators import check_c
from tests.support.recurrent import Layer, imported

INPUT = [-8.0, 8.0, 0.0, -8.0]


def coupled(gate: str) -> Net:
    """c += 1 + c as long as x is at its end: gates i o f c."""
    attributes = {"activations": [gate, "Tanh", "Tanh"], "input_forget": 1}
    return imported([Layer("LSTM", {"W": np.reshape(INPUT, (1, 4, 1)), "R": np.zeros((1, 4, 1))}, attributes)], 8)


def leaky() -> Net:
    """A GRU whose update gate nothing bounds: 1 - z reaches beyond what calibration sees."""
    attributes = {"activations": ["LeakyRelu", "Tanh"], "activation_alpha": [1.0], "linear_before_reset": 1}
    weights = np.reshape([8.0, 0.1, -8.0], (1, 3, 1))
    return imported([Layer("GRU", {"W": weights, "R": np.zeros((1, 3, 1))}, attributes)], 8)


@pytest.mark.parametrize("net", [coupled("ScaledTanh"), coupled("Softsign"), leaky()], ids=["tanh", "softsign", "gru"])
def test_nothing_overflows_whatever_comes(net: Net, tmp_path: Path) -> None:
    x = np.ones((64, 4, *net.inputs[0].shape)) * 0.05
    x[1::2] *= -1
    qnet = to_integers(net, {"X": x})
    extreme = np.full((40, 1, *net.inputs[0].shape), 32767)
    run_qnet(qnet, {"X": extreme})
    run_qnet(qnet, {"X": -extreme})
    check_c(qnet, tmp_path, 60)


def test_one_minus_i_has_room() -> None:
    net = coupled("ScaledTanh")
    x = np.random.default_rng(0).uniform(-0.1, 0.1, (200, 2, *net.inputs[0].shape))
    qnet = to_integers(net, {"X": x})
    want = run_net(net, {"X": x})
    name = net.outputs[0].name
    got = run_qnet(qnet, {"X": qnet.formats["X"].quantize(x)})[name]
    error = qnet.formats[qnet.outputs[0].value].dequantize(got) - want[name].reshape(got.shape)
    assert 10 * np.log10(np.var(want[name]) / np.mean(error**2)) > 40
