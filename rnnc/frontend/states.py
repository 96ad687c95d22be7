"""Explicit state: which inputs of a graph are states, and which outputs feed them.

A state input either sets the initial state of recurrent nodes (through nodes that only move elements), or is read by
ordinary nodes (a cell written as primitive operators, the cache of a convolution). It is paired with an output by
following the elements through recurrent nodes, or by equal shape and names that belong together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnc.errors import Refused, UsageError
from rnnc.options import Options
from rnnc.tracing import Graph, Node, Tensor
from rnnc.views import VIEWS, Elements, moved_inputs, view

RECURRENT = ("LSTM", "GRU", "RNN")
INITIAL = {5: 1, 6: 2}
"""Input of a recurrent node that is an initial state, and the output that is the final one."""
UNKNOWN = -1
BEFORE = {"prev", "previous", "last", "past", "old", "init", "initial", "cur", "current"}
MARKERS = BEFORE | {
    *("in", "out", "input", "output", "identity", "next", "new", "updated", "final", "present", "t", "tm"),
}
"""Words that tell one end of a loop from the other. An input that is called no state must have one that says before:
audio_in and audio_out are no loop, nor are x and next_x."""
STATE_WORDS = {
    *("h", "c", "s", "hx", "cx", "hn", "cn", "hidden", "cell", "state", "states", "rnn", "gru", "lstm", "recurrent"),
    *("memory", "mem", "carry", "context", "ctx", "cache", "caches", "buffer", "buf", "history", "hist"),
}
NUMBERED = re.compile(r"^([a-z])(?:0|n|t|p)$")


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


class Flow:
    """Where each element of the state inputs goes, and where the elements of the outputs come from.

    Every element of an input and of a recurrent node's final state has a number of its own.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.count = 0
        self.elements: dict[str, Elements] = {}
        self.owner: dict[str, int] = {}
        self.slots: dict[str, list[tuple[Elements, Elements]]] = {}
        """For each state input: the elements that a layer starts from, and those of the layer's final state."""
        self.read: set[str] = set()
        """Inputs that some node reads otherwise."""
        self.every_step: set[str] = set()
        """Tensors that a layer's output at every step was moved to."""
        for tensor in graph.inputs:
            self.owner[tensor.name] = self.count
            self.elements[tensor.name] = self._fresh(tensor.shape)
        for node in graph.nodes:
            self._follow(node)

    def feeds(self, tensor: Tensor, output: Tensor) -> bool:
        """Whether an output holds, at the place of each element that a layer starts from, the layer's final state."""
        arrived = self.elements.get(output.name)
        if arrived is None or arrived.size != int(np.prod(tensor.shape)):
            return False
        base = self.owner[tensor.name]
        flat = arrived.ravel()
        return all(np.array_equal(flat[start.ravel() - base], end.ravel()) for start, end in self.slots[tensor.name])

    def unlikely(self, tensor: Tensor, output: Tensor) -> tuple[bool, bool, bool]:
        """What speaks against an output as the one that feeds a state, of several with the same elements.

        In a file of one step the hidden state of every step is the final one too: its name, where it comes from (Y, not
        Y_h) and its shape tell it from the state.
        """
        return not related(tensor.name, output.name), output.name in self.every_step, output.shape != tensor.shape

    def _fresh(self, shape: tuple[int, ...]) -> Elements:
        size = int(np.prod(shape, dtype=np.int64))
        self.count += size
        return np.arange(self.count - size, self.count).reshape(shape)

    def _follow(self, node: Node) -> None:
        if node.op_type in RECURRENT:
            self._recurrent(node)
            return
        if node.op_type == "Scan":
            self._scan(node)
            return
        moved = moved_inputs(node) if node.op_type in VIEWS else ()
        arrays = [self._known(name) for name in moved]
        known = [a for a in arrays if a is not None]
        results = view(node, known, self.graph.constants) if moved and len(known) == len(arrays) else None
        if results is not None:
            self.elements.update(zip(node.outputs, results, strict=False))
            self.every_step.update(node.outputs if self.every_step.intersection(moved) else ())
        only_moves = results is not None and all(name in self.elements for name in moved)
        for name in node.inputs:
            if not (only_moves and name in moved):
                self._reads(name)

    def _known(self, name: str) -> Elements | None:
        """The elements of a tensor, unknown ones where it comes from elsewhere; None if not even its shape is known."""
        if name in self.elements:
            return self.elements[name]
        shape = self.graph.shapes.get(name)
        return None if shape is None else np.full(shape, UNKNOWN)

    def _reads(self, name: str) -> None:
        if name in self.elements:
            used = self.elements[name]
            self.read |= {t.name for t in self.graph.inputs if np.any(self._within(used, t))}

    def _within(self, used: Elements, tensor: Tensor) -> NDArray[np.bool_]:
        base = self.owner[tensor.name]
        return (used >= base) & (used < base + int(np.prod(tensor.shape, dtype=np.int64)))

    def _recurrent(self, node: Node) -> None:
        sources = [INITIAL.get(i) for i in range(len(node.inputs))]
        finals = {k: self._fresh(self._final_shape(node, k)) for k in (1, 2)}
        for name, output in zip(node.inputs, sources, strict=True):
            if output is None:
                self._reads(name)
            elif name in self.elements:
                self._start(self.elements[name], finals[output])
        for k, elements in finals.items():
            if len(node.outputs) > k and node.outputs[k]:
                self.elements[node.outputs[k]] = elements
        sequence = self.graph.shapes.get(node.outputs[0]) if node.outputs[0] else None
        if sequence is not None and len(sequence) == 4 and node.attributes.get("direction", "forward") == "forward":
            steps = np.full(sequence, UNKNOWN)
            last = steps[:, -1] if node.attributes.get("layout", 0) else steps[-1]
            if last.shape == finals[1].shape:  # else its weights do not fit, which is told when it is traced
                last[...] = finals[1]
                self.elements[node.outputs[0]] = steps
                self.every_step.add(node.outputs[0])

    def _scan(self, node: Node) -> None:
        """A Scan starts its states from its first inputs and gives their final values first."""
        states = len(node.inputs) - int(node.attributes["num_scan_inputs"])
        for i, name in enumerate(all_inputs(node)):
            if name not in self.elements:
                continue
            if i < states:
                final = self._fresh(self.elements[name].shape)
                self._start(self.elements[name], final)
                if node.outputs[i]:
                    self.elements[node.outputs[i]] = final
            else:
                self._reads(name)

    def _start(self, elements: Elements, final: Elements) -> None:
        for tensor in self.graph.inputs:
            inside = self._within(elements, tensor)
            if np.all(inside) and elements.size == final.size:
                self.slots.setdefault(tensor.name, []).append((elements, final))
            elif np.any(inside):
                self.read.add(tensor.name)

    def _final_shape(self, node: Node, output: int) -> tuple[int, ...]:
        """Of Y_h (1) or Y_c (2): with a projection, h is narrower than c."""
        directions = 2 if node.attributes.get("direction") == "bidirectional" else 1
        recurrence = self.graph.constants.get(node.inputs[2])
        if recurrence is None:
            return (0,)
        size = int(recurrence.shape[-1]) if output == 1 else int(recurrence.shape[-2]) // 4
        return (1, directions, size) if node.attributes.get("layout", 0) else (directions, 1, size)


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


