"""States that remember long: how long errors last in them, and whether the calibration saw all that they reach."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from rnnc.clock import common_clock
from rnnc.fixed import Floats
from rnnc.net import Array, Net
from rnnc.quantization.calibrate import Sequences
from rnnc.streams import Stream, stream_net

PIECES = 64
"""How often a state is looked at in a sequence."""
PARTS = 8
RISES, LEAPS = 1.02, 1.5
"""By how much a state grows from one part to the next, and in the last beyond all before."""
POINTS = 5
"""Where along a sequence the feedback is measured."""
MOST_ELEMENTS = 512
"""A state of more elements is not measured: its matrix takes as many runs."""
NUDGE = 1e-6
LASTING = 0.98, 1 - 1e-7
"""By how much a state that settles late is multiplied at each step; one that keeps more is a sum, and settles nowhere."""
MOST_STEPS, MOST_TIMES = 20_000, 32
"""How long a recording becomes, and how often it is repeated, at most, to see where a state settles."""
ALIKE = 1e-3
"""Eigenvalues that differ by no more, beside the largest, are of one matrix: the feedback is linear."""
SETTLING, FOLLOWED = 32, 96
"""Steps until an error points where it grows most, and steps over which it is then followed."""


def longest(sequences: Sequences) -> dict[str, Array]:
    """The longest sequence of each input, ``[steps, *shape]``."""
    lengths = [len(s) for s in next(iter(sequences.values()))]
    return {name: all_[int(np.argmax(lengths))] for name, all_ in sequences.items()}


def prolonged(net: Net, sequences: Sequences) -> tuple[Sequences, list[str]]:
    """The sequences; the longest is repeated where a state of plain arithmetic still rises at its end, until that has settled.

    An average over 10,000 steps comes to 6 % of its input in 600: its range, and that of all that reads it, would be too small.

    Returns with them what the user is told of it.
    """
    names = {f.state.name for f in net.feedback}
    steps = max(map(len, next(iter(sequences.values()))))
    if not names or net.window or not 2 * PARTS <= steps <= MOST_STEPS // 2:
        return sequences, []
    rising = still_rising(net, sequences) & names
    gain = feedback_gain(net, rising, sequences) if rising else None
    if gain is None or not LASTING[0] < gain < LASTING[1]:
        return sequences, []
    times = min(int(np.ceil(1 / (1 - gain) / steps)), MOST_STEPS // steps, MOST_TIMES)
    which = int(np.argmax([len(s) for s in next(iter(sequences.values()))]))
    again = {name: np.concatenate([all_[which]] * times) for name, all_ in sequences.items()}
    longer = {name: [*all_[:which], again[name], *all_[which + 1 :]] for name, all_ in sequences.items()}
    what = f"state {', '.join(map(repr, sorted(rising)))} still rises when the longest recording ends, after {steps:,} steps"
    return longer, [f"{what}: its range is that of the recording {times} times over; longer recordings would show it"]


def still_rising(net: Net, sequences: Sequences) -> set[str]:
    """The states whose magnitude still grew when the longest sequence ended."""
    seen: dict[str, list[Floats]] = {s.name: [] for s in net.states()}
    for stream, _ in _along(net, longest(sequences), PIECES):
        for name, values in seen.items():
            values.append(np.abs(stream.state[name][0]).ravel())
    return {name for name, values in seen.items() if _rises(np.array(values))}


def _rises(magnitudes: Floats) -> bool:
    """Whether an element of ``[times, elements]`` grew all through the second half, or leaps at the end."""
    if len(magnitudes) < 2 * PARTS or not magnitudes.size or not magnitudes.max() > 0:
        return False
    means = np.array([part.mean(0) for part in np.array_split(magnitudes, PARTS)])
    large = means[-1] >= means.max(0) / 2
    half = means[PARTS // 2 - 1 :]
    grows = np.all(half[1:] > RISES * half[:-1], axis=0)
    leaps = means[-1] > LEAPS * means[:-1].max(0)
    return bool(np.any(large & (grows | leaps)))


def feedback_gain(net: Net, names: Collection[str], sequences: Sequences) -> float | None:
    """By what an error in some states is multiplied at each step, along the longest sequence.

    Where the states' own matrix is the same everywhere it is its largest eigenvalue; else how a small error goes on, in the
    geometric mean over stretches of steps. An error lasts for about 1 / (1 - this) steps. None where it cannot be measured: no
    such states, too many elements, windows.
    """
    chosen = [s for s in net.states() if s.name in names]
    size = sum(int(np.prod(s.shape, dtype=np.int64)) for s in chosen)
    if not 0 < size <= MOST_ELEMENTS or net.window:
        return None
    ticks = _ticks_of(net, names)
    x = longest(sequences)
    found = []
    for stream, t in _along(net, x, POINTS):
        frames = {name: s[t : t + ticks] for name, s in x.items()}
        if len(next(iter(frames.values()))) == ticks:
            found.append(_largest_eigenvalue(net, stream, [s.name for s in chosen], frames))
    if not found:
        return None
    alike = max(found) - min(found) <= ALIKE * max(found)
    return float(np.median(found)) if alike else _followed(net, [s.name for s in chosen], x, ticks)


def _followed(net: Net, names: Sequence[str], x: Mapping[str, Array], ticks: int) -> float:
    """How much a small error in some states grows, or fades, in a tick of theirs: the geometric mean over several stretches."""
    rates = []
    steps = len(next(iter(x.values())))
    for stream, t in _along(net, x, POINTS):
        pair = _copies(net, stream, 2)
        rng = np.random.default_rng(0)
        _set_error(pair, names, {n: rng.standard_normal(pair.state[n].shape[1:]) for n in names})
        for k, at in enumerate(range(t, min(steps - ticks, t + (SETTLING + FOLLOWED) * ticks), ticks)):
            pair.advance({name: np.repeat(s[at : at + ticks, None], 2, axis=1) for name, s in x.items()})
            error = {n: pair.state[n][1] - pair.state[n][0] for n in names}
            size = float(np.sqrt(sum(float(np.sum(e**2)) for e in error.values())))
            if not 0 < size < np.inf:
                break
            if k >= SETTLING:
                rates.append(np.log(size / NUDGE))
            _set_error(pair, names, error)
    return float(np.exp(np.mean(rates))) if rates else 0.0


def _set_error(pair: Stream, names: Sequence[str], error: Mapping[str, Array]) -> None:
    """Let the second of two streams be the first but for an error of length NUDGE in some states."""
    size = np.sqrt(sum(float(np.sum(e**2)) for e in error.values()))
    for name, state in pair.state.items():
        state[1] = state[0] + (error[name] * (NUDGE / size) if name in names else 0)


def _copies(net: Net, at: Stream, lanes: int) -> Stream:
    """Many of a running stream."""
    stream = stream_net(net, lanes)
    stream.state = {name: np.repeat(array[:1], lanes, axis=0) for name, array in at.state.items()}
    stream.ticks, stream.steps = dict(at.ticks), at.steps
    return stream


def _along(net: Net, x: Mapping[str, Array], pieces: int) -> Iterator[tuple[Stream, int]]:
    """The network after each of some equal pieces of a sequence, and how many steps it has run."""
    stream, steps = stream_net(net), len(next(iter(x.values())))
    ends = np.unique(np.linspace(0, steps, pieces + 1).astype(int))
    for start, end in pairwise(ends):
        stream.advance({name: s[start:end, None] for name, s in x.items()})
        yield stream, int(end) - (end == steps)


def _ticks_of(net: Net, names: Collection[str]) -> int:
    """Steps after which every one of some states has been updated."""
    rates = [1]
    for op in net.ops:
        if any(s.name in names for s in op.states()):
            rates.append(max(1, common_clock([net.values[n].clock for n in op.inputs]).rate))
    return max(rates)


def _largest_eigenvalue(net: Net, at: Stream, names: list[str], frames: Mapping[str, Array]) -> float:
    """Of the matrix of derivatives of some states with respect to themselves, ``frames [ticks, *shape]`` being given."""
    start = np.concatenate([at.state[n][0].ravel() for n in names])
    nudge = NUDGE * max(1.0, float(np.abs(start).max(initial=0.0)))
    lanes = np.concatenate([start[None], start + nudge * np.eye(start.size)])
    stream = _copies(net, at, len(lanes))
    done = 0
    for n in names:
        shape = at.state[n].shape[1:]
        size = int(np.prod(shape, dtype=np.int64))
        stream.state[n] = lanes[:, done : done + size].reshape(len(lanes), *shape)
        done += size
    stream.advance({name: np.repeat(x[:, None], len(lanes), axis=1) for name, x in frames.items()})
    after = np.concatenate([stream.state[n].reshape(len(lanes), -1) for n in names], axis=1)
    matrix = (after[1:] - after[0]) / nudge
    return float(np.abs(np.linalg.eigvals(matrix)).max()) if np.all(np.isfinite(matrix)) else float("inf")
