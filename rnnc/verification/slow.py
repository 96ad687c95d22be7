"""States that remember long: how long errors last in them, and whether the calibration saw all that they reach."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
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


def longest(sequences: Sequences) -> dict[str, Array]:
    """The longest sequence of each input, ``[steps, *shape]``."""
    lengths = [len(s) for s in next(iter(sequences.values()))]
    return {name: all_[int(np.argmax(lengths))] for name, all_ in sequences.items()}


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
    large = means[-1] >= means.max() / 2
    half = means[PARTS // 2 - 1 :]
    grows = np.all(half[1:] > RISES * half[:-1], axis=0)
    leaps = means[-1] > LEAPS * means[:-1].max(0)
    return bool(np.any(large & (grows | leaps)))


def feedback_gain(net: Net, names: Collection[str], sequences: Sequences) -> float | None:
    """The largest magnitude of an eigenvalue of one step of some states, in the median along the longest sequence.

    An error of a step lasts for about 1 / (1 - this) steps. None where it cannot be measured: no such states, too many
    elements, windows.
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
    return float(np.median(found)) if found else None


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
    stream = stream_net(net, len(lanes))
    stream.state = {name: np.repeat(array[:1], len(lanes), axis=0) for name, array in at.state.items()}
    stream.ticks, stream.steps = dict(at.ticks), at.steps
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
