"""Tensors over time as products of powers and exponentials, and the sums over time among them.

``TimeProduct`` is what a tensor is made of; ``Products`` takes tensors apart along a time axis, and writes products as nodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from rnnc.frontend.rewrite.editor import Editor
from rnnc.frontend.rewrite.patterns import Term, op, tensor
from rnnc.tracing import Node
from rnnc.views import slices

TINY = 1e-6
"""What keeps a divisor or a logarithm from zero is at most this, and is left out: a recurrence divides by nothing."""
Numbers = NDArray[np.float64]
BACKWARDS, BEHIND_FIRST = slice(None, None, -1), slice(1, None)
"""Steps that a Slice leaves: all of them from the last on, all but the first."""


@dataclass(frozen=True)
class SequenceFactor:
    """A tensor that is no product itself, or that tensor ``turned`` around in time, or given new ``axes`` of length 1."""

    name: str
    turned: bool = False
    axes: tuple[int, ...] = ()


@dataclass
class TimeProduct:
    """The product of ``factors`` to some powers, times the exponential of the sum of ``exponents`` with coefficients."""

    factors: Counter[SequenceFactor] = field(default_factory=Counter)
    exponents: Counter[SequenceFactor] = field(default_factory=Counter)

    def times(self, other: TimeProduct, power: int = 1) -> TimeProduct:
        """The product with another one to a power."""
        both = TimeProduct(Counter(self.factors), Counter(self.exponents))
        for own, others in ((both.factors, other.factors), (both.exponents, other.exponents)):
            for leaf, count in others.items():
                own[leaf] += power * count
        return both


@dataclass
class ProductParts:
    """A product taken apart.

    Args:
        rest: what is neither of the others.
        growing: sums over time, in the exponent.
        common: what does not change over time and is computed.
        table: constants that differ from step to step, multiplied; None where there are none.
    """

    rest: TimeProduct = field(default_factory=TimeProduct)
    growing: Counter[SequenceFactor] = field(default_factory=Counter)
    common: TimeProduct = field(default_factory=TimeProduct)
    table: Numbers | None = None


class Products:
    """What tensors that broadcast to one of ``shape`` are made of, with time on ``axis`` of it.

    Args:
        total: a sum over time that a constant may be added to, which then is its ``start``.
    """

    def __init__(self, editor: Editor, shape: Sequence[int], axis: int, total: str = "") -> None:
        self.editor, self.shape, self.axis, self.total = editor, tuple(shape), axis, total
        self.start: Numbers | None = None

    def sliced(self, name: str, steps: slice) -> str | None:
        """The tensor of which a Slice leaves just these steps to give this one."""
        node = self.editor.producer(name)
        fits = node is not None and node.op_type == "Slice" and self._kept(node) == steps
        return node.inputs[0] if node is not None and fits else None

    def _kept(self, node: Node) -> slice | None:
        """The steps that a Slice leaves, None where it cuts other axes too."""
        shape = self.editor.shape(node.inputs[0])
        how = [self.editor.constant(name) for name in node.inputs[1:]]
        if shape is None or any(c is None for c in how[:2]) or len(shape) != len(self.shape):
            return None
        cut = [slice(*s.indices(n)) for s, n in zip(slices(shape, how), shape, strict=True)]
        others = [c for i, c in enumerate(cut) if i != self.axis]
        if any(c != slice(0, shape[i + (i >= self.axis)], 1) for i, c in enumerate(others)):
            return None
        start, stop, step = cut[self.axis].start, cut[self.axis].stop, cut[self.axis].step
        if step == -1 and start == shape[self.axis] - 1 and stop < 0:
            return BACKWARDS
        return slice(start, None) if step == 1 and stop == shape[self.axis] else None

    # ----------------------------------------------------------------- products

    def product(self, name: str, turned: bool = False) -> TimeProduct:
        """What a tensor is the product of."""
        node = self.editor.producer(name)
        kind = node.op_type if node is not None else ""
        if node is None or self.editor.constant(name) is not None:
            return TimeProduct(Counter([SequenceFactor(name, turned)]))
        if kind in ("Mul", "Div"):
            left, right = (self.product(part, turned) for part in node.inputs)
            return left.times(right, 1 if kind == "Mul" else -1)
        if kind == "Reciprocal":
            return TimeProduct().times(self.product(node.inputs[0], turned), -1)
        if kind == "Exp":
            return self.exponential(node.inputs[0], turned)
        if (before := self.sliced(name, BACKWARDS)) is not None:
            return self.product(before, not turned)
        if kind == "Add" and (alone := self._without_constant(node)):
            return self.product(alone, turned)
        return TimeProduct(Counter([SequenceFactor(name, turned)]))

    def _without_constant(self, node: Node) -> str:
        """The other input of an Add of what keeps from dividing by zero, or of a start to the sums; "" if it is neither."""
        for name, other in (node.inputs, node.inputs[::-1]):
            added = self.editor.constant(name)
            if added is None:
                continue
            if np.all((added >= 0) & (added <= TINY)):
                return other
            if other == self.total and self.steps(name) == 1:
                self.start = np.asarray(added, np.float64)
                return other
        return ""

    def exponential(self, name: str, turned: bool = False) -> TimeProduct:
        """What the exponential of a tensor is the product of."""
        node = self.editor.producer(name)
        kind = node.op_type if node is not None else ""
        if node is not None and kind in ("Add", "Sub"):
            left, right = (self.exponential(part, turned) for part in node.inputs)
            return left.times(right, 1 if kind == "Add" else -1)
        if node is not None and kind == "Neg":
            return TimeProduct().times(self.exponential(node.inputs[0], turned), -1)
        if node is not None and kind == "Log":
            return self.product(node.inputs[0], turned)
        if (before := self.sliced(name, BACKWARDS)) is not None:
            return self.exponential(before, not turned)
        return TimeProduct(exponents=Counter([SequenceFactor(name, turned)]))

    # ----------------------------------------------------------------- over time

    def own(self, shape: Sequence[int]) -> int:
        """The time axis of a tensor that is broadcast to the sums, negative where it has none."""
        return self.axis - (len(self.shape) - len(shape))

    def steps(self, name: str) -> int:
        """How many steps a tensor has."""
        shape = self.editor.shape(name) or ()
        return shape[self.own(shape)] if self.own(shape) >= 0 else 1

    def parts(self, product: TimeProduct) -> ProductParts:
        parts = ProductParts()
        for which in ("factors", "exponents"):
            for leaf, count in getattr(product, which).items():
                constant = self.editor.constant(leaf.name)
                if not count:
                    continue
                if which == "exponents" and self.growth(leaf, padded=True) is not None:
                    parts.growing[leaf] += count
                elif self.steps(leaf.name) == 1 and constant is None:
                    getattr(parts.common, which)[leaf] += count
                elif self.steps(leaf.name) > 1 and constant is not None and not leaf.turned:
                    values = np.asarray(constant, np.float64)
                    powers = values**count if which == "factors" else np.exp(count * values)
                    parts.table = powers if parts.table is None else parts.table * powers
                else:
                    getattr(parts.rest, which)[leaf] += count
        return parts

    def growth(self, leaf: SequenceFactor, *, padded: bool) -> tuple[SequenceFactor, int] | None:
        """By what a sum over time grows from the last step to this, and with which sign; None where it is no such sum.

        ``padded``: a zero may stand before the first step.
        """
        name, axes = unsqueezed(self.editor, leaf.name, len(self.shape))
        inner = self.behind_zero(name) if padded and not leaf.turned else None
        node = self.editor.producer(inner or name)
        if node is None or not self._sums(node, axes) or (axes and leaf.turned):
            return None
        late = bool(node.attributes.get("exclusive", 0))
        back = bool(node.attributes.get("reverse", 0)) != leaf.turned
        grown = self.sliced(node.inputs[0], BACKWARDS) if leaf.turned else node.inputs[0]
        ahead = None if grown is None else self._next(grown)
        if grown is None or (back != late) != (ahead is not None):
            return None
        if padded and not inner:
            ahead = self.behind_zero(ahead or grown) or ahead
        return SequenceFactor(ahead or grown, axes=axes), -1 if back else 1

    def _sums(self, node: Node, axes: tuple[int, ...]) -> bool:
        """Whether a node sums over time, where its result is given ``axes``."""
        along = self.editor.constant(node.inputs[1]) if node.op_type == "CumSum" else None
        rank = len(self.editor.shape(node.outputs[0]) or ())
        if along is None or rank + len(axes) != len(self.shape):
            return False
        places = [i for i in range(len(self.shape)) if i not in axes]
        return places[int(along.ravel()[0]) % rank] == self.axis

    def behind_zero(self, name: str) -> str | None:
        """The tensor before which a Pad puts one step of zeros."""
        return self._padded(name, before=1, after=0)

    def _next(self, name: str) -> str | None:
        """The tensor whose next step is this one's: without its first, and a step of zeros at the end."""
        return self.sliced(self._padded(name, before=0, after=1) or "", BEHIND_FIRST)

    def _padded(self, name: str, before: int, after: int) -> str | None:
        """What a Pad of zeros over time pads by so many steps."""
        node, shape = self.editor.producer(name), self.editor.shape(name)
        if node is None or node.op_type != "Pad" or shape is None or len(shape) != len(self.shape):
            return None
        pads, value = (self.editor.constant(n) if n else None for n in (*node.inputs, "", "")[1:3])
        wanted = np.zeros((2, len(shape)), np.int64)
        wanted[:, self.axis] = before, after
        plain = node.attributes.get("mode", "constant") == "constant" and not (value is not None and np.any(value))
        fits = pads is not None and len(node.inputs) < 4 and np.array_equal(pads, wanted.ravel())
        return node.inputs[0] if plain and fits else None

    def decay(self, growing: Counter[SequenceFactor], *, padded: bool = False) -> TimeProduct | None:
        """The factor from step to step of what the sums over time in an exponent give; None where it lies in the future."""
        decay = TimeProduct()
        for leaf, count in growing.items():
            growth = self.growth(leaf, padded=padded)
            if growth is None:
                return None
            decay.exponents[growth[0]] += count * growth[1]
        return decay

    # ----------------------------------------------------------------- nodes

    def term(self, product: TimeProduct) -> Term:
        """A product as nodes."""
        above = [tensor(leaf.name) for leaf, n in product.factors.items() for _ in range(n)]
        below = [tensor(leaf.name) for leaf, n in product.factors.items() for _ in range(-n)]
        for leaf, count in product.exponents.items():
            term = self._exponential_term(leaf.name, 1 if count > 0 else -1)
            above += [op("Unsqueeze", term, list(leaf.axes)) if leaf.axes else term] * abs(count)
        numerator = reduce(lambda a, b: a * b, above) if above else None
        if not below:
            assert numerator is not None
            return numerator
        divisor = reduce(lambda a, b: a * b, below)
        return op("Reciprocal", divisor) if numerator is None else numerator / divisor

    def _exponential_term(self, name: str, sign: int) -> Term:
        """exp(x) or exp(-x) in the simplest form: of a logarithm what it is of, of softplus a sigmoid."""
        node, x = self.editor.producer(name), tensor(name)
        kind = node.op_type if node is not None else ""
        if node is None or kind not in ("Add", "Sub", "Neg", "Log", "Where", "Softplus"):
            return op("Exp", x if sign > 0 else -x)
        first = tensor(node.inputs[0])
        if kind in ("Add", "Sub"):
            second = self._exponential_term(node.inputs[1], sign if kind == "Add" else -sign)
            return self._exponential_term(node.inputs[0], sign) * second
        if kind == "Neg":
            return self._exponential_term(node.inputs[0], -sign)
        if kind == "Log":
            return first if sign > 0 else op("Reciprocal", first)
        if kind == "Where":
            return op("Where", first, *(self._exponential_term(part, sign) for part in node.inputs[1:]))
        return op("Sigmoid", -first) if sign < 0 else op("Exp", x)


def unsqueezed(editor: Editor, name: str, rank: int) -> tuple[str, tuple[int, ...]]:
    """A tensor of some rank before an Unsqueeze, and the axes that this gives it; itself and none where there is none."""
    node, shape = editor.producer(name), editor.shape(name)
    axes = editor.constant(node.inputs[1]) if node is not None and node.op_type == "Unsqueeze" else None
    if node is None or shape is None or axes is None or len(shape) != rank:
        return name, ()
    return node.inputs[0], tuple(sorted(int(a) % rank for a in axes))


def leaves(product: TimeProduct) -> list[SequenceFactor]:
    """The tensors of a product."""
    return [leaf for counts in (product.factors, product.exponents) for leaf, n in counts.items() if n]


def balanced(one: ProductParts, other: ProductParts) -> bool:
    """Whether what grows in two products, and what is computed once for all steps, cancels."""
    common, grown = one.common.times(other.common), Counter(one.growing)
    grown.update(other.growing)
    return not leaves(common) and not any(grown.values())
