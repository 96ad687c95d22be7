"""Sigmoid and Tanh of a stored value: int32 with 12 fraction bits, clipped, through the shared table to Q0.15."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from rnnc.activations import SIGMOID, TABLES_OF, TANH, Activation
from rnnc.fixed import HIDDEN
from rnnc.interval import Interval
from rnnc.language import Quantity, clip
from rnnc.net import Accept, Array, Probe, Quantizer, States, no_probe
from rnnc.ops.element import ByElement, squash
from rnnc.ops.elementwise import Pointwise, operands
from rnnc.qnet import Arg, KernelCall, QOp
from rnnc.tracing import Node, Tracer, handles


@dataclass(frozen=True, eq=False)
class Squash(Pointwise):
    """``y = sigmoid(x)`` or ``tanh(x)``; the error of the integers is at most 2.6 LSB of Q0.15, 1 is stored as 32767."""

    function: Literal["sigmoid", "tanh"]
    kind: ClassVar[str] = "squash"

    @property
    def _activation(self) -> Activation:
        return TANH if self.function == "tanh" else SIGMOID

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return [self._activation(inputs[0])]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        return [Interval(self._activation(inputs[0].lo), self._activation(inputs[0].hi))]

    def accepts(self, index: int) -> Accept:
        return "gate"

    def quantize(self, q: Quantizer) -> QOp:
        return QSquash(self, self.inputs, (HIDDEN,), int(np.size(q.peak(0))))

    def describe(self) -> str:
        return self.function


@dataclass(frozen=True, eq=False)
class QSquash(ByElement):
    """The table of ``fixed.py``; a sigmoid of 32768 becomes 32767."""

    op: Squash
    size: int

    def text(self, *x: Quantity) -> Quantity:
        return clip(squash(self.op.function, x[0]), 32767, -32768)

    def calls(self) -> list[KernelCall]:
        function = self.op.function
        args = (Arg("input", "0"), Arg("output", "0"), Arg("activation", function))
        fields, tables = (("size", self.size),), TABLES_OF[function]
        return [KernelCall("rnnc_squash", "squash.h", "rnnc_squash_params", fields, args, tables=tables)]


@handles("Sigmoid", "Tanh")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX Sigmoid and Tanh."""
    result, (x,) = operands(node, trace)
    op = trace.add(node, Squash, [x.value], function=node.op_type.lower())
    trace.result(node, 0, replace(result, value=op.outputs[0]))
