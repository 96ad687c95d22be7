"""Linear recurrences as files of whole sequences write them: sums over time, and weights of each step by each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from rnnc.options import Options
from tests.support import chunked
from tests.support.supported import Form
from tests.support.unrolled import H, Unrolled, X

STEPS, N = 12, 3


class Sums(Unrolled):
    """A builder of what all steps of x ``[1, T, X]`` give at once."""

    def layer(self, name: str, columns: int = H) -> str:
        """A Dense layer over x, ``[1, T, columns]``."""
        bias = self.fixed(f"b{name}", lambda: self.weights(columns))
        return self.op("Add", self.rows(f"W{name}", "x", X, columns), bias)

    def summed(self, x: str, **attributes: Any) -> str:
        """CumSum over time."""
        return self.op("CumSum", x, self.fixed("time", np.asarray(1)), **attributes)

    def cut(self, x: str, start: int, step: int = 1, stop: int = 1 << 30) -> str:
        """Steps of x from ``start`` to ``stop``."""
        ends = (self.fixed(f"axes {v}", [v]) for v in (start, stop, 1, step))
        return self.op("Slice", x, *ends)

    def turned(self, x: str) -> str:
        """x from its last step to its first."""
        return self.cut(x, -1, -1, -(1 << 30))

    def padded(self, x: str, before: int, after: int, rank: int = 3) -> str:
        """x with steps of zeros at its ends."""
        pads = [0, before, *[0] * (rank - 2), 0, after, *[0] * (rank - 2)]
        return self.op("Pad", x, self.fixed(f"pads {before} {after} {rank}", pads))

    def log_sigmoid(self, x: str) -> str:
        """log(sigmoid(x)) as PyTorch exports it."""
        return self.op("Log", self.op("Sigmoid", x))

    def inverse(self, x: str) -> str:
        """exp(-x)."""
        return self.op("Exp", self.op("Neg", x))


# --------------------------------------------------------------------------- sums over time


def log_space(b: Sums, stabilised: bool, first: str = "") -> str:
    """minGRU in log space; ``first``: "pad" or "sum" where a state stands before the first step, and how A gets its zero."""
    gate, hidden = b.layer("gate"), b.layer("hidden")
    decay, share = (b.op("Neg", b.op("Softplus", g)) for g in (gate, b.op("Neg", gate)))
    above = b.op("Log", b.op("Add", b.op("Relu", hidden), b.fixed("half", 0.5)))
    below = b.op("Neg", b.op("Softplus", b.op("Neg", hidden)))
    chosen = b.op("Where", b.op("GreaterOrEqual", hidden, b.fixed("zero", 0.0)), above, below)
    taken = b.op("Add", share, chosen)
    a = b.padded(b.summed(decay), 1, 0) if first == "pad" else b.summed(b.padded(decay, 1, 0) if first else decay)
    if first:
        taken = b.op("Concat", b.fixed("h0", np.log(np.linspace(0.2, 0.8, H)).reshape(1, 1, H)), taken, axis=1)
    log = b.op("Sub", taken, a)
    if stabilised:
        top = b.op("ReduceMax", log, b.fixed("axes", [1]), keepdims=1)
        total = b.op("Add", b.op("Log", b.summed(b.op("Exp", b.op("Sub", log, top)))), top)
    else:
        total = b.op("Log", b.op("Add", b.summed(b.op("Exp", log)), b.fixed("tiny", 1e-12)))
    h = b.op("Exp", b.op("Add", a, total))
    return b.cut(h, 1) if first else h


def selective(b: Sums, form: str) -> str:
    """Mamba's selective state, summed over N."""
    u, gate = b.op("Tanh", b.layer("u")), b.op("Softplus", b.layer("dt"))
    wide = b.op("Unsqueeze", gate, b.fixed("last", [3]))
    log = b.op("Mul", wide, b.fixed("A", -np.linspace(0.1, 0.5, H * N).reshape(H, N)))
    taken = b.op("Mul", wide, b.op("Unsqueeze", b.layer("B", N), b.fixed("middle", [2])))
    taken = b.op("Mul", taken, b.op("Unsqueeze", u, b.fixed("last", [3])))
    if form == "later":  # what decays until the end, from the end backwards
        later = b.turned(b.padded(b.cut(log, 1), 0, 1, rank=4))
        left = b.turned(b.op("Exp", b.summed(later)))
        h = b.op("Div", b.summed(b.op("Mul", taken, left)), b.op("Add", left, b.fixed("tiny", 1e-12)))
    else:
        a = b.summed(log)
        grown = b.op("Exp", a)
        sums = b.summed(b.op("Div", taken, grown) if form == "quotient" else b.op("Mul", taken, b.inverse(a)))
        sums = b.op("Add", sums, b.fixed("h0", 0.3)) if form == "start" else sums
        h = b.op("Mul", grown, sums)
    read = b.op("Mul", h, b.op("Unsqueeze", b.layer("C", N), b.fixed("middle", [2])))
    return b.op("ReduceSum", read, b.fixed("last", [3]), keepdims=0)


