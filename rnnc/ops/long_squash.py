"""A sigmoid with all bits, on the way of a state that keeps nearly all of itself, or takes little in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnc.activations import TABLES_OF
from rnnc.language import GATE, Quantity, clip
from rnnc.language import long_sigmoid as long_sigmoid_of
from rnnc.net import Quantizer
from rnnc.ops import element
from rnnc.ops.element import ByElement
from rnnc.ops.squash import Squash
from rnnc.qnet import Arg, KernelCall, QOp

FRACTION = 30


@dataclass(frozen=True, eq=False)
class LongSquash(Squash):
    """A sigmoid that has all bits where a state of plain arithmetic takes them."""

    @property
    def extends(self) -> bool:
        return True

    def quantize(self, q: Quantizer) -> QOp:
        y = q.extended()
        return QLongSquash(self, self.inputs, (y,), int(np.size(q.peak(0)))) if y else super().quantize(q)


@dataclass(frozen=True, eq=False)
class QLongSquash(ByElement):
    """``y = sigmoid(x) 2^30 2^shift``, y extended."""

    size: int

    @property
    def shift(self) -> int:
        """From 2^-30 to the LSB of the result."""
        return int(-FRACTION - np.log2(self.formats[0].scale[0]))

    def text(self, *x: Quantity) -> Quantity:
        y = long_sigmoid_of(Quantity(x[0].reading, x[0].raw, GATE))
        power = element.by_power(Quantity(y.reading, y.raw, 0), np.asarray([self.shift]))
        return clip(power, self.formats[0].hi, self.formats[0].lo)

    def calls(self) -> list[KernelCall]:
        fields = (("size", self.size), ("shift", self.shift), ("hi", self.formats[0].hi))
        args, tables = (Arg("input", "0"), Arg("output", "0")), (*TABLES_OF["sigmoid"], "fine_exp2")
        return [KernelCall("rnnc_long_squash", "long_gates.h", "rnnc_long_squash_params", fields, args, tables=tables)]
