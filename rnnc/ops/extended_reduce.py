"""The sum of each vector of an extended value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnnc.fixed import Format, int32, shift_round
from rnnc.net import Array, Probe, States, no_probe
from rnnc.ops.along import Along
from rnnc.ops.extended import EXTENDED_MAX, LIFT, Gain, lift
from rnnc.qnet import Arg, Bound, Field, KernelCall, QOp


@dataclass(frozen=True, eq=False)
class QExtendedReduce(QOp):
    """``y = clip(gain sum (x / 2^down))``, each element rounded; ``sizes``: the sum of |x|."""

    axis: Along
    factor: float
    x: Format
    sizes: bool

    @property
    def down(self) -> int:
        """By how much elements are shifted so that their sum stays within +-2^30."""
        return max(0, int(np.ceil(np.log2(self.axis.count))) - 1)

    @cached_property
    def gain(self) -> Gain:
        """From the sum to the result, ``[1]``."""
        lsb = self.x.scale / (1 if self.x.bits == 32 else 2**LIFT)
        return Gain.of(self.factor * lsb * 2.0**self.down / self.formats[0].scale)

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x = lift(self.axis.rows(inputs[0]), self.x)
        total = int32(shift_round(np.abs(x) if self.sizes else x, self.down).sum(-1), "sum")
        y = self.formats[0]
        return [np.clip(self.gain(total), y.lo, y.hi)]

    def bounds(self) -> list[Bound]:
        return [Bound(self.name, "sum", self.axis.count * (EXTENDED_MAX >> self.down))]

    def calls(self) -> list[KernelCall]:
        y = self.formats[0]
        fields: tuple[Field, ...] = (
            *self.axis.fields(),
            ("gain", int(self.gain.m[0])),
            ("shift", int(self.gain.k[0])),
            ("down", self.down),
            ("sizes", int(self.sizes)),
            ("x_bits", self.x.bits),
            ("y_bits", y.bits),
            ("x_zero", self.x.zero_point),
            ("lo", y.lo),
            ("hi", y.hi),
        )
        args = (Arg("input", "0"), Arg("output", "0"))
        function, header = "rnnc_extended_reduce", "extended_reduce.h"
        return [KernelCall(function, header, "rnnc_extended_reduce_params", fields, args)]
