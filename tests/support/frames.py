"""Layers of random networks that look across steps or around in a frame; ``LAYERS`` of nets.py draws from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rnnc.net import Feedback, Net, Op, Output, State
from rnnc.ops.add import Add
from rnnc.ops.affine import Affine
from rnnc.ops.collect import Collect
from rnnc.ops.conv import Conv
from rnnc.ops.dense import Dense
from rnnc.ops.geometry import Axis, Geometry
from rnnc.ops.layout import Layout, Move
from rnnc.ops.mul import Mul
from rnnc.ops.pad import Pad
from rnnc.ops.pool_average import AveragePool
from rnnc.ops.pool_max import MaxPool
from rnnc.ops.reshape import Reshape
from rnnc.ops.reverse import Reverse
from rnnc.ops.running import Running, What
from rnnc.ops.squash import Squash
from rnnc.ops.stack import Stack
from rnnc.ops.time_shift import TimeShift
from rnnc.ops.window_dense import WindowDense

if TYPE_CHECKING:
    from tests.support.nets import Sketch

WINDOW = 40
"""Steps of a window: enough for whatever three layers drop."""


def _time(s: Sketch) -> Axis:
    """A kernel over time that may pad, look ahead and stride."""
    kernel, dilation = int(s.rng.integers(2, 4)), int(s.rng.integers(1, 3))
    span = (kernel - 1) * dilation
    before = int(s.rng.integers(0, span + 1))
    return Axis(kernel, int(s.rng.choice([1, 1, 2])), dilation, before, int(s.rng.choice([0, span - before])))


def _places(s: Sketch) -> Axis:
    """A kernel along a frame of ``s.size`` positions."""
    kernel = int(s.rng.integers(1, min(3, s.size) + 1))
    edge = int(s.rng.integers(0, kernel))
    return Axis(kernel, int(s.rng.choice([1, 2])), before=edge, after=edge)


def pool(s: Sketch) -> None:
    """The largest or the mean, over time or along a frame."""
    over_time = bool(s.rng.integers(2))
    g = Geometry(s.size, time=_time(s)) if over_time else Geometry(width=s.size, columns=_places(s))
    size = s.size if over_time else g.positions
    n = s.name(kind := str(s.rng.choice(["maxpool", "averagepool"])))
    x, y = (s.value,), (f"{n}.y",)
    count_padding = bool(s.rng.integers(3) == 0)
    op: Op = MaxPool(n, x, y, g, (size,)) if kind == "maxpool" else AveragePool(n, x, y, g, count_padding, (size,))
    s.add(op, size)


def depthwise(s: Sketch) -> None:
    """A convolution over time of each element by itself."""
    n, time = s.name("conv"), _time(s)
    weights = s.weights(s.size, time.kernel).reshape(s.size, time.kernel, 1, 1, 1)
    geometry, relu = Geometry(s.size, time=time), bool(s.rng.integers(2))
    s.add(Conv(n, (s.value,), (f"{n}.y",), weights, s.bias(s.size), geometry, s.size, (s.size,), relu), s.size)


def along_frame(s: Sketch) -> None:
    """A convolution along a frame."""
    n, rows, g = s.name("conv"), int(s.rng.integers(1, 4)), Geometry(width=s.size, columns=_places(s))
    weights = s.weights(rows, g.columns.kernel).reshape(rows, 1, 1, 1, g.columns.kernel)
    shape = (rows, g.positions) if rows > 1 else (g.positions,)
    flat, size = s.name("reshape"), rows * g.positions
    s.add(Conv(n, (s.value,), (f"{n}.y",), weights, s.bias(rows), g, 1, shape), size)
    s.add(Reshape(flat, (s.value,), (f"{flat}.y",), (size,)), size)


def shift(s: Sketch) -> None:
    """Steps added or dropped at the ends of a sequence, or all but every second."""
    n = s.name("shift")
    before, after = (int(k) for k in s.rng.integers(-2, 3, 2))
    s.add(TimeShift(n, (s.value,), (f"{n}.y",), before, after, s.size, int(s.rng.choice([1, 1, 2]))), s.size)


def stack(s: Sketch) -> None:
    """Frames taken together."""
    n, count = s.name("stack"), int(s.rng.integers(2, 4))
    s.add(Stack(n, (s.value,), (f"{n}.y",), count, s.size, (count * s.size,)), count * s.size)


def running(s: Sketch) -> None:
    """The mean, sum, largest or smallest so far."""
    kinds: tuple[What, ...] = ("mean", "sum", "max", "min")
    n, what = s.name("running"), kinds[int(s.rng.integers(4))]
    s.add(Running(n, (s.value,), (f"{n}.y",), what, s.size), s.size)


def rearranged(s: Sketch) -> None:
    """The frame with a constant around it, then that backwards beside the frame."""
    x, size, p, m = s.value, s.size, s.name("pad"), s.name("layout")
    before, after = (int(k) for k in s.rng.integers(0, 3, 2))
    s.add(Pad(p, (x,), (f"{p}.y",), (size,), (before,), (after,), float(s.rng.normal())), size + before + after)
    wide = s.size
    moves = (Move((wide,), (-1,), (1,), wide - 1, 0), Move((size,), (1,), (1,), 0, wide))
    s.add(Layout(m, (s.value, x), (f"{m}.y",), (wide + size,), moves, (0, 1)), wide + size)


def custom(s: Sketch) -> None:
    """A cell of its own, whose state the graph feeds back: h' = decay h + sigmoid(W x) (U x)."""
    x, columns, h, held = s.value, s.size, s.width(), f"held{len(s.feedback)}"
    shape = (h,)

    def dense() -> str:
        n = s.name("dense")
        s.add(Dense(n, (x,), (f"{n}.y",), s.weights(h, columns), s.bias(h), shape), h)
        return s.value

    gate, candidate = dense(), dense()
    q, a, m, n = (s.name(kind) for kind in ("squash", "affine", "mul", "add"))
    s.add(Squash(q, (gate,), (f"{q}.y",), "sigmoid"), h)
    s.add(Affine(a, (held,), (f"{a}.y",), s.rng.uniform(0.5, 0.99, h), np.zeros(1), shape, shape), h)
    s.add(Mul(m, (f"{q}.y", candidate), (f"{m}.y",), (shape, shape), shape), h)
    s.add(Add(n, (f"{a}.y", f"{m}.y"), (f"{n}.y",), (shape, shape), shape), h)
    s.feedback.append(Feedback(State(held, shape, s.initial(h).value), f"{n}.y"))


def backward(s: Sketch) -> None:
    """A window from its last step to its first, or as it came, after its end."""
    if not s.window:
        make: type[Reverse] = Collect if s.rng.random() < 0.4 else Reverse
        n, s.window = s.name("reverse"), WINDOW
        s.add(make(n, (s.value,), (f"{n}.y",), WINDOW, s.size), s.size)


def window_dense(s: Sketch) -> None:
    """Dense over all steps of a window."""
    n, h, s.window = s.name("windowdense"), s.width(), WINDOW
    end = Output("y", s.value)
    steps = Net("", (s.x,), tuple(s.ops), (end,), tuple(s.feedback)).ticks(end, WINDOW)
    weights = s.weights(h, steps * s.size).reshape(h, steps, s.size).swapaxes(0, 1)
    s.add(WindowDense(n, (s.value,), (f"{n}.y",), weights, s.bias(h), (h,), bool(s.rng.integers(2))), h)


def of_window(net: Net, window: int) -> Output:
    """The output of a network that answers once a window: all values that come past its end, or else the last."""
    (y,) = net.outputs
    late = net.values[y.value].clock.phase >= window
    return Output(y.name, y.value, "window", net.ticks(y, window) if late else 0)
