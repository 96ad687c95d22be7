"""Layers that keep nearly all of their state: with gates of 15 fraction bits, 1 - f of 5e-5 had one or two levels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import rnnc
from rnnc.compiler import compile_stages
from rnnc.fixed import Floats
from rnnc.functions import LONG_MAX, long_sigmoid
from rnnc.ops.long_squash import QLongSquash
from rnnc.ops.units import QRecurrent
from rnnc.options import Options
from rnnc.qnet import QNet
from rnnc.streams import run_net, run_qnet
from tests.support.graphs import Builder
from tests.support.operators import check_c, quantized, sequence

X, H, STEPS = 3, 6, 1500


def test_a_long_sigmoid_is_within_a_thousandth_of_how_near_0_or_1_it_is() -> None:
    p = np.arange(-LONG_MAX, LONG_MAX + 1, 11)
    x, got = p / 2**15, long_sigmoid(p) / 2**30
    near = np.abs(x) < 12
    for ours, theirs in ((got, 1 / (1 + np.exp(-x))), (1 - got, 1 / (1 + np.exp(x)))):
        small = near & (theirs < 0.5)
        assert np.abs(ours[small] / theirs[small] - 1).max() < 1e-3
    assert np.abs(got - 1 / (1 + np.exp(-x))).max() < 4e-5 and got.min() >= 0 and got.max() <= 1


def gru(bias: float, reset_after: int) -> bytes:
    """h moves by a share of sigma(-bias) a step."""
    b = Builder()
    biases = np.zeros((1, 6 * H))
    biases[0, :H] = bias
    weights, recurrence = (b.const(b.weights(1, 3 * H, n, scale=0.4)) for n in (X, H))
    y = b.op("GRU", "x", weights, recurrence, b.const(biases), hidden_size=H, linear_before_reset=reset_after)
    b.op("Squeeze", y, b.const(np.array([1])), out="y")
    return b.model({"x": ["t", 1, X]}, ["y"])


def lstm(bias: float) -> bytes:
    """Chrono initialisation (Tallec and Ollivier 2018): forget gates of a bias, input gates of less it."""
    b = Builder()
    biases = np.zeros((1, 8 * H))
    biases[0, :H], biases[0, 2 * H : 3 * H] = -bias, bias
    weights, recurrence = (b.const(b.weights(1, 4 * H, n, scale=0.4)) for n in (X, H))
    y = b.op("LSTM", "x", weights, recurrence, b.const(biases), hidden_size=H)
    b.op("Squeeze", y, b.const(np.array([1])), out="y")
    return b.model({"x": ["t", 1, X]}, ["y"])


def arithmetic(qnet: QNet, data: dict[str, Floats]) -> float:
    """SQNR of the integers at the worst channel, against the same weights in float (dB)."""
    lanes = {k: np.moveaxis(v, 0, 1).astype(np.float64) for k, v in data.items()}
    want = run_net(qnet.dequantized(), lanes)["y"].reshape(STEPS, -1)
    integers = run_qnet(qnet, {k: qnet.formats[k].quantize(v) for k, v in lanes.items()})["y"]
    got = qnet.formats[qnet.outputs[0].value].dequantize(integers).reshape(STEPS, -1)
    return float((10 * np.log10(want.var(0) / ((got - want) ** 2).mean(0))).min())


@pytest.mark.parametrize(
    ("model", "least"),
    [
        (lambda: gru(9.0, 1), 45),
        (lambda: gru(9.0, 0), 45),
        (lambda: lstm(8.0), 45),
    ],
)
def test_a_layer_that_keeps_nearly_all_of_its_state_is_right(
    tmp_path: Path, model: Callable[[], bytes], least: float
) -> None:
    net = rnnc.load_net(model())
    data = sequence(net, steps=STEPS)
    qnet = quantized(net, data)
    assert [q.unit.long for q in qnet.ops if isinstance(q, QRecurrent)] == [True]
    assert arithmetic(qnet, data) > least
    check_c(qnet, tmp_path, 100)


def test_a_layer_that_takes_more_instructions_for_its_gates_is_told() -> None:
    told = [
        [n for n in rnnc.compile_model(gru(bias, 1), name="net", verify=False).notes if "30 fraction bits" in n]
        for bias in (4.0, 9.0)
    ]
    assert told[0] == [] and len(told[1]) == 1 and told[1][0].startswith("gru0 (GRU 3 -> 6")


def test_gates_that_do_not_need_it_have_15_fraction_bits_as_ever() -> None:
    net = rnnc.load_net(gru(4.0, 1))
    qnet = quantized(net, sequence(net, steps=300))
    assert [q.unit.long for q in qnet.ops if isinstance(q, QRecurrent)] == [False]


def minimal(bias: float) -> bytes:
    """h' = (1 - z) h + z tanh(W x), z = sigmoid(V x - bias), as a file spells it out."""
    b = Builder()
    gate = b.op("Gemm", "x", b.const(b.weights(X, H, scale=0.3)), b.const(np.full(H, -bias)))
    z, new = b.op("Sigmoid", gate), b.op("Tanh", b.op("MatMul", "x", b.const(b.weights(X, H))))
    kept = b.op("Mul", b.op("Sub", b.const(np.array(1.0)), z), "h")
    b.op("Add", kept, b.op("Mul", z, new), out="y")
    return b.model({"x": [1, X], "h": [1, H]}, ["y"])


def test_a_sigmoid_that_lets_little_into_a_state_of_plain_arithmetic_has_all_bits() -> None:
    data = {"x": np.random.default_rng(0).standard_normal((STEPS, X))}
    done = compile_stages(minimal(10.0), data, Options(states={"h": "y"}))
    (gate,) = (q for q in done.qnet.ops if q.op.kind == "squash" and q.formats[0].bits == 32)
    assert isinstance(gate, QLongSquash)
    assert arithmetic(done.qnet, {"x": data["x"][None]}) > 45
    usual = compile_stages(minimal(3.0), data, Options(states={"h": "y"}))
    assert not any(isinstance(q, QLongSquash) for q in usual.qnet.ops)
