"""Scan nodes, the one form of a body that repeats, whatever it was in the file: a Scan, a Loop, copies of one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnc.errors import Refused
from rnnc.frontend.read.fold import fold_constants, measure
from rnnc.frontend.rewrite.editor import Editor, all_inputs, enclose, reached
from rnnc.frontend.rewrite.patterns import Build, Term, op
from rnnc.frontend.rewrite.rules import canonical
from rnnc.tracing import Graph, Node, Tensor


def complete(editor: Editor, node: Node) -> Node:
    """A Scan with its outside constants inside, shapes known, attributes in full, states without effect left out."""
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
            raise Refused(
                f"the shape of input {name!r} is not known",
                where=f"{editor.graph.file}: {node.label}",
                hint="Export with fixed shapes, or name open axes with --bind.",
            )
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


def scan_over(
    build: Build,
    axis: int,
    sequences: Sequence[str],
    start: NDArray[np.float64],
    step: Callable[[Term, Sequence[Term]], tuple[Term, Term]],
) -> str:
    """Add a Scan of one state to what is built; returns what it stacks up on the axis over which it scans.

    Args:
        sequences: tensors with that axis, and constants: of those that have no more than one step, each step gets all.
        start: the state at first, in its shape.
        step: from the state and a frame of each sequence to the new state and the result.
    """
    editor, fed, inputs, frames = build.editor, list[str](), list[Tensor](), list[Term]()
    state = Tensor(editor.fresh("state"), start.shape, "float32")
    editor.shapes[state.name] = state.shape
    for name in sequences:
        shape, array = editor.shape(name) or (), editor.constant(name)
        if array is None:
            fed.append(name)
            inputs.append(Tensor(editor.fresh("frame"), (*shape[:axis], *shape[axis + 1 :]), "float32"))
            editor.shapes[inputs[-1].name] = inputs[-1].shape
            frames.append(Term(name=inputs[-1].name))
        else:
            own = axis - (start.ndim + 1 - array.ndim)
            frames.append(Term(name=editor.add_constant(np.squeeze(array, own) if own >= 0 else array)))
    inside = Build(editor, build.node)
    new, result = step(Term(name=state.name), frames)
    names = [inside.tensor(new), inside.tensor(result)]
    if names[1] == names[0]:
        names[1] = inside.tensor(op("Identity", Term(name=names[0])))
    outputs = tuple(Tensor(name, editor.shape(name) or (), "float32") for name in names)
    body = Graph("body", tuple(inside.nodes), (state, *inputs), outputs, {}, {}, editor.graph.opset)
    attributes = {
        "body": body,
        "num_scan_inputs": len(fed),
        "scan_input_axes": [axis] * len(fed),
        "scan_output_axes": [axis],
    }
    results = (editor.fresh("final"), editor.fresh("stacked"))
    initial = editor.add_constant(start.astype(np.float32))
    build.nodes.append(complete(editor, Node(build.label, "Scan", "", (initial, *fed), results, attributes)))
    return results[1]


def along(stacked: Term, shape: Sequence[int], axis: int, *, new: bool) -> Term:
    """What is stacked up in front, of that shape, joined along an axis of its parts, or along a ``new`` one."""
    perm = [*range(1, axis + 1), 0, *range(axis + 1, len(shape))]
    turned, moved = op("Transpose", stacked, perm=perm), [shape[i] for i in perm]
    merged = [*moved[:axis], moved[axis] * moved[axis + 1], *moved[axis + 2 :]] if not new else []
    return turned if new else op("Reshape", turned, merged)


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
