"""Recurrent cells as a Python loop leaves them in a graph: a copy of the same nodes for each step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from rnnc.options import Options
from tests.support.graphs import Builder
from tests.support.supported import Form

X, H, T = 3, 4, 7
Step = Callable[["Unrolled", str, list[str]], tuple[str, list[str]]]
"""From x ``[1, X]`` and the states of the step before to an output ``[1, H]`` and the new states."""


class Unrolled(Builder):
    """A builder that folds what is multiplied with zeros, or added to them, as exporters and simplifiers do."""

    def __init__(self, folding: bool = False) -> None:
        super().__init__()
        self.folding = folding
        self.zeros: set[str] = set()
        self.kept: dict[str, str] = {}

    def op(self, op_type: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        zero = [name in self.zeros for name in inputs]
        if self.folding and not out and any(zero) and len(inputs) == 2:
            if op_type in ("Mul", "MatMul"):
                return inputs[zero.index(True)]
            if op_type in ("Add", "Sub") and zero[1]:
                return inputs[0]
            if op_type == "Add":
                return inputs[1]
        return super().op(op_type, *inputs, out=out, **attributes)

    def fixed(self, name: str, value: Any) -> str:
        """A constant that all steps share, drawn or given once."""
        if name not in self.kept:
            self.kept[name] = self.const(value() if callable(value) else np.asarray(value))
        return self.kept[name]

    def rows(self, name: str, x: str, columns: int, rows: int) -> str:
        """x times a constant matrix."""
        return self.op("MatMul", x, self.fixed(name, lambda: self.weights(columns, rows)))

    def gates(self, x: str, h: str, *names: str, columns: int = X) -> list[str]:
        """W x + R h + b for each name."""
        sums = (self.op("Add", self.rows(f"W{n}", x, columns, H), self.rows(f"R{n}", h, H, H)) for n in names)
        return [
            self.op("Add", s, self.fixed(f"b{n}", lambda: self.weights(H))) for s, n in zip(sums, names, strict=True)
        ]

    def one_minus(self, x: str) -> str:
        """1 - x."""
        return self.op("Sub", self.fixed("one", 1.0), x)

    def times(self, x: str, value: float) -> str:
        """x times a number."""
        return self.op("Mul", x, self.fixed(f"times {value}", value))

    def sums(self, x: str, axis: int) -> str:
        """The sum along an axis that is kept."""
        return self.op("ReduceSum", x, self.fixed(f"axis {axis}", [axis]), keepdims=1)

    def mixed(self, gate: str, a: str, b: str) -> str:
        """gate * a + (1 - gate) * b."""
        return self.op("Add", self.op("Mul", gate, a), self.op("Mul", self.one_minus(gate), b))


# --------------------------------------------------------------------------- cells


def where(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """minGRU: the candidate is chosen by its own sign."""
    z, n = b.op("Sigmoid", b.rows("z", x, X, H)), b.rows("n", x, X, H)
    above = b.op("GreaterOrEqual", n, b.fixed("zero", 0.0))
    candidate = b.op("Where", above, b.op("Add", n, b.fixed("half", 0.5)), b.op("Sigmoid", n))
    h = b.mixed(z, candidate, states[0])
    return h, [h]


def delta(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """A matrix as state, normalised keys: S = a S + b (v - a S k) k'."""
    k = b.op("Tanh", b.rows("k", x, X, H))
    norm = b.op("Sqrt", b.sums(b.op("Mul", k, k), 1))
    k = b.op("Div", k, b.op("Expand", b.op("Clip", norm, b.fixed("small", 1e-12)), b.fixed("wide", [1, H])))
    row, column = (b.op("Unsqueeze", k, b.fixed(f"axes {a}", [a])) for a in (1, 2))
    a = b.op("Unsqueeze", b.op("Sigmoid", b.rows("a", x, X, 1)), b.fixed("axes 2", [2]))
    v = b.op("Unsqueeze", b.rows("v", x, X, H), b.fixed("axes 2", [2]))
    decayed = b.op("Mul", a, states[0])
    error = b.op("Sub", v, b.op("MatMul", decayed, column))
    new = b.op("Add", decayed, b.op("MatMul", error, row))
    read = b.op("Unsqueeze", b.rows("q", x, X, H), b.fixed("axes 2", [2]))
    return b.op("Squeeze", b.op("MatMul", new, read), b.fixed("axes 2", [2])), [new]


