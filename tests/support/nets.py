"""Networks made by hand and at random, without a model file.

A layer is a function of a ``Sketch`` that appends its ops to it; ``LAYERS`` is what random networks draw from, so a new
op joins every property test by one function here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count
from typing import Any

import numpy as np

import rnnc.ops  # noqa: F401  (registers the ops)
from rnnc.errors import Refused
from rnnc.net import Feedback, Net, Op, Output, Value
from rnnc.ops.add import Add
from rnnc.ops.affine import Affine
from rnnc.ops.along import Along
from rnnc.ops.conv import Conv
from rnnc.ops.delay import Delay
from rnnc.ops.dense import Dense
from rnnc.ops.embedding import Embedding
from rnnc.ops.geometry import Axis, Geometry
from rnnc.ops.minmax import MinMax
from rnnc.ops.mul import Mul
from rnnc.ops.norm import Norm
from rnnc.ops.softmax import Softmax
from rnnc.ops.squash import Squash
from rnnc.options import Options
from rnnc.qnet import QNet
from rnnc.quantization.calibrate import calibrate
from rnnc.quantization.centre import centre_inputs, centre_outputs
from rnnc.quantization.certify import certify
from rnnc.quantization.quantize import quantize
from rnnc.tracing import InitialState
from tests.support.cells import (
    gru_after,
    gru_before,
    gru_other,
    gru_relu,
    inner,
    lstm,
    lstm_general,
    rnn,
    rnn_other,
    rnn_relu,
    rnn_sigmoid,
)
from tests.support.frames import (
    along_frame,
    backward,
    custom,
    depthwise,
    of_window,
    pool,
    rearranged,
    running,
    shift,
    stack,
    window_dense,
)
from tests.support.plain_layers import average, bent, kept, linked, rnn_slow
from tests.support.pointwise import (
    curve,
    decision,
    gate,
    leaky_relu,
    magnitude,
    product,
    reduced,
    softmax_pool,
    stepped,
)
from tests.support.rare_layers import at_positions, edges, placed

Array = np.ndarray[Any, Any]
REFUSED = 10_000_000
"""From the seed of a network that is refused to that of the next."""
SHORT_WINDOW = 9
WEIGHT_SPREADS = (0.0, 0.05, 0.3, 1.0, 3.0)


@dataclass
class Sketch:
    """A network being drawn: a chain whose last value is ``value`` of ``size`` elements."""

    rng: np.random.Generator
    size: int
    largest: int = 20
    value: str = "x"
    x: Value = field(default=Value("x", ()))
    ops: list[Op] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)
    window: int = 0
    """Steps of a window, 0 for an endless stream."""

    def weights(self, *shape: int) -> Array:
        """Normal weights by the fan-in, of one of a few spreads; now and then a row of zeros or one huge element."""
        spread = self.rng.choice(WEIGHT_SPREADS, p=(0.04, 0.2, 0.3, 0.4, 0.06))
        w = self.rng.standard_normal(shape) * spread / np.sqrt(max(1, shape[-1]))
        if self.rng.random() < 0.2:
            w[..., self.rng.integers(shape[-2]), :] = 0
        if self.rng.random() < 0.1:
            w.flat[self.rng.integers(w.size)] = 6.0
        return np.asarray(w)

    def bias(self, *shape: int) -> Array:
        """Biases around 0, one in ten of them large."""
        b = self.rng.standard_normal(shape) * self.rng.choice([0.0, 0.1, 1.0])
        return np.asarray(np.where(self.rng.random(shape) < 0.1, b * 20, b))

    def width(self) -> int:
        """A layer's size, 1 included."""
        return int(self.rng.choice([1, 2, 3, int(self.rng.integers(4, self.largest + 1))]))

    def initial(self, size: int, alias: str = "") -> InitialState:
        """Zero, or learned, within +-1."""
        return InitialState(self.rng.uniform(-1, 1, size) if self.rng.random() < 0.4 else np.zeros(size), alias)

    def name(self, kind: str) -> str:
        """The next free name of ops that are called ``kind``."""
        return f"{kind}{sum(op.name.rstrip('0123456789') == kind for op in self.ops)}"

    def add(self, op: Op, size: int) -> None:
        """Append an op whose first output is the new end of the chain."""
        self.ops.append(op)
        self.value, self.size = op.outputs[0], size


Layer = Callable[[Sketch], None]


