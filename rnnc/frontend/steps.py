"""The steps of an unrolled loop: which node belongs to which step of a sequence, and what part it plays there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rnnc.frontend.editor import Editor
from rnnc.frontend.expressions import digest
from rnnc.tracing import Node
from rnnc.views import VIEWS, slices, split_sizes

PREPARING = ("Dense", *VIEWS)
"""What prepares a state for the next step."""
SCALING = ("Neg", "Add", "Sub", "Mul", "Div")
"""The same, where the next step reads the state as it is as well; else it may be the end of an activation."""
Role = tuple[str, int]
"""A node's part in a step, and which of its outputs."""


@dataclass(frozen=True)
class Frame:
    """A tensor that is step ``time`` of a sequence; ``kept``: it still has the time axis, of length 1."""

    sequence: str
    axis: int
    time: int
    kept: bool


Frames = dict[str, Frame]


class Steps:
    """Which step each tensor belongs to, counted from the end where ``backward``, and its role in the step."""

    def __init__(self, editor: Editor, frames: Frames, backward: bool, postpone: bool) -> None:
        self.editor = editor
        self.backward = backward
        self.frames = frames
        self.length = next((editor.shape(f.sequence) or (0,))[f.axis] for f in frames.values())
        self.step: dict[str, int] = {}
        self.role: dict[str, Role] = {}
        for name, frame in self.frames.items():
            self.step[name] = self.length - 1 - frame.time if backward else frame.time
        self.blocks: list[list[Node]] = [[] for _ in range(self.length)]
        nodes = [n for n in editor.nodes if not any(name in self.frames for name in n.outputs)]
        for node in nodes:
            at = max((self.step[name] for name in node.inputs if name in self.step), default=-1)
            if at >= 0:
                self.step.update(dict.fromkeys(node.outputs, at))
        for node in reversed(nodes) if postpone else ():
            self._postpone(node)
        for node in nodes:
            if node.outputs[0] in self.step:
                self._place(node)

    def _postpone(self, node: Node) -> None:
        """What only prepares a state for the next step (R h, a reshape of h) is part of that one: the state is h."""
        outputs = [name for name in node.outputs if name]
        moving = [name for name in node.inputs if name in self.step]
        if node.op_type not in (*PREPARING, *SCALING) or len(moving) != 1 or moving[0] in self.frames:
            return
        at = self.step[outputs[0]]
        others = [r for r in self.editor.uses(moving[0]) if r is not node]
        if node.op_type in SCALING and not any(self.step.get(r.outputs[0]) == at + 1 for r in others):
            return
        readers = [r for name in outputs for r in self.editor.uses(name)]
        if not readers or any(name in self.editor.results for name in outputs):
            return
        if node.op_type == "Dense" and all(r.op_type == "Dense" for r in self._behind_views(readers)):
            return
        if all(self.step.get(r.outputs[0], -1) == at + 1 and r.op_type != "Concat" for r in readers):
            self.step.update(dict.fromkeys(outputs, at + 1))

    def _behind_views(self, readers: list[Node]) -> Iterator[Node]:
        """What reads through views: a matrix that only matrices read is a projection of the state."""
        for reader in readers:
            if reader.op_type in VIEWS:
                yield from self._behind_views([r for name in reader.outputs for r in self.editor.uses(name)])
            else:
                yield reader

    def _place(self, node: Node) -> None:
        at = self.step[node.outputs[0]]
        role = self._role(node, at)
        self.blocks[at].append(node)
        self.role.update((name, (role, i)) for i, name in enumerate(node.outputs))

    def _role(self, node: Node, at: int) -> str:
        parts: list[object] = [node.op_type, len(node.outputs)]
        parts += [
            (k, v if isinstance(v, np.ndarray | str | int | float) else repr(v))
            for k, v in sorted(node.attributes.items())
        ]
        for name in node.inputs:
            constant = self.editor.constant(name)
            if name in self.frames:
                frame = self.frames[name]
                parts.append(("frame", frame.sequence, frame.axis, frame.kept))
            elif constant is not None:
                parts += ["constant", constant]
            elif name in self.step:
                parts.append(("same", self.role[name]) if self.step[name] == at else "before")
            else:
                parts.append(("outside", name))
        return digest(*parts)

    def chains(self) -> Iterator[list[Node]]:
        """Connected groups of the nodes of a step in the middle whose roles all steps but the first and last have."""
        middle = self.length - 2
        roles = [[self.role[n.outputs[0]][0] for n in block] for block in self.blocks]
        common = set(roles[middle])
        for t in range(1, self.length - 1):
            common &= {r for r in roles[t] if roles[t].count(r) == 1}
        nodes = [n for n in self.blocks[middle] if self.role[n.outputs[0]][0] in common]
        yield from _connected(nodes, self)


