"""Offset: ``y = x + offset`` at the network's edge. It costs nothing: the integers stay, their format changes its offset.

An input of 101325 +- 300 Pa is read less its offset, and an output is given its own, so that 16 bits hold what varies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rnnc.fixed import Floats
from rnnc.interval import Interval
from rnnc.net import Array, Probe, Quantizer, States, no_probe
from rnnc.ops.elementwise import Pointwise
from rnnc.qnet import KernelCall, QOp


@dataclass(frozen=True, eq=False)
class Offset(Pointwise):
    """``y = x + offset``.

    Args:
        offset: real units, ``[*shape]`` of x.
        by_zero: y is read by ops that take an offset as a zero point alone: one for all elements.
    """

    offset: Floats
    by_zero: bool = False
    kind: ClassVar[str] = "offset"

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return [inputs[0] + self.offset]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        offset = self.offset.ravel()
        return [Interval(inputs[0].lo + offset, inputs[0].hi + offset)]

    def quantize(self, q: Quantizer) -> QOp:
        x = q.input(0)
        form = replace(x, offset=x.offset_for(self.offset.size) + self.offset.ravel())
        if self.by_zero:
            zero = x.zero - float(form.offset[0] / x.scale[0])
            form = replace(x, zero_point=round(zero), residual=zero - round(zero), offset=np.zeros(1))
        return QOffset(self, self.inputs, (form,))

    def describe(self) -> str:
        return f"offset {self.offset.min():.6g} .. {self.offset.max():.6g}"


@dataclass(frozen=True, eq=False)
class QOffset(QOp):
    """The same memory."""

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return [inputs[0]]

    def calls(self) -> list[KernelCall]:
        return []
