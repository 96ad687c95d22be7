"""What LSTM, GRU and RNN share: reading the ONNX node, gate rows over two operands, and the hidden state's formats.

Rows are ordered unit by unit and, within a unit, gate by gate as ONNX orders them, because the kernels compute all gates
of a unit at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnnc.activations import read_activations
from rnnc.errors import Refused
from rnnc.fixed import GATE_LSB, HIDDEN, Floats, Format, Ints, shift_round
from rnnc.net import Quantizer
from rnnc.qnet import Bound, Constant, Field, Operand, UnitRows, WeightRows
from rnnc.rows import OneBlock, TwoBlock
from rnnc.tracing import InitialState, Node, Traced, Tracer


@dataclass(frozen=True, eq=False)
class RecurrentNode:
    """The inputs of an ONNX LSTM, GRU or RNN node in one direction.

    Args:
        x: the sequence; its step value has ``columns`` elements.
        weights: W, ``[gates, hidden, columns]``.
        recurrence: R, ``[gates, hidden, width]``, width the size of h.
        bias_x, bias_h: the two halves of B, ``[gates, hidden]``.
        initial: initial_h ``[width]`` (and initial_c ``[hidden]``).
    """

    x: Traced
    weights: Floats
    recurrence: Floats
    bias_x: Floats
    bias_h: Floats
    initial: tuple[InitialState, ...]
    layout: int

    @property
    def hidden(self) -> int:
        """Number of hidden units."""
        return int(self.weights.shape[1])

    @property
    def width(self) -> int:
        """Number of elements of h."""
        return int(self.recurrence.shape[2])

    def sequence(self, value: str) -> Traced:
        """Y: the hidden state of every step."""
        t = self.x.shape[1 if self.layout else 0]
        if self.layout:
            return Traced((1, t, 1, self.width), "stream", time=1, value=value)
        return Traced((t, 1, 1, self.width), "stream", time=0, value=value)

    def final(self, value: str, size: int) -> Traced:
        """Y_h or Y_c ``[size]``: the state after the last step."""
        return Traced((1, 1, size), "last", value=value)


def read_node(node: Node, trace: Tracer, gates: int, states: int, width: int = 0) -> RecurrentNode:
    """Read and check what LSTM, GRU and RNN have in common (ONNX operators, inputs X W R B sequence_lens initial_h).

    ``width`` is that of h where a projection makes it differ from the number of units.
    """
    direction = node.attributes.get("direction", "forward")
    if direction != "forward":
        trace.refuse(
            node,
            f"direction={direction!r} cannot stream",
            "A backward pass needs the whole sequence. Compile with --window T, or retrain with direction='forward'.",
        )
    layout = int(node.attributes.get("layout", 0))
    x = trace.input(node, 0)
    weights, recurrence = trace.constant(node, 1), trace.constant(node, 2)
    if x is None or weights is None or recurrence is None:
        trace.refuse(node, "X, W or R is missing")
    trace.require_time(node, x, 1 if layout else 0)
    directions, rows, columns = weights.shape
    hidden = rows // gates
    width = width or hidden
    if directions != 1 or rows != gates * hidden or recurrence.shape != (1, rows, width) or hidden < 1:
        trace.refuse(
            node, f"W {list(weights.shape)} and R {list(recurrence.shape)} do not fit {gates} gates of one size"
        )
    if int(node.attributes.get("hidden_size", hidden)) != hidden:
        trace.refuse(node, f"hidden_size={node.attributes['hidden_size']} and W {list(weights.shape)} do not fit")
    if int(np.prod(x.frame)) != columns:
        trace.refuse(node, f"X has {int(np.prod(x.frame))} features and W {columns}", "Bind the batch to 1 (--bind).")
    bias = trace.constant(node, 3)
    bias = np.zeros((1, 2 * rows)) if bias is None else bias
    lengths = trace.constant(node, 4)
    if lengths is not None and np.any(lengths != x.shape[1 if layout else 0]):
        what = f"sequence_lens={lengths.tolist()} is not the length of the sequence"
        trace.refuse(node, what, "Frames past a sequence's end are never fed to a stream: export without lengths.")
    bx, bh = np.asarray(bias, np.float64).reshape(2, gates, hidden)
    return RecurrentNode(
        x,
        np.asarray(weights, np.float64).reshape(gates, hidden, columns),
        np.asarray(recurrence, np.float64).reshape(gates, hidden, width),
        bx,
        bh,
        tuple(trace.initial_state(node, 5 + k, size) for k, size in zip(range(states), (width, hidden), strict=False)),
        layout,
    )


def read_node_activations(node: Node, trace: Tracer, default: list[str]) -> tuple[Any, ...]:
    """The attributes activations, activation_alpha and activation_beta; refused where a function is unknown."""
    names = [str(a) for a in node.attributes.get("activations", default)]
    if len(names) != len(default):
        trace.refuse(node, f"activations={names} where {len(default)} are needed")
    alphas, betas = (node.attributes.get(f"activation_{p}", []) for p in ("alpha", "beta"))
    try:
        return read_activations(names, list(alphas), list(betas))
    except KeyError as unknown:
        trace.refuse(node, f"activation {unknown} is not one of ONNX's")


def by_unit(gates: Floats) -> Floats:
    """``[gates, hidden, ...]`` as rows ``[hidden * gates, ...]``, unit by unit."""
    swapped = np.swapaxes(gates, 0, 1)
    return np.ascontiguousarray(swapped.reshape(-1, *gates.shape[2:]))


def by_gate(rows: Floats, gates: int) -> Floats:
    """The inverse of ``by_unit``."""
    return np.ascontiguousarray(np.swapaxes(rows.reshape(-1, gates, *rows.shape[1:]), 0, 1))


def narrow(h: Ints, operand: Format) -> Ints:
    """A Q0.15 (or equally scaled) int16 as the recurrent operand: itself, or rounded to 8 bits and saturated."""
    return h if operand.bits == 16 else np.clip((h + 128) >> 8, -128, 127)


def two_block(
    q: Quantizer,
    weights: Floats,
    recurrence: Floats,
    bias: Floats,
    operand: Format,
    hidden_samples: str,
    target: Floats,
) -> TwoBlock:
    """Quantize gate rows over input 0 and the hidden operand; all arrays unit by unit (``by_unit``)."""
    fx = q.input(0)
    parts = (
        (weights, fx.scale_for(weights.shape[1]), fx.amax, q.samples(0)),
        (recurrence, operand.scale_for(recurrence.shape[1]), operand.amax, q.samples(hidden_samples)),
    )
    (x, h), correction = q.round_blocks(parts, target, bias)
    return TwoBlock.build(x, h, bias + correction, fx.zero)


def gate_target(rows: int) -> Floats:
    """The LSB of a preactivation for each of ``rows`` rows."""
    return np.full(rows, GATE_LSB)


def two_block_bounds(op: str, name: str, rows: TwoBlock) -> list[Bound]:
    """The worst cases of the accumulators of gate rows."""
    return [
        Bound(op, f"{name}.x", int(rows.x.worst(rows.bias).max())),
        Bound(op, f"{name}.h", int(rows.h.worst(0).max())),
        Bound(op, f"{name}.sum", int(rows.worst_product().max())),
    ]


def one_block_bounds(op: str, name: str, rows: OneBlock) -> list[Bound]:
    """The worst cases of the accumulators of rows over one operand."""
    return [
        Bound(op, f"{name}.accumulator", int(rows.block.worst(rows.bias).max())),
        Bound(op, f"{name}.product", int(rows.worst_product().max())),
    ]


def batched(fields: Sequence[Field], units: int) -> tuple[Field, ...]:
    """Weights, biases and ``scale2`` of a layer's rows in the order in which a target computes units in batches.

    A field NAME_scale becomes NAME_scale_x and NAME_scale_h, words of m << 16 | p. Weights stand before their constants.
    """
    result: list[Field] = []
    rows = 0
    for name, value in fields:
        if isinstance(value, WeightRows):
            rows = value.blocks[0].shape[1]
            result.append((name, replace(value, batched=True)))
        elif isinstance(value, Constant) and value.ctype == "rnnc_scale2":
            for k, operand in enumerate("xh"):
                data = (value.data[:, k] << 16 | value.data[:, 2 + k]).reshape(units, -1)
                comment = f"{value.comment} over {operand}, m << 16 | p"
                result.append(
                    (f"{name}_{operand}", UnitRows(f"{value.name}{operand}", "uint32_t", data, rows, comment))
                )
        else:
            assert isinstance(value, Constant)
            result.append((name, UnitRows(value.name, value.ctype, value.data.reshape(units, -1), rows, value.comment)))
    return tuple(result)


def operands(columns: int, x_bits: int, hidden: int, h_bits: int) -> tuple[Operand, Operand]:
    """Scratch vx and vh: x and h as the kernel takes them."""
    return Operand("vx", columns, x_bits), Operand("vh", hidden, h_bits)


def scale2(mx: Ints, mh: Ints, px: Ints, ph: Ints, name: str, comment: str) -> Constant:
    """The multipliers and shifts of rows over two operands, as the C struct rnnc_scale2."""
    return Constant(name, "rnnc_scale2", np.stack([mx, mh, px, ph], 1), comment)


@dataclass(frozen=True, eq=False)
class HiddenFormats:
    """The formats of one hidden state: int16, the recurrent operand, and int32 with 14 more fraction bits."""

    full: Format
    operand: Format
    wide: Format


def hidden_formats(q: Quantizer, initial: Floats, *, bounded: bool) -> HiddenFormats:
    """Q0.15 where a squashing function keeps h within +-1, else a scale from what h reaches.

    Raises Refused where a bounded state would start outside +-1.
    """
    start = float(np.abs(initial).max(initial=0.0))
    if bounded and start > 1:
        raise Refused(
            f"initial_h reaches {start:.3g}; the hidden state holds +-1", hint="Train with a bounded initial state."
        )
    full = HIDDEN if bounded else Format(16, np.array([max(q.state_limit("h"), start) / 32767]))
    return _around(full, q)


def power_of_two_formats(q: Quantizer, limit: float) -> HiddenFormats:
    """A hidden state whose LSB is the smallest 2^(e - 15), e >= 0, that holds ``limit``."""
    lsb = 2.0 ** (max(0, int(np.ceil(np.log2(max(limit, 1e-9))))) - 15)
    return _around(Format(16, np.array([lsb])), q)


def _around(full: Format, q: Quantizer) -> HiddenFormats:
    operand = full if q.precision == "a16" else Format(8, full.scale * 256, 0, -128, 127)
    return HiddenFormats(full, operand, Format(32, full.scale / 2**14, 0, -32767 << 14, 32767 << 14))


def upper(s: Ints) -> Ints:
    """The int16 of a state with 14 more fraction bits."""
    return np.clip(shift_round(s, 14), -32767, 32767)
