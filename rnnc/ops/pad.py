"""Pad: zeros around a sequence become the padding of what reads it; within a frame constants, mirrored or repeated ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rnnc.fixed import Format
from rnnc.interval import Interval
from rnnc.net import Array, Op, Probe, Quantizer, States, Value, no_probe
from rnnc.ops.conv import Conv
from rnnc.ops.layout import Move, move_call, strides
from rnnc.ops.slice import select
from rnnc.ops.time_shift import pad_time
from rnnc.qnet import Arg, KernelCall, QOp
from rnnc.tracing import Node, Traced, Tracer, handles


@dataclass(frozen=True, eq=False)
class Pad(Op):
    """A frame with a constant around it.

    Args:
        source: shape of the input.
        before, after: elements added at each axis.
    """

    source: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    constant: float
    kind: ClassVar[str] = "pad"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the output."""
        return tuple(b + n + a for b, n, a in zip(self.before, self.source, self.after, strict=True))

    @property
    def move(self) -> Move:
        """Where the input goes."""
        target = strides(self.shape)
        offset = sum(b * s for b, s in zip(self.before, target, strict=True))
        return Move(self.source, strides(self.source), target, 0, offset).merged()

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return [Value("", self.shape)]

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return [self.around(inputs[0], self.constant)]

    def around(self, x: Array, constant: float) -> Array:
        """``[ticks, lanes, ...]`` with ``constant`` around each frame."""
        frames = x.reshape(*x.shape[:2], *self.source)
        width = [(0, 0), (0, 0), *zip(self.before, self.after, strict=True)]
        return np.pad(frames, width, constant_values=constant)

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        sides = (self.around(side[None, None], self.constant).ravel() for side in (inputs[0].lo, inputs[0].hi))
        return [Interval(*sides)]

    def accepts_int8(self, index: int) -> bool:
        return True

    def absorb(self, reader: Op) -> Op | None:
        """Zeros become the padding of a convolution that slides over the padded axes."""
        if not isinstance(reader, Conv) or self.constant != 0:
            return None
        g = reader.geometry
        full = (g.channels, g.height, g.width)
        if self.shape != tuple(n for n in full if n != 1) or (g.channels > 1 and self.before[0] + self.after[0] > 0):
            return None
        rest = iter(zip(self.source, self.before, self.after, strict=True))
        (_, *_), (height, top, bottom), (width, left, right) = (next(rest) if n != 1 else (1, 0, 0) for n in full)
        rows = replace(g.rows, before=g.rows.before + top, after=g.rows.after + bottom)
        columns = replace(g.columns, before=g.columns.before + left, after=g.columns.after + right)
        geometry = replace(g, height=height, width=width, rows=rows, columns=columns)
        return replace(reader, inputs=self.inputs, geometry=geometry)

    def quantize(self, q: Quantizer) -> QPad:
        x = q.input(0)
        scale = self.around(x.scale_for(int(np.prod(self.source)))[None, None], float(x.scale.max())).ravel()
        return QPad(self, self.inputs, (replace(x, scale=scale),), x)

    def describe(self) -> str:
        return f"pad {list(self.source)} to {list(self.shape)} with {self.constant:g}"


@dataclass(frozen=True, eq=False)
class QPad(QOp):
    """The same integers, and that of the constant around them."""

    op: Pad
    x: Format

    @property
    def constant(self) -> int:
        """The constant in LSBs."""
        f = self.x
        return int(np.clip(np.floor(self.op.constant / f.scale.max() + f.zero + 0.5), f.lo, f.hi))

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return [self.op.around(inputs[0], self.constant)]

    def calls(self) -> list[KernelCall]:
        size = int(np.prod(self.op.shape))
        fields = (("size", size), ("bits", self.x.bits), ("value", self.constant))
        fill = KernelCall("rnnc_fill", "fill.h", "rnnc_fill_params", fields, (Arg("output", "0"),))
        return [fill, move_call(self.op.move, 0, 0, self.x.bits, self.x.bits)]


# --------------------------------------------------------------------------- from ONNX


@handles("Pad")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX Pad: time first, then the frame's axes."""
    x, pads, value, axes = (trace.input(node, 0), *(trace.constant(node, i) for i in range(1, 4)))
    assert x is not None and pads is not None
    mode = node.attributes.get("mode", "constant")
    constant = 0.0 if value is None else float(value.item())
    rank = len(x.shape)
    listed = range(rank) if axes is None else [int(a) % rank for a in axes.ravel()]
    if pads.size != 2 * len(listed):
        trace.refuse(node, f"has {pads.size} pads for {len(listed)} axes")
    before, after = [0] * rank, [0] * rank
    for k, axis in enumerate(listed):
        before[axis], after[axis] = int(pads[k]), int(pads[k + len(listed)])
    if x.time is not None and (before[x.time] or after[x.time]):
        if mode != "constant" or constant != 0:
            what = f"pads a sequence with {constant:g}" if mode == "constant" else f"pads a sequence (mode {mode!r})"
            trace.refuse(node, what, "A stream can be padded with zeros.")
        x = pad_time(node, trace, x, before[x.time], after[x.time])
        before[x.time or 0] = after[x.time or 0] = 0
    if any(before) or any(after):
        x = pad_frame(node, trace, x, before, after, constant, mode)
    trace.result(node, 0, x)


def pad_frame(
    node: Node,
    trace: Tracer,
    x: Traced,
    before: Sequence[int],
    after: Sequence[int],
    constant: float = 0.0,
    mode: str = "constant",
) -> Traced:
    """Elements added at the ends of each axis of a frame, of which ``before`` and ``after`` say how many."""
    axes = [i for i in range(len(x.shape)) if i != x.time]
    if min(*before, *after) < 0:
        trace.refuse(node, f"drops elements (pads {[*before, *after]})", "Use Slice.")
    if mode != "constant":
        for axis in axes:
            x = _mirrored(node, trace, x, axis, before[axis], after[axis], mode)
        return x
    shape = tuple(b + n + a for b, n, a in zip(before, x.shape, after, strict=True))
    y = replace(x, shape=shape)
    kept = y.frame_axes
    op = trace.add(
        node,
        Pad,
        [x.value],
        source=tuple(x.shape[i] for i in kept),
        before=tuple(before[i] for i in kept),
        after=tuple(after[i] for i in kept),
        constant=constant,
    )
    return replace(y, value=op.outputs[0])


def _mirrored(node: Node, trace: Tracer, x: Traced, axis: int, before: int, after: int, mode: str) -> Traced:
    """One axis with its ends mirrored ("reflect"), repeated ("edge"), or begun again ("wrap")."""
    if before == after == 0:
        return x
    numpy_mode = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}.get(mode)
    if numpy_mode is None:
        trace.refuse(node, f"mode={mode!r} is not known")
    indices = np.pad(np.arange(x.shape[axis]), (before, after), mode=numpy_mode)  # type: ignore[call-overload]
    return select(node, trace, x, axis, indices)