def dense(s: Sketch) -> None:
    """Dense, with ReLU half of the time."""
    n, h = s.name("dense"), s.width()
    relu = bool(s.rng.integers(2))
    s.add(Dense(n, (s.value,), (f"{n}.y",), s.weights(h, s.size), s.bias(h), (h,), relu), h)


def conv(s: Sketch) -> None:
    """Conv over time: any kernel, dilation, stride and padding, look-ahead included."""
    n, h = s.name("conv"), s.width()
    kernel, dilation = int(s.rng.integers(1, 4)), int(s.rng.integers(1, 3))
    span = (kernel - 1) * dilation
    before = int(s.rng.integers(0, span + 1))
    time = Axis(kernel, int(s.rng.choice([1, 1, 2])), dilation, before, int(s.rng.choice([0, span - before])))
    weights = s.weights(h, kernel * s.size).reshape(h, kernel, s.size, 1, 1)
    geometry, relu = Geometry(channels=s.size, time=time), bool(s.rng.integers(2))
    s.add(Conv(n, (s.value,), (f"{n}.y",), weights, s.bias(h), geometry, 1, (h,), relu), h)


def squash(s: Sketch) -> None:
    """Dense and a sigmoid or tanh of its own."""
    dense(s)
    n = s.name("squash")
    s.add(Squash(n, (s.value,), (f"{n}.y",), "tanh" if s.rng.integers(2) else "sigmoid"), s.size)


def softmax(s: Sketch) -> None:
    """Softmax or log softmax."""
    n = s.name("softmax")
    s.add(Softmax(n, (s.value,), (f"{n}.y",), Along(1, s.size, 1), bool(s.rng.integers(2))), s.size)


def norm(s: Sketch) -> None:
    """LayerNorm, or RMS norm."""
    n = s.name("norm")
    gain, offset = s.rng.uniform(0.5, 2, (1, s.size)), s.rng.uniform(-1, 1, (1, s.size))
    centred = bool(s.rng.integers(2)) and s.size > 1
    op = Norm(n, (s.value,), (f"{n}.y",), Along(1, s.size, 1), gain, offset, (s.size,), 1e-5, centred)
    s.add(op, s.size)


def residual(s: Sketch) -> None:
    """x + Dense(x), or x times it, or the larger or smaller of the two."""
    x, size = s.value, s.size
    n = s.name("dense")
    s.add(Dense(n, (x,), (f"{n}.y",), s.weights(size, size), s.bias(size), (size,)), size)
    make: list[Callable[[str, str], Op]] = [
        lambda k, y: Add(k, (x, s.value), (y,), ((size,), (size,)), (size,), bool(s.rng.integers(2))),
        lambda k, y: Mul(k, (x, s.value), (y,), ((size,), (size,)), (size,)),
        lambda k, y: MinMax(k, (x, s.value), (y,), ((size,), (size,)), (size,), bool(s.rng.integers(2))),
    ]
    kind = int(s.rng.integers(3))
    n = s.name(("add", "mul", "minmax")[kind])
    s.add(make[kind](n, f"{n}.y"), size)


def skip(s: Sketch) -> None:
    """x, delayed, plus a Conv of it that looks ahead."""
    x, size, ahead = s.value, s.size, int(s.rng.integers(1, 4))
    n, d, a = s.name("conv"), s.name("delay"), s.name("add")
    weights = s.weights(size, (ahead + 1) * size).reshape(size, ahead + 1, size, 1, 1)
    geometry = Geometry(channels=size, time=Axis(ahead + 1, before=0, after=ahead))
    s.add(Conv(n, (x,), (f"{n}.y",), weights, s.bias(size), geometry, 1, (size,)), size)
    s.add(Delay(d, (x, f"{n}.y"), (f"{d}.y",), ahead, size), size)
    s.add(Add(a, (f"{n}.y", f"{d}.y"), (f"{a}.y",), ((size,), (size,)), (size,)), size)


def affine(s: Sketch) -> None:
    """A gain and an offset for each element, and a clip."""
    n = s.name("affine")
    gain, offset = s.rng.standard_normal(s.size), s.rng.standard_normal(s.size)
    s.add(Affine(n, (s.value,), (f"{n}.y",), gain, offset, (s.size,), (s.size,), -2.0, 3.0), s.size)


