"""Float32 apart: how far a network in float32 is from itself in float64, and the steps at which onnxruntime can be held to it.

onnxruntime computes in float32. A network that amplifies differences, a chaotic one most of all, takes float32 and float64
apart by itself: after so many steps no float32 run says whether the import is right. So the net runs in both, and from each
start (a sequence, or a window in it) its values are judged up to the step at which the two part. Until then onnxruntime must
be within ``SLACK`` times their largest difference so far, and no less than ``EXACT``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from rnnc.fixed import Floats
from rnnc.net import Array, Net, Output
from rnnc.streams import start_net
from rnnc.verification.batches import Batch, by_sequence
from rnnc.verification.metrics import INDEX_SLACK, distance, largest
from rnnc.verification.reference import Points

EXACT = 1e-5
"""The relative difference from onnxruntime that is rounding of float32 and no error, in every network."""
SLACK = 16.0
"""How much further apart two float32 runs may be than float32 and float64."""
PARTED = 1e-4
"""The difference, relative to the output's largest value, at which float32 and float64 part."""

Results = Mapping[str, Sequence[Floats]]
"""``[ticks, size]`` of each sequence, by output."""


@dataclass(frozen=True)
class Fault:
    """Where onnxruntime is first further from the net than float32 explains: ``step`` counts from 1 since the start.

    ``error`` and ``allowed`` are relative to the output's largest value; of decisions, shares that differ.
    """

    output: str
    sequence: int
    step: int
    error: float
    allowed: float

    def __str__(self) -> str:
        where = f"output {self.output!r}, sequence {self.sequence}, step {self.step}"
        return f"{where}: {self.error:.3g}, where float32 explains {self.allowed:.3g}"


@dataclass(frozen=True)
class Float32:
    """How far float32 and float64 are apart.

    Args:
        max_rel: their largest difference until they part, that at which they part included, relative to the output's
            largest value.
        parts_at: the earliest step, from 1 since a start, at which they part; None where they stay together.
        points: how many values of outputs onnxruntime was asked for.
        judged: how many of them come before the two part.
    """

    max_rel: float
    parts_at: int | None
    points: int
    judged: int

    def __str__(self) -> str:
        """What is not judged and what to do; "" where all is."""
        if self.parts_at is None:
            return ""
        parting = f"float32 and float64 part at step {self.parts_at}"
        advice = "no run can follow this network step by step further: compare over short sequences"
        return f"{parting}: {self.judged:,} of {self.points:,} values come before that and are judged; {advice}"


@dataclass(frozen=True, eq=False)
class Judged:
    """What holds of the import.

    Args:
        float32: where float32 and float64 part.
        error: the worst output's max |net - onnxruntime| / max |onnxruntime| over the values that are judged, None
            where there are none.
        fault: where it is more than float32 explains, None for nowhere.
        kept: for each output, which of its points are judged.
    """

    float32: Float32
    error: float | None
    fault: Fault | None
    kept: dict[str, Array]


def single(net: Net) -> Net:
    """The network with every constant rounded to float32."""
    return replace(net, ops=tuple(_single(op) for op in net.ops))


def _single(x: Any) -> Any:
    """Arrays as float32 and scalars as Python's, which leave the type of an array as it is, through all that holds them."""
    if isinstance(x, np.ndarray):
        return x.astype(np.float32) if x.dtype == np.float64 else x
    if isinstance(x, np.floating):
        return float(x)
    if isinstance(x, tuple):
        return tuple(map(_single, x))
    if not is_dataclass(x) or isinstance(x, type):
        return x
    own = {f.name: getattr(x, f.name) for f in fields(x) if f.init}
    changed = {name: value for name, value in ((n, _single(v)) for n, v in own.items()) if value is not own[name]}
    return replace(x, **changed) if changed else x


def with_sources(net: Net) -> Net:
    """The net that also gives the numbers from which each decision among its outputs is made: these say when it parts."""
    extra = [
        replace(o, name=_source_name(o, source), value=source) for o in net.outputs for source in _watched(net, o.value)
    ]
    return replace(net, outputs=(*net.outputs, *extra))


def _source_name(output: Output, source: str) -> str:
    return f"{output.name} decided by {source}"


def _watched(net: Net, value: str) -> list[str]:
    """The numbers that a decision is made from, as far as they come at its ticks."""
    return [name for name in _sources(net, value) or () if net.values[name].clock == net.values[value].clock]


def _sources(net: Net, value: str) -> list[str] | None:
    """The numbers that a decision (``Op.jumps``) is made from; none for row numbers of the input, None for what is none."""
    sources: dict[str, list[str] | None] = {v.name: [] if v.dtype == "index" else None for v in net.values.values()}
    for op in net.ops:
        parts = [sources[name] for name in op.inputs]
        if op.jumps:
            parts = [[name] if part is None else part for name, part in zip(op.inputs, parts, strict=True)]
        found = [part for part in parts if part is not None]
        whole = (
            list(dict.fromkeys(chain.from_iterable(found))) if len(found) == len(parts) and not op.states() else None
        )
        sources.update(dict.fromkeys(op.outputs, whole))
    return sources[value]


def run_single(net: Net, groups: Sequence[Batch]) -> dict[str, list[Floats]]:
    """The outputs of ``net`` in float32, ``[ticks, size]`` of each sequence."""
    narrow, found = single(net), []
    for batch in groups:
        stream = start_net(narrow, len(batch.members), dtype=np.float32)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            outputs = stream.advance({k: _single(x) for k, x in batch.inputs.items()})
            late = stream.drain()
        found.append((batch, {name: np.concatenate([y, late[name]]) for name, y in outputs.items()}))
    return by_sequence(net, found)


