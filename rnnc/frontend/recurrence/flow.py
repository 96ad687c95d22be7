"""Where the elements of state inputs go, and where those of the outputs come from: which output may feed which input."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnc.frontend.recurrence.naming import related
from rnnc.frontend.rewrite.editor import all_inputs
from rnnc.tracing import Graph, Node, Tensor
from rnnc.views import VIEWS, Elements, moved_inputs, view

RECURRENT = ("LSTM", "GRU", "RNN")
INITIAL = {5: 1, 6: 2}
"""Input of a recurrent node that is an initial state, and the output that is the final one."""
UNKNOWN = -1


class Flow:
    """Where each element of the state inputs goes, and where the elements of the outputs come from.

    Every element of an input and of a recurrent node's final state has a number of its own.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.count = 0
        self.elements: dict[str, Elements] = {}
        self.owner: dict[str, int] = {}
        self.slots: dict[str, list[tuple[Elements, Elements]]] = {}
        """For each state input: the elements that a layer starts from, and those of the layer's final state."""
        self.read: set[str] = set()
        """Inputs that some node reads otherwise."""
        self.every_step: set[str] = set()
        """Tensors that a layer's output at every step was moved to."""
        for tensor in graph.inputs:
            self.owner[tensor.name] = self.count
            self.elements[tensor.name] = self._fresh(tensor.shape)
        for node in graph.nodes:
            self._follow(node)

    def feeds(self, tensor: Tensor, output: Tensor) -> bool:
        """Whether an output holds, at the place of each element that a layer starts from, the layer's final state."""
        arrived = self.elements.get(output.name)
        if arrived is None or arrived.size != int(np.prod(tensor.shape)):
            return False
        base = self.owner[tensor.name]
        flat = arrived.ravel()
        return all(np.array_equal(flat[start.ravel() - base], end.ravel()) for start, end in self.slots[tensor.name])

    def unlikely(self, tensor: Tensor, output: Tensor) -> tuple[bool, bool, bool]:
        """What speaks against an output as the one that feeds a state, of several with the same elements.

        In a file of one step the hidden state of every step is the final one too: its name, where it comes from (Y, not
        Y_h) and its shape tell it from the state.
        """
        return not related(tensor.name, output.name), output.name in self.every_step, output.shape != tensor.shape

    def _fresh(self, shape: tuple[int, ...]) -> Elements:
        size = int(np.prod(shape, dtype=np.int64))
        self.count += size
        return np.arange(self.count - size, self.count).reshape(shape)

    def _follow(self, node: Node) -> None:
        if node.op_type in RECURRENT:
            self._recurrent(node)
            return
        if node.op_type == "Scan":
            self._scan(node)
            return
        moved = moved_inputs(node) if node.op_type in VIEWS else ()
        arrays = [self._known(name) for name in moved]
        known = [a for a in arrays if a is not None]
        results = view(node, known, self.graph.constants) if moved and len(known) == len(arrays) else None
        if results is not None:
            self.elements.update(zip(node.outputs, results, strict=False))
            self.every_step.update(node.outputs if self.every_step.intersection(moved) else ())
        only_moves = results is not None and all(name in self.elements for name in moved)
        for name in node.inputs:
            if not (only_moves and name in moved):
                self._reads(name)

    def _known(self, name: str) -> Elements | None:
        """The elements of a tensor, unknown ones where it comes from elsewhere; None if not even its shape is known."""
        if name in self.elements:
            return self.elements[name]
        shape = self.graph.shapes.get(name)
        return None if shape is None else np.full(shape, UNKNOWN)

    def _reads(self, name: str) -> None:
        if name in self.elements:
            used = self.elements[name]
            self.read |= {t.name for t in self.graph.inputs if np.any(self._within(used, t))}

    def _within(self, used: Elements, tensor: Tensor) -> NDArray[np.bool_]:
        base = self.owner[tensor.name]
        return (used >= base) & (used < base + int(np.prod(tensor.shape, dtype=np.int64)))

    def _recurrent(self, node: Node) -> None:
        sources = [INITIAL.get(i) for i in range(len(node.inputs))]
        finals = {k: self._fresh(self._final_shape(node, k)) for k in (1, 2)}
        for name, output in zip(node.inputs, sources, strict=True):
            if output is None:
                self._reads(name)
            elif name in self.elements:
                self._start(self.elements[name], finals[output])
        for k, elements in finals.items():
            if len(node.outputs) > k and node.outputs[k]:
                self.elements[node.outputs[k]] = elements
        sequence = self.graph.shapes.get(node.outputs[0]) if node.outputs[0] else None
        if sequence is not None and len(sequence) == 4 and node.attributes.get("direction", "forward") == "forward":
            steps = np.full(sequence, UNKNOWN)
            last = steps[:, -1] if node.attributes.get("layout", 0) else steps[-1]
            if last.shape == finals[1].shape:  # else its weights do not fit, which is told when it is traced
                last[...] = finals[1]
                self.elements[node.outputs[0]] = steps
                self.every_step.add(node.outputs[0])

    def _scan(self, node: Node) -> None:
        """A Scan starts its states from its first inputs and gives their final values first."""
        states = len(node.inputs) - int(node.attributes["num_scan_inputs"])
        for i, name in enumerate(all_inputs(node)):
            if name not in self.elements:
                continue
            if i < states:
                final = self._fresh(self.elements[name].shape)
                self._start(self.elements[name], final)
                if node.outputs[i]:
                    self.elements[node.outputs[i]] = final
            else:
                self._reads(name)

    def _start(self, elements: Elements, final: Elements) -> None:
        for tensor in self.graph.inputs:
            inside = self._within(elements, tensor)
            if np.all(inside) and elements.size == final.size:
                self.slots.setdefault(tensor.name, []).append((elements, final))
            elif np.any(inside):
                self.read.add(tensor.name)

    def _final_shape(self, node: Node, output: int) -> tuple[int, ...]:
        """Of Y_h (1) or Y_c (2): with a projection, h is narrower than c."""
        directions = 2 if node.attributes.get("direction") == "bidirectional" else 1
        recurrence = self.graph.constants.get(node.inputs[2])
        if recurrence is None:
            return (0,)
        size = int(recurrence.shape[-1]) if output == 1 else int(recurrence.shape[-2]) // 4
        return (1, directions, size) if node.attributes.get("layout", 0) else (directions, 1, size)
