"""Norms and magnitudes written as primitive operators: recognised whatever the order of their arithmetic.

A norm is found from its root s = sqrt(mean((x - m)^2) + epsilon), m the mean of x or nothing. What follows from x, m and s
by arithmetic with constants is kept as a sum of products of these; where it comes down to gain (x - m) / s + offset, one
``Normalize`` (inputs x, gain, offset) takes the place of all. Keras writes x (gain / s) + (offset - m gain / s), others the
quotient. A root of two squares becomes ``Magnitude``. Neither is an ONNX operator.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rnnc.frontend.rewrite.editor import Editor, scalar_of
from rnnc.frontend.rewrite.expressions import Expression, Leaf, Product, TooLarge, Vector, arithmetic
from rnnc.frontend.rewrite.patterns import Term, computed, matches, op, put, tensor
from rnnc.tracing import Node

X, MEAN, ROOT, INVERSE = "x", "m", "s", "1/s"
"""What a norm is a sum of products of."""
INVERSES = {ROOT: INVERSE, INVERSE: ROOT}
SAME = ("Identity", "Cast", "Expand", "Dropout")
MEANS = ("ReduceMean", "ReduceSum", "ReduceSumSquare", "ReduceL2")
NO_LIMIT = 1e30
"""Upper limits above this count as none."""


def _number(name: str, above: float = -np.inf) -> Term:
    """A variable: a constant all of whose elements are one number."""
    return Term(name=name, holds=lambda array: (found := scalar_of(array)) is not None and found > above)


y, e, least = computed("y"), _number("e"), _number("e", above=0)
SQUARES = (y * y, y**2)
AT_LEAST = (
    op("Max", y, least),
    *(op("Clip", y, least, *high) for high in ((), (None,), (_number("high", above=NO_LIMIT),))),
)


@dataclass(frozen=True)
class _Root:
    """``s = sqrt(factor (mean or sum of (x - m)^2 + epsilon))``; ``output`` is s, or 1/s where it is ``inverse``."""

    x: str
    axes: tuple[int, ...]
    epsilon: float
    factor: float
    centred: bool
    total: bool
    floor: bool
    output: str
    inverse: bool


# --------------------------------------------------------------------------- rules


def norm(editor: Editor, node: Node) -> bool:
    """Put a Normalize in the place of a norm whose root is this node."""
    root = _find_root(editor, node)
    if root is None:
        return False
    found = None
    for name, terms in _consequences(editor, root):
        affine = _gain_and_offset(editor, root, terms)
        if affine is not None and (found is None or _only_reader_chain(editor, found[0], name)):
            found = name, *affine
    if found is None:
        return False
    name, gain, offset = found
    producer = editor.producer(name)
    assert producer is not None
    how = {"centred": int(root.centred), "total": int(root.total), "floor": int(root.floor)}
    term = op("Normalize", tensor(root.x), gain, offset, axes=list(root.axes), epsilon=root.epsilon, **how)
    return put(editor, producer, term)


def magnitude(editor: Editor, node: Node) -> bool:
    """sqrt(a^2 + b^2 + epsilon) as Magnitude."""
    inner, epsilon = _parted(editor, node.inputs[0], y + e)
    total = editor.producer(inner)
    if total is None or total.op_type != "Add" or epsilon < 0:
        return False
    a, b = (_parted(editor, name, *SQUARES)[0] for name in total.inputs)
    if a == total.inputs[0] or b == total.inputs[1]:
        return False
    return put(editor, node, op("Magnitude", tensor(a), tensor(b), epsilon=epsilon))


# --------------------------------------------------------------------------- the root


def _parted(editor: Editor, name: str, *terms: Term) -> tuple[str, float]:
    """y and the number e of a tensor that is one of some terms; itself and 0 where it is none of them."""
    for term in terms:
        for bound in matches(editor, name, term, {}):
            return bound["y"], scalar_of(editor.constant(bound.get("e", ""))) or 0.0
    return name, 0.0


def _find_root(editor: Editor, node: Node) -> _Root | None:
    """A node as the root of a norm, with the floor that follows a length."""
    name = output = node.outputs[0]
    exponent, epsilon = 0.5, 0.0
    if node.op_type == "ReduceL2":
        reader = editor.only_reader(name)
        inner, floor = _parted(editor, name if reader is None else reader.outputs[0], *AT_LEAST)
        if reader is not None and inner == name:
            output, floor = reader.outputs[0], floor**2
        else:
            floor = 0.0
    else:
        exponent = (scalar_of(editor.constant(node.inputs[1])) or 0.0) if node.op_type == "Pow" else 0.5
        inner, epsilon = _parted(editor, node.inputs[0], y + e)
        name, floor = _parted(editor, inner, *AT_LEAST)
    found = _mean_of_squares(editor, name) if abs(exponent) == 0.5 else None
    if found is None or epsilon < 0 or (floor and epsilon):
        return None
    x, axes, factor, centred, total = found
    return _Root(x, axes, (floor or epsilon) / factor, factor, centred, total, floor > 0, output, exponent < 0)


def _mean_of_squares(editor: Editor, name: str) -> tuple[str, tuple[int, ...], float, bool, bool] | None:
    """x, axes, factor, whether x is centred and whether it is a sum, of a tensor that is factor times it."""
    factor, node = 1.0, editor.producer(name)
    while node is not None and node.op_type in ("Mul", "Div"):
        inner, number = _parted(editor, name, y * e, y / e)
        if inner == name or number <= 0:
            return None
        factor *= number if node.op_type == "Mul" else 1 / number
        name, node = inner, editor.producer(inner)
    if node is None or node.op_type not in MEANS:
        return None
    squares, total = node.op_type in ("ReduceSumSquare", "ReduceL2"), node.op_type != "ReduceMean"
    d, axes = node.inputs[0] if squares else _parted(editor, node.inputs[0], *SQUARES)[0], _axes(editor, node)
    shape, difference = editor.shape(d), editor.producer(d)
    if (d == node.inputs[0]) != squares or axes is None or shape is None:
        return None
    x, mean = difference.inputs if difference is not None and difference.op_type == "Sub" else (d, "")
    if not _is_mean(editor, mean, x, axes):
        return d, axes, factor, False, total
    return x, axes, factor * float(np.prod([shape[a] for a in axes]) if total else 1), True, False


def _axes(editor: Editor, node: Node) -> tuple[int, ...] | None:
    """The axes of a reduction that keeps them, counted from the front; None where that cannot be told."""
    shape = editor.shape(node.inputs[0])
    given = node.inputs[1] if len(node.inputs) > 1 else ""
    constant = editor.constant(given)
    if shape is None or not int(node.attributes.get("keepdims", 1)) or (given and constant is None):
        return None
    listed = range(len(shape)) if constant is None or not constant.size else constant.ravel()
    return tuple(sorted(int(a) % len(shape) for a in listed))


def _is_mean(editor: Editor, name: str, x: str, axes: tuple[int, ...]) -> bool:
    node = editor.producer(name)
    return node is not None and node.op_type == "ReduceMean" and node.inputs[0] == x and _axes(editor, node) == axes


# --------------------------------------------------------------------------- what follows from it


def _consequences(editor: Editor, root: _Root) -> Iterator[tuple[str, Expression]]:
    """Tensors that are sums of products of x, m and 1/s, in the order of the graph."""
    known = {root.x: _leaf(X), root.output: _leaf(INVERSE if root.inverse else ROOT)}
    if root.centred:
        means = [n.outputs[0] for n in editor.uses(root.x) if _is_mean(editor, n.outputs[0], root.x, root.axes)]
        known |= dict.fromkeys(means, _leaf(MEAN))
    queue, reached = [root.output], set[str]()
    while queue:
        for node in editor.uses(queue.pop(0)):
            for producer in map(editor.producer, node.inputs):
                if producer is not None:
                    _resolve(editor, producer, known)
            target = node.outputs[0]
            if target not in reached and _resolve(editor, node, known) is not None:
                reached.add(target)
                queue.append(target)
                yield target, known[target]


def _leaf(name: str) -> Expression:
    product = Product((Leaf(name, np.zeros(1, np.int64)),))
    return Expression(np.zeros(()), {product.key: (product, np.ones(()))}, {})


def _resolve(editor: Editor, node: Node, known: dict[str, Expression]) -> Expression | None:
    """A node's output as a sum of products, kept in ``known``; None where its inputs are not."""
    if node.outputs[0] in known:
        return known[node.outputs[0]]
    operands = []
    for name in node.inputs[:1] if node.op_type in SAME else node.inputs:
        constant = editor.constant(name)
        if constant is None and name not in known:
            producer = editor.producer(name)
            found = _resolve(editor, producer, known) if producer is not None and producer.op_type == "Sub" else None
            if found is None:
                return None
        operands.append(Expression(np.asarray(constant, np.float64), {}, {}) if constant is not None else known[name])
    try:
        result = _combine(node.op_type, operands)
    except TooLarge:
        return None
    if result is not None:
        known[node.outputs[0]] = result
    return result


