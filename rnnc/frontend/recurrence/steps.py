"""The frames of an unrolled loop: what takes single steps out of a sequence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rnnc.frontend.rewrite.editor import Editor, all_inputs, cone, reached
from rnnc.views import Elements, view


@dataclass(frozen=True)
class Frame:
    """A tensor that is step ``time`` of a sequence; ``kept``: it still has the time axis, of length 1."""

    sequence: str
    axis: int
    time: int
    kept: bool


Frames = dict[str, Frame]
TAKING = ("Gather", "Slice", "Split")
"""Operators that take steps out of a sequence."""
SHORTEST = 4
"""Steps that an unrolled loop must have to be told from a coincidence."""


def frame_sets(editor: Editor, fixed: frozenset[str] = frozenset()) -> Iterator[Frames]:
    """Tensors that may be the steps of one loop, likeliest first: all of sequences of one length.

    The gates of a cell are taken out of one tensor too: sequences that depend on no frame themselves come first.
    ``fixed``: inputs that have no time; what depends on no others is no sequence.
    """
    frames = _find_frames(editor)
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


def _find_frames(editor: Editor) -> Frames:
    frames: Frames = {}
    for node in editor.nodes:
        shape = editor.shape(node.inputs[0]) if node.op_type in TAKING else None
        if not shape or node.inputs[0] in editor.constants:
            continue
        elements = np.arange(np.prod(shape, dtype=np.int64)).reshape(shape)
        for name, part in zip(node.outputs, view(node, [elements], editor.constants) or (), strict=False):
            found = _step(elements, part)
            if found is not None:
                frames[name] = Frame(node.inputs[0], *found)
    return frames


def _step(elements: Elements, part: Elements) -> tuple[int, int, bool] | None:
    """The axis and the time of which some elements of a sequence are one step, and whether they keep that axis."""
    kept = part.ndim == elements.ndim
    for axis, n in enumerate(elements.shape):
        if n > 1 and part.size and part.size * n == elements.size:
            time = int(np.unravel_index(part.ravel()[0], elements.shape)[axis])
            if np.array_equal(part, np.take(elements, [time] if kept else time, axis)):
                return axis, time, kept
    return None
