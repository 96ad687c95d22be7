"""Recurrent layers of random networks; ``LAYERS`` of nets.py draws from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnc.activations import RELU, SIGMOID, TANH, Activation
from rnnc.ops.gru import Gru
from rnnc.ops.lstm import Lstm
from rnnc.ops.rnn import Rnn
from rnnc.tracing import InitialState

if TYPE_CHECKING:
    from tests.support.nets import Sketch

Array = np.ndarray[Any, Any]


def lstm(s: Sketch) -> None:
    """LSTM."""
    n, h = s.name("lstm"), s.width()
    w, r, b = s.weights(4, h, s.size), s.weights(4, h, h), s.bias(4, h)
    c = InitialState(s.rng.uniform(-100, 100, h) if s.rng.random() < 0.2 else np.zeros(h), f"{n} c")
    s.add(Lstm(n, (s.value,), (f"{n}.y",), w, r, b, s.initial(h, f"{n} h"), c), h)


def _gru(s: Sketch, reset_after: bool) -> None:
    n, h = s.name("gru"), s.width()
    w, r, bx, bh = s.weights(3, h, s.size), s.weights(3, h, h), s.bias(3, h), s.bias(3, h)
    s.add(Gru(n, (s.value,), (f"{n}.y",), w, r, bx, bh, s.initial(h, f"{n} h"), reset_after), h)


def gru_after(s: Sketch) -> None:
    """GRU, linear_before_reset = 1."""
    _gru(s, reset_after=True)


def gru_before(s: Sketch) -> None:
    """GRU, linear_before_reset = 0."""
    _gru(s, reset_after=False)


def gru_relu(s: Sketch) -> None:
    """GRU with a ReLU candidate, whose state nothing bounds."""
    n, h = s.name("gru"), s.width()
    w, r, bx, bh = s.weights(3, h, s.size), s.weights(3, h, h) * 0.3, s.bias(3, h), s.bias(3, h)
    s.add(Gru(n, (s.value,), (f"{n}.y",), w, r, bx, bh, s.initial(h), bool(s.rng.integers(2)), (SIGMOID, RELU)), h)


def _contracting(r: Array) -> Array:
    """A recurrence that forgets, whatever the slope of an activation up to 1."""
    return np.asarray(r / max(1.0, 1.2 * float(np.abs(r).sum(-1).max())))


def _rnn(s: Sketch, activation: Activation, gain: float = 1.0, contracting: bool = False) -> None:
    n, h = s.name("rnn"), s.width()
    w, r, b = s.weights(h, s.size), s.weights(h, h) * gain, s.bias(h)
    r = _contracting(r) if contracting else r
    s.add(Rnn(n, (s.value,), (f"{n}.y",), w, r, b, s.initial(h, f"{n} h"), activation), h)


def rnn(s: Sketch) -> None:
    """RNN with tanh."""
    _rnn(s, TANH)


def rnn_relu(s: Sketch) -> None:
    """RNN with ReLU that forgets."""
    _rnn(s, RELU, 0.2)


def rnn_sigmoid(s: Sketch) -> None:
    """RNN with sigmoid."""
    _rnn(s, SIGMOID)


def _function(s: Sketch, names: Sequence[str]) -> Activation:
    """One of ONNX's activations, with parameters of its own."""
    return Activation(str(s.rng.choice(names)), float(s.rng.uniform(0.2, 1)), float(s.rng.uniform(0.2, 1)))


def rnn_other(s: Sketch) -> None:
    """RNN with another of ONNX's activations."""
    _rnn(
        s, _function(s, ("elu", "softsign", "scaledtanh", "leakyrelu", "softplus", "thresholdedrelu")), contracting=True
    )


def gru_other(s: Sketch) -> None:
    """GRU with other activations, and a clip half of the time."""
    n, h = s.name("gru"), s.width()
    w, r, bx, bh = s.weights(3, h, s.size), _contracting(s.weights(3, h, h)), s.bias(3, h), s.bias(3, h)
    functions = _function(s, ("sigmoid", "hardsigmoid")), _function(s, ("softsign", "scaledtanh", "elu"))
    clip, after = float(s.rng.choice([0.0, 2.5])), bool(s.rng.integers(2))
    s.add(Gru(n, (s.value,), (f"{n}.y",), w, r, bx, bh, s.initial(h), after, functions, clip), h)


def lstm_general(s: Sketch) -> None:
    """LSTM with a projection, and peepholes, coupled gates or a clip."""
    n, h, width = s.name("lstm"), s.width(), s.width()
    w, r, b = s.weights(4, h, s.size), s.weights(4, h, width), s.bias(4, h)
    peepholes = s.rng.standard_normal((3, h)) * 0.3 if s.rng.random() < 0.5 else None
    op = Lstm(
        n,
        (s.value,),
        (f"{n}.y",),
        w,
        r,
        b,
        s.initial(width),
        InitialState(np.zeros(h)),
        peepholes=peepholes,
        clip=float(s.rng.choice([0.0, 2.5])),
        coupled=bool(s.rng.integers(2)),
        projection=s.weights(width, h),
        projection_bias=np.zeros(width),
    )
    s.add(op, width)
