"""Unstack: frames that lie side by side in one value, given one after the other from the next step on.

A window's result, with time among its axes or repeated for every step, becomes a sequence again: what a second recurrent
layer scans once the window is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rnnc.clock import Clock
from rnnc.fixed import Format
from rnnc.interval import Interval
from rnnc.net import Accept, Array, Op, Probe, Quantizer, State, States, Value, no_probe
from rnnc.qnet import Arg, KernelCall, QOp, QState


@dataclass(frozen=True, eq=False)
class Unstack(Op):
    """Frame k of input 0 at tick k of input 1, which begins after input 0 has come; the last one from then on.

    Args:
        count: frames of input 0; 1 for one that is repeated.
        ticks: how many frames are given.
        shape: of a frame.
    """

    count: int
    ticks: int
    shape: tuple[int, ...]
    kind: ClassVar[str] = "unstack"
    forgets: ClassVar[bool] = True
    elastic: ClassVar[bool] = True

    @property
    def size(self) -> int:
        """Elements of a frame."""
        return int(np.prod(self.shape, dtype=np.int64))

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        assert inputs[0].size == self.count * self.size, f"{self.name}: {inputs[0].shape}"
        return [Value("", self.shape)]

    def clock(self, inputs: Sequence[Value]) -> Clock:
        return inputs[1].clock

    def states(self) -> tuple[State, ...]:
        shape = (self.count, self.size)
        return State(f"{self.name}_frames", shape, np.zeros(shape)), State(f"{self.name}_at", (1,), np.zeros(1))

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        due = len(inputs[1])
        at = int(state[f"{self.name}_at"][0, 0])
        frames = state[f"{self.name}_frames"]
        given = [frames[:, min(at + k, self.count - 1)] for k in range(due)]
        at = min(at + due, self.count - 1)
        if len(inputs[0]):
            frames, at = inputs[0][-1].reshape(frames.shape), 0
        state[f"{self.name}_frames"] = frames
        state[f"{self.name}_at"] = np.full_like(state[f"{self.name}_at"], at)
        return [np.stack(given) if given else np.zeros((0, len(frames), self.size), frames.dtype)]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        lo, hi = (side.reshape(self.count, self.size) for side in (inputs[0].lo, inputs[0].hi))
        return [Interval(lo.min(0), hi.max(0))]

    def accepts(self, index: int) -> Accept:
        return "common" if self.count > 1 else "any"

    def accepts_int8(self, index: int) -> bool:
        return True

    def quantize(self, q: Quantizer) -> QUnstack:
        return QUnstack(self, self.inputs, (q.input(0),))

    def describe(self) -> str:
        what = f"{self.count} frames" if self.count > 1 else "one frame"
        return f"{what} of {self.size} over {self.ticks} steps after the window"


@dataclass(frozen=True, eq=False)
class QUnstack(QOp):
    """The same integers."""

    op: Unstack

    def states(self) -> tuple[QState, ...]:
        form, (frames, at) = self.formats[0], self.op.states()
        whole = form if form.uniform else replace(form, scale=np.tile(form.scale_for(self.op.size), self.op.count))
        places = Format(16, np.ones(1), 0, 0, self.op.count)
        return QState(frames.name, frames.shape, whole, np.zeros(frames.shape, np.int64)), QState(
            at.name, (1,), places, np.zeros(1, np.int64)
        )

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return self.op.step(inputs, state, tick)

    def calls(self) -> list[KernelCall]:
        frames, at = Arg("state", f"{self.name}_frames"), Arg("state", f"{self.name}_at")
        fields = (("count", self.op.count), ("size", self.op.size), ("bits", self.formats[0].bits))
        args = (frames, at, Arg("output", "0"))
        give = KernelCall("rnnc_unstack_next", "unstack.h", "rnnc_unstack_params", fields, args)
        return [
            give,
            replace(give, function="rnnc_unstack_keep", args=(Arg("input", "0"), frames, at), when="input"),
        ]
