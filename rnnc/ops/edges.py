"""Edges: what a convolution over x less an offset lacks where padding is.

Padding is 0 of x, not of x less its offset. A convolution that pads the latter with 0 lacks ``-W offset`` over the taps that
see padding: the same numbers at the begin and at the end of every sequence, and at the edges of every frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from rnnc.clock import Timing
from rnnc.fixed import Floats, Format, Ints
from rnnc.interval import Interval
from rnnc.net import Array, Op, Probe, Quantizer, State, States, Value, no_probe
from rnnc.ops.add import Add
from rnnc.ops.affine import Affine
from rnnc.ops.clip import Clip
from rnnc.ops.conv import Conv
from rnnc.ops.geometry import OUTSIDE, Geometry
from rnnc.qnet import Arg, Constant, KernelCall, QOp, QState


@dataclass(frozen=True, eq=False)
class Edges(Op):
    """``y = starts[steps so far] + ends[steps past the end]``, when a convolution of the same geometry gives a value.

    Args:
        starts: ``[frames, *shape]``: after one step, after two, ...; the last holds from then on.
        ends: ``[tail, *shape]``: what one step of padding past the end adds, what two add, ...
        geometry: of the convolution, which remembers.
        within: ``[elements]``: integers keep what they add within this, all elements of it less in the same proportion; None
            for all of it.

    Inputs: x of the convolution, of which only the ticks count.
    """

    starts: Floats
    ends: Floats
    geometry: Geometry
    within: Floats | None = None
    kind: ClassVar[str] = "edges"
    forgets: ClassVar[bool] = True

    @property
    def timing(self) -> Timing:
        return self.geometry.timing

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [Value("", self.starts.shape[1:])]

    def states(self) -> tuple[State, ...]:
        return (State(f"{self.name}_count", (2,), np.zeros(2)),)

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        return self.counted(self.starts, self.ends, state, tick, ended=False)

    def drain(self, state: States, tick: int) -> list[Array] | None:
        return self.counted(self.starts, self.ends, state, tick, ended=True)

    def counted(self, starts: Array, ends: Array, state: States, tick: int, *, ended: bool) -> list[Array] | None:
        """One more step, of every lane alike."""
        most = np.array([len(self.starts), len(self.ends)], state[f"{self.name}_count"].dtype)
        count = state[f"{self.name}_count"] = np.minimum(state[f"{self.name}_count"] + np.array([1, ended]), most)
        if not self.timing.due(tick):
            return None
        steps, past = (count[:, i].astype(np.int64) for i in (0, 1))
        added = np.concatenate([np.zeros_like(starts[:1]), ends])
        return [starts[steps - 1] + added[past]]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        ends = np.concatenate([np.zeros_like(self.starts[:1]), self.ends])
        low, high = self.starts.min(0) + ends.min(0), self.starts.max(0) + ends.max(0)
        return [Interval(low.ravel(), high.ravel())]

    def quantize(self, q: Quantizer) -> QOp:
        return QEdges(self, self.inputs, (q.output(),))

    def describe(self) -> str:
        return f"edges of {self.geometry.describe()}"


@dataclass(frozen=True, eq=False)
class QEdges(QOp):
    """Sums of int16, saturated."""

    op: Edges

    @cached_property
    def tables(self) -> tuple[Ints, Ints]:
        """``starts`` and ``ends`` in LSBs."""
        form, op = self.formats[0], self.op
        return form.quantize(_in_proportion(op.starts, op.within)), form.quantize(_in_proportion(op.ends, op.within))

    def states(self) -> tuple[QState, ...]:
        (count,) = self.op.states()
        form = Format(16, np.ones(1), 0, 0, max(len(self.op.starts), len(self.op.ends)))
        return (QState(count.name, count.shape, form, np.zeros(2, np.int64)),)

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        return self._saturated(self.op.counted(*self.tables, state, tick, ended=False))

    def drain(self, state: States, tick: int) -> list[Array] | None:
        return self._saturated(self.op.counted(*self.tables, state, tick, ended=True))

    @staticmethod
    def _saturated(sums: list[Array] | None) -> list[Array] | None:
        return sums and [np.clip(y, -32767, 32767) for y in sums]

    def calls(self) -> list[KernelCall]:
        starts, ends = self.tables
        fields = (
            ("starts", Constant(f"{self.name}_starts", "int16_t", starts.ravel(), "[steps][elements]")),
            (
                "ends",
                Constant(f"{self.name}_ends", "int16_t", ends.ravel(), "[steps past the end][elements]")
                if len(ends)
                else 0,
            ),
            ("before", len(starts)),
            ("tail", len(ends)),
            ("size", starts[0].size),
        )
        count = Arg("state", f"{self.name}_count")
        call = KernelCall(
            "rnnc_edges_count", "edges.h", "rnnc_edges_params", fields, (Arg("input", "0"), count), when="tick"
        )
        return [call, replace(call, function="rnnc_edges", args=(count, Arg("output", "0")), when="output")]


def _in_proportion(rows: Floats, within: Floats | None) -> Floats:
    """``[n, *shape]``, each row so much less that all of it is within its limits: what layers make of it keeps its sign."""
    if within is None or not rows.size:
        return rows
    share = (np.abs(rows.reshape(len(rows), -1)) / within).max(1, initial=1.0)
    return np.asarray(rows / share.reshape(-1, *(1,) * (rows.ndim - 1)))


def split_padding(conv: Conv, offset: Floats, names: Sequence[str]) -> list[Op] | None:
    """A padded convolution of x as ops over x less an offset; None where the offset differs within a channel.

    Args:
        offset: ``[elements]``.
        names: of the ops that come: edges, add, clip, affine.
    """
    g = conv.geometry
    by_channel = offset.reshape(g.channels, -1)
    if np.any(by_channel != by_channel[:, :1]) or conv.initial is not None:
        return None
    inner = g.index == OUTSIDE
    values = np.broadcast_to(by_channel[:, :1, None], g.index.shape[1:])

    def lacking(padded: Array) -> Floats:
        """Of taps that see padding, ``[positions, taps, channels, height, width]``: ``[*shape]``."""
        return np.asarray(-conv.product(np.where(padded, values, 0.0), conv.matrices).T.reshape(conv.shape))

    out = conv.outputs[0]
    plain = replace(conv, outputs=(f"{out}.inside",), bias=_whole(conv, values), relu=False)
    ops: list[Op] = [plain]
    if not g.remembers:
        ones, lo = np.ones(conv.shape), 0.0 if conv.relu else -np.inf
        affine = Affine(names[3], plain.outputs, (out,), ones, lacking(inner), conv.shape, conv.shape, lo=lo)
        return [*ops, affine]
    at = np.arange(g.time.kernel)[:, None, None, None] * g.time.dilation
    starts = [lacking(inner | (at < g.frames - n)) for n in range(1, g.frames + 1)]
    ends = [lacking((at >= g.frames - n) & ~inner) for n in range(1, g.timing.tail + 1)]
    lacks = Edges(
        names[0], conv.inputs, (f"{out}.edges",), np.stack(starts), np.array(ends).reshape(-1, *conv.shape), g
    )
    total = f"{out}.sum" if conv.relu else out
    shapes = (conv.shape, conv.shape)
    ops += [lacks, Add(names[1], (*plain.outputs, *lacks.outputs), (total,), shapes, conv.shape)]
    return [*ops, Clip(names[2], (total,), (out,), lo=0.0, hi=np.inf)] if conv.relu else ops


def _whole(conv: Conv, values: Floats) -> Floats:
    """The bias that takes the offset at every tap."""
    every = np.broadcast_to(values, conv.geometry.index.shape)
    return np.asarray(conv.bias + conv.product(every, conv.matrices)[0])
