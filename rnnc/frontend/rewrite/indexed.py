"""Elements that are read or set at a computed place: Gather, ScatterND and their like as PickAt and PutAt.

``PickAt(x, places)`` are the entries of ``axis`` at places; ``PutAt(x, new, place)`` is x with that entry set to ``new``, whose
length along ``axis`` is 1. ``Place(x)`` makes a place below ``rows`` of whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from rnnc.frontend.rewrite.editor import Editor
from rnnc.frontend.rewrite.elements import Origins, sources
from rnnc.frontend.rewrite.patterns import Term, op, put, tensor
from rnnc.tracing import Node

MakePlace = Callable[[str, int], Term]
"""Whole numbers as places among so many."""
MOST_PLACES = 32_767


def place_at(editor: Editor, node: Node, whole: Collection[str], place: MakePlace) -> bool:
    """Rewrite a node that reads or sets elements at a place that is one of the ``whole`` numbers; whether it is one."""
    rewrites = {"ScatterElements": _scatter, "ScatterND": _scatter_nd}
    rewrites |= dict.fromkeys(("Gather", "GatherElements", "GatherND"), _gather)
    shape = editor.shape(node.inputs[0]) if node.op_type in rewrites else None
    if not shape or len(node.inputs) < 2 or node.inputs[1] not in whole:
        return False
    return node.attributes.get("reduction", "none") == "none" and rewrites[node.op_type](editor, node, shape, place)


def _gather(editor: Editor, node: Node, shape: tuple[int, ...], place: MakePlace) -> bool:
    """Rows of a constant table, or entries of what is computed."""
    x, axis = node.inputs[0], int(node.attributes.get("axis", 0)) % len(shape)
    indices = editor.shape(node.inputs[1])
    listed = node.op_type == "GatherND"
    if listed and (not indices or indices[-1] != 1 or node.attributes.get("batch_dims", 0)):
        return False
    if editor.constant(x) is not None and node.op_type != "GatherElements":
        at = place(node.inputs[1], shape[0])
        at = op("Reshape", at, list(indices[:-1])) if listed and indices else at
        fits = axis == 0 and shape[0] <= MOST_PLACES
        return fits and put(editor, node, op("Gather", tensor(x), at, axis=0))
    elements = node.op_type == "GatherElements"
    name, result = _one(editor, node.inputs[1]) if elements else node.inputs[1], editor.shape(node.outputs[0])
    places = editor.shape(name) if name else None
    if places is None or result is None or not 1 < shape[axis] <= MOST_PLACES:
        return False
    if int(np.prod(result)) * shape[axis] != int(np.prod(shape)) * int(np.prod(places)):
        return False
    return put(editor, node, op("PickAt", tensor(x), place(name, shape[axis]), axis=axis, shape=list(result)))


def _scatter(editor: Editor, node: Node, shape: tuple[int, ...], place: MakePlace) -> bool:
    """ScatterElements of one entry, at the same place everywhere."""
    axis, new = int(node.attributes.get("axis", 0)) % len(shape), editor.shape(node.inputs[2])
    at, entry = _one(editor, node.inputs[1]), tuple(1 if i == axis else n for i, n in enumerate(shape))
    if not at or new != entry or editor.shape(node.inputs[1]) != entry or not 1 < shape[axis] <= MOST_PLACES:
        return False
    return _put_at(editor, node, axis, tensor(node.inputs[2]), place(at, shape[axis]))


def _scatter_nd(editor: Editor, node: Node, shape: tuple[int, ...], place: MakePlace) -> bool:
    """ScatterND of one entry of an axis, all that the other axes have."""
    indices = editor.shape(node.inputs[1])
    origins = Origins(editor)
    elements = origins.of(node.inputs[1])
    if indices is None or elements is None or not 0 < indices[-1] <= len(shape):
        return False
    depth = indices[-1]
    columns = [_column(editor, origins, elements[..., k]) for k in range(depth)]
    axes = [k for k, column in enumerate(columns) if isinstance(column, str)]
    if len(axes) != 1 or any(column is None for column in columns):
        return False
    axis = axes[0]
    others = [n for k, n in enumerate(shape[:depth]) if k != axis]
    want = list(np.indices(others).reshape(len(others), -1)) if others else []
    have = [np.ravel(c) for c in columns if not isinstance(c, str) and c is not None]
    if len(elements[..., 0].ravel()) != int(np.prod(others)) or not all(map(np.array_equal, have, want)):
        return False
    entry = [1 if i == axis else n for i, n in enumerate(shape)]
    new, at = op("Reshape", tensor(node.inputs[2]), entry), columns[axis]
    assert isinstance(at, str)
    return 1 < shape[axis] <= MOST_PLACES and _put_at(editor, node, axis, new, place(at, shape[axis]))


def _column(editor: Editor, origins: Origins, numbers: np.ndarray) -> np.ndarray | str | None:
    """One index of each entry: the tensor that it is in all of them, or constants; None where it is neither."""
    flat = numbers.ravel()
    found = np.empty(flat.size, np.int64)
    for name, first in origins.first.items():
        size = int(np.prod(editor.shape(name) or (), dtype=np.int64))
        inside = (flat >= first) & (flat < first + size)
        array = editor.constant(name)
        if array is None and inside.any():
            return name if size == 1 and inside.all() else None
        if array is not None:
            found[inside] = array.ravel()[flat[inside] - first]
    return found


def set_by_choice(editor: Editor, node: Node, whole: Collection[str], below: Callable[[str, int], Term | None]) -> bool:
    """Where(places == x, new, old) sets the entry at x, if x is one of the places."""
    condition, new, old = node.inputs
    *_, source = sources(editor, condition)
    equal, shape, chosen = editor.producer(source), editor.shape(old), editor.shape(condition)
    if (
        equal is None
        or equal.op_type != "Equal"
        or not shape
        or chosen is None
        or editor.shape(node.outputs[0]) != shape
    ):
        return False
    arrays = [editor.constant(name) for name in equal.inputs]
    listed = next((a for a in arrays if a is not None), None)
    name = equal.inputs[arrays[0] is not None]
    rounded = editor.producer(name)
    name = rounded.inputs[0] if rounded is not None and rounded.op_type == "Round" else name
    axes = [i for i, n in enumerate(chosen, len(shape) - len(chosen)) if n > 1]
    if listed is None or name not in whole or len(axes) != 1 or int(np.prod(editor.shape(name) or ())) != 1:
        return False
    axis, count = axes[0], shape[axes[0]]
    entry = tuple(1 if i == axis else n for i, n in enumerate(shape))
    given = editor.shape(new)
    if not np.array_equal(listed.ravel(), np.arange(count)) or given is None or count > MOST_PLACES:
        return False
    aligned = (1,) * (len(shape) - len(given)) + given
    place = below(_one(editor, name) or name, count)
    if place is None or len(aligned) > len(shape) or aligned[axis] != 1:
        return False
    value = tensor(new) if aligned == given else op("Reshape", tensor(new), list(aligned))
    value = value if aligned == entry else op("Expand", value, list(entry))
    return _put_at(editor, node, axis, value, place)


def _put_at(editor: Editor, node: Node, axis: int, new: Term, place: Term) -> bool:
    old = node.inputs[2] if node.op_type == "Where" else node.inputs[0]
    return put(editor, node, op("PutAt", tensor(old), new, place, axis=axis))


def _one(editor: Editor, name: str) -> str:
    """The tensor of one element that all elements of a tensor are, "" where they are none."""
    for source in sources(editor, name):
        if int(np.prod(editor.shape(source) or (), dtype=np.int64)) == 1:
            return source
    return ""
