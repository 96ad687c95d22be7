"""LSTM, GRU and RNN cells found in graphs of one step, whatever primitive operators they are written in.

A step graph has states as inputs and their next values as outputs: a network with explicit state, or the body of a
Scan. Where a vector's expression (expressions.py) is that of a cell, and it is what feeds the state that the cell
reads, one ONNX node of a sequence of one step takes the place of the primitive ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from rnnc.frontend.recurrence.flow import Flow
from rnnc.frontend.recurrence.matching import Cell, match
from rnnc.frontend.recurrence.naming import named_as_state, related
from rnnc.frontend.recurrence.vectors import Vectors
from rnnc.frontend.rewrite.editor import Editor
from rnnc.frontend.rewrite.elements import Origins
from rnnc.frontend.rewrite.expressions import Leaf, Product
from rnnc.tracing import Graph, Node

ENDS = (
    "Add",
    "Sub",
    "Mul",
    "Neg",
    "Tanh",
    "Relu",
    "Clip",
    "Max",
    "Dense",
    "Sigmoid",
    "Softsign",
    "Elu",
    "LeakyRelu",
    "HardSigmoid",
)
"""Operators that can be the last of a cell."""


def find_cells(graph: Graph, feeds: Mapping[str, Sequence[str]], *, certain: bool = True) -> Graph:
    """The graph with its cells as LSTM, GRU and RNN nodes.

    Args:
        feeds: for each input that may be a state, the outputs that may feed it.
        certain: whether these are all states; if not, a plain RNN, which many a layer of two inputs looks like, needs
            more to be taken for one.

    A state that something beside its cell reads stays a state of the graph, and its cell is left as it is.
    """
    if not feeds:
        return graph
    found = _replace_cells(graph, feeds, certain)
    flow = Flow(found)
    shared = flow.slots.keys() & flow.read
    return _replace_cells(graph, {k: v for k, v in feeds.items() if k not in shared}, certain) if shared else found


def _replace_cells(graph: Graph, feeds: Mapping[str, Sequence[str]], certain: bool) -> Graph:
    editor = Editor(graph)
    origins = Origins(editor)
    vectors = Vectors(editor)
    for node in list(graph.nodes):
        if node.op_type not in ENDS or node not in editor:
            continue
        for cell in match(vectors, node.outputs[0]):
            sure = certain or cell.op_type != "RNN" or _plausible(editor, cell, feeds)
            if sure and _closed(cell, feeds, origins) and _replace(editor, vectors, cell):
                editor.note(f"primitive operators = {cell.op_type}", node)
                vectors.cut(cell.h)
                if cell.c:
                    vectors.cut(cell.c)
                break
    return editor.finish()


def in_bodies(graph: Graph) -> Graph:
    """The graph with the cells in the bodies of its Scans found."""
    editor = Editor(graph)
    for node in graph.nodes:
        if node.op_type != "Scan":
            continue
        scan = _sink(editor, node)
        body: Graph = scan.attributes["body"]
        count = len(scan.inputs) - int(scan.attributes["num_scan_inputs"])
        feeds = {t.name: [o.name] for t, o in zip(body.inputs[:count], body.outputs, strict=False)}
        body = find_cells(in_bodies(body), feeds)
        editor.replace([scan], [replace(scan, attributes={**scan.attributes, "body": body})])
    return editor.finish()


def _sink(editor: Editor, node: Node) -> Node:
    """Move a Dense that only a Scan reads into its body: exporters apply W to the whole sequence at once."""
    count = len(node.inputs) - int(node.attributes["num_scan_inputs"])
    axes = node.attributes.get("scan_input_axes", [0] * (len(node.inputs) - count))
    for i, axis in enumerate(axes, count):
        dense, shape = editor.producer(node.inputs[i]), editor.shape(node.inputs[i])
        if dense is None or dense.op_type != "Dense" or editor.only_reader(node.inputs[i]) is not node or shape is None:
            continue
        if node.inputs.count(node.inputs[i]) > 1 or axis % len(shape) == len(shape) - 1:
            continue
        body: Graph = node.attributes["body"]
        inner, old = Editor(body), body.inputs[i]
        weights, bias = (editor.constants[name] for name in dense.inputs[1:])
        name, *parameters = inner.fresh(f"{old.name}.x"), inner.add_constant(weights), inner.add_constant(bias)
        new = replace(old, name=name, shape=(*old.shape[:-1], weights.shape[1]))
        body = replace(
            body,
            nodes=(replace(dense, inputs=(name, *parameters), outputs=(old.name,)), *body.nodes),
            inputs=(*body.inputs[:i], new, *body.inputs[i + 1 :]),
            constants=inner.constants,
            shapes={**inner.shapes, name: new.shape},
        )
        inputs = (*node.inputs[:i], dense.inputs[0], *node.inputs[i + 1 :])
        sunk = replace(node, inputs=inputs, attributes={**node.attributes, "body": body})
        editor.replace([dense, node], [sunk])
        node = sunk
    return node


def possible_feeds(graph: Graph) -> dict[str, list[str]]:
    """For each input of a graph the outputs of its shape."""
    return {t.name: [o.name for o in graph.outputs if o.shape == t.shape] for t in graph.inputs}


def _arrives(origins: Origins, tensor: str, leaf: Leaf, output: str) -> bool:
    """Whether an output holds a tensor's elements where ``leaf`` has its own in the input that the output feeds."""
    there, mine = origins.of(output), origins.own(tensor)
    if there is None or mine is None or int(leaf.indices.max(initial=0)) >= there.size:
        return False
    return bool(np.array_equal(there.ravel()[leaf.indices], mine.ravel()))


