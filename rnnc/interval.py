"""Bounds of values, from which those of what is computed follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnc.fixed import Floats


@dataclass(frozen=True)
class Interval:
    """Bounds of each element of a value (flattened), from the ranges of its inputs."""

    lo: Floats
    hi: Floats

    @property
    def magnitude(self) -> Floats:
        """The largest absolute value of each element."""
        return np.maximum(np.abs(self.lo), np.abs(self.hi))

    @staticmethod
    def of(lo: float, hi: float, size: int) -> Interval:
        """The same bounds for ``size`` elements."""
        return Interval(np.full(size, float(lo)), np.full(size, float(hi)))
