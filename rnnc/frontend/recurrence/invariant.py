"""What is the same in each round of a loop is computed before it."""

from __future__ import annotations

from dataclasses import replace

from rnnc.frontend.read.fold import RANDOM
from rnnc.frontend.rewrite.editor import Editor, all_inputs, enclose
from rnnc.frontend.rewrite.evaluate import complete_shapes, fold_constants
from rnnc.tracing import Graph, Node


def hoist(graph: Graph) -> Graph:
    """The graph with the nodes of its Loops' bodies that depend on nothing inside before these Loops."""
    editor = Editor(graph)
    for node in editor.nodes:
        if node.op_type == "Loop":
            editor.replace([node], _taken_out(editor, node))
    return complete_shapes(editor.finish())


def _taken_out(editor: Editor, loop: Node) -> list[Node]:
    """The nodes that can stand before a Loop, renamed, and the Loop without them."""
    body = fold_constants(enclose(editor, loop.attributes["body"]))
    inside = {t.name for t in body.inputs}
    results = {t.name for t in body.outputs} | {n for m in body.nodes if _has_body(m) for n in all_inputs(m)}
    names: dict[str, str] = {}
    before, kept = list[Node](), list[Node]()
    for node in body.nodes:
        varies = inside.intersection(all_inputs(node)) or results.intersection(node.outputs) or node.op_type in RANDOM
        if varies or all(not name or name in body.constants for name in node.inputs) or _has_body(node):
            inside.update(node.outputs)
            kept.append(node)
            continue
        for name in node.inputs:
            if name in body.constants and name not in editor.constants:
                names[name] = editor.add_constant(body.constants[name])
        names.update((name, editor.fresh("same")) for name in node.outputs if name)
        before.append(_renamed(node, names))
    inner = replace(body, nodes=tuple(_renamed(n, names) for n in kept))
    return [*before, replace(loop, attributes={**loop.attributes, "body": inner})]


def _has_body(node: Node) -> bool:
    return any(isinstance(v, Graph) for v in node.attributes.values())


def _renamed(node: Node, names: dict[str, str]) -> Node:
    inputs, outputs = (tuple(names.get(n, n) for n in group) for group in (node.inputs, node.outputs))
    return replace(node, inputs=inputs, outputs=outputs)
