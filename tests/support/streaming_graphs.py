"""Random graphs over a sequence, of the layers that look along time and those between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np

from tests.support.graphs import Builder


@dataclass
class Flow:
    """A graph being drawn: ``value`` is ``[1, channels, time]``, of ``steps`` steps."""

    b: Builder
    choose: Random
    value: str
    channels: int
    steps: int

    def const(self, *numbers: int) -> str:
        """Integers."""
        return self.b.const(np.asarray(numbers, np.int64))

    def features_last(self, x: str) -> str:
        """``[1, time, channels]``."""
        return self.b.op("Transpose", x, perm=[0, 2, 1])

    def bias(self, channels: int) -> str:
        """Numbers for each channel."""
        return self.b.const(self.b.weights(channels))


def conv(f: Flow) -> None:
    """Any kernel, dilation, groups and padding: causal, the same length, valid; a stride now and then."""
    c = f.choose
    groups = f.channels if c.random() < 0.3 else 1
    out = f.channels if groups > 1 else c.randint(1, 4)
    kernel, dilation = c.randint(1, 4), c.randint(1, 2)
    span = (kernel - 1) * dilation
    pads = c.choice([[span, 0], [span // 2, span - span // 2], [0, 0]])
    stride = 2 if c.random() < 0.15 and f.steps > 12 else 1
    steps = (f.steps + sum(pads) - span - 1) // stride + 1
    if steps < 4:
        return
    weights = f.b.const(f.b.weights(out, f.channels // groups, kernel, scale=0.4))
    bias = f.bias(out)
    f.value = f.b.op("Conv", f.value, weights, bias, dilations=[dilation], group=groups, pads=pads, strides=[stride])
    f.channels, f.steps = out, steps


def pool(f: Flow) -> None:
    """The largest or the mean of a few steps."""
    kernel = f.choose.randint(2, 3)
    pads = f.choose.choice([[kernel - 1, 0], [0, 0]])
    steps = f.steps + sum(pads) - kernel + 1
    if steps < 4:
        return
    kind = f.choose.choice(["MaxPool", "AveragePool"])
    f.value = f.b.op(kind, f.value, kernel_shape=[kernel], pads=pads)
    f.steps = steps


def recurrent(f: Flow) -> None:
    """LSTM, GRU or RNN."""
    b, hidden = f.b, f.choose.randint(1, 4)
    kind, gates = f.choose.choice([("LSTM", 4), ("GRU", 3), ("RNN", 1)])
    x = b.op("Transpose", f.value, perm=[2, 0, 1])
    parts = [b.const(b.weights(1, gates * hidden, n)) for n in (f.channels, hidden)]
    bias = b.const(b.weights(1, 2 * gates * hidden))
    reset = {"linear_before_reset": f.choose.randrange(2)} if kind == "GRU" else {}
    y = b.ops(kind, 1, x, *parts, bias, hidden_size=hidden, **reset)[0]
    f.value = b.op("Transpose", b.op("Squeeze", y, f.const(1)), perm=[1, 2, 0])
    f.channels = hidden


def residual(f: Flow) -> None:
    """What comes in, beside a convolution of it that may look ahead."""
    kernel = f.choose.randint(1, 4)
    ahead = f.choose.randint(0, kernel - 1)
    weights = f.b.const(f.b.weights(f.channels, f.channels, kernel, scale=0.3))
    other = f.b.op("Conv", f.value, weights, f.bias(f.channels), pads=[kernel - 1 - ahead, ahead])
    if f.choose.randrange(2):
        f.value = f.b.op(f.choose.choice(["Add", "Sub", "Mul", "Max"]), f.value, other)
    else:
        f.value = f.b.op("Concat", f.value, other, axis=1)
        f.channels *= 2


def norm(f: Flow) -> None:
    """LayerNorm over the channels, or BatchNorm."""
    gain, offset = f.b.const(f.b.rng.uniform(0.5, 1.5, f.channels)), f.bias(f.channels)
    if f.choose.randrange(2) or f.channels == 1:
        mean, variance = f.bias(f.channels), f.b.const(f.b.rng.uniform(0.5, 2, f.channels))
        f.value = f.b.op("BatchNormalization", f.value, gain, offset, mean, variance)
        return
    normed = f.b.op("LayerNormalization", f.features_last(f.value), gain, offset, axis=-1)
    f.value = f.b.op("Transpose", normed, perm=[0, 2, 1])


def elementwise(f: Flow) -> None:
    """A function of each element, or a gate."""
    kind = f.choose.choice(["Relu", "Tanh", "Sigmoid", "LeakyRelu", "Elu", "gate", "scale"])
    if kind == "gate":
        f.value = f.b.op("Mul", f.value, f.b.op("Sigmoid", f.value))
    elif kind == "scale":
        f.value = f.b.op("Mul", f.value, f.b.const(f.b.weights(f.channels, 1)))
    else:
        f.value = f.b.op(kind, f.value)


def dense(f: Flow) -> None:
    """The same layer at each step."""
    out = f.choose.randint(1, 4)
    y = f.b.op("MatMul", f.features_last(f.value), f.b.const(f.b.weights(f.channels, out)))
    f.value = f.b.op("Transpose", f.b.op("Add", y, f.bias(out)), perm=[0, 2, 1])
    f.channels = out


LAYERS: tuple[Callable[[Flow], None], ...] = (conv, conv, pool, recurrent, residual, norm, elementwise, dense)


def draw(choose: Random, steps: int) -> bytes:
    """A model of x ``[1, steps, channels]``: a few layers, then each step's result, or the mean over all of them."""
    b, channels = Builder(choose.randint(0, 1 << 20)), choose.randint(1, 3)
    f = Flow(b, choose, b.op("Transpose", "x", perm=[0, 2, 1]), channels, steps)
    for _ in range(choose.randint(1, 5)):
        choose.choice(LAYERS)(f)
    if choose.random() < 0.2:
        b.op("ReduceMean", f.value, f.const(2), keepdims=0, out="y")
    else:
        b.op("Transpose", f.value, perm=[0, 2, 1], out="y")
    return b.model({"x": (1, steps, channels)}, ["y"])
