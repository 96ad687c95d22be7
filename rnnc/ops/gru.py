"""GRU (Cho et al. 2014; ONNX operator GRU, gate order z r h).

    z = f(Wz x + Rz h + bz)    r alike
    linear_before_reset = 1:  n = g(Wh x + bWh + r (Rh h + bRh))     (reset after, as PyTorch and cuDNN have it)
    linear_before_reset = 0:  n = g(Wh x + Rh (r h) + bWh + bRh)     (reset before)
    h' = (1 - z) n + z h                                             f, g = sigmoid, tanh by default

The integers of a layer that clips, or has other activations than sigmoid and tanh or ReLU, are in gru_general.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rnnc import fixed
from rnnc.activations import RELU, SIGMOID, TABLES_OF, TANH, Activation
from rnnc.fixed import GATE_LIMIT, Floats, Format, Ints, int32, mul15
from rnnc.net import Array, Interval, Op, Probe, Quantizer, State, States, Value, no_probe
from rnnc.ops.recurrent import (
    HiddenFormats,
    batched,
    by_gate,
    by_unit,
    gate_target,
    hidden_formats,
    narrow,
    one_block_bounds,
    operands,
    read_node,
    read_node_activations,
    scale2,
    two_block,
    two_block_bounds,
    upper,
)
from rnnc.ops.start import add_layer
from rnnc.qnet import Arg, Bound, Constant, Field, KernelCall, Operand, QOp, QState, Scratch, WeightRows
from rnnc.rows import OneBlock, TwoBlock
from rnnc.tracing import InitialState, Node, Tracer, handles


@dataclass(frozen=True, eq=False)
class Gru(Op):
    """A GRU layer.

    Args:
        weights: ``[3, hidden, columns]``, gates z r h.
        recurrence: ``[3, hidden, hidden]``.
        bias_x, bias_h: ``[3, hidden]``.
        initial_h: ``[hidden]``.
        reset_after: ONNX linear_before_reset.
        activations: f, g.
        clip: bound of what goes into them, 0 for none.

    Inputs: x ``[columns]``. Outputs: h ``[hidden]``.
    """

    weights: Floats
    recurrence: Floats
    bias_x: Floats
    bias_h: Floats
    initial_h: InitialState
    reset_after: bool
    activations: tuple[Activation, Activation] = (SIGMOID, TANH)
    clip: float = 0.0
    kind: ClassVar[str] = "gru"
    gates: ClassVar[tuple[str, ...]] = ("update", "reset", "candidate")

    @property
    def hidden(self) -> int:
        """Number of hidden units."""
        return int(self.weights.shape[1])

    @property
    def columns(self) -> int:
        """Number of input features."""
        return int(self.weights.shape[2])

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [Value("", (self.hidden,), clock=inputs[0].clock)]

    def states(self) -> tuple[State, ...]:
        h = self.initial_h
        return (State(f"{self.name}_h", (self.hidden,), h.value, h.alias, h.window),)

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x, h = inputs[0].reshape(-1, self.columns), state[f"{self.name}_h"]
        w, u, bx, bh = self.weights, self.recurrence, self.bias_x, self.bias_h
        f, g = self.activations
        z = f(self._clip(x @ w[0].T + h @ u[0].T + bx[0] + bh[0]))
        r = f(self._clip(x @ w[1].T + h @ u[1].T + bx[1] + bh[1]))
        probe("h", h)
        if self.reset_after:
            n = x @ w[2].T + bx[2] + r * (h @ u[2].T + bh[2])
        else:
            probe("rh", r * h)
            n = x @ w[2].T + bx[2] + (r * h) @ u[2].T + bh[2]
        n = g(self._clip(n))
        probe("n", n)
        probe("z", z)
        h = (1 - z) * n + z * h
        state[f"{self.name}_h"] = h
        return [h]

    def _clip(self, x: Floats) -> Floats:
        return np.clip(x, -self.clip, self.clip) if self.clip else x

    @property
    def bound(self) -> float:
        """Of |h|: the candidate's and the initial state's, where z mixes them; else infinite."""
        f, g = self.activations
        mixes = f.limits[0] >= 0 and f.limits[1] <= 1
        return max(*map(abs, g.limits), float(np.abs(self.initial_h.value).max(initial=0.0))) if mixes else np.inf

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        return [Interval.of(-self.bound, self.bound, self.hidden)]

    def column_weights(self, index: int) -> Floats:
        return self.weights.reshape(-1, self.columns)

    def takes8(self, index: int) -> bool:
        return True

    def quantize(self, q: Quantizer) -> QOp:
        from rnnc.ops.gru_general import quantize_general

        f, g = self.activations
        tanh = g == TANH
        if f != SIGMOID or g not in (TANH, RELU) or self.clip or (tanh and self.bound > 1):
            return quantize_general(self, q)
        h = hidden_formats(q, self.initial_h.value, bounded=tanh)
        gates = slice(0, 2)
        zr = two_block(
            q,
            by_unit(self.weights[gates]),
            by_unit(self.recurrence[gates]),
            by_unit(self.bias_x[gates] + self.bias_h[gates]),
            h.operand,
            "h",
            gate_target(2 * self.hidden),
        )
        target = gate_target(self.hidden) if tanh else np.full(self.hidden, h.full.scale[0])
        candidate = candidate_rows(self, q, h.operand, target)
        if not (zr.representable and candidate.representable):
            return quantize_general(self, q)
        y = h.operand if q.wants8() else h.full
        return QGru(self, self.inputs, (y,), zr, candidate, q.input(0), h)

    def describe(self) -> str:
        when = "after" if self.reset_after else "before"
        clip = f", clip {self.clip:g}" if self.clip else ""
        return f"GRU {self.columns} -> {self.hidden}, reset {when}, {' '.join(a.name for a in self.activations)}{clip}"


@dataclass(frozen=True, eq=False)
class AfterRows:
    """The candidate's rows where the reset gate multiplies the recurrent part: one over x, one over h."""

    x: OneBlock
    h: OneBlock

    @property
    def representable(self) -> bool:
        """Whether every multiplier and product fits its width."""
        return self.x.representable and self.h.representable


