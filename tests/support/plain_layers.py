"""Layers of random networks whose states are plain arithmetic; ``LAYERS`` of nets.py draws from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from rnnc.activations import IDENTITY, RELU
from rnnc.net import Feedback, State
from rnnc.ops.add import Add
from rnnc.ops.affine import Affine
from rnnc.ops.along import Along
from rnnc.ops.clip import Clip
from rnnc.ops.curve import FUNCTIONS, Curve
from rnnc.ops.dense import Dense
from rnnc.ops.div import Div
from rnnc.ops.leaky_relu import LeakyRelu
from rnnc.ops.log import Log
from rnnc.ops.long_squash import LongSquash
from rnnc.ops.minmax import MinMax
from rnnc.ops.mul import Mul
from rnnc.ops.power import Power
from rnnc.ops.reduce import Reduce
from rnnc.ops.rnn import Rnn
from rnnc.ops.round import Round
from rnnc.tracing import Node

if TYPE_CHECKING:
    from tests.support.nets import Sketch


def average(s: Sketch) -> None:
    """A leaky sum of x within limits or with slopes, and what one of the ops that read all its bits makes of it."""
    _leak(s)
    if s.rng.random() < 0.5:
        _reduced(s)
    _scaled(s)
    x, shape = s.value, (s.size,)
    kind = str(s.rng.choice(["power", "log", "curve", "round"]))
    n = s.name(kind)
    y, gain, offset = (f"{n}.y",), np.ones(shape), np.full(shape, 0.5)
    if kind == "curve":
        m = s.name("leaky_relu")
        s.add(LeakyRelu(m, (x,), (f"{m}.y",), np.ones(1), -np.ones(1), shape), s.size)
        s.add(Curve(n, (s.value,), y, FUNCTIONS["Exp"](Node("", "Exp", "", (), ()))), s.size)
    elif kind == "round":
        s.add(Round(n, (x,), y, str(s.rng.choice(["Floor", "Ceil", "Round"])), shape), s.size)
    elif kind == "power":
        s.add(Power(n, (x,), y, 0.5, gain, offset, shape, "positive"), s.size)
    else:
        s.add(Log(n, (x,), y, gain, offset, shape), s.size)


def _scaled(s: Sketch) -> None:
    """x times x + 20, or x / (x + 20)."""
    x, shape, kind = s.value, (s.size,), "div" if s.rng.random() < 0.5 else "mul"
    n, a = s.name(kind), s.name("affine")
    s.add(Affine(a, (x,), (f"{a}.y",), np.ones(1), np.full(1, 20.0), shape, shape), s.size)
    make = Div if kind == "div" else Mul
    s.add(make(n, (x, s.value), (f"{n}.y",), (shape, shape), shape), s.size)


def _reduced(s: Sketch) -> None:
    """x + sqrt(sum over x)."""
    x, shape = s.value, (s.size,)
    what: Literal["sum", "l1"] = "sum" if s.rng.random() < 0.5 else "l1"
    n, a, power = s.name("reduce"), s.name("add"), s.name("power")
    s.add(Reduce(n, (x,), (f"{n}.y",), what, Along(1, s.size, 1), (), 1 / s.size), 1)
    s.add(Power(power, (s.value,), (f"{power}.y",), 0.5, np.ones(()), np.ones(()), (), "positive"), 1)
    s.add(Add(a, (x, s.value), (f"{a}.y",), (shape, (1,)), shape), shape[0])


def bent(s: Sketch) -> None:
    """``held' = f(leak held + gain x)``, f a logarithm or a curve."""
    _leak(s, ("log", "curve"))


