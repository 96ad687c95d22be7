"""Nodes that only move, select or join elements: those that move nothing go, others trade places with what they hide."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnc.frontend.read.fold import INITIAL, RECURRENT, fold
from rnnc.frontend.rewrite.editor import Editor
from rnnc.frontend.rewrite.elements import Origins, sources
from rnnc.frontend.rewrite.patterns import Term, op, put, tensor
from rnnc.tracing import Node
from rnnc.views import FIRST_ONLY, view

ARITHMETIC = ("Add", "Sub", "Mul", "Div")
FAR = -(2**62)
"""The end of a Slice that goes back to the first element."""
LONGEST_DETOUR = 5
MOST_MOVED = 1 << 16
"""Elements of a tensor that is followed through views."""
MOST_ROWS = 64
"""That one node sets."""
POINTWISE = ("Relu", "LeakyRelu", "Tanh", "Sigmoid", "Elu", "Softplus", "Softsign", "HardSigmoid", "HardSwish", "Gelu")


def backwards(x: Term, axis: int) -> Term:
    """A tensor turned around along an axis."""
    return op("Slice", x, [-1], [FAR], [axis], [-1])


def still(editor: Editor, node: Node) -> bool:
    """A view that undoes those before it, or joins all parts of a tensor again, is that tensor."""
    output = node.outputs[0]
    shape = editor.shape(output)
    if shape is None or np.prod(shape, dtype=np.int64) > MOST_MOVED:
        return False
    for name in islice(sources(editor, node.inputs[0]), LONGEST_DETOUR):
        if editor.shape(name) == shape:
            origins = Origins(editor, (name,))
            there, here = origins.of(output), origins.own(name)
            if there is not None and here is not None and np.array_equal(there, here):
                return put(editor, node, tensor(name))
    return False


def swap(editor: Editor, node: Node) -> bool:
    """A constant added or multiplied along the last axis after a reshaping that keeps this axis goes before it."""
    source = editor.producer(node.inputs[0])
    reader = editor.only_reader(node.outputs[0])
    before, after = editor.shape(node.inputs[0]), editor.shape(node.outputs[0])
    if source is None or source.op_type != "Dense" or reader is None or reader.op_type not in ARITHMETIC:
        return False
    other = editor.constant(reader.inputs[1 - reader.inputs.index(node.outputs[0])])
    if not before or not after or before[-1] != after[-1] or other is None or other.ndim > 1:
        return False
    fits = editor.only_reader(node.inputs[0]) is node and other.size in (1, after[-1])
    return fits and _trade(editor, node, reader)


def sink(editor: Editor, node: Node) -> bool:
    """A function of single elements after a reshaping goes before it: there time is an axis of its own."""
    reader = editor.only_reader(node.outputs[0])
    before, after = editor.shape(node.inputs[0]), editor.shape(node.outputs[0])
    if reader is None or reader.op_type not in POINTWISE or not before or not after or len(before) <= len(after):
        return False
    return _trade(editor, node, reader)


def _trade(editor: Editor, node: Node, reader: Node) -> bool:
    """Put what reads a view before it."""
    moved = editor.fresh("moved")
    editor.shapes[moved] = editor.shape(node.inputs[0]) or ()
    inputs = tuple(node.inputs[0] if n == node.outputs[0] else n for n in reader.inputs)
    first = replace(reader, inputs=inputs, outputs=(moved,))
    editor.replace([node, reader], [first, replace(node, inputs=(moved, *node.inputs[1:]), outputs=reader.outputs)])
    return True


def turn_before(editor: Editor, node: Node) -> bool:
    """A sequence that is turned around behind a Dense is turned around before it: then the Dense can become W."""
    dense, shape = editor.producer(node.inputs[0]), editor.shape(node.inputs[0])
    if dense is None or dense.op_type != "Dense" or editor.only_reader(node.inputs[0]) is not node or not shape:
        return False
    elements = np.arange(np.prod(shape, dtype=np.int64)).reshape(shape)
    turned = view(node, [elements], editor.constants)
    axes = [axis for axis in range(len(shape) - 1) if shape[axis] > 1]
    if turned is None or not any(np.array_equal(turned[0], np.flip(elements, axis)) for axis in axes):
        return False
    name, before = editor.fresh("turned"), editor.shape(dense.inputs[0])
    if before is not None:
        editor.shapes[name] = before
    first = replace(node, inputs=(dense.inputs[0], *node.inputs[1:]), outputs=(name,))
    editor.replace([dense, node], [first, replace(dense, inputs=(name, *dense.inputs[1:]), outputs=node.outputs)])
    return True


def reverse_sequence(editor: Editor, node: Node) -> bool:
    """ReverseSequence over its whole length is a Slice backwards."""
    lengths, shape = editor.constant(node.inputs[1]), editor.shape(node.inputs[0])
    axis = int(node.attributes.get("time_axis", 0))
    if lengths is None or shape is None or np.any(lengths != shape[axis]):
        return False
    return put(editor, node, backwards(tensor(node.inputs[0]), axis))


def drop_identity(editor: Editor, node: Node) -> bool:
    """Let the readers of an Identity or an inactive Dropout read its input."""
    source, target = node.inputs[0], node.outputs[0]
    readers = editor.uses(target)
    extra = [name for name in node.outputs[1:] if editor.uses(name) or name in editor.results]
    if extra or target in editor.results or any(target not in reader.inputs for reader in readers):
        return False
    renamed = [replace(r, inputs=tuple(source if n == target else n for n in r.inputs)) for r in readers]
    for old, new in zip(readers, renamed, strict=True):
        editor.replace([old], [new])
    return bool(readers)


def gathered(editor: Editor, node: Node) -> bool:
    """GatherND or GatherElements that takes the same places along one axis everywhere is a Gather."""
    indices, shape = editor.constant(node.inputs[1]), editor.shape(node.inputs[0])
    if indices is None or not shape:
        return False
    elements = np.arange(np.prod(shape, dtype=np.int64)).reshape(shape)
    part = (fold(node, [elements, indices], editor.graph.opset) or [np.zeros(0)])[0]
    for axis in range(len(shape)) if part.ndim == len(shape) and part.size else ():
        first = np.moveaxis(part, axis, 0).reshape(part.shape[axis], -1)[:, 0]
        places = np.unravel_index(first, shape)[axis]
        if np.array_equal(part, np.take(elements, places, axis)):
            return put(editor, node, op("Gather", tensor(node.inputs[0]), places, axis=axis))
    return False


def start_of_input(editor: Editor, node: Node) -> bool:
    """What layers start from, all of it out of one input though it was joined with other tensors, is taken from there."""
    name = node.outputs[0]
    *_, source = sources(editor, name)
    joined, shape = editor.producer(source), editor.shape(name)
    if joined is None or joined.op_type != "Concat" or shape is None or not _is_start(editor, name):
        return False
    origins = Origins(editor)
    elements = origins.of(name)
    for given in editor.graph.inputs if elements is not None else ():
        own = origins.own(given.name)
        if elements is not None and own is not None and np.isin(elements, own).all():
            places = elements.ravel() - own.flat[0]
            flat = op("Gather", op("Reshape", tensor(given.name), [-1]), places, axis=0)
            return put(editor, node, op("Reshape", flat, list(shape)))
    return False


def _is_start(editor: Editor, name: str) -> bool:
    """Whether a tensor is read as the initial state of recurrent nodes alone, as it is or moved."""
    readers = editor.uses(name)
    moved = (n for n in readers if n.op_type not in RECURRENT)
    layers = [n for n in readers if n.op_type in RECURRENT]
    starts = all(name in n.inputs[INITIAL] and name not in n.inputs[: INITIAL.start] for n in layers)
    return bool(readers) and starts and all(n.op_type in FIRST_ONLY and _is_start(editor, n.outputs[0]) for n in moved)


def scattered(editor: Editor, node: Node) -> bool:
    """ScatterND that sets whole entries of an axis, always the same, is a Concat of those that stay and the new ones."""
    x, indices, updates = node.inputs
    rows, shape, new = editor.constant(indices), editor.shape(x), editor.shape(updates)
    if rows is None or not shape or new is None or node.attributes.get("reduction", "none") != "none":
        return False
    if rows.shape[-1:] != (1,):
        return _set_slab(editor, node, rows, shape)
    at = [int(r) % shape[0] for r in rows.ravel()]
    if len(set(at)) < len(at) or len(at) > MOST_ROWS:
        return False
    flat = (len(at), *shape[1:])
    entries = tensor(updates) if new == flat else op("Reshape", tensor(updates), list(flat))
    return put(editor, node, _with_entries(tensor(x), entries, at, 0, shape[0]))


def elements_set(editor: Editor, node: Node) -> bool:
    """ScatterElements that sets whole entries of an axis, always the same (torch's ``x[k] = y``), likewise."""
    places, shape = editor.constant(node.inputs[1]), editor.shape(node.inputs[0])
    if places is None or not shape or node.attributes.get("reduction", "none") != "none":
        return False
    axis = int(node.attributes.get("axis", 0)) % len(shape)
    lines = np.moveaxis(places, axis, 0) % shape[axis]
    at = [int(line.flat[0]) for line in lines if line.size]
    whole = lines.shape[1:] == shape[:axis] + shape[axis + 1 :] and all((line == line.flat[0]).all() for line in lines)
    if not at or not whole or len(set(at)) < len(at) or len(at) > MOST_ROWS:
        return False
    return put(editor, node, _with_entries(tensor(node.inputs[0]), tensor(node.inputs[2]), at, axis, shape[axis]))


def _with_entries(x: Term, entries: Term, at: list[int], axis: int, length: int) -> Term:
    """``x`` with entries of an axis, ``length`` long, replaced: the k-th of ``entries`` is that at ``at[k]``."""
    parts, done = list[Term](), 0
    for place in [*sorted(at), length]:
        parts += [op("Slice", x, [done], [place], [axis])] if done < place else []
        if place < length:
            k = at.index(place)
            parts.append(entries if len(at) == 1 else op("Slice", entries, [k], [k + 1], [axis]))
        done = place + 1
    return op("Concat", *parts, axis=axis) if len(parts) > 1 else parts[0]


def _set_slab(editor: Editor, node: Node, indices: NDArray[Any], shape: tuple[int, ...]) -> bool:
    """ScatterND by full indices that sets neighbouring entries of one axis, all that the other axes have."""
    depth, size = indices.shape[-1], int(np.prod(shape, dtype=np.int64))
    if not 0 < depth <= len(shape) or size > MOST_MOVED:
        return False
    own = np.arange(size).reshape(shape)
    at = own[tuple(np.moveaxis(indices % np.array(shape[:depth]), -1, 0))].ravel()
    for axis, places in enumerate(np.unravel_index(at, shape)):
        first, last = int(places.min()), int(places.max()) + 1
        slab = np.moveaxis(np.moveaxis(own, axis, 0)[first:last], 0, axis)
        if slab.size == at.size and np.array_equal(slab.ravel(), at):
            x, new = tensor(node.inputs[0]), op("Reshape", tensor(node.inputs[2]), list(slab.shape))
            before = [op("Slice", x, [0], [first], [axis])] if first else []
            after = [op("Slice", x, [last], [shape[axis]], [axis])] if last < shape[axis] else []
            parts = [*before, new, *after]
            return put(editor, node, op("Concat", *parts, axis=axis) if len(parts) > 1 else new)
    return False
