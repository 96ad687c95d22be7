"""What compares numbers that the network computes, in few forms: comparisons with constants, products with 1 and 0.

A truth value is 1 or 0 and a number like any other: ``Where(c, a, b) = c a + (1 - c) b``, And is the smaller of two, Or
the larger. Functions that jump (ThresholdedRelu, Shrink, Sign) are products with comparisons.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnnc.frontend.rewrite.editor import Editor, scalar_of
from rnnc.tracing import Node
from rnnc.views import VIEWS

COMPARISONS = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
TRUTHS = (*COMPARISONS, "Not", "And", "Or", "Xor")
BOOL = 9
INTEGERS = (2, 3, 4, 5, 6, 7, 12, 13)
"""Element types of ONNX."""

Rule = Callable[[Editor, Node], bool]


class _Writer:
    """Nodes that take the place of one, each with the shape of its result noted."""

    def __init__(self, editor: Editor, node: Node) -> None:
        self.editor, self.node = editor, node
        self.nodes: list[Node] = []

    def op(self, op_type: str, *inputs: str | float, out: str = "") -> str:
        """A node over tensors and numbers; ``out`` for the last one."""
        names = tuple(
            self.editor.add_constant(np.asarray(x, np.float32), "number") if isinstance(x, float) else x for x in inputs
        )
        shapes = [self.editor.shape(name) for name in names]
        output = out or self.editor.fresh(op_type.lower())
        known = [s for s in shapes if s is not None]
        if len(known) == len(shapes):
            self.editor.shapes.setdefault(output, np.broadcast_shapes(*known))
        self.nodes.append(Node(self.node.name, op_type, "", names, (output,)))
        return output

    def put(self) -> bool:
        """Replace the node."""
        self.editor.replace([self.node], self.nodes)
        return True


def _computed(editor: Editor, *names: str) -> bool:
    """Whether tensors are no constants and their shapes are known."""
    return all(editor.constant(n) is None and editor.shape(n) is not None for n in names)


def comparison(editor: Editor, node: Node) -> bool:
    """Two computed numbers are compared by their difference."""
    if not _computed(editor, *node.inputs) or node.inputs[0] == node.inputs[1]:
        return False
    writer = _Writer(editor, node)
    writer.op(node.op_type, writer.op("Sub", *node.inputs), 0.0, out=node.outputs[0])
    return writer.put()


def both(editor: Editor, node: Node) -> bool:
    """And and Or of truth values."""
    writer = _Writer(editor, node)
    writer.op("Min" if node.op_type == "And" else "Max", *node.inputs, out=node.outputs[0])
    return writer.put()


def either(editor: Editor, node: Node) -> bool:
    """Xor of truth values."""
    writer = _Writer(editor, node)
    writer.op("Abs", writer.op("Sub", *node.inputs), out=node.outputs[0])
    return writer.put()


def choice(editor: Editor, node: Node) -> bool:
    """Where with a condition that is computed, or differs by element."""
    condition, a, b = node.inputs
    if any(editor.shape(n) is None and editor.constant(n) is None for n in node.inputs):
        return False
    writer = _Writer(editor, node)
    known = editor.constant(condition)
    if known is None:
        yes, no = condition, writer.op("Not", condition)
    else:
        yes, no = (editor.add_constant(c.astype(np.float32), "condition") for c in (known, ~known))
    zero_a, zero_b = (c is not None and not np.any(c) for c in (editor.constant(a), editor.constant(b)))
    if zero_a or zero_b:
        writer.op("Mul", *((no, b) if zero_a else (yes, a)), out=node.outputs[0])
    else:
        writer.op("Add", writer.op("Mul", yes, a), writer.op("Mul", no, b), out=node.outputs[0])
    return writer.put()


def cast(editor: Editor, node: Node) -> bool:
    """A truth value in another type is the same number; and a number as a truth value says whether it is 0."""
    to, x = int(node.attributes["to"]), node.inputs[0]
    if _is_truth(editor, x):
        writer = _Writer(editor, node)
        writer.op("Identity", x, out=node.outputs[0])
        return writer.put()
    if to != BOOL or editor.constant(x) is not None:
        return False
    writer = _Writer(editor, node)
    writer.op("Not", writer.op("Equal", x, 0.0), out=node.outputs[0])
    return writer.put()


def _is_truth(editor: Editor, name: str) -> bool:
    """Whether a tensor is 1 or 0 because it is the result of a comparison, moved or combined."""
    node = editor.producer(name)
    while node is not None and node.op_type in VIEWS and node.op_type != "Concat":
        node = editor.producer(node.inputs[0])
    if node is None:
        return False
    if node.op_type in ("Min", "Max", "Abs", "Sub"):
        return all(_is_truth(editor, n) for n in node.inputs)
    return node.op_type in TRUTHS


def thresholded(editor: Editor, node: Node) -> bool:
    """ThresholdedRelu: x where it is above alpha, 0 else."""
    x, writer = node.inputs[0], _Writer(editor, node)
    if editor.constant(x) is not None:
        return False
    writer.op("Mul", x, writer.op("Greater", x, float(node.attributes.get("alpha", 1.0))), out=node.outputs[0])
    return writer.put()


def shrink(editor: Editor, node: Node) -> bool:
    """Shrink: x + bias below -lambd, x - bias above lambd, 0 between."""
    x, writer = node.inputs[0], _Writer(editor, node)
    if editor.constant(x) is not None:
        return False
    limit, bias = float(node.attributes.get("lambd", 0.5)), float(node.attributes.get("bias", 0.0))
    above = writer.op("Mul", writer.op("Sub", x, bias), writer.op("Greater", x, limit))
    below = writer.op("Mul", writer.op("Add", x, bias), writer.op("Less", x, -limit))
    writer.op("Add", above, below, out=node.outputs[0])
    return writer.put()


def sign(editor: Editor, node: Node) -> bool:
    """Sign: 1, 0 or -1."""
    x, writer = node.inputs[0], _Writer(editor, node)
    if editor.constant(x) is not None:
        return False
    writer.op("Sub", writer.op("Greater", x, 0.0), writer.op("Less", x, 0.0), out=node.outputs[0])
    return writer.put()


def remainder(editor: Editor, node: Node) -> bool:
    """Mod of real numbers (fmod=1) by a constant: x less the divisor as often as it goes into x, towards 0."""
    x, divisor = node.inputs[0], editor.constant(node.inputs[1])
    if not node.attributes.get("fmod", 0) or divisor is None or not np.all(divisor) or not _computed(editor, x):
        return False
    writer = _Writer(editor, node)
    inverse = editor.add_constant((1 / divisor).astype(np.float32), "inverse")
    times = writer.op("Mul", x, inverse)
    above = writer.op("Floor", writer.op("Relu", times))
    below = writer.op("Floor", writer.op("Relu", writer.op("Neg", times)))
    writer.op("Sub", x, writer.op("Mul", writer.op("Sub", above, below), node.inputs[1]), out=node.outputs[0])
    return writer.put()


def limit_by_element(editor: Editor, node: Node) -> bool:
    """Max or Min with a constant vector: of what is above or below it, by ReLU."""
    constants = [editor.constant(n) for n in node.inputs]
    if len(node.inputs) != 2 or (constants[0] is None) == (constants[1] is None):
        return False
    x, limit = node.inputs if constants[0] is None else node.inputs[::-1]
    if scalar_of(editor.constant(limit)) is not None or editor.shape(x) is None:
        return False
    writer = _Writer(editor, node)
    if node.op_type == "Max":
        writer.op("Add", writer.op("Relu", writer.op("Sub", x, limit)), limit, out=node.outputs[0])
    else:
        writer.op("Sub", limit, writer.op("Relu", writer.op("Sub", limit, x)), out=node.outputs[0])
    return writer.put()


RULES: dict[str, tuple[Rule, ...]] = {
    **dict.fromkeys(COMPARISONS, (comparison,)),
    "And": (both,),
    "Or": (both,),
    "Xor": (either,),
    "Where": (choice,),
    "Cast": (cast,),
    "ThresholdedRelu": (thresholded,),
    "Shrink": (shrink,),
    "Sign": (sign,),
    "Mod": (remainder,),
    "Max": (limit_by_element,),
    "Min": (limit_by_element,),
}
"""By operator."""
