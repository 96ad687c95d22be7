"""Layers of random networks made of pointwise and vector ops; ``LAYERS`` of nets.py draws from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rnnc.ops.add import Add
from rnnc.ops.affine import Affine
from rnnc.ops.along import Along
from rnnc.ops.argmax import ArgMax
from rnnc.ops.clip import Clip
from rnnc.ops.compare import Compare
from rnnc.ops.curve import FUNCTIONS, Curve
from rnnc.ops.dense import Dense
from rnnc.ops.div import Div
from rnnc.ops.embedding import Embedding
from rnnc.ops.leaky_relu import LeakyRelu
from rnnc.ops.log import Log
from rnnc.ops.magnitude import Magnitude
from rnnc.ops.minmax import MinMax
from rnnc.ops.mul import Mul
from rnnc.ops.power import Power
from rnnc.ops.product import MatrixProduct
from rnnc.ops.reduce import Reduce, What
from rnnc.ops.round import Round
from rnnc.ops.scale import Scale
from rnnc.ops.softmax_pool import SoftmaxPool
from rnnc.ops.squash import Squash
from rnnc.tracing import Node

if TYPE_CHECKING:
    from tests.support.nets import Sketch


def _two(s: Sketch) -> tuple[str, str]:
    """The chain's end, and a Dense layer of the same size on it."""
    n, x = s.name("dense"), s.value
    s.add(Dense(n, (x,), (f"{n}.y",), s.weights(s.size, s.size), s.bias(s.size), (s.size,)), s.size)
    return x, s.value


def curve(s: Sketch) -> None:
    """A smooth function by a table."""
    n = s.name("curve")
    name = str(s.rng.choice(sorted(set(FUNCTIONS) - {"Exp"})))
    function = FUNCTIONS[name](Node("", name, "", (), ()))
    s.add(Curve(n, (s.value,), (f"{n}.y",), function), s.size)


def leaky_relu(s: Sketch) -> None:
    """A slope below zero for each element, then limits, then a gain."""
    n, c, g = s.name("leaky_relu"), s.name("clip"), s.name("scale")
    below, shape = s.rng.standard_normal(s.size), (s.size,)
    s.add(LeakyRelu(n, (s.value,), (f"{n}.y",), below, np.ones(s.size), shape), s.size)
    s.add(Clip(c, (s.value,), (f"{c}.y",), -1.5, 2.0), s.size)
    s.add(Scale(g, (s.value,), (f"{g}.y",), s.rng.uniform(0.1, 2, s.size)), s.size)


def gate(s: Sketch) -> None:
    """x times a layer of x, or the larger or smaller of both, or x over something positive."""
    x, y = _two(s)
    shapes, shape = ((s.size,), (s.size,)), (s.size,)
    which = int(s.rng.integers(4))
    n = s.name(("mul", "minmax", "minmax", "div")[which])
    if which == 0:
        s.add(Mul(n, (x, y), (f"{n}.y",), shapes, shape), s.size)
    elif which == 3:
        q, a = s.name("squash"), s.name("affine")
        s.add(Squash(q, (y,), (f"{q}.y",), "sigmoid"), s.size)
        s.add(Affine(a, (s.value,), (f"{a}.y",), np.ones(1), np.full(1, 0.1), shape, shape), s.size)
        s.add(Div(n, (x, s.value), (f"{n}.y",), shapes, shape), s.size)
    else:
        s.add(MinMax(n, (x, y), (f"{n}.y",), shapes, shape, smaller=which == 1), s.size)


def magnitude(s: Sketch) -> None:
    """sqrt(x^2 + y^2) of x and a layer of it, its power, and that one's logarithm or not."""
    x, y = _two(s)
    shape, n = (s.size,), s.name("magnitude")
    s.add(Magnitude(n, (x, y), (f"{n}.y",), (shape, shape), shape, 1e-4), s.size)
    gain, offset = np.full(s.size, 0.5), s.rng.uniform(0.01, 1, s.size)
    n = s.name("power")
    s.add(Power(n, (s.value,), (f"{n}.y",), 0.4, gain, offset, shape, "positive"), s.size)
    if s.rng.random() < 0.5:
        n = s.name("log")
        s.add(Log(n, (s.value,), (f"{n}.y",), gain, offset, shape), s.size)


def product(s: Sketch) -> None:
    """Two layers of x as matrices, one times the other, in groups or not."""
    x, groups, rows, inner, columns = s.value, *(int(k) for k in s.rng.integers(1, 4, 4))
    a, b = (groups, rows, inner), (1 if s.rng.random() < 0.5 else groups, inner, columns)
    found = []
    for shape in (a, b):
        n, size = s.name("dense"), int(np.prod(shape))
        s.add(Dense(n, (x,), (f"{n}.y",), s.weights(size, s.size), s.bias(size), (size,)), s.size)
        found.append(s.value)
    n, size = s.name("product"), groups * rows * columns
    s.add(MatrixProduct(n, (found[0], found[1]), (f"{n}.y",), a, b, (size,)), size)


def softmax_pool(s: Sketch) -> None:
    """The mean of x so far, weighted by a softmax over time of a score, or of one for each element."""
    x, size = s.value, s.size
    groups = 1 if s.rng.random() < 0.5 else size
    n = s.name("dense")
    s.add(Dense(n, (x,), (f"{n}.y",), s.weights(groups, size), s.bias(groups), (groups,)), groups)
    n = s.name("softmax_pool")
    s.add(SoftmaxPool(n, (s.value, x), (f"{n}.y",), groups, size // groups, (size,)), size)


def reduced(s: Sketch) -> None:
    """x plus what all its elements come to."""
    x, size, n, a = s.value, s.size, s.name("reduce"), s.name("add")
    kinds: tuple[What, ...] = ("sum", "l1", "square", "l2", "max", "min")
    what = kinds[int(s.rng.integers(len(kinds)))]
    factor = 1.0 if what in ("max", "min") else 1 / size
    s.add(Reduce(n, (x,), (f"{n}.y",), what, Along(1, size, 1), (), factor, 1e-5 if what == "l2" else 0.0), 1)
    s.add(Add(a, (x, f"{n}.y"), (f"{a}.y",), ((size,), (1,)), (size,), bool(s.rng.integers(2))), size)


def decision(s: Sketch) -> None:
    """The row of a table that the largest element names."""
    n, e, h = s.name("argmax"), s.name("embedding"), s.width()
    count = s.size
    s.add(ArgMax(n, (s.value,), (f"{n}.y",), Along(1, count, 1), ()), 1)
    s.add(Embedding(e, (s.value,), (f"{e}.y",), s.weights(count, h), (h,)), h)


def stepped(s: Sketch) -> None:
    """x rounded, or whether it lies between limits."""
    x, shape, kind = s.value, (s.size,), str(s.rng.choice(["round", "compare"]))
    n = s.name(kind)
    strict, outside = (bool(k) for k in s.rng.integers(2, size=2))
    limits = s.rng.standard_normal((2, s.size))
    if kind == "round":
        s.add(Round(n, (x,), (f"{n}.y",), str(s.rng.choice(["Floor", "Ceil", "Round"])), shape), s.size)
    else:
        s.add(Compare(n, (x,), (f"{n}.y",), limits.min(0), limits.max(0), shape, strict, outside), s.size)
