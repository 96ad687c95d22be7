"""A check sum of all states after each step: the oracle's from what it kept, the C's from its struct.

It is the sum over all elements of state_i w_i, modulo 2^32, with odd w_i. Members that follow another are left out, and delay
lines, which the oracle moves many steps at a time; windows that overlap or look ahead are compared by their answers and by the
state at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnc.backend.program import Program
from rnnc.clock import EVERY_STEP, Clock, common_clock
from rnnc.net import Array
from rnnc.qnet import QNet, QState
from rnnc.streams import Observer

Digest = NDArray[np.uint32]
SPREAD = 2654435761
"""An odd number near 2^32 over the golden ratio: the k-th of all elements is weighed by k times it, made odd."""


def _weights(first: int, n: int) -> Digest:
    return ((np.arange(first, first + n, dtype=np.uint64) * SPREAD) | 1).astype(np.uint32)


def compared(qnet: QNet) -> bool:
    """Whether states can be told step by step."""
    return not qnet.net.overlaps and not (qnet.net.window and qnet.net.drain_steps)


def watched(qnet: QNet) -> Iterator[tuple[QState, int, Clock]]:
    """Each state that counts, the number of its first element among all, and at which steps it changes."""
    fed_back = ((f.state, EVERY_STEP) for f in qnet.feedback)
    kept = (
        (s, common_clock([qnet.values[name].clock for name in op.inputs]))
        for op in qnet.ops
        if not op.elastic
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
                flat = ticks.reshape(*ticks.shape[:2], -1).astype(np.uint32)
                self._seen[name].append((flat * self._weights[name]).sum(-1, dtype=np.uint32))
            if then:
                then(name, ticks)

        return note

    def found(self) -> Digest:
        """The check sum after each step: ``[steps, lanes]``."""
        total = np.zeros((self.steps, self.lanes), np.uint32)
        for state, _, clock in watched(self.qnet):
            total += self._of(state, clock)
        return total

    def _of(self, state: QState, clock: Clock) -> Digest:
        initial = (state.initial.ravel().astype(np.uint32) * self._weights[state.name]).sum(dtype=np.uint32)
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


def c_digest(program: Program) -> list[str]:
    """C statements that add the struct's check sum to ``sum``, a uint32_t."""
    members: dict[str, Any] = {m.state.name: m for m in program.members}
    return [
        f"for (uint32_t i = 0; i < {state.size}u; i++) {{ "
        f"sum += (uint32_t)s.{members[state.name].c_name}[i] * (((i + {first}u) * {SPREAD}u) | 1u); }}"
        for state, first, _ in watched(program.qnet)
    ]
