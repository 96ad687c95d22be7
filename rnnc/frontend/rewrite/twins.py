"""Nodes that do the same to the same tensors become one, in one pass; onnxslim would compare each with each other."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import numpy as np

from rnnc.frontend.read.fold import RANDOM
from rnnc.frontend.rewrite.editor import Editor, from_outside
from rnnc.frontend.rewrite.expressions import digest
from rnnc.tracing import Graph, Node


def without_twins(graph: Graph) -> Graph:
    """The graph with one node in place of those that do the same to the same tensors.

    Results of the graph and what bodies take from outside keep their names.
    """
    bodies = (v for node in graph.nodes for v in node.attributes.values() if isinstance(v, Graph))
    fixed = {o.name for o in graph.outputs}.union(*map(from_outside, bodies))
    values: dict[str, Hashable] = {}
    first: dict[Hashable, Node] = {}
    same: dict[str, str] = {}
    nodes = []
    for old in graph.nodes:
        node = replace(old, inputs=tuple(same.get(n, n) for n in old.inputs))
        for name in node.inputs:
            if name in graph.constants and name not in values:
                array = graph.constants[name]
                values[name] = array.dtype.str, array.shape, array.tobytes()
        given = tuple(map(bool, node.outputs))
        twin = first.setdefault((kind(node), given, *(values.get(n, n) for n in node.inputs)), node)
        if twin is node or fixed.intersection(node.outputs) or node.op_type in RANDOM:
            nodes.append(node)
        else:
            same.update(zip(node.outputs, twin.outputs, strict=True))
    return Editor(replace(graph, nodes=tuple(nodes))).finish()


def kind(node: Node) -> Hashable:
    """What a node does, apart from its inputs."""
    attributes = ((key, _plain(value)) for key, value in sorted(node.attributes.items()))
    return node.op_type, len(node.inputs), len(node.outputs), *attributes


def _plain(value: Any) -> Hashable:
    if isinstance(value, np.ndarray):
        return digest(value)
    return value if isinstance(value, str | int | float) else id(value) if isinstance(value, Graph) else repr(value)
