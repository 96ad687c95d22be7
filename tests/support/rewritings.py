"""One recurrent cell, written in primitive operators in any of the ways that mean the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from tests.support.graphs import Builder
from tests.support.models import Array

GATES = {
    "lstm": "ifog",
    "lstm_peephole": "ifog",
    "lstm_coupled": "fog",
    "lstm_projected": "ifog",
    "gru": "zrn",
    "gru_after": "zrn",
    "gru_minimal": "zn",
    "gru_ungated": "zn",
    "rnn": "h",
}


@dataclass(frozen=True)
class Weights:
    """A cell: for each gate W ``[hidden, columns]``, R ``[hidden, width]`` and two biases ``[hidden]``.

    Args:
        width: of h: that of the projection ``[width, hidden]``, where there is one.
        peepholes: ``[hidden]`` for each of i, f, o.
        hard: gates are hard sigmoids, 0.2 x + 0.5 between 0 and 1.
    """

    kind: str
    columns: int
    hidden: int
    width: int
    w: dict[str, Array]
    r: dict[str, Array]
    bias: dict[str, Array]
    hidden_bias: dict[str, Array]
    peepholes: dict[str, Array]
    projection: Array
    hard: bool

    @staticmethod
    def draw(kind: str, choose: Random) -> Weights:
        """Random weights."""
        columns, hidden, hard = choose.randint(1, 4), choose.randint(2, 4), choose.random() < 0.2
        width = choose.randint(1, hidden) if kind == "lstm_projected" else hidden
        rng = np.random.default_rng(choose.randint(0, 1 << 20))

        def each(*shape: int) -> dict[str, Array]:
            return {g: rng.standard_normal(shape) * 0.6 for g in GATES[kind]}

        w, r, bias, other = each(hidden, columns), each(hidden, width), each(hidden), each(hidden)
        projection = rng.standard_normal((width, hidden)) * 0.6
        return Weights(kind, columns, hidden, width, w, r, bias, other, each(hidden), projection, hard)

    @property
    def states(self) -> dict[str, int]:
        """The states by name, with their sizes."""
        return {"h": self.width} | ({"c": self.hidden} if self.kind.startswith("lstm") else {})


class Writer:
    """Writes expressions of vectors ``[1, n]`` into a graph, each time in another of their equal forms.

    Args:
        b: where to write.
        choose: decides.
    """

    def __init__(self, b: Builder, choose: Random) -> None:
        self.b = b
        self.choose = choose

    # ----------------------------------------------------------------- small things

    def number(self, value: float) -> str:
        """A constant of no axes, one or two."""
        return self.b.const(np.full(self.choose.choice([(), (1,), (1, 1)]), value, np.float32))

    def indices(self, *values: int) -> str:
        """Integers."""
        return self.b.const(np.asarray(values, np.int64))

    def shuffled(self, *names: str) -> list[str]:
        """In any order."""
        return self.choose.sample(names, len(names))

    def mul(self, *factors: str) -> str:
        """A product."""
        first, *rest = self.shuffled(*factors)
        for name in rest:
            first = self.b.op("Mul", *self.shuffled(first, name))
        return self.same(first)

    def add(self, *terms: str) -> str:
        """A sum."""
        if self.choose.random() < 0.15:
            return self.b.op("Sum", *self.shuffled(*terms))
        first, *rest = self.shuffled(*terms)
        for name in rest:
            first = self.b.op("Add", *self.shuffled(first, name))
        return self.same(first)

    def sub(self, a: str, b: str) -> str:
        """A difference."""
        how = self.choose.randrange(4)
        if how == 0:
            return self.add(a, self.b.op("Neg", b))
        if how == 1:
            return self.b.op("Neg", self.b.op("Sub", b, a))
        return self.b.op("Sub", a, b)

    def same(self, x: str) -> str:
        """A detour that changes nothing, now and then."""
        if self.choose.random() > 0.15:
            return x
        b, one = self.b, self.indices(0)
        how = self.choose.randrange(6)
        if how == 0:
            return b.op("Squeeze", b.op("Unsqueeze", x, one), one)
        if how == 1:
            return b.op("Mul", x, self.number(1.0))
        if how == 2:
            return b.op("Add", self.number(0.0), x)
        if how == 3:
            return b.op("Transpose", b.op("Transpose", x, perm=[1, 0]), perm=[1, 0])
        if how == 4:
            return b.op("Reshape", b.op("Flatten", x, axis=0), self.indices(1, -1))
        return b.op("Identity", x)

    # ----------------------------------------------------------------- functions

    def one_minus(self, x: str) -> str:
        """1 - x."""
        if self.choose.random() < 0.25:
            return self.b.op("Add", self.b.op("Neg", x), self.number(1.0))
        if self.choose.random() < 0.25:
            return self.b.op("Mul", self.number(-1.0), self.b.op("Sub", x, self.number(1.0)))
        return self.b.op("Sub", self.number(1.0), x)

    def sigmoid(self, x: str) -> str:
        """The logistic function."""
        b, how = self.b, self.choose.randrange(8)
        if how == 0:
            half = self.number(0.5)
            return b.op("Add", b.op("Mul", b.op("Tanh", b.op("Mul", x, half)), half), half)
        if how == 1:
            return b.op("Div", self.number(1.0), self.add(self.number(1.0), b.op("Exp", b.op("Neg", x))))
        if how == 2:
            return b.op("Reciprocal", self.add(b.op("Exp", b.op("Mul", x, self.number(-1.0))), self.number(1.0)))
        if how == 3:
            return self.one_minus(b.op("Sigmoid", b.op("Neg", x)))
        return self.same(b.op("Sigmoid", x))

    def hard_sigmoid(self, x: str) -> str:
        """0.2 x + 0.5 between 0 and 1."""
        b, how = self.b, self.choose.randrange(4)
        if how == 0:
            return b.op("HardSigmoid", x)
        line = self.add(self.mul(x, self.number(0.2)), self.number(0.5))
        if how == 1:
            return b.op("Max", b.op("Min", line, self.number(1.0)), self.number(0.0))
        if how == 2:
            return b.op("Min", b.op("Relu", line), self.number(1.0))
        return b.op("Clip", line, b.const(np.array(0.0)), b.const(np.array(1.0)))

    def tanh(self, x: str) -> str:
        """The hyperbolic tangent."""
        b, how = self.b, self.choose.randrange(8)
        if how == 0:
            two = self.number(2.0)
            return b.op("Sub", b.op("Mul", b.op("Sigmoid", b.op("Mul", x, two)), two), self.number(1.0))
        return self.same(b.op("Tanh", x))

    # ----------------------------------------------------------------- rows of weights

    def rows(self, x: str, weights: Array, bias: Array | None = None) -> str:
        """``weights [rows, columns] @ x + bias``."""
        b, how = self.b, self.choose.randrange(6)
        if how <= 1:
            transposed = bool(self.choose.randrange(2))
            matrix = b.const(weights if transposed else weights.T)
            third = [] if bias is None else [b.const(bias if self.choose.randrange(2) else bias[None])]
            return b.op("Gemm", x, matrix, *third, transB=int(transposed))
        if how == 2:
            result = b.op("MatMul", x, b.op("Transpose", b.const(weights), perm=[1, 0]))
        elif how == 3:
            result = b.op("Einsum", x, b.const(weights), equation="bi,oi->bo")
        elif how == 4:
            turned = b.op("MatMul", b.const(weights), b.op("Transpose", x, perm=[1, 0]))
            result = b.op("Transpose", turned, perm=[1, 0])
        else:
            result = b.op("MatMul", x, b.const(weights.T))
        if bias is None:
            return self.same(result)
        return self.same(b.op("Add", *self.shuffled(result, b.const(bias))))

    def affine(self, x: str, h: str, w: Array, r: Array, bias: Array) -> str:
        """``w x + r h + bias``."""
        b, how = self.b, self.choose.randrange(4)
        share = bias * self.choose.choice([0.0, 0.5, 1.0])
        if how == 0:
            turned = self.choose.randrange(2)
            joined = b.op("Concat", *((h, x) if turned else (x, h)), axis=1)
            return self.rows(joined, np.concatenate([r, w] if turned else [w, r], axis=1), bias)
        if how == 1:
            return b.op("Gemm", x, b.const(w.T), self.rows(h, r, bias))
        left, right = self.rows(x, w, share if np.any(share) else None), self.rows(h, r, bias - share)
        return self.add(left, right)

    def gates(self, x: str, h: str, cell: Weights, names: Sequence[str], hidden_bias: bool = True) -> dict[str, str]:
        """Preactivations of gates, some computed together."""
        order = self.shuffled(*names)
        groups = [order] if self.choose.randrange(2) else [[g] for g in order]
        if len(order) > 2 and self.choose.random() < 0.3:
            groups = [order[:2], order[2:]]
        result: dict[str, str] = {}
        for group in groups:
            bias = np.concatenate([cell.bias[g] + cell.hidden_bias[g] * hidden_bias for g in group])
            w, r = (np.concatenate([part[g] for g in group]) for part in (cell.w, cell.r))
            whole = self.affine(x, h, w, r, bias)
            result.update(zip(group, self.cut(whole, len(group), cell.hidden), strict=True))
        return result

    def cut(self, x: str, parts: int, size: int) -> list[str]:
        """``[1, parts * size]`` in pieces."""
        if parts == 1:
            return [x]
        b, how, one = self.b, self.choose.randrange(6), self.indices(1)
        if how == 0:
            return b.ops("Split", parts, x, axis=self.choose.choice([1, -1]), num_outputs=parts)
        if how == 1:
            return b.ops("Split", parts, x, self.indices(*[size] * parts), axis=1)
        if how == 2:
            ends = [(k + 1) * size if k < parts - 1 else 1 << 40 for k in range(parts)]
            return [b.op("Slice", x, self.indices(k * size), self.indices(ends[k]), one) for k in range(parts)]
        if how == 3:
            return [b.op("Gather", x, self.indices(*range(k * size, (k + 1) * size)), axis=1) for k in range(parts)]
        deep = b.op("Reshape", x, self.indices(1, parts, size))
        if how == 4:
            return [b.op("Gather", deep, b.const(np.asarray(k)), axis=1) for k in range(parts)]
        return [b.op("Squeeze", p, one) for p in b.ops("Split", parts, deep, axis=1, num_outputs=parts)]

    # ----------------------------------------------------------------- cells

    def cell(self, cell: Weights, x: str, h: str, c: str = "") -> tuple[str, ...]:
        """The new states of a cell: h, and c of an LSTM."""
        if cell.kind.startswith("lstm"):
            return self.lstm(cell, x, h, c)
        if cell.kind == "rnn":
            return (self.tanh(self.gates(x, h, cell, "h")["h"]),)
        return (self.gru(cell, x, h),)

    def gate(self, cell: Weights, x: str) -> str:
        """Its sigmoid."""
        return self.hard_sigmoid(x) if cell.hard else self.sigmoid(x)

    def lstm(self, cell: Weights, x: str, h: str, c: str) -> tuple[str, str]:
        """h' = o tanh(c'), c' = f c + i g; i and f may look at c, o at c'; i may be 1 - f; h' may be projected."""
        a = self.gates(x, h, cell, GATES[cell.kind])
        f = self.gate(cell, self.peeking(cell, "f", a["f"], c))
        i = self.one_minus(f) if cell.kind == "lstm_coupled" else self.gate(cell, self.peeking(cell, "i", a["i"], c))
        new = self.add(self.mul(f, c), self.mul(i, self.tanh(a["g"])))
        o = self.gate(cell, self.peeking(cell, "o", a["o"], new))
        out = self.mul(o, self.tanh(new))
        return self.rows(out, cell.projection) if cell.kind == "lstm_projected" else out, new

    def peeking(self, cell: Weights, gate: str, argument: str, c: str) -> str:
        """A gate's argument and its share of the cell."""
        if cell.kind != "lstm_peephole":
            return argument
        return self.add(argument, self.mul(c, self.b.const(cell.peepholes[gate])))

    def gru(self, cell: Weights, x: str, h: str) -> str:
        """h' = (1 - z) n + z h; the minimal gated unit resets by z or 1 - z, JANET not at all."""
        a = self.gates(x, h, cell, [g for g in GATES[cell.kind] if g != "n"])
        z = self.gate(cell, a["z"])
        if cell.kind == "gru_ungated":
            n = self.tanh(self.gates(x, h, cell, "n")["n"])
        else:
            own = self.gate(cell, a["r"]) if "r" in a else self.choose.choice([z, self.one_minus(z)])
            n = self.tanh(self.candidate(cell, x, h, own))
        how = self.choose.randrange(5)
        if how == 0:
            return self.add(n, self.mul(z, self.sub(h, n)))
        if how == 1:
            return self.add(h, self.mul(self.one_minus(z), self.sub(n, h)))
        if how == 2:
            return self.sub(h, self.mul(self.one_minus(z), self.sub(h, n)))
        if how == 3:
            return self.add(self.sub(n, self.mul(z, n)), self.mul(z, h))
        return self.add(self.mul(z, h), self.mul(self.one_minus(z), n))

    def candidate(self, cell: Weights, x: str, h: str, r: str) -> str:
        """What the candidate's tanh is of: the reset gate before or after the recurrent weights."""
        w, rec, bias, own = (part["n"] for part in (cell.w, cell.r, cell.bias, cell.hidden_bias))
        if cell.kind == "gru_after" or (cell.kind == "gru_minimal" and self.choose.randrange(2)):
            return self.add(self.rows(x, w, bias), self.mul(r, self.rows(h, rec, own)))
        return self.affine(x, self.mul(r, h), w, rec, bias + own)


