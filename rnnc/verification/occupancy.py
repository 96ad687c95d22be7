"""How much of each value's range the integers use, and how often they are at its ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rnnc.fixed import Floats, Format, Ints
from rnnc.net import Array, Interval
from rnnc.qnet import QNet
from rnnc.quantization.calibrate import Sequences
from rnnc.streams import Observer
from rnnc.verification.batches import Batch

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
    """

    value: str
    producer: str
    format: Format
    largest: Floats
    available: Floats
    saturated: Ints
    ticks: int

    @property
    def used(self) -> float:
        """Share of the range that the widest element uses, 0 .. 1."""
        return float((self.largest / self.available).max(initial=0.0))

    @property
    def share_saturated(self) -> float:
        """Share of all numbers that were clipped."""
        return float(self.saturated.sum()) / max(1, self.ticks * self.saturated.size)


@dataclass
class Counting:
    """Counts over batches; ``observer`` gives what to hand to a stream."""

    qnet: QNet
    bounds: Mapping[str, Interval]
    peaks: dict[str, Ints] = field(default_factory=dict)
    ends: dict[str, Ints] = field(default_factory=dict)
    ticks: dict[str, int] = field(default_factory=dict)

    def observer(self, batch: Batch) -> Observer:
        """Notes what belongs to the sequences of a batch, not what its lanes give past their ends."""
        lengths, seen = np.array(batch.lengths), dict.fromkeys(self.qnet.values, 0)
        values, after, whole = self.qnet.values, self.qnet.net.ends, bool(self.qnet.net.window)

        def note(name: str, ticks: Array) -> None:
            if name not in values or not len(ticks) or self.qnet.formats[name].index:
                return
            clock = values[name].clock
            at = clock.phase + max(clock.rate, 1) * (seen[name] + np.arange(len(ticks)))
            seen[name] += len(ticks)
            flat = ticks.reshape(*ticks.shape[:2], -1)
            valid = at[:, None] < lengths + after.get(name, 0) if not whole else np.ones(ticks.shape[:2], np.bool_)
            self._note(name, flat[valid])

        return note

    def _note(self, name: str, flat: Ints) -> None:
        if not len(flat):
            return
        f = self.qnet.formats[name]
        at_end = ((flat >= f.hi) | ((flat <= f.lo) & (f.lo != f.zero_point))).sum(0)
        peak = np.abs(flat - f.zero_point).max(0)
        self.peaks[name] = np.maximum(self.peaks.get(name, peak), peak)
        self.ends[name] = self.ends.get(name, 0) + at_end
        self.ticks[name] = self.ticks.get(name, 0) + len(flat)

    def note_input(self, name: str, sequences: Sequence[Array]) -> None:
        """Sequences ``[steps, *shape]`` of an input, real units."""
        f = self.qnet.formats[name]
        for s in sequences:
            self._note(name, f.quantize(s.reshape(len(s), -1)))

    def found(self) -> tuple[Occupancy, ...]:
        """Every value that came, in the network's order."""
        producers = {name: op.name for op in self.qnet.ops for name in op.outputs}
        return tuple(self._one(name, producers.get(name, "")) for name in self.qnet.values if name in self.peaks)

    def _one(self, name: str, producer: str) -> Occupancy:
        f, peak = self.qnet.formats[name], self.peaks[name]
        scale = f.scale_for(peak.size)
        available = max(f.hi - f.zero_point, f.zero_point - f.lo) * scale
        bound = self.bounds[name].magnitude if name in self.bounds else np.full(peak.size, np.inf)
        by_nature = (bound * TOUCHES <= available) & bool(producer)
        return Occupancy(
            name, producer, f, peak * scale, available, np.where(by_nature, 0, self.ends[name]), self.ticks[name]
        )


def input_occupancy(qnet: QNet, sequences: Sequences) -> tuple[Occupancy, ...]:
    """What data make of the inputs' ranges, without running the network; nothing for row numbers."""
    counting = Counting(qnet, {})
    for v in qnet.inputs:
        if not qnet.formats[v.name].index:
            counting.note_input(v.name, sequences[v.name])
    return counting.found()
