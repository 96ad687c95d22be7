"""Lists of tensors, as scripted Python loops keep them, as tensors with an axis for the list.

TorchScript writes ``for x in xs.unbind(0): ...; ys.append(y)`` and ``torch.stack(ys)`` as SplitToSequence, SequenceAt
in a Loop, SequenceInsert and ConcatFromSequence: a Gather in the Loop, and values that the Loop stacks up.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnc.frontend.read.fold import complete_shapes
from rnnc.frontend.recurrence.scans import along
from rnnc.frontend.rewrite.editor import Editor, scalar_of
from rnnc.frontend.rewrite.patterns import put, rule, tensor
from rnnc.frontend.rewrite.rules import apply
from rnnc.tracing import Graph, Node, Tensor


def without_lists(graph: Graph) -> Graph:
    """The graph without the lists that are a sequence cut into steps, and those that a Loop appends to."""
    return complete_shapes(apply(apply(graph, READ), MADE))


def joined(editor: Editor, node: Node) -> bool:
    """ConcatFromSequence of what a Loop has stacked up, its first axis the list: that axis moved to where it belongs."""
    x = node.inputs[0]
    shape, producer = editor.shape(x), editor.producer(x)
    if not shape or producer is None or producer.op_type not in ("Loop", "Scan"):
        return False
    new = bool(node.attributes.get("new_axis", 0))
    return put(editor, node, along(tensor(x), shape, int(node.attributes["axis"]) % (len(shape) - (not new)), new=new))


# --------------------------------------------------------------------------- lists that are read


def _select_from(editor: Editor, node: Node) -> bool:
    """Let what reads single elements of a list take them out of the tensor that was cut into it."""
    x, axis = node.inputs[0], int(node.attributes.get("axis", 0))
    shape = editor.shape(x)
    sizes = editor.constant(node.inputs[1]) if len(node.inputs) > 1 else np.asarray(1)
    if shape is None or scalar_of(sizes) != 1.0:
        return False
    kept = editor.add_constant(np.asarray([axis]), "axes") if node.attributes.get("keepdims", 1) else ""
    for reader in editor.uses(node.outputs[0]):
        if reader.op_type == "SequenceLength":
            editor.replace([reader], [])
            editor.constants[reader.outputs[0]] = np.asarray(shape[axis], np.int64)
            continue
        editor.replace([reader], _taking(reader, node.outputs[0], x, axis % len(shape), kept))
    return True


def _taking(node: Node, items: str, x: str, axis: int, kept: str) -> list[Node]:
    """A node that reads the list ``items``, reading the tensor instead; ``kept``: the axes that its elements keep."""
    if node.op_type == "SequenceAt" and node.inputs[0] == items:
        selected = f"{node.outputs[0]}.taken" if kept else node.outputs[0]
        nodes = [Node(node.name, "Gather", "", (x, node.inputs[1]), (selected,), {"axis": axis})]
        return [*nodes, Node(node.name, "Unsqueeze", "", (selected, kept), node.outputs)] if kept else nodes
    changed = {
        key: replace(body, nodes=tuple(new for inner in body.nodes for new in _taking(inner, items, x, axis, kept)))
        for key, body in node.attributes.items()
        if isinstance(body, Graph)
    }
    return [replace(node, attributes={**node.attributes, **changed})] if changed else [node]


# --------------------------------------------------------------------------- lists that are made


def _append_to(editor: Editor, node: Node) -> bool:
    """Let a Loop stack up what it appends to lists that are empty at first."""
    body: Graph = node.attributes["body"]
    lists = [k for k in range(len(node.inputs) - 2) if _appended(editor, node, k) is not None]
    if not lists:
        return False
    kept = [k for k in range(len(node.inputs) - 2) if k not in lists]
    carried = len(node.inputs) - 2
    values = [Tensor(str(_appended(editor, node, k)), (), "float32") for k in lists]
    inner = replace(
        body,
        inputs=(*body.inputs[:2], *(body.inputs[2 + k] for k in kept)),
        outputs=(body.outputs[0], *(body.outputs[1 + k] for k in kept), *body.outputs[1 + carried :], *values),
    )
    names = (*node.outputs, *[""] * len(body.outputs))
    outputs = (*(names[k] for k in kept), *names[carried : len(body.outputs) - 1], *(names[k] for k in lists))
    inputs = (*node.inputs[:2], *(node.inputs[2 + k] for k in kept))
    attributes = {**node.attributes, "body": Editor(inner).finish()}
    editor.replace([node], [replace(node, inputs=inputs, outputs=outputs, attributes=attributes)])
    return True


def _appended(editor: Editor, node: Node, k: int) -> str | None:
    """What a Loop's body appends to its carried list ``k``; None where that is not a list, or is used in another way."""
    body: Graph = node.attributes["body"]
    start, name, after = editor.producer(node.inputs[2 + k]), body.inputs[2 + k].name, body.outputs[1 + k].name
    if start is None or start.op_type != "SequenceEmpty":
        return None
    inner = Editor(body)
    insert = inner.producer(after)
    if insert is None or insert.op_type != "SequenceInsert" or insert.inputs[0] != name or len(insert.inputs) > 2:
        return None
    return insert.inputs[1] if inner.uses(name) == [insert] else None


READ = (rule("steps of a list = steps of a tensor", _select_from, "SplitToSequence"),)
MADE = (rule("list that a loop appends to = values that it stacks up", _append_to, "Loop"),)
"""After those: what a loop appends may be made of what it reads."""
