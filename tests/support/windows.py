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


KINDS: dict[str, Callable[[], bytes]] = {
    make.__name__: make
    for make in (
        *(many_to_one, many_to_many, behind_a_convolution, both_ways, all_steps_at_once, mean_of_steps),
        *(three_lanes, row_numbers, outputs_of_unlike_rates, state_in_and_out),
    )
}
