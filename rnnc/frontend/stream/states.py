"""Explicit state: which inputs of a graph are states, and which outputs feed them.

A state input either sets the initial state of recurrent nodes (through nodes that only move elements), or is read by
ordinary nodes (a cell written as primitive operators, the cache of a convolution). It is paired with an output by
following the elements through recurrent nodes, or by equal shape and names that belong together.

A graph that takes several frames a call puts the cache of a convolution, the last frames of the call before, in front of
the frames and gives the last frames back as the next cache. Over a stream this is what came before the frames, zeros at
first: padding in front. The history that the convolution keeps anyway is the cache.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from rnnc.errors import Refused, UsageError
from rnnc.frontend.read.naming import named_as_state, related, stem
from rnnc.frontend.recurrence.flow import Flow
from rnnc.frontend.rewrite.editor import Editor
from rnnc.frontend.rewrite.elements import Origins
from rnnc.frontend.rewrite.patterns import op, put, tensor
from rnnc.options import Options
from rnnc.tracing import Graph, Tensor


@dataclass(frozen=True, eq=False)
class States:
    """The state inputs of a graph.

    Args:
        initial: inputs that only set the initial state of recurrent nodes.
        feedback: inputs that ordinary nodes read, set to their output after each step.
        pairs: the output that feeds an input; a paired output is no result of the network.
    """

    initial: frozenset[str]
    feedback: frozenset[str]
    pairs: dict[str, str] = field(default_factory=dict)


def find_states(graph: Graph, options: Options) -> States:
    """Find the state inputs of a graph and pair them; ``options.states`` overrides.

    Raises UsageError where the options name what is not there.
    """
    flow = Flow(graph)
    _check_options(graph, options)
    not_states = {name for name, output in options.states.items() if output == "none"}
    pairs = {name: output for name, output in options.states.items() if output != "none"}
    inputs = [t for t in graph.inputs if t.name not in not_states]
    for given in inputs:
        if given.name in flow.slots and given.name not in pairs:
            fitting = [o for o in graph.outputs if flow.feeds(given, o) and o.name not in pairs.values()]
            ranked = sorted((flow.unlikely(given, o), k) for k, o in enumerate(fitting))
            pairs.update((given.name, fitting[k].name) for _, k in ranked[:1])
    _check_pairs(graph, flow, pairs)
    initial = {t.name for t in inputs if t.name in flow.slots and t.name not in flow.read}
    open_inputs = [t for t in inputs if t.name not in pairs and t.name not in initial and graph.time not in t.shape]
    named = _pair_by_name(graph, open_inputs, set(pairs.values()))
    if all(t.name in pairs or t.name in named or t.name in initial for t in graph.inputs):
        named = {name: output for name, output in named.items() if named_as_state(name)}
    pairs |= named
    return States(frozenset(initial), frozenset(pairs.keys() - initial), pairs)


def _check_options(graph: Graph, options: Options) -> None:
    inputs, outputs = {t.name: t for t in graph.inputs}, {t.name: t for t in graph.outputs}
    for name, output in options.states.items():
        if name not in inputs:
            raise UsageError(f"--state {name}={output}: no such input", hint=f"There are: {', '.join(inputs)}")
        if output == "none":
            continue
        if output not in outputs:
            raise UsageError(f"--state {name}={output}: no such output", hint=f"There are: {', '.join(outputs)}")
        have, want = outputs[output].shape, inputs[name].shape
        if have and np.prod(have) != np.prod(want):
            shown = [", ".join("T" if n == graph.time else str(n) for n in shape) for shape in (want, have)]
            raise UsageError(f"--state {name}={output}: shapes [{shown[0]}] and [{shown[1]}] differ")


def _check_pairs(graph: Graph, flow: Flow, pairs: dict[str, str]) -> None:
    """Refuse a pair of an initial state with what is not the final state of the same layers."""
    inputs, outputs = {t.name: t for t in graph.inputs}, {t.name: t for t in graph.outputs}
    for name, output in pairs.items():
        if name in flow.slots and name not in flow.read and not flow.feeds(inputs[name], outputs[output]):
            raise Refused(
                f"{output!r} is not the final state of the layers that start from it, and a layer keeps its own state",
                where=f"{graph.file}: state input {name!r}",
                hint="Pair it with the layers' final state (--state), or write the cell as primitive operators.",
            )


def _pair_by_name(graph: Graph, inputs: list[Tensor], taken: set[str]) -> dict[str, str]:
    """Pair inputs and outputs of equal shape whose names are the same but for words such as "next" and "out"."""
    pairs: dict[str, str] = {}
    for given in inputs:
        fitting = [o.name for o in graph.outputs if o.name not in taken and o.shape == given.shape]
        same = [name for name in fitting if related(given.name, name)]
        same = [name for name in same if stem(name) == stem(given.name)] or same
        if len(same) == 1:
            pairs[given.name] = same[0]
            taken.add(same[0])
    return pairs


# --------------------------------------------------------------------------- caches of convolutions


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
    """Replace the Concat of a cache and the frames by a Pad of the frames; the axis of time, None where it is not a cache."""
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
