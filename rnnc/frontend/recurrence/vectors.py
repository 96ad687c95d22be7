"""The expressions of a graph's vectors."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rnnc.frontend.rewrite.editor import Editor, scalar_of
from rnnc.frontend.rewrite.elements import follow
from rnnc.frontend.rewrite.expressions import (
    Act,
    Expression,
    Indices,
    Key,
    Leaf,
    TooLarge,
    arithmetic,
    hard_sigmoid,
    multiply,
    normal,
)
from rnnc.tracing import Node
from rnnc.views import VIEWS, Elements

MOST_ELEMENTS = 1 << 16
MOST_IN_MATRIX = 1 << 12
"""Elements of a tensor of several axes: gates one below the other."""
DEEPEST = 200
FUNCTIONS: dict[str, tuple[tuple[str, float], ...]] = {
    "Sigmoid": (),
    "Tanh": (),
    "Softsign": (),
    "Softplus": (),
    "HardSigmoid": (("alpha", 0.2), ("beta", 0.5)),
    "LeakyRelu": (("alpha", 0.01),),
    "Elu": (("alpha", 1.0),),
    "ThresholdedRelu": (("alpha", 1.0),),
}
"""Activations that are a node, with their attributes."""

Parts = list[Expression]
"""A vector in pieces: what Concat joins may be of different kinds."""


class Vectors:
    """Expressions of the vectors of a graph under change, made when asked for.

    ``names`` tells which tensor holds a product alone, by the product's key.
    """

    def __init__(self, editor: Editor) -> None:
        self.editor = editor
        self.parts: dict[str, Parts | None] = {}
        self.names: dict[Key, str] = {}
        self.tensors: dict[Key, str] = {}
        """Which tensor an expression is, by the expression's key."""
        self.inputs = {t.name for t in editor.graph.inputs}
        self.leaves: set[str] = set()
        self.depth = 0

    def of(self, name: str) -> Parts | None:
        """The expressions of a tensor's pieces; None where it is not a vector."""
        if name not in self.parts:
            self.parts[name] = self._make(name)
        return self.parts[name]

    def whole(self, name: str) -> Expression | None:
        """The expression of a tensor that is in one piece."""
        parts = self.of(name)
        return parts[0] if parts is not None and len(parts) == 1 else None

    def cut(self, name: str) -> None:
        """From now on take a tensor as what it is called, not as what it is made of."""
        self.leaves.add(name)
        self.parts, self.names, self.tensors = {}, {}, {}

    def _size(self, name: str) -> int | None:
        shape = self.editor.shape(name)
        if shape is None:
            return None
        size = int(np.prod(shape, dtype=np.int64))
        flat = sum(n != 1 for n in shape) <= 1 or name in self.inputs
        return size if 0 < size <= (MOST_ELEMENTS if flat else MOST_IN_MATRIX) else None

    def _make(self, name: str) -> Parts | None:
        constant = self.editor.constant(name)
        if constant is not None:
            return [Expression.number(np.asarray(constant, np.float64))] if _is_number(constant) else None
        size = self._size(name)
        if size is None:
            return None
        node = self.editor.producer(name)
        parts: Parts | None = None
        if node is not None and name not in self.leaves and self.depth < DEEPEST:
            self.depth += 1
            try:
                parts = self._expand(node, name, size)
            except TooLarge:
                parts = None
            self.depth -= 1
        if parts is None:
            parts = [Expression.of(Leaf(name, np.arange(size)))]
        self._remember(name, parts)
        return parts

    def _remember(self, name: str, parts: Parts) -> None:
        if len(parts) == 1:
            product = parts[0].product
            self.tensors.setdefault(parts[0].key, name)
            if product is not None:
                self.names.setdefault(product.key, name)

    def _expand(self, node: Node, name: str, size: int) -> Parts | None:
        op = node.op_type
        if op in VIEWS:
            return self._view(node, name)
        if op == "Dense":
            return self._dense(node)
        if op in ("Add", "Sub", "Mul", "Div"):
            return self._binary(node, size)
        if op == "Neg":
            x = self.of(node.inputs[0])
            return None if x is None else [normal(p.scaled(-1)) for p in x]
        return self._function(node)

    def _view(self, node: Node, name: str) -> Parts | None:
        """Follow the elements of all pieces of all inputs."""
        pieces: Parts = []

        def numbered(moved: str) -> Elements | None:
            first, parts, shape = sum(part.size for part in pieces), self.of(moved), self.editor.shape(moved)
            if parts is None or shape is None:
                return None
            pieces.extend(parts)
            return np.arange(first, first + sum(part.size for part in parts)).reshape(shape)

        results = follow(node, numbered, self.editor.constants)
        return None if results is None else _selected(pieces, results[node.outputs.index(name)].ravel())

    def _dense(self, node: Node) -> Parts | None:
        weights, bias = self.editor.constant(node.inputs[1]), self.editor.constant(node.inputs[2])
        parts = self.of(node.inputs[0])
        if weights is None or bias is None or parts is None or sum(p.size for p in parts) != weights.shape[1]:
            return None
        product = multiply(weights, parts, bias)
        if product is None:
            size = int(weights.shape[1])
            product = multiply(weights, [Expression.of(Leaf(node.inputs[0], np.arange(size)))], bias)
        return None if product is None else [product]

    def _binary(self, node: Node, size: int) -> Parts | None:
        left, right = (self.of(name) for name in node.inputs)
        if left is None or right is None:
            return None
        left, right = ([p.spread(size) for p in parts] for parts in (left, right))
        if sum(p.size for p in left) != size or sum(p.size for p in right) != size:
            return None
        result: Parts = []
        for a, b in _aligned(left, right):
            found = arithmetic(node.op_type, a, b)
            if found is None:
                return None
            result.append(normal(found))
        return result

    def _function(self, node: Node) -> Parts | None:
        found = self._limits(node)
        if found is None:
            return None
        name, parameters = found
        x = self.of(node.inputs[0])
        return None if x is None else [normal(Expression.of(_act(name, parameters, part))) for part in x]

    def _limits(self, node: Node) -> tuple[str, tuple[float, ...]] | None:
        """The activation of a node and its parameters; all that clips is ``Clip``."""
        op = node.op_type
        if op in FUNCTIONS:
            return op, tuple(float(node.attributes.get(key, default)) for key, default in FUNCTIONS[op])
        if op == "Relu":
            return "Clip", (0.0, np.inf)
        if op not in ("Clip", "Min", "Max"):
            return None
        numbers = [scalar_of(self.editor.constant(name)) for name in node.inputs[1:]]
        if op == "Clip":
            low, high = [*numbers, None, None][:2]
            given = [name for name in node.inputs[1:] if name]
            if len(given) != sum(n is not None for n in numbers):
                return None
            return "Clip", (-np.inf if low is None else low, np.inf if high is None else high)
        if len(numbers) != 1 or numbers[0] is None:
            return None
        return "Clip", (numbers[0], np.inf) if op == "Max" else (-np.inf, numbers[0])


