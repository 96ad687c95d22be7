"""Products of two computed tensors that are few elementwise products: two vectors, a vector with a matrix that is a state.

Linear attention reads its state so, and a bilinear layer its two inputs. The products of attention, of every step with
every other, are left alone.
"""

from __future__ import annotations

import string

import numpy as np

from rnnc.frontend.rewrite.editor import Editor
from rnnc.tracing import Node

MOST_ELEMENTS = 65535
"""Of the elementwise product."""


def vector_product(editor: Editor, node: Node) -> bool:
    """MatMul of two computed tensors, one of them a vector in each batch."""
    shapes = [editor.shape(name) for name in node.inputs]
    a, b = shapes
    if not a or not b or len(a) != len(b) or len(a) < 2 or any(editor.constant(n) is not None for n in node.inputs):
        return False
    lead = string.ascii_lowercase[: len(a) - 2]
    if len(lead) != len(a) - 2:
        return False
    return _summed(editor, node, (f"{lead}XK", f"{lead}KY"), f"{lead}XY")


def vector_einsum(editor: Editor, node: Node) -> bool:
    """Einsum of two tensors that adds nothing up, or one of which has no axis of its own but those of length 1."""
    terms, arrow, result = str(node.attributes.get("equation", "")).replace(" ", "").partition("->")
    labels = terms.split(",")
    known = [editor.shape(name) for name in node.inputs]
    if not arrow or len(labels) != 2 or "." in terms or any(s is None for s in known):
        return False
    if any(len(set(t)) < len(t) for t in (*labels, result)) or all(editor.constant(n) is not None for n in node.inputs):
        return False
    return _summed(editor, node, (labels[0], labels[1]), result)


def _summed(editor: Editor, node: Node, labels: tuple[str, str], result: str) -> bool:
    """Turn both operands to common axes, multiply them, add up; refused where both have an axis of their own."""
    lengths: dict[str, int] = {}
    for name, term in zip(node.inputs, labels, strict=True):
        for label, n in zip(term, editor.shape(name) or (), strict=True):
            lengths[label] = max(n, lengths.get(label, 1))
    own = [[x for x in labels[i] if x not in labels[1 - i] and lengths[x] > 1] for i in (0, 1)]
    adds_up = any(lengths[x] > 1 and x not in result for x in lengths)
    if (all(own) and adds_up) or np.prod(list(lengths.values()), dtype=np.int64) > MOST_ELEMENTS:
        return False
    summed = [x for x in lengths if x not in result]
    order = [*result, *summed]
    nodes: list[Node] = []
    operands = [_aligned(editor, node, i, term, order, nodes) for i, term in enumerate(labels)]
    product = editor.fresh("product") if summed else node.outputs[0]
    editor.shapes[product] = tuple(lengths[x] for x in order)
    nodes.append(Node(node.name, "Mul", "", tuple(operands), (product,)))
    if summed:
        axes = editor.add_constant(np.arange(len(result), len(order)), "axes")
        nodes.append(Node(node.name, "ReduceSum", "", (product, axes), node.outputs, {"keepdims": 0}))
    editor.replace([node], nodes)
    return True


def _aligned(editor: Editor, node: Node, index: int, term: str, order: list[str], nodes: list[Node]) -> str:
    """Operand ``index`` with its axes in an order, those that it has not of length 1; adds the nodes for that."""
    name = node.inputs[index]
    shape = dict(zip(term, editor.shape(name) or (), strict=True))
    perm = [term.index(x) for x in order if x in shape]
    if perm != sorted(perm):
        turned = editor.fresh("turned")
        editor.shapes[turned] = tuple(shape[term[i]] for i in perm)
        nodes.append(Node(node.name, "Transpose", "", (name,), (turned,), {"perm": perm}))
        name = turned
    missing = [i for i, x in enumerate(order) if x not in shape]
    if missing:
        spread, axes = editor.fresh("spread"), editor.add_constant(np.asarray(missing, np.int64), "axes")
        editor.shapes[spread] = tuple(shape.get(x, 1) for x in order)
        nodes.append(Node(node.name, "Unsqueeze", "", (name, axes), (spread,)))
        name = spread
    return name
