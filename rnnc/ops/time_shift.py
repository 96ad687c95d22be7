"""TimeShift: a sequence with steps added or dropped at its ends (Pad and Slice over time)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rnnc.clock import Timing
from rnnc.fixed import Ints
from rnnc.interval import Interval
from rnnc.net import Array, Op, Probe, Quantizer, State, States, Value, no_probe
from rnnc.ops.geometry import Axis, Geometry
from rnnc.ops.history import due_ticks, history_qstate, history_state, newest, push_call
from rnnc.ops.reverse import backwards
from rnnc.qnet import KernelCall, QOp, QState
from rnnc.tracing import Node, Traced, Tracer


@dataclass(frozen=True, eq=False)
class TimeShift(Op):
    """A sequence with ``before`` zero steps in front and ``after`` at the end; negative numbers drop steps.

    Of ``stride`` steps only the first is kept. What is dropped at the end must be held back until it is known that the
    sequence goes on: that costs as many steps of latency.
    """

    before: int
    after: int
    size: int
    stride: int = 1
    kind: ClassVar[str] = "time_shift"
    forgets: ClassVar[bool] = True
    passes: ClassVar[bool] = True

    @property
    def wait(self) -> int:
        """How many steps after its own place a step comes at the earliest: there is no output before there is an input."""
        return max(0, -self.before, -(self.before + self.after))

    @property
    def lag(self) -> int:
        """How many steps old the output is."""
        return self.wait + self.before

    @property
    def timing(self) -> Timing:
        return Timing(self.wait, self.stride, self.after + self.lag, self.wait - max(0, -self.before))

    @property
    def remembers(self) -> bool:
        """Whether it keeps or adds steps; else it only drops some."""
        return self.lag > 0 or self.timing.tail > 0

    @property
    def geometry(self) -> Geometry:
        """Its history: the output is the oldest frame of it."""
        return Geometry(self.size, time=Axis(self.lag + 1))

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [inputs[0]]

    def states(self) -> tuple[State, ...]:
        return (history_state(f"{self.name}_history", self.geometry),) if self.remembers else ()

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        if not self.remembers:
            return [due_ticks(inputs[0], self.timing, tick)]
        return self.push(inputs[0], state, tick)

    def drain(self, state: States, tick: int) -> list[Array] | None:
        return self.push(np.zeros_like(state[f"{self.name}_history"][:, 0]), state, tick)

    def push(self, x: Array, state: States, tick: int) -> list[Array] | None:
        """One more step ``[lanes, ...]``, or padding."""
        history = state[f"{self.name}_history"] = newest(state[f"{self.name}_history"], x)
        return [history[:, 0]] if self.timing.due(tick) else None

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        x = inputs[0]
        return [Interval(np.minimum(x.lo, 0), np.maximum(x.hi, 0))] if self.remembers else [x]

    def accepts_int8(self, index: int) -> bool:
        return True

    def absorb(self, reader: Op) -> Op | None:
        """Padding becomes that of a convolution which reads it; a convolution starts later where steps are dropped."""
        from rnnc.ops.conv import Conv  # which itself takes in what drops some of its steps

        if not isinstance(reader, Conv) or self.stride > 1 or self.after < 0:
            return None
        time = reader.geometry.time
        if self.before < 0 and time.before > 0:
            return None
        padded = replace(time, before=time.before + self.before, after=time.after + self.after)
        return replace(reader, inputs=self.inputs, geometry=replace(reader.geometry, time=padded))

    def quantize(self, q: Quantizer) -> QTimeShift:
        return QTimeShift(self, self.inputs, (q.input(0),))

    def describe(self) -> str:
        parts = [f"{n:+d} steps {where}" for n, where in ((self.before, "before"), (self.after, "after")) if n]
        parts += [f"every {self.stride} steps"] if self.stride > 1 else []
        return ", ".join(parts)


@dataclass(frozen=True, eq=False)
class QTimeShift(QOp):
    """The same integers; the zero point where steps are added. The output lies at the begin of the history."""

    op: TimeShift

    def states(self) -> tuple[QState, ...]:
        return tuple(history_qstate(s, self.formats[0]) for s in self.op.states())

    def output_state(self, index: int) -> str:
        return f"{self.name}_history" if self.op.remembers else ""

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        return self.op.step(inputs, state, tick)

    def drain(self, state: States, tick: int) -> list[Array] | None:
        lanes = len(state[f"{self.name}_history"])
        return self.op.push(np.full((lanes, self.op.size), self.formats[0].zero_point), state, tick)

    def calls(self) -> list[KernelCall]:
        if not self.op.remembers:
            return []
        return [push_call(f"{self.name}_history", self.op.geometry, self.formats[0], self.formats[0].zero_point)]


# --------------------------------------------------------------------------- from ONNX


def pad_time(node: Node, trace: Tracer, x: Traced, before: int, after: int, stride: int = 1) -> Traced:
    """A stream with zero steps added at its ends, or steps dropped where a number is negative; every ``stride``-th of it."""
    assert x.time is not None
    if before == after == 0 and stride == 1:
        return x
    if before > 0 and trace.holds(x.value):
        trace.refuse(node, "joins zeros to blocks of steps", "A window holds them all.")
    length = -(-(x.shape[x.time] + before + after) // stride)
    if length < 1:
        trace.refuse(node, f"drops {-before - after} of {x.shape[x.time]} steps")
    shape = tuple(length if i == x.time else n for i, n in enumerate(x.shape))
    size = trace.value(x.value).size
    op = trace.add(node, TimeShift, [x.value], before=before, after=after, size=size, stride=stride)
    return replace(x, shape=shape, value=op.outputs[0])


def select_steps(node: Node, trace: Tracer, x: Traced, indices: Ints) -> Traced:
    """Some steps of a stream: all but some at its ends, or every so many."""
    assert x.time is not None
    n, start = x.shape[x.time], int(indices[0])
    step = int(indices[1] - indices[0]) if indices.size > 1 else 1
    rest = n - 1 - int(indices[-1])
    if indices.size == 1 and trace.windowed:
        op = trace.add(node, TimeShift, [x.value], before=-start, after=0, size=trace.value(x.value).size, stride=n)
        shape = tuple(1 if i == x.time else m for i, m in enumerate(x.shape))
        return Traced(shape, "last", value=op.outputs[0])
    if indices.size == 1 and rest:
        which = f"the step {rest} before the last" if start > rest else f"step {start}" if start else "the first step"
        what = f"takes {which} of a sequence by itself: of single steps a stream has the newest alone"
        trace.refuse(node, what, ONE_STEP, f"{ONE_STEP_IN_WINDOWS} {ONE_STEP}")
    if step == -1 and indices.size == n:
        return backwards(node, trace, x)
    if step < 1 or np.any(np.diff(indices) != step):
        trace.refuse(node, f"takes steps {_brief(indices)} of {n} out of a sequence", STEPS_HINT)
    if trace.open_time and (start > n // 2 or rest > n // 2 or (step > 1 and rest >= step)):
        trace.refuse(
            node, f"which steps it takes depends on the length of the sequence ({_brief(indices)} of {n})", STEPS_HINT
        )
    return pad_time(node, trace, x, -start, -(rest // step * step), step)


def last_of_window(node: Node, trace: Tracer, x: Traced, count: int) -> Traced:
    """The last of ``count`` ticks of a window's value: what reads it runs once a window."""
    size = trace.value(x.value).size
    op = trace.add(node, TimeShift, [x.value], before=1 - count, after=0, size=size, stride=count)
    return replace(x, value=op.outputs[0])


ONE_STEP = (
    "In a stream, what needs an earlier step takes slices of all (y[:, 1:] - y[:, :-1]); what all steps share is an input of "
    "its own."
)
ONE_STEP_IN_WINDOWS = "With --window T each single step is there, once, at the end of the window."
STEPS_HINT = "Of a stream the last step can be taken, or all but some at its begin or end, or every so many."


def _brief(indices: Ints) -> str:
    """A few of the indices."""
    shown = ", ".join(str(i) for i in indices[:4])
    return f"{shown}, ..." if indices.size > 4 else shown