def frame_sets(editor: Editor) -> Iterator[Frames]:
    """Tensors that may be the steps of one loop, likeliest first: all of sequences of one length.

    The gates of a cell are taken out of one tensor too: sequences that depend on no frame themselves come first.
    """
    frames = _find_frames(editor)
    lengths: dict[int, Frames] = {}
    for name, frame in frames.items():
        length = (editor.shape(frame.sequence) or (0,))[frame.axis]
        lengths.setdefault(length, {})[name] = frame
    inner = _depend(editor, frames)
    for length in sorted(lengths, key=lambda n: len(lengths[n]), reverse=True):
        outer = {name: frame for name, frame in lengths[length].items() if frame.sequence not in inner}
        yield from [outer] if outer else []
        if len(outer) < len(lengths[length]):
            yield lengths[length]


def _depend(editor: Editor, frames: Frames) -> set[str]:
    """The tensors that are computed from frames."""
    found: set[str] = set()
    for node in editor.nodes:
        if any(name in frames or name in found for name in node.inputs):
            found.update(node.outputs)
    return found


def _find_frames(editor: Editor) -> Frames:
    frames: Frames = {}
    for node in editor.nodes:
        shape = editor.shape(node.inputs[0]) if node.inputs else None
        if shape is None or node.inputs[0] in editor.constants:
            continue
        how = [editor.constant(name) for name in node.inputs[1:]]
        if any(name and c is None for name, c in zip(node.inputs[1:], how, strict=True)):
            continue
        if node.op_type == "Gather" and how[0] is not None and how[0].size == 1:
            axis = int(node.attributes.get("axis", 0)) % len(shape)
            time = int(how[0].ravel()[0]) % shape[axis]
            frames[node.outputs[0]] = Frame(node.inputs[0], axis, time, how[0].ndim == 1)
        elif node.op_type == "Slice":
            for axis, part in enumerate(slices(shape, how)):
                taken = range(shape[axis])[part]
                if shape[axis] > 1 and len(taken) == 1 and _rest_whole(shape, slices(shape, how), axis):
                    frames[node.outputs[0]] = Frame(node.inputs[0], axis, taken[0], True)
        elif node.op_type == "Split":
            axis = int(node.attributes.get("axis", 0)) % len(shape)
            if shape[axis] > 1 and set(split_sizes(node, shape[axis], how)) == {1}:
                frames |= {n: Frame(node.inputs[0], axis, t, True) for t, n in enumerate(node.outputs)}
    return frames


def _rest_whole(shape: tuple[int, ...], parts: tuple[slice, ...], axis: int) -> bool:
    return all(range(n)[p] == range(n) for i, (n, p) in enumerate(zip(shape, parts, strict=True)) if i != axis)


def _connected(nodes: list[Node], steps: Steps) -> Iterator[list[Node]]:
    """Groups of nodes that read each other, in the same step or from one to the next."""
    group = {id(n): i for i, n in enumerate(nodes)}
    by_role = {steps.role[n.outputs[0]][0]: id(n) for n in nodes}
    for node in nodes:
        for name in node.inputs:
            if name in steps.role and steps.role[name][0] in by_role:
                other = group[by_role[steps.role[name][0]]]
                mine = group[id(node)]
                group = {k: mine if g == other else g for k, g in group.items()}
    for g in dict.fromkeys(group.values()):
        yield [n for n in nodes if group[id(n)] == g]
