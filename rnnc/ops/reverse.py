"""Reverse: a window's steps from the last to the first. All of them wait until the window is full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rnnc.clock import Timing
from rnnc.fixed import Format
from rnnc.interval import Interval
from rnnc.net import Array, Op, Probe, Quantizer, State, States, Value, no_probe
from rnnc.qnet import Arg, KernelCall, QOp, QState
from rnnc.tracing import Node, Traced, Tracer


@dataclass(frozen=True, eq=False)
class Reverse(Op):
    """Tick ``count - 1 - k`` of the input as tick k, after the input has ended.

    Args:
        count: ticks of a window.
        size: elements of a tick.
    """

    count: int
    size: int
    kind: ClassVar[str] = "reverse"
    forgets: ClassVar[bool] = True
    passes: ClassVar[bool] = True

    @property
    def timing(self) -> Timing:
        return Timing(first=self.count, tail=self.count, ahead=self.count)

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [inputs[0]]

    def states(self) -> tuple[State, ...]:
        shape = (self.count, self.size)
        return State(f"{self.name}_queue", shape, np.zeros(shape)), State(f"{self.name}_count", (1,), np.zeros(1))

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> None:
        queue = state[f"{self.name}_queue"].copy()
        queue[:, tick] = inputs[0].reshape(len(inputs[0]), -1)
        state[f"{self.name}_queue"] = queue
        state[f"{self.name}_count"] = np.full_like(state[f"{self.name}_count"], tick + 1)

    def drain(self, state: States, tick: int) -> list[Array]:
        left = 2 * self.count - 1 - tick
        state[f"{self.name}_count"] = np.full_like(state[f"{self.name}_count"], left)
        return [state[f"{self.name}_queue"][:, left]]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        return [inputs[0]]

    def accepts_int8(self, index: int) -> bool:
        return True

    def quantize(self, q: Quantizer) -> QReverse:
        return QReverse(self, self.inputs, (q.input(0),))

    def describe(self) -> str:
        return f"{self.count} steps from the last to the first"


@dataclass(frozen=True, eq=False)
class QReverse(QOp):
    """The same integers."""

    op: Reverse

    def states(self) -> tuple[QState, ...]:
        form, (queue, count) = self.formats[0], self.op.states()
        whole = replace(form, scale=np.tile(form.scale_for(self.op.size), self.op.count))
        places = Format(16, np.ones(1), 0, 0, self.op.count)
        zeros = np.zeros(queue.shape, np.int64)
        return QState(queue.name, queue.shape, whole, zeros), QState(count.name, (1,), places, np.zeros(1, np.int64))

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> None:
        self.op.step(inputs, state, tick)

    def drain(self, state: States, tick: int) -> list[Array]:
        return self.op.drain(state, tick)

    def calls(self) -> list[KernelCall]:
        queue, count = Arg("state", f"{self.name}_queue"), Arg("state", f"{self.name}_count")
        fields = (("capacity", self.op.count), ("size", self.op.size), ("bits", self.formats[0].bits))
        push = (Arg("input", "0"), queue, count)
        call = KernelCall("rnnc_queue_push", "queue.h", "rnnc_queue_params", fields, push, when="input")
        return [
            call,
            replace(call, function="rnnc_queue_pop_newest", args=(queue, count, Arg("output", "0")), when="output"),
        ]


def backwards(node: Node, trace: Tracer, x: Traced) -> Traced:
    """A stream from its last step to its first."""
    assert x.time is not None
    trace.need_window(node, "turns a sequence around in time", buffered=True)
    op = trace.add(node, Reverse, [x.value], count=x.shape[x.time], size=trace.value(x.value).size)
    return replace(x, value=op.outputs[0])
