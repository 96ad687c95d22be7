"""Products with weights as Dense, and products of two computed tensors that are few elementwise products.

``Dense`` has inputs x ``[..., columns]``, W ``[rows, columns]`` and b ``[rows]``, and is no operator of ONNX. It takes in
constants that are added to or multiplied with its result.

Linear attention reads its state by products of a vector with a matrix, and a bilinear layer its two inputs. The products of
attention, of every step with every other, are left alone.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnc.frontend.rewrite.editor import Editor
from rnnc.frontend.rewrite.patterns import Rule, Term, Values, constant, equation, op, put, tensor
from rnnc.tracing import Node

MOST_ELEMENTS = 65535
"""Of an elementwise product."""
Vector = NDArray[np.float64]


def dense(x: Term, weights: NDArray[Any], bias: NDArray[Any] | None = None) -> Term:
    """``weights @ x + bias``."""
    offset = np.zeros(len(weights)) if bias is None else np.asarray(bias, np.float64)
    return op("Dense", x, np.asarray(weights, np.float64), offset)


def matmul(editor: Editor, node: Node) -> bool:
    """MatMul by a constant matrix on the right; on the left by way of transposing."""
    for side in (1, 0):
        matrix, name = _matrix(editor.constant(node.inputs[side])), node.inputs[1 - side]
        rank = len(editor.shape(name) or ())
        if matrix is None or editor.constant(name) is not None:
            continue
        if side == 1:
            return put(editor, node, dense(tensor(name), matrix.T))
        if rank == 1:
            return put(editor, node, dense(tensor(name), matrix))
        if rank > 1:
            perm = [*range(rank - 2), rank - 1, rank - 2]
            turned = op("Transpose", tensor(name), perm=perm)
            return put(editor, node, op("Transpose", dense(turned, matrix), perm=perm))
    return False


def _matrix(array: NDArray[Any] | None) -> NDArray[Any] | None:
    """A matrix that may have leading axes of length 1."""
    if array is None or array.ndim < 2 or any(n != 1 for n in array.shape[:-2]):
        return None
    return array.reshape(array.shape[-2:])


def gemm(editor: Editor, node: Node) -> bool:
    """alpha A B + beta C with a constant B; C may be computed."""
    weights = editor.constant(node.inputs[1])
    if weights is None:
        return False
    alpha, beta = float(node.attributes.get("alpha", 1.0)), float(node.attributes.get("beta", 1.0))
    matrix = alpha * np.asarray(weights if node.attributes.get("transB", 0) else weights.T, np.float64)
    x, other = tensor(node.inputs[0]), node.inputs[2] if len(node.inputs) > 2 else ""
    x = op("Transpose", x, perm=[1, 0]) if node.attributes.get("transA", 0) else x
    bias = _along_last(editor.constant(other), len(matrix))
    if not other or bias is not None:
        return put(editor, node, dense(x, matrix, None if bias is None else beta * bias))
    return put(editor, node, dense(x, matrix) + (tensor(other) if beta == 1 else tensor(other) * beta))


def _along_last(array: NDArray[Any] | None, length: int) -> Vector | None:
    """A constant that differs along the last axis only, as a vector."""
    if array is None or array.size not in (1, length) or (array.ndim and array.shape[-1] != array.size):
        return None
    return np.broadcast_to(np.asarray(array, np.float64).ravel(), (length,))


def _absorbed(
    change: Callable[[Vector, Vector, Vector], tuple[Vector, Vector] | None],
) -> Callable[[Values], Term | None]:
    """The Dense with the weights and bias that a constant c behind it makes of W and b."""

    def right(known: Values) -> Term | None:
        vector = _along_last(known["c"], len(known["W"]))
        changed = None if vector is None else change(known["W"], known["b"], vector)
        return None if changed is None else dense(tensor("x"), *changed)

    return right


c = constant("c")
linear = op("Dense", tensor("x"), constant("W"), constant("b")).named("this").read_once()
ABSORBED: tuple[Rule, ...] = (
    equation("(W x + b) + c = W x + (b + c)", linear + c, _absorbed(lambda w, b, c: (w, b + c))),
    equation("(W x + b) - c = W x + (b - c)", linear - c, _absorbed(lambda w, b, c: (w, b - c))),
    equation("c - (W x + b) = -W x + (c - b)", c - linear, _absorbed(lambda w, b, c: (-w, c - b))),
    equation("(W x + b) c = c W x + b c", linear * c, _absorbed(lambda w, b, c: (w * c[:, None], b * c))),
    equation(
        "(W x + b) / c = W / c x + b / c",
        linear / c,
        _absorbed(lambda w, b, c: (w * (1 / c)[:, None], b * (1 / c)) if c.all() else None),
    ),
)


def batch_normalization(editor: Editor, node: Node) -> bool:
    """Scale and shift by channel (axis 1)."""
    parameters = [editor.constant(name) for name in node.inputs[1:5]]
    shape = editor.shape(node.inputs[0])
    if any(p is None for p in parameters) or shape is None or len(shape) < 2:
        return False
    scale, offset, mean, variance = (np.asarray(p, np.float64) for p in parameters)
    factor = scale / np.sqrt(variance + float(node.attributes.get("epsilon", 1e-5)))
    form = (1, -1) + (1,) * (len(shape) - 2)
    moved = (offset - mean * factor).reshape(form)
    return put(editor, node, tensor(node.inputs[0]) * factor.reshape(form) + moved)


def einsum(editor: Editor, node: Node) -> bool:
    """A sum over the last axis with a constant matrix: ``...i,oi->...o`` and its like."""
    equation = str(node.attributes.get("equation", "")).replace(" ", "")
    weights = editor.constant(node.inputs[1]) if len(node.inputs) == 2 else None
    terms, _, result = equation.partition("->")
    x, _, w = terms.partition(",")
    if weights is None or weights.ndim != 2 or len(w) != 2 or not x or not result or x[-1] not in w:
        return False
    new = w.replace(x[-1], "")
    if len(new) != 1 or new in x or result != x[:-1] + new:
        return False
    return put(editor, node, dense(tensor(node.inputs[0]), weights if w[1] == x[-1] else weights.T))


def vector_product(editor: Editor, node: Node) -> bool:
    """MatMul of two computed tensors, one of them a vector in each batch."""
    a, b = (editor.shape(name) for name in node.inputs)
    if not a or not b or len(a) != len(b) or len(a) < 2 or any(editor.constant(n) is not None for n in node.inputs):
        return False
    lead = string.ascii_lowercase[: len(a) - 2]
    return len(lead) == len(a) - 2 and _summed(editor, node, (f"{lead}XK", f"{lead}KY"), f"{lead}XY")


def vector_einsum(editor: Editor, node: Node) -> bool:
    """Einsum of two tensors that adds nothing up, or one of which has no axis of its own but those of length 1."""
    terms, arrow, result = str(node.attributes.get("equation", "")).replace(" ", "").partition("->")
    labels = terms.split(",")
    if not arrow or len(labels) != 2 or "." in terms or any(editor.shape(name) is None for name in node.inputs):
        return False
    if any(len(set(t)) < len(t) for t in (*labels, result)) or all(editor.constant(n) is not None for n in node.inputs):
        return False
    return _summed(editor, node, (labels[0], labels[1]), result)


def _summed(editor: Editor, node: Node, labels: tuple[str, str], result: str) -> bool:
    """Turn both operands to common axes, multiply them, add up; not where both have an axis of their own."""
    lengths: dict[str, int] = {}
    for name, term in zip(node.inputs, labels, strict=True):
        for label, n in zip(term, editor.shape(name) or (), strict=True):
            lengths[label] = max(n, lengths.get(label, 1))
    own = [[x for x in labels[i] if x not in labels[1 - i] and lengths[x] > 1] for i in (0, 1)]
    adds_up = any(lengths[x] > 1 and x not in result for x in lengths)
    if (all(own) and adds_up) or np.prod(list(lengths.values()), dtype=np.int64) > MOST_ELEMENTS:
        return False
    order = [*result, *(x for x in lengths if x not in result)]
    a, b = (_turned(tensor(name), term, order) for name, term in zip(node.inputs, labels, strict=True))
    axes = list(range(len(result), len(order)))
    return put(editor, node, op("ReduceSum", a * b, axes, keepdims=0) if axes else a * b)


def _turned(x: Term, labels: str, order: list[str]) -> Term:
    """A tensor with its axes in an order, those that it has not of length 1."""
    perm = [labels.index(label) for label in order if label in labels]
    missing = [i for i, label in enumerate(order) if label not in labels]
    x = x if perm == sorted(perm) else op("Transpose", x, perm=perm)
    return op("Unsqueeze", x, missing) if missing else x
