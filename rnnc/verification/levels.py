"""The compiler's levels of optimization: what firmware is measured with, and what frameworks take by themselves."""

from __future__ import annotations

from rnnc.backend.layouts import OPTIMIZATION
from rnnc.errors import UsageError

LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os", "-Og")
LEVEL = OPTIMIZATION
"""What is measured unless another is named."""
COMPARED = ("-O2", "-O3", "-Os", "-Og")
"""What builds of firmware usually take."""


def find_level(level: str) -> str:
    """The level itself; raises UsageError where it is none that compilers have in common."""
    if level not in LEVELS:
        raise UsageError(f"--optimize {level}: no level of optimization", hint=f"One of: {', '.join(LEVELS)}.")
    return level