def judge(net: Net, exact: Results, narrow: Results, asked: Mapping[str, Points]) -> Judged:
    """Hold the net against onnxruntime, from each start as far as float32 and float64 stay together.

    Args:
        exact: ``with_sources(net)`` in float64.
        narrow: the same in float32.
        asked: what onnxruntime answered.
    """
    found = {o.name: _Comparison(net, o, exact, narrow, asked[o.name]) for o in net.outputs}
    errors = [c.error for c in found.values() if c.kept.any()]
    faults = [c.fault for c in found.values() if c.fault]
    partings = [c.parts_at for c in found.values() if c.parts_at is not None]
    return Judged(
        Float32(
            max(c.max_rel for c in found.values()),
            min(partings, default=None),
            sum(len(c.kept) for c in found.values()),
            sum(int(c.kept.sum()) for c in found.values()),
        ),
        max(errors, default=None),
        min(faults, key=lambda fault: fault.step, default=None),
        {name: c.kept for name, c in found.items()},
    )


class _Comparison:
    """One output in float64, in float32 and of onnxruntime; differences are absolute, the largest of a tick's elements."""

    def __init__(self, net: Net, output: Output, exact: Results, narrow: Results, asked: Points) -> None:
        self.output, self.asked = output, asked
        self.clock, self.window = net.values[output.value].clock, net.window
        self.exact, self.narrow = exact[output.name], narrow[output.name]
        self.scale = largest(asked.reference) or 1.0
        self.decision = _sources(net, output.value) is not None
        watched = [_source_name(output, source) for source in _watched(net, output.value)] or [output.name]
        self._part([(exact[name], narrow[name]) for name in watched])
        self.kept = self._at(self.judged)
        self.error, self.fault = self._shares() if self.decision else self._numbers()

    def _part(self, watched: Sequence[tuple[Sequence[Floats], Sequence[Floats]]]) -> None:
        """Find where the two part. A window's values come at once: it is judged whole or not at all."""
        floor = 0.0 if self.decision else self.scale
        units = [max([floor, *map(largest, exact)]) or 1.0 for exact, _ in watched]
        each = [
            [_apart(e, n) / unit for e, n in zip(exact, narrow, strict=True)]
            for unit, (exact, narrow) in zip(units, watched, strict=True)
        ]
        apart = [np.max(ticks, axis=0) for ticks in zip(*each, strict=True)]
        group = max(self.output.ticks, 1) if self.window else 0
        self.so_far = [
            np.repeat(d.reshape(-1, group).max(1), group) if group else np.maximum.accumulate(d) for d in apart
        ]
        self.judged = [d < PARTED for d in self.so_far]
        ends = [len(j) if j.all() else int(np.argmin(j)) for j in self.judged]
        known = [d if group else d[: end + 1] for d, end in zip(apart, ends, strict=True)]
        self.max_rel = max((float(d.max(initial=0.0)) for d in known), default=0.0)
        parted = [self._step(end) for end, j in zip(ends, self.judged, strict=True) if end < len(j)]
        self.parts_at = min(parted, default=None)
        self.so_far = [d * units[0] for d in self.so_far]

    def _step(self, tick: int) -> int:
        """At which step since the start a tick comes, from 1."""
        return self.window or self.clock.phase + tick * self.clock.rate + 1

    def _at(self, ticks: Sequence[Array]) -> Array:
        """What belongs to the points that onnxruntime was asked for."""
        return np.array(
            [ticks[s][t] for s, t in zip(self.asked.sequence, self.asked.tick, strict=True)], ticks[0].dtype
        )

    def _numbers(self) -> tuple[float, Fault | None]:
        """The largest difference from onnxruntime, and where it is first more than float32 explains."""
        error = distance(self.asked.reference, self.asked.of(self.exact)).max(1, initial=0.0) / self.scale
        allowed = np.maximum(EXACT, SLACK * self._at(self.so_far) / self.scale)
        return float(error[self.kept].max(initial=0.0)), self._first(self.kept & ~(error <= allowed), error, allowed)

    def _shares(self) -> tuple[float, Fault | None]:
        """The share of decisions that differ, those left out that differ in float32; near-ties are broken either way."""
        exact, narrow, reference = self.asked.of(self.exact), self.asked.of(self.narrow), self.asked.reference
        wrong = ((reference != exact) & (narrow == exact))[self.kept]
        share = float(wrong.mean()) if wrong.size else 0.0
        if share <= INDEX_SLACK:
            return 0.0, None
        shares = np.full(len(reference), share)
        at = self.kept & ((reference != exact) & (narrow == exact)).any(1)
        return share, self._first(at, shares, np.full_like(shares, INDEX_SLACK))

    def _first(self, wrong: Array, error: Floats, allowed: Floats) -> Fault | None:
        """The point of the earliest step among those that are wrong."""
        at = min(np.flatnonzero(wrong), key=lambda k: self._step(self.asked.tick[k]), default=None)
        if at is None:
            return None
        step = self._step(self.asked.tick[at])
        return Fault(self.output.name, self.asked.sequence[at], step, float(error[at]), float(allowed[at]))


def _apart(exact: Floats, narrow: Floats) -> Floats:
    """``[ticks]``: how far float32 is from float64; where neither is a number they do not part."""
    both = np.isnan(exact) & np.isnan(narrow)
    return np.asarray(np.where(both, 0.0, distance(exact, narrow.astype(np.float64))).max(1, initial=0.0))