def _closed(cell: Cell, feeds: Mapping[str, Sequence[str]], origins: Origins) -> bool:
    """Whether the cell's new states are what feeds the states that it reads."""
    pairs = [(cell.old_h, cell.h)] + ([(cell.old_c, cell.c)] if cell.old_c is not None else [])
    return all(any(_arrives(origins, new, leaf, o) for o in feeds.get(leaf.tensor, ())) for leaf, new in pairs)


def _plausible(editor: Editor, cell: Cell, feeds: Mapping[str, Sequence[str]]) -> bool:
    """Whether names say that an input is a state, or the new state is more than an output."""
    name = cell.old_h.tensor
    named = named_as_state(name) or any(related(name, output) for output in feeds.get(name, ()))
    return named or any(not set(n.outputs) <= editor.results for n in editor.uses(cell.h))


def _replace(editor: Editor, vectors: Vectors, cell: Cell) -> bool:
    """Put the node in; False where a vector that it needs is no tensor of the graph."""
    build = _Builder(editor, vectors, cell)
    nodes = build.nodes()
    if nodes is None:
        return False
    old = [n for n in (editor.producer(cell.h), editor.producer(cell.c) if cell.c else None) if n is not None]
    editor.replace(list({id(n): n for n in old}.values()), nodes)
    return True


class _Builder:
    """The nodes around a recognised cell: x joined to ``[1, 1, columns]``, states reshaped to and fro."""

    def __init__(self, editor: Editor, vectors: Vectors, cell: Cell) -> None:
        self.editor, self.vectors, self.cell = editor, vectors, cell
        self.made: list[Node] = []
        self.label = cell.h

    def nodes(self) -> list[Node] | None:
        """All of them, None where it cannot be built."""
        cell = self.cell
        names = [self._tensor(product) for product in cell.operands]
        states = [self._tensor(Product((leaf,))) for leaf in (cell.old_h, cell.old_c) if leaf is not None]
        if not names or any(n is None for n in (*names, *states)):
            return None
        parts = [self._reshape(n, (1, 1, p.size)) for n, p in zip(names, cell.operands, strict=True) if n]
        x = parts[0] if len(parts) == 1 else self._node("Concat", tuple(parts), {"axis": 2})
        constants = [self.editor.add_constant(a[None], "cell") for a in (cell.weights, cell.recurrence, cell.bias)]
        initial = [self._reshape(n, (1, 1, leaf.size)) for n, leaf in zip(states, self._leaves(), strict=True) if n]
        inputs = [x, *constants, "", *initial]
        if cell.peepholes is not None:
            inputs.append(self.editor.add_constant(cell.peepholes[None], "peepholes"))
        outputs = ["", self.editor.fresh("h"), *([self.editor.fresh("c")] if cell.c else [])]
        self.made.append(Node(self.label, cell.op_type, "", tuple(inputs), tuple(outputs), cell.attributes))
        self._give(outputs[1], cell.h)
        if cell.c:
            self._give(outputs[2], cell.c)
        return self.made

    def _leaves(self) -> list[Leaf]:
        return [leaf for leaf in (self.cell.old_h, self.cell.old_c) if leaf is not None]

    def _tensor(self, product: Product) -> str | None:
        """The tensor that is a product; elements of a tensor are sliced out."""
        leaf = product.single
        if not isinstance(leaf, Leaf):
            return self.vectors.names.get(product.key)
        shape = self.editor.shape(leaf.tensor)
        size = int(np.prod(shape, dtype=np.int64)) if shape is not None else 0
        if np.array_equal(leaf.indices, np.arange(size)):
            return leaf.tensor
        if product.key in self.vectors.names:
            return self.vectors.names[product.key]
        flat = self._reshape(leaf.tensor, (size,))
        return self._node("Gather", (flat, self.editor.add_constant(leaf.indices, "indices")), {"axis": 0})

    def _reshape(self, name: str, shape: tuple[int, ...]) -> str:
        if self.editor.shape(name) == shape:
            return name
        target = self.editor.add_constant(np.asarray(shape, np.int64), "shape")
        return self._node("Reshape", (name, target), {}, shape)

    def _give(self, inner: str, name: str) -> None:
        """Reshape a state of the node to the tensor that it is in the graph."""
        shape = self.editor.shape(name)
        assert shape is not None
        target = self.editor.add_constant(np.asarray(shape, np.int64), "shape")
        self.made.append(Node(self.label, "Reshape", "", (inner, target), (name,)))

    def _node(
        self, op_type: str, inputs: tuple[str, ...], attributes: dict[str, int], shape: tuple[int, ...] | None = None
    ) -> str:
        output = self.editor.fresh(op_type.lower())
        if shape is not None:
            self.editor.shapes[output] = shape
        self.made.append(Node(self.label, op_type, "", inputs, (output,), dict(attributes)))
        return output
