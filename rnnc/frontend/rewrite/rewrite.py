"""Small equal rewritings that leave fewer forms for handlers to know.

Gemm, and MatMul by a constant, become ``Dense``: inputs x ``[..., columns]``, W ``[rows, columns]`` and b ``[rows]``.
It takes in constants that are added to or multiplied with its result. A Gather from a constant table by computed
indices becomes ``Embedding``: inputs table ``[rows, ...]`` and indices. Neither is an ONNX operator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnc.frontend.rewrite import comparisons
from rnnc.frontend.rewrite.arithmetic import (
    chain,
    global_mean,
    inverse_root,
    log_of_sum,
    logistic,
    mixture,
    negative,
    neutral,
    power,
    quotient,
    share,
    smallest,
)
from rnnc.frontend.rewrite.editor import Editor, scalar_of
from rnnc.frontend.rewrite.norms import magnitude, norm
from rnnc.frontend.rewrite.picking import gather_nd, rejoined, scattered
from rnnc.frontend.rewrite.products import vector_einsum, vector_product
from rnnc.frontend.rewrite.row_numbers import compared, embedding, one_hot, row_numbers
from rnnc.tracing import Graph, Node
from rnnc.views import slices, view

ARITHMETIC = ("Add", "Sub", "Mul", "Div")
SOFTPLUS_LIMIT = 14.0
"""log(1 + exp(-x)) is below 1e-6 from here on."""
FAR = -(2**62)
"""The end of a Slice that goes back to the first element."""
TURNS = ("Squeeze", "Unsqueeze", "Reshape", "Flatten", "Transpose")
LONGEST_DETOUR = 5
MOST_MOVED = 1 << 16
"""Elements of a tensor that is followed through views."""
POINTWISE = ("Relu", "LeakyRelu", "Tanh", "Sigmoid", "Elu", "Softplus", "Softsign", "HardSigmoid", "HardSwish", "Gelu")

Rule = Callable[[Editor, Node], bool]
"""Tries to rewrite the graph at a node; returns whether it did."""


def canonical(graph: Graph) -> Graph:
    """The graph in the form that the handlers know.

    Comparisons come second: before a table, they are part of what row_numbers folds into it.
    """
    return apply(apply(graph, RULES), comparisons.RULES)


def apply(graph: Graph, rules: dict[str, tuple[Rule, ...]]) -> Graph:
    """Apply rules, by operator, until none applies."""
    editor = Editor(graph)
    queue = editor.nodes
    while queue:
        node = queue.pop(0)
        if node in editor and any(rule(editor, node) for rule in rules.get(node.op_type, ())):
            queue = [*editor.added, *queue]
            editor.added.clear()
    return editor.finish()


# --------------------------------------------------------------------------- Dense


def _dense(node: Node, x: str, weights: NDArray[Any], bias: NDArray[Any], output: str, editor: Editor) -> Node:
    w = editor.add_constant(np.asarray(weights, np.float64), "weights")
    b = editor.add_constant(np.asarray(bias, np.float64), "bias")
    shape = editor.shape(x)
    if shape is not None:
        editor.shapes.setdefault(output, (*shape[:-1], len(weights)))
    return Node(node.name, "Dense", "", (x, w, b), (output,))


def matmul(editor: Editor, node: Node) -> bool:
    """MatMul by a constant matrix on the right; on the left by way of transposing."""
    left, right = (editor.constant(name) for name in node.inputs)
    if right is not None and left is None and _matrix(right) is not None:
        weights = _matrix(right)
        assert weights is not None
        editor.replace(
            [node], [_dense(node, node.inputs[0], weights.T, np.zeros(weights.shape[1]), node.outputs[0], editor)]
        )
        return True
    shape = editor.shape(node.inputs[1])
    if left is None or right is not None or _matrix(left) is None or not shape:
        return False
    weights = _matrix(left)
    assert weights is not None
    if len(shape) == 1:
        editor.replace([node], [_dense(node, node.inputs[1], weights, np.zeros(len(weights)), node.outputs[0], editor)])
        return True
    perm = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
    turned, product = editor.fresh("turned"), editor.fresh("product")
    editor.shapes[turned] = tuple(shape[i] for i in perm)
    nodes = [
        Node(node.name, "Transpose", "", (node.inputs[1],), (turned,), {"perm": perm}),
        _dense(node, turned, weights, np.zeros(weights.shape[0]), product, editor),
        Node(node.name, "Transpose", "", (product,), node.outputs, {"perm": perm}),
    ]
    editor.replace([node], nodes)
    return True


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
    matrix = weights if w[1] == x[-1] else weights.T
    editor.replace([node], [_dense(node, node.inputs[0], matrix, np.zeros(len(matrix)), node.outputs[0], editor)])
    return True


def reverse_sequence(editor: Editor, node: Node) -> bool:
    """ReverseSequence over its whole length is a Slice backwards."""
    lengths, shape = editor.constant(node.inputs[1]), editor.shape(node.inputs[0])
    axis = int(node.attributes.get("time_axis", 0))
    if lengths is None or shape is None or np.any(lengths != shape[axis]):
        return False
    numbers = [editor.add_constant(np.asarray([v], np.int64), "number") for v in (-1, FAR, axis, -1)]
    editor.replace([node], [Node(node.name, "Slice", "", (node.inputs[0], *numbers), node.outputs)])
    return True


def _matrix(array: NDArray[Any]) -> NDArray[Any] | None:
    """A matrix that may have leading axes of length 1."""
    if array.ndim < 2 or any(n != 1 for n in array.shape[:-2]):
        return None
    return array.reshape(array.shape[-2:])


def gemm(editor: Editor, node: Node) -> bool:
    """alpha A B + beta C with a constant B; C may be computed."""
    weights = editor.constant(node.inputs[1])
    if weights is None:
        return False
    alpha, beta = float(node.attributes.get("alpha", 1.0)), float(node.attributes.get("beta", 1.0))
    matrix = alpha * np.asarray(weights if node.attributes.get("transB", 0) else weights.T, np.float64)
    nodes: list[Node] = []
    x, output = node.inputs[0], node.outputs[0]
    if node.attributes.get("transA", 0):
        turned, shape = editor.fresh("turned"), editor.shape(x)
        if shape is not None:
            editor.shapes[turned] = shape[::-1]
        nodes.append(Node(node.name, "Transpose", "", (x,), (turned,), {"perm": [1, 0]}))
        x = turned
    other = node.inputs[2] if len(node.inputs) > 2 else ""
    added = editor.constant(other)
    if not other:
        nodes.append(_dense(node, x, matrix, np.zeros(len(matrix)), output, editor))
    elif added is not None and _along_last(added, len(matrix)) is not None:
        bias = _along_last(added, len(matrix))
        assert bias is not None
        nodes.append(_dense(node, x, matrix, beta * bias, output, editor))
    else:
        product = editor.fresh("product")
        nodes.append(_dense(node, x, matrix, np.zeros(len(matrix)), product, editor))
        if beta != 1:
            scaled = editor.fresh("scaled")
            nodes.append(Node(node.name, "Mul", "", (other, editor.add_constant(np.asarray(beta))), (scaled,)))
            other = scaled
        nodes.append(Node(node.name, "Add", "", (product, other), (output,)))
    editor.replace([node], nodes)
    return True


def _along_last(array: NDArray[Any], length: int) -> NDArray[np.float64] | None:
    """A constant that differs along the last axis only, as a vector."""
    if array.size not in (1, length) or (array.ndim and array.shape[-1] != array.size):
        return None
    return np.broadcast_to(np.asarray(array, np.float64).ravel(), (length,))


def absorb(editor: Editor, node: Node) -> bool:
    """Take a constant added to, subtracted from or multiplied with the result of Dense into its weights and bias."""
    weights, bias = editor.constant(node.inputs[1]), editor.constant(node.inputs[2])
    reader = editor.only_reader(node.outputs[0])
    if reader is None or weights is None or bias is None or reader.op_type not in ARITHMETIC:
        return False
    position = reader.inputs.index(node.outputs[0])
    other = editor.constant(reader.inputs[1 - position])
    vector = None if other is None else _along_last(other, len(weights))
    shape, rank = editor.shape(node.outputs[0]), 0 if other is None else other.ndim
    if vector is None or (rank > 1 and (shape is None or rank > len(shape))):
        return False
    if reader.op_type == "Div":
        if position or not np.all(vector):
            return False
        vector = 1 / vector
    if reader.op_type in ("Mul", "Div"):
        weights, bias = weights * vector[:, None], bias * vector
    elif reader.op_type == "Add":
        bias = bias + vector
    else:
        weights, bias = (weights, bias - vector) if position == 0 else (-weights, vector - bias)
    editor.replace([node, reader], [_dense(node, node.inputs[0], weights, bias, reader.outputs[0], editor)])
    return True


def swap(editor: Editor, node: Node) -> bool:
    """A constant added or multiplied along the last axis after a reshaping that keeps this axis goes before it."""
    source = editor.producer(node.inputs[0])
    reader = editor.only_reader(node.outputs[0])
    before, after = editor.shape(node.inputs[0]), editor.shape(node.outputs[0])
    if source is None or source.op_type != "Dense" or reader is None or reader.op_type not in ARITHMETIC:
        return False
    other = editor.constant(reader.inputs[1 - reader.inputs.index(node.outputs[0])])
    if not before or not after or before[-1] != after[-1] or other is None or other.ndim > 1:
        return False
    if editor.only_reader(node.inputs[0]) is not node or other.size not in (1, after[-1]):
        return False
    moved = editor.fresh("moved")
    editor.shapes[moved] = before
    inputs = tuple(node.inputs[0] if n == node.outputs[0] else n for n in reader.inputs)
    first = replace(reader, inputs=inputs, outputs=(moved,))
    second = replace(node, inputs=(moved, *node.inputs[1:]), outputs=reader.outputs)
    editor.replace([node, reader], [first, second])
    editor.added.append(source)
    return True


def sink(editor: Editor, node: Node) -> bool:
    """A function of single elements after a reshaping goes before it: there time is an axis of its own."""
    reader = editor.only_reader(node.outputs[0])
    before, after = editor.shape(node.inputs[0]), editor.shape(node.outputs[0])
    if reader is None or reader.op_type not in POINTWISE or not before or not after or len(before) <= len(after):
        return False
    moved = editor.fresh("moved")
    editor.shapes[moved] = before
    first = replace(reader, inputs=(node.inputs[0],), outputs=(moved,))
    editor.replace([node, reader], [first, replace(node, inputs=(moved, *node.inputs[1:]), outputs=reader.outputs)])
    return True


def turn_before(editor: Editor, node: Node) -> bool:
    """A sequence that is turned around behind a Dense is turned around before it: then the Dense can become W."""
    dense, shape = editor.producer(node.inputs[0]), editor.shape(node.inputs[0])
    if dense is None or dense.op_type != "Dense" or editor.only_reader(node.inputs[0]) is not node or not shape:
        return False
    how = [editor.constant(name) for name in node.inputs[1:]]
    if how[0] is None or how[1] is None:
        return False
    parts = [range(n)[p] for n, p in zip(shape, slices(shape, how), strict=True)]
    turned = [i for i, (n, part) in enumerate(zip(shape, parts, strict=True)) if part != range(n)]
    if len(turned) != 1 or turned[0] == len(shape) - 1 or parts[turned[0]] != range(shape[turned[0]])[::-1]:
        return False
    name, before = editor.fresh("turned"), editor.shape(dense.inputs[0])
    if before is not None:
        editor.shapes[name] = before
    first = replace(node, inputs=(dense.inputs[0], *node.inputs[1:]), outputs=(name,))
    editor.replace([dense, node], [first, replace(dense, inputs=(name, *dense.inputs[1:]), outputs=node.outputs)])
    return True


def there_and_back(editor: Editor, node: Node) -> bool:
    """A view that undoes those before it."""
    chain = [node]
    while len(chain) < LONGEST_DETOUR:
        x = chain[0].inputs[0]
        shape, before = editor.shape(x), editor.producer(x)
        if shape is None or int(np.prod(shape, dtype=np.int64)) > MOST_MOVED:
            return False
        if shape == editor.shape(node.outputs[0]) and _moves_nothing(editor, chain, shape):
            editor.replace([node], [Node(node.name, "Identity", "", (x,), node.outputs)])
            return True
        if before is None or before.op_type not in TURNS:
            return False
        chain.insert(0, before)
    return False


def _moves_nothing(editor: Editor, chain: list[Node], shape: tuple[int, ...]) -> bool:
    """Whether all elements of a tensor of that shape are where they were behind a chain of views."""
    elements = start = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)
    for node in chain:
        moved = view(node, [elements], editor.constants)
        if moved is None:
            return False
        elements = moved[0]
    return np.array_equal(elements, start)


def where(editor: Editor, node: Node) -> bool:
    """Where with one condition for all elements; and Softplus that is cut off where it is its argument anyway."""
    condition = scalar_of(editor.constant(node.inputs[0]))
    chosen = "" if condition is None else node.inputs[1 if condition else 2]
    if not chosen:
        chosen = _cut_off(editor, node)
    if not chosen or editor.shape(chosen) is None or editor.shape(chosen) != editor.shape(node.outputs[0]):
        return False
    editor.replace([node], [Node(node.name, "Identity", "", (chosen,), node.outputs)])
    return True


def _cut_off(editor: Editor, node: Node) -> str:
    """The Softplus in ``x > limit ? x : softplus(x)``, whose branches differ by exp(-limit)."""
    compared, x, other = editor.producer(node.inputs[0]), node.inputs[1], editor.producer(node.inputs[2])
    if compared is None or other is None or compared.op_type != "Greater" or other.op_type != "Softplus":
        return ""
    limit = scalar_of(editor.constant(compared.inputs[1]))
    same = compared.inputs[0] == x == other.inputs[0]
    return node.inputs[2] if same and limit is not None and limit >= SOFTPLUS_LIMIT else ""


def batch_normalization(editor: Editor, node: Node) -> bool:
    """Scale and shift by channel (axis 1)."""
    parameters = [editor.constant(name) for name in node.inputs[1:5]]
    shape = editor.shape(node.inputs[0])
    if any(p is None for p in parameters) or shape is None or len(shape) < 2:
        return False
    scale, offset, mean, variance = (np.asarray(p, np.float64) for p in parameters)
    factor = scale / np.sqrt(variance + float(node.attributes.get("epsilon", 1e-5)))
    form = (1, -1) + (1,) * (len(shape) - 2)
    scaled = editor.fresh("scaled")
    editor.shapes[scaled] = shape
    first = editor.add_constant(factor.reshape(form))
    second = editor.add_constant((offset - mean * factor).reshape(form))
    nodes = [
        Node(node.name, "Mul", "", (node.inputs[0], first), (scaled,)),
        Node(node.name, "Add", "", (scaled, second), (node.outputs[0],)),
    ]
    editor.replace([node], nodes)
    return True


def drop_identity(editor: Editor, node: Node) -> bool:
    """Let the readers of an Identity or an inactive Dropout read its input."""
    source, target = node.inputs[0], node.outputs[0]
    readers = editor.uses(target)
    extra = [name for name in node.outputs[1:] if editor.uses(name) or name in editor.results]
    if extra or target in editor.results or any(target not in reader.inputs for reader in readers):
        return False
    renamed = [replace(r, inputs=tuple(source if n == target else n for n in r.inputs)) for r in readers]
    for old, new in zip(readers, renamed, strict=True):
        editor.replace([old], [new])
    return bool(readers)


RULES: dict[str, tuple[Rule, ...]] = {
    "MatMul": (matmul, vector_product),
    "Einsum": (einsum, vector_einsum),
    "Concat": (rejoined,),
    "GatherND": (gather_nd,),
    "ScatterND": (scattered,),
    "Equal": (compared,),
    "ReverseSequence": (reverse_sequence,),
    "Gemm": (gemm,),
    "Dense": (absorb,),
    "Where": (where, mixture),
    "Slice": (turn_before,),
    "Reshape": (there_and_back, swap, sink),
    "Flatten": (there_and_back, sink),
    "Squeeze": (there_and_back, swap),
    "Unsqueeze": (there_and_back, swap),
    "Transpose": (there_and_back,),
    "Gather": (embedding,),
    "Embedding": (row_numbers,),
    "Identity": (drop_identity,),
    "Dropout": (drop_identity,),
    "BatchNormalization": (batch_normalization,),
    "Sqrt": (norm, magnitude),
    "ReduceL2": (norm,),
    "Pow": (norm, power),
    "Add": (neutral,),
    "Sub": (neutral,),
    "Mul": (neutral,),
    "Div": (neutral, quotient),
    "Reciprocal": (inverse_root, logistic),
    "Neg": (negative,),
    "GlobalAveragePool": (global_mean,),
    "LpNormalization": (share,),
    "ArgMin": (smallest,),
    "ReduceLogSum": (log_of_sum,),
    "OneHot": (one_hot,),
    "Sum": (chain,),
    "Mean": (chain,),
    "Max": (chain,),
    "Min": (chain,),
}
