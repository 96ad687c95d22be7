"""Recurrent cells of recent years that have no operator of their own: one step of each, alone, copied, and in a Scan."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.support.models import IR, OPSET
from tests.support.unrolled import CELLS, H, Step, T, Unrolled, X

K = 3
"""Columns of a state that is a matrix, ``[1, H, K]``."""
Start = tuple[float, tuple[int, ...]]
ROW, MATRIX = (0.0, (1, H)), (0.0, (1, H, K))


def column(b: Unrolled, x: str) -> str:
    """``[1, n]`` as ``[1, n, 1]``."""
    return b.op("Unsqueeze", x, b.fixed("axes 2", [2]))


def row(b: Unrolled, x: str) -> str:
    """``[1, n]`` as ``[1, 1, n]``."""
    return b.op("Unsqueeze", x, b.fixed("axes 1", [1]))


def read(b: Unrolled, s: str, q: str) -> str:
    """A matrix ``[1, H, K]`` times ``[1, K]``."""
    return b.op("Squeeze", b.op("MatMul", s, column(b, q)), b.fixed("axes 2", [2]))


def layer(b: Unrolled, name: str, x: str, columns: int = X, rows: int = H) -> str:
    """W x + b."""
    return b.op("Add", b.rows(name, x, columns, rows), b.fixed(f"bias {name}", lambda: b.weights(rows)))


def gate(b: Unrolled, name: str, x: str, columns: int = X, rows: int = H) -> str:
    """sigmoid(W x + b)."""
    return b.op("Sigmoid", layer(b, name, x, columns, rows))


def min_lstm(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """minLSTM: two gates that share one."""
    f, i = gate(b, "f", x), gate(b, "i", x)
    both = b.op("Add", f, i)
    h = b.op("Mul", b.op("Div", f, both), states[0])
    h = b.op("Add", h, b.op("Mul", b.op("Div", i, both), layer(b, "h", x)))
    return h, [h]


def mamba2(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """Mamba-2: one decay for a head, a matrix as state."""
    dt = b.op("Softplus", layer(b, "dt", x, rows=1))
    decay = b.op("Exp", b.times(dt, -0.4))
    taken = b.op("Mul", column(b, b.op("Mul", dt, layer(b, "u", x))), row(b, b.rows("B", x, X, K)))
    s = b.op("Add", b.op("Mul", states[0], column(b, decay)), taken)
    return b.op("Add", read(b, s, b.rows("C", x, X, K)), b.rows("D", x, X, H)), [s]


def rwkv4(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """RWKV 4: numerator, denominator and the largest exponent so far."""
    a, d, p = states
    k, v, r = b.rows("k", x, X, H), b.rows("v", x, X, H), gate(b, "r", x)
    here = b.op("Add", k, b.fixed("first", np.linspace(-0.5, 0.5, H)))
    top = b.op("Max", p, here)
    old, new = b.op("Exp", b.op("Sub", p, top)), b.op("Exp", b.op("Sub", here, top))
    above = b.op("Add", b.op("Mul", old, a), b.op("Mul", new, v))
    wkv = b.op("Div", above, b.op("Add", b.op("Mul", old, d), new))
    kept = b.op("Sub", p, b.fixed("decay", np.linspace(0.1, 0.7, H)))
    top = b.op("Max", kept, k)
    old, new = b.op("Exp", b.op("Sub", kept, top)), b.op("Exp", b.op("Sub", k, top))
    a = b.op("Add", b.op("Mul", old, a), b.op("Mul", new, v))
    return b.op("Mul", r, wkv), [a, b.op("Add", b.op("Mul", old, d), new), top]


def rwkv(b: Unrolled, x: str, states: list[str], version: int) -> tuple[str, list[str]]:
    """RWKV 5 (a fixed decay), 6 (one of the input) and 7 (what is known of the key is taken out first)."""
    r, k, v = (b.rows(n, x, X, rows) for n, rows in (("r", K), ("k", K), ("v", H)))
    k = b.op("Tanh", k)
    pair = b.op("Mul", column(b, v), row(b, k))
    decay = b.fixed("decay", np.linspace(0.6, 0.95, K))
    if version > 5:
        decay = row(b, b.op("Exp", b.op("Neg", b.op("Exp", layer(b, "w", x, rows=K)))))
    s = b.op("Mul", states[0], decay)
    if version == 7:
        known = b.op("MatMul", states[0], column(b, k))
        s = b.op("Sub", s, b.op("Mul", known, row(b, b.op("Mul", gate(b, "a", x, rows=K), b.times(k, 0.3)))))
    if version == 7:
        s = b.op("Add", s, pair)
        return read(b, s, r), [s]
    bonus = b.op("Mul", pair, b.fixed("u", np.linspace(-0.5, 0.5, K)))
    return read(b, b.op("Add", states[0], bonus), r), [b.op("Add", s, pair)]


def retention(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """RetNet."""
    pair = b.op("Mul", column(b, b.rows("v", x, X, H)), row(b, b.rows("k", x, X, K)))
    s = b.op("Add", b.times(states[0], 0.9), pair)
    return read(b, s, b.rows("q", x, X, K)), [s]


def m_lstm(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """mLSTM: a matrix, its normaliser, and a stabiliser."""
    c, n, m = states
    q, k, v = b.rows("q", x, X, K), b.times(b.rows("k", x, X, K), K**-0.5), b.rows("v", x, X, H)
    i, f = layer(b, "i", x, rows=1), b.op("Log", gate(b, "f", x, rows=1))
    kept = b.op("Add", f, m)
    top = b.op("Max", kept, i)
    keep, take = b.op("Exp", b.op("Sub", kept, top)), b.op("Exp", b.op("Sub", i, top))
    taken = b.op("Mul", b.op("Mul", column(b, v), row(b, k)), column(b, take))
    c = b.op("Add", b.op("Mul", c, column(b, keep)), taken)
    n = b.op("Add", b.op("Mul", n, keep), b.op("Mul", k, take))
    size = b.op("Abs", b.sums(b.op("Mul", n, q), 1))
    y = b.op("Div", read(b, c, q), b.op("Max", size, b.fixed("one", 1.0)))
    return b.op("Mul", gate(b, "o", x), y), [c, n, top]


def legendre(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """LMU: a linear memory beside a tanh layer."""
    h, m = states
    u = b.op("Add", b.rows("ex", x, X, 1), b.op("Add", b.rows("eh", h, H, 1), b.rows("em", m, K, 1)))
    rotation = 0.9 * np.linalg.qr(np.arange(9.0).reshape(K, K) % 4 - 1.5)[0]
    m = b.op("Add", b.op("MatMul", m, b.fixed("A", rotation)), b.op("Mul", u, b.fixed("B", np.linspace(0.2, 0.5, K))))
    h = b.op("Tanh", b.op("Add", b.rows("wx", x, X, H), b.op("Add", b.rows("wh", h, H, H), b.rows("wm", m, K, H))))
    return h, [h, m]


def closed_form(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """CfC: two targets, and a gate of time between them."""
    both = b.op("Concat", x, states[0], axis=1)
    back = b.op("Tanh", layer(b, "bone", both, X + H))
    one, other = (b.op("Tanh", layer(b, n, back, H)) for n in "fg")
    h = b.mixed(b.op("Sigmoid", b.op("Sub", layer(b, "b", back, H), layer(b, "a", back, H))), other, one)
    return h, [h]


def liquid(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """LTC: some steps of a fused solver, with conductances."""
    v, leak = states[0], b.fixed("leak", np.linspace(0.3, 0.8, H))
    sensed = b.op("Sigmoid", layer(b, "s", x))
    for _ in range(3):
        act = b.op("Add", b.op("Sigmoid", layer(b, "r", v, H)), sensed)
        above = b.op("Add", b.op("Add", b.times(v, 4.0), b.op("Mul", act, b.fixed("E", np.linspace(-1, 1, H)))), leak)
        v = b.op("Div", above, b.op("Add", b.op("Add", act, leak), b.fixed("four", 4.0)))
    return v, [v]


def simple_recurrent(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """SRU: gates that read the cell element by element, and a highway."""
    (c,) = states
    wide = b.rows("w", x, X, H)
    f, r = (
        b.op("Sigmoid", b.op("Add", layer(b, n, x), b.op("Mul", c, b.fixed(f"v{n}", lambda: b.weights(H)))))
        for n in "fr"
    )
    new = b.mixed(f, c, wide)
    return b.mixed(r, new, b.rows("skip", x, X, H)), [new]


def quasi(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """QRNN: gates of this frame and the last one, fo-pooling."""
    c, before = states
    pair = b.op("Concat", before, x, axis=1)
    f, o = gate(b, "f", pair, 2 * X), gate(b, "o", pair, 2 * X)
    c = b.mixed(f, c, b.op("Tanh", layer(b, "z", pair, 2 * X)))
    return b.op("Mul", o, c), [c, b.op("Identity", x)]


def independent(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """IndRNN: each unit reads its own state."""
    h = b.op("Relu", b.op("Add", layer(b, "w", x), b.op("Mul", states[0], b.fixed("u", np.linspace(-0.7, 0.9, H)))))
    return h, [h]


def just_another(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """JANET: a forget gate alone."""
    s, n = b.gates(x, states[0], "s", "n")
    f = b.op("Sigmoid", s)
    kept = b.op("Sigmoid", b.op("Sub", s, b.fixed("beta", 1.0)))
    h = b.op("Add", b.op("Mul", f, states[0]), b.op("Mul", b.one_minus(kept), b.op("Tanh", n)))
    return h, [h]


def minimal_gated(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """MGU: one gate that forgets and resets."""
    h = states[0]
    (f,) = b.gates(x, h, "f")
    f = b.op("Sigmoid", f)
    (n,) = b.gates(x, b.op("Mul", f, h), "n")
    h = b.mixed(f, b.op("Tanh", n), h)
    return h, [h]


def echo(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """ESN: a leaky reservoir."""
    (a,) = b.gates(x, states[0], "h")
    h = b.op("Add", b.times(states[0], 0.7), b.times(b.op("Tanh", a), 0.3))
    return h, [h]


def phased(b: Unrolled, x: str, states: list[str]) -> tuple[str, list[str]]:
    """Phased LSTM: openness by the time, which is a feature of the frame."""
    h, c = states
    time = b.op("Abs", b.op("Slice", x, b.fixed("zero", [0]), b.fixed("until", [1]), b.fixed("axes 1", [1])))
    phase = b.op("Mod", b.op("Mul", time, b.fixed("rate", np.linspace(0.5, 1.5, H))), b.fixed("period", 1.0), fmod=1)
    opened = b.op(
        "Clip", b.op("Sub", b.fixed("width", 1.2), b.times(phase, 1.5)), b.fixed("nil", 0.0), b.fixed("one", 1.0)
    )
    i, f, g, o = b.gates(x, h, *"ifgo")
    new = b.op("Add", b.op("Mul", b.op("Sigmoid", f), c), b.op("Mul", b.op("Sigmoid", i), b.op("Tanh", g)))
    fresh = b.op("Mul", b.op("Sigmoid", o), b.op("Tanh", new))
    c, h = b.mixed(opened, new, c), b.mixed(opened, fresh, h)
    return h, [h, c]


MODERN: dict[str, tuple[Step, list[Start]]] = {
    "minGRU": CELLS["where"],
    "minLSTM": (min_lstm, [ROW]),
    "Mamba": CELLS["caching"],
    "Mamba-2": (mamba2, [MATRIX]),
    "RWKV 4": (rwkv4, [ROW, ROW, (-5.0, (1, H))]),
    "RWKV 5": (lambda b, x, s: rwkv(b, x, s, 5), [MATRIX]),
    "RWKV 6": (lambda b, x, s: rwkv(b, x, s, 6), [MATRIX]),
    "RWKV 7": (lambda b, x, s: rwkv(b, x, s, 7), [MATRIX]),
    "S4D": CELLS["coupled"],
    "S5, LRU": CELLS["rotating"],
    "RetNet": (retention, [MATRIX]),
    "sLSTM": CELLS["stabilised"],
    "mLSTM": (m_lstm, [MATRIX, (0.0, (1, K)), (0.0, (1, 1))]),
    "gated DeltaNet": CELLS["delta"],
    "LMU": (legendre, [ROW, (0.0, (1, K))]),
    "CfC": (closed_form, [ROW]),
    "LTC": (liquid, [ROW]),
    "FastGRNN": CELLS["low rank"],
    "SRU": (simple_recurrent, [ROW]),
    "QRNN": (quasi, [ROW, (0.0, (1, X))]),
    "IndRNN": (independent, [ROW]),
    "JANET": (just_another, [ROW]),
    "MGU": (minimal_gated, [ROW]),
    "ESN": (echo, [ROW]),
    "LIF": CELLS["spiking"],
    "ODE-RNN": CELLS["substeps"],
    "phased LSTM": (phased, [ROW, ROW]),
}
"""One step of each, with the value and shape of each initial state."""


def step_file(name: str) -> bytes:
    """x ``[1, X]`` and the states in, y ``[1, H]`` and the new states out."""
    step, initial = MODERN[name]
    b = Unrolled()
    y, new = step(b, "x", [f"h{i}" for i in range(len(initial))])
    outputs = [b.op("Identity", y, out="y"), *(b.op("Identity", s, out=f"h{i}_out") for i, s in enumerate(new))]
    return b.model({"x": (1, X), **{f"h{i}": shape for i, (_, shape) in enumerate(initial)}}, outputs)


def copied_file(name: str) -> bytes:
    """x ``[1, T, X]``, a copy of the step for each frame, y ``[1, T, H]``."""
    step, initial = MODERN[name]
    b, every = Unrolled(), list[str]()
    states = [b.const(np.full(shape, value)) for value, shape in initial]
    for t in range(T):
        y, states = step(b, b.op("Gather", "x", b.const(np.asarray(t)), axis=1), states)
        every.append(b.op("Unsqueeze", y, b.fixed("stack", [1])))
    b.op("Concat", *every, axis=1, out="y")
    return b.model({"x": (1, T, X)}, ["y"])


def scanned_file(name: str) -> bytes:
    """x ``[T, 1, X]``, the step as the body of a Scan, y ``[T, 1, H]``; T is open."""
    step, initial = MODERN[name]
    b = Unrolled()
    y, new = step(b, "frame", [f"s{i}" for i in range(len(initial))])
    outputs = [*(b.op("Identity", s, out=f"n{i}") for i, s in enumerate(new)), b.op("Identity", y, out="given")]
    shapes = {**{f"s{i}": shape for i, (_, shape) in enumerate(initial)}, "frame": (1, X)}
    starts = [numpy_helper.from_array(np.full(s, v, np.float32), f"h{i}") for i, (v, s) in enumerate(initial)]
    results = [f"last{i}" for i in range(len(initial))]
    scan = helper.make_node(
        "Scan", [*(s.name for s in starts), "x"], [*results, "y"], num_scan_inputs=1, body=b.graph(shapes, outputs)
    )
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["T", 1, size]) for n, size in (("x", X), ("y", H))]
    graph = helper.make_graph([scan], "scanned", ports[:1], ports[1:], starts)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    return bytes(model.SerializeToString())