def _combine(op_type: str, operands: list[Expression]) -> Expression | None:
    """Arithmetic on sums of products; None where the result is none."""
    if op_type in SAME:
        return operands[0]
    if op_type == "Neg":
        return operands[0].scaled(-1)
    if op_type == "Reciprocal":
        op_type, operands = "Div", [Expression(np.ones(()), {}, {}), *operands]
    if op_type not in ("Add", "Sub", "Mul", "Div"):
        return None
    a, b = operands
    if op_type == "Div" and len(b.diagonal) == 1 and not np.any(b.constant):
        product, factor = next(iter(b.diagonal.values()))  # s or 1/s
        atom = product.single
        if isinstance(atom, Leaf) and atom.tensor in INVERSES:
            a, b = a.times(_leaf(INVERSES[atom.tensor])), Expression(factor, {}, {})
    return arithmetic(op_type, a, b)


def _gain_and_offset(editor: Editor, root: _Root, terms: Expression) -> tuple[Vector, Vector] | None:
    """gain and offset of ``gain (x - m) / s + offset``, s without its factor; None where the sum is not of this form."""
    factors = {tuple(sorted(getattr(a, "tensor", "") for a in p.atoms)): c for p, c in terms.diagonal.values()}
    gain, offset = factors.pop((INVERSE, X), None), terms.constant
    mean = factors.pop((INVERSE, MEAN), None)
    shape = editor.shape(root.x)
    if gain is None or factors or shape is None or (mean is None) == root.centred:
        return None
    if mean is not None and not np.allclose(np.broadcast_arrays(gain, -mean)[0], np.broadcast_arrays(gain, -mean)[1]):
        return None
    if np.broadcast_shapes(shape, gain.shape, offset.shape) != shape:
        return None
    return np.atleast_1d(gain / np.sqrt(root.factor)), np.atleast_1d(offset)


def _only_reader_chain(editor: Editor, first: str, last: str) -> bool:
    """Whether ``last`` is computed from ``first`` through nodes of which each is the only reader of the one before."""
    name = first
    while name != last:
        reader = editor.only_reader(name)
        if reader is None:
            return False
        name = reader.outputs[0]
    return True
