"""All rewriting rules by name, and how they are applied: small equal rewritings that leave fewer forms for handlers to know.

Rules that are equations are in ``equations`` and ``layers``; the others are functions, each with a name in the tables here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import reduce

import numpy as np

from rnnc.frontend.rewrite import convolutions, einsum, finite, layers, moves, norms, pooling, tables
from rnnc.frontend.rewrite.editor import Editor
from rnnc.frontend.rewrite.elements import sources
from rnnc.frontend.rewrite.equations import ARITHMETIC, TRUTHS
from rnnc.frontend.rewrite.patterns import Rule, op, put, rule, tensor
from rnnc.tracing import Graph, Node

BOOL = 9
"""Its element type in ONNX."""
JUMPS = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "And", "Or", "Xor")
"""Operators that give truth values."""
TINY = 1e-12
"""The least that a sum of magnitudes is divided by."""


def canonical(graph: Graph) -> Graph:
    """The graph in the form that the handlers know.

    Comparisons come second: before a table, they are part of what is folded into it.
    """
    return apply(apply(graph, RULES), JUMPING)


def apply(graph: Graph, rules: Sequence[Rule]) -> Graph:
    """Apply rules until none applies; which rewrote which node is noted in the graph."""
    editor = Editor(graph)
    queue = deque(editor.nodes)
    by_operator: dict[str, list[Rule]] = {}
    for one in rules:
        for op_type in one.at:
            by_operator.setdefault(op_type, []).append(one)
    while queue:
        node = queue.popleft()
        for one in by_operator.get(node.op_type, ()) if node in editor else ():
            if one.rewrite(editor, node):
                editor.note(one.name, node)
                queue.extendleft(reversed(editor.added))
                editor.added.clear()
                break
    return editor.finish()


def share(editor: Editor, node: Node) -> bool:
    """LpNormalization with p = 1: x over the sum of its magnitudes, 0 where they are all 0."""
    shape, x = editor.shape(node.inputs[0]), tensor(node.inputs[0])
    if int(node.attributes.get("p", 2)) != 1 or shape is None:
        return False
    axis = int(node.attributes.get("axis", -1)) % len(shape)
    return put(editor, node, x / op("Max", op("ReduceL1", x, [axis], keepdims=1), TINY))


def triangle(editor: Editor, node: Node) -> bool:
    """Trilu as a product with ones and zeros."""
    shape, k = editor.shape(node.inputs[0]), editor.constant(node.inputs[1]) if len(node.inputs) > 1 else np.zeros(1)
    if shape is None or k is None:
        return False
    ones, offset = np.ones(shape[-2:], np.float32), int(np.ravel(k)[0])
    mask = np.triu(ones, offset) if node.attributes.get("upper", 1) else np.tril(ones, offset)
    return put(editor, node, tensor(node.inputs[0]) * mask)


def global_mean(editor: Editor, node: Node) -> bool:
    """GlobalAveragePool as the mean over the axes behind the first two."""
    axes = list(range(2, len(editor.shape(node.inputs[0]) or ())))
    return bool(axes) and put(editor, node, op("ReduceMean", tensor(node.inputs[0]), axes, keepdims=1))


def chain(editor: Editor, node: Node) -> bool:
    """Sum, Mean, Max or Min of any number of tensors, two at a time."""
    if any(editor.shape(name) is None for name in node.inputs):
        return False
    if len(node.inputs) == 2 and node.op_type in ("Max", "Min"):
        return False
    op_type = "Add" if node.op_type in ("Sum", "Mean") else node.op_type
    total = reduce(lambda a, b: op(op_type, a, b), map(tensor, node.inputs))
    return put(editor, node, total * (1 / len(node.inputs)) if node.op_type == "Mean" else total)


def cast(editor: Editor, node: Node) -> bool:
    """A truth value in another type is the same number; and a number as a truth value says whether it is 0."""
    x = node.inputs[0]
    if _is_truth(editor, x):
        return put(editor, node, tensor(x))
    if int(node.attributes["to"]) != BOOL or editor.constant(x) is not None:
        return False
    return put(editor, node, op("Not", op("Equal", tensor(x), 0.0)))


def _is_truth(editor: Editor, name: str) -> bool:
    """Whether a tensor is 1 or 0 because it is the result of a comparison, moved or combined."""
    *_, source = sources(editor, name)
    node = editor.producer(source)
    if node is not None and node.op_type in ("Min", "Max", "Abs", "Sub"):
        return all(_is_truth(editor, n) for n in node.inputs)
    return node is not None and node.op_type in JUMPS


RULES = (
    rule("MatMul by a constant = Dense", layers.with_matrix, "MatMul"),
    rule("MatMul by a vector = sum of products", layers.with_vector, "MatMul"),
    rule("Einsum with a constant = Dense", layers.with_matrix, "Einsum"),
    rule("Einsum with a vector = sum of products", layers.with_vector, "Einsum"),
    rule("Einsum = products of two tensors", einsum.einsum, "Einsum"),
    rule("Gemm = Dense", layers.gemm, "Gemm"),
    rule("ConvTranspose = Conv with the kernel turned around", convolutions.transposed, "ConvTranspose"),
    rule("BatchNormalization = scale and shift", layers.batch_normalization, "BatchNormalization"),
    rule("view that moves nothing", moves.still, "Concat", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"),
    rule("constant before a view", moves.swap, "Reshape", "Squeeze", "Unsqueeze"),
    rule("function before a view", moves.sink, "Reshape", "Flatten"),
    rule("reversal before Dense", moves.turn_before, "Slice"),
    rule("ReverseSequence = Slice", moves.reverse_sequence, "ReverseSequence"),
    rule("the same places everywhere = Gather", moves.gathered, "GatherND", "GatherElements"),
    rule("initial state out of an input", moves.start_of_input, "Slice", "Gather"),
    rule("ScatterND = Concat", moves.scattered, "ScatterND"),
    rule("ScatterElements = Concat", moves.elements_set, "ScatterElements"),
    rule("choice by IsNaN or IsInf = one of the two", finite.choice, "Where"),
    rule("Identity", moves.drop_identity, "Identity", "Dropout"),
    rule("row numbers compared = Embedding", tables.compared, "Equal"),
    rule("Gather from a table = Embedding", tables.embedding, "Gather"),
    rule("arithmetic on row numbers", tables.row_numbers, "Embedding"),
    rule("OneHot = Embedding", tables.one_hot, "OneHot"),
    rule("root = Normalize", norms.norm, "Sqrt", "ReduceL2", "Pow"),
    rule("sqrt(a a + b b) = Magnitude", norms.magnitude, "Sqrt"),
    *ARITHMETIC,
    *layers.ABSORBED,
    rule("sum of softmax times values = SoftmaxPool", pooling.softmax_pool, "ReduceSum"),
    rule("sum / count = mean", pooling.mean_of_sum, "Div", "Mul"),
    rule("Trilu = product with a mask", triangle, "Trilu"),
    rule("GlobalAveragePool = ReduceMean", global_mean, "GlobalAveragePool"),
    rule("LpNormalization = quotient", share, "LpNormalization"),
    rule("two operands at a time", chain, "Sum", "Mean", "Max", "Min"),
)
"""For every graph, in the order in which those of one operator are tried."""
JUMPING = (rule("truth value as a number", cast, "Cast"), *TRUTHS)
"""For what compares numbers that the network computes, after those."""
