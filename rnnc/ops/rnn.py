"""RNN (Elman 1990; ONNX operator RNN).

    h' = f(W x + R h + b)      f = tanh by default

The integers of a layer that clips, or has another activation than tanh, ReLU and sigmoid, are in rnn_general.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rnnc import fixed
from rnnc.activations import RELU, SIGMOID, TABLES_OF, TANH, Activation
from rnnc.fixed import Floats, Format
from rnnc.net import Array, Interval, Op, Probe, Quantizer, State, States, Value, no_probe
from rnnc.ops.recurrent import (
    HiddenFormats,
    batched,
    gate_target,
    hidden_formats,
    narrow,
    operands,
    read_node,
    read_node_activations,
    scale2,
    two_block,
    two_block_bounds,
)
from rnnc.ops.start import add_layer
from rnnc.qnet import Arg, Bound, Constant, KernelCall, QOp, QState, WeightRows
from rnnc.rows import TwoBlock
from rnnc.tracing import InitialState, Node, Tracer, handles


@dataclass(frozen=True, eq=False)
class Rnn(Op):
    """A vanilla recurrent layer.

    Args:
        weights: ``[hidden, columns]``.
        recurrence: ``[hidden, hidden]``.
        bias: ``[hidden]``.
        initial_h: ``[hidden]``.
        activation: f.
        clip: bound of what goes into it, 0 for none.

    Inputs: x ``[columns]``. Outputs: h ``[hidden]``.
    """

    weights: Floats
    recurrence: Floats
    bias: Floats
    initial_h: InitialState
    activation: Activation = TANH
    clip: float = 0.0
    kind: ClassVar[str] = "rnn"

    @property
    def hidden(self) -> int:
        """Number of hidden units."""
        return int(self.weights.shape[0])

    @property
    def columns(self) -> int:
        """Number of input features."""
        return int(self.weights.shape[1])

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [Value("", (self.hidden,), clock=inputs[0].clock)]

    def states(self) -> tuple[State, ...]:
        h = self.initial_h
        return (State(f"{self.name}_h", (self.hidden,), h.value, h.alias, h.window),)

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x, h = inputs[0].reshape(-1, self.columns), state[f"{self.name}_h"]
        probe("h", h)
        p = x @ self.weights.T + h @ self.recurrence.T + self.bias
        h = self.activation(np.clip(p, -self.clip, self.clip) if self.clip else p)
        state[f"{self.name}_h"] = h
        return [h]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        start = float(np.abs(self.initial_h.value).max(initial=0.0))
        lo, hi = self.activation.limits
        return [Interval.of(min(lo, -start), max(hi, start), self.hidden)]

    def column_weights(self, index: int) -> Floats:
        return self.weights

    def takes8(self, index: int) -> bool:
        return True

    def quantize(self, q: Quantizer) -> QOp:
        from rnnc.ops.rnn_general import quantize_general

        relu = self.activation == RELU
        start = float(np.abs(self.initial_h.value).max(initial=0.0))
        if self.activation not in (TANH, RELU, SIGMOID) or self.clip or (not relu and start > 1):
            return quantize_general(self, q)
        h = hidden_formats(q, self.initial_h.value, bounded=not relu)
        target = np.full(self.hidden, h.full.scale[0]) if relu else gate_target(self.hidden)
        rows = two_block(q, self.weights, self.recurrence, self.bias, h.operand, "h", target)
        if not rows.representable:
            return quantize_general(self, q)
        return QRnn(self, self.inputs, (h.operand if q.wants8() else h.full,), rows, q.input(0), h)

    def describe(self) -> str:
        return (
            f"RNN {self.columns} -> {self.hidden}, {self.activation.name}{f', clip {self.clip:g}' if self.clip else ''}"
        )


@dataclass(frozen=True, eq=False)
class QRnn(QOp):
    """h: Q0.15 (a state that starts outside +-1, or of ReLU, has a scale of its own), as operand int16 or int8."""

    op: Rnn
    rows: TwoBlock
    input_format: Format
    h: HiddenFormats

    def states(self) -> tuple[QState, ...]:
        (h,) = self.op.states()
        operand = self.h.operand
        return (QState(h.name, h.shape, operand, operand.quantize(h.initial), h.alias, h.window),)

    def output_state(self, index: int) -> str:
        return f"{self.name}_h" if self.formats[0].bits == self.h.operand.bits else ""

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x = inputs[0].reshape(-1, self.op.columns)
        p = self.rows(x, state[f"{self.name}_h"], self.name)
        h16 = self.activate(p)
        h = narrow(h16, self.h.operand)
        state[f"{self.name}_h"] = h
        return [h if self.formats[0].bits == self.h.operand.bits else h16]

    def activate(self, p: fixed.Ints) -> fixed.Ints:
        """h as int16 of the preactivation."""
        if self.op.activation == TANH:
            return fixed.tanh(p)
        if self.op.activation == SIGMOID:
            return np.minimum(fixed.sigmoid(p), 32767)
        return np.clip(p, 0, 32767)

    def bounds(self) -> list[Bound]:
        return two_block_bounds(self.name, "gate", self.rows)

    def calls(self) -> list[KernelCall]:
        op, n, sx, sh = self.op, self.name, self.rows.x.scale, self.rows.h.scale
        blocks = tuple(b.weights.reshape(op.hidden, 1, -1) for b in (self.rows.x, self.rows.h))
        return [
            KernelCall(
                "rnnc_rnn",
                "rnn.h",
                "rnnc_rnn_params",
                (
                    *batched(
                        [
                            ("weights", WeightRows(f"{n}_w", blocks, "each unit over x, then over h")),
                            (
                                "bias",
                                Constant(f"{n}_b", "int32_t", self.rows.bias, "[hidden], LSB of the x accumulator"),
                            ),
                            ("scale", scale2(sx.m, sh.m, sx.p, sh.p, f"{n}_s", "[hidden] multipliers and shifts")),
                        ],
                        op.hidden,
                    ),
                    ("columns", op.columns),
                    ("hidden", op.hidden),
                    ("x_bits", self.input_format.bits),
                    ("h_bits", self.h.operand.bits),
                ),
                (
                    Arg("input", "0"),
                    Arg("state", f"{n}_h"),
                    Arg("scratch", "vx"),
                    Arg("scratch", "vh"),
                    Arg("null") if self.output_state(0) else Arg("output", "0"),
                    Arg("activation", op.activation.name),
                ),
                operands(op.columns, self.input_format.bits, op.hidden, self.h.operand.bits),
                macs=op.hidden * (op.columns + op.hidden),
                tables=TABLES_OF[op.activation.name],
            )
        ]

    def dequantized(self) -> Op:
        op = self.op
        return replace(
            op,
            weights=self.rows.x.real(self.input_format.scale_for(op.columns)),
            recurrence=self.rows.h.real(self.h.operand.scale_for(op.hidden)),
            bias=self.rows.real_bias(self.input_format.zero),
        )


@handles("RNN")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX RNN, forward."""
    r = read_node(node, trace, gates=1, states=1)
    (activation,) = read_node_activations(node, trace, ["Tanh"])
    op = add_layer(
        node,
        trace,
        r,
        Rnn,
        weights=r.weights[0],
        recurrence=r.recurrence[0],
        bias=(r.bias_x + r.bias_h)[0],
        initial_h=r.initial[0],
        activation=activation,
        clip=float(node.attributes.get("clip", 0.0)),
    )
    trace.result(node, 0, r.sequence(op.outputs[0]))
    trace.result(node, 1, r.final(op.outputs[0], r.width))
