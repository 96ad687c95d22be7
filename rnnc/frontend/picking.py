"""Elements picked out of a tensor, and put together again."""

from __future__ import annotations

import numpy as np

from rnnc.frontend.editor import Editor
from rnnc.tracing import Node
from rnnc.views import view

MOST_ELEMENTS = 1 << 16
"""Of a tensor whose parts are compared with it."""
PARTS = ("Slice", "Split")


def gather_nd(editor: Editor, node: Node) -> bool:
    """GatherND of whole entries along one axis, the same in every batch, is a Gather."""
    indices, shape = editor.constant(node.inputs[1]), editor.shape(node.inputs[0])
    axis = int(node.attributes.get("batch_dims", 0))
    if indices is None or shape is None or indices.ndim != axis + 2 or indices.shape[-1] != 1:
        return False
    rows = indices.reshape(-1, indices.shape[-2])
    if not len(rows) or np.any(rows != rows[0]):
        return False
    inputs = (node.inputs[0], editor.add_constant(rows[0].astype(np.int64), "indices"))
    editor.replace([node], [Node(node.name, "Gather", "", inputs, node.outputs, {"axis": axis})])
    return True


def rejoined(editor: Editor, node: Node) -> bool:
    """A Concat of all parts that a tensor was cut into, in their order, is that tensor: a layer that does nothing leaves it.

    Keras applies a TimeDistributed Dropout to each step of a sequence apart.
    """
    parts = [editor.producer(name) for name in node.inputs]
    if parts[0] is None or any(p is None or p.op_type not in PARTS or p.inputs[0] != parts[0].inputs[0] for p in parts):
        return False
    whole = parts[0].inputs[0]
    shape = editor.shape(whole)
    size = 0 if shape is None else int(np.prod(shape, dtype=np.int64))
    if not 0 < size <= MOST_ELEMENTS:
        return False
    elements = np.arange(size).reshape(shape or ())
    cut = []
    for name, part in zip(node.inputs, parts, strict=True):
        assert part is not None
        found = view(part, [elements], editor.constants)
        if found is None:
            return False
        cut.append(found[part.outputs.index(name)])
    joined = view(node, cut, editor.constants)
    if joined is None or not np.array_equal(joined[0], elements):
        return False
    editor.replace([node], [Node(node.name, "Identity", "", (whole,), node.outputs)])
    return True
