"""RNN (Elman 1990; ONNX operator RNN).

    h' = f(W x + R h + b)      f = tanh by default

The integers of a unit are in cells.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rnnc.activations import IDENTITY, RELU, SIGMOID, TANH, Activation
from rnnc.fixed import GATE_FRACTION, Floats
from rnnc.interval import Interval
from rnnc.language import FINE, GATE
from rnnc.net import Array, Op, Probe, Quantizer, States, no_probe
from rnnc.ops.cells import HELD, NO_CLIP, Unit, linear, rnn
from rnnc.ops.gate_rows import GateRows, finest, gate_target, safe, two_block
from rnnc.ops.linear_rnn import linear_rnn, near_one, sticks
from rnnc.ops.recurrent import (
    HiddenFormats,
    Recurrent,
    clipped,
    hidden_formats,
    largest,
    power_of_two_formats,
    read_node,
    read_node_activations,
)
from rnnc.ops.start import add_layer, give_results
from rnnc.ops.units import QRecurrent
from rnnc.qnet import QOp
from rnnc.rows import TwoBlock
from rnnc.tracing import InitialState, Node, Tracer, handles

LINEAR = ("relu", "affine")
EXTENDED_ROOM = 4.0
"""As much more as an extended h has room for than its int16."""


@dataclass(frozen=True, eq=False)
class Rnn(Recurrent):
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

    bias: Floats
    initial_h: InitialState
    activation: Activation = TANH
    clip: float = 0.0
    kind: ClassVar[str] = "rnn"

    @property
    def linear_recurrence(self) -> Floats | None:
        """What feeds h back where the layer is linear but for limits."""
        return self.recurrence * self.activation.slope if self.activation.name in LINEAR else None

    def starts(self) -> dict[str, InitialState]:
        return {"h": self.initial_h}

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x, h = inputs[0].reshape(-1, self.columns), state[f"{self.name}_h"]
        probe("h", h)
        p = x @ self.weights.T + h @ self.recurrence.T + self.bias
        h = self.activation(clipped(p, self.clip))
        state[f"{self.name}_h"] = h
        return [h]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        start = largest(self.initial_h)
        lo, hi = self.activation.limits
        return [Interval.of(min(lo, -start), max(hi, start), self.hidden)]

    def quantize(self, q: Quantizer) -> QOp:
        """h has a scale of its own for ReLU and the identity; LSB 2^(e - 15) for other activations and for initial states
        beyond +-1."""
        f, start = self.activation, largest(self.initial_h)
        held = f in (RELU, IDENTITY)
        if held and not self.clip and (near_one(self.recurrence) or self._sticks(q, start)):
            return linear_rnn(self, q, max(EXTENDED_ROOM * q.state_limit("h"), start))
        if (held or f in (TANH, SIGMOID)) and not self.clip and (held or start <= 1):
            h = hidden_formats(q, start, bounded=not held)
            own = np.full(self.hidden, h.full.scale[0]) if held else None
            exponent = finest(lambda e: (self._rows(q, h, e),), fine=q.fine and not held)
            rows = self._rows(q, h, exponent, own)
            if rows.representable:
                unit = Unit(linear) if f == IDENTITY else Unit(rnn, HELD if held else f.integer(0))
                unit = replace(unit, fine=exponent == FINE)
                return self._integers(q, h, unit, rows, -15 if held else exponent)
        bound = max(map(abs, f.limits))
        h, e = power_of_two_formats(q, max(bound if np.isfinite(bound) else q.state_limit("h"), start))
        rows = safe(self._rows(q, h, GATE), q.input(0).zero)
        clip = round(self.clip * 2**GATE_FRACTION) if self.clip else NO_CLIP
        return self._integers(q, h, Unit(rnn, f.integer(e), clip=clip), rows, GATE)

    def _sticks(self, q: Quantizer, start: float) -> bool:
        samples = q.samples("h")
        lsb = float(hidden_formats(q, start, bounded=False).full.scale[0])
        return sticks(self.recurrence, lsb, None if samples is None else samples.std(0))

    def _rows(self, q: Quantizer, h: HiddenFormats, exponent: int, own: Floats | None = None) -> TwoBlock:
        """Requantized to LSB 2^exponent, or to ``own [hidden]`` where it is given."""
        target = gate_target(self.hidden, exponent) if own is None else own
        return two_block(q, self.weights, self.recurrence, self.bias, h.operand, "h", target, "i")

    def _integers(self, q: Quantizer, h: HiddenFormats, unit: Unit, rows: TwoBlock, exponent: int) -> QOp:
        """``exponent``: of the preactivation."""
        y = (h.operand if q.wants8() else h.full,)
        loops = (GateRows((("gate", rows),), self.hidden, (exponent,)),)
        return QRecurrent(self, self.inputs, y, unit, loops, q.input(0), h, None)

    def dequantized(self, q: QRecurrent, weights: Floats, recurrence: Floats, bias_x: Floats, bias_h: Floats) -> Op:
        return replace(self, weights=weights[0], recurrence=recurrence[0], bias=bias_x[0])

    def describe(self) -> str:
        return (
            f"RNN {self.columns} -> {self.hidden}, {self.activation.name}{f', clip {self.clip:g}' if self.clip else ''}"
        )


@handles("RNN")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX RNN, forward."""
    r = read_node(node, trace, gates=1, states=1)
    (f,) = read_node_activations(node, trace, ["Tanh"])
    clip = float(node.attributes.get("clip", 0.0))
    plain = f.name == "affine" and f.alpha != 0 and not clip  # slope and offset go into the weights
    slope, offset = (f.alpha, f.beta) if plain else (1.0, 0.0)
    op = add_layer(
        node,
        trace,
        r,
        Rnn,
        weights=slope * r.weights[0],
        recurrence=slope * r.recurrence[0],
        bias=slope * (r.bias_x + r.bias_h)[0] + offset,
        initial_h=r.initial[0],
        activation=IDENTITY if plain else f,
        clip=clip,
    )
    give_results(node, trace, r, op)
