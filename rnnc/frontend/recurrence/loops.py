"""Loop nodes that walk along a sequence become Scan nodes.

Keras writes GRU, SimpleRNN and more as an ONNX Loop: weights carried along unchanged, a counter that picks the step
out of a sequence from outside, a condition that only counts. What is left is a Scan: states, sequences in, sequences
out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from rnnc.errors import Refused
from rnnc.frontend.read.fold import RANDOM, complete_shapes, evaluate, fold_constants
from rnnc.frontend.recurrence.lists import joined, without_lists
from rnnc.frontend.recurrence.scans import complete
from rnnc.frontend.rewrite.editor import Editor, all_inputs, cone, enclose, reached
from rnnc.frontend.rewrite.patterns import rule
from rnnc.frontend.rewrite.rules import apply
from rnnc.tracing import Graph, Node, Tensor

LISTS = (rule("list of a loop = tensor", joined, "ConcatFromSequence"),)
OVER_ALL = "Only a loop over all steps of a sequence can become a stream."
PROBES = 3
"""Iterations at either end of a loop whose condition is computed."""


def unloop(graph: Graph) -> Graph:
    """The graph with its Loop nodes as Scan nodes, and the bodies of all Scans in canonical form.

    Raises Refused where a loop depends on data, or walks in no way that a stream can.
    """
    graph = hoist(without_lists(graph))
    done = 0
    while found := [n for n in graph.nodes if n.op_type in ("Loop", "Scan", "If")][done:]:
        node, editor = found[0], Editor(graph)
        if node.op_type == "If":
            what = "which branch runs depends on the data"
            raise Refused(what, where=f"{graph.file}: {node.label}", hint=_one_branch(graph, node))
        if node.op_type == "Loop":
            editor.note("Loop = Scan", node)
        editor.replace([node], _Loop(editor, node).scan() if node.op_type == "Loop" else [complete(editor, node)])
        graph = apply(complete_shapes(editor.finish()), LISTS)
        done += 1
    return graph


def _one_branch(graph: Graph, node: Node) -> str:
    """How to leave one branch of an If: numbers that decide it can be bound."""
    deciding = [t for t in graph.inputs if node.inputs[0] in reached(graph.nodes, [t.name])]
    if not deciding or any(np.prod(t.shape, dtype=np.int64) > 1 for t in deciding):
        return "Export one branch: what decides it is not a single number, which --bind could set."
    return f"Bind what decides it ({' '.join(f'--bind {t.name}=VALUE' for t in deciding)}), or export one branch."


class _Loop:
    """A Loop node taken apart.

    Body inputs: iteration, condition, carried values. Body outputs: condition, carried values, values to stack.
    """

    def __init__(self, editor: Editor, node: Node) -> None:
        self.editor, self.node = editor, node
        self.carried = len(node.inputs) - 2
        body = enclose(editor, node.attributes["body"])
        names, aliases = [t.name for t in body.inputs[1:]], _aliases(body)
        self.given = dict(zip(names, node.inputs[1:], strict=False))
        """The tensor that the condition and each carried value start from, by their names in the body."""
        self.ends = {name: aliases.get(o.name, o.name) for name, o in zip(names, body.outputs, strict=False)}
        """The tensor of the body that each of them is after a round."""
        starts = {name: editor.constant(given) for name, given in self.given.items()}
        fixed = {name: array for name, array in starts.items() if array is not None and self.ends[name] == name}
        self.body = replace(body, constants={**body.constants, **fixed})
        """With what never changes as constants."""
        self.counters = self._find_counters(starts)
        """Body inputs that count iterations, with where they start."""

    def refuse(self, what: str, hint: str = "") -> NoReturn:
        """Raise Refused, naming the node."""
        raise Refused(what, where=f"{self.editor.graph.file}: {self.node.label}", hint=hint)

    def scan(self) -> list[Node]:
        """The same as a Scan node."""
        sources = self._sources()
        if not sources:
            self.refuse(
                "the loop walks along no sequence", "Only a loop over the steps of a sequence can become a stream."
            )
        length = self._length(sources)
        self._check_condition(length)
        without = self.counters.keys() | self.body.constants.keys()
        states = [k for k in range(self.carried) if self.body.inputs[2 + k].name not in without]
        stacked = range(1 + self.carried, len(self.body.outputs))
        inputs = [self.body.inputs[2 + k] for k in states]
        inputs += [Tensor(name, (), "float32") for name in sources]
        outputs = [self.body.outputs[1 + k] for k in states] + [self.body.outputs[i] for i in stacked]
        gathers = {id(node) for _, _, _, node in sources.values()}
        nodes = tuple(n for n in self.body.nodes if id(n) not in gathers)
        body = replace(self.body, nodes=nodes, inputs=tuple(inputs), outputs=tuple(outputs))
        names = [self.node.inputs[2 + k] for k in states] + [tensor for tensor, _, _, _ in sources.values()]
        results = [self.node.outputs[k] for k in states] + [self.node.outputs[i - 1] for i in stacked]
        attributes = {
            "body": Editor(body).finish(),
            "num_scan_inputs": len(sources),
            "scan_input_axes": [axis for _, axis, _, _ in sources.values()],
            "scan_input_directions": [int(backward) for _, _, backward, _ in sources.values()],
        }
        scan = Node(self.node.name, "Scan", "", tuple(names), tuple(results), attributes)
        return [complete(self.editor, scan)]

    def _find_counters(self, starts: Mapping[str, NDArray[Any] | None]) -> dict[str, int]:
        producers = {name: node for node in self.body.nodes for name in node.outputs}
        counters = {self.body.inputs[0].name: 0}
        for name, start in starts.items():
            node = producers.get(self.ends[name])
            if start is None or start.size != 1 or node is None or node.op_type != "Add" or name not in node.inputs:
                continue
            step = self.body.constants.get(next(n for n in (*node.inputs, "") if n != name))
            if step is not None and step.size == 1 and float(step.ravel()[0]) == 1:
                counters[name] = int(start.ravel()[0])
        return counters

    def _sources(self) -> dict[str, tuple[str, int, bool, Node]]:
        """What the body takes out of sequences from outside: its tensor, the sequence, axis, and whether backwards."""
        sources: dict[str, tuple[str, int, bool, Node]] = {}
        inner = {n for m in self.body.nodes for n in m.outputs} | {t.name for t in self.body.inputs}
        for node in self.body.nodes:
            if node.op_type != "Gather" or node.inputs[0] in self.body.constants:
                continue
            sequence = node.inputs[0]
            sequence = self.given[sequence] if self.ends.get(sequence) == sequence else sequence
            if not sequence or sequence in inner:
                continue
            direction = self._direction(node.inputs[1], sequence, int(node.attributes.get("axis", 0)))
            if direction is not None:
                sources[node.outputs[0]] = (sequence, int(node.attributes.get("axis", 0)), direction, node)
        return sources

    def _direction(self, index: str, sequence: str, axis: int) -> bool | None:
        """False where an index counts up from 0, True where it counts down from the end, None else."""
        shape = self.editor.shape(sequence)
        if shape is None:
            return None
        n = shape[axis]
        indices = [self._at(i, index) for i in (0, 1, n - 1)]
        if indices == [0, 1, n - 1]:
            return False
        return True if indices in ([n - 1, n - 2, 0], [-1, -2, -n]) else None

    def _at(self, iteration: int, name: str) -> Any:
        """The value of a tensor that only counts, at an iteration; None where it depends on more."""
        known = {
            c: np.asarray(start + iteration, next(t for t in self.body.inputs if t.name == c).dtype)
            for c, start in self.counters.items()
        }
        values = evaluate(cone(self.body.nodes, [name]), {**self.body.constants, **known}, self.body.opset)
        return values[name].item() if name in values and values[name].size == 1 else None

    def _length(self, sources: Mapping[str, tuple[str, int, bool, Node]]) -> int:
        lengths = {(self.editor.shape(s) or ())[axis] for s, axis, _, _ in sources.values()}
        if len(lengths) != 1:
            what = f"it walks along sequences of different lengths {sorted(lengths)}"
            self.refuse(what, "Export a loop for each of them.")
        return lengths.pop()

    def _check_condition(self, length: int) -> None:
        """Refuse a loop that does not make just as many rounds as the sequence is long."""
        most, first = self.editor.constant(self.node.inputs[0]), self.editor.constant(self.node.inputs[1])
        rounds = int(most.ravel()[0]) if most is not None else None
        if (self.node.inputs[0] and most is None) or (self.node.inputs[1] and first is None):
            self.refuse("how long it runs depends on the data", OVER_ALL)
        if first is not None and not first.ravel()[0]:
            self.refuse("it never runs", "Export the network without it.")
        probes = sorted({*range(min(PROBES, length)), *range(max(0, length - PROBES), length)})
        goes_on = {i: self._at(i, self.body.outputs[0].name) for i in probes}
        if any(v is None for v in goes_on.values()):
            self.refuse("how long it runs depends on the data", OVER_ALL)
        stops = rounds == length or not goes_on[length - 1]
        if not stops or (rounds is not None and rounds < length) or not all(goes_on[i] for i in probes[:-1]):
            self.refuse(f"it does not run over all {length} steps of its sequence", OVER_ALL)


def _aliases(graph: Graph) -> dict[str, str]:
    """What a tensor is another name for, Identity followed."""
    names: dict[str, str] = {}
    for node in graph.nodes:
        if node.op_type == "Identity":
            names[node.outputs[0]] = names.get(node.inputs[0], node.inputs[0])
    return names


# --------------------------------------------------------------------------- what is the same in each round


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
