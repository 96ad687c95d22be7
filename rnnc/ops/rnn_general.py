"""The integers of an RNN that clips, has another activation, a state beyond +-1, or wide preactivations.

h has LSB 2^(e - 15), a power of two that holds what the activation and the initial state reach.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnc.activations import GATE_TABLES, IntegerActivation
from rnnc.fixed import GATE_FRACTION, Ints
from rnnc.net import Quantizer
from rnnc.ops.activation_fields import activation_field
from rnnc.ops.recurrent import (
    gate_target,
    power_of_two_formats,
    scale2,
    two_block,
)
from rnnc.ops.rnn import QRnn, Rnn
from rnnc.qnet import Arg, Constant, Field, KernelCall, Operand, WeightRows

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
class QRnnGeneral(QRnn):
    """h: int16, or its upper 8 bits (a8)."""

    function: IntegerActivation

    @property
    def clip(self) -> int:
        """Bound of what goes into the activation, 12 fraction bits."""
        return round(self.op.clip * 2**GATE_FRACTION) if self.op.clip else NO_CLIP

    def activate(self, p: Ints) -> Ints:
        return np.clip(self.function(np.clip(p, -self.clip, self.clip)), -32767, 32767)

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
