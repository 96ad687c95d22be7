"""Networks made by hand and at random, without a model file.

A layer is a function of a ``Sketch`` that appends its ops to it; ``LAYERS`` is what random networks draw from, so a new
op joins every property test by one function here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import rnnc.ops  # noqa: F401  (registers the ops)
from rnnc.net import Net, Op, Output, QNet, Value
from rnnc.ops.dense import Dense
from rnnc.ops.gru import Gru
from rnnc.ops.lstm import Lstm
from rnnc.ops.rnn import Rnn
from rnnc.options import Options
from rnnc.quantization.calibrate import calibrate
from rnnc.quantization.certify import certify
from rnnc.quantization.quantize import quantize
from rnnc.tracing import InitialState

Array = np.ndarray[Any, Any]
WEIGHT_SPREADS = (0.0, 0.05, 0.3, 1.0, 3.0)


@dataclass
class Sketch:
    """A network being drawn: a chain whose last value is ``value`` of ``size`` elements."""

    rng: np.random.Generator
    size: int
    largest: int = 20
    value: str = "x"
    ops: list[Op] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)

    def weights(self, *shape: int) -> Array:
        """Normal weights by the fan-in, of one of a few spreads; now and then a row of zeros or one huge element."""
        spread = self.rng.choice(WEIGHT_SPREADS, p=(0.04, 0.2, 0.3, 0.4, 0.06))
        w = self.rng.standard_normal(shape) * spread / np.sqrt(max(1, shape[-1]))
        if self.rng.random() < 0.2:
            w[..., self.rng.integers(shape[-2]), :] = 0
        if self.rng.random() < 0.1:
            w.flat[self.rng.integers(w.size)] = 6.0
        return w

    def bias(self, *shape: int) -> Array:
        """Biases around 0, one in ten of them large."""
        b = self.rng.standard_normal(shape) * self.rng.choice([0.0, 0.1, 1.0])
        return np.where(self.rng.random(shape) < 0.1, b * 20, b)

    def width(self) -> int:
        """A layer's size, 1 included."""
        return int(self.rng.choice([1, 2, 3, self.rng.integers(4, self.largest + 1)]))

    def initial(self, size: int, alias: str = "") -> InitialState:
        """Zero, or learned, within +-1."""
        return InitialState(self.rng.uniform(-1, 1, size) if self.rng.random() < 0.4 else np.zeros(size), alias)

    def name(self, kind: str) -> str:
        """The next free op name of a kind."""
        return f"{kind}{sum(op.kind == kind for op in self.ops)}"

    def add(self, op: Op, size: int) -> None:
        """Append an op whose first output is the new end of the chain."""
        self.ops.append(op)
        self.value, self.size = op.outputs[0], size


Layer = Callable[[Sketch], None]


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


def rnn(s: Sketch) -> None:
    """RNN with tanh."""
    n, h = s.name("rnn"), s.width()
    s.add(Rnn(n, (s.value,), (f"{n}.y",), s.weights(h, s.size), s.weights(h, h), s.bias(h), s.initial(h, f"{n} h")), h)


def dense(s: Sketch) -> None:
    """Dense, with ReLU half of the time."""
    n, h = s.name("dense"), s.width()
    relu = bool(s.rng.integers(2))
    s.add(Dense(n, (s.value,), (f"{n}.y",), s.weights(h, s.size), s.bias(h), (h,), relu), h)


LAYERS: dict[str, Layer] = {f.__name__: f for f in (lstm, gru_after, gru_before, rnn, dense)}


def draw(seed: int, layers: Sequence[str] = (), columns: int = 0, largest: int = 20) -> Net:
    """A random network: the named layers in order, or one to three drawn from all.

    Args:
        columns: size of the input, 0 for any.
        largest: most units of a layer.
    """
    rng = np.random.default_rng(seed)
    s = Sketch(rng, 0, largest)
    s.size = columns or s.width()
    x = Value("x", (s.size,))
    chosen = layers or rng.choice(list(LAYERS), rng.integers(1, 4))
    for layer in chosen:
        LAYERS[layer](s)
    return Net(f"net{seed}", (x, *s.inputs), tuple(s.ops), (Output("y", s.value),))


def single(op: Op, columns: int = 1, outputs: Sequence[Output] = ()) -> Net:
    """A network of one op over the input x ``[columns]``."""
    return Net("one", (Value("x", (columns,)),), (op,), tuple(outputs) or (Output("y", op.outputs[0]),))


def noise(net: Net, steps: int, seed: int = 0, lanes: int = 1) -> dict[str, Array]:
    """Real inputs ``[steps, lanes, *shape]`` of unit variance, uniform row numbers."""
    rng = np.random.default_rng(seed)

    def values(v: Value) -> Array:
        shape = (steps, lanes, *v.shape)
        return rng.integers(0, v.rows, shape) if v.dtype == "index" else rng.standard_normal(shape)

    return {v.name: values(v) for v in net.inputs}


def integers(net: QNet, steps: int, seed: int = 0, lanes: int = 1) -> dict[str, Array]:
    """Integer inputs over all that the C type can hold, far beyond calibration; stretches held at the extremes."""
    rng = np.random.default_rng(seed)

    def values(v: Value) -> Array:
        shape = (steps, lanes, *v.shape)
        f = net.formats[v.name]
        if f.index:
            return rng.integers(0, f.hi + 1, shape)
        x = rng.integers(-32768, 32768, shape)
        kind = np.repeat(rng.integers(0, 6, (steps // 8 + 1, lanes)), 8, axis=0)[:steps]
        kind = kind.reshape(steps, lanes, *(1 for _ in v.shape))
        signs = np.where(rng.random(v.shape) < 0.5, -32768, 32767)
        x = np.where(kind == 0, -32768, np.where(kind == 1, 32767, np.where(kind == 2, signs, x)))
        return np.where(kind == 3, 0, np.where(kind == 4, x >> 8, x))

    return {v.name: values(v) for v in net.inputs}


def to_integers(
    net: Net,
    data: dict[str, Array] | None = None,
    options: Options = Options(),
    jitter: int = 0,  # noqa: B008
) -> QNet:
    """Calibrate on ``data`` (``[steps, lanes, *shape]``, None for none), quantize, and certify."""
    sequences = None if data is None else {k: [v[:, i] for i in range(v.shape[1])] for k, v in data.items()}
    qnet = quantize(net, calibrate(net, sequences, options), options, jitter)
    certify(qnet)
    return qnet


def draw_integers(seed: int, layers: Sequence[str] = ()) -> QNet:
    """A random network in integers: either profile, with calibration data or without."""
    net = draw(seed, layers)
    rng = np.random.default_rng(seed + 1_000_000)
    options = Options(precision="a8" if rng.random() < 0.4 else "a16")
    return to_integers(net, noise(net, 64, seed) if rng.random() < 0.6 else None, options)
