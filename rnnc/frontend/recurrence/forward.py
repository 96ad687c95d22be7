"""Recurrent nodes as forward ones over the whole sequence.

One that runs backwards is a forward one between two reversals of time, one of both directions a node each. With
sequence_lens it is as if the input ended there, and the output went on with zeros.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnc.activations import parameters_used
from rnnc.frontend.read.fold import RECURRENT, scanned_axis
from rnnc.frontend.rewrite.editor import Editor, scalar_of
from rnnc.frontend.rewrite.moves import backwards
from rnnc.frontend.rewrite.patterns import Build, op, rule, tensor
from rnnc.frontend.rewrite.rules import apply
from rnnc.tracing import Graph, Node

BY_DIRECTION = {1, 2, 3, 7}
"""Inputs W, R, B and P, whose first axis is the direction."""
INITIAL = {5, 6}
LENGTHS = 4
"""Which input tells the lengths."""
ACTIVATIONS, ALPHA, BETA = LISTS = ("activations", "activation_alpha", "activation_beta")


def forward_only(graph: Graph) -> Graph:
    """The graph with every LSTM, GRU and RNN in direction forward."""
    return apply(graph, (rule("backward layer = forward layer of the reversed sequence", _split, *RECURRENT),))


def forward_nodes(graph: Graph, node: Node) -> tuple[list[Node], dict[str, NDArray[Any]]]:
    """What a node of the graph that runs backwards, or both ways, is in forward nodes, and the constants that they read."""
    editor = Editor(graph)
    _split(editor, node)
    return editor.added, {name: c for name, c in editor.constants.items() if name not in graph.constants}


def _split(editor: Editor, node: Node) -> bool:
    """A node that runs backwards, or both ways, as forward ones."""
    if node.attributes.get("direction", "forward") == "forward":
        return False
    build, layout = Build(editor, node), int(node.attributes.get("layout", 0))
    axes = (2 if layout else 1, layout, layout)
    """The axis of Y, Y_h and Y_c that is the direction."""
    backward = [False, True] if node.attributes["direction"] == "bidirectional" else [True]
    parts = []
    for k, turned in enumerate(backward):
        inputs = [_input(build, i, k) if len(backward) > 1 else name for i, name in enumerate(node.inputs)]
        attributes = {key: v for key, v in node.attributes.items() if key not in ("direction", *LISTS)}
        attributes |= _activations(node, k, len(backward))
        outputs = [_output(editor, name, k, axis) for name, axis in zip(node.outputs, axes, strict=False)]
        inputs[0] = build.tensor(backwards(tensor(inputs[0]), layout)) if turned else inputs[0]
        build.nodes.append(replace(node, inputs=tuple(inputs), outputs=tuple(outputs), attributes=attributes))
        if turned and outputs[0]:
            outputs[0] = build.tensor(backwards(tensor(outputs[0]), layout))
        parts.append(outputs)
    for name, axis, joined in zip(node.outputs, axes, zip(*parts, strict=True), strict=False):
        if name:
            build.nodes.append(Node(node.name, "Concat", "", joined, (name,), {"axis": axis}))
    editor.replace([node], build.nodes)
    return True


def _input(build: Build, i: int, k: int) -> str:
    """Input i of direction k."""
    name = build.node.inputs[i]
    if not name or i not in BY_DIRECTION | INITIAL:
        return name
    axis = int(build.node.attributes.get("layout", 0)) if i in INITIAL else 0
    return build.tensor(op("Slice", tensor(name), [k], [k + 1], [axis]))


def _activations(node: Node, k: int, count: int) -> dict[str, list[object]]:
    """The activations of direction k of ``count``, and the alphas and betas that its functions take."""
    given = {key: list(node.attributes[key]) for key in LISTS if key in node.attributes}
    names = given.get(ACTIVATIONS, [])
    if not names or count == 1:
        return given
    half = len(names) // 2
    taken = dict(zip((ALPHA, BETA), parameters_used(names[:half]), strict=True)) | {ACTIVATIONS: half}
    return {key: values[: taken[key]] if k == 0 else values[taken[key] :] for key, values in given.items()}


def _output(editor: Editor, name: str, k: int, axis: int) -> str:
    """A tensor for what direction k gives of an output, "" where nothing reads it."""
    shape = editor.shape(name)
    fresh = editor.fresh(f"{name}.{k}") if name else ""
    if name and shape is not None:
        editor.shapes[fresh] = tuple(1 if a == axis else n for a, n in enumerate(shape))
    return fresh


def without_lengths(graph: Graph) -> Graph:
    """The graph with every constant sequence_lens that is one number taken out."""
    return apply(graph, (rule("constant length of a sequence", _shorten, *RECURRENT),))


def _shorten(editor: Editor, node: Node) -> bool:
    """Cut X, and fill up Y, where a constant length is not that of the sequence."""
    if len(node.inputs) <= LENGTHS:
        return False
    number, shape = scalar_of(editor.constant(node.inputs[LENGTHS])), editor.shape(node.inputs[0])
    time = scanned_axis(node)
    if number is None or shape is None or not 0 < number <= shape[time]:
        return False
    length = int(number)
    inputs = [*node.inputs[:LENGTHS], "", *node.inputs[LENGTHS + 1 :]]
    if length == shape[time]:
        editor.replace([node], [replace(node, inputs=tuple(inputs))])
        return True
    build = Build(editor, node)
    cut = [length - shape[time] if k == len(shape) + time else 0 for k in range(2 * len(shape))]
    inputs[0] = build.tensor(op("Pad", tensor(node.inputs[0]), cut))
    y = node.outputs[0] and editor.fresh("Y")
    nodes = [*build.nodes, replace(node, inputs=tuple(inputs), outputs=(y, *node.outputs[1:]))]
    if y:
        pads = np.zeros(8, np.int64)
        pads[4 + time] = shape[time] - length
        nodes.append(Node(node.name, "Pad", "", (y, editor.add_constant(pads, "pads")), node.outputs[:1]))
    editor.replace([node], nodes)
    return True
