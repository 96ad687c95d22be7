"""Caches of convolutions in a graph that takes several frames a call.

Such a graph puts a cache, the last frames of the call before, in front of the frames and gives the last frames back
as the next cache. Over a stream this is what came before the frames, zeros at first: padding in front. The history
that the convolution keeps anyway is the cache.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rnnc.frontend.rewrite.editor import Editor
from rnnc.frontend.rewrite.elements import Origins
from rnnc.frontend.rewrite.patterns import op, put, tensor
from rnnc.frontend.stream.states import States
from rnnc.tracing import Graph


@dataclass(frozen=True)
class Uncached:
    """A graph with padding in place of its caches, and the states that remain.

    ``frames``: whether what is cached are frames, not single samples: then a call takes several steps.
    """

    graph: Graph
    states: States
    frames: bool


def without_caches(graph: Graph, states: States) -> Uncached | None:
    """The graph without its caches, None where there are none."""
    editor = Editor(graph)
    gone: dict[str, bool] = {}
    for name in sorted(states.feedback):
        axis = _replace(editor, name, states.pairs[name])
        if axis is not None:
            shape = editor.shape(name) or ()
            gone[name] = any(n > 1 for i, n in enumerate(shape) if i != axis)
    if not gone:
        return None
    closed = {states.pairs[name] for name in gone} - set(graph.wanted)
    inputs = tuple(t for t in graph.inputs if t.name not in gone)
    outputs = tuple(o for o in graph.outputs if o.name not in closed)
    left = Editor(replace(editor.finish(), inputs=inputs, outputs=outputs)).finish()
    pairs = {name: output for name, output in states.pairs.items() if name not in gone}
    return Uncached(left, States(states.initial, states.feedback - gone.keys(), pairs), all(gone.values()))


def _replace(editor: Editor, name: str, output: str) -> int | None:
    """Replace the Concat of a cache and the frames by a Pad of the frames; the axis of time, None where it is no cache."""
    concat = editor.only_reader(name)
    cache = editor.shape(name)
    if concat is None or concat.op_type != "Concat" or len(concat.inputs) != 2 or concat.inputs[0] != name or not cache:
        return None
    axis = int(concat.attributes["axis"]) % len(cache)
    frames, joined = editor.shape(concat.inputs[1]), editor.shape(concat.outputs[0])
    if frames is None or joined is None or frames[axis] == 1:
        return None
    if not _is_end(editor, output, concat.outputs[0], axis, cache[axis]):
        return None
    rank = len(cache)
    pads = np.zeros(2 * rank, np.int64)
    pads[axis] = cache[axis]
    put(editor, concat, op("Pad", tensor(concat.inputs[1]), pads, mode="constant"))
    return axis


def _is_end(editor: Editor, name: str, joined: str, axis: int, length: int) -> bool:
    """Whether a tensor is the last ``length`` elements of another along an axis."""
    origins = Origins(editor, (joined,))
    end, whole = origins.of(name), origins.own(joined)
    return end is not None and whole is not None and np.array_equal(end, np.split(whole, [-length], axis)[1])
