"""Unrolled loops rolled up again: T copies of the same nodes, one for each step of a sequence, become a Scan.

Steps are taken out of a sequence by Gather, Slice or Split. A node belongs to the step of the latest frame that it
depends on. Two steps in the middle are compared node by node; nodes that play the same part get the same role. What a
step reads of the one before it is state. The first step may look different (a state of zeros folds away): that the
body gives the same result there is checked with numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnc.frontend.editor import Editor
from rnnc.frontend.evaluate import evaluate, measure
from rnnc.frontend.rewrite import canonical
from rnnc.frontend.steps import Frame, Role, Steps, frame_sets
from rnnc.tracing import Graph, Node, Tensor

SHORTEST = 4
"""Steps that an unrolled loop must have to be told from a coincidence."""
MOST_STARTS = 64
TOLERANCE = 1e-5


def roll_up(graph: Graph) -> Graph:
    """The graph with its unrolled loops as Scans."""
    while True:
        rolled = _roll_one(graph)
        if rolled is None:
            return graph
        graph = rolled


def _roll_one(graph: Graph) -> Graph | None:
    """Roll up one loop; None where there is none."""
    editor = Editor(graph)
    for node in [n for n in graph.nodes if not all(n.outputs)]:
        editor.replace([node], [replace(node, outputs=tuple(n or editor.fresh("unread") for n in node.outputs))])
    for frames, backward, postpone in product(frame_sets(editor), (False, True), (True, False)):
        steps = Steps(editor, frames, backward, postpone)
        if steps.length < SHORTEST:
            continue
        for chain in steps.chains():
            if _Rolling(editor, steps, chain).apply():
                return editor.finish()
    return None


# --------------------------------------------------------------------------- one loop


@dataclass
class _Rolling:
    """One unrolled loop: ``chain`` is its nodes in the step before the last."""

    editor: Editor
    steps: Steps
    chain: list[Node]
    states: list[Role] = field(default_factory=list)
    """Roles whose tensors the next step reads."""
    late: list[Role] = field(default_factory=list)
    """Other roles whose tensors of the last step something reads."""
    uses: dict[Role, tuple[Node, bool]] = field(default_factory=dict)
    """Roles that a Concat joins over time, the Concat, and whether it does so backwards."""

    def apply(self) -> bool:
        """Replace the loop by a Scan; False where it turns out to be none."""
        self.tables = [self._table(t) for t in range(self.steps.length)]
        middle = self.steps.length - 2
        self.states = self._find_states(middle)
        if not all(self._same_states(t) for t in range(2, self.steps.length)):
            return False
        if not self._find_uses():
            return False
        self.late = [
            role for role, name in self.tables[-1].items() if role not in self.states and self._read_late(name)
        ]
        start = self._find_start()
        if start is None:
            return False
        self._replace(start)
        return True

    def _table(self, step: int) -> dict[Role, str]:
        """The tensors of the loop's roles in a step."""
        roles = {self.steps.role[n.outputs[0]][0] for n in self.chain}
        return {
            self.steps.role[name]: name
            for node in self.steps.blocks[step]
            for name in node.outputs
            if name and self.steps.role[name][0] in roles
        }

    def _before(self, step: int) -> list[tuple[Role, str]]:
        """What the loop's nodes of a step read of other steps, in order."""
        found = []
        roles = {self.steps.role[n.outputs[0]][0] for n in self.chain}
        for node in self.steps.blocks[step]:
            if self.steps.role[node.outputs[0]][0] not in roles:
                continue
            for name in node.inputs:
                if self.steps.step.get(name, step) != step and name not in self.steps.frames:
                    found.append((self.steps.role[name], name))
        return found

    def _find_states(self, step: int) -> list[Role]:
        return list(dict.fromkeys(role for role, _ in self._before(step)))

    def _same_states(self, step: int) -> bool:
        """Whether each node of a step reads, of the step before, what its counterpart does."""
        here = self._readings(step)
        return here == self._readings(self.steps.length - 2) or (step == self.steps.length - 1 and self._covers(here))

    def _covers(self, here: dict[tuple[str, int], Role | None]) -> bool:
        there = self._readings(self.steps.length - 2)
        return all(there.get(key) == role for key, role in here.items())

    def _readings(self, step: int) -> dict[tuple[str, int], Role | None]:
        """For each input of each role that comes from another step: the role there, None if it is not of this loop."""
        readings: dict[tuple[str, int], Role | None] = {}
        roles = {self.steps.role[n.outputs[0]][0] for n in self.chain}
        for node in self.steps.blocks[step]:
            role = self.steps.role[node.outputs[0]][0]
            if role not in roles:
                continue
            for i, name in enumerate(node.inputs):
                at = self.steps.step.get(name, step)
                if at != step and name not in self.steps.frames:
                    mine = at == step - 1 and (step == 1 or name in self.tables[step - 1].values())
                    readings[role, i] = self.steps.role[name] if mine else None
        return readings

    def _find_uses(self) -> bool:
        """Whether all that reads the loop's tensors from outside is a Concat over all steps, or reads the last step."""
        last = self.steps.length - 1
        if any(role is None for role in self._readings(last - 1).values()):
            return False
        inside = {id(n) for t in range(self.steps.length) for n in self._nodes(t)}
        for t in range(1, last):
            for role, name in self.tables[t].items():
                readers = [r for r in self.editor.uses(name) if id(r) not in inside]
                if name in self.editor.results:
                    return False
                for reader in readers:
                    if not self._join(role, reader):
                        return False
        return True

    def _read_late(self, name: str) -> bool:
        """Whether a tensor of the last step is read outside of the loop, other than by a Concat over all steps."""
        inside = {id(n) for n in self._nodes(self.steps.length - 1)} | {id(join) for join, _ in self.uses.values()}
        return name in self.editor.results or any(id(r) not in inside for r in self.editor.uses(name))

    def _nodes(self, step: int) -> list[Node]:
        roles = {self.steps.role[n.outputs[0]][0] for n in self.chain}
        block = self.steps.blocks[step]
        if step:
            return [n for n in block if self.steps.role[n.outputs[0]][0] in roles]
        return block

    def _join(self, role: Role, reader: Node) -> bool:
        """Whether a reader is a Concat of a role's tensors of all steps; the first step's may have any role."""
        if reader.op_type != "Concat" or len(reader.inputs) != self.steps.length:
            return False
        order = reader.inputs[::-1] if self.steps.backward else reader.inputs
        for names, turned in ((order, False), (order[::-1], True)):
            if all(self.tables[t].get(role) == names[t] for t in range(1, self.steps.length)):
                if self.steps.step.get(names[0]) != 0:
                    return False
                self.uses[role] = (reader, turned)
                return True
        return False

    # ------------------------------------------------------------- the first step

    def _firsts(self) -> dict[Role, str] | None:
        """The tensors of the first step that later nodes read in the place of each role."""
        firsts: dict[Role, str] = {}
        places = self._places(self.steps.length - 2)
        for key, name in self._places(1).items():
            if key in places:
                firsts.setdefault(places[key], name)
        for role, (join, turned) in self.uses.items():
            firsts[role] = join.inputs[-1 if turned != self.steps.backward else 0]
        return firsts if all(role in firsts for role in self.states) else None

    def _places(self, step: int) -> dict[tuple[str, int], Any]:
        """Where a step reads the step before: the tensor (step 1), or the role (later)."""
        places: dict[tuple[str, int], Any] = {}
        for node in self._nodes(step):
            for i, name in enumerate(node.inputs):
                if name not in self.steps.frames and self.steps.step.get(name, step) != step:
                    role = self.steps.role.get(name)
                    places[self.steps.role[node.outputs[0]][0], i] = name if step == 1 else role
        return places

    def _find_start(self) -> dict[Role, NDArray[Any]] | None:
        """Initial states with which the body gives what the first step of the file gives; None where there are none."""
        firsts = self._firsts()
        if firsts is None:
            return None
        rng = np.random.default_rng(0)
        sequences = {f.sequence: f.axis for f in self.steps.frames.values()}
        shapes = {s: self.editor.shape(s) for s in sequences}
        data = {s: rng.standard_normal(shape).astype(np.float32) for s, shape in shapes.items() if shape is not None}
        wanted = self._run(self.steps.blocks[0], self._frame_values(data, 0), {})
        at = {role: self.editor.shape(self.tables[self.steps.length - 2][role]) for role in self.states}
        choices = [self._candidates(shape) for shape in at.values() if shape is not None]
        if len(choices) != len(self.states) or any(name not in wanted for name in firsts.values()):
            return None
        for start in islice(product(*choices), MOST_STARTS):
            given = dict(zip(self.states, start, strict=True))
            got = self._body_values(data, given)
            if all(_close(got.get(role), wanted[name]) for role, name in firsts.items()):
                return given
        return None

    def _candidates(self, shape: tuple[int, ...]) -> list[NDArray[Any]]:
        """Zeros, and the constants that the first step reads, in the shape of a state."""
        size = int(np.prod(shape, dtype=np.int64))
        found = [np.zeros(shape, np.float32)]
        for node in self.steps.blocks[0]:
            constants = [self.editor.constant(name) for name in node.inputs]
            found += [c.reshape(shape) for c in constants if c is not None and c.size == size and c.dtype.kind == "f"]
        return found

    def _body_values(self, data: dict[str, NDArray[Any]], start: dict[Role, NDArray[Any]]) -> dict[Role, NDArray[Any]]:
        """What the body gives for the first frame: the middle step's nodes, fed with it."""
        step = self.steps.length - 2
        before = {name: start[role] for role, name in self._before(step)}
        frames = self._frame_values(data, 0)
        mine = {n: f for n, f in self.steps.frames.items() if self.steps.step[n] == step}
        first = {self._slot(f): frames[n] for n, f in self.steps.frames.items() if n in frames}
        values = self._run(
            self._nodes(step), {n: first[self._slot(f)] for n, f in mine.items() if self._slot(f) in first}, before
        )
        return {role: values[name] for role, name in self.tables[step].items() if name in values}

    @staticmethod
    def _slot(frame: Frame) -> tuple[str, int, bool]:
        return frame.sequence, frame.axis, frame.kept

    def _frame_values(self, data: dict[str, NDArray[Any]], step: int) -> dict[str, NDArray[Any]]:
        values = {}
        for name, frame in self.steps.frames.items():
            if self.steps.step[name] == step and frame.sequence in data:
                taken = np.take(data[frame.sequence], [frame.time], frame.axis)
                values[name] = taken if frame.kept else np.squeeze(taken, frame.axis)
        return values

    def _run(self, nodes: list[Node], *known: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        given = {k: v for group in known for k, v in group.items()}
        return evaluate(nodes, {**self.editor.constants, **given}, self.editor.graph.opset)

    # ------------------------------------------------------------- the Scan

    def _replace(self, start: dict[Role, NDArray[Any]]) -> None:
        editor, step, last = self.editor, self.steps.length - 2, self.steps.length - 1
        body_nodes, inputs, scans = list(self._nodes(step)), list[Tensor](), list[Frame]()
        names: dict[str, str] = {}
        for role in self.states:
            name = editor.fresh("state")
            inputs.append(Tensor(name, start[role].shape, "float32"))
            names.update((old, name) for r, old in self._before(step) if r == role)
        shapes = {t.name: t.shape for t in inputs}
        for old, frame in self._own_frames(step):
            shape = editor.shape(frame.sequence) or ()
            name = editor.fresh("frame")
            cut = (*shape[: frame.axis], *shape[frame.axis + 1 :])
            inputs.append(Tensor(name, cut, "float32"))
            shapes[name] = cut
            scans.append(frame)
            names[old] = name
            if frame.kept:
                names[old] = editor.fresh("kept")
                axes = editor.add_constant(np.asarray([frame.axis], np.int64), "axes")
                body_nodes.insert(0, Node("", "Unsqueeze", "", (name, axes), (names[old],)))
        body_nodes = [replace(n, inputs=tuple(names.get(i, i) for i in n.inputs)) for n in body_nodes]
        results = [self.tables[step][role] for role in [*self.states, *self.uses, *self.late]]
        finals, stacked = self._results(last)
        outputs = tuple(Tensor(n, editor.shape(n) or (), "float32") for n in results)
        needed = {name for node in body_nodes for name in node.inputs}
        constants = {name: editor.constants[name] for name in needed if name in editor.constants}
        inner = {**editor.shapes, **shapes}
        body = Graph("body", tuple(body_nodes), tuple(inputs), outputs, constants, inner, editor.graph.opset)
        body = canonical(measure(body, {}, shapes))
        attributes = {
            "body": body,
            "num_scan_inputs": len(scans),
            "scan_input_axes": [f.axis for f in scans],
            "scan_input_directions": [int(self.steps.backward)] * len(scans),
            "scan_output_directions": [*(int(turned) for _, turned in self.uses.values()), *[0] * len(self.late)],
        }
        starts = [editor.add_constant(array, "start") for array in start.values()]
        scan = Node(
            self.chain[-1].name, "Scan", "", (*starts, *(f.sequence for f in scans)), (*finals, *stacked), attributes
        )
        for name, shape in zip(stacked, (o.shape for o in outputs[len(self.states) :]), strict=True):
            editor.shapes[name] = (self.steps.length, *shape)
        joins = [
            n for (join, _), name in zip(self.uses.values(), stacked, strict=False) for n in self._unjoin(join, name)
        ]
        late = [
            self._last_of(name, self.tables[last][role])
            for role, name in zip(self.late, stacked[len(self.uses) :], strict=True)
        ]
        gone = [*self._ends(last), *(join for join, _ in self.uses.values())]
        editor.replace(list({id(n): n for n in gone}.values()), [scan, *joins, *late])

    def _own_frames(self, step: int) -> list[tuple[str, Frame]]:
        read = {name for node in self._nodes(step) for name in node.inputs}
        return [(n, f) for n, f in self.steps.frames.items() if self.steps.step[n] == step and n in read]

    def _results(self, last: int) -> tuple[list[str], list[str]]:
        """Names of the Scan's outputs: final states under the last step's names, the stacked ones under new ones."""
        finals = [self.tables[last].get(role, "") for role in self.states]
        return finals, [self.editor.fresh("stacked") for _ in (*self.uses, *self.late)]

    def _ends(self, last: int) -> list[Node]:
        """The nodes of the last step whose results the Scan gives."""
        finals = [self.tables[last][role] for role in (*self.states, *self.late) if role in self.tables[last]]
        producers = [self.editor.producer(name) for name in finals]
        return [n for n in producers if n is not None]

    def _last_of(self, stacked: str, name: str) -> Node:
        index = self.editor.add_constant(np.asarray(-1, np.int64), "index")
        return Node("", "Gather", "", (stacked, index), (name,), {"axis": 0})

    def _unjoin(self, join: Node, stacked: str) -> Iterator[Node]:
        """What the Concat gives, from what the Scan stacks up on a new axis in front."""
        shape = self.editor.shape(join.outputs[0]) or ()
        axis = int(join.attributes["axis"]) % len(shape)
        squeezed = self.editor.fresh("squeezed")
        axes = self.editor.add_constant(np.asarray([axis + 1], np.int64), "axes")
        yield Node(join.name, "Squeeze", "", (stacked, axes), (squeezed,))
        rest = [i for i in range(len(shape)) if i != axis]
        perm = [0 if i == axis else 1 + rest.index(i) for i in range(len(shape))]
        self.editor.shapes[squeezed] = (shape[axis], *(shape[i] for i in rest))
        yield Node(join.name, "Transpose", "", (squeezed,), join.outputs, {"perm": perm})


def _close(got: NDArray[Any] | None, wanted: NDArray[Any]) -> bool:
    if got is None or got.size != wanted.size:
        return False
    return bool(np.allclose(got.ravel(), wanted.ravel(), rtol=TOLERANCE, atol=TOLERANCE))
