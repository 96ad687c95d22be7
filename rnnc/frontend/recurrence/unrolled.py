"""One unrolled loop: its nodes with their copies, which tensors are its states, and who reads its results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rnnc.frontend.recurrence.copies import Copies
from rnnc.frontend.recurrence.cuts import Cuts
from rnnc.frontend.rewrite.editor import topological
from rnnc.tracing import Node

MOST_FIRST = 4
"""Steps at the start that may look different."""
Reading = tuple[str, int, str]
"""("role", how many steps back, as a negative number, role), or ("constant" or "outside", 0, which)."""
Readings = dict[tuple[str, int], Reading]
"""What each input of each role's node is."""


@dataclass(frozen=True, eq=False)
class Use:
    """A Concat that joins a role's tensors of all steps, and whether it does so backwards."""

    role: str
    join: Node
    turned: bool


def bodies(copies: Copies) -> Iterator[list[Body]]:
    """The loops that copies may be, each in all the ways to cut it into steps."""
    for nodes in _groups(copies):
        yield [Body(copies, nodes, late) for late in Cuts(copies, nodes).all()]


def _groups(copies: Copies) -> Iterator[list[Node]]:
    """Connected groups of the nodes of a step in the middle that nearly all steps before have copies of."""
    first = min(MOST_FIRST, copies.length - 3)
    nodes = [n for n in copies.blocks[copies.middle] if min(copies.orbit(n.outputs[0])) <= first]
    group = {name: n.outputs[0] for n in nodes for name in n.outputs}

    def top(name: str) -> str:
        while group[name] != name:
            group[name] = name = group[group[name]]
        return name

    for node in nodes:
        for name in node.inputs:
            role = name if name in group else copies.after.get(name, "")
            if role in group:
                group[top(role)] = top(node.outputs[0])
    found: dict[str, list[Node]] = {}
    for node in nodes:
        found.setdefault(top(node.outputs[0]), []).append(node)
    yield from found.values()


