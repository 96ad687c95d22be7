"""When values are new: the clocks of a network's step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Clock:
    """When a value is new: at the steps ``phase + k rate``, k = 0, 1, ...; it describes the input of ``delay`` steps ago."""

    rate: int = 1
    phase: int = 0
    delay: int = 0

    def ticks(self, step: int) -> bool:
        """Whether the value is new at a step."""
        return step >= self.phase and (step - self.phase) % max(self.rate, 1) == 0

    def __str__(self) -> str:
        text = f" every {self.rate}" if self.rate > 1 else ""
        text += f" from step {self.phase}" if self.phase else ""
        return text + (f" {self.delay} late" if self.delay else "")


EVERY_STEP = Clock()

ALWAYS = Clock(rate=0)
"""The clock of what is at hand at every step and new at none: a state that the graph itself feeds back."""


@dataclass(frozen=True)
class Timing:
    """At which ticks of its input an op gives a value: at ``first``, ``first + stride``, ...

    Args:
        tail: for how many ticks it goes on when its input has ended: its own padding comes in then (``Op.drain``).
        ahead: how many of the ticks before the first it waits only to look ahead.
    """

    first: int = 0
    stride: int = 1
    tail: int = 0
    ahead: int = 0

    def due(self, tick: int) -> bool:
        """Whether there is a value at a tick of the input."""
        return tick >= self.first and (tick - self.first) % self.stride == 0

    def count(self, ticks: int) -> int:
        """How many values come of ``ticks`` ticks of the input and the tail."""
        return max(0, (ticks + self.tail - self.first - 1) // self.stride + 1)

    def clock(self, source: Clock) -> Clock:
        """The clock of the values, given the input's."""
        return Clock(
            source.rate * self.stride, source.phase + self.first * source.rate, source.delay + self.ahead * source.rate
        )


def common_clock(clocks: Sequence[Clock]) -> Clock:
    """The clock of values that are read together: they tick at the same steps, ``ALWAYS`` left aside."""
    ticking = [c for c in clocks if c.rate]
    if not ticking:
        return ALWAYS
    assert len({(c.rate, c.phase) for c in ticking}) == 1, f"values of clocks {ticking} do not tick together"
    return replace(ticking[0], delay=max(c.delay for c in ticking))
