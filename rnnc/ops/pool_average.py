"""AveragePool over time and frames. Where padding does not count, windows at the edges are divided by what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from rnnc.clock import Timing
from rnnc.fixed import Floats, Format, Ints, int32, mul15, multiplier
from rnnc.interval import Interval
from rnnc.net import Accept, Array, Op, Probe, Quantizer, State, States, Value, no_probe
from rnnc.ops.geometry import Axis, Geometry, read_spatial
from rnnc.ops.history import due_ticks, history_qstate, history_state, newest, push_call
from rnnc.qnet import Arg, Bound, Constant, KernelCall, QOp, QState
from rnnc.tracing import Node, Traced, Tracer, handles

MOST_ELEMENTS = 8192
"""Of 17 bits each they add up to 2^30."""
FINEST = 8
"""How many more fraction bits than its input a mean may have."""


@dataclass(frozen=True, eq=False)
class AveragePool(Op):
    """The mean of what lies under the kernel, channel by channel.

    Args:
        geometry: where it looks.
        count_padding: whether padding counts as zeros; what ceil_mode adds never does.
        shape: of the output: ``[channels, height, width]``, axes of length 1 left out.
    """

    geometry: Geometry
    count_padding: bool
    shape: tuple[int, ...]
    kind: ClassVar[str] = "averagepool"
    forgets: ClassVar[bool] = True

    @property
    def timing(self) -> Timing:
        return self.geometry.timing

    @property
    def history(self) -> str:
        """The name of its first state; the second, where there is one, tells how much of it are frames."""
        return f"{self.name}_history"

    @property
    def counts_frames(self) -> bool:
        """Whether a window may hold fewer frames than it has taps."""
        time = self.geometry.time
        return not self.count_padding and (time.before > 0 or time.after > 0)

    @cached_property
    def places(self) -> Ints:
        """How many places of a frame count at each position, ``[positions]``."""
        g = self.geometry
        rows, columns = (self._counted(axis, n) for axis, n in ((g.rows, g.height), (g.columns, g.width)))
        return (rows[:, None] * columns[None, :]).ravel()

    def _counted(self, axis: Axis, n: int) -> Ints:
        at = axis.taps(n)
        before, after = (axis.before, axis.after - axis.overhang) if self.count_padding else (0, 0)
        return np.asarray(((at >= -before) & (at < n + after)).sum(1))

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [replace(inputs[0], shape=self.shape)]

    def states(self) -> tuple[State, ...]:
        if not self.geometry.remembers:
            return ()
        history = history_state(self.history, self.geometry)
        return (history, State(f"{self.name}_seen", (2,), np.zeros(2))) if self.counts_frames else (history,)

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        if not self.geometry.remembers:
            return [self._mean(due_ticks(inputs[0], self.timing, tick), 1)]
        return self._push(inputs[0], state, tick, ended=False)

    def drain(self, state: States, tick: int) -> list[Array] | None:
        return self._push(np.zeros_like(state[self.history][:, 0]), state, tick, ended=True)

    def _push(self, x: Array, state: States, tick: int, ended: bool) -> list[Array] | None:
        history = state[self.history] = newest(state[self.history], x)
        frames = self.frames_seen(state, ended)
        return [self._mean(history.reshape(len(history), -1), frames)] if self.timing.due(tick) else None

    def frames_seen(self, state: States, ended: bool) -> int:
        """Count one more push, of a frame or past the end; how many of the taps in time lie on frames."""
        g, name = self.geometry, f"{self.name}_seen"
        if not self.counts_frames:
            return g.time.kernel
        seen = state[name].copy()
        seen[:, int(ended)] = np.minimum(seen[:, int(ended)] + 1, g.frames)
        state[name] = seen
        live, past = int(seen[0, 0]), int(seen[0, 1])
        taps = np.arange(g.time.kernel) * g.time.dilation
        return int(((taps >= g.frames - past - live) & (taps < g.frames - past)).sum())

    def _mean(self, history: Array, frames: int) -> Floats:
        total = self.geometry.patches(history, 0.0).sum((-4, -2, -1))
        return self.by_channel(total / (self.places[:, None] * frames).astype(total.dtype), history)

    def by_channel(self, y: Array, history: Array) -> Array:
        """``[..., positions, channels]`` as ``[..., channels * positions]``."""
        return np.asarray(np.swapaxes(y, -1, -2).reshape(*history.shape[:-1], y.shape[-1] * y.shape[-2]))

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        lo, hi = (np.tile(side, self.geometry.frames) for side in (inputs[0].lo, inputs[0].hi))
        low = self.by_channel(self.geometry.patches(np.minimum(lo, 0), 0.0).min((-4, -2, -1)), lo)
        high = self.by_channel(self.geometry.patches(np.maximum(hi, 0), 0.0).max((-4, -2, -1)), hi)
        return [Interval(low, high)]

    def accepts(self, index: int) -> Accept:
        return self.geometry.pooled

    def accepts_int8(self, index: int) -> bool:
        return True

    def quantize(self, q: Quantizer) -> QAveragePool:
        x, wanted = q.input(0), q.output()
        y = self.geometry.pooled_format(x)
        n = int(np.prod(self.shape, dtype=np.int64))
        finer = int(np.clip(np.floor(np.log2((y.scale_for(n) / wanted.scale_for(n)).min())), 0, FINEST))
        plain = QAveragePool(self, self.inputs, (y,), x, 0)
        if x.bits == 8 and q.wants8():
            return plain
        finer = min(finer, plain.up)
        return replace(plain, formats=(Format(16, y.scale / 2.0**finer),), finer=finer)

    def describe(self) -> str:
        return f"mean of {self.geometry.describe()}"


@dataclass(frozen=True, eq=False)
class QAveragePool(QOp):
    """``y = (mul15(m, sum << up) + round) >> p``: m of 15 bits for each number of elements that may be counted.

    The output's LSB is 2^-finer of the input's.
    """

    op: AveragePool
    x: Format
    finer: int

    @property
    def reach(self) -> int:
        """The largest magnitude of a sum."""
        g = self.op.geometry
        return (self.x.amax + abs(self.x.zero_point)) * g.time.kernel * g.rows.kernel * g.columns.kernel

    @property
    def up(self) -> int:
        """How far a sum is shifted up before its multiplication; it stays below 2^30."""
        return int(np.floor(30 - np.log2(self.reach)))

    @cached_property
    def divisors(self) -> Ints:
        """The numbers of elements that may be counted, without gaps."""
        places, taps = self.op.places, self.op.geometry.time.kernel
        return np.arange(int(places.min()) * (1 if self.op.counts_frames else taps), int(places.max()) * taps + 1)

    @cached_property
    def multipliers(self) -> tuple[Ints, Ints]:
        """m and p of each of ``divisors``."""
        return multiplier(2.0 ** (self.finer + 15 - self.up) / self.divisors)

    def states(self) -> tuple[QState, ...]:
        states = self.op.states()
        kept = [history_qstate(s, self.x) for s in states[:1]]
        frames = Format(16, np.ones(1), 0, 0, self.op.geometry.frames)
        return (*kept, *(QState(s.name, s.shape, frames, np.zeros(2, np.int64)) for s in states[1:]))

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        if not self.op.geometry.remembers:
            return [self._mean(due_ticks(inputs[0], self.timing, tick), 1)]
        return self._push(inputs[0], state, tick, ended=False)

    def drain(self, state: States, tick: int) -> list[Array] | None:
        lanes = len(state[self.op.history])
        return self._push(np.full((lanes, self.op.geometry.size), self.x.zero_point), state, tick, ended=True)

    def _push(self, x: Ints, state: States, tick: int, ended: bool) -> list[Array] | None:
        history = state[self.op.history] = newest(state[self.op.history], x)
        frames = self.op.frames_seen(state, ended)
        return [self._mean(history.reshape(len(history), -1), frames)] if self.timing.due(tick) else None

    def _mean(self, history: Ints, frames: int) -> Ints:
        zero, y = self.x.zero_point, self.formats[0]
        total = int32((self.op.geometry.patches(history, zero) - zero).sum((-4, -2, -1)), f"{self.name} sum")
        m, p = (table[self.op.places * frames - self.divisors[0]][:, None] for table in self.multipliers)
        total = int32(total << self.up, f"{self.name} sum")
        mean = int32(mul15(m, total) + ((np.int64(1) << p) >> 1), f"{self.name} sum") >> p
        return self.op.by_channel(np.clip(mean + y.zero_point, y.lo, y.hi), history)

    def bounds(self) -> list[Bound]:
        _, p = self.multipliers
        return [Bound(self.name, "sum", (self.reach << self.up) + (1 << int(p.max()) >> 1))]

    def calls(self) -> list[KernelCall]:
        op, g = self.op, self.op.geometry
        x = Arg("state", op.history) if g.remembers else Arg("input", "0")
        seen = Arg("state", f"{self.name}_seen") if op.counts_frames else Arg("null")
        m, p = self.multipliers
        alike = bool(np.all(op.places == op.places[0]))
        fields = (
            g.fields(),
            ("frames", g.frames),
            (
                "places",
                Constant(f"{self.name}_n", "uint16_t", op.places[:1] if alike else op.places, "elements counted"),
            ),
            ("place_step", 0 if alike else 1),
            ("scale", Constant(f"{self.name}_s", "rnnc_scale1", np.stack([m, p], 1), "by the number of elements")),
            ("least", int(self.divisors[0])),
            ("up", self.up),
            ("x_bits", self.x.bits),
            ("y_bits", self.formats[0].bits),
            ("x_zero", self.x.zero_point),
            ("y_zero", self.formats[0].zero_point),
            ("lo", self.formats[0].lo),
            ("hi", self.formats[0].hi),
        )
        struct, header = "rnnc_pool_average_params", "pool_average.h"
        pool = KernelCall("rnnc_pool_average", header, struct, fields, (x, seen, Arg("output", "0")))
        if not g.remembers:
            return [pool]
        push = push_call(op.history, g, self.x, self.x.zero_point)
        count = KernelCall(
            "rnnc_pool_count",
            header,
            "rnnc_pool_count_params",
            (("frames", g.frames),),
            (Arg("input", "0"), seen),
            when="tick",
        )
        return [push, count, pool] if op.counts_frames else [push, pool]


@handles("AveragePool")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX AveragePool."""
    x = trace.input(node, 0)
    assert x is not None
    spatial = read_spatial(node, trace, x, tuple(int(k) for k in node.attributes["kernel_shape"]))
    elements = int(np.prod([int(k) for k in node.attributes["kernel_shape"]]))
    if elements > MOST_ELEMENTS:
        trace.refuse(node, f"averages {elements} elements; {MOST_ELEMENTS} are supported")
    count_padding = bool(node.attributes.get("count_include_pad", 0))
    if count_padding and spatial.geometry.time.overhang:
        trace.refuse(
            node,
            "ceil_mode lets the last window reach beyond the padding that count_include_pad counts",
            "Export with ceil_mode=0.",
        )
    y = Traced((*x.shape[:2], *spatial.lengths), x.kind, x.time)
    op = trace.add(node, AveragePool, [x.value], geometry=spatial.geometry, count_padding=count_padding, shape=y.frame)
    trace.result(node, 0, replace(y, value=op.outputs[0]))
