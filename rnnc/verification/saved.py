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
        inputs: what was received since the reset, in integers, ``[steps, lanes, *shape]``.
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
    for k in range(overlap.lanes):
        at = next_window(overlap, np.array(steps)) if overlap.rings else under_way(overlap, np.array(steps), k)
        first, received, left = int(at.first), int(at.received), int(at.left)
        stream = stream_qnet(program.qnet, lanes)
        if received:
            stream.advance({n: x[first : first + received] for n, x in inputs.items()})
        parts.append(_one(program, stream.state, received, lanes))
        parts += [] if overlap.rings else [_number(left, lanes)]
    for r in overlap.rings:
        ring = np.zeros((r.frames, lanes, r.port.size), np.int64)
        for t in range(max(0, steps - r.frames), steps):
            ring[t % r.frames] = inputs[r.port.name][t].reshape(lanes, -1)
        parts.append(_bytes(ring.swapaxes(0, 1).reshape(lanes, -1), r.bytes // r.size))
    if overlap.rings:
        parts += [_number(n, lanes) for n in (steps % overlap.frames, (first + received) % overlap.frames, left)]
    return np.concatenate(parts, 1)


@dataclass(frozen=True, eq=False)
class WindowFrames:
    """A window after each of some steps: its first frame, how many it has received, how many it (or its answer) waits for."""

    first: Array
    received: Array
    left: Array


def under_way(overlap: Overlap, steps: Array, lane: int) -> WindowFrames:
    """What the states of a lane are about, where each window has its own."""
    since, round_ = steps - lane * overlap.hop, overlap.steps * overlap.hop
    received = np.where(since < 0, 0, since % round_)
    ended = received >= overlap.window
    left = np.where(since < 0, -since, np.where(ended, round_ - received, 0))
    idle = ended | (since < 0)
    return WindowFrames(np.where(idle, 0, steps - received), np.where(idle, 0, received), left)


def next_window(overlap: Overlap, steps: Array) -> WindowFrames:
    """The window whose answer is next, where frames are kept."""
    ended = np.where(steps >= overlap.window, (steps - overlap.window) // overlap.hop + 1, 0)
    first = ended * overlap.hop
    left = first + overlap.window - steps
    due = np.maximum(overlap.window - left * overlap.steps, overlap.hop - left)
    return WindowFrames(first, np.where(left < overlap.hop, due, 0), left)


def _bytes(values: Array, size: int) -> Array:
    """``[lanes, n]`` as little-endian bytes."""
    return np.ascontiguousarray(values).astype(f"<i{size}").view(np.uint8).reshape(len(values), -1)


def _number(value: int, lanes: int) -> Array:
    return np.full((lanes, 1), value, "<u2").view(np.uint8)
