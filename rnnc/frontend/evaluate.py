"""Running a few nodes in NumPy: for shapes that inference does not tell, and to compare pieces of a graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnc.frontend.fold import fold
from rnnc.tracing import Graph, Node

Arrays = dict[str, NDArray[Any]]


def evaluate(nodes: Iterable[Node], known: Mapping[str, NDArray[Any]], opset: int) -> Arrays:
    """What nodes compute, in their order, from known tensors; tensors that cannot be computed are left out."""
    values: Arrays = dict(known)
    for node in nodes:
        inputs = [values.get(name) if name else None for name in node.inputs]
        if any(name and x is None for name, x in zip(node.inputs, inputs, strict=True)):
            continue
        results = fold(node, inputs, opset)
        values.update((n, r) for n, r in zip(node.outputs, results or [], strict=False) if n)
    return values


def fold_constants(graph: Graph) -> Graph:
    """The graph with what is computed from constants alone as constants."""
    constants, nodes = dict(graph.constants), list[Node]()
    for node in graph.nodes:
        arrays = [constants.get(name) if name else None for name in node.inputs]
        known = all(not name or x is not None for name, x in zip(node.inputs, arrays, strict=True))
        results = fold(node, arrays, graph.opset) if known else None
        if results is None:
            nodes.append(node)
        else:
            constants.update((n, r) for n, r in zip(node.outputs, results, strict=False) if n)
    shapes = {**graph.shapes, **{name: array.shape for name, array in constants.items()}}
    return replace(graph, nodes=tuple(nodes), constants=constants, shapes=shapes)


def complete_shapes(graph: Graph) -> Graph:
    """The graph with the shapes that follow from those known: behind a Scan, which inference does not look through."""
    shapes = dict(graph.shapes)
    dtypes = {t.name: t.dtype for t in graph.inputs}
    for node in graph.nodes:
        if all(name in shapes for name in node.outputs if name):
            continue
        arrays: list[NDArray[Any] | None] = []
        for name in node.inputs:
            constant = graph.constants.get(name)
            known = constant is None and name in shapes
            arrays.append(np.zeros(shapes[name], dtypes.get(name, "float32")) if known else constant)
        if any(name and x is None for name, x in zip(node.inputs, arrays, strict=True)):
            continue
        results = fold(node, arrays, graph.opset) or []
        shapes.update((n, r.shape) for n, r in zip(node.outputs, results, strict=False) if n)
    outputs = tuple(replace(t, shape=shapes.get(t.name, t.shape)) for t in graph.outputs)
    return replace(graph, shapes=shapes, outputs=outputs)


def measure(graph: Graph, outside: Mapping[str, NDArray[Any]], inputs: Mapping[str, tuple[int, ...]]) -> Graph:
    """The graph with the shapes of all its tensors, by running it on zeros; ``inputs`` are those of its inputs."""
    zeros = {t.name: np.zeros(inputs[t.name], t.dtype) for t in graph.inputs}
    values = evaluate(graph.nodes, {**outside, **graph.constants, **zeros}, graph.opset)
    shapes = {**graph.shapes, **{name: array.shape for name, array in values.items()}}
    tensors = [
        tuple(replace(t, shape=shapes.get(t.name, ())) for t in group) for group in (graph.inputs, graph.outputs)
    ]
    return replace(graph, shapes=shapes, inputs=tensors[0], outputs=tensors[1])
