"""Running nodes in NumPy: what constants alone decide, shapes that inference does not tell, pieces that are compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnc.tracing import Graph, Node

Arrays = dict[str, NDArray[Any]]
RECURRENT = {"LSTM": 2, "GRU": 1, "RNN": 1}
"""The recurrent operators, and how many states they have."""
INITIAL = slice(5, 7)
"""The inputs of a recurrent node that are its initial states."""
LEFT = (*RECURRENT, "Loop", "Scan", "If")
"""What onnx.reference does not compute, or not right."""
RANDOM = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial")
NO_CHANCE = (
    "Export the network for inference (model.eval()); where its own code draws (a VAE, say), let it take the mean."
)
"""The way out of a file that draws random numbers."""


def scanned_axis(node: Node) -> int:
    """The axis of its input that a recurrent node scans."""
    return 1 if node.attributes.get("layout", 0) else 0


def fold(node: Node, inputs: Sequence[NDArray[Any] | None], opset: int) -> list[NDArray[Any]] | None:
    """Compute a node with onnx.reference; None where that cannot be done."""
    from onnx import helper, numpy_helper
    from onnx.reference import ReferenceEvaluator

    if node.op_type == "Dense":
        x, weights, bias = inputs
        if x is None or weights is None or bias is None or x.shape[-1:] != weights.shape[-1:]:
            return None
        return [np.asarray(x @ weights.T + bias, x.dtype)]
    if node.op_type == "Embedding":
        table, rows = inputs
        return None if table is None or rows is None else [table[np.clip(rows, 0, len(table) - 1)]]
    if node.op_type in RANDOM + LEFT or any(isinstance(v, Graph) for v in node.attributes.values()):
        return None
    attributes = {k: numpy_helper.from_array(v) if isinstance(v, np.ndarray) else v for k, v in node.attributes.items()}
    names = [f"x{i}" if array is not None else "" for i, array in enumerate(inputs)]
    outputs = [f"y{i}" for i in range(len(node.outputs))]
    proto = helper.make_node(node.op_type, names, outputs, **attributes)
    newest = 18 if opset < 18 else opset
    graph = helper.make_graph(
        [proto],
        "constants",
        [helper.make_empty_tensor_value_info(n) for n in names if n],
        [helper.make_empty_tensor_value_info(n) for n in outputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", newest)])
    try:
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(model).run(None, {n: a for n, a in zip(names, inputs, strict=True) if n})
    except Exception:
        return None
    return [np.asarray(r) for r in results]


def computed(node: Node, known: Mapping[str, NDArray[Any]], opset: int) -> Arrays:
    """What a node computes of known tensors, by name; nothing where one that it reads is not known, or it cannot be run."""
    if any(name and name not in known for name in node.inputs):
        return {}
    results = fold(node, [known[name] if name else None for name in node.inputs], opset)
    return {n: r for n, r in zip(node.outputs, results or [], strict=False) if n}


def evaluate(nodes: Iterable[Node], known: Mapping[str, NDArray[Any]], opset: int) -> Arrays:
    """What nodes compute, in their order, from known tensors; tensors that cannot be computed are left out."""
    values: Arrays = dict(known)
    for node in nodes:
        values |= computed(node, values, opset)
    return values


def fold_constants(graph: Graph, *, measured: bool = False) -> Graph:
    """The graph with what is computed from constants alone as constants; from shapes too where these are ``measured``."""
    constants, nodes = dict(graph.constants), list[Node]()
    for node in graph.nodes:
        shaped = measured and node.op_type == "Shape" and node.inputs[0] in graph.shapes
        known = {node.inputs[0]: np.zeros(graph.shapes[node.inputs[0]])} if shaped else constants
        results = computed(node, known, graph.opset)
        constants |= results
        nodes += [] if results else [node]
    shapes = {**graph.shapes, **{name: array.shape for name, array in constants.items()}}
    return replace(graph, nodes=tuple(nodes), constants=constants, shapes=shapes)


def complete_shapes(graph: Graph) -> Graph:
    """The graph with the shapes that follow from those known: behind a Scan, which inference does not look through."""
    shapes = dict(graph.shapes)
    dtypes = {t.name: t.dtype for t in graph.inputs}
    for node in graph.nodes:
        if all(name in shapes for name in node.outputs if name):
            continue
        given = {n: np.zeros(shapes[n], dtypes.get(n, "float32")) for n in node.inputs if n in shapes}
        constants = {n: graph.constants[n] for n in node.inputs if n in graph.constants}
        shapes.update((n, r.shape) for n, r in computed(node, given | constants, graph.opset).items())
    outputs = tuple(replace(t, shape=shapes.get(t.name, t.shape)) for t in graph.outputs)
    return replace(graph, shapes=shapes, outputs=outputs)


def _stand_ins(node: Node, values: Mapping[str, NDArray[Any]]) -> Arrays:
    """Zeros in the shapes of what a recurrent node gives."""
    x, recurrence = (values.get(name) for name in (node.inputs[0], node.inputs[2]))
    if x is None or recurrence is None or node.attributes.get("layout", 0):
        return {}
    directions, hidden = len(recurrence), recurrence.shape[2]
    final = (directions, x.shape[1], hidden)
    shapes = ((len(x), directions, *final[1:]), *[final] * RECURRENT[node.op_type])
    return {name: np.zeros(shape, np.float32) for name, shape in zip(node.outputs, shapes, strict=False) if name}


def measure(graph: Graph, outside: Mapping[str, NDArray[Any]], inputs: Mapping[str, tuple[int, ...]]) -> Graph:
    """The graph with the shapes of all its tensors, by running it on zeros; ``inputs`` are those of its inputs."""
    zeros = {t.name: np.zeros(inputs[t.name], t.dtype) for t in graph.inputs}
    values: Arrays = {**outside, **graph.constants, **zeros}
    for node in graph.nodes:
        values |= _stand_ins(node, values) if node.op_type in RECURRENT else evaluate([node], values, graph.opset)
    shapes = {**graph.shapes, **{name: array.shape for name, array in values.items()}}
    tensors = [
        tuple(replace(t, shape=shapes.get(t.name, ())) for t in group) for group in (graph.inputs, graph.outputs)
    ]
    return replace(graph, shapes=shapes, inputs=tensors[0], outputs=tensors[1])
