"""What asks whether numbers are finite: those of a recording are, and all that is computed of them without a pole."""

from __future__ import annotations

from rnnc.frontend.rewrite.editor import Editor
from rnnc.frontend.rewrite.elements import sources
from rnnc.frontend.rewrite.patterns import put, tensor
from rnnc.tracing import Node

POLES = (
    "Div",
    "Reciprocal",
    "Pow",
    "Mod",
    "Log",
    "Sqrt",
    "Exp",
    "Tan",
    "Acos",
    "Asin",
    "Acosh",
    "Atanh",
    "Loop",
    "Scan",
    "If",
)
"""Operators that may make a number that is not finite of some that are; a Div by a constant without zeros does not."""


def choice(editor: Editor, node: Node) -> bool:
    """Where that looks for infinite numbers, or for what is none, and finds neither is what it gives else (``nan_to_num``)."""
    chosen = _asks(editor, node.inputs[0])
    return chosen is not None and put(editor, node, tensor(node.inputs[1 if chosen else 2]))


def _asks(editor: Editor, name: str) -> bool | None:
    """What a truth value is because it asks whether finite numbers are; None where it is not known for that."""
    *_, source = sources(editor, name)
    node = editor.producer(source)
    if node is None or node.op_type not in ("IsNaN", "IsInf", "Not", "And", "Or", "Cast"):
        return None
    if node.op_type in ("IsNaN", "IsInf"):
        return False if _is_finite(editor, node.inputs[0]) else None
    found = [_asks(editor, n) for n in node.inputs]
    if node.op_type == "Not":
        return None if found[0] is None else not found[0]
    decided = [v for v in found if v is not None and (node.op_type == "Cast" or v == (node.op_type == "Or"))]
    return decided[0] if decided else None


def _is_finite(editor: Editor, name: str) -> bool:
    """Whether nothing that a tensor is computed of has a pole."""
    queue, seen = [name], set[str]()
    while queue:
        node = editor.producer(queue.pop())
        if node is None or node.outputs[0] in seen:
            continue
        seen.add(node.outputs[0])
        divisor = editor.constant(node.inputs[1]) if node.op_type == "Div" else None
        if node.op_type in POLES and (divisor is None or not divisor.all()):
            return False
        queue += [n for n in node.inputs if n]
    return True
