"""Stack: several frames taken together as one, so that only every k-th step counts (Reshape of time and features)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rnnc.clock import Timing
from rnnc.interval import Interval
from rnnc.net import Array, Op, Probe, Quantizer, State, States, Value, no_probe
from rnnc.ops.geometry import Axis, Geometry
from rnnc.ops.history import history_qstate, history_state, newest, push_call
from rnnc.qnet import KernelCall, QOp, QState


@dataclass(frozen=True, eq=False)
class Stack(Op):
    """Each ``count`` frames of ``size`` elements one after the other, oldest first; what is left at the end is dropped.

    Args:
        shape: of the output, ``count * size`` elements.
    """

    count: int
    size: int
    shape: tuple[int, ...]
    kind: ClassVar[str] = "stack"
    forgets: ClassVar[bool] = True

    @property
    def timing(self) -> Timing:
        return Timing(self.count - 1, self.count)

    @property
    def geometry(self) -> Geometry:
        """Its history: the output is all of it."""
        return Geometry(self.size, time=Axis(self.count))

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [replace(inputs[0], shape=self.shape)]

    def states(self) -> tuple[State, ...]:
        return (history_state(f"{self.name}_history", self.geometry),)

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        history = state[f"{self.name}_history"] = newest(state[f"{self.name}_history"], inputs[0])
        return [history.reshape(len(history), -1)] if self.timing.due(tick) else None

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        return [Interval(np.tile(inputs[0].lo, self.count), np.tile(inputs[0].hi, self.count))]

    def accepts_int8(self, index: int) -> bool:
        return True

    def quantize(self, q: Quantizer) -> QStack:
        x = q.input(0)
        return QStack(self, self.inputs, (replace(x, scale=np.tile(x.scale_for(self.size), self.count)),))

    def describe(self) -> str:
        return f"{self.count} frames of {self.size} together"


@dataclass(frozen=True, eq=False)
class QStack(QOp):
    """The same integers; the output is the history."""

    op: Stack

    def states(self) -> tuple[QState, ...]:
        form = replace(self.formats[0], scale=self.formats[0].scale_for(self.op.count * self.op.size)[: self.op.size])
        return tuple(history_qstate(s, form) for s in self.op.states())

    def output_state(self, index: int) -> str:
        return f"{self.name}_history"

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        return self.op.step(inputs, state, tick)

    def calls(self) -> list[KernelCall]:
        return [push_call(f"{self.name}_history", self.op.geometry, self.formats[0], self.formats[0].zero_point)]