def decaying(b: Sums, form: str) -> str:
    """A decaying sum: of powers of a constant, or of gates, whose sum over time is shifted by its last step."""
    v = b.layer("v")
    if form == "powers":
        powers = b.fixed("powers", np.linspace(0.5, 0.9, H) ** np.arange(STEPS)[:, None])
        return b.op("Mul", powers, b.summed(b.op("Div", v, powers)))
    a = b.summed(b.log_sigmoid(b.layer("g")))
    a = b.op("Sub", a, b.cut(a, -1)) if form == "shifted" else a
    return b.op("Mul", b.op("Exp", a), b.summed(b.op("Mul", v, b.inverse(a))))


# --------------------------------------------------------------------------- weights of each step by each


def heads(b: Sums, name: str, n: int, last: Sequence[int] = (0, 2, 1, 3)) -> str:
    """A layer over x in two heads, ``[1, 2, T, n]``."""
    parts = b.op("Reshape", b.layer(name, 2 * n), b.fixed(f"heads {n}", [1, STEPS, 2, n]))
    return b.op("Transpose", parts, perm=list(last))


def differences(b: Sums, a: str) -> str:
    """A_t - A_s of a ``[1, 2, T]``."""
    return b.op("Sub", b.op("Unsqueeze", a, b.fixed("last", [3])), b.op("Unsqueeze", a, b.fixed("third", [2])))


def retained(b: Sums, form: str) -> str:
    """Retention, gated linear attention, Mamba-2 and mLSTM in two heads."""
    q, k, v, time = heads(b, "q", 4), heads(b, "k", 4, (0, 2, 3, 1)), heads(b, "v", N), b.fixed("time 2", np.asarray(2))
    until = np.tri(STEPS, dtype=bool)
    if form in ("gated", "gated heads"):
        gates = heads(b, "g", 4) if form == "gated" else b.op("Transpose", b.layer("g", 2), perm=[0, 2, 1])
        a = b.op("CumSum", b.log_sigmoid(gates), time)
        a = a if form == "gated" else b.op("Unsqueeze", a, b.fixed("last", [3]))
        k = b.op("Transpose", b.op("Mul", heads(b, "k", 4), b.inverse(a)), perm=[0, 1, 3, 2])
        weights = b.op("MatMul", b.op("Mul", q, b.op("Exp", a)), k)
        weights = b.op("Trilu", weights, b.fixed("diagonal", np.asarray(0)), upper=0)
    else:
        weights = b.op("Mul", b.op("MatMul", q, k), b.fixed("scale", 0.5))
    if form == "constant":
        power = np.maximum(np.subtract.outer(np.arange(STEPS), np.arange(STEPS)), 0)
        decay = np.array([0.9, 0.7]).reshape(2, 1, 1) ** power * until
        weights = b.op("Mul", weights, b.fixed("decay", decay.astype(np.float32)))
    if form in ("segments", "gates"):
        gates = b.op("Transpose", b.layer("a", 2), perm=[0, 2, 1])
        exponent = differences(b, b.op("CumSum", b.log_sigmoid(gates), time))
        if form == "gates":
            taken = b.op("Unsqueeze", b.op("Transpose", b.layer("i", 2), perm=[0, 2, 1]), b.fixed("third", [2]))
            exponent = b.op("Add", exponent, taken)
        masked = b.op("Where", b.fixed("later", ~until), b.fixed("never", -np.inf), exponent)
        weights = b.op("Mul", weights, b.op("Exp", masked))
    y = b.op("Transpose", b.op("MatMul", weights, v), perm=[0, 2, 1, 3])
    return b.op("Reshape", y, b.fixed("joined", [1, STEPS, 2 * N]))


Write = Callable[[Sums], str]
FORMS: dict[str, Write] = {
    "minGRU in log space": lambda b: log_space(b, stabilised=False),
    "the same, with the largest taken off": lambda b: log_space(b, stabilised=True),
    "the same, from a state before A": lambda b: log_space(b, stabilised=True, first="pad"),
    "the same, from a state before what A sums up": lambda b: log_space(b, stabilised=False, first="sum"),
    "Mamba's state": lambda b: selective(b, "product"),
    "Mamba's state, as a quotient": lambda b: selective(b, "quotient"),
    "Mamba's state, from what decays until the end": lambda b: selective(b, "later"),
    "Mamba's state, from a start": lambda b: selective(b, "start"),
    "powers of a constant": lambda b: decaying(b, "powers"),
    "gates": lambda b: decaying(b, "gates"),
    "gates, less their last sum": lambda b: decaying(b, "shifted"),
    "retention": lambda b: retained(b, "constant"),
    "gated linear attention": lambda b: retained(b, "gated"),
    "the same, one gate a head": lambda b: retained(b, "gated heads"),
    "Mamba-2: differences of sums": lambda b: retained(b, "segments"),
    "mLSTM: differences of sums and a gate": lambda b: retained(b, "gates"),
}
"""What gives the result of all steps, by name."""


def sums_model(write: Callable[[Sums], str], steps: int | str = STEPS) -> bytes:
    """A model of x ``[1, steps, X]``."""
    b = Sums()
    b.op("Identity", write(b), out="y")
    return b.model({"x": (1, steps, X)}, ["y"])


def forms() -> list[Form]:
    """A form for each."""
    chunks, windows = partial(chunked.chunked_model, 4), Options(window=chunked.T)
    return [
        *(Form("sums over time", what, partial(sums_model, write)) for what, write in FORMS.items()),
        Form("sums over time", "Mamba-2 in chunks (segsum)", chunks),
        Form("sums over time", "Mamba-2 in chunks with --window", chunks, windows),
    ]
