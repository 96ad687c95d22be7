"""What an unrolled loop starts from: read where its first step shows it, else found with numbers.

Constant folding makes the first steps smaller where the initial state is a constant. An initial state is right with which
the loop's body, run over the first frames, gives all that the file's first steps give.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnc.frontend.read.fold import evaluate
from rnnc.frontend.recurrence.unrolled import Body
from rnnc.frontend.rewrite.editor import cone
from rnnc.tracing import Node

MOST_STARTS = 64
"""Of one state, that are tried."""
TOLERANCE = 1e-5
Arrays = dict[str, NDArray[Any]]


def find_start(body: Body) -> dict[str, str] | None:
    """The tensor that each state starts from, constants added to the graph; None where there is none."""
    editor = body.copies.editor
    if body.first == 0:
        return _shown(body)
    found = _Search(body).start()
    return None if found is None else {role: editor.add_constant(array, "start") for role, array in found.items()}


def _shown(body: Body) -> dict[str, str] | None:
    """What the first step reads in the place of states, in their shapes."""
    editor, start = body.copies.editor, dict[str, str]()
    for role, name in body.firsts.items():
        shape, constant = editor.shape(role), editor.constant(name)
        if constant is not None and shape is not None:
            start[role] = editor.add_constant(np.broadcast_to(constant, shape), "start")
        elif editor.shape(name) == shape:
            start[role] = name
        else:
            return None
    return start


class _Search:
    """Tries initial states on the first frames of a random sequence."""

    def __init__(self, body: Body) -> None:
        self.body, self.editor = body, body.copies.editor
        rng = np.random.default_rng(0)
        self.sequences: Arrays = {}
        for frame in body.copies.frames.values():
            shape = self.editor.shape(frame.sequence)
            if frame.sequence not in self.sequences and shape is not None:
                self.sequences[frame.sequence] = rng.standard_normal(shape).astype(np.float32)
        shapes = {
            n: self.editor.shape(n) or () for node in body.nodes for n in node.inputs if n and n not in body.place
        }
        given = {n: shape for n, shape in shapes.items() if n not in self.editor.constants}
        self.outside = {n: rng.standard_normal(shape).astype(np.float32) for n, shape in given.items()}
        self.first = [self._frames(t) for t in range(body.first + 1)]

    def start(self) -> Arrays | None:
        """The initial states by role."""
        body = self.body
        wanted = self._wanted()
        shapes = [self.editor.shape(role) for role in body.states]
        choices = [self._candidates(role, s) for role, s in zip(body.states, shapes, strict=True) if s is not None]
        if wanted is None or len(choices) != len(body.states):
            return None
        with np.errstate(all="ignore"):
            return self._best(dict(zip(body.states, choices, strict=True)), wanted)

    def _best(self, choices: dict[str, list[NDArray[Any]]], wanted: list[Arrays]) -> Arrays | None:
        """From the first choices on, changes one state after the other as long as more becomes right."""
        start = {role: arrays[0] for role, arrays in choices.items()}
        right, all_right = self._right(start, wanted), sum(len(step) for step in wanted)
        improved = True
        while improved and right < all_right:
            improved = False
            for role, arrays in choices.items():
                for array in arrays[:MOST_STARTS]:
                    changed = {**start, role: array}
                    now = self._right(changed, wanted)
                    if now > right:
                        start, right, improved = changed, now, True
        return start if right == all_right else None

    def _frames(self, step: int) -> Arrays:
        """The frames of a step, by role."""
        values: Arrays = {}
        for name, frame in self.body.copies.frames.items():
            if self.body.copies.at(name) == step and frame.sequence in self.sequences:
                taken = np.take(self.sequences[frame.sequence], [frame.start], frame.axis)
                values[name] = taken if frame.kept else np.squeeze(taken, frame.axis)
        return values

    def _wanted(self) -> list[Arrays] | None:
        """For each of the first steps, what the file gives for the roles that are joined; after them, the states."""
        body = self.body
        named = [{use.role: body.joined(use, t) for use in body.uses} for t in range(body.first)]
        named.append(body.firsts)
        known = {**self.editor.constants, **self.outside, **{n: a for step in self.first for n, a in step.items()}}
        names = {name for step in named for name in step.values()}
        values = _values(cone(self.editor.nodes, names, known), known, self.editor.graph.opset)
        if any(name not in values for name in names):
            return None
        return [{role: values[name] for role, name in step.items()} for step in named]

    def _candidates(self, role: str, shape: tuple[int, ...]) -> list[NDArray[Any]]:
        """Zeros, the constants that the first steps read, and ones."""
        size = int(np.prod(shape, dtype=np.int64))
        found = [np.zeros(shape, np.float32)]
        for step in range(self.body.first + 1):
            for node in self.body.copies.blocks[step]:
                arrays = [self.editor.constant(name) for name in node.inputs]
                found += [a.reshape(shape) for a in arrays if a is not None and a.size == size and a.dtype.kind == "f"]
        first = self.editor.constant(self.body.firsts[role])
        found += [first.reshape(shape)] if first is not None and first.size == size else []
        found.append(np.ones(shape, np.float32))
        return list({a.astype(np.float32).tobytes(): a for a in found}.values())

    def _right(self, start: Arrays, wanted: list[Arrays]) -> int:
        """How much of what the first steps give the body gives, from the initial states on."""
        body, states, right = self.body, start, 0
        before, now = body.tables[-3], body.tables[-2]
        for t in range(body.first):
            frames = {now[role]: self.first[t][name] for role, name in body.tables[t].items() if name in self.first[t]}
            given = {before[role]: array for role, array in states.items()}
            known = {**self.editor.constants, **self.outside, **given, **frames}
            values = _values(body.nodes, known, self.editor.graph.opset)
            right += sum(_close(values.get(now[role]), array) for role, array in wanted[t].items())
            states = {role: values[now[role]] for role in body.states if now[role] in values}
        return right + sum(_close(states.get(role), array) for role, array in wanted[-1].items())


def _values(nodes: Iterable[Node], known: Arrays, opset: int) -> Arrays:
    """What nodes compute, truth values as the numbers 1 and 0 that the rewritten graph takes them for."""
    values = dict(known)
    for node in nodes:
        truths = {n: values[n].astype(bool) for k, n in enumerate(node.inputs) if n in values and _is_truth(node, k)}
        for name, array in evaluate([node], {**values, **truths}, opset).items():
            if name in node.outputs:
                values[name] = array.astype(np.float32) if array.dtype == bool else array
    return values


def _is_truth(node: Node, index: int) -> bool:
    return node.op_type in ("Not", "And", "Or", "Xor") or (node.op_type == "Where" and index == 0)


def _close(got: NDArray[Any] | None, wanted: NDArray[Any]) -> bool:
    if got is None or wanted.size not in (1, got.size):
        return False
    return bool(np.allclose(got.ravel(), wanted.ravel(), rtol=TOLERANCE, atol=TOLERANCE))
