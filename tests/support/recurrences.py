"""Random linear and ReLU recurrences that fade in float, as ONNX files, and what becomes of them in integers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rnnc.compiler import compile_stages, load_net
from rnnc.fixed import Floats
from rnnc.options import Options
from rnnc.streams import run_net, run_qnet
from rnnc.verification.stability import recurrences, spectral_radius
from tests.support.graphs import Builder

Form = Literal["relu", "linear", "plain"]
FORMS: tuple[Form, ...] = ("relu", "linear", "plain")
"""A layer of ReLU, a linear layer, a product and a sum over a state of the step."""
STEPS, QUIET = 300, 300
"""With noise as input, and with zeros."""
LANES = 2
ROOM = 0.05
"""Of the largest state: how far off integers may be when the input has been zero for QUIET steps."""


@dataclass(frozen=True, eq=False)
class Recurrence:
    """``s' = f(A s + W x + b)``, numbers as float32 has them."""

    form: Form
    matrix: Floats
    weights: Floats
    bias: Floats

    def model(self) -> tuple[bytes, Options]:
        """The file, and what it takes to compile it."""
        rows, columns = self.weights.shape
        b = Builder()
        if self.form == "plain":
            fed = b.op("Add", b.op("MatMul", "x", b.const(self.weights.T)), b.const(self.bias))
            b.op("Add", b.op("MatMul", "s", b.const(self.matrix.T)), fed, out="y")
            return b.model({"x": [1, columns], "s": [1, rows]}, ["y"]), Options(states={"s": "y"})
        w, r, bias = self.weights[None], self.matrix[None], np.concatenate([self.bias, 0 * self.bias])[None]
        given = (
            {"activations": ["Relu"]} if self.form == "relu" else {"activations": ["Affine"], "activation_alpha": [1.0]}
        )
        b.op("RNN", "x", b.const(w), b.const(r), b.const(bias), out="y", hidden_size=rows, **given)
        return b.model({"x": ["time", 1, columns]}, ["y"]), Options()


def draw(rng: np.random.Generator, form: Form) -> Recurrence:
    """2 to 16 units, spectral radius up to 0.9995: any matrix, rotation, diagonal, positive or symmetric one, filter."""
    n = int(rng.integers(2, 17))
    kind = rng.integers(6)
    if kind == 5:
        n = int(rng.integers(2, 4))
        matrix = np.eye(n, k=-1)
        matrix[0] = -np.poly(rng.uniform(0.3, 1, n))[1:]
    else:
        any_ = rng.standard_normal((n, n))
        diagonal = np.diag(rng.uniform(0.1, 1, n) * rng.choice([1, 1, -1], n))
        matrix = (any_, np.linalg.qr(any_)[0], diagonal, np.abs(any_), any_ + any_.T)[kind]
    radius = rng.choice([rng.uniform(0.3, 0.9), rng.uniform(0.9, 0.99), rng.uniform(0.99, 0.9995), 0.9995])
    weights = rng.standard_normal((n, int(rng.integers(1, 5)))) * rng.choice([0.03, 0.3, 3.0])
    bias = rng.standard_normal(n) * rng.choice([0.0, 0.1])
    matrix = (matrix * radius / spectral_radius(matrix)).astype(np.float32).astype(np.float64)
    return Recurrence(form, matrix, weights, bias)


def noise(r: Recurrence, rng: np.random.Generator) -> Floats:
    """``[STEPS + QUIET, LANES, columns]``: noise around a mean of its own, then zeros."""
    columns = r.weights.shape[1]
    x = rng.standard_normal((STEPS, LANES, columns)) + 0.3 * rng.standard_normal(columns)
    return np.concatenate([x, np.zeros((QUIET, LANES, columns))])


def fades(r: Recurrence, x: Floats) -> bool:
    """Whether float forgets where it started from: a matrix of ReLU units may grow although its eigenvalues are small."""

    def after(steps: Floats, start: Floats) -> Floats:
        s = np.tile(start, (LANES, 1))
        for row in steps:
            s = s @ r.matrix.T + row @ r.weights.T + r.bias
            s = np.maximum(s, 0) if r.form == "relu" else s
        return s

    if spectral_radius(r.matrix) >= 1:
        return False
    size = 1e-3 * np.abs(r.weights).max()
    with np.errstate(over="ignore", invalid="ignore"):
        apart = np.abs(after(x, np.zeros(len(r.matrix))) - after(x, np.full(len(r.matrix), size))).max()
    return bool(apart < size)


@dataclass(frozen=True)
class Outcome:
    """Of one recurrence: its spectral radius, that of the rounded one, whether it is told, and whether the integers fade."""

    seed: int
    form: Form
    before: float
    after: float
    told: bool
    quiet: bool

    @property
    def lost(self) -> bool:
        """Unstable, and not a word about it."""
        return (self.after >= 1 or not self.quiet) and not self.told


def outcomes(seeds: range) -> Iterator[Outcome]:
    """Compile each seed's recurrence as by default, three of four with calibration, and run the integers."""
    for seed in seeds:
        rng, form = np.random.default_rng(seed), FORMS[seed % 3]
        r = draw(rng, form)
        x = noise(r, rng)
        while not fades(r, x):
            r = draw(rng, form)
            x = noise(r, rng)
        yield _outcome(seed, r, x)


def _outcome(seed: int, r: Recurrence, x: Floats) -> Outcome:
    content, options = r.model()
    calibration = {"x": [x[:STEPS, k].astype(np.float32) for k in range(LANES)]}
    qnet = compile_stages(content, calibration if seed % 4 else None, options).qnet
    radii = [(spectral_radius(want), spectral_radius(got)) for _, want, got in recurrences(qnet)]
    net, (out,) = load_net(content, options), qnet.outputs
    want = run_net(net, {"x": x})[out.name]
    form = qnet.formats[out.value]
    got = form.dequantize(run_qnet(qnet, {"x": qnet.formats["x"].quantize(x)})[out.name])
    off = float(np.abs(got - want)[-QUIET // 4 :].max()) / max(float(np.abs(want).max()), 1e-9)
    before, after = radii[0] if radii else (spectral_radius(r.matrix), 0.0)
    told = any(a <= 1 - 1e-6 and b >= 1 for a, b in radii)
    return Outcome(seed, r.form, before, after, told, off < ROOM)
