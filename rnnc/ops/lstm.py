"""LSTM (Hochreiter and Schmidhuber 1997; ONNX operator LSTM, gate order i o f c).

    i = f(Wi x + Ri h + Pi c + bi)     f alike     g = g(Wc x + Rc h + bc)
    c' = f c + i g                     o = f(Wo x + Ro h + Po c' + bo)
    h' = o h(c')                       f, g, h = sigmoid, tanh, tanh by default

Peepholes P (Gers and Schmidhuber 2000), coupled gates f = 1 - i, clipping of what goes into f and g, and a projection
h' = Wp (o h(c')) + bp (Sak et al. 2014) are options; the integers of a layer that uses one are in lstm_general.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rnnc import fixed
from rnnc.activations import GATE_TABLES, SIGMOID, TANH, Activation
from rnnc.fixed import HIDDEN, Floats, Format, int32, mul15, shift_round
from rnnc.net import Array, Interval, Op, Probe, Quantizer, State, States, Value, no_probe
from rnnc.ops.recurrent import (
    batched,
    by_gate,
    by_unit,
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

CELL = Format.q(23, 32, -(2**30), 2**30)
"""Q8.23, saturated at +-128."""
CELL_ROOM = 96.0
"""A cell that calibration sees beyond this is given more integer bits (lstm_general.py)."""


@dataclass(frozen=True, eq=False)
class Lstm(Op):
    """An LSTM layer.

    Args:
        weights: ``[4, hidden, columns]``, gates i o f c.
        recurrence: ``[4, hidden, hidden]``.
        bias: Wb + Rb, ``[4, hidden]``.
        initial_h: ``[width]``. initial_c: ``[hidden]``.
        activations: f, g, h.
        peepholes: ``[3, hidden]``, gates i o f, or None.
        clip: bound of what goes into f and g, 0 for none.
        coupled: ONNX input_forget, f = 1 - i.
        projection: Wp ``[width, hidden]``, or None where width is hidden.
        projection_bias: bp ``[width]``.

    Inputs: x ``[columns]``. Outputs: h ``[width]``, and c ``[hidden]`` where a second output is named.
    """

    weights: Floats
    recurrence: Floats
    bias: Floats
    initial_h: InitialState
    initial_c: InitialState
    activations: tuple[Activation, Activation, Activation] = (SIGMOID, TANH, TANH)
    peepholes: Floats | None = None
    clip: float = 0.0
    coupled: bool = False
    projection: Floats | None = None
    projection_bias: Floats | None = None
    kind: ClassVar[str] = "lstm"
    gates: ClassVar[tuple[str, ...]] = ("input", "output", "forget", "cell")

    @property
    def hidden(self) -> int:
        """Number of hidden units."""
        return int(self.weights.shape[1])

    @property
    def columns(self) -> int:
        """Number of input features."""
        return int(self.weights.shape[2])

    @property
    def width(self) -> int:
        """Number of elements of h."""
        return int(self.recurrence.shape[2])

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        sizes = (self.width, self.hidden)
        return [Value("", (size,), clock=inputs[0].clock) for size, _ in zip(sizes, self.outputs, strict=False)]

    def states(self) -> tuple[State, ...]:
        h, c = self.initial_h, self.initial_c
        return (
            State(f"{self.name}_h", (self.width,), h.value, h.alias, h.window),
            State(f"{self.name}_c", (self.hidden,), c.value, c.alias, c.window),
        )

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x, h, c = inputs[0].reshape(-1, self.columns), state[f"{self.name}_h"], state[f"{self.name}_c"]
        probe("h", h)
        f, g, squash = self.activations
        pi, po, pf = (0.0, 0.0, 0.0) if self.peepholes is None else self.peepholes
        ai, ao, af, ag = (
            x @ w.T + h @ r.T + b for w, r, b in zip(self.weights, self.recurrence, self.bias, strict=True)
        )
        i = f(self._clip(ai + pi * c))
        forget = 1 - i if self.coupled else f(self._clip(af + pf * c))
        candidate = g(self._clip(ag))
        c = forget * c + i * candidate
        squashed = squash(c)
        m = f(self._clip(ao + po * c)) * squashed
        for key, value in (("i", i), ("g", candidate), ("c", c), ("hc", squashed), ("m", m)):
            probe(key, value)
        h = m if self.projection is None else m @ self.projection.T + self._projection_bias
        state[f"{self.name}_h"], state[f"{self.name}_c"] = h, c
        return [h, c][: len(self.outputs)]

    @property
    def _projection_bias(self) -> Floats:
        return np.zeros(self.width, self.recurrence.dtype) if self.projection_bias is None else self.projection_bias

    def _clip(self, x: Floats) -> Floats:
        return np.clip(x, -self.clip, self.clip) if self.clip else x

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        f, _, squash = self.activations
        h = max(map(abs, f.limits)) * max(map(abs, squash.limits))
        if self.projection is not None:
            bias = 0.0 if self.projection_bias is None else np.abs(self.projection_bias)
            h = float((np.abs(self.projection).sum(1) * h + bias).max())
        h = max(h, float(np.abs(self.initial_h.value).max(initial=0.0)))
        c = 128.0 if self.plain else np.inf
        return [Interval.of(-h, h, self.width), Interval.of(-c, c, self.hidden)][: len(self.outputs)]

    @property
    def plain(self) -> bool:
        """Whether no option is used: the form that the kernels are made for."""
        options = (self.peepholes is not None, self.clip, self.coupled, self.projection is not None)
        return not any(options) and self.activations == (SIGMOID, TANH, TANH)

    def column_weights(self, index: int) -> Floats:
        return self.weights.reshape(-1, self.columns)

    def takes8(self, index: int) -> bool:
        return True

    def quantize(self, q: Quantizer) -> QOp:
        from rnnc.ops.lstm_general import quantize_general

        far = q.samples(0) is not None and float(q.peak("c").max()) > CELL_ROOM
        if far or not self.plain or np.abs(self.initial_h.value).max(initial=0.0) > 1:
            return quantize_general(self, q)
        operand = hidden_formats(q, self.initial_h.value, bounded=True).operand
        rows = two_block(
            q,
            by_unit(self.weights),
            by_unit(self.recurrence),
            by_unit(self.bias),
            operand,
            "h",
            gate_target(4 * self.hidden),
        )
        if not rows.representable:
            return quantize_general(self, q)
        y = operand if q.wants8() else HIDDEN
        return QLstm(self, self.inputs, (y, CELL)[: len(self.outputs)], rows, q.input(0), operand)

    def describe(self) -> str:
        options = [
            "" if self.projection is None else f"projected to {self.width}",
            "" if self.peepholes is None else "peepholes",
            f"clip {self.clip:g}" if self.clip else "",
            "coupled gates" if self.coupled else "",
            "" if self.activations == (SIGMOID, TANH, TANH) else " ".join(a.name for a in self.activations),
        ]
        return ", ".join([f"LSTM {self.columns} -> {self.hidden}", *filter(None, options)])


@dataclass(frozen=True, eq=False)
class QLstm(QOp):
    """Gates: 12 fraction bits in, 15 out (0..32768). c: int32 Q8.23. h: Q0.15, as operand Q0.15 or Q0.7."""

    op: Lstm
    rows: TwoBlock
    input_format: Format
    operand: Format

    def states(self) -> tuple[QState, ...]:
        h, c = self.op.states()
        return (
            QState(h.name, h.shape, self.operand, self.operand.quantize(h.initial), h.alias, h.window),
            QState(c.name, c.shape, CELL, CELL.quantize(c.initial), c.alias, c.window),
        )

    def output_state(self, index: int) -> str:
        if index == 1:
            return f"{self.name}_c"
        return f"{self.name}_h" if self.formats[0].bits == self.operand.bits else ""

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x, h, c = inputs[0].reshape(-1, self.op.columns), state[f"{self.name}_h"], state[f"{self.name}_c"]
        p = self.rows(x, h, self.name).reshape(len(x), -1, 4)
        i, o, f = (fixed.sigmoid(p[..., k]) for k in range(3))
        g = fixed.tanh(p[..., 3])
        total = int32(mul15(f, c) + ((int32(i * g, "i g") + 64) >> 7), "cell sum")
        c = np.clip(total, CELL.lo, CELL.hi)
        h16 = shift_round(int32(o * fixed.tanh(shift_round(c, 11)), "o tanh(c)"), 15)
        h = narrow(h16, self.operand)
        state[f"{self.name}_h"], state[f"{self.name}_c"] = h, c
        return [h if self.formats[0].bits == self.operand.bits else h16, c][: len(self.outputs)]

    def bounds(self) -> list[Bound]:
        cell = 2**30 + 2**15 + 2**23
        return [*two_block_bounds(self.name, "gates", self.rows), Bound(self.name, "cell", cell)]

    def calls(self) -> list[KernelCall]:
        op, n = self.op, self.name
        sx, sh = self.rows.x.scale, self.rows.h.scale
        wx = self.rows.x.weights.reshape(op.hidden, 4, op.columns)
        wh = self.rows.h.weights.reshape(op.hidden, 4, op.hidden)
        return [
            KernelCall(
                "rnnc_lstm",
                "lstm.h",
                "rnnc_lstm_params",
                (
                    *batched(
                        [
                            (
                                "weights",
                                WeightRows(f"{n}_w", (wx, wh), "gates i o f c of each unit over x, then over h"),
                            ),
                            ("bias", Constant(f"{n}_b", "int32_t", self.rows.bias, "[hidden][4 gates], LSB of ax")),
                            (
                                "scale",
                                scale2(sx.m, sh.m, sx.p, sh.p, f"{n}_s", "[hidden][4 gates] multipliers and shifts"),
                            ),
                        ],
                        op.hidden,
                    ),
                    ("columns", op.columns),
                    ("hidden", op.hidden),
                    ("x_bits", self.input_format.bits),
                    ("h_bits", self.operand.bits),
                ),
                (
                    Arg("input", "0"),
                    Arg("state", f"{n}_h"),
                    Arg("state", f"{n}_c"),
                    Arg("scratch", "vx"),
                    Arg("scratch", "vh"),
                    Arg("null") if self.output_state(0) else Arg("output", "0"),
                ),
                operands(op.columns, self.input_format.bits, op.hidden, self.operand.bits),
                macs=4 * op.hidden * (op.columns + op.hidden),
                tables=GATE_TABLES,
            )
        ]

    def dequantized(self) -> Op:
        op = self.op
        return replace(
            op,
            weights=by_gate(self.rows.x.real(self.input_format.scale_for(op.columns)), 4),
            recurrence=by_gate(self.rows.h.real(self.operand.scale_for(op.hidden)), 4),
            bias=by_gate(self.rows.real_bias(self.input_format.zero), 4),
        )


@handles("LSTM")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX LSTM, forward.

    A cell recognised in primitive ops may carry a projection, which ONNX's LSTM lacks: the attributes ``projection``
    ``[width, hidden]`` and ``projection_bias`` ``[width]``.
    """
    projection = node.attributes.get("projection")
    r = read_node(node, trace, gates=4, states=2, width=0 if projection is None else len(projection))
    peepholes = trace.constant(node, 7)
    wants_cell = len(node.outputs) > 2 and node.outputs[2] != ""
    op = add_layer(
        node,
        trace,
        r,
        Lstm,
        2 if wants_cell else 1,
        weights=r.weights,
        recurrence=r.recurrence,
        bias=r.bias_x + r.bias_h,
        initial_h=r.initial[0],
        initial_c=r.initial[1],
        activations=read_node_activations(node, trace, ["Sigmoid", "Tanh", "Tanh"]),
        peepholes=None if peepholes is None else np.asarray(peepholes, np.float64).reshape(3, -1),
        clip=float(node.attributes.get("clip", 0.0)),
        coupled=bool(node.attributes.get("input_forget", 0)),
        projection=projection,
        projection_bias=node.attributes.get("projection_bias"),
    )
    trace.result(node, 0, r.sequence(op.outputs[0]))
    trace.result(node, 1, r.final(op.outputs[0], r.width))
    if wants_cell:
        trace.result(node, 2, r.final(op.outputs[1], r.hidden))