def stabilised(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """sLSTM: h, c, n and the stabiliser m; n starts at one."""
    h, c, n, m = states
    z, i, f, o = b.gates(x, h, "z", "i", "f", "o")
    kept = b.op("Add", f, m)
    new_m = b.op("Max", kept, i)
    keep, take = b.op("Exp", b.op("Sub", kept, new_m)), b.op("Exp", b.op("Sub", i, new_m))
    c = b.op("Add", b.op("Mul", keep, c), b.op("Mul", take, b.op("Tanh", z)))
    n = b.op("Add", b.op("Mul", keep, n), take)
    h = b.op("Mul", b.op("Sigmoid", o), b.op("Div", c, n))
    return h, [h, c, n, new_m]


def low_rank(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """FastGRNN: U2 (U1 h), one sum for gate and candidate."""
    h = states[0]
    mixed = b.op("Add", b.rows("w2", b.rows("w1", x, X, 2), 2, H), b.rows("u2", b.rows("u1", h, H, 2), 2, H))
    z = b.op("Sigmoid", b.op("Add", mixed, b.fixed("bz", lambda: b.weights(1, H))))
    n = b.op("Tanh", b.op("Add", mixed, b.fixed("bn", lambda: b.weights(1, H))))
    share = b.op("Add", b.times(b.one_minus(z), 0.7), b.fixed("nu", 0.02))
    h = b.op("Add", b.op("Mul", z, h), b.op("Mul", share, n))
    return h, [h]


def spiking(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """Leaky integrate-and-fire, reset by subtraction."""
    v = b.op("Add", b.times(states[0], 0.9), b.rows("w", x, X, H))
    spike = b.op("Cast", b.op("Greater", v, b.fixed("threshold", 0.5)), to=1)
    return spike, [b.op("Sub", v, b.times(spike, 0.5))]


def reset_later(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """The same, reset by the next step where this one gives a spike: both compare the membrane with the threshold."""
    current, v = states
    reset = b.op("Greater", v, b.fixed("threshold", 0.5))
    current = b.op("Add", b.times(current, 0.8), b.rows("w", x, X, H))
    v = b.op("Add", b.op("Where", reset, b.fixed("nil", 0.0), b.times(v, 0.9)), current)
    return b.op("Cast", b.op("Greater", v, b.fixed("threshold", 0.5)), to=1), [current, v]


def substeps(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """ODE-RNN: some Euler steps between the inputs, then an update."""
    h = states[0]
    for _ in range(3):
        f = b.rows("f2", b.op("Tanh", b.op("Add", b.rows("f1", h, H, 5), b.fixed("bf", lambda: b.weights(5)))), 5, H)
        h = b.op("Add", h, b.times(f, 0.1))
    (a,) = b.gates(x, h, "h")
    h = b.op("Tanh", a)
    return h, [h]


def shifted(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """RWKV's token shift, the last input as a state, and a decaying sum."""
    last, s = states

    def mix(n: str) -> str:
        share = b.fixed(f"mix {n}", lambda: np.abs(b.weights(X)))
        return b.op("Add", b.op("Mul", x, share), b.op("Mul", last, b.fixed(f"rest {n}", lambda: np.abs(b.weights(X)))))

    k, v, r = (b.rows(n, mix(n), X, H) for n in "kvr")
    s = b.op("Add", b.op("Mul", s, b.fixed("decay", lambda: np.linspace(0.5, 0.9, H))), b.op("Mul", b.op("Tanh", k), v))
    return b.op("Mul", b.op("Sigmoid", r), s), [x, s]


def rotating(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """S4D, LRU: a complex state as a pair, its imaginary part driven by the real one alone."""
    re, im = states
    cos, sin = (b.fixed(n, v) for n, v in (("cos", np.linspace(0.3, 0.7, H)), ("sin", np.linspace(0.2, 0.6, H))))
    new = b.op("Add", b.op("Sub", b.op("Mul", cos, re), b.op("Mul", sin, im)), b.rows("w", x, X, H))
    im = b.op("Add", b.op("Mul", cos, im), b.op("Mul", sin, re))
    return b.op("Sub", b.rows("cr", new, H, H), b.rows("ci", im, H, H)), [new, im]


POLES = {"decay": (0.4, 0.8), "turn": (0.1, 0.5)}


def coupled(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """S4D of a real input: both parts of a complex state drive each other, and only one reads the frame."""
    (real, imaginary), (decay, turn) = states, (b.fixed(k, np.linspace(*ends, H)) for k, ends in POLES.items())
    turned = b.op("Sub", b.op("Mul", decay, real), b.op("Mul", turn, imaginary))
    fresh = b.op("Add", turned, b.rows("w", x, X, H))
    return fresh, [fresh, b.op("Add", b.op("Mul", decay, imaginary), b.op("Mul", turn, real))]


def normalised(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """An LSTM that normalises R h."""
    h, c = states
    i, f, g, o = (
        b.op(
            "Add",
            b.rows(f"w{n}", x, X, H),
            b.op(
                "LayerNormalization",
                b.rows(f"r{n}", h, H, H),
                b.fixed("scale", np.ones(H)),
                b.fixed("shift", [0.1] * H),
            ),
        )
        for n in "ifgo"
    )
    new = b.op("Add", b.op("Mul", b.op("Sigmoid", f), c), b.op("Mul", b.op("Sigmoid", i), b.op("Tanh", g)))
    h = b.op("Mul", b.op("Sigmoid", o), b.op("Tanh", new))
    return h, [h, new]


def caching(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """Mamba's causal convolution: the last two inputs are kept; then a selective state."""
    u = b.op("Unsqueeze", b.rows("in", x, X, H), b.fixed("axes 2", [2]))
    window = b.op("Concat", states[1], u, axis=2)
    kept = b.op("Slice", window, b.fixed("from", [1]), b.fixed("to", [3]), b.fixed("axes 2", [2]))
    taps = b.op("Mul", window, b.fixed("taps", lambda: b.weights(H, 3)))
    u = b.op("ReduceSum", taps, b.fixed("axes 2", [2]), keepdims=0)
    step = b.op("Softplus", b.rows("dt", u, H, H))
    h = b.op("Mul", b.op("Exp", b.op("Mul", step, b.fixed("A", -np.linspace(0.5, 1.5, H)))), states[0])
    h = b.op("Add", h, b.op("Mul", step, u))
    return h, [h, kept]


CELLS: dict[str, tuple[Step, list[tuple[float, tuple[int, ...]]]]] = {
    "where": (where, [(0.0, (1, H))]),
    "delta": (delta, [(0.0, (1, H, H))]),
    "stabilised": (stabilised, [(0.0, (1, H)), (0.0, (1, H)), (1.0, (1, H)), (0.0, (1, H))]),
    "low rank": (low_rank, [(0.0, (1, H))]),
    "spiking": (spiking, [(0.0, (1, H))]),
    "reset later": (reset_later, [(0.0, (1, H)), (0.0, (1, H))]),
    "substeps": (substeps, [(0.0, (1, H))]),
    "shifted": (shifted, [(0.0, (1, X)), (0.0, (1, H))]),
    "rotating": (rotating, [(0.0, (1, H)), (0.0, (1, H))]),
    "coupled": (coupled, [(0.0, (1, H)), (0.0, (1, H))]),
    "normalised": (normalised, [(0.0, (1, H)), (0.0, (1, H))]),
    "caching": (caching, [(0.0, (1, H)), (0.0, (1, H, 2))]),
}
"""Steps, with the value and shape of each initial state."""


def unrolled_cell(name: str, start: str = "zeros", result: str = "all", steps: int = T) -> bytes:
    """A model of x ``[1, steps, X]``.

    Args:
        start: "zeros" (constants), "folded" (what they make of the first steps folds away), or "input" (h0, h1, ... are
            inputs, and the last states outputs).
        result: "all" (y ``[1, steps, 2]``) or "last" (y ``[1, 2]``).
    """
    step, initial = CELLS[name]
    b = Unrolled(folding=start == "folded")
    inputs: dict[str, tuple[int, ...]] = {"x": (1, steps, X)}
    states = [b.const(np.full(shape, value)) for value, shape in initial]
    b.zeros = {s for s, (value, _) in zip(states, initial, strict=True) if not value}
    if start == "input":
        states = [f"h{i}" for i in range(len(initial))]
        inputs |= {s: shape for s, (_, shape) in zip(states, initial, strict=True)}
    every = []
    for t in range(steps):
        y, states = step(b, b.op("Gather", "x", b.const(np.asarray(t)), axis=1), states)
        every.append(y)
    axes = b.const(np.asarray([1]))
    y = every[-1] if result == "last" else b.op("Concat", *(b.op("Unsqueeze", h, axes) for h in every), axis=1)
    outputs = [b.op("MatMul", y, b.const(b.weights(H, 2)), out="y")]
    if start == "input":
        outputs += [b.op("Identity", s, out=f"h{i}_out") for i, s in enumerate(states)]
    return b.model(inputs, outputs)


# --------------------------------------------------------------------------- forms of docs/supported.md


def forms() -> list[Form]:
    """A form for each cell, for the ways in which a loop begins and ends, and for what is refused."""
    words = {
        "where": "minGRU: a Where on the step's own product",
        "delta": "gated DeltaNet: a matrix as state, normalised keys",
        "stabilised": "sLSTM: four states, one a running maximum",
        "low rank": "FastGRNN: low-rank gates",
        "spiking": "leaky integrate-and-fire, reset by subtraction",
        "reset later": "the same with a synaptic current, reset in the next step",
        "substeps": "ODE-RNN: substeps of a solver between the inputs",
        "shifted": "RWKV: the last input as a state",
        "rotating": "S4D, LRU: a complex state as a pair",
        "normalised": "an LSTM with LayerNormalization of R h",
        "caching": "Mamba: a cache of inputs and a selective state",
    }
    made = [Form("a step, copied", what, partial(unrolled_cell, name)) for name, what in words.items()]
    return [
        *made,
        Form(
            "a step, copied", "from a state of zeros that is folded away", lambda: unrolled_cell("rotating", "folded")
        ),
        Form("a step, copied", "from states that are inputs", lambda: unrolled_cell("where", "input")),
        Form("a step, copied", "only the last result", lambda: unrolled_cell("delta", result="last")),
        Form("a step, copied", "copies that differ by a constant", differing),
        Form("a step, copied", "the same with --time-axis x=none", differing, Options(time_axis={"x": None})),
    ]


def differing() -> bytes:
    """A decaying sum whose factor is another one in each step."""
    b, every = Unrolled(), list[str]()
    h = b.const(np.zeros((1, H)))
    for t in range(T):
        u = b.rows("w", b.op("Gather", "x", b.const(np.asarray(t)), axis=1), X, H)
        h = b.op("Tanh", b.op("Add", b.op("Mul", h, b.const(1 / (t + 2))), u))
        every.append(b.op("Unsqueeze", h, b.fixed("axes", [1])))
    b.op("Concat", *every, axis=1, out="y")
    return b.model({"x": (1, T, X)}, ["y"])
