"""Elements picked out of a tensor, and put together again."""

from __future__ import annotations

import numpy as np

from rnnc.frontend.rewrite.editor import Editor
from rnnc.tracing import Node
from rnnc.views import view

MOST_ELEMENTS = 1 << 16
"""Of a tensor whose parts are compared with it."""
MOST_ROWS = 64
"""That one node sets."""
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


def scattered(editor: Editor, node: Node) -> bool:
    """ScatterND that sets whole entries of the first axis, always the same, is a Concat of those that stay and the new ones."""
    x, indices, updates = node.inputs
    rows, shape, new = editor.constant(indices), editor.shape(x), editor.shape(updates)
    if (
        rows is None
        or shape is None
        or new is None
        or rows.shape[-1:] != (1,)
        or node.attributes.get("reduction", "none") != "none"
    ):
        return False
    at = [int(r) % shape[0] for r in rows.ravel()]
    if len(set(at)) < len(at) or len(at) > MOST_ROWS:
        return False
    nodes: list[Node] = []

    def part(source: str, begin: int, end: int) -> str:
        cut = editor.fresh("part")
        editor.shapes[cut] = (end - begin, *shape[1:])
        bounds = [editor.add_constant(np.asarray([n], np.int64), "number") for n in (begin, end, 0)]
        nodes.append(Node(node.name, "Slice", "", (source, *bounds), (cut,)))
        return cut

    flat = updates
    if new != (len(at), *shape[1:]):
        flat = editor.fresh("rows")
        editor.shapes[flat] = (len(at), *shape[1:])
        target = editor.add_constant(np.asarray(editor.shapes[flat], np.int64), "shape")
        nodes.append(Node(node.name, "Reshape", "", (updates, target), (flat,)))
    parts, done = list[str](), 0
    for row in sorted(at):
        parts += [part(x, done, row)] if done < row else []
        parts.append(flat if len(at) == 1 else part(flat, at.index(row), at.index(row) + 1))
        done = row + 1
    parts += [part(x, done, shape[0])] if done < shape[0] else []
    nodes.append(Node(node.name, "Concat", "", tuple(parts), node.outputs, {"axis": 0}))
    editor.replace([node], nodes)
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
