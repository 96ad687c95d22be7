"""GRU (Cho et al. 2014; ONNX operator GRU, gate order z r h).

    z = f(Wz x + Rz h + bz)    r alike
    linear_before_reset = 1:  n = g(Wh x + bWh + r (Rh h + bRh))     (reset after, as PyTorch and cuDNN have it)
    linear_before_reset = 0:  n = g(Wh x + Rh (r h) + bWh + bRh)     (reset before)
    h' = (1 - z) n + z h                                             f, g = sigmoid, tanh by default

The integers of a unit are in cells.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rnnc.activations import RELU, SIGMOID, TANH, Activation
from rnnc.errors import Refused
from rnnc.fixed import GATE_FRACTION, GATE_LIMIT, Floats, Format
from rnnc.interval import Interval
from rnnc.language import FINE, GATE
from rnnc.net import Array, Op, Probe, Quantizer, States, no_probe
from rnnc.ops.cells import HELD, NO_CLIP, STATE_MAX, Reset, Unit, gru
from rnnc.ops.gate_rows import Apart, GateRows, by_unit, finest, gate_target, safe, two_block
from rnnc.ops.long_gates import wants_long
from rnnc.ops.recurrent import (
    HiddenFormats,
    Recurrent,
    clipped,
    gate_products,
    hidden_formats,
    largest,
    power_of_two_formats,
    read_node,
    read_node_activations,
)
from rnnc.ops.start import add_layer, give_results
from rnnc.ops.units import QRecurrent
from rnnc.qnet import QOp
from rnnc.rows import OneBlock, TwoBlock
from rnnc.tracing import InitialState, Node, Tracer, handles

EF_MAX = 7


@dataclass(frozen=True, eq=False)
class Gru(Recurrent):
    """A GRU layer.

    Args:
        weights: ``[gates, hidden, columns]``, gates z r n, or z n where ``reset`` is not "own".
        recurrence: ``[gates, hidden, hidden]``.
        bias_x, bias_h: ``[gates, hidden]``.
        initial_h: ``[hidden]``.
        reset_after: ONNX linear_before_reset.
        activations: f, g.
        clip: bound of what goes into them, 0 for none.
        reset: what takes the place of r: a gate of its own; z or 1 - z (minimal gated unit, Zhou et al. 2016, with f = 1 - z);
            or nothing (JANET, van der Westhuizen and Lasenby 2018, whose f is z).

    Inputs: x ``[columns]``. Outputs: h ``[hidden]``.
    """

    bias_x: Floats
    bias_h: Floats
    initial_h: InitialState
    reset_after: bool
    activations: tuple[Activation, Activation] = (SIGMOID, TANH)
    clip: float = 0.0
    reset: Reset = "own"
    kind: ClassVar[str] = "gru"
    bias_of_input: ClassVar[str] = "bias_x"
    gates: ClassVar[tuple[str, ...]] = ("update", "reset", "candidate")

    def starts(self) -> dict[str, InitialState]:
        return {"h": self.initial_h}

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x, h = inputs[0].reshape(-1, self.columns), state[f"{self.name}_h"]
        w, u, bx, bh = self.weights, self.recurrence, self.bias_x, self.bias_h
        f, g = self.activations

        after = self.reset_after or self.reset == "none"
        wx, uh = gate_products(x, w), gate_products(h, u if after else u[:-1])
        size = self.hidden * (len(w) - 1)
        summed = wx[:, :size] + uh[:, :size] + bx[:-1].ravel() + bh[:-1].ravel()
        opened = f(clipped(summed, self.clip))
        z = opened[:, : self.hidden]
        own = opened[:, self.hidden :]
        r = own if self.reset == "own" else {"z": z, "1 - z": 1 - z, "none": np.ones_like(z)}[self.reset]
        probe("h", h)
        if after:
            n = wx[:, size:] + bx[-1] + r * (uh[:, size:] + bh[-1])
        else:
            probe("rh", r * h)
            n = wx[:, size:] + bx[-1] + (r * h) @ u[-1].T + bh[-1]
        n = g(clipped(n, self.clip))
        probe("n", n)
        probe("z", z)
        h = (1 - z) * n + z * h
        state[f"{self.name}_h"] = h
        return [h]

    @property
    def bound(self) -> float:
        """Of |h|: the candidate's and the initial state's, where z mixes them; else infinite."""
        f, g = self.activations
        mixes = f.limits[0] >= 0 and f.limits[1] <= 1
        return max(*map(abs, g.limits), largest(self.initial_h)) if mixes else np.inf

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        return [Interval.of(-self.bound, self.bound, self.hidden)]

    def quantize(self, q: Quantizer) -> QOp:
        """Exponents: f gives LSB 2^(ef - 15), g and h have 2^(eh - 15), s has 2^(eh - 29)."""
        f, g = self.activations
        tanh = g == TANH
        if f == SIGMOID and g in (TANH, RELU) and not self.clip and not (tanh and self.bound > 1):
            h = hidden_formats(q, largest(self.initial_h), bounded=tanh)
            own = None if tanh else np.full(self.hidden, h.full.scale[0])
            exponent = finest(lambda e: self._rows(q, h.operand, e, own), fine=q.fine)
            zr, n = self._rows(q, h.operand, exponent, own)
            if zr.representable and n.representable:
                unit = Unit(gru, g=TANH.integer(0) if tanh else HELD, state=("s", -29), limit=STATE_MAX)
                before_reset = GATE_LIMIT << (GATE - exponent if tanh else 0)
                long = wants_long(q, "z", self.bias_x[0] + self.bias_h[0])
                unit = replace(unit, recurrent_limit=before_reset, fine=exponent == FINE, long=long)
                return self._integers(q, h, unit, zr, n, (exponent, exponent if tanh else -15))
        reach = q.state_limit("z")
        lo, hi = max(f.limits[0], -reach), min(f.limits[1], reach)
        ef = max(0, int(np.ceil(np.log2(max(1 - lo, hi - 1, hi, 1e-9)))))
        if ef > EF_MAX:
            raise Refused(f"{self.describe()}: a gate reaches {reach:.3g}", where=self.node)
        limit = self.bound if np.isfinite(self.bound) else max(q.state_limit("h"), q.state_limit("n"))
        h, eh = power_of_two_formats(q, max(limit, largest(self.initial_h)))
        zr, n = self._rows(q, h.operand, GATE)
        zero = q.input(0).zero
        zr, n = safe(zr, zero), safe(n, zero) if isinstance(n, TwoBlock) else n.safe(zero)
        unit = Unit(
            gru,
            *(f.integer(ef), g.integer(eh)),
            clip=round(self.clip * 2**GATE_FRACTION) if self.clip else NO_CLIP,
            state=("s", eh - 29),
            limit=STATE_MAX,
            recurrent_limit=2**30 >> ef,
        )
        return self._integers(q, h, unit, zr, n, (GATE, GATE))

    def _rows(
        self, q: Quantizer, operand: Format, exponent: int, own: Floats | None = None
    ) -> tuple[TwoBlock, TwoBlock | Apart]:
        """The rows of z and r, and of n, requantized to LSB 2^exponent; those of n to ``own [hidden]`` where it is given."""
        w, u, bx, bh = self.weights, self.recurrence, self.bias_x, self.bias_h
        weights, recurrence, bias = (by_unit(a[:-1]) for a in (w, u, bx + bh))
        target = gate_target(len(weights), exponent)
        zr = two_block(q, weights, recurrence, bias, operand, "h", target, "zr"[: len(w) - 1])
        target = gate_target(self.hidden, exponent) if own is None else own
        if not self.reset_after or self.reset == "none":
            over = "h" if self.reset == "none" else "rh"
            return zr, two_block(q, w[-1], u[-1], bx[-1] + bh[-1], operand, over, target, "h")
        fx = q.input(0)
        over_x = [(w[-1], fx.scale_for(self.columns), fx.amax, q.samples(0))]
        over_h = [(u[-1], operand.scale_for(self.hidden), operand.amax, q.samples("h"))]
        (x,), cx = q.round_rows(over_x, target, bx[-1], fx.zero, ("h.x",))
        (h,), ch = q.round_rows(over_h, target, bh[-1], 0.0, ("h.h",))
        return zr, Apart(OneBlock.build(x, bx[-1] + cx, fx.zero), OneBlock.build(h, bh[-1] + ch, 0))

    def _integers(
        self, q: Quantizer, h: HiddenFormats, unit: Unit, zr: TwoBlock, n: TwoBlock | Apart, exponents: tuple[int, int]
    ) -> QOp:
        """``exponents``: of the preactivations of the gates, and of the candidate."""
        first = exponents[:1] * (len(self.weights) - 1)
        last = exponents[1:] * (2 if isinstance(n, Apart) else 1)
        if isinstance(n, Apart) or self.reset == "none":
            loops: tuple[GateRows, ...] = (GateRows((("zr", zr), ("n", n)), self.hidden, first + last),)
        else:
            loops = GateRows((("zr", zr),), self.hidden, first), GateRows((("n", n),), self.hidden, last)
        unit = replace(unit, reset=self.reset, reset_after=self.reset_after)
        y = (h.operand if q.wants8() else h.full,)
        return QRecurrent(self, self.inputs, y, unit, loops, q.input(0), h, h.extended)

    def dequantized(self, q: QRecurrent, weights: Floats, recurrence: Floats, bias_x: Floats, bias_h: Floats) -> Op:
        return replace(self, weights=weights, recurrence=recurrence, bias_x=bias_x, bias_h=bias_h)

    def describe(self) -> str:
        when = "after" if self.reset_after else "before"
        when = {"own": f"reset {when}", "none": "no reset"}.get(self.reset, f"reset {when} by {self.reset}")
        clip = f", clip {self.clip:g}" if self.clip else ""
        return f"GRU {self.columns} -> {self.hidden}, {when}, {' '.join(a.name for a in self.activations)}{clip}"


@handles("GRU")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX GRU, forward.

    A cell recognised in primitive ops may have no reset gate of its own: the attribute ``reset`` (see ``Gru``).
    """
    reset = node.attributes.get("reset", "own")
    r = read_node(node, trace, gates=3 if reset == "own" else 2, states=1)
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
        reset=reset,
    )
    give_results(node, trace, r, op)
