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
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Indices = NDArray[np.int64]
Key = str
MOST_TERMS = 32
HARD = (0.2, 0.5)
"""alpha and beta of every HardSigmoid."""
SAME = 7
"""Decimals to which numbers are the same: what is one in real numbers may differ by the rounding of float32."""


def digest(*parts: object) -> Key:
    """A short name for equal content."""
    h = hashlib.sha1(usedforsecurity=False)
    for part in parts:
        h.update(_bytes(part) if isinstance(part, np.ndarray) else repr(part).encode())
        h.update(b"|")
    return h.hexdigest()


def _bytes(array: NDArray[Any]) -> bytes:
    rounded = np.round(array.astype(np.float64), SAME) + 0.0 if array.dtype.kind == "f" else array
    return rounded.tobytes() + str(array.shape).encode()


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

    def shares(self, other: Leaf) -> bool:
        """Whether some element is one of another leaf's."""
        return self.tensor == other.tensor and bool(np.isin(self.indices, other.indices).any())


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
        constant: ``[size]``, or of any shape that broadcasts to the others.
        diagonal: products with their coefficients, as constant.
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
    def products(self) -> list[Product]:
        """Those that matrices multiply, and the others."""
        return [p for p, _ in (*self.matrices.values(), *self.diagonal.values())]

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

    def scaled(self, factor: float) -> Expression:
        """A multiple."""
        return self.times(Expression(np.asarray(float(factor)), {}, {}))

    def times(self, other: Expression) -> Expression:
        """The elementwise product."""
        if not other.diagonal and not other.matrices:
            factor = other.constant
            diagonal = [(p, c * factor) for p, c in self.diagonal.values()]
            matrices = [(p, w * factor[..., None]) for p, w in self.matrices.values()]
            return Expression(self.constant * factor, _gather(diagonal), _gather(matrices))
        if not self.diagonal and not self.matrices:
            return other.times(self)
        left, right = self._products(), other._products()
        if len(left) * len(right) > MOST_TERMS:
            raise TooLarge
        terms = [(Product.of([*p.atoms, *q.atoms]), c * d) for p, c in left for q, d in right]
        constant = sum((c for p, c in terms if not p.atoms), np.zeros_like(self.constant))
        return _checked(Expression(np.asarray(constant), _gather([t for t in terms if t[0].atoms]), {}))

    def _products(self) -> list[tuple[Product, Vector]]:
        """All terms as products with coefficients."""
        rows = [(Product((Rows(w, p),)), np.ones(self.size)) for p, w in self.matrices.values()]
        own = [(Product(()), self.constant)] if np.any(self.constant) else []
        return [*self.diagonal.values(), *rows, *own]


def arithmetic(op_type: str, a: Expression, b: Expression) -> Expression | None:
    """What Add, Sub, Mul or Div makes of two expressions; None for a quotient by what is no constant, or may be 0."""
    if op_type in ("Add", "Sub"):
        return a.plus(b, 1.0 if op_type == "Add" else -1.0)
    if op_type == "Mul":
        return a.times(b)
    constant = not b.diagonal and not b.matrices and np.all(b.constant)
    return a.times(Expression(1 / b.constant, {}, {})) if constant else None


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
    """Functions recognised in other forms: 0.5 + 0.5 tanh(x), 2 sigmoid(x) - 1, 1 - sigmoid(x), c clip(x, 0, 1/c)."""
    if expression.matrices or len(expression.diagonal) != 1:
        return expression
    product, coefficient = next(iter(expression.diagonal.values()))
    act, c, shift = product.single, float(coefficient[0]), expression.constant
    if not isinstance(act, Act) or np.any(coefficient != c) or np.any(shift != shift[0]):
        return expression
    x, d = act.argument, float(shift[0])
    if act.name == "Tanh" and (c, d) == (0.5, 0.5):
        return Expression.of(Act("Sigmoid", (), x.scaled(2)))
    if act.name == "Sigmoid" and (c, d) == (2, -1):
        return Expression.of(Act("Tanh", (), x.scaled(0.5)))
    if (c, d) == (-1, 1):
        turned = mirrored(act)
        return expression if turned is None else Expression.of(turned)
    if act.name == "Clip" and act.parameters[0] == d == 0 and np.isclose(c * act.parameters[1], 1):
        return Expression.of(hard_sigmoid(x, c, 0.0))
    return expression


def hard_sigmoid(x: Expression, alpha: float, beta: float) -> Act:
    """alpha x + beta between 0 and 1, as HardSigmoid of one alpha and beta, whatever they are in the file."""
    own = Expression.number(np.full(x.size, (beta - HARD[1]) / HARD[0]))
    return Act("HardSigmoid", HARD, x.scaled(alpha / HARD[0]).plus(own))


def mirrored(act: Act) -> Act | None:
    """The activation that is 1 minus a sigmoid or a symmetric hard sigmoid."""
    if act.name == "Sigmoid" or (act.name == "HardSigmoid" and act.parameters == HARD):
        return Act(act.name, act.parameters, act.argument.scaled(-1))
    return None
