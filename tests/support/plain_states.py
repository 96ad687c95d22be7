"""Steps whose states are plain arithmetic, as graphs: filters, counters, observers, gates of exponential form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.support.graphs import Builder

Shapes = dict[str, list[int]]
Build = Callable[[Builder], tuple[Shapes, list[str]]]


@dataclass(frozen=True)
class Form:
    """A step over x, each state NAME of which becomes NAME_next.

    Args:
        build: adds the nodes; returns the shapes of all inputs and the outputs that are no states.
        sqnr: dB that the integers reach on the data that they are calibrated with, at every element, against the same weights.
    """

    build: Build
    sqnr: float


def _layer(b: Builder, rows: int, scale: float = 0.5) -> str:
    return b.op("MatMul", "x", b.const(b.weights(3, rows, scale=scale)))


def _gates(b: Builder, size: int, width: int) -> tuple[str, str]:
    """The exponential input gate and forget gate of sLSTM and mLSTM over the stabiliser m."""
    forget = b.op("Sigmoid", b.op("Add", _layer(b, size, 1.0), b.const(np.linspace(1.0, 4.0, width))))
    kept, new = b.op("Add", b.op("Log", forget), "m"), _layer(b, size, 1.0)
    m = b.op("Max", kept, new, out="m_next")
    return b.op("Exp", b.op("Sub", new, m)), b.op("Exp", b.op("Sub", kept, m))


def slstm(b: Builder) -> tuple[Shapes, list[str]]:
    """sLSTM (Beck et al. 2024)."""
    i, f = _gates(b, 4, 4)
    c = b.op("Add", b.op("Mul", f, "c"), b.op("Mul", i, b.op("Tanh", _layer(b, 4))), out="c_next")
    n = b.op("Add", b.op("Mul", f, "n"), i, out="n_next")
    b.op("Mul", b.op("Sigmoid", _layer(b, 4)), b.op("Div", c, n), out="y")
    return {"x": [1, 3], "c": [1, 4], "n": [1, 4], "m": [1, 4]}, ["y"]


def mlstm(b: Builder) -> tuple[Shapes, list[str]]:
    """A matrix memory: numbers of each row are summed up over a query."""
    i, f = _gates(b, 1, 1)
    key, query = b.op("Sigmoid", _layer(b, 4)), b.op("Sigmoid", _layer(b, 4))
    value = b.op("Reshape", _layer(b, 4), b.const(np.array([1, 4, 1])))
    memory = b.op("Add", b.op("Mul", f, "memory"), b.op("Mul", i, b.op("Mul", value, key)), out="memory_next")
    n = b.op("Add", b.op("Mul", f, "n"), b.op("Mul", i, key), out="n_next")
    axis = b.const(np.array([2]))
    above = b.op("ReduceSum", b.op("Mul", memory, query), axis, keepdims=0)
    below = b.op("ReduceSum", b.op("Mul", n, query), b.const(np.array([1])), keepdims=1)
    b.op("Div", above, below, out="y")
    return {"x": [1, 3], "memory": [1, 4, 4], "n": [1, 4], "m": [1, 1]}, ["y"]


def rwkv(b: Builder) -> tuple[Shapes, list[str]]:
    """The time mixing of RWKV 4 (Peng et al. 2023)."""
    key, value = _layer(b, 4, 1.0), _layer(b, 4)
    now = b.op("Add", b.const(b.weights(4)), key)
    decayed = b.op("Add", "p", b.const(-np.exp(np.linspace(-5.0, 1.0, 4))))

    def mixed(old: str, new: str, out: str = "") -> tuple[str, str]:
        top = b.op("Max", old, new, out=f"p{out}" if out else "")
        before, after = (b.op("Exp", b.op("Sub", e, top)) for e in (old, new))
        above = b.op("Add", b.op("Mul", before, "a"), b.op("Mul", after, value), out=f"a{out}" if out else "")
        return above, b.op("Add", b.op("Mul", before, "b"), after, out=f"b{out}" if out else "")

    b.op("Div", *mixed("p", now), out="y")
    mixed(decayed, key, "_next")
    return {"x": [1, 3], "a": [1, 4], "b": [1, 4], "p": [1, 4]}, ["y"]


def averages(b: Builder) -> tuple[Shapes, list[str]]:
    """Leaky averages of x and of its square, the deviation, x over it, and the largest magnitude of late."""
    leak, x = np.array([0.9, 0.99, 0.999]), "x"
    b.op("Add", b.op("Mul", "h", b.const(leak)), b.op("Mul", x, b.const(1 - leak)), out="h_next")
    power = b.op("Mul", b.op("Mul", x, x), b.const(1 - leak))
    v = b.op("Add", b.op("Mul", "v", b.const(leak)), power, out="v_next")
    deviation = b.op("Sqrt", v, out="deviation")
    b.op("Div", x, b.op("Add", deviation, b.const(np.array(0.1))), out="y")
    b.op("Max", b.op("Abs", x), b.op("Mul", "top", b.const(np.array(0.99))), out="top_next")
    b.op("Log", b.op("Add", "top_next", b.const(np.array(0.01))), out="level")
    return {"x": [1, 3], "h": [1, 3], "v": [1, 3], "top": [1, 3]}, ["deviation", "y", "level"]


def counters(b: Builder) -> tuple[Shapes, list[str]]:
    """A charge within limits, a phase that wraps, a running mean, a leak of either sign."""
    charge = b.op("Sub", "charge", b.op("Mul", "x", b.const(np.array(0.01))))
    b.op("Clip", charge, b.const(0.0), b.const(1.0), out="charge_next")
    phase = b.op("Add", "phase", b.op("Mul", b.op("Add", "x", b.const(np.array(2.0))), b.const(np.array(0.02))))
    b.op("Sub", phase, b.op("Floor", phase), out="phase_next")
    b.op("Sin", b.op("Mul", "phase_next", b.const(np.array(2 * np.pi))), out="y")
    count = b.op("Add", "count", b.const(np.array(1.0)), out="count_next")
    b.op("Add", "mean", b.op("Div", b.op("Sub", "x", "mean"), count), out="mean_next")
    leak = b.op("Add", b.op("Mul", "leak", b.const(np.array(0.99))), b.op("Mul", "x", b.const(np.array(0.1))))
    b.op("PRelu", leak, b.const(np.array([0.2, 0.5, 0.9])), out="leak_next")
    shapes = {name: [1, 3] for name in ("x", "charge", "phase", "mean", "leak")}
    return {**shapes, "count": [1, 1]}, ["y"]


def observer(b: Builder) -> tuple[Shapes, list[str]]:
    """Position, velocity and bias from a position: poles near 1 in a matrix, a state of unlike units."""
    a = np.array([[1.0, 0.01, 0.0], [0.0, 1.0, 0.01], [0.0, 0.0, 0.999]])
    gain = np.array([[0.05, 0.0, 0.0], [0.1, 0.0, 0.0], [0.02, 0.0, 0.0]])
    kept = b.op("MatMul", "s", b.const((a - gain @ np.diag([1.0, 0.0, 0.0])).T))
    b.op("Add", kept, b.op("MatMul", "x", b.const(gain.T)), out="s_next")
    b.op("MatMul", "s_next", b.const(np.array([[1.0, 2.0], [0.5, 1.0], [0.0, 3.0]])), out="y")
    return {"x": [1, 3], "s": [1, 3]}, ["y"]


def rotations(b: Builder) -> tuple[Shapes, list[str]]:
    """A diagonal state space model of complex poles, real parts and imaginary parts in one state."""
    radius, angle = np.array([0.9, 0.99, 0.999]), np.array([1.0, 0.3, 0.05])
    axis = b.const(np.array([1]))
    real, imaginary = (b.op("Slice", "s", b.const(np.array([i])), b.const(np.array([i + 3])), axis) for i in (0, 3))
    c, s = b.const(radius * np.cos(angle)), b.const(radius * np.sin(angle))
    u = [b.op("MatMul", "x", b.const(b.weights(3, 3) * (1 - radius))) for _ in range(2)]
    turned = b.op("Add", b.op("Sub", b.op("Mul", real, c), b.op("Mul", imaginary, s)), u[0])
    other = b.op("Add", b.op("Add", b.op("Mul", real, s), b.op("Mul", imaginary, c)), u[1])
    b.op("Concat", turned, other, axis=1, out="s_next")
    b.op("MatMul", turned, b.const(b.weights(3, 2)), out="y")
    return {"x": [1, 3], "s": [1, 6]}, ["y"]


def unlike(b: Builder) -> tuple[Shapes, list[str]]:
    """Averages of Pa, of degrees and of shares in one state, what is added up of them, their larger half, and their squares."""
    units, leak = np.array([100.0, 1.0, 0.01]), b.const(np.array(0.99))
    x = b.op("Mul", "x", b.const(units))
    s = b.op("Add", b.op("Mul", "s", leak), b.op("Mul", x, b.const(np.array(0.01))), out="s_next")
    bent = b.op("PRelu", b.op("Sub", s, "top"), b.const(np.array([0.2, 0.5, 0.9])))
    b.op("Max", b.op("Add", b.op("Mul", bent, b.const(np.array(0.1))), "top"), b.op("Mul", s, leak), out="top_next")
    b.op("Add", b.op("Mul", "power", leak), b.op("Mul", s, s), out="power_next")
    rows = b.const(np.diag([0.9, 0.99, 0.5]) + 1e-4 * np.outer(1 / units, units))
    b.op("Add", b.op("MatMul", "mixed", rows), b.op("Mul", s, b.const(np.array(0.1))), out="mixed_next")
    return {name: [1, 3] for name in ("x", "s", "top", "power", "mixed")}, []


def bent(b: Builder) -> tuple[Shapes, list[str]]:
    """Softplus, ELU and a GELU of leaky sums, and what follows x at the speed of a softsign."""
    for name, function, gain in (("a", "Softplus", 0.05), ("b", "Elu", 0.1), ("c", "Gelu", 0.1)):
        kept = b.op("Mul", name, b.const(np.array(0.99)))
        b.op(function, b.op("Add", kept, b.op("Mul", "x", b.const(np.array(gain)))), out=f"{name}_next")
    change = b.op("Mul", b.op("Softsign", b.op("Sub", "x", "d")), b.const(np.array(0.01)))
    b.op("Add", "d", change, out="d_next")
    return {name: [1, 3] for name in ("x", "a", "b", "c", "d")}, []


def levels(b: Builder) -> tuple[Shapes, list[str]]:
    """A running log-sum-exp, and the logarithm of an average power."""
    new, old = (b.op("Mul", b.op("Exp", v), b.const(np.array(k))) for v, k in (("x", 0.01), ("s", 0.99)))
    b.op("Log", b.op("Add", old, new), out="s_next")
    power = b.op("Mul", b.op("Mul", "x", "x"), b.const(np.array(0.01)))
    v = b.op("Add", b.op("Mul", "v", b.const(np.array(0.99))), power, out="v_next")
    b.op("Log", b.op("Add", v, b.const(np.array(1e-3))), out="y")
    return {"x": [1, 3], "s": [1, 3], "v": [1, 3]}, ["y"]


FORMS: dict[str, Form] = {
    "slstm": Form(slstm, 50.0),
    "mlstm": Form(mlstm, 50.0),
    "rwkv": Form(rwkv, 50.0),
    "averages": Form(averages, 50.0),
    "counters": Form(counters, 50.0),
    "observer": Form(observer, 50.0),
    "rotations": Form(rotations, 50.0),
    "levels": Form(levels, 50.0),
    "bent": Form(bent, 50.0),
    "unlike": Form(unlike, 50.0),
}


def model(name: str) -> tuple[bytes, dict[str, str]]:
    """A form as an ONNX file, and which output each state is fed from."""
    b = Builder(1)
    shapes, outputs = FORMS[name].build(b)
    states = {s: f"{s}_next" for s in shapes if s != "x"}
    return b.model(shapes, [*outputs, *states.values()]), states
