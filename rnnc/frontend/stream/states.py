"""Explicit state: which inputs of a graph are states, and which outputs feed them.

A state input either sets the initial state of recurrent nodes (through nodes that only move elements), or is read by
ordinary nodes (a cell written as primitive operators, the cache of a convolution). It is paired with an output by
following the elements through recurrent nodes, or by equal shape and names that belong together.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rnnc.errors import Refused, UsageError
from rnnc.frontend.recurrence.flow import Flow
from rnnc.frontend.recurrence.naming import named_as_state, related, stem
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
    for tensor in inputs:
        if tensor.name in flow.slots and tensor.name not in pairs:
            fitting = [o for o in graph.outputs if flow.feeds(tensor, o) and o.name not in pairs.values()]
            ranked = sorted((flow.unlikely(tensor, o), k) for k, o in enumerate(fitting))
            pairs.update((tensor.name, fitting[k].name) for _, k in ranked[:1])
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
            raise UsageError(f"--state {name}={output}: shapes {list(want)} and {list(have)} differ")


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
    for tensor in inputs:
        fitting = [o.name for o in graph.outputs if o.name not in taken and o.shape == tensor.shape]
        same = [name for name in fitting if related(tensor.name, name)]
        same = [name for name in same if stem(name) == stem(tensor.name)] or same
        if len(same) == 1:
            pairs[tensor.name] = same[0]
            taken.add(same[0])
    return pairs
