"""Recurrent nodes that run backwards, as forward ones between two reversals of time; of both directions one node each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnc.activations import parameters_taken
from rnnc.frontend.rewrite.editor import Editor
from rnnc.frontend.rewrite.moves import backwards
from rnnc.frontend.rewrite.patterns import Build, op, tensor
from rnnc.tracing import Graph, Node

RECURRENT = ("LSTM", "GRU", "RNN")
BY_DIRECTION = {1, 2, 3, 7}
"""Inputs W, R, B and P, whose first axis is the direction."""
INITIAL = {5, 6}
ACTIVATIONS, ALPHA, BETA = LISTS = ("activations", "activation_alpha", "activation_beta")


def forward_only(graph: Graph) -> Graph:
    """The graph with every LSTM, GRU and RNN in direction forward."""
    editor = Editor(graph)
    for node in graph.nodes:
        if node.op_type in RECURRENT and node.attributes.get("direction", "forward") != "forward":
            editor.note("backward layer = forward layer of the reversed sequence", node)
            _Split(editor, node).apply()
    return editor.finish()


class _Split:
    """One recurrent node that runs backwards, or both ways."""

    def __init__(self, editor: Editor, node: Node) -> None:
        self.editor, self.node = editor, node
        self.layout = int(node.attributes.get("layout", 0))
        self.time = 1 if self.layout else 0
        self.count = 2 if node.attributes["direction"] == "bidirectional" else 1
        self.build = Build(editor, node)

    def apply(self) -> None:
        """Replace the node."""
        backward = [False, True] if self.count == 2 else [True]
        outputs = [self._one(k, b) for k, b in enumerate(backward)]
        axes = (2 if self.layout else 1, self.layout, self.layout)
        for i, (name, axis) in enumerate(zip(self.node.outputs, axes, strict=False)):
            if name:
                parts = tuple(o[i] for o in outputs)
                self.build.nodes.append(Node(self.node.name, "Concat", "", parts, (name,), {"axis": axis}))
        self.editor.replace([self.node], self.build.nodes)

    def _one(self, k: int, backward: bool) -> list[str]:
        """Add the nodes of direction k; returns Y, Y_h and Y_c of it, "" where nothing reads them."""
        inputs = [self._input(i, name, k) for i, name in enumerate(self.node.inputs)]
        if backward:
            inputs[0] = self.build.tensor(backwards(tensor(inputs[0]), self.time))
        attributes = {key: v for key, v in self.node.attributes.items() if key not in ("direction", *LISTS)}
        attributes |= self._activations(k)
        outputs = [self._output(name, k) for name in self.node.outputs]
        self.build.nodes.append(replace(self.node, inputs=tuple(inputs), outputs=tuple(outputs), attributes=attributes))
        if backward and outputs[0]:
            outputs[0] = self.build.tensor(backwards(tensor(outputs[0]), self.time))
        return outputs

    def _activations(self, k: int) -> dict[str, list[object]]:
        """The activations of direction k, and the alphas and betas that its functions take."""
        given = {key: list(self.node.attributes[key]) for key in LISTS if key in self.node.attributes}
        names = given.get(ACTIVATIONS, [])
        if not names or self.count == 1:
            return given
        half = len(names) // 2
        taken = dict(zip((ALPHA, BETA), parameters_taken(names[:half]), strict=True)) | {ACTIVATIONS: half}
        return {key: values[: taken[key]] if k == 0 else values[taken[key] :] for key, values in given.items()}

    def _input(self, i: int, name: str, k: int) -> str:
        constant = self.editor.constant(name)
        if not name or self.count == 1:
            return name
        if i in BY_DIRECTION and constant is not None:
            return self.editor.add_constant(constant[k : k + 1], "direction")
        if i in INITIAL and constant is not None:
            return self.editor.add_constant(np.take(constant, [k], self.layout), "direction")
        if i in INITIAL:
            return self.build.tensor(op("Slice", tensor(name), [k], [k + 1], [self.layout]))
        return name

    def _output(self, name: str, k: int) -> str:
        if not name:
            return ""
        fresh = self.editor.fresh(f"{name}.{k}")
        shape = self.editor.shape(name)
        if shape is not None:
            axis = (2 if self.layout else 1) if name == self.node.outputs[0] else self.layout
            self.editor.shapes[fresh] = tuple(1 if a == axis else n for a, n in enumerate(shape))
        return fresh
