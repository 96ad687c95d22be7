"""Einsum of any number of tensors, as products of two at a time.

What only one of two tensors has, and nothing after them needs, is summed up first; what both have and nothing after them
needs is what a matrix product sums up; without that they are multiplied element by element.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from rnnc.frontend.rewrite.editor import Editor
from rnnc.frontend.rewrite.layers import axes_of, turned
from rnnc.frontend.rewrite.patterns import Term, op, put, tensor
from rnnc.tracing import Node

Labelled = tuple[Term, str]
"""A tensor, and a letter for each of its axes."""


def einsum(editor: Editor, node: Node) -> bool:
    """Einsum each of whose tensors has a letter once; only what "..." stands for may be broadcast."""
    labels, result = axes_of(editor, node)
    if any(len(set(term)) < len(term) for term in (*labels, result)) or not set(result) <= set("".join(labels)):
        return False
    shapes = [editor.shape(name) or () for name in node.inputs]
    lengths = [pair for term, s in zip(labels, shapes, strict=False) for pair in zip(term, s, strict=True)]
    sizes = dict(sorted(lengths))
    if not labels or any(n != sizes[x] and (n != 1 or x not in result) for x, n in lengths):
        return False
    pairs = [(tensor(name), term) for name, term in zip(node.inputs, labels, strict=True)]
    product = pairs[0]
    for k, other in enumerate(pairs[1:], 2):
        product = _product(product, other, set(result).union(*labels[k:]), sizes)
    x, axes = _summed(product, result)
    return put(editor, node, turned(x, axes, result))


def _summed(x: Labelled, needed: Collection[str]) -> Labelled:
    """The sum over the axes that are not needed."""
    term, labels = x
    axes = [i for i, letter in enumerate(labels) if letter not in needed]
    rest = "".join(letter for letter in labels if letter in needed)
    return (op("ReduceSum", term, axes, keepdims=0), rest) if axes else x


def _product(a: Labelled, b: Labelled, needed: Collection[str], sizes: Mapping[str, int]) -> Labelled:
    """The product of two tensors, summed up over what both have and is not needed."""
    (x, left), (y, right) = _summed(a, {*needed, *b[1]}), _summed(b, {*needed, *a[1]})
    groups = "".join(n for n in left if n in right and n in needed)
    inner = "".join(n for n in left if n in right and n not in needed)
    rows, columns = ("".join(n for n in term if n not in other) for term, other in ((left, right), (right, left)))
    order = groups + rows + columns
    if not inner:
        return turned(x, left, order) * turned(y, right, order), order
    x = _matrices(turned(x, left, groups + rows + inner), groups, (rows, inner), sizes)
    y = _matrices(turned(y, right, groups + inner + columns), groups, (inner, columns), sizes)
    product = op("MatMul", x, y)
    if len(rows) != 1 or len(columns) != 1:
        product = op("Reshape", product, [sizes[n] for n in order])
    return product, order


def _matrices(x: Term, groups: str, sides: Sequence[str], sizes: Mapping[str, int]) -> Term:
    """Matrices in groups, the axes of each side as one."""
    if all(len(side) == 1 for side in sides):
        return x
    return op("Reshape", x, [0] * len(groups) + [math.prod(sizes[n] for n in side) for side in sides])
