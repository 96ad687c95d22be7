"""Floor, Ceil and Round: whole numbers, one LSB each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from rnnc.fixed import Floats, Format, Ints
from rnnc.interval import Interval
from rnnc.net import Accept, Array, Probe, Quantizer, States, Value, no_probe
from rnnc.ops.elementwise import Combination, Loops, Pointwise, Shape, broadcast_scale, operands, reach_of
from rnnc.ops.extended import is_extended
from rnnc.ops.extended_round import QExtendedRound
from rnnc.qnet import Arg, Bound, Field, KernelCall, QOp
from rnnc.tracing import Node, Tracer, handles

FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {"Floor": np.floor, "Ceil": np.ceil, "Round": np.round}
"""By ONNX operator; halves go to the even number, in integers up."""
WHOLE = Format(16, np.ones(1))


@dataclass(frozen=True, eq=False)
class Round(Pointwise):
    """``y = function(x)``; ``what`` is a key of FUNCTIONS, ``shape`` that of x; below ``rows`` where they are row numbers."""

    what: str
    shape: Shape
    rows: int = 0
    kind: ClassVar[str] = "round"
    jumps: ClassVar[bool] = True

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [Value("", inputs[0].shape, dtype="index" if self.rows else "real", rows=self.rows)]

    @property
    def reads_extended(self) -> bool:
        return True

    def accepts(self, index: int) -> Accept:
        return "common"

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        y = FUNCTIONS[self.what](inputs[0])
        return [np.clip(y, 0, self.rows - 1) if self.rows else y]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        function = FUNCTIONS[self.what]
        ends = function(inputs[0].lo), function(inputs[0].hi)
        return [Interval(*(np.clip(end, 0, self.rows - 1) if self.rows else end for end in ends))]

    def quantize(self, q: Quantizer) -> QOp:
        form = Format.rows(self.rows) if self.rows else WHOLE
        if is_extended(q.input(0)):
            return QExtendedRound(self, self.inputs, (form,), self.what, q.input(0), int(np.size(q.peak(0))))
        return QRound(self, self.inputs, (form,), q.input(0))

    def describe(self) -> str:
        return self.what.lower()


@dataclass(frozen=True, eq=False)
class QRound(QOp):
    """``y = (x factor + offset) >> shift``: what is added before the shift makes it go down, up or to the nearest."""

    op: Round
    x: Format

    @cached_property
    def combination(self) -> Combination:
        """The factors ``[1, *shape]``."""
        gain = broadcast_scale(self.x, self.op.shape, self.op.shape)
        nearest = Combination.of(gain[None], -gain * self.x.zero, [reach_of(self.x)])
        one = np.int64(1) << nearest.shift
        more = {"Floor": -(one >> 1), "Ceil": one - 1 - (one >> 1), "Round": 0 * one}
        return replace(nearest, offset=nearest.offset + more[self.op.what])

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x: Ints = inputs[0].reshape(*inputs[0].shape[:2], *self.op.shape)
        y = self.formats[0]
        return [np.clip(self.combination(x), y.lo, y.hi)]

    def bounds(self) -> list[Bound]:
        return [Bound(self.name, "sum", self.combination.worst([reach_of(self.x)]))]

    def calls(self) -> list[KernelCall]:
        table, small = self.combination.table(f"{self.name}_s")
        loops = Loops.over(self.op.shape, self.op.shape, small)
        assert loops is not None
        fields: tuple[Field, ...] = (
            *loops.fields("a", "scale"),
            ("lines", table),
            ("x_bits", self.x.bits),
            ("y_bits", 16),
            ("lo", self.formats[0].lo),
            ("hi", self.formats[0].hi),
        )
        args = (Arg("input", "0"), Arg("output", "0"))
        return [KernelCall("rnnc_affine", "affine.h", "rnnc_affine_params", fields, args)]


@handles(*FUNCTIONS)
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX Floor, Ceil and Round."""
    result, (x,) = operands(node, trace)
    op = trace.add(node, Round, [x.value], what=node.op_type, shape=result.frame)
    trace.result(node, 0, replace(result, value=op.outputs[0]))
