"""Models of sequences of T steps, of the kinds that windows must answer as the file does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.support.graphs import Builder

T = 12
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def layer(
    b: Builder, x: str, kind: str, columns: int = 3, outputs: int = 1, direction: str = "forward", initial: str = ""
) -> list[str]:
    """A recurrent layer of four units over ``[1, time, columns]``."""
    d, g = (2 if direction == "bidirectional" else 1), GATES[kind]
    names = [b.const(b.weights(d, *shape)) for shape in ((g * 4, columns), (g * 4, 4), (2 * g * 4,))]
    first = b.op("Transpose", x, perm=[1, 0, 2])
    return b.ops(kind, outputs, first, *names, *(["", initial] if initial else []), hidden_size=4, direction=direction)


def by_step(b: Builder, y: str, units: int = 4, lanes: int = 1, steps: int = T) -> str:
    """What a layer gives at each step, ``[lanes, time, units]``."""
    return b.op("Reshape", b.op("Transpose", y, perm=[2, 0, 1, 3]), b.const(np.array([lanes, steps, units])))


def many_to_one(steps: int | str = T) -> bytes:
    """The final state through a Dense layer."""
    b = Builder()
    _, h, _ = layer(b, "x", "LSTM", outputs=3)
    b.op("MatMul", b.op("Reshape", h, b.const(np.array([1, 4]))), b.const(b.weights(4, 2)), out="y")
    return b.model({"x": (1, steps, 3)}, ["y"])


def many_to_many() -> bytes:
    """Each step's state through a Dense layer."""
    b = Builder()
    b.op("MatMul", by_step(b, layer(b, "x", "GRU")[0]), b.const(b.weights(4, 2)), out="y")
    return b.model({"x": (1, T, 3)}, ["y"])


