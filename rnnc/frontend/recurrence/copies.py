"""Which nodes of a graph are copies of each other, one for each step of a sequence.

The frames of a sequence are what takes single steps out of it. A node belongs to the step of the latest frame that it
depends on. Two nodes of neighbouring steps that do the same to the same tensors of their own step are copies; and what
copies read are copies too, whatever the step it comes from.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace
from itertools import pairwise

from rnnc.frontend.recurrence.takes import SHORTEST, Take, find_takes
from rnnc.frontend.rewrite.editor import Editor, all_inputs, cone, reached
from rnnc.frontend.rewrite.expressions import digest
from rnnc.frontend.rewrite.twins import kind, without_twins
from rnnc.tracing import Graph, Node

BEFORE = -1
"""The step of what depends on no frame."""
Frames = dict[str, Take]
"""Tensors that are single steps of sequences, with where they are taken."""


def all_copies(editor: Editor, fixed: frozenset[str]) -> Iterator[Copies]:
    """The copies along all sequences that are long enough, likeliest first; ``fixed``: inputs that have no time."""
    for frames in _frame_sets(editor, fixed):
        for backward in (False, True):
            copies = Copies(editor, frames, backward)
            if copies.length >= SHORTEST:
                yield copies


def _frame_sets(editor: Editor, fixed: frozenset[str]) -> Iterator[Frames]:
    """Tensors that may be the steps of one loop, likeliest first: all of sequences of one length.

    The gates of a cell are taken out of one tensor too: sequences that depend on no frame themselves come first.
    What depends on ``fixed`` inputs alone is no sequence.
    """
    frames = {name: take for name, take in find_takes(editor).items() if take.width == 1}
    if fixed:
        timeless = {f.sequence for f in frames.values() if sources(editor, f.sequence) <= fixed}
        frames = {name: frame for name, frame in frames.items() if frame.sequence not in timeless}
    lengths: dict[int, Frames] = {}
    for name, frame in frames.items():
        length = (editor.shape(frame.sequence) or (0,))[frame.axis]
        lengths.setdefault(length, {})[name] = frame
    inner = reached(editor.nodes, frames)
    for length in sorted(lengths, key=lambda n: len(lengths[n]), reverse=True):
        outer = {name: frame for name, frame in lengths[length].items() if frame.sequence not in inner}
        yield from [outer] if outer else []
        if len(outer) < len(lengths[length]):
            yield lengths[length]


def sources(editor: Editor, name: str) -> set[str]:
    """The inputs of the graph that a tensor depends on."""
    read = {name}.union(*map(all_inputs, cone(editor.nodes, [name])))
    return read.intersection(t.name for t in editor.graph.inputs)


class Copies:
    """The copies along one set of frames: step by step from the first frame, or from the last where ``backward``."""

    def __init__(self, editor: Editor, frames: Frames, backward: bool) -> None:
        self.editor, self.frames, self.backward = editor, frames, backward
        self.length = next((editor.shape(f.sequence) or (0,))[f.axis] for f in frames.values())
        self.step = {name: self.length - 1 - f.start if backward else f.start for name, f in frames.items()}
        self.after: dict[str, str] = {}
        """The copy of a tensor in the step after its own."""
        self.before: dict[str, str] = {}
        """The copy of a tensor in the step before its own."""
        self.early: dict[str, int] = {}
        """Negative steps of what depends on no frame, but whose copies do."""
        self.blocks: list[list[Node]] = [[] for _ in range(self.length)]
        self._waiting: list[tuple[str, str]] = []
        """Pairs of which neither has a step yet."""
        self._numbers: dict[Hashable, int] = {}
        self._constants: dict[str, str] = {}
        for node in editor.nodes:
            at = max((self.step[name] for name in node.inputs if name in self.step), default=BEFORE)
            if at > BEFORE and not any(name in frames for name in node.outputs):
                self.step.update((name, at) for name in node.outputs if name)
                self.blocks[at].append(node)
        self._pair_all()

    @property
    def middle(self) -> int:
        """A step that all nodes of a loop have copies in: near the end, where all is read that the last step needs, and before
        what a state that runs ahead of the frames leaves out there."""
        return max(self.length - 4, 2)

    def at(self, name: str) -> int:
        """The step of a tensor."""
        return self.step.get(name, self.early.get(name, BEFORE))

    def slot(self, name: str) -> Hashable:
        """What frames of different steps have in common."""
        frame = self.frames[name]
        return frame.sequence, frame.axis, frame.kept

    def constant(self, name: str) -> str | None:
        """A short name for the value of a constant; None where the tensor is none."""
        array = self.editor.constant(name)
        if array is None:
            return None
        if name not in self._constants:
            self._constants[name] = digest(array)
        return self._constants[name]

    def orbit(self, name: str) -> dict[int, str]:
        """A tensor and its copies by step."""
        first = name
        while first in self.before:
            first = self.before[first]
        found = {self.at(first): first}
        while first in self.after:
            first = self.after[first]
            found[self.at(first)] = first
        return found

    # ----------------------------------------------------------------- pairs

    def _pair_all(self) -> None:
        slots: dict[Hashable, dict[int, str]] = {}
        for name in self.frames:
            slots.setdefault(self.slot(name), {})[self.at(name)] = name
        for found in slots.values():
            for at, name in found.items():
                if at + 1 in found:
                    self._link(name, found[at + 1])
        keys: dict[str, int] = {}
        alone = [self._alone(block, keys) for block in self.blocks]
        for here, there in reversed(list(pairwise(alone))):
            for key, node in here.items():
                if key in there:
                    self._pair(node.outputs[0], there[key].outputs[0])
        while any(b in self.early for _, b in self._waiting):
            waiting, self._waiting = self._waiting, []
            for a, b in waiting:
                self._pair(a, b)

    def _alone(self, block: list[Node], keys: dict[str, int]) -> dict[int, Node]:
        """The nodes of a step that differ from all others of it, judged by that step alone."""
        found: dict[int, list[Node]] = {}
        for node in block:
            key = self._number((kind(node), *(self._look(n, node, keys) for n in node.inputs)))
            keys.update((name, self._number((key, i))) for i, name in enumerate(node.outputs))
            found.setdefault(key, []).append(node)
        return {key: nodes[0] for key, nodes in found.items() if len(nodes) == 1}

    def _look(self, name: str, node: Node, keys: dict[str, int]) -> Hashable:
        constant = self.constant(name)
        if not name or constant is not None:
            return constant
        here = self.at(name) == self.at(node.outputs[0])
        if name in self.frames:
            return ("frame", self.slot(name)) if here else "other"
        return keys[name] if here else "other"

    def _number(self, key: Hashable) -> int:
        return self._numbers.setdefault(key, len(self._numbers))

    def _link(self, a: str, b: str) -> None:
        self.after[a], self.before[b] = b, a

    def _pair(self, first: str, second: str) -> None:
        """Take two tensors, and what they are computed from, as copies of each other, as far as they agree."""
        queue = [(first, second)]
        while queue:
            a, b = queue.pop()
            known = a in self.step or a in self.early
            if a == b or a in self.after or b in self.before or (known and self.at(b) != self.at(a) + 1):
                continue
            if not known and b not in self.step and b not in self.early:
                self._waiting.append((a, b))
                continue
            here, there = self.editor.producer(a), self.editor.producer(b)
            framed = a in self.frames or b in self.frames
            if framed or here is None or there is None or not self._alike(here, there):
                continue
            if here.outputs.index(a) != there.outputs.index(b):
                continue
            for x, y in zip(here.outputs, there.outputs, strict=True):
                self._link(x, y)
                if not known:
                    self.early[x] = self.at(b) - 1
            queue += [(x, y) for x, y in zip(here.inputs, there.inputs, strict=True) if x and self.constant(x) is None]

    def _alike(self, a: Node, b: Node) -> bool:
        """Whether two nodes do the same, to tensors that may differ."""
        return kind(a) == kind(b) and all(
            bool(x) == bool(y) and self.constant(x) == self.constant(y) for x, y in zip(a.inputs, b.inputs, strict=True)
        )


def all_named(graph: Graph) -> Graph:
    """The graph without twins, all outputs of its nodes named."""
    graph = without_twins(graph)
    editor = Editor(graph)
    named = (replace(n, outputs=tuple(o or editor.fresh("unread") for o in n.outputs)) for n in graph.nodes)
    return replace(graph, nodes=tuple(named))
