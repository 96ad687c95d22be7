"""LSTM, GRU and RNN cells found in graphs of one step, whatever primitive operators they are written in.

A step graph has states as inputs and their next values as outputs: a network with explicit state, or the body of a
Scan. Where a vector's expression (expressions.py) is that of a cell, and it is what feeds the state that the cell
reads, one ONNX node of a sequence of one step takes the place of the primitive ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from rnnc.frontend.read.naming import named_as_state, related
from rnnc.frontend.recurrence.flow import Flow
from rnnc.frontend.recurrence.matching import Cell, match
from rnnc.frontend.recurrence.vectors import Vectors
from rnnc.frontend.rewrite.editor import Editor
from rnnc.frontend.rewrite.elements import Origins
from rnnc.frontend.rewrite.expressions import Leaf, Product
from rnnc.frontend.rewrite.patterns import Build, Term, op, tensor
from rnnc.tracing import Graph, Node

ENDS = (
    *("Add", "Sub", "Mul", "Neg", "Tanh", "Relu", "Clip", "Max", "Dense", "Sigmoid", "Softsign", "Elu", "LeakyRelu"),
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
    """Put the node in, x as ``[1, 1, columns]``; False where a vector that it needs is not a tensor of the graph."""
    old = [n for n in (editor.producer(cell.h), editor.producer(cell.c) if cell.c else None) if n is not None]
    build = Build(editor, replace(old[0], name=cell.h))
    products = [*cell.operands, *(Product((leaf,)) for leaf in (cell.old_h, cell.old_c) if leaf is not None)]
    found = [(_tensor(editor, vectors, product), product.size) for product in products]
    if not cell.operands or any(term is None for term, _ in found):
        return False
    rows = [_shaped(editor, term, (1, 1, size)) for term, size in found if term is not None]
    x, states = rows[: len(cell.operands)], rows[len(cell.operands) :]
    weights = [a[None] for a in (cell.weights, cell.recurrence, cell.bias)]
    peepholes = [] if cell.peepholes is None else [cell.peepholes[None]]
    terms = (x[0] if len(x) == 1 else op("Concat", *x, axis=2), *weights, None, *states, *peepholes)
    outputs = ["", editor.fresh("h"), *([editor.fresh("c")] if cell.c else [])]
    inputs = tuple(build.tensor(term) for term in terms)
    nodes = [*build.nodes, Node(cell.h, cell.op_type, "", inputs, tuple(outputs), cell.attributes)]
    for inner, name in zip(outputs[1:], (cell.h, cell.c), strict=False):
        target = editor.add_constant(np.asarray(editor.shapes[name], np.int64), "shape")
        nodes.append(Node(cell.h, "Reshape", "", (inner, target), (name,)))
    editor.replace(list({id(n): n for n in old}.values()), nodes)
    return True


def _tensor(editor: Editor, vectors: Vectors, product: Product) -> Term | None:
    """The tensor that is a product; elements of a tensor are taken out of it."""
    leaf, name = product.single, vectors.names.get(product.key)
    if isinstance(leaf, Leaf):
        size = int(np.prod(editor.shape(leaf.tensor) or (0,), dtype=np.int64))
        if np.array_equal(leaf.indices, np.arange(size)):
            return tensor(leaf.tensor)
        if name is None:
            return op("Gather", _shaped(editor, tensor(leaf.tensor), (size,)), leaf.indices, axis=0)
    return None if name is None else tensor(name)


def _shaped(editor: Editor, term: Term, shape: tuple[int, ...]) -> Term:
    """A tensor in a shape."""
    return term if not term.op_type and editor.shape(term.name) == shape else op("Reshape", term, list(shape))
