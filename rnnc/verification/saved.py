"""What the C must have saved after some steps: the oracle's states, the counters, and the frames that windows keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rnnc.backend.program import Overlap, Program
from rnnc.net import Array
from rnnc.streams import stream_qnet


def saved_state(program: Program, inputs: Mapping[str, Array], state: Mapping[str, Array]) -> Array:
    """A saved state, without header and check sum, for each lane: ``[lanes, bytes]``.

    Args:
        inputs: what was taken since the reset, in integers, ``[steps, lanes, *shape]``.
        state: the oracle's states then; not used where windows overlap.
    """
    steps, lanes = next(iter(inputs.values())).shape[:2]
    if program.overlap:
        return _of_windows(program, program.overlap, inputs)
    return _one(program, state, steps % program.window if program.window else steps, lanes)


def _one(program: Program, state: Mapping[str, Array], steps: int, lanes: int) -> Array:
    """The states and counters of a stream or of a window."""
    parts = [np.zeros((lanes, 0), np.uint8)]
    for m in program.members:
        if not m.state.follows:
            parts.append(_bytes(state[m.state.name].reshape(lanes, -1), m.state.format.bits // 8))
    parts += [_number(counter.after(steps), lanes) for counter in program.counters]
    return np.concatenate(parts, 1)


def _of_windows(program: Program, overlap: Overlap, inputs: Mapping[str, Array]) -> Array:
    steps, lanes = next(iter(inputs.values())).shape[:2]
    parts = []
    now = [_next(overlap, steps)] if overlap.rings else [_under_way(overlap, steps, k) for k in range(overlap.lanes)]
    for at in now:
        stream = stream_qnet(program.qnet, lanes)
        if at.taken:
            stream.advance({n: x[at.first : at.first + at.taken] for n, x in inputs.items()})
        parts.append(_one(program, stream.state, at.taken, lanes))
        parts += [] if overlap.rings else [_number(at.left, lanes)]
    for r in overlap.rings:
        ring = np.zeros((r.frames, lanes, r.port.size), np.int64)
        for t in range(max(0, steps - r.frames), steps):
            ring[t % r.frames] = inputs[r.port.name][t].reshape(lanes, -1)
        parts.append(_bytes(ring.swapaxes(0, 1).reshape(lanes, -1), r.bytes // r.size))
    if overlap.rings:
        read = (now[0].first + now[0].taken) % overlap.frames
        parts += [_number(n, lanes) for n in (steps % overlap.frames, read, now[0].left)]
    return np.concatenate(parts, 1)


@dataclass(frozen=True)
class _Window:
    """A window: the step of its first frame, how many it has taken, and for how many it (or its answer) waits."""

    first: int
    taken: int
    left: int


def _under_way(overlap: Overlap, steps: int, lane: int) -> _Window:
    """What the states of a lane are about, where each window has its own."""
    since = steps - lane * overlap.hop
    if since < 0:
        return _Window(0, 0, -since)
    taken = since % (overlap.steps * overlap.hop)
    if taken >= overlap.window:
        return _Window(0, 0, overlap.steps * overlap.hop - taken)
    return _Window(steps - taken, taken, 0)


def _next(overlap: Overlap, steps: int) -> _Window:
    """The window whose answer is next, where frames are kept."""
    ended = (steps - overlap.window) // overlap.hop + 1 if steps >= overlap.window else 0
    first = ended * overlap.hop
    left = first + overlap.window - steps
    taken = max(overlap.window - left * overlap.steps, overlap.hop - left) if left < overlap.hop else 0
    return _Window(first, taken, left)


def _bytes(values: Array, size: int) -> Array:
    """``[lanes, n]`` as little-endian bytes."""
    return np.ascontiguousarray(values).astype(f"<i{size}").view(np.uint8).reshape(len(values), -1)


def _number(value: int, lanes: int) -> Array:
    return np.full((lanes, 1), value, "<u2").view(np.uint8)