CandidateRows = AfterRows | TwoBlock


def candidate_rows(op: Gru, q: Quantizer, operand: Format, target: Floats) -> CandidateRows:
    """Quantize the candidate's rows, rescaled to ``target [hidden]``."""
    fx = q.input(0)
    if not op.reset_after:
        return two_block(q, op.weights[2], op.recurrence[2], op.bias_x[2] + op.bias_h[2], operand, "rh", target)
    x, cx = q.round_block(op.weights[2], fx.scale_for(op.columns), target, op.bias_x[2], fx.amax, q.samples(0))
    h, ch = q.round_block(
        op.recurrence[2], operand.scale_for(op.hidden), target, op.bias_h[2], operand.amax, q.samples("h")
    )
    return AfterRows(OneBlock.build(x, op.bias_x[2] + cx, fx.zero), OneBlock.build(h, op.bias_h[2] + ch, 0))


@dataclass(frozen=True, eq=False)
class QGru(QOp):
    """s: int32, h with 14 more fraction bits (Q2.29 where h is Q0.15). h: int16 of s, or its upper 8 bits (a8)."""

    op: Gru
    zr: TwoBlock
    candidate: CandidateRows
    input_format: Format
    h: HiddenFormats

    def states(self) -> tuple[QState, ...]:
        (h,) = self.op.states()
        wide = self.h.wide
        s = wide.quantize(h.initial)
        return (
            QState(f"{self.name}_s", h.shape, wide, s, h.alias, h.window),
            QState(h.name, h.shape, self.h.operand, narrow(upper(s), self.h.operand), follows=f"{self.name}_s"),
        )

    def output_state(self, index: int) -> str:
        return f"{self.name}_h" if self.formats[0].bits == self.h.operand.bits else ""

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x, h, s = inputs[0].reshape(-1, self.op.columns), state[f"{self.name}_h"], state[f"{self.name}_s"]
        gates = self.zr(x, h, self.name).reshape(len(x), -1, 2)
        z, r = fixed.sigmoid(gates[..., 0]), fixed.sigmoid(gates[..., 1])
        n = self._candidate(x, h, s, r)
        d = int32((n << 14) - s, "n - s")
        s = int32(s + mul15(32768 - z, d), "s")
        h16 = upper(s)
        h = narrow(h16, self.h.operand)
        state[f"{self.name}_h"], state[f"{self.name}_s"] = h, s
        return [h if self.formats[0].bits == self.h.operand.bits else h16]

    def _candidate(self, x: Ints, h: Ints, s: Ints, r: Ints) -> Ints:
        rows = self.candidate
        if isinstance(rows, AfterRows):
            recurrent = np.clip(rows.h(h, f"{self.name} n h"), -GATE_LIMIT, GATE_LIMIT)
            p = rows.x(x, f"{self.name} n x") + (int32(r * recurrent + 16384, "r times recurrent part") >> 15)
        else:
            reset = narrow(int32(r * upper(s) + 16384, "r h") >> 15, self.h.operand)
            p = rows(x, reset, f"{self.name} n")
        if self.op.activations[1] == TANH:
            return fixed.tanh(int32(p, "candidate"))
        return np.clip(p, 0, 32767)

    def bounds(self) -> list[Bound]:
        n, rows = self.name, self.candidate
        bounds = [*two_block_bounds(n, "zr", self.zr), Bound(n, "s", 32767 << 14)]
        if isinstance(rows, TwoBlock):
            return bounds + two_block_bounds(n, "n", rows)
        reset = Bound(n, "n.reset", 32768 * GATE_LIMIT + 16384)
        return [*bounds, *one_block_bounds(n, "n.x", rows.x), *one_block_bounds(n, "n.h", rows.h), reset]

    def calls(self) -> list[KernelCall]:
        op, n = self.op, self.name
        after, candidate = isinstance(self.candidate, AfterRows), op.activations[1].name
        args = [
            Arg("input", "0"),
            Arg("state", f"{n}_h"),
            Arg("state", f"{n}_s"),
            Arg("scratch", "vx"),
            Arg("scratch", "vh"),
        ]
        scratch: list[Scratch | Operand] = [
            *operands(op.columns, self.input_format.bits, op.hidden, self.h.operand.bits)
        ]
        if not after:
            args.append(Arg("scratch", "z"))
            scratch.append(Scratch("z", "uint16_t", op.hidden))
        args.append(Arg("null") if self.output_state(0) else Arg("output", "0"))
        args.append(Arg("activation", candidate))
        fields = batched(gru_fields(n, self.zr, self.candidate), op.hidden)
        shape = (
            ("columns", op.columns),
            ("hidden", op.hidden),
            ("x_bits", self.input_format.bits),
            ("h_bits", self.h.operand.bits),
        )
        return [
            KernelCall(
                "rnnc_gru_after" if after else "rnnc_gru_before",
                "gru.h",
                "rnnc_gru_after_params" if after else "rnnc_gru_before_params",
                (*fields, *shape),
                tuple(args),
                tuple(scratch),
                macs=3 * op.hidden * (op.columns + op.hidden),
                tables=tuple(dict.fromkeys(TABLES_OF["sigmoid"] + TABLES_OF[candidate])),
            )
        ]

    def dequantized(self) -> Op:
        return dequantized_gru(self.op, self.zr, self.candidate, self.input_format, self.h.operand)


