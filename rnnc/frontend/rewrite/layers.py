"""Products with weights as Dense, and products of two computed tensors that are few elementwise products.

``Dense`` has inputs x ``[..., columns]``, W ``[rows, columns]`` and b ``[rows]``, and is no operator of ONNX. It takes in
constants that are added to or multiplied with its result.

Linear attention reads its state by products of a vector with a matrix, and a bilinear layer its two inputs. The products of
attention, of every step with every other, are left alone.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnc.frontend.rewrite.editor import Editor
from rnnc.frontend.rewrite.patterns import Rule, Term, Values, constant, equation, op, put, tensor
from rnnc.tracing import Node

MOST_ELEMENTS = 65535
"""Of an elementwise product."""
LEADING = string.digits + string.punctuation
"""Labels of the axes that Einsum calls "..."."""
Vector = NDArray[np.float64]


def dense(x: Term, weights: NDArray[Any], bias: NDArray[Any] | None = None) -> Term:
    """``weights @ x + bias``."""
    offset = np.zeros(len(weights)) if bias is None else np.asarray(bias, np.float64)
    return op("Dense", x, np.asarray(weights, np.float64), offset)


def with_matrix(editor: Editor, node: Node) -> bool:
    """MatMul and Einsum of a tensor with a constant matrix, along whichever axis of the tensor."""
    labels, result = axes_of(editor, node)
    for side in (1, 0) if len(labels) == 2 else ():
        matrix, x = _matrix(editor.constant(node.inputs[side])), node.inputs[1 - side]
        if matrix is None or editor.constant(x) is not None:
            continue
        own, rows, columns = labels[1 - side], labels[side][-2], labels[side][-1]
        if rows not in result:
            matrix, rows, columns = matrix.T, columns, rows
        kept = own.replace(columns, "")
        plain = columns in own and columns not in result and len({*own, rows}) == len(own) + 1
        if plain and set(kept + rows) <= set(result):
            product = dense(turned(tensor(x), own, kept + columns), matrix)
            return put(editor, node, turned(product, kept + rows, result))
    return False


def _matrix(array: NDArray[Any] | None) -> NDArray[Any] | None:
    """A matrix that may have leading axes of length 1."""
    if array is None or array.ndim < 2 or any(n != 1 for n in array.shape[:-2]):
        return None
    return array.reshape(array.shape[-2:])


def axes_of(editor: Editor, node: Node) -> tuple[list[str], str]:
    """The axes of the operands and of the result of MatMul or Einsum, a character each; no operands where they are not told."""
    ranks = [len(shape) for shape in map(editor.shape, node.inputs) if shape is not None]
    terms, arrow, result = str(node.attributes.get("equation", "")).replace(" ", "").partition("->")
    operands = terms.split(",")
    if node.op_type == "MatMul" and len(ranks) == 2:
        operands = ["...xk" if ranks[0] > 1 else "k", "...ky" if ranks[1] > 1 else "k"]
        arrow, result = "->", "..." + "x" * (ranks[0] > 1) + "y" * (ranks[1] > 1)
    if not arrow or not len(ranks) == len(node.inputs) == len(operands):
        return [], ""
    leading = [rank - len(t) + 3 if "..." in t else 0 for rank, t in zip(ranks, operands, strict=True)]
    named = zip((*operands, result), (*leading, max(leading)), strict=True)
    *axes, result = (t.replace("...", LEADING[len(LEADING) - n :]) for t, n in named)
    return axes, result


def gemm(editor: Editor, node: Node) -> bool:
    """alpha A B + beta C; B and C may be computed."""
    weights = editor.constant(node.inputs[1])
    alpha, beta = float(node.attributes.get("alpha", 1.0)), float(node.attributes.get("beta", 1.0))
    x, other = tensor(node.inputs[0]), node.inputs[2] if len(node.inputs) > 2 else ""
    x = op("Transpose", x, perm=[1, 0]) if node.attributes.get("transA", 0) else x
    if weights is None:
        b = tensor(node.inputs[1])
        product = op("MatMul", x, op("Transpose", b, perm=[1, 0]) if node.attributes.get("transB", 0) else b)
        product = product if alpha == 1 else product * alpha
        return put(editor, node, product + (tensor(other) if beta == 1 else tensor(other) * beta) if other else product)
    matrix = alpha * np.asarray(weights if node.attributes.get("transB", 0) else weights.T, np.float64)
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


def with_vector(editor: Editor, node: Node) -> bool:
    """MatMul and Einsum that add nothing up, or one of whose tensors has no axis of its own but those of length 1.

    Both operands are turned to common axes, multiplied, and added up.
    """
    constants = [editor.constant(name) is not None for name in node.inputs]
    operands, result = axes_of(editor, node)
    if len(operands) != 2 or all(constants) or (node.op_type == "MatMul" and any(constants)):
        return False
    lengths: dict[str, int] = {}
    for name, term in zip(node.inputs, operands, strict=True):
        for label, n in zip(term, editor.shape(name) or (), strict=True):
            lengths[label] = max(n, lengths.get(label, 1))
    own = [any(lengths[x] > 1 for x in set(operands[i]).difference(operands[1 - i])) for i in (0, 1)]
    adds_up = any(lengths[x] > 1 and x not in result for x in lengths)
    repeated = any(len(set(t)) < len(t) for t in (*operands, result))
    if repeated or (all(own) and adds_up) or np.prod(list(lengths.values()), dtype=np.int64) > MOST_ELEMENTS:
        return False
    order = [*result, *(x for x in lengths if x not in result)]
    a, b = (turned(tensor(name), term, order) for name, term in zip(node.inputs, operands, strict=True))
    axes = list(range(len(result), len(order)))
    return put(editor, node, op("ReduceSum", a * b, axes, keepdims=0) if axes else a * b)


def turned(x: Term, labels: str, order: Sequence[str]) -> Term:
    """A tensor with its axes in the given order; axes that it lacks get length 1."""
    perm = [labels.index(label) for label in order if label in labels]
    missing = [i for i, label in enumerate(order) if label not in labels]
    x = x if perm == sorted(perm) else op("Transpose", x, perm=perm)
    return op("Unsqueeze", x, missing) if missing else x
