"""Changing a Graph: who computes and who reads a tensor, and replacing nodes by others."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnc.tracing import Graph, Node, Rewriting

Key = tuple[int, ...]
"""Where a node stands; keys sort as nodes do."""


class Editor:
    """A graph under change. Nodes are immutable: they are replaced."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.constants = dict(graph.constants)
        self.shapes = dict(graph.shapes)
        self.results = {o.name for o in graph.outputs}
        self.count = 0
        self.added: list[Node] = []
        """What ``replace`` put in since this was last emptied."""
        self.rewritings = list(graph.rewritings)
        self._nodes: dict[Key, Node] = {}
        self._producers: dict[str, Key] = {}
        self._readers: dict[str, list[Key]] = {}
        for i, node in enumerate(graph.nodes):
            self._put((i,), node)

    def _put(self, key: Key, node: Node) -> None:
        self._nodes[key] = node
        self._producers.update((name, key) for name in node.outputs if name)
        for name in dict.fromkeys(all_inputs(node)):
            self._readers.setdefault(name, []).append(key)

    def _remove(self, node: Node) -> Key:
        key = self._key(node)
        del self._nodes[key]
        for name in node.outputs:
            self._producers.pop(name, None)
        for name in dict.fromkeys(all_inputs(node)):
            self._readers[name].remove(key)
        return key

    def _key(self, node: Node) -> Key:
        return self._producers[next(name for name in node.outputs if name)]

    @property
    def nodes(self) -> list[Node]:
        """All nodes, as they stand."""
        return [self._nodes[key] for key in sorted(self._nodes)]

    def __contains__(self, node: Node) -> bool:
        return any(self.producer(name) is node for name in node.outputs if name)

    def producer(self, name: str) -> Node | None:
        """The node that computes a tensor."""
        key = self._producers.get(name)
        return None if key is None else self._nodes[key]

    def uses(self, name: str) -> list[Node]:
        """All nodes that read a tensor, from inside a subgraph too."""
        return [self._nodes[key] for key in self._readers.get(name, [])]

    def only_reader(self, name: str) -> Node | None:
        """The one node that reads a tensor, None where there are more, or where it is a result of the graph."""
        readers = self.uses(name)
        return readers[0] if len(readers) == 1 and name not in self.results else None

    def constant(self, name: str) -> NDArray[Any] | None:
        """A tensor's value where it is a constant."""
        return self.constants.get(name) if name else None

    def shape(self, name: str) -> tuple[int, ...] | None:
        """A tensor's shape where it is known."""
        array = self.constants.get(name)
        return self.shapes.get(name) if array is None else array.shape

    def add_constant(self, array: NDArray[Any], hint: str = "constant") -> str:
        """A new constant; returns its name."""
        name = self.fresh(hint)
        self.constants[name] = array
        self.shapes[name] = array.shape
        return name

    def fresh(self, hint: str) -> str:
        """A tensor name that is not in use, here or by what a body takes from outside."""
        self.count += 1
        while (name := f"{hint}:{self.count}") in self.shapes or name in self._producers or name in self._readers:
            self.count += 1
        return name

    def replace(self, old: Iterable[Node], new: Iterable[Node]) -> None:
        """Take nodes out and put others in, where the last of the old stood."""
        last = max(self._remove(node) for node in old)
        for i, node in enumerate(new):
            self._put((*last, i), node)
            self.added.append(node)

    def sweep(self, names: Iterable[str]) -> None:
        """Take out what computes tensors that nothing reads, and what that alone read."""
        queue = list(names)
        while queue:
            node = self.producer(queue.pop())
            if node is not None and not any(self.uses(o) or o in self.results for o in node.outputs):
                self._remove(node)
                queue += all_inputs(node)

    def note(self, rule: str, node: Node) -> None:
        """Record that a rule rewrote a node."""
        self.rewritings.append(Rewriting(rule, node.name or node.outputs[0], node.op_type))

    def finish(self) -> Graph:
        """The changed graph without what nothing reads, in topological order."""
        nodes, rewritings = tuple(cone(self.nodes, self.results)), tuple(self.rewritings)
        needed = self.results.union(*map(all_inputs, nodes))
        constants = {name: array for name, array in self.constants.items() if name in needed}
        return replace(self.graph, nodes=nodes, constants=constants, shapes=self.shapes, rewritings=rewritings)


def all_inputs(node: Node) -> list[str]:
    """The inputs of a node and what its subgraphs take from outside."""
    names = [n for n in node.inputs if n]
    return names + [name for body in node.attributes.values() if isinstance(body, Graph) for name in from_outside(body)]


def from_outside(body: Graph) -> list[str]:
    """What the nodes and outputs of a body take from outside of it."""
    inner = {t.name for t in body.inputs} | set(body.constants) | {n for m in body.nodes for n in m.outputs}
    used = [n for m in body.nodes for n in all_inputs(m)] + [o.name for o in body.outputs]
    return [n for n in used if n not in inner]


def enclose(editor: Editor, body: Graph) -> Graph:
    """A body with the constants that it takes from outside as its own."""
    taken = {name: editor.constants[name] for name in from_outside(body) if name in editor.constants}
    shapes = {**body.shapes, **{name: array.shape for name, array in taken.items()}}
    return replace(body, constants={**body.constants, **taken}, shapes=shapes)


def prune(graph: Graph, outputs: Iterable[str]) -> Graph:
    """The graph with only these of its outputs, and without what they do not need; outputs that are not read are ""."""
    wanted = set(outputs)
    kept = tuple(o for o in graph.outputs if o.name in wanted)
    graph = Editor(replace(graph, outputs=kept)).finish()
    read = {name for node in graph.nodes for name in all_inputs(node)} | wanted
    nodes = tuple(replace(n, outputs=tuple(o if o in read else "" for o in n.outputs)) for n in graph.nodes)
    return replace(graph, nodes=nodes)


def topological(nodes: list[Node]) -> list[Node]:
    """Nodes in an order in which each tensor is computed before it is read; otherwise as they were."""
    producers = {name: i for i, node in enumerate(nodes) for name in node.outputs if name}
    order: list[int] = []
    done: set[int] = set()
    for start in range(len(nodes)):
        stack = [(start, False)]
        while stack:
            i, ready = stack.pop()
            if ready:
                order.append(i)
            elif i not in done:
                done.add(i)
                stack.append((i, True))
                before = {producers[name] for name in all_inputs(nodes[i]) if name in producers}
                stack += [(j, False) for j in sorted(before - done, reverse=True)]
    return [nodes[i] for i in order]


def cone(nodes: Iterable[Node], names: Iterable[str], known: Container[str] = ()) -> list[Node]:
    """Those of some nodes that tensors are computed by from known ones, in their order."""
    nodes = list(nodes)
    makers = {name: node for node in nodes for name in node.outputs if name}
    found, queue = dict[int, Node](), list(names)
    while queue:
        name = queue.pop()
        node = None if name in known else makers.get(name)
        if node is not None and id(node) not in found:
            found[id(node)] = node
            queue += all_inputs(node)
    return [n for n in topological(nodes) if id(n) in found]


def reached(nodes: Iterable[Node], names: Iterable[str]) -> set[str]:
    """Some tensors, and those that nodes in order compute from them."""
    found = set(names)
    for node in nodes:
        if not found.isdisjoint(all_inputs(node)):
            found.update(filter(None, node.outputs))
    return found


def scalar_of(array: NDArray[Any] | None) -> float | None:
    """The number that all elements of a constant are, if they are one."""
    if array is None or array.size == 0 or not np.all(array == array.ravel()[0]):
        return None
    return float(array.ravel()[0])
