"""Networks of every recurrent layer that has a finer form, in that form, or with gates of 30 fraction bits."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from rnnc.activations import SIGMOID
from rnnc.net import Net, Op, Output, Value
from rnnc.ops.gru import Gru
from rnnc.ops.lstm import Lstm
from rnnc.ops.rnn import Rnn
from rnnc.options import Options, Weights
from rnnc.qnet import QNet
from rnnc.quantization.calibrate import calibrate
from rnnc.quantization.certify import certify
from rnnc.quantization.quantize import quantize
from rnnc.tracing import InitialState
from tests.support.nets import Array


def layers(columns: int = 3, hidden: int = 5, seed: int = 0) -> Net:
    """An LSTM, GRUs that reset after and before, and RNNs of tanh and sigmoid behind each other."""
    rng, ops = np.random.default_rng(seed), list[Op]()
    zero = InitialState(np.zeros(hidden))

    def draw(*shape: int) -> Array:
        return rng.uniform(-1.5, 1.5, shape)

    def add(name: str, make: type[Op], gates: int, **more: Any) -> None:
        x, width = (ops[-1].outputs[0], hidden) if ops else ("x", columns)
        some = (gates,) if gates > 1 else ()
        given: dict[str, Any] = {
            "weights": draw(*some, hidden, width),
            "recurrence": draw(*some, hidden, hidden),
            "initial_h": zero,
        }
        ops.append(make(name, (x,), (f"h_{name}",), **given, **more))

    add("lstm0", Lstm, 4, bias=draw(4, hidden), initial_c=zero)
    for name, after in (("gru0", True), ("gru1", False)):
        add(name, Gru, 3, bias_x=draw(3, hidden), bias_h=draw(3, hidden), reset_after=after)
    add("rnn0", Rnn, 1, bias=draw(hidden))
    add("rnn1", Rnn, 1, bias=draw(hidden), activation=SIGMOID)
    return Net("layers", (Value("x", (columns,)),), tuple(ops), (Output("y", ops[-1].outputs[0]),))


@cache
def fine(weights: Weights = "16") -> QNet:
    """``layers`` with further fraction bits in all preactivations."""
    net, options = layers(), Options(weights=weights)
    qnet = quantize(net, calibrate(net, None, options), options, fine=frozenset(op.name for op in net.ops))
    certify(qnet)
    return qnet


@cache
def long_gates() -> QNet:
    """An LSTM and GRUs of ``layers`` that keep nearly all of their state."""
    found = list[Op]()
    for op in layers().ops[:3]:
        if isinstance(op, Lstm):
            found.append(replace(op, bias=op.bias + 9 * np.array([[-1.0], [0], [1], [0]])))
        elif isinstance(op, Gru):
            found.append(replace(op, bias_x=op.bias_x + 9 * np.array([[1.0], [0], [0]])))
    net = Net("layers", layers().inputs, tuple(found), (Output("y", found[-1].outputs[0]),))
    qnet = quantize(net, calibrate(net, None, Options()), Options())
    certify(qnet)
    return qnet
