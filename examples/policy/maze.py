"""The task: a corridor with a junction at its end, many mazes at a time, in integers. The C twin is in main.c.

A robot starts in a corridor of 8 to 16 cells. Along the first six, one of two lamps flashes at each step: three times out
of four the one on the side of the exit. Further on, both lamps flash at once now and then, which means nothing. At the
junction the robot turns left or right, once. Its wheels slip at one step out of eight. It sees lamps, walls beside it, and a
noisy sonar that reaches eight cells; where it is and what the lamps have shown, it must remember.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FORWARD, LEFT, RIGHT = 0, 1, 2
ACTIONS = 3
FEATURES = 5
FRACTION = 12
"""Observations are Q3.12: 4096 is a lamp that is on, a wall that is there, or eight cells of sonar."""
ON = 1 << FRACTION
SHORTEST, LENGTHS = 8, 9
CUE_CELLS = 6
SONAR_CELLS = 8
MOST_STEPS = 40

Words = NDArray[np.uint32]
Ints = NDArray[np.int64]


@dataclass
class Mazes:
    """Mazes side by side, each with a random generator of its own.

    Args:
        seeds: [mazes], none of them 0.
    """

    seeds: Words
    side: Ints = field(init=False)
    """LEFT or RIGHT: where the exit is."""
    length: Ints = field(init=False)
    position: Ints = field(init=False)
    turned: Ints = field(init=False)
    """FORWARD until the robot turned at the junction."""

    def __post_init__(self) -> None:
        self.state = self.seeds.astype(np.uint32)
        r = self.random(np.ones(len(self.seeds), bool))
        self.side = LEFT + (r >> 16 & 1)
        self.length = SHORTEST + (r >> 20) % LENGTHS
        self.position = np.zeros(len(self.seeds), np.int64)
        self.turned = np.full(len(self.seeds), FORWARD)

    def random(self, chosen: NDArray[np.bool_]) -> Ints:
        """The next 32 bits of the chosen mazes' generators (Marsaglia's xorshift); of the others what they gave last."""
        s = self.state
        s = s ^ s << np.uint32(13)
        s = s ^ s >> np.uint32(17)
        s = s ^ s << np.uint32(5)
        self.state = np.where(chosen, s, self.state)
        return self.state.astype(np.int64)

    @property
    def at_junction(self) -> NDArray[np.bool_]:
        """Whether the robot stands where it can turn."""
        return np.asarray(self.position == self.length)

    @property
    def running(self) -> NDArray[np.bool_]:
        """Whether it has not turned yet."""
        return np.asarray(self.turned == FORWARD)

    def observe(self) -> Ints:
        """Lamps left and right, walls left and right, sonar: [mazes, 5], Q3.12. Draws one random word of each maze."""
        r = self.random(self.running)
        shown = np.where(r & 3, self.side, LEFT + RIGHT - self.side)
        glare = (r & 3) == 0
        cue = self.position < CUE_CELLS
        left, right = (np.where(cue, shown == way, glare) for way in (LEFT, RIGHT))
        wall = ~self.at_junction
        sonar = np.minimum(self.length - self.position, SONAR_CELLS) * (ON // SONAR_CELLS) + (r >> 8 & 255)
        return np.stack([left * ON, right * ON, wall * ON, wall * ON, sonar], axis=1)

    def act(self, action: Ints) -> None:
        """One action each. Forward draws a random word where there is room ahead; a turn counts at the junction only."""
        moving = self.running & (action == FORWARD) & ~self.at_junction
        r = self.random(moving)
        turning = self.running & (action != FORWARD) & self.at_junction
        self.position = self.position + (moving & ((r & 7) != 0))
        self.turned = np.where(turning, action, self.turned)

    def teacher(self) -> Ints:
        """What one does who sees the whole maze."""
        return np.where(self.at_junction, self.side, FORWARD)


def seeds(count: int, first: int) -> Words:
    """Different words, none of them 0."""
    return ((np.arange(first, first + count, dtype=np.uint64) * 2654435761 + 1) % 2**32).astype(np.uint32) | np.uint32(
        1
    )


def real(observations: Ints) -> NDArray[np.float32]:
    """Observations as the network takes them in float: 1.0 for 4096."""
    return (observations / ON).astype(np.float32)


def lessons(count: int, first: int) -> tuple[NDArray[np.float32], Ints, Ints]:
    """Mazes walked by the teacher: observations [mazes, MOST_STEPS, 5], actions [mazes, MOST_STEPS], lengths [mazes]."""
    mazes = Mazes(seeds(count, first))
    observations, actions, lengths = [], [], np.zeros(count, np.int64)
    for _ in range(MOST_STEPS):
        lengths += mazes.running
        observations.append(real(mazes.observe()))
        actions.append(mazes.teacher())
        mazes.act(actions[-1])
    return np.stack(observations, 1), np.stack(actions, 1), lengths
