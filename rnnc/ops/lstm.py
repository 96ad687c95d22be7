"""LSTM (Hochreiter and Schmidhuber 1997; ONNX operator LSTM, gate order i o f c).

    i = f(Wi x + Ri h + Pi c + bi)     f alike     g = g(Wc x + Rc h + bc)
    c' = f c + i g                     o = f(Wo x + Ro h + Po c' + bo)
    h' = o h(c')                       f, g, h = sigmoid, tanh, tanh by default

Peepholes P (Gers and Schmidhuber 2000), coupled gates f = 1 - i, clipping of what goes into f and g, and a projection
h' = Wp (o h(c')) + bp (Sak et al. 2014) are options. The integers of a unit are in cells.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rnnc.activations import SIGMOID, TANH, Activation
from rnnc.errors import Refused
from rnnc.fixed import GATE_FRACTION, Floats, Format, Ints
from rnnc.interval import Interval
from rnnc.language import FINE
from rnnc.net import Array, Op, Probe, Quantizer, States, no_probe
from rnnc.ops.cells import CELL_FRACTION, CELL_MAX, NO_CLIP, Unit, lstm
from rnnc.ops.gate_rows import GateRows, by_unit, finest, gate_target, safe, two_block
from rnnc.ops.long_gates import wants_long
from rnnc.ops.recurrent import Recurrent, around, clipped, gate_products, largest, read_node, read_node_activations
from rnnc.ops.start import add_layer, give_results
from rnnc.ops.units import QRecurrent
from rnnc.qnet import QOp
from rnnc.rows import OneBlock, TwoBlock
from rnnc.tracing import InitialState, Node, Tracer, handles

CELL_ROOM = 96.0
"""A cell that calibration sees beyond this is given more integer bits."""
LONG_CELL_ROOM = 4.0
"""What the cell of one with long gates has room for, beside its usual limit: it is as fine as that allows."""


@dataclass(frozen=True, eq=False)
class Lstm(Recurrent):
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

    def starts(self) -> dict[str, InitialState]:
        return {"h": self.initial_h, "c": self.initial_c}

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x, h, c = inputs[0].reshape(-1, self.columns), state[f"{self.name}_h"], state[f"{self.name}_c"]
        probe("h", h)
        f, g, squash = self.activations
        n, joined = self.hidden, gate_products(x, self.weights) + gate_products(h, self.recurrence) + self.bias.ravel()
        if self.peepholes is None:
            opened = f(clipped(joined[:, : 3 * n], self.clip))
            i, o = opened[:, :n], opened[:, n : 2 * n]
            forget = 1 - i if self.coupled else opened[:, 2 * n :]
        else:
            pi, po, pf = self.peepholes
            i = f(clipped(joined[:, :n] + pi * c, self.clip))
            forget = 1 - i if self.coupled else f(clipped(joined[:, 2 * n : 3 * n] + pf * c, self.clip))
        candidate = g(clipped(joined[:, 3 * n :], self.clip))
        c = forget * c + i * candidate
        if self.peepholes is not None:
            o = f(clipped(joined[:, n : 2 * n] + po * c, self.clip))
        squashed = squash(c)
        m = o * squashed
        for key, value in (("i", i), ("f", forget), ("g", candidate), ("c", c), ("hc", squashed), ("m", m)):
            probe(key, value)
        h = m if self.projection is None else m @ self.projection.T + self._projection_bias
        state[f"{self.name}_h"], state[f"{self.name}_c"] = h, c
        return [h, c][: len(self.outputs)]

    @property
    def _projection_bias(self) -> Floats:
        return np.zeros(self.width, self.recurrence.dtype) if self.projection_bias is None else self.projection_bias

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        f, _, squash = self.activations
        h = max(map(abs, f.limits)) * max(map(abs, squash.limits))
        if self.projection is not None:
            bias = 0.0 if self.projection_bias is None else np.abs(self.projection_bias)
            h = float((np.abs(self.projection).sum(1) * h + bias).max())
        h = max(h, largest(self.initial_h))
        c = 128.0 if self.plain else np.inf
        return [Interval.of(-h, h, self.width), Interval.of(-c, c, self.hidden)][: len(self.outputs)]

    @property
    def plain(self) -> bool:
        """Whether no option is used: the form that the kernels are made for."""
        options = (self.peepholes is not None, self.clip, self.coupled, self.projection is not None)
        return not any(options) and self.activations == (SIGMOID, TANH, TANH)

    def quantize(self, q: Quantizer) -> QOp:
        """Exponents: f gives LSB 2^(ef - 15), g 2^(eg - 15), h of the cell 2^(eh - 15); the cell has LSB 2^(ec - 23)."""
        f, g, squash = self.activations
        start, limit = largest(self.initial_h), q.state_limit("c")
        far = q.samples(0) is not None and float(q.peak("c").max()) > CELL_ROOM
        usual = self.plain and not far and start <= 1
        ef, eg, eh = _gate_exponent(self, q), _exponent(g, q, "g"), _exponent(squash, q, "hc")
        if self.projection is None:
            eh = max(eh, int(np.ceil(np.log2(max(start, 1e-9)))) - ef)
            full = Format.q(15 - ef - eh)
        else:
            reach = float(self.range([])[0].magnitude.max())
            full = Format(16, np.array([max(q.state_limit("h"), start, reach / 2**7) / 32767]))
        formats = around(full, q, int16=self.projection is not None)
        weights, recurrence, bias = (by_unit(w) for w in (self.weights, self.recurrence, self.bias))

        def quantized(exponent: int) -> TwoBlock:
            target = gate_target(4 * self.hidden, exponent)
            return two_block(q, weights, recurrence, bias, formats.operand, "h", target, "iofc")

        exponent = finest(lambda e: (quantized(e),), fine=q.fine and usual)
        rows = quantized(exponent)
        usual = usual and rows.representable
        rows = rows if usual else safe(rows, q.input(0).zero)
        long = usual and wants_long(q, "f", self.bias[2])
        ec = 0 if usual else max(0, int(np.ceil(np.log2(max(limit, 1e-9) / 128))), ef + eg - 6)
        if long and q.samples(0) is not None:
            ec = int(np.clip(np.ceil(np.log2(max(LONG_CELL_ROOM * limit, 1e-9) / 128)), -6, 0))
        if ec > 11 or ef > 7:
            raise Refused(f"{self.describe()}: its cell reaches {limit:.3g}", where=self.node)
        peepholes, projection = _peepholes(self, ec), _projection(self, q, ef + eh - 15, full)
        numbers, exponents = (None, ()) if peepholes is None else (peepholes[0], (peepholes[1],) * 3)
        unit = Unit(
            lstm,
            *(f.integer(ef), g.integer(eg), squash.integer(eh)),
            clip=round(self.clip * 2**GATE_FRACTION) if self.clip else NO_CLIP,
            state=("c", ec - CELL_FRACTION),
            limit=CELL_MAX,
            coupled=self.coupled,
            projected=projection is not None,
            numbers=exponents,
            fine=exponent == FINE,
            long=long,
        )
        loops = [GateRows((("gates", rows),), self.hidden, (exponent,) * 4, numbers, projection is not None)]
        loops += [] if projection is None else [GateRows((("projection", projection),), self.width, (-15,), apart=True)]
        cell = Format(32, np.array([2.0 ** (ec - CELL_FRACTION)]), 0, -CELL_MAX, CELL_MAX)
        y = (formats.operand if q.wants8() else full, cell)[: len(self.outputs)]
        return QRecurrent(self, self.inputs, y, unit, tuple(loops), q.input(0), formats, cell)

    def dequantized(self, q: QRecurrent, weights: Floats, recurrence: Floats, bias_x: Floats, bias_h: Floats) -> Op:
        numbers, projection, bias = q.loops[0].numbers, self.projection, self.projection_bias
        if projection is not None:
            rows = q.loops[1].parts[0][1]
            assert isinstance(rows, OneBlock)
            scale = np.full(self.hidden, 2.0 ** (q.unit.f.exponent + q.unit.squash.exponent - 15))
            projection, bias = rows.block.real(scale), rows.real_bias(0)
        return replace(
            self,
            weights=weights,
            recurrence=recurrence,
            bias=bias_x,
            peepholes=None if numbers is None else np.asarray(numbers * 2.0 ** q.unit.numbers[0]),
            projection=projection,
            projection_bias=bias,
        )

    def describe(self) -> str:
        options = [
            "" if self.projection is None else f"projected to {self.width}",
            "" if self.peepholes is None else "peepholes",
            f"clip {self.clip:g}" if self.clip else "",
            "coupled gates" if self.coupled else "",
            "" if self.activations == (SIGMOID, TANH, TANH) else " ".join(a.name for a in self.activations),
        ]
        return ", ".join([f"LSTM {self.columns} -> {self.hidden}", *filter(None, options)])


def _exponent(activation: Activation, q: Quantizer, operand: str) -> int:
    """Of an activation's values: from its bounds, or from what was measured where one is missing."""
    bounded = np.isfinite(max(activation.limits)) and np.isfinite(min(activation.limits))
    return activation.exponent(np.inf if bounded else q.state_limit(operand))


