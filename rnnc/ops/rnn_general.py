"""The integers of an RNN that clips, has another activation, a state beyond +-1, or wide preactivations.

h has LSB 2^(e - 15), a power of two that holds what the activation and the initial state reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rnnc.activations import GATE_TABLES, IntegerActivation
from rnnc.fixed import GATE_FRACTION, Format
from rnnc.net import Array, Op, Probe, Quantizer, States, no_probe
from rnnc.ops.activation_fields import activation_field
from rnnc.ops.recurrent import (
    HiddenFormats,
    gate_target,
    narrow,
    power_of_two_formats,
    scale2,
    two_block,
    two_block_bounds,
)
from rnnc.ops.rnn import Rnn
from rnnc.qnet import Arg, Bound, Constant, Field, KernelCall, Operand, QOp, QState, WeightRows
from rnnc.rows import TwoBlock

NO_CLIP = 2**30


def quantize_general(op: Rnn, q: Quantizer) -> QRnnGeneral:
    """Choose the exponent of h from the activation's bounds, or from what was measured where there are none."""
    bound = max(map(abs, op.activation.limits))
    limit = bound if np.isfinite(bound) else q.state_limit("h")
    h = power_of_two_formats(q, max(limit, float(np.abs(op.initial_h.value).max(initial=0.0))))
    exponent = 15 - int(-np.log2(h.full.scale[0]))
    zero = q.input(0).zero
    rows = two_block(q, op.weights, op.recurrence, op.bias, h.operand, "h", gate_target(op.hidden))
    rows = rows.safe(rows.real_bias(zero), zero)
    y = h.operand if q.wants8() else h.full
    return QRnnGeneral(op, op.inputs, (y,), rows, q.input(0), h, op.activation.integer(exponent))


@dataclass(frozen=True, eq=False)
class QRnnGeneral(QOp):
    """h: int16, or its upper 8 bits (a8)."""

    op: Rnn
    rows: TwoBlock
    input_format: Format
    h: HiddenFormats
    function: IntegerActivation

    @property
    def clip(self) -> int:
        """Bound of what goes into the activation, 12 fraction bits."""
        return round(self.op.clip * 2**GATE_FRACTION) if self.op.clip else NO_CLIP

    def states(self) -> tuple[QState, ...]:
        (h,) = self.op.states()
        operand = self.h.operand
        return (QState(h.name, h.shape, operand, operand.quantize(h.initial), h.alias, h.window),)

    def output_state(self, index: int) -> str:
        return f"{self.name}_h" if self.formats[0].bits == self.h.operand.bits else ""

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x = inputs[0].reshape(-1, self.op.columns)
        p = np.clip(self.rows(x, state[f"{self.name}_h"], self.name), -self.clip, self.clip)
        h16 = np.clip(self.function(p), -32767, 32767)
        h = narrow(h16, self.h.operand)
        state[f"{self.name}_h"] = h
        return [h if self.formats[0].bits == self.h.operand.bits else h16]

    def bounds(self) -> list[Bound]:
        return two_block_bounds(self.name, "gate", self.rows)

    def calls(self) -> list[KernelCall]:
        op, n, sx, sh = self.op, self.name, self.rows.x.scale, self.rows.h.scale
        blocks = tuple(b.weights.reshape(op.hidden, 1, -1) for b in (self.rows.x, self.rows.h))
        fields: tuple[Field, ...] = (
            ("weights", WeightRows(f"{n}_w", blocks, "each unit over x, then over h")),
            ("bias", Constant(f"{n}_b", "int32_t", self.rows.bias, "[hidden], LSB of the x accumulator")),
            ("scale", scale2(sx.m, sh.m, sx.p, sh.p, f"{n}_s", "[hidden] multipliers and shifts")),
            ("columns", op.columns),
            ("hidden", op.hidden),
            ("x_bits", self.input_format.bits),
            ("h_bits", self.h.operand.bits),
            ("shift", self.rows.shift),
            ("clip", self.clip),
            ("f", activation_field(self.function, f"{n}_f")),
        )
        y = Arg("null") if self.output_state(0) else Arg("output", "0")
        args = (Arg("input", "0"), Arg("state", f"{n}_h"), Arg("scratch", "vx"), Arg("scratch", "vh"), y)
        scratch = (
            Operand("vx", op.columns, self.input_format.bits, borrowed=True),
            Operand("vh", op.hidden, self.h.operand.bits),
        )
        macs = op.hidden * (op.columns + op.hidden)
        struct = "rnnc_rnn_general_params"
        return [KernelCall("rnnc_rnn_general", "rnn_general.h", struct, fields, args, scratch, macs, GATE_TABLES)]

    def dequantized(self) -> Op:
        op = self.op
        return replace(
            op,
            weights=self.rows.x.real(self.input_format.scale_for(op.columns)),
            recurrence=self.rows.h.real(self.h.operand.scale_for(op.hidden)),
            bias=self.rows.real_bias(self.input_format.zero),
        )