def gru_fields(n: str, zr: TwoBlock, rows: CandidateRows) -> tuple[Field, ...]:
    """The weights, biases and scales of the gates and the candidate; ``n`` prefixes their names."""
    return _after_fields(n, zr, rows) if isinstance(rows, AfterRows) else _before_fields(n, zr, rows)


def _after_fields(n: str, zr: TwoBlock, rows: AfterRows) -> tuple[Field, ...]:
    hidden = len(rows.x.bias)
    blocks = []
    for two, one in ((zr.x, rows.x.block), (zr.h, rows.h.block)):
        parts = (two.weights.reshape(hidden, 2, -1), one.weights.reshape(hidden, 1, -1))
        blocks.append(np.concatenate(parts, 1))
    bias = np.concatenate([zr.bias.reshape(-1, 2), rows.x.bias[:, None], rows.h.bias[:, None]], 1)

    def join(pick: str) -> list[Ints]:
        pairs = ((zr.x.scale, rows.x.block.scale), (zr.h.scale, rows.h.block.scale))
        return [
            np.concatenate([getattr(two, pick).reshape(-1, 2), getattr(one, pick)[:, None]], 1).ravel()
            for two, one in pairs
        ]

    (mx, mh), (px, ph) = join("m"), join("p")
    return (
        ("weights", WeightRows(f"{n}_w", tuple(blocks), "gates z r n of each unit over x, then over h")),
        ("bias", Constant(f"{n}_b", "int32_t", bias.ravel(), "[hidden][z, r, n over x, n over h]")),
        ("scale", scale2(mx, mh, px, ph, f"{n}_s", "[hidden][3 gates] multipliers and shifts")),
    )