def step_model(cell: Weights, choose: Random) -> bytes:
    """A graph of one step: x and the states in, y and the states out; states of any shape, an LSTM's maybe in one."""
    b = Builder()
    writer = Writer(b, choose)
    packed = len(set(cell.states.values())) < len(cell.states) and choose.random() < 0.3
    lead, tail = choose.choice([([1], []), ([], []), ([1, 1], []), ([], [1])])
    inputs = {"x": [1, cell.columns]}
    if packed:
        inputs["state"] = [2, *lead, cell.hidden, *tail]
        parts = b.ops("Split", 2, "state", axis=0, num_outputs=2)
        old = [_flat(writer, s, cell.hidden) for s in parts]
    else:
        inputs |= {name: [*lead, n, *tail] for name, n in cell.states.items()}
        old = [name if (lead, tail) == ([1], []) else _flat(writer, name, n) for name, n in cell.states.items()]
    new = writer.cell(cell, "x", *old)
    y = b.op("Gemm", new[0], b.const(b.weights(cell.width, 3)), out="y")
    if packed:
        parts = [b.op("Reshape", s, writer.indices(1, *lead, cell.hidden, *tail)) for s in new]
        return b.model(inputs, [y, b.op("Concat", *parts, axis=0, out="state_out")])
    for name, s in zip(cell.states, new, strict=True):
        b.op("Reshape", s, writer.indices(*inputs[name]), out=f"{name}_out")
    return b.model(inputs, [y, *(f"{name}_out" for name in cell.states)])


