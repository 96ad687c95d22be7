"""What values occur: on calibration data, or on noise where there is none, with the bounds that always hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rnnc.errors import DataError
from rnnc.fixed import Floats, Format
from rnnc.interval import Interval
from rnnc.net import Array, Net
from rnnc.options import Options, ProgressCallback, no_progress
from rnnc.quantization.inputs import input_format
from rnnc.streams import CHUNK, start_net

SAMPLES = 4096
"""How many evenly spaced samples of an operand serve for its covariance."""
NOISE_STEPS = 1024
FEWEST_NOISE_STEPS = 256
MOST_PADDED, MOST_PADDING = 1 << 16, 4
"""Sequences run as lanes side by side while these hold no more steps, or no more for each that the sequences have."""
NOISE_RUNS = 1 << 18
"""Steps of noise times ops: networks of more than 256 ops get fewer steps, each of which the reference may run by itself."""
MOST_OVERLAP = 4
"""Of overlapping windows, about so many see each frame of the calibration data."""
GROWN = 1e9
"""No sum or double sum of inputs comes this far in the steps of noise."""
Sequences = Mapping[str, Sequence[Array]]
"""For each input, its sequences ``[steps, *shape]``."""


@dataclass
class Ranges:
    """What is known of each value and probed operand ("op.key"), elements flattened.

    Args:
        measured: whether the peaks come from calibration data; else from noise.
        inputs: the format of each input.
        bounds: interval bounds of each value.
        peaks: the largest magnitude seen, ``[elements]``.
        lows, highs: the smallest and largest number seen, ``[elements]``.
        extremes: the same on constant inputs at their limits (without data only), for states that nothing bounds.
        samples: up to 4,096 samples ``[n, elements]``, real units; empty without data.
    """

    measured: bool
    inputs: dict[str, Format]
    bounds: dict[str, Interval]
    peaks: dict[str, Floats] = field(default_factory=dict)
    lows: dict[str, Floats] = field(default_factory=dict)
    highs: dict[str, Floats] = field(default_factory=dict)
    extremes: dict[str, Floats] = field(default_factory=dict)
    samples: dict[str, Floats] = field(default_factory=dict)
    usual: dict[str, Floats] = field(default_factory=dict)
    """Of values for which starts are given no room (``settled``): the largest magnitude once a stream has started."""
    factors: frozenset[str] = frozenset()
    """Inputs that noise keeps within 0..1: they multiply a fed-back state, which grew without end else."""

    def reach(self, name: str) -> Floats:
        """The largest magnitude of each element of a value, on constant inputs as well where there are no data."""
        return self.peaks[name] if self.measured else np.maximum(self.peaks[name], self.extremes[name])

    def copied(self) -> Ranges:
        """The same, to be changed by itself."""
        return replace(
            self,
            bounds=dict(self.bounds),
            peaks=dict(self.peaks),
            lows=dict(self.lows),
            highs=dict(self.highs),
            extremes=dict(self.extremes),
            samples=dict(self.samples),
            usual=dict(self.usual),
        )

    def also(self, fresh: str, name: str) -> None:
        """Know what is known of a value under another name too."""
        self.bounds[fresh] = self.bounds[name]
        for known in (self.peaks, self.lows, self.highs, self.extremes, self.samples, self.usual):
            known.update({fresh: known[name]} if name in known else {})

    def kept(self, name: str) -> Floats:
        """The magnitude that int16 of each element have room for, before any headroom."""
        return self.usual[name] if name in self.usual else self.reach(name)

    def __str__(self) -> str:
        source = "calibration data" if self.measured else "noise (no calibration data)"
        lines = [f"ranges from {source}"]
        for name, peak in self.peaks.items():
            bound = self.bounds[name].magnitude.max(initial=0) if name in self.bounds else float("nan")
            lines.append(f"  {name}: largest {peak.max(initial=0):.4g}, bound {bound:.4g}")
        return "\n".join(lines)


def calibrate(
    net: Net, calibration: Sequences | None, options: Options, progress: ProgressCallback = no_progress
) -> Ranges:
    """Run the net over calibration sequences (or noise) and note what every value and operand reaches.

    Raises DataError where a value becomes infinite.
    """
    inputs = {v.name: input_format(net, v, calibration, options) for v in net.inputs}
    ranges = Ranges(calibration is not None, inputs, interval_bounds(net, inputs))
    if calibration is not None:
        _observe(net, calibration, ranges, progress)
        return ranges
    factors = _factors(net)
    if factors and _grows(net, ranges):
        ranges.factors = factors
        if grown := _grows(net, ranges):
            raise grown
    _observe(net, noise_sequences(net, ranges), ranges)
    probe = Ranges(False, inputs, ranges.bounds)
    _observe(net, _constant_sequences(net, ranges), probe)
    ranges.extremes, ranges.samples = probe.peaks, {}
    return ranges


def later_ranges(net: Net, calibration: Sequences) -> Ranges:
    """What values reach in the sequences where each follows itself: no stream starts there. No samples."""
    found, steps = Ranges(True, {}, {}), sum(len(s) for s in next(iter(calibration.values())))
    notes = _Notes(found, 2 * steps)
    for group in of_like_lengths(calibration):
        twice = {name: [np.concatenate([s, s]) for s in all_] for name, all_ in group.items()}
        lengths = np.array([len(s) for s in next(iter(group.values()))])
        view = _Valid(net, 2 * lengths, notes, lengths)
        stream = start_net(net, len(lengths), view)
        for t in range(0, 2 * int(lengths.max()), CHUNK):
            count = min(CHUNK, 2 * int(lengths.max()) - t)
            with np.errstate(over="ignore", invalid="ignore"):  # past the end of a sequence
                stream.advance({v.name: _padded(twice[v.name], t, count) for v in net.inputs})
    return found


def _grows(net: Net, ranges: Ranges) -> DataError | None:
    """What to say of a value that grows without end on noise, or on inputs at their limits; None where none does."""
    tried = Ranges(False, ranges.inputs, ranges.bounds)
    try:
        _observe(net, noise_sequences(net, ranges), tried)
        _observe(net, _constant_sequences(net, ranges), tried)
    except DataError as error:
        return error
    grown = (name for name, peak in tried.peaks.items() if peak.max(initial=0) > GROWN)
    return next(map(_without_end, grown), None)


def _without_end(name: str) -> DataError:
    return DataError(
        "grows without end on the noise that stands in for calibration data",
        where=f"value {name!r}",
        hint="--calib DATA with typical recordings; --input-range INPUT=LO:HI narrows the noise.",
    )


def interval_bounds(net: Net, inputs: Mapping[str, Format]) -> dict[str, Interval]:
    """Bounds of every value for any input that its format can hold."""
    bounds: dict[str, Interval] = {}
    for v in net.inputs:
        f = inputs[v.name]
        scale = f.scale_for(v.size)
        offset = f.offset_for(v.size)
        bounds[v.name] = Interval((f.lo - f.zero) * scale + offset, (f.hi - f.zero) * scale + offset)
    for fb in net.feedback:
        bounds[fb.state.name] = Interval.of(-np.inf, np.inf, net.values[fb.state.name].size)
    bounds |= _computed(net, bounds)
    for fb in net.feedback:  # what bounds the next value of a state, whatever the state is, bounds the state
        after, start = bounds[fb.next], np.ravel(fb.state.initial)
        bounds[fb.state.name] = Interval(np.minimum(after.lo, start), np.maximum(after.hi, start))
    return bounds | _computed(net, bounds)


def _computed(net: Net, known: Mapping[str, Interval]) -> dict[str, Interval]:
    """Bounds of what ops compute, given those of inputs and fed-back states."""
    bounds = dict(known)
    for op in net.ops:
        with np.errstate(invalid="ignore", over="ignore"):  # what is fed back may have no bound
            results = op.range([bounds[name] for name in op.inputs])
        for name, interval in zip(op.outputs, results, strict=True):
            lo, hi = (
                np.where(np.isnan(interval.lo), -np.inf, interval.lo),
                np.where(np.isnan(interval.hi), np.inf, interval.hi),
            )
            bounds[name] = Interval(lo, hi)
    return bounds


def noise_steps(net: Net) -> int:
    """Steps of noise: a window at least."""
    return max(min(NOISE_STEPS, NOISE_RUNS // max(len(net.ops), 1)), FEWEST_NOISE_STEPS, net.window)


def noise_sequences(net: Net, ranges: Ranges) -> Sequences:
    """Noise of unit variance (less where an input's range is small, as wide as the range of one that has an offset), uniform
    ids: what stands in for calibration data."""
    rng, steps = np.random.default_rng(0), noise_steps(net)
    noise: dict[str, list[Array]] = {}
    for v in net.inputs:
        if v.dtype == "index":
            noise[v.name] = [rng.integers(0, v.rows, (steps, *v.shape))]
            continue
        f = ranges.inputs[v.name]
        if v.name in ranges.factors:
            noise[v.name] = [f.dequantize(f.quantize(rng.uniform(0, 1, (steps, *v.shape))))]
            continue
        middle = f.offset_for(v.size).reshape(v.shape)
        room = max(abs(f.lo), abs(f.hi)) * f.scale_for(v.size).reshape(v.shape) / 4
        spread = np.where(middle == 0, np.minimum(1.0, room), room)
        noise[v.name] = [f.dequantize(f.quantize(rng.standard_normal((steps, *v.shape)) * spread + middle))]
    return noise


def _constant_sequences(net: Net, ranges: Ranges) -> Sequences:
    """Every input held at each end of its range."""
    constant: dict[str, list[Array]] = {}
    steps = noise_steps(net)
    for v in net.inputs:
        if v.dtype == "index":
            constant[v.name] = [np.full((steps, *v.shape), row) for row in (0, v.rows - 1)]
            continue
        bound = Interval.of(0, 1, v.size) if v.name in ranges.factors else ranges.bounds[v.name]
        constant[v.name] = [np.broadcast_to(end.reshape(v.shape), (steps, *v.shape)) for end in (bound.lo, bound.hi)]
    return constant


def _factors(net: Net) -> frozenset[str]:
    """The inputs that fed-back states are multiplied by, themselves or what ops without memory make of them."""
    fed = {f.state.name for f in net.feedback}
    sources = {v.name: frozenset([v.name]) for v in net.inputs}
    found = frozenset[str]()
    for op in net.ops:
        if op.kind == "mul" and fed.intersection(op.inputs):
            found |= frozenset().union(*(sources.get(n, frozenset()) for n in op.inputs if n not in fed))
        if fed.intersection(op.inputs):
            fed.update(op.outputs)
        elif not op.states():
            sources |= dict.fromkeys(op.outputs, frozenset().union(*(sources.get(n, frozenset()) for n in op.inputs)))
    return found


def _observe(net: Net, sequences: Sequences, ranges: Ranges, progress: ProgressCallback = no_progress) -> None:
    """Run all sequences, as lanes side by side, and note peaks and samples."""
    ends_matter = bool(net.drain_steps or net.window)
    groups = _by_length(sequences) if ends_matter else of_like_lengths(sequences)
    total = sum(len(s) for s in next(iter(sequences.values())))
    notes = _Notes(ranges, max(1, total // SAMPLES))
    steps = [max(map(len, next(iter(group.values())))) for group in groups]
    for k, group in enumerate(groups):
        lengths = np.array([len(s) for s in next(iter(group.values()))])
        view = _Valid(net, lengths, notes) if not ends_matter else notes.add
        stream = start_net(_seldom(net), len(lengths), view)
        for t in range(0, int(lengths.max()), CHUNK):
            count = min(CHUNK, int(lengths.max()) - t)
            with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite is told by name
                stream.advance({v.name: _padded(group[v.name], t, count) for v in net.inputs})
            progress(sum(steps[:k]) + t + count, sum(steps))
        stream.drain()
    if missing := [name for name in net.values if name not in ranges.peaks]:
        longest = max(len(s) for s in next(iter(sequences.values())))
        raise DataError(
            f"{longest} steps are too few: value {missing[0]!r} never comes",
            hint=f"The network answers after {net.window} steps." if net.window else "Give longer sequences.",
        )
    ranges.samples = {name: np.concatenate(parts) for name, parts in notes.kept.items()}


def _seldom(net: Net) -> Net:
    """A net whose windows start so seldom that few of them see the same frame."""
    least = -(-net.window // MOST_OVERLAP)
    return replace(net, hop=net.every * -(-least // net.every)) if 0 < net.every < least else net


def _by_length(sequences: Sequences) -> list[Sequences]:
    """Sequences of one length at a time."""
    lengths = [len(s) for s in next(iter(sequences.values()))]
    return [
        {name: [s for s in all_ if len(s) == n] for name, all_ in sequences.items()} for n in sorted(set(lengths)) if n
    ]


def padded_far(sequences: Sequences) -> bool:
    """Whether sequences side by side would be padded to many times the steps that they have."""
    lengths = [len(s) for s in next(iter(sequences.values()))]
    return len(lengths) * max(lengths) > max(MOST_PADDED, MOST_PADDING * sum(lengths))


def of_like_lengths(sequences: Sequences) -> list[Sequences]:
    """All sequences, in groups whose longest has less than twice the steps of the shortest where they would be padded far."""
    if not padded_far(sequences):
        return [sequences]
    lengths = [len(s).bit_length() for s in next(iter(sequences.values()))]
    return [
        {name: [s for s, n in zip(all_, lengths, strict=True) if n == each] for name, all_ in sequences.items()}
        for each in sorted(set(lengths))
    ]


@dataclass
class _Notes:
    """Peaks of every value and operand, and every ``stride``-th sample of it."""

    ranges: Ranges
    stride: int
    rows: dict[str, int] = field(default_factory=dict)
    kept: dict[str, list[Floats]] = field(default_factory=dict)

    def add(self, name: str, ticks: Array) -> None:
        """Note ``[ticks, lanes, *shape]``."""
        rows, size = ticks.shape[0] * ticks.shape[1], int(np.prod(ticks.shape[2:], dtype=np.int64))
        self.note(name, ticks.reshape(rows, size).astype(np.float64))

    def note(self, name: str, flat: Floats) -> None:
        """Note ``[n, elements]``."""
        if not len(flat):
            return
        if not np.all(np.isfinite(flat)):
            if not self.ranges.measured:
                raise _without_end(name)
            raise DataError(f"value {name!r} becomes infinite", hint="Check the calibration data.")
        low, high, r = flat.min(0), flat.max(0), self.ranges
        r.lows[name], r.highs[name] = np.minimum(r.lows.get(name, low), low), np.maximum(r.highs.get(name, high), high)
        r.peaks[name] = np.maximum(np.abs(r.lows[name]), np.abs(r.highs[name]))
        self.kept.setdefault(name, []).append(flat[-self.rows.get(name, 0) % self.stride :: self.stride])
        self.rows[name] = self.rows.get(name, 0) + len(flat)


class _Valid:
    """Notes what belongs to a sequence, from step ``first`` of each on, and leaves out what lanes give past their ends."""

    def __init__(
        self, net: Net, lengths: NDArray[np.int64], notes: _Notes, first: NDArray[np.int64] | None = None
    ) -> None:
        self.lengths, self.notes = lengths, notes
        self.first = np.zeros_like(lengths) if first is None else first
        self.seen: dict[str, int] = {}
        self.clocks = {name: v.clock for name, v in net.values.items()}
        self.clocks |= {f"{op.name}.": net.values[op.outputs[0]].clock for op in net.ops}

    def __call__(self, name: str, ticks: Array) -> None:
        count = self.seen.get(name, 0)
        self.seen[name] = count + len(ticks)
        clock = self.clocks[name] if name in self.clocks else self.clocks[name.split(".", maxsplit=1)[0] + "."]
        at = clock.phase + max(clock.rate, 1) * (count + np.arange(len(ticks)))
        valid = (at[:, None] >= self.first[None, :]) & (at[:, None] < self.lengths[None, :])
        size = int(np.prod(ticks.shape[2:], dtype=np.int64))
        self.notes.note(name, ticks.reshape(*ticks.shape[:2], size)[valid].astype(np.float64))


def _padded(sequences: Sequence[Array], start: int, count: int) -> Array:
    """Steps ``start..start+count`` of all sequences as lanes ``[count, lanes, *shape]``, zero past a sequence's end."""
    lanes = np.zeros((count, len(sequences), *sequences[0].shape[1:]), sequences[0].dtype)
    for k, s in enumerate(sequences):
        part = s[start : start + count]
        lanes[: len(part), k] = part
    return lanes


def lanes_of(net: Net, sequences: Sequences) -> tuple[dict[str, Array], NDArray[np.int64]]:
    """All sequences as lanes ``[steps, lanes, *shape]`` of each input, zero past their ends, with their lengths."""
    lengths = np.array([len(s) for s in next(iter(sequences.values()))])
    return {v.name: _padded(sequences[v.name], 0, int(lengths.max())) for v in net.inputs}, lengths
