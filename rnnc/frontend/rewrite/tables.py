"""Tables that are looked up, and arithmetic on row numbers before: what it does to each of them is folded into the table.

Keras and TensorFlow guard an embedding against negative row numbers by Less, Mul, Add and Cast; others shift or clip them.
All that counts is which row each number ends at, so that these nodes are run once for every row number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnc.frontend.read.fold import fold
from rnnc.frontend.rewrite.editor import Editor, scalar_of
from rnnc.frontend.rewrite.elements import sources
from rnnc.frontend.rewrite.patterns import op, put, tensor
from rnnc.tracing import Node

POINTWISE = frozenset(
    """Abs Add And Cast Clip Div Equal Greater GreaterOrEqual Identity Less LessOrEqual Max Min Mod Mul Neg Not Or Sub Where
    Xor""".split()
)


def embedding(editor: Editor, node: Node) -> bool:
    """Gather of rows from a constant table."""
    table = editor.constant(node.inputs[0])
    if table is None or editor.constant(node.inputs[1]) is not None or int(node.attributes.get("axis", 0)) % table.ndim:
        return False
    return put(editor, node, op("Embedding", *map(tensor, node.inputs)))


def row_numbers(editor: Editor, node: Node) -> bool:
    """Let an Embedding read the numbers that its own are computed from, its table rearranged accordingly."""
    table = editor.constant(node.inputs[0])
    nodes = _pointwise(editor, node.inputs[1])
    sources = {name for n in nodes for name in n.inputs if name and editor.constant(name) is None}
    sources -= {name for n in nodes for name in n.outputs}
    if table is None or not nodes or len(sources) != 1:
        return False
    source = sources.pop()
    if editor.shape(source) != editor.shape(node.inputs[1]):
        return False
    rows = _rows_reached(editor, nodes, source, len(table))
    if rows is None or rows.min() < -len(table) or rows.max() >= len(table):
        return False
    return put(editor, node, op("Embedding", table[rows], tensor(source)))


def one_hot(editor: Editor, node: Node) -> bool:
    """OneHot along a new last axis looks up the rows of a table of two numbers."""
    depth, values = (editor.constant(name) for name in node.inputs[1:])
    shape = editor.shape(node.inputs[0])
    if depth is None or values is None or shape is None or int(node.attributes.get("axis", -1)) not in (-1, len(shape)):
        return False
    off, on = (float(v) for v in values.ravel())
    table = (off + (on - off) * np.eye(int(depth.ravel()[0]))).astype(np.float32)
    return put(editor, node, op("Embedding", table, tensor(node.inputs[0])))


def compared(editor: Editor, node: Node) -> bool:
    """Row numbers ``[..., 1]`` compared with a list of numbers look up the rows of a table of truth values: a one-hot code."""
    constants = [editor.constant(name) for name in node.inputs]
    numbers = next((c for c in constants if c is not None), None)
    x = node.inputs[0 if constants[0] is None else 1]
    shape = editor.shape(x)
    if numbers is None or not any(c is None for c in constants):
        return False
    listed = numbers.dtype.kind == "i" and numbers.size > 1 and numbers.shape[-1] == numbers.size
    if not listed or not shape or shape[-1] != 1 or numbers.ndim > len(shape) or not _whole(editor, x):
        return False
    old = [node]
    while (cast := editor.only_reader(old[-1].outputs[0])) is not None and cast.op_type == "Cast":
        old.append(cast)
    table = (np.arange(max(int(numbers.max()), 0) + 1)[:, None] == numbers.ravel()).astype(np.float32)
    return put(editor, old, op("Embedding", table, op("Squeeze", tensor(x), [len(shape) - 1])))


def _whole(editor: Editor, name: str) -> bool:
    """Whether a tensor is an input of integers, or such an input with its elements moved."""
    kinds = {t.name: np.dtype(t.dtype).kind for t in editor.graph.inputs}
    *_, source = sources(editor, name)
    return kinds.get(source) in ("i", "u")


def _pointwise(editor: Editor, name: str) -> list[Node]:
    """The pointwise nodes that a tensor is computed by, in order, as far back as there are no others."""
    producer = editor.producer(name)
    if producer is None or producer.op_type not in POINTWISE:
        return []
    nodes: list[Node] = []
    for source in producer.inputs:
        nodes += [n for n in _pointwise(editor, source) if n not in nodes]
    return [*nodes, producer]


def _rows_reached(editor: Editor, nodes: list[Node], source: str, count: int) -> NDArray[np.int64] | None:
    """What the nodes make of the numbers 0..count-1; None where that cannot be told."""
    values: dict[str, NDArray[Any]] = {source: np.arange(count)}
    for node in nodes:
        inputs = []
        for name in node.inputs:
            constant = editor.constant(name)
            number = None if constant is None else scalar_of(constant)
            if constant is not None and number is None:
                return None
            inputs.append(values.get(name) if constant is None else np.asarray(number).astype(constant.dtype))
        results = fold(node, _same_types(inputs), editor.graph.opset)
        if results is None:
            return None
        values.update(zip(node.outputs, results, strict=False))
    reached = np.asarray(values[nodes[-1].outputs[0]])
    return reached.astype(np.int64) if reached.shape == (count,) else None


def _same_types(inputs: list[NDArray[Any] | None]) -> list[NDArray[Any] | None]:
    """Integers of different widths as int64: the source's own width does not matter."""
    return [x.astype(np.int64) if x is not None and np.issubdtype(x.dtype, np.integer) else x for x in inputs]
