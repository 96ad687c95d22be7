"""Where one step of an unrolled loop ends and the next begins: what is computed late is part of the next step.

A node belongs at first to the step whose frame it depends on; what only prepares a state for the next step (R h, a decay,
substeps of an ODE solver) may as well be part of that. Where it is decides which tensors are the states.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from rnnc.frontend.recurrence.copies import Copies
from rnnc.frontend.rewrite.editor import Editor
from rnnc.frontend.rewrite.elements import sources
from rnnc.tracing import Graph, Node
from rnnc.views import VIEWS

MATRICES = ("Dense", "Gemm", "MatMul", "Einsum")
PREPARING = (*MATRICES, *VIEWS)
"""What prepares a state for the next step."""
SCALING = ("Neg", "Add", "Sub", "Mul", "Div")
"""The same, where the next step reads the state as it is as well; else it may be the end of an activation."""
MOST_STEPS = 4
"""By which something is postponed."""
Late = dict[str, int]
"""First outputs of nodes, and by how many steps each is left to later ones."""


class Cuts:
    """The nodes of a step in the middle that can be left to the next one.

    Args:
        copies: of which ``nodes`` are those of a loop in one step, in order.
    """

    def __init__(self, copies: Copies, nodes: list[Node]) -> None:
        self.copies, self.nodes = copies, nodes
        self.own = {name: n for n in nodes for name in n.outputs}
        self.frames = [name for name in copies.frames if copies.at(name) == copies.middle]
        self.readers: dict[str, list[Node]] = {name: [] for name in (*self.own, *self.frames)}
        """In the same step."""
        self.later: dict[str, list[Node]] = {}
        """In the next step, each by its copy in this one."""
        self.starting: set[str] = set()
        """First outputs of nodes that something outside of the loop reads, or that read what is before it."""
        step, inside = copies.middle, self._inside()
        for node in nodes:
            for name in node.inputs:
                if name in self.readers:
                    self.readers[name].append(node)
                elif copies.after.get(name, "") in self.readers:
                    self.later.setdefault(copies.after[name], []).append(node)
                elif 0 <= copies.at(name) < step:
                    self.starting.add(node.outputs[0])
            outside = (id(r) not in inside for n in node.outputs for r in copies.editor.uses(n))
            if copies.editor.results.intersection(node.outputs) or any(outside):
                self.starting.add(node.outputs[0])

    def _inside(self) -> set[int]:
        names = (name for node in self.nodes for name in self.copies.orbit(node.outputs[0]).values())
        return {id(n) for n in map(self.copies.editor.producer, names) if n is not None}

    def all(self) -> Iterator[Late]:
        """The nodes to postpone, by first output, and by how many steps: likely choices first, none twice."""
        choices: tuple[Late, ...] = (dict.fromkeys(self._linear(), 1), {}, self._shown(), self._ahead())
        yield from {frozenset(late.items()): late for late in choices}.values()

    # ----------------------------------------------------------------- R h and its like

    def _linear(self) -> frozenset[str]:
        """What only matrices, views and factors do to a state, but for factors that may be the end of an activation."""
        late: set[str] = set()
        for node in reversed(self.nodes):
            moving = self._moving(node)
            if node.op_type not in (*PREPARING, *SCALING) or len(moving) != 1 or node.outputs[0] in self.starting:
                continue
            if moving[0] not in self.own or not self._only_later(node, late):
                continue
            if node.op_type in MATRICES and all(self._is_matrix(r) for r in self._behind([node])):
                continue
            late.add(node.outputs[0])
        for node in self.nodes:
            if node.op_type in SCALING and node.outputs[0] in late:
                source = self._moving(node)[0]
                before = self.own[source].outputs[0] in late
                others = [r for r in self.readers[source] if r is not node and r.outputs[0] in late]
                if not (before or others or self.later.get(source)):
                    late.remove(node.outputs[0])
        return frozenset(late)

    def _is_matrix(self, node: Node) -> bool:
        return node.op_type in MATRICES and len(self._moving(node)) == 1

    def _is_factor(self, node: Node) -> bool:
        return node.op_type in SCALING and len(self._moving(node)) == 1

    def _moving(self, node: Node) -> list[str]:
        return [n for n in node.inputs if n and self.copies.editor.constant(n) is None]

    def _only_later(self, node: Node, late: set[str]) -> bool:
        readers = [r for name in node.outputs for r in self.readers[name]]
        read = bool(readers) or any(self.later.get(name) for name in node.outputs)
        return read and all(r.outputs[0] in late for r in readers)

    def _behind(self, nodes: Iterable[Node]) -> Iterator[Node]:
        """What reads nodes through views and biases: a matrix that only matrices read is a projection of the state."""
        for node in nodes:
            for name in node.outputs:
                readers = [*self.readers[name], *self.later.get(name, ())]
                passing = [r for r in readers if r.op_type in VIEWS or self._is_factor(r)]
                yield from (r for r in readers if r not in passing)
                yield from self._behind(r for r in passing if set(r.outputs) <= self.own.keys())

    # ----------------------------------------------------------------- where inputs of the graph stand

    def _shown(self) -> Late:
        """What is computed from states alone, where the first step reads an input of the graph in their place."""
        states = self._states()
        return self._as_late_as_read(self._of_states(states, shared=False), states)

    def _of_states(self, states: dict[str, int], *, shared: bool) -> set[str]:
        """The nodes that compute from states alone; ``shared``: also those that this step reads itself."""
        late = {n.outputs[0] for n in self.nodes if self._moving(n)} if states else set[str]()
        left = None
        while left != late:
            left = set(late)
            for node in self.nodes:
                known = all(n in states or self._made(n) in late for n in self._moving(node))
                free = shared or (node.outputs[0] not in self.starting and self._only_later(node, late))
                if not known or not free:
                    late.discard(node.outputs[0])
        return late

    def doubled(self) -> Graph | None:
        """The graph with nodes of states that this step and the next read twice, once for each; None where none are."""
        states, editor = self._states(), self.copies.editor
        late = self._of_states(states, shared=False)
        shared = self._read_later(self._of_states(states, shared=True) - late - states.keys())
        inside, second, twins = self._inside(), dict[str, str](), list[Node]()
        for node in [n for n in self.nodes if n.outputs[0] in shared]:
            for name in self.copies.orbit(node.outputs[0]).values():
                original = editor.producer(name)
                if original is not None:
                    second.update((n, editor.fresh("twin")) for n in original.outputs)
                    twins.append(original)
        of_late = {
            name for n in self.nodes if n.outputs[0] in late for name in self.copies.orbit(n.outputs[0]).values()
        }

        def own(node: Node, name: str) -> str:
            later = id(node) in inside and self.copies.at(node.outputs[0]) > self.copies.at(name)
            return second.get(name, name) if later or node.outputs[0] in of_late else name

        nodes = [replace(n, inputs=tuple(own(n, name) for name in n.inputs)) for n in editor.nodes]
        for node in twins:
            inputs, outputs = (tuple(second.get(n, n) for n in names) for names in (node.inputs, node.outputs))
            nodes.append(replace(node, inputs=inputs, outputs=outputs))
        shapes = {**editor.shapes, **{new: editor.shapes[old] for old, new in second.items() if old in editor.shapes}}
        changed = replace(editor.graph, nodes=tuple(nodes), constants=editor.constants, shapes=shapes)
        return Editor(changed).finish() if twins else None

    def _read_later(self, firsts: set[str]) -> set[str]:
        """Those of some nodes that the next step reads, directly or through others of them."""
        found: set[str] = set()
        for node in reversed(self.nodes):
            later = any(self.later.get(n) or found & {r.outputs[0] for r in self.readers[n]} for n in node.outputs)
            if later and node.outputs[0] in firsts:
                found.add(node.outputs[0])
        return found

    def _as_late_as_read(self, late: set[str], states: dict[str, int]) -> Late:
        """Each node as many steps later as what reads it; a state in the step that it is of."""
        middle, shift = self.copies.middle, dict.fromkeys(late, 1)
        for _ in range(MOST_STEPS):
            for node in reversed(self.nodes):
                first = node.outputs[0]
                if first in late:
                    fixed = [states[n] for n in node.outputs if n in states]
                    here = [shift.get(r.outputs[0], 0) for n in node.outputs for r in self.readers[n]]
                    there = [1 + shift.get(r.outputs[0], 0) for n in node.outputs for r in self.later.get(n, ())]
                    shift[first] = fixed[0] - middle if fixed else min(here + there)
        return shift

    def _made(self, name: str) -> str:
        """The first output of the node, or of its copy in this step, that computes what a node of this step reads."""
        node = self.own.get(name) or self.own.get(self.copies.after.get(name, ""))
        return node.outputs[0] if node is not None else ""

    def _states(self) -> dict[str, int]:
        """The tensors that copies read where the first of them reads an input of the graph, and of which step each is."""
        copies, found = self.copies, dict[str, int]()
        for node in self.nodes:
            orbit = sorted(copies.orbit(node.outputs[0]).items())
            pair = [copies.editor.producer(name) for _, name in orbit[:2]]
            if len(pair) < 2 or pair[0] is None or pair[1] is None:
                continue
            for a, b in zip(pair[0].inputs, pair[1].inputs, strict=True):
                if a != b and a not in copies.step and self._given(a):
                    found.update((name, at - copies.at(b)) for at, name in copies.orbit(b).items())
        return found

    def _given(self, name: str) -> bool:
        """Whether a tensor is an input of the graph, or a view of one."""
        editor = self.copies.editor
        *_, source = sources(editor, name)
        return editor.producer(source) is None and editor.constant(source) is None

    # ----------------------------------------------------------------- states that run ahead of the frames

    def _ahead(self) -> Late:
        """What no result of a step needs is left to the next step; what only prepares it, to the step that reads it.

        A state that is computed from states alone is ahead of the frames: b' = p b + q a, of which the next step reads r b',
        and the next but one p b'.
        """
        late = {n.outputs[0] for n in self.nodes if self._moving(n)} - self.starting - self._read_at_the_end()
        while early := {n for n in late if not self._only_later(self.own[n], late)}:
            late -= early
        shift = dict.fromkeys(late, 1)
        for _ in range(MOST_STEPS):
            for node in reversed(self.nodes):
                if node.outputs[0] in late and len(self._moving(node)) == 1:
                    shift[node.outputs[0]] = min(self._limits(node, shift))
        return shift

    def _read_at_the_end(self) -> set[str]:
        """First outputs of nodes of whose copies in the last step something outside of the loop reads a result."""
        copies, inside = self.copies, self._inside()
        last = {n.outputs[0]: copies.orbit(n.outputs[0]).get(copies.length - 1, "") for n in self.nodes}
        return {first for first, name in last.items() if any(id(r) not in inside for r in copies.editor.uses(name))}

    def _limits(self, node: Node, shift: Late) -> Iterator[int]:
        """By how many steps a node may be postponed: to what reads it, and to a step after what it reads."""
        for name in node.outputs:
            yield from (shift.get(r.outputs[0], 0) for r in self.readers[name])
            yield from (1 + shift.get(r.outputs[0], 0) for r in self.later.get(name, ()))
        for name in self._moving(node):
            yield (1 if name in self.own or name in self.frames else 0) + shift.get(self._made(name), 0)