def _leak(s: Sketch, kinds: tuple[str, ...] = ("clip", "leaky_relu", "minmax", "add")) -> None:
    """``held' = f(leak held + gain x)``, f one of those that keep 32 bits."""
    x, shape, held = s.value, (s.size,), f"held{len(s.feedback)}"
    pair, none = (shape, shape), np.zeros(1)
    leak, gain, n = s.name("affine"), s.name("affine") + "_x", s.name("add")
    s.add(Affine(leak, (held,), (f"{leak}.y",), s.rng.choice([0.5, 0.99, 0.999], s.size), none, shape, shape), s.size)
    s.add(Affine(gain, (x,), (f"{gain}.y",), s.rng.standard_normal(s.size), none, shape, shape), s.size)
    s.add(Add(n, (f"{leak}.y", f"{gain}.y"), (f"{n}.y",), pair, shape), s.size)
    kind = str(s.rng.choice(kinds))
    n = s.name(kind)
    if kind == "clip":
        s.add(Clip(n, (s.value,), (f"{n}.y",), -3.0, float(s.rng.uniform(1, 30))), s.size)
    elif kind == "log":
        s.add(Log(n, (s.value,), (f"{n}.y",), np.ones(shape), np.full(shape, 20.0), shape), s.size)
    elif kind == "curve":
        s.add(Curve(n, (s.value,), (f"{n}.y",), FUNCTIONS["Softplus"](Node("", "Softplus", "", (), ()))), s.size)
    elif kind == "leaky_relu":
        s.add(LeakyRelu(n, (s.value,), (f"{n}.y",), np.full(s.size, 0.3), np.ones(s.size), shape), s.size)
    elif kind == "minmax":
        s.add(MinMax(n, (s.value, x), (f"{n}.y",), pair, shape, smaller=bool(s.rng.integers(2))), s.size)
    s.feedback.append(Feedback(State(held, shape, s.initial(s.size).value), s.value))


def kept(s: Sketch) -> None:
    """``held' = held - z (held - x)``, z a sigmoid with all bits."""
    x, columns, shape, held = s.value, s.size, (s.size,), f"held{len(s.feedback)}"
    gate, z, less, apart, part, n = (s.name(k) for k in ("dense", "squash", "affine", "add", "mul", "add"))
    n, pair = f"{n}_new", (shape, shape)
    s.add(Dense(gate, (x,), (f"{gate}.y",), s.weights(columns, columns), np.full(columns, -7.0), shape), columns)
    s.add(LongSquash(z, (f"{gate}.y",), (f"{z}.y",), "sigmoid"), columns)
    s.add(Affine(less, (held,), (f"{less}.y",), -np.ones(1), np.zeros(1), shape, shape), columns)
    s.add(Add(apart, (x, f"{less}.y"), (f"{apart}.y",), pair, shape), columns)
    s.add(Mul(part, (f"{z}.y", f"{apart}.y"), (f"{part}.y",), pair, shape), columns)
    s.add(Add(n, (held, f"{part}.y"), (f"{n}.y",), pair, shape), columns)
    s.feedback.append(Feedback(State(held, shape, s.initial(columns).value), f"{n}.y"))


def linked(s: Sketch) -> None:
    """``held' = A held + W x``, A a rotation that forgets."""
    x, columns, h, held = s.value, s.size, s.width(), f"held{len(s.feedback)}"
    a, w, n, shape = s.name("dense"), s.name("dense") + "_x", s.name("add"), (h,)
    turn = np.linalg.qr(s.rng.standard_normal((h, h)))[0] * s.rng.choice([0.5, 0.99])
    s.add(Dense(a, (held,), (f"{a}.y",), turn, s.bias(h), shape), h)
    s.add(Dense(w, (x,), (f"{w}.y",), s.weights(h, columns), np.zeros(h), shape), h)
    s.add(Add(n, (f"{a}.y", f"{w}.y"), (f"{n}.y",), (shape, shape), shape), h)
    s.feedback.append(Feedback(State(held, shape, s.initial(h).value), f"{n}.y"))


def rnn_slow(s: Sketch) -> None:
    """An RNN of ReLU or linear units that forgets in a hundred steps."""
    n, columns, h = s.name("rnn"), s.size, s.width()
    function = RELU if s.rng.random() < 0.5 else IDENTITY
    turn = np.linalg.qr(s.rng.standard_normal((h, h)))[0] * 0.99
    layer = Rnn(n, (s.value,), (f"{n}.y",), s.weights(h, columns), turn, s.bias(h), s.initial(h), function)
    s.add(layer, h)
