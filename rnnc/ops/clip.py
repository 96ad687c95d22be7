"""Clip and ReLU: limits on the integers of their input, in its format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from rnnc.fixed import Format, Ints, round_half_up
from rnnc.interval import Interval
from rnnc.language import Quantity
from rnnc.net import Array, Probe, Quantizer, States, no_probe
from rnnc.ops.element import ByElement, least, most, numbers
from rnnc.ops.elementwise import Pointwise
from rnnc.ops.extended import QExtendedSum, with_room
from rnnc.qnet import Arg, Constant, KernelCall, QOp
from rnnc.tracing import Node, Traced, Tracer, handles


@dataclass(frozen=True, eq=False)
class Clip(Pointwise):
    """``y = min(max(x, lo), hi)``; ReLU is lo = 0, hi infinite."""

    lo: float
    hi: float
    kind: ClassVar[str] = "clip"
    linear: ClassVar[bool] = True

    @property
    def by_element(self) -> bool:
        return not any(np.isfinite(v) and v for v in (self.lo, self.hi))

    @property
    def extends(self) -> bool:
        return True

    @property
    def is_relu(self) -> bool:
        """Whether it is a plain ReLU, which layers with weights take in."""
        return (self.lo, self.hi) == (0, np.inf)

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return [np.clip(inputs[0], self.lo, self.hi)]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        return [Interval(np.clip(inputs[0].lo, self.lo, self.hi), np.clip(inputs[0].hi, self.lo, self.hi))]

    def quantize(self, q: Quantizer) -> QOp:
        size = int(np.size(q.peak(0)))
        if extended := q.extended():
            form, shape = with_room(extended, q.peak(0)), (size,)
            gains, limits = (np.ones(shape),), (self.lo, self.hi)
            sources, none = (q.input(0),), np.zeros(shape)
            return QExtendedSum(self, self.inputs, (form,), sources, (shape,), shape, gains, none, limits)
        return QClip(self, self.inputs, (q.input(0),), size)

    def describe(self) -> str:
        return "ReLU" if self.is_relu else f"clip to {self.lo:g} .. {self.hi:g}"


@dataclass(frozen=True, eq=False)
class QClip(ByElement):
    """``y = min(max(x, lo), hi)`` on integers, limits of length 1 or one for each element."""

    op: Clip
    size: int

    @cached_property
    def limits(self) -> tuple[Ints, Ints]:
        """lo and hi in LSBs, within the input's format."""
        f: Format = self.formats[0]
        low, high = (np.clip(v / f.scale + f.zero, f.lo, f.hi) for v in (self.op.lo, self.op.hi))
        lo, hi = round_half_up(low), round_half_up(high)
        if np.all(lo == lo[0]) and np.all(hi == hi[0]):
            return lo[:1], hi[:1]
        return lo, hi

    def text(self, *x: Quantity) -> Quantity:
        lo, hi = self.limits
        return least(most(x[0], numbers(x[0], lo)), numbers(x[0], hi))

    def calls(self) -> list[KernelCall]:
        lo, hi = self.limits
        fields = (
            ("limits", Constant(f"{self.name}_l", "int16_t", np.stack([lo, hi], 1).ravel(), "lo and hi")),
            ("size", self.size),
            ("step", 2 if len(lo) > 1 else 0),
            ("bits", self.formats[0].bits),
        )
        return [KernelCall("rnnc_limit", "clip.h", "rnnc_clip_params", fields, (Arg("input", "0"), Arg("output", "0")))]


def apply_clip(node: Node, trace: Tracer, x: Traced, lo: float, hi: float) -> None:
    """Add what clips x as the node's result."""
    if lo > hi:
        trace.refuse(node, f"its lower limit {lo:g} is above its upper limit {hi:g}")
    if x.kind != "static" and trace.value(x.value).dtype == "index":
        trace.refuse(node, "clips row numbers")
    op = trace.add(node, Clip, [x.value], lo=lo, hi=hi)
    trace.result(node, 0, replace(x, value=op.outputs[0]))


@handles("Relu")
def relu(node: Node, trace: Tracer) -> None:
    """ONNX Relu."""
    x = trace.input(node, 0)
    assert x is not None
    apply_clip(node, trace, x, 0.0, np.inf)


@handles("Clip")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX Clip with constant limits."""
    x, lo, hi = trace.input(node, 0), trace.constant(node, 1), trace.constant(node, 2)
    assert x is not None
    apply_clip(node, trace, x, -np.inf if lo is None else float(lo.item()), np.inf if hi is None else float(hi.item()))