def _act(name: str, parameters: tuple[float, ...], x: Expression) -> Act:
    """An activation; a clip of a clip is one."""
    inner = x.product.single if x.product is not None else None
    if name == "HardSigmoid":
        return hard_sigmoid(x, *parameters)
    if name == "Clip" and isinstance(inner, Act) and inner.name == "Clip":
        low, high = parameters
        limits = tuple(float(np.clip(v, low, high)) for v in inner.parameters)
        return Act("Clip", limits, inner.argument)
    return Act(name, parameters, x)


def _is_number(array: NDArray[np.generic]) -> bool:
    floating = np.issubdtype(array.dtype, np.floating)
    flat = sum(n != 1 for n in array.shape) <= 1
    return bool(floating and array.size and (flat or array.size <= MOST_IN_MATRIX))


def _selected(pieces: Parts, elements: Indices) -> Parts:
    """Elements of all pieces, by their numbers in order; consecutive ones of a piece together."""
    ends = np.cumsum([piece.size for piece in pieces])
    owner = np.searchsorted(ends, elements, side="right")
    cuts = np.flatnonzero(np.diff(owner)) + 1
    result: Parts = []
    for who, part in zip(np.split(owner, cuts), np.split(elements, cuts), strict=True):
        piece, indices = pieces[who[0]], part - (ends[who[0]] - pieces[who[0]].size)
        result.append(piece if np.array_equal(indices, np.arange(piece.size)) else piece.take(indices))
    return result


def _aligned(left: Parts, right: Parts) -> Iterator[tuple[Expression, Expression]]:
    """Two vectors cut at the same places."""
    ends = [np.cumsum([p.size for p in parts]).tolist() for parts in (left, right)]
    places = [0, 0]
    for a, b in pairwise(sorted({0}.union(*ends))):
        cut: Parts = []
        for k, parts in enumerate((left, right)):
            while ends[k][places[k]] <= a:
                places[k] += 1
            piece, end = parts[places[k]], ends[k][places[k]]
            first = end - piece.size
            cut.append(piece if (first, end) == (a, b) else piece.take(np.arange(a - first, b - first)))
        yield cut[0], cut[1]