def written(kind: str) -> bytes:
    """A model of one step, the same each time."""
    choose = Random(0)
    return step_model(Weights.draw(kind, choose), choose)


def _flat(writer: Writer, state: str, size: int) -> str:
    return writer.b.op("Reshape", state, writer.indices(1, size))


def scan_model(cell: Weights, choose: Random) -> bytes:
    """A Scan over ``x [time, 1, columns]`` whose body is the cell."""
    inner, b = Builder(prefix="in_"), Builder()
    new = Writer(inner, choose).cell(cell, "x_t", *cell.states)
    outputs = [inner.op("Identity", s, out=f"{name}_next") for name, s in zip(cell.states, new, strict=True)]
    outputs.append(inner.op("Identity", new[0], out="y_t"))
    shapes = {name: [1, n] for name, n in cell.states.items()} | {"x_t": [1, cell.columns]}
    body = inner.graph(shapes, outputs)
    start = [b.const(np.zeros((1, n))) for n in cell.states.values()]
    results = b.ops("Scan", len(outputs), *start, "x", body=body, num_scan_inputs=1)
    b.op("MatMul", results[-1], b.const(b.weights(cell.width, 2)), out="y")
    return b.model({"x": ["time", 1, cell.columns]}, ["y"])


def unrolled_model(cell: Weights, choose: Random, steps: int = 4) -> bytes:
    """The same form of the cell once for each step of ``x [1, steps, columns]``; y is of the last, or of each."""
    b = Builder()
    form, every = choose.randint(0, 1 << 20), bool(choose.randrange(2))
    state = tuple(b.const(np.zeros((1, n))) for n in cell.states.values())
    outputs: list[str] = []
    for t in range(steps):
        x = b.op("Gather", "x", b.const(np.asarray(t)), axis=1)
        state = Writer(b, Random(form)).cell(cell, x, *state)
        outputs.append(b.op("Unsqueeze", state[0], b.const(np.array([1]))))
    last = b.op("Concat", *outputs, axis=1) if every else state[0]
    b.op("MatMul", last, b.const(b.weights(cell.width, 2)), out="y")
    return b.model({"x": [1, steps, cell.columns]}, ["y"])
