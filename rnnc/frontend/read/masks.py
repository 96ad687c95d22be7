"""Masks before a softmax: what is added to scores, or chosen in their place, so that exp gives 0.

Files hold minus infinity there, or -1e9, or the least float. Integers have no room for these beside scores, and a constant as
low as ``MASKED`` leaves nothing of a score either.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnc.errors import Refused
from rnnc.tracing import Graph, Node
from rnnc.views import FIRST_ONLY

MASKED = -64.0
"""Lower than any score by more than a softmax can see: e^-16 is 0 in it, and scores are within 24 of 0."""
LOW = -1000.0
"""No score: an element of a constant that masks."""
SOFTMAX = ("Softmax", "LogSoftmax")
PASSING = (*FIRST_ONLY, "Add", "Where")


def finite_masks(graph: Graph) -> Graph:
    """The graph whose masks are finite numbers."""
    constants, shapes = dict(graph.constants), dict(graph.shapes)
    producers = {name: i for i, node in enumerate(graph.nodes) for name in node.outputs if name}
    nodes = [_finite_bodies(node) for node in graph.nodes]
    names = [node.inputs[0] for node in nodes if node.op_type in SOFTMAX]
    seen: set[str] = set()
    while names:
        at = producers.get(names.pop())
        if at is None or nodes[at].op_type not in PASSING or nodes[at].outputs[0] in seen:
            continue
        node = nodes[at]
        seen.add(node.outputs[0])
        inputs = list(node.inputs)
        for k in range(int(node.op_type == "Where"), len(inputs) if node.op_type in ("Add", "Where") else 1):
            array = constants.get(inputs[k])
            if array is None:
                names.append(inputs[k])
            elif array.dtype.kind == "f" and array.size and array.min() <= LOW:
                inputs[k] = f"{node.outputs[0]}.mask.{k}"
                constants[inputs[k]], shapes[inputs[k]] = np.maximum(array, array.dtype.type(MASKED)), array.shape
        nodes[at] = replace(node, inputs=tuple(inputs))
    return replace(graph, nodes=tuple(nodes), constants=constants, shapes=shapes)


def _finite_bodies(node: Node) -> Node:
    bodies = {key: finite_masks(body) for key, body in node.attributes.items() if isinstance(body, Graph)}
    return replace(node, attributes={**node.attributes, **bodies})


def check_finite(graph: Graph) -> None:
    """Raise Refused where a constant is infinite: one that masks neither a softmax nor what was recognised without it."""
    used = {name for node in graph.nodes for name in node.inputs}
    for name, array in graph.constants.items():
        if name in used and array.dtype.kind == "f" and not np.isfinite(array).all():
            raise Refused(
                "it holds infinite numbers",
                where=f"{graph.file}: weight {name!r}",
                hint="Masks may, before a softmax and of later steps of a decaying sum. In weights: the training diverged, or "
                "the file is damaged; check the weights.",
            )
