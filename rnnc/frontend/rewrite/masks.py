"""Masks before a softmax: what is added to scores, or chosen in their place, so that exp gives 0.

Files hold minus infinity there, or -1e9, or the least float. Integers have no room for these beside scores, and a constant as
low as ``MASKED`` leaves nothing of a score either.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from rnnc.errors import Refused
from rnnc.frontend.rewrite.editor import Editor
from rnnc.tracing import Graph, Node
from rnnc.views import FIRST_ONLY

MASKED = -64.0
"""Lower than any score by more than a softmax can see: e^-16 is 0 in it, and scores are within 24 of 0."""
LOW = -1000.0
"""No score: an element of a constant that masks."""
SOFTMAX = ("Softmax", "LogSoftmax")
EXPONENTIAL = (*SOFTMAX, "Exp")
PASSING = (*FIRST_ONLY, "Add", "Where")


def finite_masks(graph: Graph, readers: Collection[str] = SOFTMAX) -> Graph:
    """The graph whose masks are finite numbers: those of scores that nothing but a softmax, or what ``readers`` name, reads."""
    constants, shapes, nodes = dict(graph.constants), dict(graph.shapes), list[Node]()
    scores = _scores(graph, readers)
    for node in (_finite_bodies(node, readers) for node in graph.nodes):
        inputs = list(node.inputs)
        if node.op_type in ("Add", "Where") and node.outputs[0] in scores:
            for k in range(int(node.op_type == "Where"), len(inputs)):
                array = constants.get(inputs[k])
                if array is not None and array.dtype.kind == "f" and array.size and array.min() <= LOW:
                    inputs[k] = f"{node.outputs[0]}.mask.{k}"
                    constants[inputs[k]], shapes[inputs[k]] = np.maximum(array, array.dtype.type(MASKED)), array.shape
        nodes.append(replace(node, inputs=tuple(inputs)))
    return replace(graph, nodes=tuple(nodes), constants=constants, shapes=shapes)


def _scores(graph: Graph, last: Collection[str]) -> set[str]:
    """The tensors that only some operators read, through views, sums and choices."""
    editor, scores = Editor(graph), set[str]()
    for node in reversed(graph.nodes):
        for name in set(filter(None, node.outputs)) - editor.results:
            readers = editor.uses(name)
            passed = (r.op_type in last or (r.op_type in PASSING and scores.issuperset(r.outputs)) for r in readers)
            if readers and all(passed):
                scores.add(name)
    return scores


def _finite_bodies(node: Node, readers: Collection[str]) -> Node:
    bodies = {key: finite_masks(body, readers) for key, body in node.attributes.items() if isinstance(body, Graph)}
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
