"""Collect: what a window gives at each of its steps, kept until all of it can be answered at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from rnnc.interval import Interval
from rnnc.net import Array, Quantizer, States
from rnnc.ops.reverse import QReverse, Reverse
from rnnc.qnet import Arg, KernelCall


@dataclass(frozen=True, eq=False)
class Collect(Reverse):
    """Tick k of the input as tick k, after the input has ended."""

    kind: ClassVar[str] = "collect"

    def drain(self, state: States, tick: int) -> list[Array]:
        state[f"{self.name}_count"] = state[f"{self.name}_count"] - 1
        return [state[f"{self.name}_queue"][:, tick - self.count]]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        return [inputs[0]]

    def quantize(self, q: Quantizer) -> QCollect:
        return QCollect(self, self.inputs, (q.input(0),))

    def describe(self) -> str:
        return f"{self.count} steps for the end of the window"


@dataclass(frozen=True, eq=False)
class QCollect(QReverse):
    """The same integers."""

    op: Collect

    def calls(self) -> list[KernelCall]:
        push, pop = super().calls()
        queue, count = Arg("state", f"{self.name}_queue"), Arg("state", f"{self.name}_count")
        return [push, replace(pop, function="rnnc_queue_next", args=(queue, count, Arg("output", "0")))]