def related(name: str, other: str) -> bool:
    """Whether the names of an input and an output are those of a state before and after a step."""
    mine, theirs = stem(name), stem(other)
    if mine and mine == theirs:
        return bool(STATE_WORDS & set(mine)) or bool(BEFORE & set(_words(name)))
    return bool(letter(name)) and letter(name) == letter(other)


def named_as_state(name: str) -> bool:
    """Whether a name says that it is a state."""
    return bool(STATE_WORDS & set(stem(name)))


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+|\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())


def stem(name: str) -> tuple[str, ...]:
    """A name without what tells input from output."""
    return tuple(w for w in _words(name) if w not in MARKERS)


def letter(name: str) -> tuple[str, ...]:
    """As ``stem``; h0 and hn are both h."""
    parts = [p for p in re.split(r"[^a-z0-9]+", name.lower()) if p and p not in MARKERS]
    return tuple(NUMBERED.sub(r"\1", p) for p in parts if p not in ("0", "n"))


def all_inputs(node: Node) -> list[str]:
    """The inputs of a node and what its subgraphs take from outside."""
    names = [n for n in node.inputs if n]
    for value in node.attributes.values():
        if isinstance(value, Graph):
            inner = {t.name for t in value.inputs} | set(value.constants) | {n for m in value.nodes for n in m.outputs}
            outside = [n for m in value.nodes for n in all_inputs(m)] + [o.name for o in value.outputs]
            names += [n for n in outside if n not in inner]
    return names
