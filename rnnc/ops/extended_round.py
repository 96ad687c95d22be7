"""Whole numbers of an extended value: its LSB is a power of two, so that no bit of it is lost before the decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnnc.fixed import Format, int32
from rnnc.net import Array, Probe, States, no_probe
from rnnc.qnet import Arg, Bound, KernelCall, QOp


@dataclass(frozen=True, eq=False)
class QExtendedRound(QOp):
    """``y = (x + add) >> fraction`` as int16; halves go up.

    Args:
        what: "Floor", "Ceil" or "Round".
    """

    what: str
    x: Format
    size: int

    @property
    def fraction(self) -> int:
        """Bits of x below 1; where its LSB is 1 or more it is whole, and counted in LSBs."""
        return int(np.clip(-np.log2(self.x.scale[0]), 0, 30))

    @property
    def add(self) -> int:
        """What makes the shift go down, up or to the nearest."""
        one = 1 << self.fraction
        return {"Floor": 0, "Ceil": one - 1, "Round": one >> 1}[self.what]

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        y = self.formats[0]
        return [np.clip(int32(inputs[0] + self.add, "sum") >> self.fraction, y.lo, y.hi)]

    def bounds(self) -> list[Bound]:
        return [Bound(self.name, "sum", self.x.hi + self.add)]

    def calls(self) -> list[KernelCall]:
        y = self.formats[0]
        fields = (("size", self.size), ("add", self.add), ("fraction", self.fraction), ("lo", y.lo), ("hi", y.hi))
        args = (Arg("input", "0"), Arg("output", "0"))
        function = "rnnc_extended_round"
        return [KernelCall(function, "extended_round.h", f"{function}_params", fields, args)]
