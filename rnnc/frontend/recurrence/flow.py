"""Where the elements of state inputs go, and where those of the outputs come from: which output may feed which input."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnnc.frontend.read.fold import RECURRENT
from rnnc.frontend.read.naming import related
from rnnc.frontend.rewrite.editor import Editor, from_outside
from rnnc.frontend.rewrite.elements import Origins, sources
from rnnc.tracing import Graph, Node, Tensor
from rnnc.views import VIEWS, Elements

INITIAL = {5: 1, 6: 2}
"""Input of a recurrent node that is an initial state, and the output that is the final one."""
UNKNOWN = -1


class Flow:
    """What layers start from and end with, as elements of the graph's inputs and outputs."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.editor = graph, Editor(graph)
        self.origins = Origins(self.editor)
        self.slots: dict[str, list[tuple[Elements, Elements]]] = {}
        """For each state input: the elements that a layer starts from, and those of the layer's final state."""
        self.read: set[str] = set()
        """Inputs that some node reads otherwise."""
        self.every_step: set[str] = set()
        """What layers give at every step."""
        for tensor in graph.inputs:
            self.origins.fresh(tensor.name, tensor.shape)
        for node in graph.nodes:
            if node.op_type in RECURRENT:
                self._every_step(node, self._layer(node, INITIAL))
            elif node.op_type == "Scan":
                self._layer(node, {k: k for k in range(len(node.inputs) - int(node.attributes["num_scan_inputs"]))})
            elif node.op_type not in VIEWS or self._is_own(next(filter(None, node.outputs))):
                self._reads(node.inputs)

    def feeds(self, tensor: Tensor, output: Tensor) -> bool:
        """Whether an output holds, at the place of each element that a layer starts from, the layer's final state."""
        arrived, base = self.origins.of(output.name), self.origins.first[tensor.name]
        if arrived is None or arrived.size != int(np.prod(tensor.shape)):
            return False
        flat = arrived.ravel()
        return all(np.array_equal(flat[start.ravel() - base], end.ravel()) for start, end in self.slots[tensor.name])

    def unlikely(self, tensor: Tensor, output: Tensor) -> tuple[bool, bool, bool]:
        """What speaks against an output as the one that feeds a state, of several with the same elements.

        In a file of one step the hidden state of every step is the final one too: its name, where it comes from (Y, not
        Y_h) and its shape tell it from the state.
        """
        shown = not self.every_step.isdisjoint(sources(self.editor, output.name))
        return not related(tensor.name, output.name), shown, output.shape != tensor.shape

    def _inputs(self, elements: Elements) -> dict[str, bool]:
        """The inputs of the graph that elements are of, and whether of each of them alone."""
        found = {}
        for tensor in self.graph.inputs:
            base, size = self.origins.first[tensor.name], int(np.prod(tensor.shape, dtype=np.int64))
            inside = (elements >= base) & (elements < base + size)
            if np.any(inside):
                found[tensor.name] = bool(np.all(inside))
        return found

    def _elements(self, name: str) -> Elements | None:
        """The numbers of a tensor's elements, None where they are none of what the graph is given."""
        node = self.editor.producer(name)
        moved = node.op_type in VIEWS if node is not None else name in self.origins.first
        return self.origins.of(name) if moved or name in self.origins.known else None

    def _is_own(self, name: str) -> bool:
        """Whether the elements of a view's result cannot be followed back."""
        return self.origins.of(name) is None or name in self.origins.first

    def _reads(self, names: tuple[str, ...] | list[str]) -> None:
        arrays = [self._elements(name) for name in names if name not in self.graph.constants]
        self.read.update(tensor for array in arrays if array is not None for tensor in self._inputs(array))

    def _layer(self, node: Node, states: Mapping[int, int]) -> dict[int, Elements]:
        """Note what a node reads, and what it starts from: ``states`` are these inputs, each with the output that is its end.

        Returns the elements of these outputs.
        """
        finals: dict[int, Elements] = {}
        body = node.attributes.get("body")
        self._reads([n for i, n in enumerate(node.inputs) if i not in states] + (from_outside(body) if body else []))
        for i, k in states.items():
            elements = self._elements(node.inputs[i]) if i < len(node.inputs) else None
            if elements is not None:
                finals[k] = self.origins.fresh(f"{node.outputs} {k}", elements.shape)
                self._start(elements, finals[k])
                if k < len(node.outputs) and node.outputs[k]:
                    self.origins.known[node.outputs[k]] = finals[k]
        return finals

    def _every_step(self, node: Node, finals: Mapping[int, Elements]) -> None:
        """The last of a forward layer's steps is its final state."""
        shape = self.graph.shapes.get(node.outputs[0], ()) if node.outputs[0] else ()
        if len(shape) == 4 and 1 in finals and node.attributes.get("direction", "forward") == "forward":
            steps = np.full(shape, UNKNOWN)
            last = steps[:, -1] if node.attributes.get("layout", 0) else steps[-1]
            if last.shape == finals[1].shape:  # else its weights do not fit, which is told when it is traced
                last[...] = finals[1]
                self.origins.known[node.outputs[0]] = steps
                self.every_step.add(node.outputs[0])

    def _start(self, elements: Elements, final: Elements) -> None:
        for tensor, alone in self._inputs(elements).items():
            if alone:
                self.slots.setdefault(tensor, []).append((elements, final))
            else:
                self.read.add(tensor)
