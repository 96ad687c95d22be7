"""Norms and magnitudes written as primitive operators: recognised whatever the order of their arithmetic.

A norm is found from its root s = sqrt(mean((x - m)^2) + epsilon), m the mean of x or nothing. What follows from x, m and s
by arithmetic with constants is kept as a sum of products of these; where it comes down to gain (x - m) / s + offset, one
``Normalize`` (inputs x, gain, offset) takes the place of all. Keras writes x (gain / s) + (offset - m gain / s), others the
quotient. A root of two squares becomes ``Magnitude``. Neither is an ONNX operator.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnc.frontend.rewrite.editor import Editor, scalar_of
from rnnc.tracing import Node

Powers = tuple[int, int, int]
"""Exponents of x, m and 1/s."""
Sum = dict[Powers, NDArray[Any]]
"""A sum of products: the constant factor of each."""
ONE: Powers = (0, 0, 0)
SAME = ("Identity", "Cast", "Expand", "Dropout")


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
    inputs = root.x, editor.add_constant(gain, "gain"), editor.add_constant(offset, "offset")
    how = {"centred": int(root.centred), "total": int(root.total), "floor": int(root.floor)}
    attributes = {"axes": list(root.axes), "epsilon": root.epsilon, **how}
    editor.replace([producer], [Node(producer.name, "Normalize", "", inputs, (name,), attributes)])
    return True


def magnitude(editor: Editor, node: Node) -> bool:
    """sqrt(a^2 + b^2 + epsilon) as Magnitude."""
    inner, epsilon = _without_constant(editor, node.inputs[0])
    total = editor.producer(inner)
    if total is None or total.op_type != "Add" or epsilon < 0:
        return False
    a, b = (_squared(editor, name) for name in total.inputs)
    if a is None or b is None:
        return False
    editor.replace([node], [Node(node.name, "Magnitude", "", (a, b), node.outputs, {"epsilon": epsilon})])
    return True


# --------------------------------------------------------------------------- the root


def _find_root(editor: Editor, node: Node) -> _Root | None:
    """A node as the root of a norm, with the floor that follows a length."""
    if node.op_type == "ReduceL2":
        found = _mean_of_squares(editor, node)
        if found is None:
            return None
        output, floor = _floor_after(editor, node.outputs[0])
        return _Root(*found[:2], floor**2, found[2], *found[3:], floor=floor > 0, output=output, inverse=False)
    inverse = False
    if node.op_type == "Pow":
        exponent = scalar_of(editor.constant(node.inputs[1]))
        if exponent not in (0.5, -0.5):
            return None
        inverse = exponent < 0
    inner, epsilon = _without_constant(editor, node.inputs[0])
    name, floor = _floor_before(editor, inner)
    squares = editor.producer(name)
    found = None if squares is None else _mean_of_squares(editor, squares)
    if found is None or epsilon < 0 or (floor and epsilon):
        return None
    x, axes, factor, centred, total = found
    bound = (floor or epsilon) / factor
    return _Root(x, axes, bound, factor, centred, total, floor > 0, node.outputs[0], inverse)


def _mean_of_squares(editor: Editor, node: Node) -> tuple[str, tuple[int, ...], float, bool, bool] | None:
    """x, axes, factor, whether x is centred and whether it is a sum, of a node that computes factor times it."""
    factor = 1.0
    while node.op_type in ("Mul", "Div"):
        side = 1 if editor.constant(node.inputs[1]) is not None else 0
        number = scalar_of(editor.constant(node.inputs[side]))
        inner = editor.producer(node.inputs[1 - side])
        if number is None or number <= 0 or inner is None or (node.op_type == "Div" and side == 0):
            return None
        factor *= number if node.op_type == "Mul" else 1 / number
        node = inner
    if node.op_type in ("ReduceMean", "ReduceSum"):
        d = _squared(editor, node.inputs[0])
    elif node.op_type in ("ReduceSumSquare", "ReduceL2"):
        d = node.inputs[0]
    else:
        return None
    axes = _axes(editor, node)
    shape = None if d is None else editor.shape(d)
    if d is None or axes is None or shape is None:
        return None
    x = _centred(editor, d, axes)
    total = node.op_type != "ReduceMean"
    if x is not None and total:
        factor, total = factor * float(np.prod([shape[a] for a in axes])), False
    return x or d, axes, factor, x is not None, total


def _axes(editor: Editor, node: Node) -> tuple[int, ...] | None:
    """The axes of a reduction that keeps them, counted from the front; None where that cannot be told."""
    shape = editor.shape(node.inputs[0])
    constant = editor.constant(node.inputs[1]) if len(node.inputs) > 1 else None
    if shape is None or not int(node.attributes.get("keepdims", 1)):
        return None
    if len(node.inputs) > 1 and node.inputs[1] and constant is None:
        return None
    axes = (
        range(len(shape)) if constant is None or not constant.size else [int(a) % len(shape) for a in constant.ravel()]
    )
    return tuple(sorted(axes))


def _squared(editor: Editor, name: str) -> str | None:
    """d where a tensor is d^2."""
    node = editor.producer(name)
    if node is None:
        return None
    if node.op_type == "Mul" and node.inputs[0] == node.inputs[1]:
        return node.inputs[0]
    if node.op_type == "Pow" and scalar_of(editor.constant(node.inputs[1])) == 2:
        return node.inputs[0]
    return None


def _centred(editor: Editor, d: str, axes: tuple[int, ...]) -> str | None:
    """x where a tensor is x less its mean."""
    node = editor.producer(d)
    if node is not None and node.op_type == "Sub" and _is_mean(editor, node.inputs[1], node.inputs[0], axes):
        return node.inputs[0]
    return None


def _is_mean(editor: Editor, name: str, x: str, axes: tuple[int, ...]) -> bool:
    node = editor.producer(name)
    return node is not None and node.op_type == "ReduceMean" and node.inputs[0] == x and _axes(editor, node) == axes


def _without_constant(editor: Editor, name: str) -> tuple[str, float]:
    """A tensor as another one plus a number."""
    node = editor.producer(name)
    if node is not None and node.op_type == "Add":
        for side in (0, 1):
            number = scalar_of(editor.constant(node.inputs[side]))
            if number is not None:
                return node.inputs[1 - side], number
    return name, 0.0


def _limited(editor: Editor, node: Node) -> tuple[str, float]:
    """A tensor and what it is at least, of Max with a number or Clip without an upper limit; 0 for other nodes."""
    if node.op_type == "Max" and len(node.inputs) == 2:
        for side in (0, 1):
            number = scalar_of(editor.constant(node.inputs[side]))
            if number is not None and number > 0:
                return node.inputs[1 - side], number
    if node.op_type == "Clip" and len(node.inputs) > 1:
        number = scalar_of(editor.constant(node.inputs[1]))
        upper = scalar_of(editor.constant(node.inputs[2])) if len(node.inputs) > 2 else None
        if number is not None and number > 0 and (upper is None or upper > 1e30):
            return node.inputs[0], number
    return "", 0.0


def _floor_before(editor: Editor, name: str) -> tuple[str, float]:
    node = editor.producer(name)
    inner, floor = ("", 0.0) if node is None else _limited(editor, node)
    return (inner, floor) if inner else (name, 0.0)


def _floor_after(editor: Editor, name: str) -> tuple[str, float]:
    """The tensor that a length is after a lower limit, and the limit."""
    reader = editor.only_reader(name)
    inner, floor = ("", 0.0) if reader is None else _limited(editor, reader)
    return (reader.outputs[0], floor) if reader is not None and inner == name else (name, 0.0)


# --------------------------------------------------------------------------- what follows from it


def _consequences(editor: Editor, root: _Root) -> Iterator[tuple[str, Sum]]:
    """Tensors that are sums of products of x, m and 1/s, in the order of the graph."""
    one = np.ones(())
    known: dict[str, Sum] = {root.x: {(1, 0, 0): one}, root.output: {(0, 0, 1 if root.inverse else -1): one}}
    if root.centred:
        known |= {
            node.outputs[0]: {(0, 1, 0): one}
            for node in editor.uses(root.x)
            if _is_mean(editor, node.outputs[0], root.x, root.axes)
        }
    queue = [root.output]
    differences = [name for m in known for name in _differences(editor, root.x, m)]
    known |= {name: {(1, 0, 0): one, (0, 1, 0): -one} for name in differences}
    reached: set[str] = set()
    while queue:
        name = queue.pop(0)
        for node in editor.uses(name):
            target = node.outputs[0]
            for source in node.inputs:
                producer = editor.producer(source)
                if source not in known and producer is not None:
                    _resolve(editor, producer, known)
            if target in reached or _resolve(editor, node, known) is None:
                continue
            reached.add(target)
            queue.append(target)
            yield target, known[target]


def _differences(editor: Editor, x: str, mean: str) -> list[str]:
    return [n.outputs[0] for n in editor.uses(mean) if n.op_type == "Sub" and n.inputs == (x, mean) and x != mean]


def _resolve(editor: Editor, node: Node, known: dict[str, Sum]) -> Sum | None:
    """A node's output as a sum of products, kept in ``known``; None where its inputs are not."""
    if node.outputs[0] in known:
        return known[node.outputs[0]]
    operands = []
    for name in node.inputs[:1] if node.op_type in SAME else node.inputs:
        constant = editor.constant(name)
        if constant is None and name not in known:
            return None
        operands.append({ONE: np.asarray(constant, np.float64)} if constant is not None else known[name])
    result = _combine(node.op_type, operands)
    if result is not None:
        known[node.outputs[0]] = result
    return result