def _before_fields(n: str, zr: TwoBlock, rows: TwoBlock) -> tuple[Field, ...]:
    hidden = len(rows.bias)

    def fields(name: str, part: TwoBlock, gates: int, what: str) -> list[Field]:
        sx, sh = part.x.scale, part.h.scale
        blocks = tuple(b.weights.reshape(hidden, gates, -1) for b in (part.x, part.h))
        return [
            (f"{name}_weights", WeightRows(f"{n}_{name}_w", blocks, f"{what} of each unit over x, then over h")),
            (f"{name}_bias", Constant(f"{n}_{name}_b", "int32_t", part.bias, f"[hidden][{what}]")),
            (f"{name}_scale", scale2(sx.m, sh.m, sx.p, sh.p, f"{n}_{name}_s", f"[hidden][{what}] multipliers, shifts")),
        ]

    return (*fields("zr", zr, 2, "gates z r"), *fields("n", rows, 1, "gate n"))


def dequantized_gru(op: Gru, zr: TwoBlock, rows: CandidateRows, fx: Format, operand: Format) -> Gru:
    """The layer with the weights as quantized."""
    column, hidden = fx.scale_for(op.columns), operand.scale_for(op.hidden)
    if isinstance(rows, AfterRows):
        nx, nh = rows.x.block.real(column), rows.h.block.real(hidden)
        bx, bh = rows.x.real_bias(fx.zero), rows.h.real_bias(0)
    else:
        nx, nh = rows.x.real(column), rows.h.real(hidden)
        bx, bh = rows.real_bias(fx.zero), np.zeros(op.hidden)
    return replace(
        op,
        weights=np.concatenate([by_gate(zr.x.real(column), 2), nx[None]]),
        recurrence=np.concatenate([by_gate(zr.h.real(hidden), 2), nh[None]]),
        bias_x=np.concatenate([by_gate(zr.real_bias(fx.zero), 2), bx[None]]),
        bias_h=np.concatenate([np.zeros((2, op.hidden)), bh[None]]),
    )


@handles("GRU")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX GRU, forward."""
    r = read_node(node, trace, gates=3, states=1)
    op = add_layer(
        node,
        trace,
        r,
        Gru,
        weights=r.weights,
        recurrence=r.recurrence,
        bias_x=r.bias_x,
        bias_h=r.bias_h,
        initial_h=r.initial[0],
        reset_after=bool(node.attributes.get("linear_before_reset", 0)),
        activations=read_node_activations(node, trace, ["Sigmoid", "Tanh"]),
        clip=float(node.attributes.get("clip", 0.0)),
    )
    trace.result(node, 0, r.sequence(op.outputs[0]))
    trace.result(node, 1, r.final(op.outputs[0], r.width))
