"""A check sum of all states after each step: the oracle's from what it kept, the C's from its struct.

It is the sum over all elements of state_i w_i, modulo 2^32, with odd w_i; members that follow another are left out. Of windows
that overlap it is the sum over the lanes of states, each times an odd number of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnc.backend.program import Program
from rnnc.clock import EVERY_STEP, Clock, common_clock
from rnnc.fixed import Ints
from rnnc.net import Array
from rnnc.qnet import QNet, QState
from rnnc.streams import Observer
from rnnc.verification.saved import next_window, under_way

Digest = NDArray[np.uint32]
SPREAD = 2654435761
"""An odd number near 2^32 over the golden ratio: the k-th of all elements is weighed by k times it, made odd."""


def _weights(first: int, n: int) -> Digest:
    return ((np.arange(first, first + n, dtype=np.uint64) * SPREAD) | 1).astype(np.uint32)


def watched(qnet: QNet) -> Iterator[tuple[QState, int, Clock]]:
    """Each state that counts, the number of its first element among all, and at which steps it changes."""
    fed_back = ((f.state, EVERY_STEP) for f in qnet.feedback)
    kept = (
        (s, EVERY_STEP if op.elastic else common_clock([qnet.values[name].clock for name in op.inputs]))
        for op in qnet.ops
        for s in op.states()
    )
    first = 0
    for state, clock in chain(fed_back, kept):
        if not state.follows and clock.rate:
            yield state, first, clock
            first += state.size


class Digests:
    """What the oracle kept: ``observer`` is handed to its stream as ``watch``."""

    def __init__(self, qnet: QNet, steps: int, lanes: int) -> None:
        self.qnet, self.steps, self.lanes = qnet, steps, lanes
        self._weights = {s.name: _weights(first, s.size) for s, first, _ in watched(qnet)}
        self._seen: dict[str, list[Digest]] = {name: [] for name in self._weights}

    def observer(self, then: Observer | None) -> Observer:
        """Notes states, and hands them on."""

        def note(name: str, ticks: Array) -> None:
            if name in self._weights:
                self._seen[name].append(_sum(ticks.reshape(*ticks.shape[:2], -1), self._weights[name]))
            if then:
                then(name, ticks)

        return note

    @property
    def seen(self) -> bool:
        """Whether anything was run."""
        return any(self._seen.values())

    def found(self) -> Digest:
        """The check sum after each step: ``[steps, lanes]``."""
        total = np.zeros((self.steps, self.lanes), np.uint32)
        for state, _, clock in watched(self.qnet):
            total += self._of(state, clock)
        return total

    def _of(self, state: QState, clock: Clock) -> Digest:
        initial = _sum(state.initial.ravel(), self._weights[state.name])
        ticks = np.concatenate([np.full((1, self.lanes), initial, np.uint32), *self._seen[state.name]])
        window = self.qnet.net.window or self.steps
        step = np.arange(self.steps)
        within = step % window
        own = np.where(within >= clock.phase, (within - clock.phase) // clock.rate + 1, 0)
        a_window = (window - 1 - clock.phase) // clock.rate + 1 if window > clock.phase else 0
        at = np.where(own > 0, step // window * a_window + own, 0)
        if self.qnet.net.window:  # its last step starts it anew
            at[within == window - 1] = 0
        return np.asarray(ticks[at])


class WindowDigests:
    """The same of windows that overlap, which the oracle runs side by side: each has states of its own."""

    def __init__(self, qnet: QNet, lanes: int) -> None:
        self.qnet, self.lanes = qnet, lanes
        self._runs: list[Digests] = []

    def observer(self, lanes: int, then: Observer | None) -> Observer:
        """Of a stream that runs windows as ``lanes``."""
        self._runs.append(Digests(self.qnet, self.qnet.net.window, lanes))
        return self._runs[-1].observer(then)

    def found(self) -> Digest:
        """The check sum of each window after each of its steps: ``[steps, windows, lanes]``."""
        steps = self.qnet.net.window
        parts = [d.found().reshape(steps, -1, self.lanes) for d in self._runs if d.seen]
        return np.concatenate([np.zeros((steps, 0, self.lanes), np.uint32), *parts], 1)


def of_struct(program: Program, found: Digest, steps: int) -> Digest:
    """The check sum of the whole struct, ``[steps, lanes]``, to the last step of which the oracle has run all windows.

    Args:
        found: what ``Digests`` found, or ``WindowDigests``.
    """
    overlap = program.overlap
    if not overlap:
        return found
    known = overlap.hop * found.shape[1]
    after = np.arange(1, min(steps, known) + 1)
    started = np.concatenate([np.full_like(found[:1], initial_digest(program.qnet)), found[:-1]])
    total = np.zeros((len(after), found.shape[2]), np.uint32)
    for k in range(overlap.lanes):
        at = next_window(overlap, after) if overlap.rings else under_way(overlap, after, k)
        window = np.where(at.received, at.first // overlap.hop, 0)
        total += factor(k) * started[at.received, window]
    return total


def factor(lane: int) -> np.uint32:
    """What the check sum of a lane's states counts by."""
    return np.uint32(2 * lane + 1)


def initial_digest(qnet: QNet) -> np.uint32:
    """The check sum of the initial states."""
    parts = [_sum(s.initial.ravel(), _weights(first, s.size)) for s, first, _ in watched(qnet)]
    return np.uint32(sum(int(p) for p in parts) & 0xFFFFFFFF)


def _sum(states: Ints, weights: Digest) -> Digest:
    return np.asarray((states.astype(np.uint32) * weights).sum(-1, dtype=np.uint32))


def c_digest(program: Program) -> list[str]:
    """C statements that add the struct's check sum to ``sum``, a uint32_t."""
    overlap = program.overlap
    owner = "s.w[k]." if overlap else "s."
    members: dict[str, Any] = {m.state.name: m for m in program.members}
    own = [
        f"for (uint32_t i = 0; i < {state.size}u; i++) {{ "
        f"{'one' if overlap else 'sum'} += (uint32_t){owner}{members[state.name].c_name}[i] "
        f"* (((i + {first}u) * {SPREAD}u) | 1u); }}"
        for state, first, _ in watched(program.qnet)
    ]
    if not overlap:
        return own
    return [
        f"for (uint32_t k = 0; k < {overlap.lanes}u; k++) {{ uint32_t one = 0;",
        *own,
        "sum += one * (2u * k + 1u); }",
    ]