LAYERS: dict[str, Layer] = {
    f.__name__: f
    for f in (
        *(lstm, lstm_general, gru_after, gru_before, gru_relu, gru_other),
        *(rnn, rnn_relu, rnn_sigmoid, rnn_other),
        *(dense, conv, squash, softmax, norm, residual, skip, affine),
        *(curve, leaky_relu, gate, magnitude, reduced, decision, stepped),
        *(pool, depthwise, along_frame, shift, stack, running, rearranged, custom),
        *(backward, window_dense),
        *(average, linked, rnn_slow, bent),
        *(product, softmax_pool),
    )
}
NAMED: dict[str, Layer] = {
    "inner": inner,
    "edges": edges,
    "placed": placed,
    "at_positions": at_positions,
    "kept": kept,
}
"""Layers that a network has only where it is asked for them."""
ENDS = {"backward": -1, "window_dense": 1}
"""Layers that come before or behind all others."""
RECURRENT = ("lstm", "gru_after", "gru_before", "rnn")


def embedded(s: Sketch) -> Value:
    """Let the input be row numbers, looked up in a table."""
    rows = int(s.rng.integers(2, 40))
    table = s.weights(rows, s.size)
    s.add(Embedding("embedding0", ("x",), ("embedding0.y",), table, (s.size,)), s.size)
    return Value("x", (), "index", rows=rows)


def draw(
    seed: int | np.random.Generator,
    layers: Sequence[str] = (),
    columns: int = 0,
    largest: int = 20,
    rows: bool | None = None,
) -> Net:
    """A random network: the named layers in order, or one to three drawn from all.

    Args:
        columns: size of the input, 0 for any.
        largest: most units of a layer.
        rows: whether the input is a row number, None for one in ten networks whose layers are drawn.
    """
    rng = np.random.default_rng(seed)
    s = Sketch(rng, 0, largest)
    s.size = columns or s.width()
    if rows is None:
        rows = not layers and rng.random() < 0.1
    x = embedded(s) if rows else Value("x", (s.size,))
    s.x = x
    chosen = layers or rng.choice(list(LAYERS), rng.integers(1, 4))
    for layer in sorted(chosen, key=lambda layer: ENDS.get(layer, 0)):
        (LAYERS | NAMED)[layer](s)
    name = f"net{seed}" if isinstance(seed, int) else "net"
    net = Net(name, (x,), tuple(s.ops), (Output("y", s.value),), tuple(s.feedback))
    if not s.window:
        return net
    hop = int(np.random.default_rng(seed).integers(1, 2 * s.window))
    net = replace(net, window=s.window, outputs=(of_window(net, s.window),))
    return replace(net, hop=hop) if hop < s.window else net


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
    net: Net, data: dict[str, Array] | None = None, options: Options | None = None, jitter: int = 0
) -> QNet:
    """Calibrate on ``data`` (``[steps, lanes, *shape]``, None for none), quantize, and certify."""
    options = options or Options()
    sequences = None if data is None else {k: [v[:, i] for i in range(v.shape[1])] for k, v in data.items()}
    net = centre_inputs(net, sequences, options)
    net, ranges = centre_outputs(net, calibrate(net, sequences, options), options)
    qnet = quantize(net, ranges, options, jitter)
    certify(qnet)
    return qnet


def draw_integers(seed: int, layers: Sequence[str] = ()) -> QNet:
    """A random network in integers: either profile, with calibration data or without; another one where it is refused."""
    return _drawn(seed, tuple(layers))


@cache
def _drawn(seed: int, layers: tuple[str, ...]) -> QNet:
    for again in range(seed, seed + 5 * REFUSED, REFUSED):
        net = draw(again, layers)
        rng = np.random.default_rng(again + 1_000_000)
        options = Options(precision="a8" if rng.random() < 0.4 else "a16")
        try:
            return to_integers(net, noise(net, 64, again) if rng.random() < 0.6 else None, options)
        except Refused:
            continue
    raise AssertionError(f"networks of {layers or 'any layers'} are refused five times in a row")


def in_windows(layers: tuple[str, ...], hop: int = 0, columns: int = 0) -> QNet:
    """A random network that answers windows; ``hop`` 0 for one after the other."""
    for seed in count():
        net = draw(seed, layers, columns, 6)
        with suppress(Refused, AssertionError):
            net = replace(net, window=SHORT_WINDOW, hop=hop, outputs=(of_window(net, SHORT_WINDOW),))
            return to_integers(net, noise(net, 64, seed))
    raise AssertionError
