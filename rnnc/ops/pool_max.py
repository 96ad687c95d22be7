"""MaxPool over time and frames. Padding never wins: it is lower than everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rnnc.clock import Timing
from rnnc.interval import Interval
from rnnc.net import Accept, Array, Op, Probe, Quantizer, State, States, Value, no_probe
from rnnc.ops.geometry import Geometry, read_spatial
from rnnc.ops.history import due_ticks, history_state, newest, push_call
from rnnc.qnet import Arg, KernelCall, QOp, QState
from rnnc.tracing import Node, Traced, Tracer, handles


@dataclass(frozen=True, eq=False)
class MaxPool(Op):
    """The largest element under the kernel, channel by channel.

    Args:
        geometry: where it looks.
        shape: of the output: ``[channels, height, width]``, axes of length 1 left out.
    """

    geometry: Geometry
    shape: tuple[int, ...]
    kind: ClassVar[str] = "maxpool"
    forgets: ClassVar[bool] = True

    @property
    def timing(self) -> Timing:
        return self.geometry.timing

    @property
    def history(self) -> str:
        """The name of its state."""
        return f"{self.name}_history"

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [replace(inputs[0], shape=self.shape)]

    def states(self) -> tuple[State, ...]:
        return (history_state(self.history, self.geometry, fill=-np.inf),) if self.geometry.remembers else ()

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        if not self.geometry.remembers:
            return [self.largest(due_ticks(inputs[0], self.timing, tick), -np.inf)]
        return self.push(inputs[0], state, tick, -np.inf)

    def drain(self, state: States, tick: int) -> list[Array] | None:
        return self.push(np.full_like(state[self.history][:, 0], -np.inf), state, tick, -np.inf)

    def push(self, x: Array, state: States, tick: int, lowest: float) -> list[Array] | None:
        """One more frame ``[lanes, ...]``."""
        history = state[self.history] = newest(state[self.history], x)
        return [self.largest(history.reshape(len(history), -1), lowest)] if self.timing.due(tick) else None

    def largest(self, history: Array, lowest: float) -> Array:
        """``[..., frames * size]`` to ``[..., channels * positions]``."""
        best = self.geometry.patches(history, lowest).max((-4, -2, -1))
        return np.asarray(np.swapaxes(best, -1, -2).reshape(*history.shape[:-1], best.shape[-1] * best.shape[-2]))

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        frames = self.geometry.frames
        lo, hi = (np.tile(side, frames) for side in (inputs[0].lo, inputs[0].hi))
        lowest = -self.largest(-lo, -np.inf)
        return [Interval(lowest, self.largest(hi, -np.inf))]

    def accepts(self, index: int) -> Accept:
        return self.geometry.pooled

    def accepts_int8(self, index: int) -> bool:
        return True

    def quantize(self, q: Quantizer) -> QMaxPool:
        return QMaxPool(self, self.inputs, (self.geometry.pooled_format(q.input(0)),), q.input(0).bits)

    def describe(self) -> str:
        return f"largest of {self.geometry.describe()}"


@dataclass(frozen=True, eq=False)
class QMaxPool(QOp):
    """The same integers."""

    op: MaxPool
    bits: int

    @property
    def lowest(self) -> int:
        """The least integer of the input's width."""
        return -(1 << (self.bits - 1))

    def states(self) -> tuple[QState, ...]:
        form = replace(self.formats[0], scale=self.formats[0].scale[:1])
        return tuple(QState(s.name, s.shape, form, np.full(s.shape, self.lowest, np.int64)) for s in self.op.states())

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        if not self.op.geometry.remembers:
            return [self.op.largest(due_ticks(inputs[0], self.timing, tick), self.lowest)]
        return self.op.push(inputs[0], state, tick, self.lowest)

    def drain(self, state: States, tick: int) -> list[Array] | None:
        lanes = len(state[self.op.history])
        return self.op.push(np.full((lanes, self.op.geometry.size), self.lowest), state, tick, self.lowest)

    def calls(self) -> list[KernelCall]:
        g = self.op.geometry
        x = Arg("state", self.op.history) if g.remembers else Arg("input", "0")
        fields = (g.fields(), ("bits", self.bits), ("lowest", self.lowest))
        pool = KernelCall("rnnc_pool_max", "pool_max.h", "rnnc_pool_max_params", fields, (x, Arg("output", "0")))
        if not g.remembers:
            return [pool]
        return [push_call(self.op.history, g, replace(self.formats[0], bits=self.bits), self.lowest), pool]


@handles("MaxPool")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX MaxPool."""
    x = trace.input(node, 0)
    assert x is not None
    if len(node.outputs) > 1 and node.outputs[1]:
        trace.refuse(node, "gives the indices of what it found", "Only the values are supported.")
    spatial = read_spatial(node, trace, x, tuple(int(k) for k in node.attributes["kernel_shape"]))
    y = Traced((*x.shape[:2], *spatial.lengths), x.kind, x.time)
    op = trace.add(node, MaxPool, [x.value], geometry=spatial.geometry, shape=y.frame)
    trace.result(node, 0, replace(y, value=op.outputs[0]))
