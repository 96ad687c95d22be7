"""The integers of an LSTM with peepholes, coupled gates, clipping, other activations, a projection, or wide preactivations.

As lstm.py, with powers of two for what no function bounds: f gives LSB 2^(ef - 15), g LSB 2^(eg - 15), h of the cell LSB
2^(eh - 15), and the cell has LSB 2^(ec - 23).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rnnc.activations import GATE_TABLES, Activation, IntegerActivation
from rnnc.errors import Refused
from rnnc.fixed import GATE_FRACTION, Floats, Format, Ints, int32, mul15, shift_round
from rnnc.net import Array, Op, Probe, Quantizer, States, no_probe
from rnnc.ops.activation_fields import activation_field
from rnnc.ops.lstm import Lstm
from rnnc.ops.recurrent import (
    by_gate,
    by_unit,
    gate_target,
    narrow,
    one_block_bounds,
    scale2,
    two_block,
    two_block_bounds,
)
from rnnc.qnet import Arg, Bound, Constant, Field, KernelCall, Operand, QOp, QState, Scratch, WeightRows
from rnnc.rows import OneBlock, TwoBlock

CELL_FRACTION = 23
CELL_MAX = 2**30
NO_CLIP = 2**30


@dataclass(frozen=True, eq=False)
class Peepholes:
    """``P += (u c / 2^15) >> shift``; u ``[3, hidden]`` int16, gates i o f."""

    u: Ints
    shift: int

    def __call__(self, gate: int, c: Ints) -> Ints:
        return shift_round(mul15(self.u[gate], c), self.shift)


def quantize_general(op: Lstm, q: Quantizer) -> QLstmGeneral:
    """Choose the exponents from the bounds of the activations, or from what was measured where there are none."""
    f, g, squash = op.activations
    ef, eg = _exponent(f, q, "i"), _exponent(g, q, "g")
    ec = max(0, int(np.ceil(np.log2(max(q.state_limit("c"), 1e-9) / 128))), ef + eg - 6)
    eh = _exponent(squash, q, "hc")
    if ec > 11 or ef > 7:
        raise Refused(f"{op.describe()}: its cell reaches {q.state_limit('c'):.3g}", where=op.node)
    start = float(np.abs(op.initial_h.value).max(initial=0.0))
    if op.projection is None:
        eh = max(eh, int(np.ceil(np.log2(max(start, 1e-9)))) - ef)
        full = Format.q(15 - ef - eh)
    else:
        reach = float(op.range([])[0].magnitude.max()) if op.projection is not None else 0.0
        full = Format(16, np.array([max(q.state_limit("h"), start, reach / 2**7) / 32767]))
    wide = q.precision == "a16" or op.projection is not None
    operand = full if wide else Format(8, full.scale * 256, 0, -128, 127)
    bias = by_unit(op.bias)
    rows = two_block(q, by_unit(op.weights), by_unit(op.recurrence), bias, operand, "h", gate_target(4 * op.hidden))
    rows = rows.safe(rows.real_bias(q.input(0).zero), q.input(0).zero)
    cell = Format(32, np.array([2.0 ** (ec - CELL_FRACTION)]), 0, -CELL_MAX, CELL_MAX)
    functions = (f.integer(ef), g.integer(eg), squash.integer(eh))
    y = operand if q.wants8() else full
    formats = (y, cell)[: len(op.outputs)]
    peepholes, projection = _peepholes(op, ec), _projection(op, q, ef + eh, full)
    return QLstmGeneral(
        op, op.inputs, formats, rows, q.input(0), full, operand, cell, functions, ec, peepholes, projection
    )


def _exponent(activation: Activation, q: Quantizer, operand: str) -> int:
    bounded = np.isfinite(max(activation.limits))
    return activation.exponent(np.inf if bounded and np.isfinite(min(activation.limits)) else q.state_limit(operand))


def _peepholes(op: Lstm, ec: int) -> Peepholes | None:
    if op.peepholes is None:
        return None
    e = max(0, int(np.ceil(np.log2(np.abs(op.peepholes).max() + 1e-9))))
    shift = CELL_FRACTION - GATE_FRACTION - ec - e
    if shift < 0:
        raise Refused(f"a peephole weight of {np.abs(op.peepholes).max():.3g} is too large", where=op.node)
    return Peepholes(np.clip(np.round(op.peepholes * 2.0 ** (15 - e)), -32768, 32767).astype(np.int64), shift)


def _projection(op: Lstm, q: Quantizer, exponent: int, full: Format) -> OneBlock | None:
    if op.projection is None:
        return None
    scale, target = np.full(op.hidden, 2.0 ** (exponent - 15)), np.full(op.width, full.scale[0])
    bias = op._projection_bias
    block, correction = q.round_block(op.projection, scale, target, bias, 32768, q.samples("m"))
    return OneBlock.build(block, bias + correction, 0).safe(bias + correction, 0)


@dataclass(frozen=True, eq=False)
class QLstmGeneral(QOp):
    """c: int32. h: int16 of format ``full``, as operand ``operand``. functions: f, g, h."""

    op: Lstm
    rows: TwoBlock
    input_format: Format
    full: Format
    operand: Format
    cell: Format
    functions: tuple[IntegerActivation, IntegerActivation, IntegerActivation]
    ec: int
    peepholes: Peepholes | None
    projection: OneBlock | None

    @property
    def clip(self) -> int:
        """Bound of what goes into f and g, 12 fraction bits."""
        return round(self.op.clip * 2**GATE_FRACTION) if self.op.clip else NO_CLIP

    @property
    def product_shift(self) -> int:
        """From i g to the cell's LSB."""
        return 30 - CELL_FRACTION + self.ec - self.functions[0].exponent - self.functions[1].exponent

    def states(self) -> tuple[QState, ...]:
        h, c = self.op.states()
        return (
            QState(h.name, h.shape, self.operand, self.operand.quantize(h.initial), h.alias, h.window),
            QState(c.name, c.shape, self.cell, self.cell.quantize(c.initial), c.alias, c.window),
        )

    def output_state(self, index: int) -> str:
        if index == 1:
            return f"{self.name}_c"
        return f"{self.name}_h" if self.formats[0].bits == self.operand.bits else ""

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x, h, c = inputs[0].reshape(-1, self.op.columns), state[f"{self.name}_h"], state[f"{self.name}_c"]
        p = self.rows(x, h, self.name).reshape(len(x), -1, 4)
        f, g, squash = self.functions
        i = self._gate(f, p[..., 0], 0, c)
        forget = (32768 >> f.exponent) - i if self.op.coupled else self._gate(f, p[..., 2], 2, c)
        candidate = g(np.clip(p[..., 3], -self.clip, self.clip))
        room = CELL_MAX >> f.exponent
        kept = np.clip(mul15(forget, c), -room, room) << f.exponent
        c = np.clip(
            int32(kept + shift_round(int32(i * candidate, "i g"), self.product_shift), "cell"), -CELL_MAX, CELL_MAX
        )
        o = self._gate(f, p[..., 1], 1, c)
        squashed = squash(shift_round(c, CELL_FRACTION - GATE_FRACTION - self.ec))
        m = np.clip(int32(o * squashed + 16384, "o h(c)") >> 15, -32767, 32767)
        h16 = m if self.projection is None else np.clip(self.projection(m, f"{self.name} projection"), -32767, 32767)
        h = narrow(h16, self.operand)
        state[f"{self.name}_h"], state[f"{self.name}_c"] = h, c
        return [h if self.formats[0].bits == self.operand.bits else h16, c][: len(self.outputs)]

    def _gate(self, f: IntegerActivation, p: Ints, gate: int, c: Ints) -> Ints:
        if self.peepholes is not None:
            p = int32(p + self.peepholes(gate, c), "peephole sum")
        return f(np.clip(p, -self.clip, self.clip))

    def bounds(self) -> list[Bound]:
        cell = Bound(self.name, "cell", 2**30 + (2**30 >> self.product_shift) + 1)
        bounds = [*two_block_bounds(self.name, "gates", self.rows), cell]
        if self.peepholes is not None:
            reach = (
                (int(self.rows.worst_product().max()) >> self.rows.shift)
                + ((2**30 + 2**15) >> self.peepholes.shift)
                + 1
            )
            bounds.append(Bound(self.name, "peephole sum", reach))
        return bounds + ([] if self.projection is None else one_block_bounds(self.name, "projection", self.projection))

    def calls(self) -> list[KernelCall]:
        op, n, s = self.op, self.name, self.rows
        projected = self.projection is not None
        blocks = tuple(b.weights.reshape(op.hidden, 4, -1) for b in (s.x, s.h))
        scratch: list[Scratch | Operand] = [
            Operand("vx", op.columns, self.input_format.bits, borrowed=True),
            Operand("vh", op.width, self.operand.bits),
        ]
        if projected:
            scratch.append(Scratch("next", "int16_t", op.hidden))
        fields: tuple[Field, ...] = (
            ("weights", WeightRows(f"{n}_w", blocks, "gates i o f c of each unit over x, then over h")),
            ("bias", Constant(f"{n}_b", "int32_t", s.bias, "[hidden][4 gates], LSB of the x accumulator")),
            ("scale", scale2(s.x.scale.m, s.h.scale.m, s.x.scale.p, s.h.scale.p, f"{n}_s", "[hidden][4 gates]")),
            ("peepholes", self._peephole_constant()),
            ("columns", op.columns),
            ("hidden", op.hidden),
            ("width", op.width),
            ("x_bits", self.input_format.bits),
            ("h_bits", self.operand.bits),
            ("shift", s.shift),
            ("coupled", int(op.coupled)),
            ("projected", int(projected)),
            ("peephole_shift", self.peepholes.shift if self.peepholes else 0),
            ("product_shift", self.product_shift),
            ("cell_shift", CELL_FRACTION - GATE_FRACTION - self.ec),
            ("clip", self.clip),
            *(
                (key, activation_field(function, f"{n}_{key}"))
                for key, function in zip(("f", "g", "squash"), self.functions, strict=True)
            ),
        )
        y = Arg("null") if projected or self.output_state(0) else Arg("output", "0")
        following = Arg("scratch", "next") if projected else Arg("state", f"{n}_h")
        taken = (Arg("scratch", "vx"), Arg("scratch", "vh"))
        args = (Arg("input", "0"), Arg("state", f"{n}_h"), Arg("state", f"{n}_c"), *taken, following, y)
        macs = 4 * op.hidden * (op.columns + op.width)
        call = KernelCall(
            "rnnc_lstm_general",
            "lstm_general.h",
            "rnnc_lstm_general_params",
            fields,
            args,
            tuple(scratch),
            macs,
            GATE_TABLES,
        )
        return [call, *([self._project()] if projected else [])]

    def _project(self) -> KernelCall:
        n, rows = self.name, self.projection
        assert rows is not None
        fields: tuple[Field, ...] = (
            ("weights", WeightRows(f"{n}_pw", (rows.block.weights[:, None],), "[width][hidden]")),
            ("bias", Constant(f"{n}_pb", "int32_t", rows.bias, "[width]")),
            (
                "scale",
                Constant(f"{n}_ps", "rnnc_scale1", np.stack([rows.block.scale.m, rows.block.scale.p], 1), "[width]"),
            ),
            ("columns", self.op.hidden),
            ("rows", self.op.width),
            ("shift", rows.shift),
        )
        args = (Arg("scratch", "next"), Arg("scratch", "vm"), Arg("state", f"{n}_h"))
        scratch = (Scratch("next", "int16_t", self.op.hidden), Operand("vm", self.op.hidden, 16, borrowed=True))
        macs = self.op.hidden * self.op.width
        return KernelCall(
            "rnnc_lstm_project", "lstm_general.h", "rnnc_lstm_project_params", fields, args, scratch, macs
        )

    def _peephole_constant(self) -> int | Constant:
        if self.peepholes is None:
            return 0
        return Constant(f"{self.name}_peep", "int16_t", self.peepholes.u.T.ravel(), "[hidden][3], gates i o f")

    def dequantized(self) -> Op:
        op, fx = self.op, self.input_format
        projection, bias = op.projection, op.projection_bias
        if self.projection is not None:
            exponent = self.functions[0].exponent + self.functions[2].exponent
            projection = self.projection.block.real(np.full(op.hidden, 2.0 ** (exponent - 15)))
            bias = self.projection.real_bias(0)
        return replace(
            op,
            weights=by_gate(self.rows.x.real(fx.scale_for(op.columns)), 4),
            recurrence=by_gate(self.rows.h.real(self.operand.scale_for(op.width)), 4),
            bias=by_gate(self.rows.real_bias(fx.zero), 4),
            peepholes=self._real_peepholes(),
            projection=projection,
            projection_bias=bias,
        )

    def _real_peepholes(self) -> Floats | None:
        if self.peepholes is None:
            return None
        e = CELL_FRACTION - GATE_FRACTION - self.ec - self.peepholes.shift
        return np.asarray(self.peepholes.u * 2.0 ** (e - 15))
