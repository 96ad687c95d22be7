"""What a vector is made of: sums of products of named vectors, and matrices times such products.

A recurrent cell written as primitive operators can be split, merged, scaled and ordered in many ways. As an
expression it has one form: Add, Sub, Split, Concat, Slice, Gemm and constants dissolve into terms.

    expression = constant + sum of coefficient * product + sum of matrix @ product
    product    = product of atoms, elementwise
    atom       = elements of a tensor | activation(expression) | matrix @ product
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Indices = NDArray[np.int64]
Key = str
MOST_TERMS = 32


def digest(*parts: object) -> Key:
    """A short name for equal content."""
    h = hashlib.sha1(usedforsecurity=False)
    for part in parts:
        h.update(part.tobytes() + str(part.shape).encode() if isinstance(part, np.ndarray) else repr(part).encode())
        h.update(b"|")
    return h.hexdigest()


class TooLarge(Exception):
    """An expression grew beyond what a cell has."""


@dataclass(frozen=True, eq=False)
class Leaf:
    """Elements ``indices`` of a tensor, flattened."""

    tensor: str
    indices: Indices

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(self.indices.size)

    @cached_property
    def key(self) -> Key:
        """Equal for equal atoms."""
        return digest("leaf", self.tensor, self.indices)

    def take(self, indices: Indices) -> Leaf:
        """Some of its elements."""
        return Leaf(self.tensor, self.indices[indices])


@dataclass(frozen=True, eq=False)
class Act:
    """An activation, by ONNX's name, of an expression. ``Clip`` has its limits as parameters."""

    name: str
    parameters: tuple[float, ...]
    argument: Expression

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.argument.size

    @cached_property
    def key(self) -> Key:
        """Equal for equal atoms."""
        return digest("act", self.name, self.parameters, self.argument.key)

    def take(self, indices: Indices) -> Act:
        """Some of its elements."""
        return Act(self.name, self.parameters, self.argument.take(indices))


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a matrix times a product, where it is itself a factor of a product."""

    weights: Vector
    operand: Product

    @property
    def size(self) -> int:
        """Number of elements."""
        return len(self.weights)

    @cached_property
    def key(self) -> Key:
        """Equal for equal atoms."""
        return digest("rows", self.weights, self.operand.key)

    def take(self, indices: Indices) -> Rows:
        """Some of its elements."""
        return Rows(self.weights[indices], self.operand)


Atom = Leaf | Act | Rows


@dataclass(frozen=True, eq=False)
class Product:
    """A product of atoms, in the order of their keys; of no atoms it is 1."""

    atoms: tuple[Atom, ...]

    @staticmethod
    def of(atoms: Sequence[Atom]) -> Product:
        """The product in its one order."""
        return Product(tuple(sorted(atoms, key=lambda a: a.key)))

    @cached_property
    def key(self) -> Key:
        """Equal for equal products."""
        return digest(*(a.key for a in self.atoms))

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.atoms[0].size

    def take(self, indices: Indices) -> Product:
        """Some of its elements."""
        return Product.of([a.take(indices) for a in self.atoms])

    @property
    def single(self) -> Atom | None:
        """The atom, where there is one."""
        return self.atoms[0] if len(self.atoms) == 1 else None


Terms = dict[Key, tuple[Product, Vector]]


@dataclass(frozen=True, eq=False)
class Expression:
    """A sum.

    Args:
        constant: ``[size]``.
        diagonal: products with their coefficients ``[size]``.
        matrices: products ``[n]`` with a matrix ``[size, n]`` before them.
    """

    constant: Vector
    diagonal: Terms
    matrices: Terms

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(self.constant.size)

    @cached_property
    def key(self) -> Key:
        """Equal for equal expressions."""
        parts: list[object] = [self.constant]
        for kind, terms in (("diagonal", self.diagonal), ("matrix", self.matrices)):
            for key in sorted(terms):
                parts += [kind, key, terms[key][1]]
        return digest(*parts)

    @staticmethod
    def of(*atoms: Atom) -> Expression:
        """A product of atoms."""
        product = Product.of(atoms)
        return Expression(np.zeros(product.size), {product.key: (product, np.ones(product.size))}, {})

    @staticmethod
    def number(values: Vector) -> Expression:
        """A constant."""
        return Expression(np.asarray(values, np.float64).ravel(), {}, {})

    @property
    def product(self) -> Product | None:
        """The product that it is, where it is just one."""
        if self.matrices or len(self.diagonal) != 1 or np.any(self.constant):
            return None
        product, coefficient = next(iter(self.diagonal.values()))
        return product if np.all(coefficient == 1) else None

    def take(self, indices: Indices) -> Expression:
        """Some of its elements."""
        diagonal = [(p.take(indices), c[indices]) for p, c in self.diagonal.values()]
        matrices = [(p, w[indices]) for p, w in self.matrices.values()]
        return Expression(self.constant[indices], _gather(diagonal), _gather(matrices))

    def spread(self, size: int) -> Expression:
        """A constant of one element as one of ``size``; others as they are."""
        if self.size == size or self.diagonal or self.matrices or self.size != 1:
            return self
        return Expression.number(np.broadcast_to(self.constant, (size,)))

    def plus(self, other: Expression, sign: float = 1.0) -> Expression:
        """The sum, or the difference."""
        diagonal = [*self.diagonal.values(), *((p, sign * c) for p, c in other.diagonal.values())]
        matrices = [*self.matrices.values(), *((p, sign * w) for p, w in other.matrices.values())]
        return _checked(Expression(self.constant + sign * other.constant, _gather(diagonal), _gather(matrices)))

    def times(self, other: Expression) -> Expression:
        """The elementwise product."""
        if not other.diagonal and not other.matrices:
            factor = other.constant
            diagonal = [(p, c * factor) for p, c in self.diagonal.values()]
            matrices = [(p, w * factor[:, None]) for p, w in self.matrices.values()]
            return Expression(self.constant * factor, _gather(diagonal), _gather(matrices))
        if not self.diagonal and not self.matrices:
            return other.times(self)
        left, right = self._products(), other._products()
        if len(left) * len(right) > MOST_TERMS:
            raise TooLarge
        terms = [(Product.of([*p.atoms, *q.atoms]), c * d) for p, c in left for q, d in right]
        constant = sum((c for p, c in terms if not p.atoms), np.zeros(self.size))
        return _checked(Expression(np.asarray(constant), _gather([t for t in terms if t[0].atoms]), {}))

    def _products(self) -> list[tuple[Product, Vector]]:
        """All terms as products with coefficients."""
        rows = [(Product((Rows(w, p),)), np.ones(self.size)) for p, w in self.matrices.values()]
        own = [(Product(()), self.constant)] if np.any(self.constant) else []
        return [*self.diagonal.values(), *rows, *own]


def multiply(weights: Vector, parts: Sequence[Expression], bias: Vector) -> Expression | None:
    """``weights [rows, columns] @ concatenation of parts + bias``; None where a part is no product."""
    constant, terms, column = np.array(bias, np.float64), list[tuple[Product, Vector]](), 0
    for part in parts:
        block = weights[:, column : column + part.size]
        column += part.size
        constant = constant + block @ part.constant
        if part.matrices or len(part.diagonal) > 1:
            return None
        terms += [(product, block * c) for product, c in part.diagonal.values()]
    return _checked(Expression(constant, {}, _gather(terms)))


def _gather(terms: Sequence[tuple[Product, Vector]]) -> Terms:
    """Like terms added up, zeros left out."""
    gathered: Terms = {}
    for product, c in terms:
        before = gathered.get(product.key)
        gathered[product.key] = (product, c if before is None else before[1] + c)
    return {key: term for key, term in gathered.items() if np.any(term[1])}


def _checked(expression: Expression) -> Expression:
    if len(expression.diagonal) + len(expression.matrices) > MOST_TERMS:
        raise TooLarge
    return expression


def normal(expression: Expression) -> Expression:
    """Sigmoid and HardSigmoid recognised in 0.5 + 0.5 tanh(x) and in c clip(x, 0, 1/c)."""
    if expression.matrices or len(expression.diagonal) != 1:
        return expression
    product, coefficient = next(iter(expression.diagonal.values()))
    act, c = product.single, float(coefficient[0])
    if not isinstance(act, Act) or np.any(coefficient != c):
        return expression
    x, shift = act.argument, expression.constant
    if act.name == "Tanh" and c == 0.5 and np.all(shift == 0.5):
        return Expression.of(Act("Sigmoid", (), x.plus(x)))
    if act.name == "Clip" and act.parameters[0] == 0 and not np.any(shift) and np.isclose(c * act.parameters[1], 1):
        alpha = c if c < 1 else 0.2
        inner = x.times(Expression.number(np.full(x.size, c))).plus(Expression.number(np.full(x.size, 0.5)), -1)
        argument = inner.times(Expression.number(np.full(x.size, 1 / alpha)))
        return Expression.of(Act("HardSigmoid", (alpha, 0.5), argument))
    return expression


def mirrored(act: Act) -> Act | None:
    """The activation that is 1 minus a sigmoid or a symmetric hard sigmoid."""
    if act.name == "Sigmoid" or (act.name == "HardSigmoid" and act.parameters[1] == 0.5):
        minus = act.argument.times(Expression.number(np.full(act.size, -1.0)))
        return Act(act.name, act.parameters, minus)
    return None