class Body:
    """A loop with one choice of what is left to the next step.

    Args:
        copies: all copies.
        nodes: those of the loop in a step in the middle.
        late: by how many steps those of them are postponed, by first output, that belong to a later one.
    """

    def __init__(self, copies: Copies, nodes: list[Node], late: Mapping[str, int]) -> None:
        self.copies, self.own_nodes = copies, nodes
        self.tables: list[dict[str, str]] = [{} for _ in range(copies.length)]
        """For each step the tensor that plays each role."""
        self.place: dict[str, tuple[int, str]] = {}
        """The step and role of each tensor of the loop, frames included."""
        self.own = [name for n in nodes for name in n.outputs]
        middle = copies.middle
        roles = {name: late.get(n.outputs[0], 0) for n in nodes for name in n.outputs}
        roles |= dict.fromkeys((name for name in copies.frames if copies.at(name) == middle), 0)
        for role, shift in roles.items():
            for at, name in copies.orbit(role).items():
                if 0 <= at + shift < copies.length:
                    self.tables[at + shift][role] = name
                    self.place[name] = at + shift, role
        step = copies.length - 2
        self.nodes = topological([self._node(n.outputs[0], step) for n in nodes if n.outputs[0] in self.tables[step]])
        """The loop's nodes in the step before the last, as they are shared out in the end."""
        self.states: list[str] = []
        self.frames: list[str] = []
        self.first = 0
        """The first step that looks like all others."""
        self.firsts: dict[str, str] = {}
        """What that step reads in the place of each state."""
        self.uses: list[Use] = []
        self.trouble: tuple[Node, str] | None = None
        """Where and why it is not a loop."""
        self.inside: set[int] = set()
        """The nodes of all steps from the first on that looks like the others."""
        self.late: list[str] = []
        """Roles whose tensors of the last step something reads."""
        self.before: list[str] = []
        """States that something reads of the step before the last, beside the last step."""

    def _node(self, role: str, step: int) -> Node:
        node = self.copies.editor.producer(self.tables[step][role])
        assert node is not None
        return node

    # ----------------------------------------------------------------- whether it is one

    def repeats(self) -> bool:
        """Whether all steps but some at the start are the same, and all that reads the results is a Concat or late."""
        last = self.copies.length - 1
        pattern = self._readings(last - 1)
        self.states = list(dict.fromkeys(r[2] for r in pattern.values() if r[0] == "role" and r[1] == -1))
        self.frames = list(
            dict.fromkeys(r[2] for r in pattern.values() if r[0] == "role" and r[2] in self.copies.frames)
        )
        self.frames += [r for r in self.states if r in self.copies.frames and r not in self.frames]
        far = next((key for key, r in pattern.items() if r[0] == "role" and r[1] not in (0, -1)), None)
        if far is not None:
            return self._fails(self._node(far[0], last - 1), "this node reads more than a step back")
        if not self._readings(last).items() <= pattern.items():
            return self._differs(pattern, last)
        step = last - 1
        while step > 0 and self._readings(step - 1) == pattern:
            step -= 1
        if step > 0 and self._starts(pattern, self._readings(step - 1)):
            step -= 1
        self.first = step
        if step > min(MOST_FIRST, last - 2):
            return self._differs(pattern, step - 1)
        self._find_firsts()
        if len(self.firsts) < len(self.states):
            return self._fails(self._node(self.own[0], step), "it starts from several tensors in one's place")
        return self._find_uses()

    def _fails(self, node: Node, why: str) -> bool:
        self.trouble = node, why
        return False

    def _differs(self, pattern: Readings, step: int) -> bool:
        """Note the first node of a step that is not as in the step before the last."""
        here = self._readings(step)
        role = next(key[0] for key in (*here, *pattern) if here.get(key) != pattern.get(key))
        at = step if role in self.tables[step] else self.copies.length - 2
        node = self._node(role, at)
        return self._fails(node, f"step {step} is not like the others here")

    def _readings(self, step: int) -> Readings:
        """What each input of each role's node is in a step: a constant, a tensor from outside, or a role and how far back."""
        found: Readings = {}
        done: set[str] = set()
        for role in self.own:
            name = self.tables[step].get(role)
            node = self.copies.editor.producer(name) if name else None
            if node is None or node.outputs[0] in done:
                continue
            done.add(node.outputs[0])
            for i, read in enumerate(node.inputs):
                found[role, i] = self._reading(read, step)
            found[role, -1] = ("node", 0, "")
        return found

    def _reading(self, name: str, step: int) -> Reading:
        constant = self.copies.constant(name)
        if not name or constant is not None:
            return ("constant", 0, constant or "")
        if name in self.place:
            at, role = self.place[name]
            return ("role", at - step, role)
        return ("outside", 0, name)

    @staticmethod
    def _starts(pattern: Readings, here: Readings) -> bool:
        """Whether a step differs in no more than what it reads in the place of states."""
        return pattern.keys() == here.keys() and all(
            reading == here[key] or reading[:2] == ("role", -1) for key, reading in pattern.items()
        )

    def _find_firsts(self) -> None:
        middle = self.copies.length - 2
        for node in self.nodes:
            there = self._node(self.place[node.outputs[0]][1], self.first)
            for i, name in enumerate(node.inputs):
                at, role = self.place.get(name, (middle, ""))
                if at == middle - 1 and self.firsts.setdefault(role, there.inputs[i]) != there.inputs[i]:
                    self.firsts = {}
                    return

    def _find_uses(self) -> bool:
        editor, last = self.copies.editor, self.copies.length - 1
        steps = range(self.first, last + 1)
        producers = (editor.producer(n) for t in steps for role, n in self.tables[t].items() if role in self.own)
        self.inside = {id(n) for n in producers if n is not None}
        joins: dict[tuple[str, int], Use] = {}
        for t in steps:
            for role in self.own:
                name = self.tables[t].get(role, "")
                left = [r for r in self.readers(name) if (role, id(r)) not in joins]
                for reader in left:
                    use = self._join(role, reader)
                    if use is not None:
                        joins[role, id(reader)] = use
                late = name in editor.results or any((role, id(r)) not in joins for r in left)
                if late and (t < last - 1 or (t == last - 1 and role not in self.states)):
                    return self._fails(
                        self._node(role, t), f"of step {t} alone something else reads what this node gives"
                    )
                if late and (t < last or role not in self.states):
                    (self.late if t == last else self.before).append(role)
        framed = [role for role in self.states if role in self.copies.frames]
        late_frames = {t: [r for r in framed if self.readers(self.tables[t][r])] for t in (last - 2, last - 1)}
        self.before += [role for role in late_frames[last - 1] if role not in late_frames[last - 2]]
        self.uses = list(joins.values())
        return bool(self.uses or self.late or any(self._read_last(role) for role in self.states))

    def readers(self, name: str) -> list[Node]:
        """What reads a tensor outside of the loop."""
        return [r for r in self.copies.editor.uses(name) if id(r) not in self.inside] if name else []

    def _read_last(self, role: str) -> bool:
        name = self.tables[-1].get(role, "")
        return name in self.copies.editor.results or bool(self.copies.editor.uses(name))

    def _join(self, role: str, reader: Node) -> Use | None:
        """A Concat of a role's tensors of all steps; those of the first steps may be any."""
        if reader.op_type != "Concat" or len(reader.inputs) != self.copies.length:
            return None
        order = reader.inputs[::-1] if self.copies.backward else reader.inputs
        for names, turned in ((order, False), (order[::-1], True)):
            if all(self.tables[t].get(role) == names[t] for t in range(self.first, self.copies.length)):
                return Use(role, reader, turned)
        return None

    def joined(self, use: Use, step: int) -> str:
        """What a Concat joins of a step."""
        return use.join.inputs[-1 - step if use.turned != self.copies.backward else step]