def _gate_exponent(op: Lstm, q: Quantizer) -> int:
    """Of the gates' values; where they are coupled, of f = 1 - i as well."""
    f = op.activations[0]
    found = _exponent(f, q, "i")
    lowest = max(f.limits[0], -q.state_limit("i")) if op.coupled else 0.0
    return max(found, int(np.ceil(np.log2(1 - lowest)))) if lowest < 0 else found


def _peepholes(op: Lstm, ec: int) -> tuple[Ints, int] | None:
    """u ``[3, hidden]`` int16, gates i o f, and its exponent."""
    if op.peepholes is None:
        return None
    most = float(np.abs(op.peepholes).max())
    e = max(0, int(np.ceil(np.log2(most + 1e-9))))
    if e + ec - CELL_FRACTION > -GATE_FRACTION:
        raise Refused(f"a peephole weight of {most:.3g} is too large", where=op.node)
    return np.clip(np.round(op.peepholes * 2.0 ** (15 - e)), -32768, 32767).astype(np.int64), e - 15


def _projection(op: Lstm, q: Quantizer, exponent: int, full: Format) -> OneBlock | None:
    """Wp over o h(c), which has LSB 2^exponent."""
    if op.projection is None:
        return None
    scale, target = np.full(op.hidden, 2.0**exponent), np.full(op.width, full.scale[0])
    bias = op._projection_bias
    (block,), correction = q.round_rows([(op.projection, scale, 32768, q.samples("m"))], target, bias, 0.0, ("p",))
    return OneBlock.build(block, bias + correction, 0).safe(bias + correction, 0)


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
    give_results(node, trace, r, op)
    if wants_cell:
        trace.result(node, 2, r.final(op.outputs[1], r.hidden))
