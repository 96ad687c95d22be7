"""Delay: lets a value wait for another that comes later, where paths of different latency join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rnnc.clock import Clock
from rnnc.fixed import Floats, Format
from rnnc.interval import Interval
from rnnc.net import Array, Op, Probe, Quantizer, State, States, Value, no_probe
from rnnc.qnet import Arg, KernelCall, QOp, QState


@dataclass(frozen=True, eq=False)
class Delay(Op):
    """Tick k of input 0 when tick k of input 1 has come; until then it waits in a queue.

    Args:
        capacity: the most ticks that wait.
        size: elements of a tick.
    """

    capacity: int
    size: int
    kind: ClassVar[str] = "delay"
    forgets: ClassVar[bool] = True
    elastic: ClassVar[bool] = True
    passes: ClassVar[bool] = True

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [inputs[0]]

    def clock(self, inputs: Sequence[Value]) -> Clock:
        return inputs[1].clock

    def states(self) -> tuple[State, ...]:
        shape = (self.capacity, self.size)
        return State(f"{self.name}_queue", shape, np.zeros(shape)), State(f"{self.name}_count", (1,), np.zeros(1))

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        queue, count = state[f"{self.name}_queue"], state[f"{self.name}_count"]
        waiting = np.swapaxes(queue[:, : int(count[0, 0])], 0, 1)
        ticks = np.concatenate([waiting, inputs[0].reshape(len(inputs[0]), len(queue), self.size)])
        due = len(inputs[1])
        left = len(ticks) - due
        assert 0 <= left <= self.capacity, f"{self.name}: {left} wait for {self.capacity} places"
        state[f"{self.name}_queue"] = np.zeros_like(queue)
        state[f"{self.name}_queue"][:, :left] = np.swapaxes(ticks[due:], 0, 1)
        state[f"{self.name}_count"] = np.full_like(count, left)
        return [ticks[:due]]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        return [inputs[0]]

    def less(self, offsets: Sequence[Floats]) -> tuple[Op, Floats | None]:
        return self, offsets[0]

    def accepts_int8(self, index: int) -> bool:
        return True

    def quantize(self, q: Quantizer) -> QDelay:
        return QDelay(self, self.inputs, (q.input(0),))

    def describe(self) -> str:
        return f"wait for {self.inputs[1]}, {self.capacity} at most"


@dataclass(frozen=True, eq=False)
class QDelay(QOp):
    """The same integers."""

    op: Delay

    def states(self) -> tuple[QState, ...]:
        form, (queue, count) = self.formats[0], self.op.states()
        whole = replace(form, scale=np.tile(form.scale_for(self.op.size), self.op.capacity))
        zeros = np.zeros(queue.shape, np.int64)
        places = Format(16, np.ones(1), 0, 0, self.op.capacity)
        return QState(queue.name, queue.shape, whole, zeros), QState(count.name, (1,), places, np.zeros(1, np.int64))

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return self.op.step(inputs, state, tick)

    def calls(self) -> list[KernelCall]:
        queue, count = Arg("state", f"{self.name}_queue"), Arg("state", f"{self.name}_count")
        fields = (("capacity", self.op.capacity), ("size", self.op.size), ("bits", self.formats[0].bits))
        call = KernelCall("rnnc_queue_pop", "queue.h", "rnnc_queue_params", fields, (queue, count, Arg("output", "0")))
        push = (Arg("input", "0"), queue, count)
        return [call, replace(call, function="rnnc_queue_push", args=push, when="input")]
