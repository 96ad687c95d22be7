"""When values come, and how many of a sequence: most ops give as many as they take, a few change the pace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rnnc.clock import Timing

if TYPE_CHECKING:
    from rnnc.net import Op, Value


def computed(op: Op, inputs: Sequence[Value]) -> list[Value]:
    """The values of an op's outputs, with names and clocks."""
    values, clock = op.infer(inputs), op.clock(inputs)
    assert len(values) == len(op.outputs), op.name
    return [replace(v, name=n, clock=clock) for n, v in zip(op.outputs, values, strict=True)]


class Pace:
    """The ops that change the pace, and what each value comes as often as."""

    def __init__(self, values: Iterable[str], ops: Sequence[Op]) -> None:
        self._sources = {name: frozenset([name]) for name in values}
        """For each value, those it comes as often as the rarest of: inputs, and what ops give that change the pace."""
        self._changing: list[tuple[Op, frozenset[str]]] = []
        for op in ops:
            before = self._rarest(op.inputs[:1] if op.elastic else op.inputs)
            if op.elastic or op.timing != Timing():
                self._changing.append((op, before))
                before = frozenset(op.outputs[:1])
            self._sources.update(dict.fromkeys(op.outputs, before))

    def _rarest(self, names: Sequence[str]) -> frozenset[str]:
        return frozenset[str]().union(*(self._sources[n] for n in names))

    def ticks(self, value: str, steps: int) -> int:
        """How many ticks of a value belong to ``steps`` steps, those that come after the end included."""
        counts: dict[str, int] = {}
        for op, before in self._changing:
            counts[op.outputs[0]] = op.timing.count(min(counts.get(n, steps) for n in before))
        return min(counts.get(n, steps) for n in self._sources[value])
