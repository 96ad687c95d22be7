"""Unrolled loops rolled up again: T copies of the same nodes, one for each step of a sequence, become a Scan.

Steps are taken out of a sequence by Gather, Slice or Split (``copies``). Nodes that are copies of each other play the same
role, which has the name of the tensor in the step before the last (``copies``). What a step reads of the one before it is
state (``cuts``). The first steps may look different (a state of zeros folds away): with which initial state the body gives
the same there is found with numbers (``first_steps``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rnnc.frontend.recurrence.copies import Frames, all_copies, all_named
from rnnc.frontend.recurrence.cuts import Cuts
from rnnc.frontend.recurrence.first_steps import find_start
from rnnc.frontend.recurrence.scans import along, complete
from rnnc.frontend.recurrence.takes import LONGEST_PERIOD, regular
from rnnc.frontend.recurrence.unrolled import Body, bodies
from rnnc.frontend.rewrite.editor import Editor
from rnnc.frontend.rewrite.patterns import put, tensor
from rnnc.tracing import Graph, Node, Tensor


def roll_up(graph: Graph, fixed: frozenset[str] = frozenset()) -> Graph:
    """The graph with its unrolled loops as Scans; ``fixed``: inputs that have no time."""
    while (rolled := _roll_any(all_named(graph), fixed)) is not None:
        graph = rolled
    return graph


def _roll_any(graph: Graph, fixed: frozenset[str]) -> Graph | None:
    """Roll up one loop, whose steps may read every k-th step of a sequence, or several; None where there is none."""
    rolled = _roll_one(graph, fixed)
    for period in range(1, LONGEST_PERIOD + 1):
        if rolled is None and (other := regular(graph, fixed, period)) is not None:
            rolled = _roll_one(all_named(other), fixed)
    return rolled


def _roll_one(graph: Graph, fixed: frozenset[str], doubled: bool = False) -> Graph | None:
    """Roll up one loop; None where there is none.

    ``doubled``: what the graph computes of states for this step and the next stands there twice already; no state may
    start from what is computed any more.
    """
    editor = Editor(graph)
    for choices in _loops(editor, fixed):
        found = [(body, start) for body in choices if (start := find_start(body)) is not None]
        if found:
            body, start = min(found, key=lambda f: (_computed(editor, f[1]), len(f[1])))
            if _computed(editor, start):
                twice = None if doubled else Cuts(body.copies, body.own_nodes).doubled()
                rolled = None if twice is None else _roll_one(twice, fixed, doubled=True)
                if rolled is not None or doubled:
                    return rolled
            editor.note("copies of one step = Scan", body.nodes[-1])
            _Rolling(body, start).apply()
            return editor.finish()
    return None


def _loops(editor: Editor, fixed: frozenset[str]) -> Iterator[list[Body]]:
    """The loops that the graph may hold, likeliest first, each in all the ways to cut it into steps."""
    for copies in all_copies(editor, fixed):
        for ways in bodies(copies):
            yield [body for body in ways if body.repeats()]


def _computed(editor: Editor, start: dict[str, str]) -> int:
    """How many states start from what the graph computes."""
    return sum(editor.constant(name) is None and editor.producer(name) is not None for name in start.values())


class _Rolling:
    """Puts a Scan in the place of a loop. ``start``: the tensor that each state starts from."""

    def __init__(self, body: Body, start: dict[str, str]) -> None:
        self.body, self.start, self.editor = body, start, body.copies.editor

    def apply(self) -> None:
        """Replace the nodes of the last step, and what joins those of all steps."""
        body, editor = self.body, self.editor
        last, results = body.tables[-1], [*body.states, *(use.role for use in body.uses), *body.late]
        scans = {role: body.copies.frames[role] for role in body.frames}
        finals = [self._final(role) for role in body.states]
        stacked = [editor.fresh("stacked") for _ in (*body.uses, *body.late, *body.before)]
        attributes = {
            "body": self._inner(results, scans),
            "num_scan_inputs": len(scans),
            "scan_input_axes": [f.axis for f in scans.values()],
            "scan_input_directions": [int(body.copies.backward)] * len(scans),
            "scan_output_directions": [
                *(int(use.turned) for use in body.uses),
                *[0] * (len(body.late) + len(body.before)),
            ],
        }
        inputs = (*(self.start[role] for role in body.states), *(f.sequence for f in scans.values()))
        scan = complete(editor, Node(body.nodes[-1].name, "Scan", "", inputs, (*finals, *stacked), attributes))
        shifted = {r: editor.fresh("before") for r in body.before if r in body.copies.frames}
        ends = [last[r] for r in body.late] + [shifted.get(r, body.tables[-2][r]) for r in body.before]
        late = [self._last(n, name) for name, n in zip(ends, stacked[len(body.uses) :], strict=True)]
        producers = [editor.producer(name) for name in (*finals, *ends) if name]
        gone = {id(n): n for n in producers if n is not None}
        for role, name in shifted.items():
            self._rename(body.tables[-2][role], name)
        last_join = [] if gone else [body.uses[0].join]
        editor.replace([*gone.values(), *last_join], [scan, *late, *last_join])
        for use, name in zip(body.uses, stacked, strict=False):
            self._unjoin(use.join, name)

    def _final(self, role: str) -> str:
        """The name of a state after the last step, "" where another node gives it: a frame that others read as well."""
        name, editor = self.body.tables[-1].get(role, ""), self.editor
        if name not in self.body.copies.frames:
            return name
        taken = editor.producer(name)
        alone = taken is not None and len(taken.outputs) == 1 and not self.body.readers(name)
        return name if alone and name in editor.results else ""

    def _rename(self, frame: str, name: str) -> None:
        """Let what is outside of the loop read another tensor in the place of a frame."""
        for reader in self.body.readers(frame):
            inputs = tuple(name if n == frame else n for n in reader.inputs)
            self.editor.replace([reader], [replace(reader, inputs=inputs)])

    def _inner(self, results: list[str], scans: Frames) -> Graph:
        """The body of the Scan: states and frames in, states and results out."""
        body, editor = self.body, self.editor
        inputs, nodes, renamed = list[Tensor](), list[Node](), dict[str, str]()
        for role in body.states:
            name = editor.fresh("state")
            inputs.append(Tensor(name, editor.shape(role) or (), "float32"))
            renamed[body.tables[-3][role]] = name
        for role, frame in scans.items():
            shape, name = editor.shape(frame.sequence) or (), editor.fresh("frame")
            inputs.append(Tensor(name, (*shape[: frame.axis], *shape[frame.axis + 1 :]), "float32"))
            if frame.kept:
                axes = editor.add_constant(np.asarray([frame.axis], np.int64), "axes")
                nodes.append(Node("", "Unsqueeze", "", (name, axes), (name := editor.fresh("kept"),)))
            renamed[body.tables[-2][role]] = name
        nodes += [replace(n, inputs=tuple(renamed.get(i, i) for i in n.inputs)) for n in body.nodes]
        names = [body.tables[-2][role] for role in results] + [body.tables[-3][role] for role in body.before]
        for k, name in enumerate(names):
            if name in renamed:
                names[k] = editor.fresh("same")
                nodes.append(Node("", "Identity", "", (renamed[name],), (names[k],)))
        roles = [*results, *body.before]
        outputs = tuple(Tensor(n, editor.shape(role) or (), "float32") for n, role in zip(names, roles, strict=True))
        shapes = {name: editor.shapes[name] for node in body.nodes for name in node.outputs if name in editor.shapes}
        return Graph("body", tuple(nodes), tuple(inputs), outputs, {}, shapes, editor.graph.opset)

    def _last(self, stacked: str, name: str) -> Node:
        index = self.editor.add_constant(np.asarray(-1, np.int64), "index")
        return Node("", "Gather", "", (stacked, index), (name,), {"axis": 0})

    def _unjoin(self, join: Node, stacked: str) -> None:
        """Let what the Scan stacks up on a new axis in front take the place of a Concat."""
        shape = self.editor.shapes[stacked]
        axis = int(join.attributes["axis"]) % (len(shape) - 1)
        put(self.editor, join, along(tensor(stacked), shape, axis, new=False))