def _combine(op_type: str, operands: list[Sum]) -> Sum | None:
    """Arithmetic on sums of products; None where the result is none."""
    if op_type in SAME:
        return operands[0]
    if op_type == "Neg":
        return _times(operands[0], {ONE: -np.ones(())})
    if op_type == "Reciprocal":
        return _inverse(operands[0])
    if op_type in ("Add", "Sub"):
        second = operands[1] if op_type == "Add" else _times(operands[1], {ONE: -np.ones(())})
        if second is None:
            return None
        keys = {*operands[0], *second}
        return {k: operands[0].get(k, np.zeros(())) + second.get(k, np.zeros(())) for k in keys}
    if op_type == "Mul":
        return _times(*operands)
    if op_type == "Div":
        divisor = _inverse(operands[1])
        return None if divisor is None else _times(operands[0], divisor)
    return None


def _times(a: Sum, b: Sum) -> Sum | None:
    result: Sum = {}
    for p, u in a.items():
        for q, v in b.items():
            powers = (p[0] + q[0], p[1] + q[1], p[2] + q[2])
            if powers[0] + powers[1] > 1 or abs(powers[2]) > 1:
                return None
            result[powers] = result.get(powers, np.zeros(())) + u * v
    return result


def _inverse(a: Sum) -> Sum | None:
    if len(a) != 1:
        return None
    ((powers, factor),) = a.items()
    if powers[0] or powers[1] or not np.all(factor):
        return None
    return {(0, 0, -powers[2]): 1 / factor}


def _gain_and_offset(editor: Editor, root: _Root, terms: Sum) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """gain and offset of ``gain (x - m) / s + offset``, s without its factor; None where the sum is not of this form."""
    terms = {p: c for p, c in terms.items() if np.any(c)}
    gain, offset = terms.pop((1, 0, 1), None), terms.pop(ONE, np.zeros(1))
    mean = terms.pop((0, 1, 1), None)
    shape = editor.shape(root.x)
    if gain is None or terms or shape is None or (mean is None) == root.centred:
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
