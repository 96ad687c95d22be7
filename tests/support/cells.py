"""Recurrent layers of random networks; ``LAYERS`` of nets.py draws from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnc.activations import RELU, SIGMOID, TANH, Activation
from rnnc.ops.cells import Reset
from rnnc.ops.dense import Dense
from rnnc.ops.gru import Gru
from rnnc.ops.inner import Inner
from rnnc.ops.lstm import Lstm
from rnnc.ops.rnn import Rnn
from rnnc.ops.squash import Squash
from rnnc.ops.start import Started
from rnnc.tracing import InitialState

if TYPE_CHECKING:
    from tests.support.nets import Sketch

Array = np.ndarray[Any, Any]


def _starts(h: int) -> bool:
    """Whether a layer of so many units starts from computed states: one in four does."""
    return h % 4 == 0


def _started(s: Sketch, layer: Gru | Lstm, given: Sequence[str]) -> None:
    """The layer, its h started from a tanh and its c from a Dense of its first input."""
    n, x, h = s.name("started"), s.value, layer.hidden
    rng = np.random.default_rng(h)
    starts = []
    for state in given:
        d = s.name("dense")
        weights, bias = rng.standard_normal((h, s.size)), rng.standard_normal(h)
        s.ops.append(Dense(d, (x,), (f"{d}.y",), weights, bias, (h,)))
        starts.append(f"{d}.y")
        if state == "h":
            q = s.name("squash")
            s.ops.append(Squash(q, (f"{d}.y",), (f"{q}.y",), "tanh"))
            starts[-1] = f"{q}.y"
    s.add(Started(n, (x, *starts), (f"{n}.y",), layer, tuple(given)), h)


def lstm(s: Sketch) -> None:
    """LSTM, now and then with initial states that are computed."""
    n, h = s.name("lstm"), s.width()
    w, r, b = s.weights(4, h, s.size), s.weights(4, h, h), s.bias(4, h)
    c = InitialState(s.rng.uniform(-100, 100, h) if s.rng.random() < 0.2 else np.zeros(h), f"{n} c")
    layer = Lstm(n, (s.value,), (f"{n}.y",), w, r, b, s.initial(h, f"{n} h"), c)
    if _starts(h):
        zero = InitialState(np.zeros(h))
        _started(s, replace(layer, initial_h=zero, initial_c=zero), ("h", "c"))
    else:
        s.add(layer, h)


def inner(s: Sketch) -> None:
    """A small layer on bands of a frame with a state each, or along an axis of it."""
    d, n, kept = s.name("dense"), s.name("inner"), bool(s.rng.integers(2))
    columns, h, bands, count = (int(s.rng.integers(1, most)) for most in (5, 5, 4, 4))
    bands, count = max(bands, 2), 1 if kept else count
    size = bands * count * columns
    s.add(Dense(d, (s.value,), (f"{d}.y",), s.weights(size, s.size), s.bias(size), (size,)), size)
    start = s.initial(bands * h if kept else h, f"{n} h" if kept else "")
    if not kept:
        start = replace(start, value=np.tile(start.value, bands))
    layer: Rnn | Gru | Lstm
    if count == 2:
        layer = Rnn("", ("",), ("",), s.weights(h, columns), s.weights(h, h), s.bias(h), start)
    elif count == 3:
        w, r, b = s.weights(4, h, columns), s.weights(4, h, h), s.bias(4, h)
        layer = Lstm("", ("",), ("",), w, r, b, start, InitialState(np.zeros(bands * h)))
    else:
        w, r, bx, bh = s.weights(3, h, columns), s.weights(3, h, h), s.bias(3, h), s.bias(3, h)
        layer = Gru("", ("",), ("",), w, r, bx, bh, start, bool(s.rng.integers(2)))
    first = bool(s.rng.integers(2))
    s.add(Inner(n, (s.value,), (f"{n}.y",), layer, bands, count, kept, first), bands * count * h)


def _reset(h: int) -> Reset:
    """What resets a GRU of so many units: few have no reset gate of their own."""
    others: dict[int, Reset] = {1: "z", 2: "1 - z", 3: "none"}
    return others.get(h % 7, "own")


def _gru(s: Sketch, reset_after: bool) -> None:
    n, h = s.name("gru"), s.width()
    w, r, bx, bh = s.weights(3, h, s.size), s.weights(3, h, h), s.bias(3, h), s.bias(3, h)
    reset = _reset(h)
    if reset != "own":
        w, r, bx, bh = (a[[0, 2]] for a in (w, r, bx, bh))
    layer = Gru(n, (s.value,), (f"{n}.y",), w, r, bx, bh, s.initial(h, f"{n} h"), reset_after, reset=reset)
    if _starts(h):
        _started(s, replace(layer, initial_h=InitialState(np.zeros(h))), ("h",))
    else:
        s.add(layer, h)


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
