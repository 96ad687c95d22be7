"""The order in which ops run over many steps: each over all of them at once, but for those that wait for a state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from rnnc.net import Value


class _Runner(Protocol):
    @property
    def inputs(self) -> tuple[str, ...]: ...
    @property
    def outputs(self) -> tuple[str, ...]: ...


Runner = TypeVar("Runner", bound=_Runner)
Fed = tuple[str, str]
"""A fed-back state and the value that it is set to."""
Part = tuple[list[Runner], list[Fed]]
"""Ops, and the states that are fed back among them."""


def divided(ops: Sequence[Runner], feedback: Sequence[Fed], values: Mapping[str, Value]) -> list[Part[Runner]]:
    """The ops in an order in which each part can run on many steps at once, or has states: those ops run step by step.

    A part is an op, or a state with what lies between it and the value that it is set to. An op that reads beside a value that
    is at hand at every step one that is not new at each is run step by step too, in one part with all states.
    """
    states = range(len(ops), len(ops) + len(feedback))
    makers = {name: k for k, op in enumerate(ops) for name in op.outputs}
    makers |= {read: k for k, (read, _) in zip(states, feedback, strict=True)}
    readers: list[list[int]] = [[] for _ in range(len(ops) + len(feedback))]
    for k, (_, written) in zip(states, feedback, strict=True):
        if written in makers:
            readers[makers[written]].append(k)
    for k, op in enumerate(ops):
        for name in op.inputs:
            if name in makers:
                readers[makers[name]].append(k)
        clocks = [values[name].clock for name in op.inputs]
        if not all(c.rate for c in clocks) and any(c.rate and (c.rate, c.phase) != (1, 0) for c in clocks):
            readers[k].extend(states)
            for j in states:
                readers[j].append(k)
    parts = []
    for circle in map(sorted, circles(readers)):
        fed = [feedback[k - len(ops)] for k in circle if k >= len(ops)]
        parts.append(([ops[k] for k in circle if k < len(ops)], fed))
    return parts


def circles(followers: Sequence[Sequence[int]]) -> list[list[int]]:
    """Nodes of a graph, those that follow from each other together, in an order in which each comes after what it follows."""
    found: list[list[int]] = []
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    done: set[int] = set()
    for root in range(len(followers)):
        todo = [] if root in index else [(root, iter(followers[root]))]
        while todo:
            node, rest = todo[-1]
            if node not in index:
                index[node] = low[node] = len(index)
                stack.append(node)
            after = next((n for n in rest if n not in done), None)
            if after is None:
                todo.pop()
                if todo:
                    low[todo[-1][0]] = min(low[todo[-1][0]], low[node])
                if low[node] == index[node]:
                    k = stack.index(node)
                    found.append(stack[k:])
                    done.update(stack[k:])
                    del stack[k:]
            elif after in index:
                low[node] = min(low[node], index[after])
            else:
                todo.append((after, iter(followers[after])))
    return found[::-1]
