"""The integers of a GRU that clips, has other activations, a state beyond +-1, or wide preactivations.

As gru.py, with powers of two: f gives LSB 2^(ef - 15), g and h have LSB 2^(eh - 15), s has LSB 2^(eh - 29).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnnc.activations import GATE_TABLES, IntegerActivation
from rnnc.errors import Refused
from rnnc.fixed import GATE_FRACTION, Format, Ints, int32, mul15
from rnnc.net import Array, Op, Probe, Quantizer, States, no_probe
from rnnc.ops.activation_fields import activation_field
from rnnc.ops.gru import AfterRows, CandidateRows, Gru, candidate_rows, dequantized_gru, gru_fields
from rnnc.ops.recurrent import (
    HiddenFormats,
    by_unit,
    gate_target,
    narrow,
    one_block_bounds,
    power_of_two_formats,
    two_block,
    two_block_bounds,
    upper,
)
from rnnc.qnet import Arg, Bound, Field, KernelCall, Operand, QOp, QState, Scratch
from rnnc.rows import TwoBlock

NO_CLIP = 2**30
STATE_MAX = 32767 << 14
EF_MAX = 7


def quantize_general(op: Gru, q: Quantizer) -> QGruGeneral:
    """Choose the exponents from the bounds of the activations, or from what was measured where there are none."""
    f, g = op.activations
    reach = q.state_limit("z")
    lo, hi = max(f.limits[0], -reach), min(f.limits[1], reach)
    ef = max(0, int(np.ceil(np.log2(max(1 - lo, hi - 1, hi, 1e-9)))))
    if ef > EF_MAX:
        raise Refused(f"{op.describe()}: a gate reaches {reach:.3g}", where=op.node)
    limit = op.bound if np.isfinite(op.bound) else max(q.state_limit("h"), q.state_limit("n"))
    h = power_of_two_formats(q, max(limit, float(np.abs(op.initial_h.value).max(initial=0.0))))
    eh = 15 - int(-np.log2(h.full.scale[0]))
    gates, fx = slice(0, 2), q.input(0)
    bias = by_unit(op.bias_x[gates] + op.bias_h[gates])
    zr = two_block(
        q, by_unit(op.weights[gates]), by_unit(op.recurrence[gates]), bias, h.operand, "h", gate_target(2 * op.hidden)
    )
    zr = zr.safe(zr.real_bias(fx.zero), fx.zero)
    candidate = _safe(candidate_rows(op, q, h.operand, gate_target(op.hidden)), fx.zero)
    y = h.operand if q.wants8() else h.full
    return QGruGeneral(op, op.inputs, (y,), zr, candidate, fx, h, (f.integer(ef), g.integer(eh)))


def _safe(rows: CandidateRows, zero: float) -> CandidateRows:
    if isinstance(rows, TwoBlock):
        return rows.safe(rows.real_bias(zero), zero)
    return AfterRows(rows.x.safe(rows.x.real_bias(zero), zero), rows.h.safe(rows.h.real_bias(0), 0))


@dataclass(frozen=True, eq=False)
class QGruGeneral(QOp):
    """s: int32. h: int16, or its upper 8 bits (a8). functions: f, g."""

    op: Gru
    zr: TwoBlock
    candidate: CandidateRows
    input_format: Format
    h: HiddenFormats
    functions: tuple[IntegerActivation, IntegerActivation]

    @property
    def clip(self) -> int:
        """Bound of what goes into f and g, 12 fraction bits."""
        return round(self.op.clip * 2**GATE_FRACTION) if self.op.clip else NO_CLIP

    def states(self) -> tuple[QState, ...]:
        (h,) = self.op.states()
        s = self.h.wide.quantize(h.initial)
        return (
            QState(f"{self.name}_s", h.shape, self.h.wide, s, h.alias, h.window),
            QState(h.name, h.shape, self.h.operand, narrow(upper(s), self.h.operand), follows=f"{self.name}_s"),
        )

    def output_state(self, index: int) -> str:
        return f"{self.name}_h" if self.formats[0].bits == self.h.operand.bits else ""

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x, h, s = inputs[0].reshape(-1, self.op.columns), state[f"{self.name}_h"], state[f"{self.name}_s"]
        f, g = self.functions
        gates = self.zr(x, h, self.name).reshape(len(x), -1, 2)
        z, r = (f(np.clip(gates[..., k], -self.clip, self.clip)) for k in range(2))
        p = self._candidate(x, h, s, r)
        n = np.clip(g(np.clip(p, -self.clip, self.clip)), -32767, 32767)
        room = 2**30 >> f.exponent
        step = mul15((32768 >> f.exponent) - z, int32((n << 14) - s, "n - s"))
        s = np.clip(int32(s + (np.clip(step, -room, room) << f.exponent), "s"), -STATE_MAX, STATE_MAX)
        h16 = upper(s)
        h = narrow(h16, self.h.operand)
        state[f"{self.name}_h"], state[f"{self.name}_s"] = h, s
        return [h if self.formats[0].bits == self.h.operand.bits else h16]

    def _candidate(self, x: Ints, h: Ints, s: Ints, r: Ints) -> Ints:
        rows, e = self.candidate, self.functions[0].exponent
        if isinstance(rows, AfterRows):
            recurrent = np.clip(rows.h(h, f"{self.name} n h"), -(2**30 >> e), 2**30 >> e)
            return int32(rows.x(x, f"{self.name} n x") + (mul15(r, recurrent) << e), "candidate")
        reset = np.clip((int32(r * upper(s) + 16384, "r h") >> 15) << e, -32767, 32767)
        return rows(x, narrow(reset, self.h.operand), f"{self.name} n")

    def bounds(self) -> list[Bound]:
        n, rows, e = self.name, self.candidate, self.functions[0].exponent
        bounds = [*two_block_bounds(n, "zr", self.zr), Bound(n, "s", STATE_MAX + 2**30)]
        if isinstance(rows, TwoBlock):
            return bounds + two_block_bounds(n, "n", rows)
        recurrent = min((int(rows.h.worst_product().max()) >> rows.h.shift) + 1, 2**30 >> e)
        candidate = (int(rows.x.worst_product().max()) >> rows.x.shift) + 1 + ((recurrent + 1) << e)
        bounds += [*one_block_bounds(n, "n.x", rows.x), *one_block_bounds(n, "n.h", rows.h)]
        return [*bounds, Bound(n, "n", candidate)]

    def calls(self) -> list[KernelCall]:
        op, n, rows = self.op, self.name, self.candidate
        after = isinstance(rows, AfterRows)
        shifts = (rows.x.shift, rows.h.shift) if isinstance(rows, AfterRows) else (rows.shift, rows.shift)
        fields: tuple[Field, ...] = (
            *gru_fields(n, self.zr, rows),
            ("columns", op.columns),
            ("hidden", op.hidden),
            ("x_bits", self.input_format.bits),
            ("h_bits", self.h.operand.bits),
            ("zr_shift", self.zr.shift),
            ("nx_shift", shifts[0]),
            ("nh_shift", shifts[1]),
            ("clip", self.clip),
            ("f", activation_field(self.functions[0], f"{n}_f")),
            ("g", activation_field(self.functions[1], f"{n}_g")),
        )
        args = [Arg("input", "0"), Arg("state", f"{n}_h"), Arg("state", f"{n}_s")]
        args += [Arg("scratch", "vx"), Arg("scratch", "vh")]
        scratch: list[Scratch | Operand] = [
            Operand("vx", op.columns, self.input_format.bits, borrowed=True),
            Operand("vh", op.hidden, self.h.operand.bits),
        ]
        if not after:
            args.append(Arg("scratch", "z"))
            scratch.append(Scratch("z", "int32_t", op.hidden))
        args.append(Arg("null") if self.output_state(0) else Arg("output", "0"))
        function = "rnnc_gru_after_general" if after else "rnnc_gru_before_general"
        macs = 3 * op.hidden * (op.columns + op.hidden)
        struct = f"{function}_params"
        return [KernelCall(function, "gru_general.h", struct, fields, tuple(args), tuple(scratch), macs, GATE_TABLES)]

    def dequantized(self) -> Op:
        return dequantized_gru(self.op, self.zr, self.candidate, self.input_format, self.h.operand)
