"""The exponential function of an extended value, or as one: gates of exponential form see the whole of a difference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnnc.fixed import Format
from rnnc.functions import FINE_FRACTION
from rnnc.language import Quantity, clip, let
from rnnc.ops.element import ByElement, power_of_two
from rnnc.ops.extended import EXTENDED_MAX, LIFT, Gain, gained, lifted
from rnnc.qnet import Arg, Bound, KernelCall

EXPONENT_MAX = 1 << 30


@dataclass(frozen=True, eq=False)
class QExtendedExp(ByElement):
    """``y = 2^((gain x + constant) / 2^24)``, relative error below 2^-20; exp(0) is exact where the LSB is a power of two."""

    x: Format
    size: int

    @cached_property
    def gain(self) -> Gain:
        """From LSBs of the lifted x to exponents with 24 fraction bits, ``[1]``; beyond +-32 they saturate."""
        lsb = self.x.scale / (1 if self.x.bits == 32 else 2**LIFT)
        return Gain.of(lsb / np.log(2) * 2.0**FINE_FRACTION)

    @cached_property
    def constant(self) -> int:
        """From real numbers to LSBs of the output, and what a zero point leaves."""
        exponent = -np.log2(self.formats[0].scale[0]) - self.x.residual * self.x.scale[0] / np.log(2)
        return int(np.clip(np.round(exponent * 2.0**FINE_FRACTION), -EXPONENT_MAX, EXPONENT_MAX))

    def text(self, *x: Quantity) -> Quantity:
        t = let("exponent", "24 fraction bits", gained(self.gain, lifted(x[0], self.x)) + self.constant)
        return clip(power_of_two(clip(t, EXPONENT_MAX)), self.formats[0].hi)

    def bounds(self) -> list[Bound]:
        return [Bound(self.name, "exponent", int(self.gain.reach(EXTENDED_MAX).max()) + abs(self.constant))]

    def calls(self) -> list[KernelCall]:
        fields = (
            ("gain", int(self.gain.m[0])),
            ("shift", int(self.gain.k[0])),
            ("constant", self.constant),
            ("size", self.size),
            ("x_bits", self.x.bits),
            ("y_bits", self.formats[0].bits),
            ("x_zero", self.x.zero_point),
            ("hi", self.formats[0].hi),
        )
        args = (Arg("input", "0"), Arg("output", "0"))
        function, header = "rnnc_extended_exp", "extended_functions.h"
        return [KernelCall(function, header, "rnnc_extended_exp_params", fields, args, tables=("fine_exp2",))]
