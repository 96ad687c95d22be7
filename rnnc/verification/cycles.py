"""Clock cycles of a step: counted on RTL or by a simulator, or estimated from a manual's tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Cycles:
    """Clock cycles of a step, over all steps of the self-test.

    Args:
        core: as ``--core`` names it, or a target.
        estimate: whether they come from a table, not from a simulation of every cycle.
        assumes: what the figures rest on.
    """

    core: str
    least: int
    median: int
    most: int
    estimate: bool = False
    assumes: str = ""

    @classmethod
    def of(cls, core: str, counts: Sequence[int], estimate: bool = False, assumes: str = "") -> Cycles:
        """From the cycles of each step, one or more."""
        return cls(core, min(counts), int(np.median(counts)), max(counts), estimate, assumes)

    def content(self) -> dict[str, Any]:
        """As JSON has it."""
        words = {"least": "min", "most": "max"}
        return {words.get(name, name): value for name, value in asdict(self).items()}
