"""Scan nodes, the one form of a body that repeats, whatever it was in the file: a Scan, a Loop, copies of one step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnc.errors import Refused
from rnnc.frontend.read.fold import fold_constants, measure
from rnnc.frontend.rewrite.editor import Editor, all_inputs, enclose, reached
from rnnc.frontend.rewrite.rules import canonical
from rnnc.tracing import Graph, Node


def complete(editor: Editor, node: Node) -> Node:
    """A Scan with its outside constants inside, shapes known, attributes in full, states without a purpose left out."""
    body, scans = node.attributes["body"], int(node.attributes["num_scan_inputs"])
    count = len(node.inputs) - scans
    if len(node.inputs) != len(body.inputs):
        raise Refused(
            "Scan of opset 8 is not supported",
            where=f"{editor.graph.file}: {node.label}",
            hint="Export with a newer opset.",
        )
    axes = [int(a) for a in node.attributes.get("scan_input_axes", [0] * scans)]
    shapes: dict[str, tuple[int, ...]] = {}
    for i, (tensor, name) in enumerate(zip(body.inputs, node.inputs, strict=True)):
        shape = editor.shape(name)
        if shape is None:
            raise Refused(f"the shape of input {name!r} is not known", where=f"{editor.graph.file}: {node.label}")
        if i >= count:
            axis = axes[i - count] % len(shape)
            shape = (*shape[:axis], *shape[axis + 1 :])
        shapes[tensor.name] = shape
    node, body = _drop_counters(editor, node, body, count)
    count = len(node.inputs) - scans
    inside = fold_constants(enclose(editor, body))
    inside = fold_constants(measure(inside, _outside(editor, inside), shapes), measured=True)
    body = canonical(measure(inside, _outside(editor, inside), shapes))
    _set_shapes(editor, node, body, count, axes)
    return replace(node, attributes={**node.attributes, "body": body})


def _drop_counters(editor: Editor, node: Node, body: Graph, count: int) -> tuple[Node, Graph]:
    """Leave out states that nothing but their own next value is computed from, and that nobody reads at the end."""
    keep = []
    for i, (state, result) in enumerate(zip(body.inputs[:count], body.outputs[:count], strict=True)):
        others = [o.name for k, o in enumerate(body.outputs) if k != i]
        final = node.outputs[i] if i < len(node.outputs) else ""
        used = bool(final) and (bool(editor.uses(final)) or final in editor.results)
        if used or not reached(body.nodes, [state.name]).isdisjoint(others) or not result.name:
            keep.append(i)
    indices = [*keep, *range(count, len(body.inputs))]
    outputs = [*keep, *range(count, len(body.outputs))]
    body = replace(
        body,
        inputs=tuple(body.inputs[i] for i in indices),
        outputs=tuple(body.outputs[i] for i in outputs),
    )
    body = Editor(body).finish()
    names = (*node.outputs, *[""] * len(body.outputs))
    node = replace(node, inputs=tuple(node.inputs[i] for i in indices), outputs=tuple(names[i] for i in outputs))
    return node, body


def _set_shapes(editor: Editor, node: Node, body: Graph, count: int, axes: list[int]) -> None:
    """Note the shapes of a Scan's outputs."""
    length = (editor.shape(node.inputs[count]) or (0,))[axes[0]] if node.inputs[count:] else 0
    places = [int(a) for a in node.attributes.get("scan_output_axes", [0] * (len(body.outputs) - count))]
    for i, (name, tensor) in enumerate(zip(node.outputs, body.outputs, strict=False)):
        shape = tensor.shape
        if i >= count:
            axis = places[i - count] % (len(shape) + 1)
            shape = (*shape[:axis], length, *shape[axis:])
        if name:
            editor.shapes[name] = shape


def _outside(editor: Editor, body: Graph) -> dict[str, NDArray[Any]]:
    """Zeros in the shapes of computed tensors that a body takes from outside."""
    used = {n for m in body.nodes for n in all_inputs(m)}
    shapes = {name: editor.shape(name) for name in used if name not in body.shapes}
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items() if shape is not None}
