"""Requantize: the same value in another format, inserted where two ops disagree, or where an output's format asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from rnnc.fixed import Format, Ints, multiplier
from rnnc.interval import Interval
from rnnc.language import Quantity, clip, let
from rnnc.net import Array, Op, Probe, Quantizer, States, Value, no_probe
from rnnc.ops.element import ByElement, numbers, right, rounded
from rnnc.qnet import Arg, Bound, Constant, KernelCall, QOp


@dataclass(frozen=True, eq=False)
class Requantize(Op):
    """The identity, in real numbers."""

    kind: ClassVar[str] = "requantize"

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [inputs[0]]

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return [inputs[0]]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        return [inputs[0]]

    def quantize(self, q: Quantizer) -> QOp:
        """Before an output whose format the user gives."""
        return QRequantize(self, self.inputs, (q.output(),), q.input(0), int(np.size(q.peak(0))))


@dataclass(frozen=True, eq=False)
class QRequantize(ByElement):
    """``y = clip(((x - zero) m + round) >> s) + zero``, with a 15-bit m for each scale; of an extended x the upper half."""

    source: Format
    size: int

    @property
    def target(self) -> Format:
        """The output's format."""
        return self.formats[0]

    @property
    def idle(self) -> bool:
        """Whether the integers stay."""
        x, y = self.source, self.target
        return (x.bits, x.zero_point, x.lo, x.hi) == (y.bits, y.zero_point, y.lo, y.hi) and np.array_equal(
            x.scale, y.scale
        )

    @cached_property
    def scales(self) -> tuple[Ints, Ints]:
        """m and s of ``y = x m / 2^s``, length 1 or one an element."""
        n = 1 if self.source.uniform and self.target.uniform else self.size
        unit = 2.0**14 if self.source.bits == 32 else 1.0
        return multiplier(unit * self.source.scale_for(n) / self.target.scale_for(n))

    def text(self, *x: Quantity) -> Quantity:
        if self.idle:
            return x[0]
        m, s = self.scales
        short = rounded(x[0], 14) if self.source.bits == 32 else x[0] - self.source.zero_point
        y = short * numbers(short, m)
        y = let("product", "x m, rounded", y + numbers(y, (np.int64(1) << s) >> 1))
        y = right(y, s) + self.target.zero_point
        return clip(y, self.target.hi, self.target.lo)

    def bounds(self) -> list[Bound]:
        m, s = self.scales
        reach = 2**15 if self.source.bits == 32 else self.source.amax + abs(self.source.zero_point)
        return [Bound(self.name, "product", int((reach * m + ((1 << s) >> 1)).max()))]

    def calls(self) -> list[KernelCall]:
        if self.idle:
            return []
        m, s = self.scales
        return [
            KernelCall(
                "rnnc_requantize",
                "requantize.h",
                "rnnc_requantize_params",
                (
                    ("scale", Constant(f"{self.name}_s", "rnnc_scale1", np.stack([m, s], 1), "multipliers and shifts")),
                    ("size", self.size),
                    ("scales", len(m)),
                    ("x_bits", self.source.bits),
                    ("y_bits", self.target.bits),
                    ("x_zero", self.source.zero_point),
                    ("y_zero", self.target.zero_point),
                    ("lo", self.target.lo),
                    ("hi", self.target.hi),
                ),
                (Arg("input", "0"), Arg("output", "0")),
            )
        ]
