"""Recurrent nodes with sequence_lens: as if their input ended there, and their output went on with zeros."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnc.frontend.rewrite.editor import Editor, scalar_of
from rnnc.frontend.rewrite.patterns import Build, op, tensor
from rnnc.tracing import Graph, Node

LENGTHS = 4
"""Which input of LSTM, GRU and RNN tells the lengths."""


def without_lengths(graph: Graph) -> Graph:
    """The graph with every constant sequence_lens that is one number taken out."""
    editor = Editor(graph)
    for node in graph.nodes:
        if node.op_type in ("LSTM", "GRU", "RNN") and len(node.inputs) > LENGTHS:
            _shorten(editor, node)
    return editor.finish()


def _shorten(editor: Editor, node: Node) -> None:
    """Cut X, and fill up Y, where a constant length is not that of the sequence."""
    number, shape = scalar_of(editor.constant(node.inputs[LENGTHS])), editor.shape(node.inputs[0])
    time = 1 if node.attributes.get("layout", 0) else 0
    if number is None or shape is None or not 0 < number <= shape[time]:
        return
    length = int(number)
    editor.note("constant length of a sequence", node)
    inputs = [*node.inputs[:LENGTHS], "", *node.inputs[LENGTHS + 1 :]]
    if length == shape[time]:
        editor.replace([node], [replace(node, inputs=tuple(inputs))])
        return
    build = Build(editor, node)
    inputs[0] = build.tensor(op("Slice", tensor(node.inputs[0]), [0], [length], [time]))
    y = node.outputs[0] and editor.fresh("Y")
    nodes = [*build.nodes, replace(node, inputs=tuple(inputs), outputs=(y, *node.outputs[1:]))]
    if y:
        pads = np.zeros(8, np.int64)
        pads[4 + time] = shape[time] - length
        nodes.append(Node(node.name, "Pad", "", (y, editor.add_constant(pads, "pads")), node.outputs[:1]))
    editor.replace([node], nodes)
