"""What LSTM, GRU and RNN share: reading the ONNX node, the layer in real numbers, and the hidden state's formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rnnc.activations import read_activations
from rnnc.fixed import HIDDEN, Floats, Format, Ints, clip, shift_round
from rnnc.net import Op, Quantizer, State, Value
from rnnc.tracing import InitialState, Node, Traced, Tracer

if TYPE_CHECKING:
    from rnnc.ops.units import QRecurrent

MISFIT = "A broken export, or an open axis of another length than was assumed: --bind AXIS=N sets it."


@dataclass(frozen=True, eq=False)
class Recurrent(Op):
    """A layer of units: ``weights [(gates,) hidden, columns]``, ``recurrence [(gates,) hidden, width]``, ``initial_h [width]``.

    Inputs: x ``[columns]``. Outputs: h ``[width]``.
    """

    weights: Floats
    recurrence: Floats
    bias_of_input: ClassVar[str] = "bias"
    """The field that is added to ``weights @ x``, ``[(gates,) hidden]``."""

    @property
    def hidden(self) -> int:
        """Number of units."""
        return int(self.weights.shape[-2])

    @property
    def columns(self) -> int:
        """Number of input features."""
        return int(self.weights.shape[-1])

    @property
    def width(self) -> int:
        """Number of elements of h."""
        return int(self.recurrence.shape[-1])

    def starts(self) -> dict[str, InitialState]:
        """The initial value of each state, by its suffix; h first."""
        raise NotImplementedError

    def dequantized(self, q: QRecurrent, weights: Floats, recurrence: Floats, bias_x: Floats, bias_h: Floats) -> Op:
        """The layer with what ``q`` has of it, given by gates: ``[gates, hidden, ...]``."""
        raise NotImplementedError

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        sizes = (self.width, self.hidden)
        return [Value("", (size,), clock=inputs[0].clock) for size, _ in zip(sizes, self.outputs, strict=False)]

    def states(self) -> tuple[State, ...]:
        return tuple(
            State(f"{self.name}_{suffix}", (i.value.size,), i.value, i.alias, i.window)
            for suffix, i in self.starts().items()
        )

    def less(self, offsets: Sequence[Floats]) -> tuple[Op, Floats | None]:
        bias = getattr(self, self.bias_of_input)
        return replace(self, **{self.bias_of_input: bias + self.weights @ offsets[0]}), None

    def column_weights(self, index: int) -> Floats:
        return self.weights.reshape(-1, self.columns)

    def accepts_int8(self, index: int) -> bool:
        return True


def largest(initial: InitialState) -> float:
    """The magnitude that a state starts from."""
    return float(np.abs(initial.value).max(initial=0.0))


def clipped(x: Floats, limit: float) -> Floats:
    """x within +-limit, or as it is where limit is 0."""
    return np.clip(x, -limit, limit) if limit else x


def gate_products(x: Floats, gates: Floats) -> Floats:
    """The products of x ``[lanes, columns]`` with the rows of all gates ``[gates, hidden, columns]``, one after the other."""
    return np.asarray(x @ gates.reshape(-1, gates.shape[2]).T)


@dataclass(frozen=True, eq=False)
class RecurrentNode:
    """The inputs of an ONNX LSTM, GRU or RNN node in one direction.

    Args:
        x: the sequence; its step value has ``columns`` elements.
        weights: W, ``[gates, hidden, columns]``.
        recurrence: R, ``[gates, hidden, width]``, width the size of h.
        bias_x, bias_h: the two halves of B, ``[gates, hidden]``.
        initial: initial_h ``[bands * width]`` (and initial_c ``[bands * hidden]``).
        bands: members of the batch that belong to one frame.
        count: elements of a frame that it scans; 1 where it scans time.
        along: whether it scans an axis of the frame, not time.
    """

    x: Traced
    weights: Floats
    recurrence: Floats
    bias_x: Floats
    bias_h: Floats
    initial: tuple[InitialState, ...]
    layout: int
    bands: int = 1
    count: int = 1
    along: bool = False

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
        t, batch = self.x.shape[:2][:: -1 if self.layout else 1]
        if not self.along:
            batch = self.bands
        shape = (batch, t, 1, self.width) if self.layout else (t, 1, batch, self.width)
        if not self.along:
            return Traced(shape, "stream", time=1 if self.layout else 0, value=value)
        return Traced(shape, "stream", time=None if self.x.time is None else 0 if self.layout else 2, value=value)

    def final(self, value: str, size: int) -> Traced:
        """Y_h or Y_c ``[size]`` of each band: the state after the last step."""
        if self.along:
            batch = self.x.shape[0 if self.layout else 1]
            shape = (batch, 1, size) if self.layout else (1, batch, size)
            return Traced(shape, "stream", time=None if self.x.time is None else 0 if self.layout else 1, value=value)
        return Traced((self.bands, 1, size) if self.layout else (1, self.bands, size), "last", value=value)


def read_node(node: Node, trace: Tracer, gates: int, states: int, width: int = 0) -> RecurrentNode:
    """Read and check what LSTM, GRU and RNN have in common (ONNX operators, inputs X W R B sequence_lens initial_h).

    ``width`` is that of h where a projection makes it differ from the number of units.
    """
    direction = node.attributes.get("direction", "forward")
    if direction != "forward":
        trace.refuse(
            node,
            f"direction={direction!r} cannot stream",
            "A backward pass needs the whole sequence: retrain with direction='forward'.",
            "A backward pass needs the whole sequence. Compile with --window T, or retrain with direction='forward'.",
        )
    layout = int(node.attributes.get("layout", 0))
    x = trace.input(node, 0)
    weights, recurrence = trace.constant(node, 1), trace.constant(node, 2)
    if x is None or weights is None or recurrence is None:
        trace.refuse(node, "X, W or R is missing")
    axis, along = 1 if layout else 0, trace.along_frame(node, x)
    if not along:
        trace.require_time(node, x, axis)
    bands = 1 if x.time == 1 - axis else x.shape[1 - axis]
    count = x.shape[axis] if along else 1
    directions, rows, columns = weights.shape
    hidden = rows // gates
    width = width or hidden
    if directions != 1 or rows != gates * hidden or recurrence.shape != (1, rows, width) or hidden < 1:
        trace.refuse(
            node, f"W {list(weights.shape)} and R {list(recurrence.shape)} do not fit {gates} gates of one size"
        )
    if int(node.attributes.get("hidden_size", hidden)) != hidden:
        trace.refuse(node, f"hidden_size={node.attributes['hidden_size']} and W {list(weights.shape)} do not fit")
    if x.shape[2] != columns:
        trace.refuse(node, f"X has {x.shape[2]} features and W {columns}", MISFIT)
    bias = trace.constant(node, 3)
    bias = np.zeros((1, 2 * rows)) if bias is None else bias
    lengths = trace.constant(node, 4)
    if lengths is not None and np.any(lengths != x.shape[1 if layout else 0]):
        what = f"sequence_lens={lengths.tolist()} is not the length of the sequence"
        trace.refuse(node, what, "Frames past a sequence's end are never fed to a stream: export without lengths.")
    bx, bh = np.asarray(bias, np.float64).reshape(2, gates, hidden)
    sizes = [bands * size for size in (width, hidden)][:states]
    start = partial(_every_frame, node, trace) if along else partial(trace.initial_state, node)
    return RecurrentNode(
        x,
        np.asarray(weights, np.float64).reshape(gates, hidden, columns),
        np.asarray(recurrence, np.float64).reshape(gates, hidden, width),
        bx,
        bh,
        tuple(start(5 + k, size) for k, size in enumerate(sizes)),
        layout,
        bands,
        count,
        along,
    )


def _every_frame(node: Node, trace: Tracer, index: int, size: int) -> InitialState:
    """What a layer along an axis of the frame starts from in each frame: a constant, the same at every step of time."""
    array = trace.constant(node, index)
    given = np.zeros(size) if array is None else np.asarray(array, np.float64).ravel()
    rows = given.reshape(-1, size) if given.size % size == 0 else given[None]
    if rows.shape[1] != size or np.any(rows != rows[0]):
        trace.refuse(node, f"its initial state of {given.size} elements does not fit {size} units")
    return InitialState(rows[0])


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


def narrow(h: Ints, operand: Format) -> Ints:
    """A Q0.15 (or equally scaled) int16 as the recurrent operand: itself, or rounded to 8 bits and saturated."""
    return h if operand.bits == 16 else clip((h + 128) >> 8, -128, 127)


@dataclass(frozen=True, eq=False)
class HiddenFormats:
    """The formats of one hidden state: int16, the recurrent operand, and int32 with 14 more fraction bits."""

    full: Format
    operand: Format
    extended: Format


def hidden_formats(q: Quantizer, start: float, *, bounded: bool) -> HiddenFormats:
    """Q0.15 where a squashing function keeps h within +-1, as it starts; else a scale from what h reaches."""
    full = HIDDEN if bounded else Format(16, np.array([max(q.state_limit("h"), start) / 32767]))
    return around(full, q)


def power_of_two_formats(q: Quantizer, limit: float) -> tuple[HiddenFormats, int]:
    """A hidden state whose LSB is the smallest 2^(e - 15), e >= 0, that holds ``limit``; and e."""
    e = max(0, int(np.ceil(np.log2(max(limit, 1e-9)))))
    return around(Format(16, np.array([2.0 ** (e - 15)])), q), e


def around(full: Format, q: Quantizer, *, int16: bool = False) -> HiddenFormats:
    """The formats that belong to an int16; ``int16``: its operand has 16 bits in any profile."""
    operand = full if int16 or q.precision == "a16" else Format(8, full.scale * 256, 0, -128, 127)
    return HiddenFormats(full, operand, Format(32, full.scale / 2**14, 0, -32767 << 14, 32767 << 14))


def upper(s: Ints) -> Ints:
    """The int16 of a state with 14 more fraction bits."""
    return clip(shift_round(s, 14), -32767, 32767)
