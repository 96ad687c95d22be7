"""Arithmetic in the form that handlers know: two operands at a time, x^2 as a product, roots and reciprocals by name."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np

from rnnc.frontend.rewrite.editor import Editor, scalar_of
from rnnc.tracing import Node


def power(editor: Editor, node: Node) -> bool:
    """Pow by 1, 2, 1/2 or -1."""
    exponent = scalar_of(editor.constant(node.inputs[1]))
    x = node.inputs[0]
    forms = {1.0: ("Identity", (x,)), 2.0: ("Mul", (x, x)), 0.5: ("Sqrt", (x,)), -1.0: ("Reciprocal", (x,))}
    if exponent is None or exponent not in forms or editor.constant(x) is not None:
        return False
    op_type, inputs = forms[exponent]
    editor.replace([node], [Node(node.name, op_type, "", inputs, node.outputs)])
    return True


TINY = 1e-12
"""The least that a sum of magnitudes is divided by."""


def share(editor: Editor, node: Node) -> bool:
    """LpNormalization with p = 1: x over the sum of its magnitudes, 0 where they are all 0."""
    shape = editor.shape(node.inputs[0])
    if int(node.attributes.get("p", 2)) != 1 or shape is None:
        return False
    axis = int(node.attributes.get("axis", -1)) % len(shape)
    total, divisor = editor.fresh("total"), editor.fresh("divisor")
    for name in (total, divisor):
        editor.shapes[name] = tuple(1 if i == axis else n for i, n in enumerate(shape))
    axes, least = editor.add_constant(np.asarray([axis]), "axes"), editor.add_constant(np.asarray(TINY), "least")
    nodes = [
        Node(node.name, "ReduceL1", "", (node.inputs[0], axes), (total,), {"keepdims": 1}),
        Node(node.name, "Max", "", (total, least), (divisor,)),
        Node(node.name, "Div", "", (node.inputs[0], divisor), node.outputs),
    ]
    editor.replace([node], nodes)
    return True


def quotient(editor: Editor, node: Node) -> bool:
    """A constant over a value as a constant times its reciprocal."""
    constant, x = editor.constant(node.inputs[0]), node.inputs[1]
    shape = editor.shape(x)
    if constant is None or editor.constant(x) is not None or shape is None:
        return False
    inverse = editor.fresh("inverse")
    editor.shapes[inverse] = shape
    nodes = [
        Node(node.name, "Reciprocal", "", (x,), (inverse,)),
        Node(node.name, "Mul", "", (inverse, node.inputs[0]), node.outputs),
    ]
    editor.replace([node], nodes)
    return True


def inverse_root(editor: Editor, node: Node) -> bool:
    """The reciprocal of a root, read by nothing else, as one power."""
    root = editor.producer(node.inputs[0])
    if root is None or root.op_type != "Sqrt" or editor.only_reader(node.inputs[0]) is not node:
        return False
    exponent = editor.add_constant(np.asarray(-0.5), "exponent")
    editor.replace([root, node], [Node(node.name, "Pow", "", (root.inputs[0], exponent), node.outputs)])
    return True


NEUTRAL = {"Add": 0.0, "Sub": 0.0, "Mul": 1.0, "Div": 1.0}


def neutral(editor: Editor, node: Node) -> bool:
    """Adding nothing, or multiplying with 1."""
    for position in (1, 0) if node.op_type in ("Add", "Mul") else (1,):
        x = node.inputs[1 - position]
        same = editor.shape(x) is not None and editor.shape(x) == editor.shape(node.outputs[0])
        if same and scalar_of(editor.constant(node.inputs[position])) == NEUTRAL[node.op_type]:
            editor.replace([node], [Node(node.name, "Identity", "", (x,), node.outputs)])
            return True
    return False


def logistic(editor: Editor, node: Node) -> bool:
    """1 / (1 + exp(-x)) as a Sigmoid."""
    total = editor.producer(node.inputs[0])
    if total is None or total.op_type != "Add":
        return False
    numbers = [scalar_of(editor.constant(name)) for name in total.inputs]
    if 1.0 not in numbers:
        return False
    power = editor.producer(total.inputs[1 - numbers.index(1.0)])
    if power is None or power.op_type != "Exp":
        return False
    x, minus, turned = power.inputs[0], editor.fresh("minus"), editor.shape(power.inputs[0])
    if turned is None or turned != editor.shape(node.outputs[0]):
        return False
    editor.shapes[minus] = turned
    nodes = [Node(node.name, "Neg", "", (x,), (minus,)), Node(node.name, "Sigmoid", "", (minus,), node.outputs)]
    editor.replace([node], nodes)
    return True


def negative(editor: Editor, node: Node) -> bool:
    """Minus minus x, where minus is Neg or a product with -1."""
    before = editor.producer(node.inputs[0])
    if before is None or before.op_type not in ("Neg", "Mul"):
        return False
    x = before.inputs[0]
    if before.op_type == "Mul":
        numbers = [scalar_of(editor.constant(name)) for name in before.inputs]
        if -1.0 not in numbers:
            return False
        x = before.inputs[1 - numbers.index(-1.0)]
    if editor.shape(x) is None or editor.shape(x) != editor.shape(node.outputs[0]):
        return False
    editor.replace([node], [Node(node.name, "Identity", "", (x,), node.outputs)])
    return True


def global_mean(editor: Editor, node: Node) -> bool:
    """GlobalAveragePool as the mean over the axes behind the first two."""
    shape = editor.shape(node.inputs[0])
    if shape is None or len(shape) < 3:
        return False
    axes = editor.add_constant(np.arange(2, len(shape), dtype=np.int64), "axes")
    mean = Node(node.name, "ReduceMean", "", (node.inputs[0], axes), node.outputs, {"keepdims": 1})
    editor.replace([node], [mean])
    return True


def mixture(editor: Editor, node: Node) -> bool:
    """torch.lerp: a + w (b - a) below w = 1/2, b - (b - a) (1 - w) above it, which is the same: the first."""
    low, high = (editor.producer(name) for name in node.inputs[1:])
    if low is None or high is None or low.op_type != "Add" or high.op_type != "Sub":
        return False
    if editor.shape(low.outputs[0]) != editor.shape(node.outputs[0]) or editor.shape(low.outputs[0]) is None:
        return False
    b, rest = high.inputs[0], _factors(editor, high.inputs[1])
    for a, product in (low.inputs, low.inputs[::-1]):
        for w, d in permutations(_factors(editor, product)):
            difference = editor.producer(d)
            one = next((name for name in rest if name != d), "")
            if difference is None or difference.op_type != "Sub" or difference.inputs != (b, a) or d not in rest:
                continue
            if _is_one_less(editor, one, w):
                editor.replace([node], [Node(node.name, "Identity", "", low.outputs, node.outputs)])
                return True
    return False


def _factors(editor: Editor, name: str) -> tuple[str, ...]:
    node = editor.producer(name)
    return node.inputs if node is not None and node.op_type == "Mul" else ()


def _is_one_less(editor: Editor, name: str, w: str) -> bool:
    """Whether a tensor is 1 - w."""
    node = editor.producer(name) if name else None
    if node is None or node.op_type != "Sub" or node.inputs[1] != w:
        return False
    return scalar_of(editor.constant(node.inputs[0])) == 1.0


def chain(editor: Editor, node: Node) -> bool:
    """Sum, Mean, Max or Min of any number of tensors, two at a time."""
    if len(node.inputs) == 2 and node.op_type in ("Max", "Min"):
        return False
    shapes = [editor.shape(name) for name in node.inputs]
    known = [s for s in shapes if s is not None]
    if len(known) < len(shapes):
        return False
    op_type = "Add" if node.op_type in ("Sum", "Mean") else node.op_type
    total, shape, nodes = node.inputs[0], known[0], []
    for name, other in zip(node.inputs[1:], known[1:], strict=True):
        shape = np.broadcast_shapes(shape, other)
        partial = editor.fresh("partial")
        editor.shapes[partial] = shape
        nodes.append(Node(node.name, op_type, "", (total, name), (partial,)))
        total = partial
    if node.op_type == "Mean":
        share = editor.add_constant(np.asarray(1 / len(node.inputs)), "share")
        nodes.append(Node(node.name, "Mul", "", (total, share), node.outputs))
    elif nodes:
        nodes[-1] = replace(nodes[-1], outputs=node.outputs)
    else:
        nodes.append(Node(node.name, "Identity", "", (total,), node.outputs))
    editor.replace([node], nodes)
    return True


def smallest(editor: Editor, node: Node) -> bool:
    """ArgMin is ArgMax of the negative."""
    x, negative = node.inputs[0], editor.fresh("negative")
    shape = editor.shape(x)
    if shape is not None:
        editor.shapes[negative] = shape
    nodes = [Node(node.name, "Neg", "", (x,), (negative,)), replace(node, op_type="ArgMax", inputs=(negative,))]
    editor.replace([node], nodes)
    return True


def log_of_sum(editor: Editor, node: Node) -> bool:
    """ReduceLogSum."""
    shape = editor.shape(node.outputs[0])
    if shape is None:
        return False
    total = editor.fresh("total")
    editor.shapes[total] = shape
    nodes = [
        replace(node, op_type="ReduceSum", outputs=(total,)),
        Node(node.name, "Log", "", (total,), node.outputs),
    ]
    editor.replace([node], nodes)
    return True
