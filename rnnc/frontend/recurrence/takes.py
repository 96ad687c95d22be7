"""What a loop takes out of a sequence, as single steps of sequences of their own: every k-th step, blocks, windows.

``for t in range(0, T, 2)`` reads x[0], x[2], ...: the steps of x[::2]. What reads x[0:4], x[4:8], ... reads blocks of four;
x[0:4], x[2:6], ... are two sequences of blocks of two, one of them a block later. A loop whose step reads several, ``x[2 t]``
and ``x[2 t + 1]``, reads blocks too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rnnc.frontend.rewrite.editor import Editor
from rnnc.frontend.rewrite.elements import sources
from rnnc.frontend.rewrite.patterns import Term, op, put, tensor
from rnnc.tracing import Graph, Node
from rnnc.views import Elements, view

TAKING = ("Gather", "Slice", "Split")
"""Operators that take steps out of a sequence."""
SHORTEST = 4
"""Steps that an unrolled loop must have to be told from a coincidence."""
LONGEST_PERIOD = 4
"""Steps after which several cells that take turns are back at the first."""


@dataclass(frozen=True)
class Take:
    """A tensor that is the steps from ``start`` to ``start + width`` of a sequence; ``kept``: it still has the time axis."""

    sequence: str
    axis: int
    start: int
    width: int
    kept: bool


def find_takes(editor: Editor) -> dict[str, Take]:
    """All tensors that are some neighbouring steps of another, along the first axis by which they can be told so."""
    takes: dict[str, Take] = {}
    for node in editor.nodes:
        shape = editor.shape(node.inputs[0]) if node.op_type in TAKING else None
        if not shape or node.inputs[0] in editor.constants:
            continue
        elements = np.arange(np.prod(shape, dtype=np.int64)).reshape(shape)
        for name, part in zip(node.outputs, view(node, [elements], editor.constants) or (), strict=False):
            found = _steps(elements, part) if part.size else None
            if found is not None:
                takes[name] = Take(node.inputs[0], *found)
    return takes


def _steps(elements: Elements, part: Elements) -> tuple[int, int, int, bool] | None:
    """The axis, first step and number of steps that a part of a sequence is, and whether it keeps the axis."""
    kept = part.ndim == elements.ndim
    for axis, n in enumerate(elements.shape):
        width = part.size * n // elements.size
        if not 0 < width < n or (width > 1 and not kept):
            continue
        start = int(np.unravel_index(part.ravel()[0], elements.shape)[axis])
        if np.array_equal(part, np.take(elements, range(start, start + width) if kept else start, axis, mode="clip")):
            return axis, start, width, kept
    return None


def regular(graph: Graph, fixed: frozenset[str], period: int = 1) -> Graph | None:
    """The graph in which what is taken at regular distances are single steps, counted from 0; None where nothing changes.

    Args:
        graph: with all shapes.
        fixed: inputs that have no time.
        period: how many takes a step of the loop reads of one sequence.
    """
    editor = Editor(graph)
    changed = [_regroup(editor, group, period) for group in _groups(editor, fixed)]
    return editor.finish() if any(changed) else None


def _groups(editor: Editor, fixed: frozenset[str]) -> Iterator[dict[str, Take]]:
    """The takes of one width from one sequence along one axis; those of several steps from an input alone.

    The gates of a cell are several steps of one tensor as well.
    """
    groups: dict[tuple[str, int, int], dict[str, Take]] = {}
    for name, take in find_takes(editor).items():
        if take.sequence not in fixed and (take.width == 1 or _is_input(editor, take.sequence)):
            groups.setdefault((take.sequence, take.axis, take.width), {})[name] = take
    yield from groups.values()


def _is_input(editor: Editor, name: str) -> bool:
    """Whether a tensor is an input of the graph, or made of one by views."""
    *_, source = sources(editor, name)
    return editor.producer(source) is None and source not in editor.constants


def _regroup(editor: Editor, takes: dict[str, Take], period: int) -> bool:
    """Let takes at regular distances read single steps of sequences of their own; False where they are no such steps."""
    one = next(iter(takes.values()))
    length = (editor.shape(one.sequence) or ())[one.axis]
    starts = _progression(sorted({t.start for t in takes.values()}))
    count, rest = divmod(len(starts), period)
    if count < SHORTEST or rest or (period, one.width, len(starts)) == (1, 1, length):
        return False
    stride = starts[1] - starts[0]
    steps = Steps(starts[0], stride * period, count)
    beyond = -(-one.width // stride) - 1 if period == 1 else 0
    if one.width == period == 1:
        form = _every
    elif one.width > (beyond + 1) * stride or steps.first + steps.stride * (count + beyond) > length:
        return False
    else:
        form = _overlap if beyond else _block
    for name, take in takes.items():
        if take.start in starts:
            node = _alone(editor, name)
            editor.note("regular takes = single steps", node)
            put(editor, node, form(steps, take, editor.shape(take.sequence) or ()))
    return True


def _progression(starts: list[int]) -> range:
    """The starts, all or but the first or the last of them, as one arithmetic progression; empty where they are none."""
    for some in (starts, starts[:-1], starts[1:]):
        if len(some) > 1:
            found = range(some[0], some[-1] + 1, some[1] - some[0])
            if list(found) == some:
                return found
    return range(0)


def _alone(editor: Editor, name: str) -> Node:
    """The node that gives a tensor alone: a Split gives way to a Slice for each of its outputs."""
    node = editor.producer(name)
    if node is not None and len(node.outputs) > 1:
        _cut(editor, node)
        node = editor.producer(name)
    assert node is not None
    return node


def _cut(editor: Editor, split: Node) -> None:
    """Put a Slice in the place of each output of a Split."""
    axis, start, nodes = int(split.attributes.get("axis", 0)), 0, list[Node]()
    for name in split.outputs:
        stop = start + editor.shapes[name][axis]
        numbers = [editor.add_constant(np.asarray([n], np.int64), "cut") for n in (start, stop, axis)]
        nodes.append(Node(split.name, "Slice", "", (split.inputs[0], *numbers), (name,)))
        start = stop
    editor.replace([split], nodes)


@dataclass(frozen=True)
class Steps:
    """The steps of a loop: ``count``, ``stride`` steps of the sequence apart, the first at ``first``."""

    first: int
    stride: int
    count: int


def _every(steps: Steps, take: Take, shape: tuple[int, ...]) -> Term:
    """A step of x[first::stride]."""
    stop = steps.first + steps.stride * (steps.count - 1) + 1
    sequence = _slice(tensor(take.sequence), take.axis, steps.first, stop, steps.stride)
    return _step(sequence, take.axis, (take.start - steps.first) // steps.stride, take.kept)


def _block(steps: Steps, take: Take, shape: tuple[int, ...]) -> Term:
    """Some steps of a block of x[first:].reshape(count, stride)."""
    block, inside = divmod(take.start - steps.first, steps.stride)
    frame = _step(_blocks(steps, take, shape, steps.count), take.axis, block, kept=False)
    if take.width == 1:
        return _step(frame, take.axis, inside, take.kept)
    return _slice(frame, take.axis, inside, inside + take.width)


def _overlap(steps: Steps, take: Take, shape: tuple[int, ...]) -> Term:
    """A block, and those after it, each a step of a sequence of blocks that begins one later."""
    axis, ahead = take.axis, -(-take.width // steps.stride)
    blocks = _blocks(steps, take, shape, steps.count + ahead - 1)
    shifted = (_slice(blocks, axis, d, d + steps.count) for d in range(ahead))
    block = (take.start - steps.first) // steps.stride
    joined = op("Concat", *(_step(s, axis, block, kept=False) for s in shifted), axis=axis)
    return joined if take.width == ahead * steps.stride else _slice(joined, axis, 0, take.width)


def _blocks(steps: Steps, take: Take, shape: tuple[int, ...], count: int) -> Term:
    """x[first:].reshape(count, stride)."""
    axis, total, whole = take.axis, steps.stride * count, tensor(take.sequence)
    cut = whole if total == shape[axis] else _slice(whole, axis, steps.first, steps.first + total)
    return op("Reshape", cut, [*shape[:axis], count, steps.stride, *shape[axis + 1 :]])


def _slice(sequence: Term, axis: int, start: int, stop: int, stride: int = 1) -> Term:
    return op("Slice", sequence, [start], [stop], [axis], [stride])


def _step(sequence: Term, axis: int, at: int, kept: bool) -> Term:
    return op("Gather", sequence, np.asarray([at] if kept else at, np.int64), axis=axis)
