"""The frames of an unrolled loop: what takes single steps out of a sequence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rnnc.frontend.rewrite.editor import Editor, all_inputs
from rnnc.views import slices, split_sizes


@dataclass(frozen=True)
class Frame:
    """A tensor that is step ``time`` of a sequence; ``kept``: it still has the time axis, of length 1."""

    sequence: str
    axis: int
    time: int
    kept: bool


Frames = dict[str, Frame]
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
    inner = _depend(editor, frames)
    for length in sorted(lengths, key=lambda n: len(lengths[n]), reverse=True):
        outer = {name: frame for name, frame in lengths[length].items() if frame.sequence not in inner}
        yield from [outer] if outer else []
        if len(outer) < len(lengths[length]):
            yield lengths[length]


def sources(editor: Editor, name: str) -> set[str]:
    """The inputs of the graph that a tensor depends on."""
    inputs, queue, seen = {t.name for t in editor.graph.inputs}, [name], {name}
    for tensor in queue:
        node = editor.producer(tensor)
        fresh = [n for n in (all_inputs(node) if node is not None else ()) if n not in seen]
        seen.update(fresh)
        queue += fresh
    return seen & inputs


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