def behind_a_convolution() -> bytes:
    """A convolution that looks ahead, and a pool of every second step, in front."""
    b = Builder()
    c = b.op("Conv", b.op("Transpose", "x", perm=[0, 2, 1]), b.const(b.weights(4, 3, 5)), pads=[2, 2])
    p = b.op("MaxPool", b.op("Relu", c), kernel_shape=[2], strides=[2])
    by_step_of_half = by_step(b, layer(b, b.op("Transpose", p, perm=[0, 2, 1]), "RNN", 4)[0], steps=T // 2)
    b.op("Tanh", by_step_of_half, out="y")
    return b.model({"x": (1, T, 3)}, ["y"])


def both_ways() -> bytes:
    """A layer of both directions, each step of it."""
    b = Builder()
    y = by_step(b, layer(b, "x", "LSTM", direction="bidirectional")[0], 8)
    b.op("MatMul", y, b.const(b.weights(8, 2)), out="y")
    return b.model({"x": (1, T, 3)}, ["y"])


def all_steps_at_once() -> bytes:
    """A Dense layer over the states of all steps: a window by itself."""
    b = Builder()
    flat = b.op("Reshape", by_step(b, layer(b, "x", "GRU")[0]), b.const(np.array([1, 4 * T])))
    b.op("MatMul", flat, b.const(b.weights(4 * T, 2)), out="y")
    return b.model({"x": (1, T, 3)}, ["y"])


def mean_of_steps() -> bytes:
    """The mean of the states of all steps."""
    b = Builder()
    b.op("ReduceMean", by_step(b, layer(b, "x", "LSTM")[0]), b.const(np.array([1])), keepdims=0, out="y")
    return b.model({"x": (1, T, 3)}, ["y"])


def three_lanes() -> bytes:
    """A batch of three."""
    b = Builder()
    b.op("MatMul", by_step(b, layer(b, "x", "GRU")[0], lanes=3), b.const(b.weights(4, 2)), out="y")
    return b.model({"x": (3, T, 3)}, ["y"])


def row_numbers() -> bytes:
    """Rows of a table."""
    b = Builder()
    e = b.op("Gather", b.const(b.weights(20, 3)), "x", axis=0)
    b.op("Tanh", layer(b, e, "GRU", outputs=2)[1], out="y")
    return b.model({"x": (1, T)}, ["y"], "i")


def outputs_of_unlike_rates() -> bytes:
    """One for each step, one for every second, one for all, and none of them from a recurrence alone."""
    b = Builder()
    y, h = layer(b, "x", "GRU", outputs=2)
    b.op("Identity", by_step(b, y), out="y")
    x = b.op("Transpose", "x", perm=[0, 2, 1])
    b.op("Transpose", b.op("Conv", x, b.const(b.weights(2, 3, 2)), strides=[2]), perm=[0, 2, 1], out="z")
    b.op("Tanh", h, out="h")
    return b.model({"x": (1, T, 3)}, ["y", "z", "h"])


def state_in_and_out() -> bytes:
    """A file that shows its state: as a stream it goes on from call to call."""
    b = Builder()
    y, h = layer(b, "x", "GRU", outputs=2, initial="h0")
    b.op("Identity", h, out="hn")
    b.op("Tanh", by_step(b, y), out="y")
    return b.model({"x": (1, T, 3), "h0": (1, 1, 4)}, ["y", "hn"])


# --------------------------------------------------------------------------- what needs the whole window


def scores(b: Builder, h: str) -> str:
    """A score of each step of ``[1, time, 4]``, ``[1, time, 1]``."""
    return b.op("MatMul", b.op("Tanh", b.op("MatMul", h, b.const(b.weights(4, 3)))), b.const(b.weights(3, 1)))


def attention_pool() -> bytes:
    """The states of all steps, weighted by a softmax over time."""
    b = Builder()
    h = by_step(b, layer(b, "x", "GRU")[0])
    share = b.op("Softmax", scores(b, h), axis=1)
    pooled = b.op("ReduceSum", b.op("Mul", share, h), b.const(np.array([1])), keepdims=0)
    b.op("MatMul", pooled, b.const(b.weights(4, 2)), out="y")
    return b.model({"x": (1, T, 3)}, ["y"])


def attention_of_the_end() -> bytes:
    """Luong's: every step's state against the last one, as products of matrices."""
    b = Builder()
    y, last, _ = layer(b, "x", "LSTM", outputs=3)
    h, query = by_step(b, y), b.op("Transpose", last, perm=[1, 2, 0])
    share = b.op("Softmax", b.op("MatMul", h, query), axis=1)
    context = b.op("MatMul", b.op("Transpose", share, perm=[0, 2, 1]), h)
    both = b.op(
        "Concat",
        b.op("Squeeze", context, b.const(np.array([1]))),
        b.op("Squeeze", query, b.const(np.array([2]))),
        axis=1,
    )
    b.op("MatMul", both, b.const(b.weights(8, 2)), out="y")
    return b.model({"x": (1, T, 3)}, ["y"])


def self_attention() -> bytes:
    """Every step against every other in two heads, a residual and a norm, and the answer of each step."""
    b = Builder()
    h = by_step(b, layer(b, "x", "GRU")[0])
    heads = b.const(np.array([1, T, 2, 2]))
    q, k, v = (
        b.op("Transpose", b.op("Reshape", b.op("MatMul", h, b.const(b.weights(4, 4))), heads), perm=perm)
        for perm in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
    )
    share = b.op("Softmax", b.op("Mul", b.op("MatMul", q, k), b.const(np.asarray(0.7))))
    mixed = b.op("Transpose", b.op("MatMul", share, v), perm=[0, 2, 1, 3])
    mixed = b.op("Add", h, b.op("Reshape", mixed, b.const(np.array([1, T, 4]))))
    y = b.op("LayerNormalization", mixed, b.const(np.ones(4)))
    b.op("MatMul", y, b.const(b.weights(4, 2)), out="y")
    return b.model({"x": (1, T, 3)}, ["y"])


def normalised_over_time() -> bytes:
    """RevIN: each channel less its mean over its deviation, the layer on that, and its result in the old units."""
    b = Builder()
    axes = b.const(np.array([1]))
    mean = b.op("ReduceMean", "x", axes)
    centred = b.op("Sub", "x", mean)
    deviation = b.op(
        "Sqrt", b.op("Add", b.op("ReduceMean", b.op("Mul", centred, centred), axes), b.const(np.asarray(0.01)))
    )
    y = by_step(b, layer(b, b.op("Div", centred, deviation), "GRU")[0])
    y = b.op("MatMul", y, b.const(b.weights(4, 3)))
    b.op("Add", b.op("Mul", y, deviation), mean, out="y")
    return b.model({"x": (1, T, 3)}, ["y"])


def padded_by_its_ends() -> bytes:
    """Mirrored and repeated steps at the ends, in front of convolutions."""
    b = Builder()
    x = b.op("Transpose", "x", perm=[0, 2, 1])
    for mode in ("reflect", "edge"):
        padded = b.op("Pad", x, b.const(np.array([0, 0, 2, 0, 0, 2])), mode=mode)
        x = b.op("Relu", b.op("Conv", padded, b.const(b.weights(3, 3, 5))))
    b.op(
        "MatMul",
        by_step(b, layer(b, b.op("Transpose", x, perm=[0, 2, 1]), "RNN")[0]),
        b.const(b.weights(4, 2)),
        out="y",
    )
    return b.model({"x": (1, T, 3)}, ["y"])


def summed_and_rolled() -> bytes:
    """A running sum, and steps in another order."""
    b = Builder()
    total = b.op("CumSum", by_step(b, layer(b, "x", "GRU")[0]), b.const(np.asarray(1)))
    rolled = b.op("Gather", total, b.const(np.roll(np.arange(T), 3)), axis=1)
    b.op("MatMul", b.op("Add", total, rolled), b.const(b.weights(4, 2)), out="y")
    return b.model({"x": (1, T, 3)}, ["y"])


# --------------------------------------------------------------------------- a second recurrence


def autoencoder(columns: int = 3) -> bytes:
    """The last state repeated, and a decoder over it."""
    b = Builder()
    last = b.op("Reshape", layer(b, "x", "LSTM", columns, outputs=2)[1], b.const(np.array([1, 1, 4])))
    repeated = b.op("Expand", b.op("Tanh", last), b.const(np.array([1, T, 4])))
    b.op("MatMul", by_step(b, layer(b, repeated, "LSTM", 4)[0]), b.const(b.weights(4, 3)), out="y")
    return b.model({"x": (1, T, columns)}, ["y"])


def forecast() -> bytes:
    """A decoder of fewer steps, and what it says in the end."""
    b = Builder()
    last = b.op("Reshape", layer(b, "x", "GRU", outputs=2)[1], b.const(np.array([1, 1, 4])))
    y, end = layer(b, b.op("Tile", last, b.const(np.array([1, 5, 1]))), "GRU", 4, outputs=2)
    b.op("MatMul", by_step(b, y, steps=5), b.const(b.weights(4, 2)), out="y")
    b.op("Tanh", end, out="z")
    return b.model({"x": (1, T, 3)}, ["y", "z"])


def decoder_of_the_end() -> bytes:
    """A decoder that starts from the encoder's states, over the window turned round."""
    b = Builder()
    _, h, c = layer(b, "x", "LSTM", outputs=3)
    turned = b.op("Slice", "x", *(b.const(np.array([n])) for n in (-1, -T - 1, 1, -1)))
    weights = [b.const(b.weights(1, *shape)) for shape in ((16, 3), (16, 4), (32,))]
    first = b.op("Transpose", turned, perm=[1, 0, 2])
    y = b.ops("LSTM", 1, first, *weights, "", h, c, hidden_size=4)[0]
    b.op("MatMul", by_step(b, y), b.const(b.weights(4, 3)), out="y")
    return b.model({"x": (1, T, 3)}, ["y"])


WHOLE = (
    attention_pool,
    attention_of_the_end,
    self_attention,
    normalised_over_time,
    padded_by_its_ends,
    summed_and_rolled,
)
AGAIN = (autoencoder, forecast, decoder_of_the_end)
KINDS: dict[str, Callable[[], bytes]] = {
    make.__name__: make
    for make in (
        *(many_to_one, many_to_many, behind_a_convolution, both_ways, all_steps_at_once, mean_of_steps),
        *(three_lanes, row_numbers, outputs_of_unlike_rates, state_in_and_out),
        *WHOLE,
        *AGAIN,
    )
}
