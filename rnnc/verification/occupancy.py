"""How much of each value's range the integers use, and how often they are at its ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rnnc.clock import Clock, common_clock
from rnnc.fixed import Floats, Format, Ints
from rnnc.interval import Interval
from rnnc.net import Array
from rnnc.qnet import QNet, QOp, QState
from rnnc.quantization.calibrate import Sequences
from rnnc.streams import Observer
from rnnc.verification.batches import Batch

AT_ONCE = 64
"""Sequences of an input that are counted together: they may be a step long each."""
TOUCHES = 1 - 1e-4
"""A value whose bound is closer to its range than this fills it by nature: a tanh in Q0.15, a ReLU's zero."""


@dataclass(frozen=True, eq=False)
class Occupancy:
    """One value over all steps that were run.

    Args:
        producer: the op that computes it, "" for an input.
        largest: the largest magnitude that it had, ``available`` the largest that its format holds, real units, ``[elements]``.
        saturated: how often each element was clipped to an end of its range; 0 where the range holds all that can come.
        ticks: how many values there were.
        state: it is kept from step to step.
    """

    value: str
    producer: str
    format: Format
    largest: Floats
    available: Floats
    saturated: Ints
    ticks: int
    state: bool = False

    @property
    def used(self) -> float:
        """Share of the range that the widest element uses, 0 .. 1."""
        return float((self.largest / self.available).max(initial=0.0))

    @property
    def room(self) -> str:
        """The largest magnitude that the elements that were clipped hold, of all where none was: "±2.5"."""
        clipped = self.available[self.saturated > 0]
        most = float((clipped if clipped.size else self.available).max())
        return f"±{most:.4g}{' around its offset' if self.format.offset.any() else ''}"

    @property
    def share_saturated(self) -> float:
        """Share of all numbers that were clipped."""
        return float(self.saturated.sum()) / max(1, self.ticks * self.saturated.size)


@dataclass
class Counting:
    """Counts over batches; ``observer`` and ``watcher`` give what to hand to a stream."""

    qnet: QNet
    bounds: Mapping[str, Interval]
    peaks: dict[str, Ints] = field(default_factory=dict)
    ends: dict[str, Ints] = field(default_factory=dict)
    ticks: dict[str, int] = field(default_factory=dict)
    states: Mapping[str, tuple[QState, QOp]] = field(init=False)
    """The states within ops that can be clipped and that no value shows."""

    def __post_init__(self) -> None:
        shown = {op.output_state(k) for op in self.qnet.ops for k in range(len(op.outputs))}
        kept = [(s, op) for op in self.qnet.ops for s in op.states() if _hidden(s) and s.name not in shown]
        self.states = {s.name: (s, op) for s, op in kept}
        fed_back = {f.state.name: self.bounds[f.next] for f in self.qnet.net.feedback if f.next in self.bounds}
        self.bounds = {**self.bounds, **fed_back}

    def observer(self, batch: Batch) -> Observer:
        """Notes what belongs to the sequences of a batch, not what its lanes give past their ends."""
        values, formats = self.qnet.values, self.qnet.formats
        counted = {name: (v.clock, formats[name]) for name, v in values.items() if not formats[name].index}
        return self._observer(batch, counted)

    def watcher(self, batch: Batch) -> Observer:
        """The same of states within ops."""
        values = self.qnet.values
        counted = {
            n: (common_clock([values[i].clock for i in op.inputs]), s.format) for n, (s, op) in self.states.items()
        }
        return self._observer(batch, counted)

    def _observer(self, batch: Batch, counted: Mapping[str, tuple[Clock, Format]]) -> Observer:
        lengths, seen = np.array(batch.lengths), dict.fromkeys(counted, 0)
        after, whole = self.qnet.net.ends, bool(self.qnet.net.window)

        def note(name: str, ticks: Array) -> None:
            if name not in counted or not len(ticks):
                return
            clock, form = counted[name]
            at = clock.phase + max(clock.rate, 1) * (seen[name] + np.arange(len(ticks)))
            seen[name] += len(ticks)
            flat = ticks.reshape(*ticks.shape[:2], -1)
            valid = at[:, None] < lengths + after.get(name, 0) if not whole else np.ones(ticks.shape[:2], np.bool_)
            self._note(name, flat[valid], form)

        return note

    def _note(self, name: str, flat: Ints, f: Format) -> None:
        if not len(flat):
            return
        at_end = ((flat >= f.hi) | ((flat <= f.lo) & (f.lo != f.zero_point))).sum(0)
        peak = np.abs(flat - f.zero_point).max(0)
        self.peaks[name] = np.maximum(self.peaks.get(name, peak), peak)
        self.ends[name] = self.ends.get(name, 0) + at_end
        self.ticks[name] = self.ticks.get(name, 0) + len(flat)

    def note_input(self, name: str, sequences: Sequence[Array]) -> None:
        """Sequences ``[steps, *shape]`` of an input, real units."""
        f = self.qnet.formats[name]
        for k in range(0, len(sequences), AT_ONCE):
            steps = np.concatenate([s.reshape(len(s), -1) for s in sequences[k : k + AT_ONCE]])
            self._note(name, f.quantize(steps), f)

    def found(self) -> tuple[Occupancy, ...]:
        """Every value that came, in the network's order, then the states within ops."""
        makers = {name: (op, k) for op in self.qnet.ops for k, name in enumerate(op.outputs)}
        fed_back = {f.state.name: makers.get(f.next, (None, 0)) for f in self.qnet.feedback}
        found = []
        for name in self.qnet.values:
            if name in self.peaks:
                op, k = fed_back.get(name) or makers.get(name) or (None, 0)
                kept = name in fed_back or bool(op and op.output_state(k))
                bound = self.bounds.get(name)
                found.append(self._one(name, op.name if op else "", self.qnet.formats[name], bound, kept))
        for name, (state, op) in self.states.items():
            if name in self.peaks:
                found.append(self._one(name, op.name, state.format, self.bounds.get(_shown(state, op)), True))
        return tuple(found)

    def _one(self, name: str, producer: str, f: Format, bound: Interval | None, kept: bool) -> Occupancy:
        peak = self.peaks[name]
        scale = f.scale_for(peak.size)
        available = max(f.hi - f.zero_point, f.zero_point - f.lo) * scale
        reach = np.full(peak.size, np.inf) if bound is None else _about(bound, f.offset_for(peak.size)).magnitude
        by_nature = (reach * TOUCHES <= available) & (bool(producer) or kept)
        saturated = np.where(by_nature, 0, self.ends[name])
        return Occupancy(name, producer, f, peak * scale, available, saturated, self.ticks[name], kept)


def _about(bound: Interval, offset: Floats) -> Interval:
    return Interval(bound.lo - offset, bound.hi - offset)


def _hidden(state: QState) -> bool:
    """Whether a state within an op is a quantity of 32 bits, and no count of steps."""
    return state.format.bits == 32 and state.format.lo < 0 and not state.format.index and not state.follows


def _shown(state: QState, op: QOp) -> str:
    """The output that has what a state has: the first is the upper part of a state that another follows; "" for none."""
    if any(s.follows == state.name for s in op.states()):
        return op.outputs[0]
    return next((name for k, name in enumerate(op.outputs) if op.output_state(k) == state.name), "")


def input_occupancy(qnet: QNet, sequences: Sequences) -> tuple[Occupancy, ...]:
    """What data make of the inputs' ranges, without running the network; nothing for row numbers."""
    counting = Counting(qnet, {})
    for v in qnet.inputs:
        if not qnet.formats[v.name].index:
            counting.note_input(v.name, sequences[v.name])
    return counting.found()
