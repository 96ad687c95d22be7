"""Conv over time and frames (ONNX Conv): rows over what lies under the kernel, and a fused ReLU.

Over time the newest frames are kept in a history, which holds the padding at the start of a stream; padding at the end
comes in when the input has ended. Over a frame's axes the kernel slides within a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from rnnc.clock import Timing
from rnnc.fixed import Floats, Format, Ints
from rnnc.interval import Interval
from rnnc.net import Accept, Array, Op, Probe, Quantizer, State, States, Value, no_probe
from rnnc.ops.affine import Affine
from rnnc.ops.clip import Clip
from rnnc.ops.dense import OUTPUT, dense_call
from rnnc.ops.gate_rows import all_wide, layer_rows, one_block_bounds
from rnnc.ops.geometry import OUTSIDE, Geometry, read_spatial
from rnnc.ops.history import due_ticks, history_qstate, history_state, newest, push_call
from rnnc.ops.scale import Scale
from rnnc.ops.time_shift import TimeShift
from rnnc.qnet import Arg, Bound, Constant, KernelCall, Operand, QOp, QState, Scratch
from rnnc.rows import Block, OneBlock
from rnnc.tracing import InitialState, Node, Traced, Tracer, handles

PROBED_POSITIONS = 8
"""How many positions of a frame serve as samples for rounding."""
MOST_SAMPLES = 4096


@dataclass(frozen=True, eq=False)
class Conv(Op):
    """A convolution.

    Args:
        weights: ``[rows, taps of time, channels of a group, taps of height, taps of width]``.
        bias: ``[rows]``.
        geometry: where it looks; ``channels`` are those of the input.
        groups: input channels, and rows, are split into so many parts that do not see each other.
        shape: of the output: ``[rows, height, width]``, axes of length 1 left out.
        relu: clip at 0.
        initial: the history before the first frame ``[frames * size]``, zero where None.

    Inputs: x, a frame of the geometry.
    """

    weights: Floats
    bias: Floats
    geometry: Geometry
    groups: int
    shape: tuple[int, ...]
    relu: bool = False
    initial: InitialState | None = None
    kind: ClassVar[str] = "conv"
    forgets: ClassVar[bool] = True

    @property
    def rows(self) -> int:
        """Number of output channels."""
        return len(self.bias)

    @property
    def columns(self) -> int:
        """Number of products of a row."""
        return int(self.weights[0].size)

    @property
    def timing(self) -> Timing:
        return self.geometry.timing

    @property
    def history(self) -> str:
        """The name of its state."""
        return f"{self.name}_history"

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        assert inputs[0].size == self.geometry.size, f"{self.name}: {inputs[0].shape}"
        y = Value("", self.shape)
        assert y.size == self.rows * self.geometry.positions, f"{self.name}: {self.shape}"
        return [y]

    def states(self) -> tuple[State, ...]:
        return (history_state(self.history, self.geometry, self.initial),) if self.geometry.remembers else ()

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        if not self.geometry.remembers:
            return [self._apply(due_ticks(inputs[0], self.timing, tick))]
        return self._push(inputs[0], state, tick, probe)

    def drain(self, state: States, tick: int) -> list[Array] | None:
        return self._push(np.zeros_like(state[self.history][:, 0]), state, tick, no_probe)

    def _push(self, x: Array, state: States, tick: int, probe: Probe) -> list[Array] | None:
        history = state[self.history] = newest(state[self.history], x)
        if not self.timing.due(tick):
            return None
        probe("window", self.sampled(history.reshape(len(history), -1)))
        return [self._apply(history.reshape(len(history), -1))]

    def _apply(self, history: Array) -> Floats:
        """``[..., frames * size]`` to ``[..., rows * positions]``."""
        patches = self.geometry.patches(history, 0.0)
        y = self.product(patches, self.matrices) + self.bias
        y = np.maximum(y, 0) if self.relu else y
        return np.asarray(np.swapaxes(y, -1, -2).reshape(*history.shape[:-1], self.rows * self.geometry.positions))

    @property
    def matrices(self) -> Floats:
        """The weights of each group, ``[groups, rows of a group, columns]``."""
        return self.weights.reshape(self.groups, self.rows // self.groups, self.columns)

    def split(self, patches: Array) -> Array:
        """``[..., positions, taps, channels, height, width]`` as ``[groups, ..., positions, columns]``."""
        *lead, taps, channels, height, width = patches.shape
        parts = patches.reshape(*lead, taps, self.groups, channels // self.groups, height, width)
        return np.moveaxis(parts, -4, 0).reshape(self.groups, *lead, self.columns)

    def product(self, patches: Array, matrices: Floats) -> Floats:
        """Patches as in ``split`` times ``[groups, rows of a group, columns]``: ``[..., positions, rows]``."""
        parts = self.split(patches)
        products = parts.reshape(self.groups, -1, self.columns) @ np.swapaxes(matrices, 1, 2)
        return np.asarray(np.moveaxis(products, 0, 1).reshape(*parts.shape[1:-1], self.rows))

    def sampled(self, histories: Array) -> Array:
        """What some positions see, ``[n, frames * size]`` to ``[n, positions * columns of all groups]``."""
        count = self.geometry.positions
        chosen = np.unique(np.linspace(0, count - 1, min(count, PROBED_POSITIONS)).astype(np.int64))
        patches = self.geometry.patches(histories, 0.0)[..., chosen, :, :, :, :]
        return np.asarray(patches.reshape(len(histories), -1))

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        g = self.geometry
        lo, hi = (np.tile(side, g.frames) for side in (inputs[0].lo, inputs[0].hi))
        if g.remembers:
            lo, hi = np.minimum(lo, 0), np.maximum(hi, 0)
        low, high = [], []
        for a, b, w in zip(self.split(g.patches(lo, 0.0)), self.split(g.patches(hi, 0.0)), self.matrices, strict=True):
            up, down = np.maximum(w, 0).T, np.minimum(w, 0).T
            low.append(a @ up + b @ down)
            high.append(b @ up + a @ down)
        bounds = [np.concatenate(side, -1) + self.bias for side in (low, high)]
        low_, high_ = ((np.maximum(side, 0) if self.relu else side).T.ravel() for side in bounds)
        return [Interval(low_, high_)]

    def absorb(self, reader: Op) -> Op | None:
        """Take in a ReLU, a gain and offset of each channel (not behind its own ReLU), and steps that are dropped."""
        if isinstance(reader, TimeShift):
            return self._cropped(reader)
        if isinstance(reader, Clip) and reader.is_relu:
            return replace(self, outputs=reader.outputs, relu=True)
        if isinstance(reader, Scale):
            return self._scaled(reader, reader.gain, np.zeros(1))
        if isinstance(reader, Affine) and not self.relu and (reader.lo, reader.hi) in ((-np.inf, np.inf), (0, np.inf)):
            scaled = self._scaled(reader, reader.gain, reader.offset)
            return None if scaled is None else replace(scaled, relu=reader.lo == 0)
        return None

    def _cropped(self, reader: TimeShift) -> Conv | None:
        """With fewer steps at its ends, as far as padding after its input made those at the end."""
        time = self.geometry.time
        after = time.after + reader.after * time.stride
        if reader.before > 0 or reader.after > 0 or after < 0 or reader.stride > 1:
            return None
        cropped = replace(time, before=time.before + reader.before * time.stride, after=after)
        return replace(self, outputs=reader.outputs, geometry=replace(self.geometry, time=cropped))

    def _scaled(self, reader: Op, gain: Floats, offset: Floats) -> Conv | None:
        """With a gain and offset that broadcast to the output, if they are the same at all positions."""
        size = (self.rows, self.geometry.positions)
        whole = [np.broadcast_to(c, self.shape).reshape(size) for c in (gain, offset) if c.ndim <= len(self.shape)]
        if len(whole) < 2 or any(np.any(c != c[:, :1]) for c in whole):
            return None
        g, o = whole[0][:, 0], whole[1][:, 0]
        weights = self.weights * g.reshape(-1, 1, 1, 1, 1)
        return replace(self, outputs=reader.outputs, weights=weights, bias=self.bias * g + o)

    def less(self, offsets: Sequence[Floats]) -> tuple[Op, Floats | None] | None:
        """The bias takes it where no padding meets it: there the op reads what means 0."""
        g = self.geometry
        if g.time.before or g.time.after or np.any(g.index == OUTSIDE):
            return None
        sums = self.product(g.patches(np.tile(offsets[0], g.frames), 0.0), self.matrices)
        return (replace(self, bias=self.bias + sums[0]), None) if np.all(sums == sums[0]) else None

    def accepts(self, index: int) -> Accept:
        if self.geometry.positions == 1:
            return "any"
        return "channel" if self.geometry.channels > 1 else "common"

    def accepts_int8(self, index: int) -> bool:
        return True

    def quantize(self, q: Quantizer) -> QConv:
        x = q.input(0)
        column_scales = self.split(self._patch_scale(x)[None])
        reach = self._reach(x)
        axis = 0 if self.rows > 1 else None
        y = q.output(axis=axis, rows=True, nonnegative=self.relu, reach=reach)
        target = y.scale_for(self.rows * self.geometry.positions).reshape(self.rows, -1)[:, 0]
        samples = self._samples(q)
        rows = []
        for g, (w, scale) in enumerate(zip(self.matrices, column_scales, strict=True)):
            own = slice(g * len(w), (g + 1) * len(w))
            seen = None if samples is None else samples[g]
            part = (w, scale[0], x.amax, seen)
            (block,), correction = q.round_rows([part], target[own], self.bias[own], x.zero, group=g)
            rows.append(OneBlock.build(block, self.bias[own] + correction, x.zero))
        return QConv(self, self.inputs, (y,), tuple(rows), x)

    def _patch_scale(self, x: Format) -> Floats:
        """LSB of each column, ``[taps, channels, height, width]``: that of its channel where the kernel slides."""
        g = self.geometry
        scale = x.scale_for(g.size)
        channel = np.broadcast_to(scale.reshape(g.channels, -1).max(1)[:, None, None], g.index.shape[1:])
        if g.positions > 1:
            return channel
        return np.where(g.index[0] == OUTSIDE, channel, scale[g.index[0] % g.size])

    def _reach(self, x: Format) -> float:
        """The largest result before ReLU that any input can give."""
        largest = np.tile(max(x.hi - x.zero, x.zero - x.lo) * x.scale_for(self.geometry.size), self.geometry.frames)
        sums = self.product(self.geometry.patches(largest, 0.0), np.abs(self.matrices))
        return float((sums + np.abs(self.bias)).max())

    def _samples(self, q: Quantizer) -> Floats | None:
        """Operands, ``[groups, n, columns]``."""
        seen = q.samples("window" if self.geometry.remembers else 0)
        if seen is None:
            return None
        if not self.geometry.remembers:
            seen = self.sampled(seen)
        patches = seen.reshape(-1, *self.geometry.index.shape[1:])
        return self.split(patches[:: max(1, len(patches) // MOST_SAMPLES)])

    def describe(self) -> str:
        groups = f", {self.groups} groups" if self.groups > 1 else ""
        relu = ", ReLU" if self.relu else ""
        return f"Conv {self.geometry.channels} -> {self.rows} over {self.geometry.describe()}{groups}{relu}"


@dataclass(frozen=True, eq=False)
class QConv(QOp):
    """int32 accumulators, requantized to the output's LSB, saturated to its range. One OneBlock for each group."""

    op: Conv
    rows: tuple[OneBlock, ...]
    input_format: Format

    @cached_property
    def _matrices(self) -> Floats:
        return np.stack([rows.block.weights for rows in self.rows]).astype(np.float64)

    @cached_property
    def _every(self) -> OneBlock:
        """The rows of all groups below each other."""
        bias = np.concatenate([rows.bias for rows in self.rows])
        return OneBlock(Block.stacked([rows.block for rows in self.rows]), bias, self.rows[0].shift)

    @property
    def limits(self) -> tuple[int, int]:
        """What the output is clipped to."""
        y = self.formats[0]
        return (y.zero_point if self.op.relu else y.lo), y.hi

    @property
    def _wide(self) -> bool:
        return all_wide(self._every.block)

    def states(self) -> tuple[QState, ...]:
        return tuple(history_qstate(s, self.input_format) for s in self.op.states())

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        if not self.op.geometry.remembers:
            return [self._apply(due_ticks(inputs[0], self.timing, tick))]
        return self._push(inputs[0], state, tick)

    def drain(self, state: States, tick: int) -> list[Array] | None:
        lanes, size = len(state[self.op.history]), self.op.geometry.size
        return self._push(np.full((lanes, size), self.input_format.zero_point), state, tick)

    def _push(self, x: Ints, state: States, tick: int) -> list[Array] | None:
        history = state[self.op.history] = newest(state[self.op.history], x)
        return [self._apply(history.reshape(len(history), -1))] if self.timing.due(tick) else None

    def _apply(self, history: Ints) -> Ints:
        op, y = self.op, self.formats[0]
        patches = op.geometry.patches(history, self.input_format.zero_point)
        products = op.product(patches.astype(np.float64), self._matrices).astype(np.int64)
        results = np.clip(self._every.requantized(products, f"{self.name}.rows") + y.zero_point, *self.limits)
        size = self.op.rows * self.op.geometry.positions
        return np.asarray(np.swapaxes(results, -1, -2).reshape(*history.shape[:-1], size))

    def bounds(self) -> list[Bound]:
        every = [one_block_bounds(self.name, "rows", rows) for rows in self.rows]
        return [max(same, key=lambda b: b.worst) for same in zip(*every, strict=True)]

    def calls(self) -> list[KernelCall]:
        op = self.op
        if not op.geometry.remembers:
            return [self._compute(Arg("input", "0"))]
        push = push_call(op.history, op.geometry, self.input_format, self.input_format.zero_point)
        return [push, self._compute(Arg("state", op.history))]

    def _compute(self, x: Arg) -> KernelCall:
        op = self.op
        if op.groups > 1:
            return self._grouped(x)
        if np.array_equal(op.geometry.index.ravel(), np.arange(op.columns)):
            return dense_call(self.name, self.rows[0], 1, self.input_format, self.formats[0], self.limits, x, OUTPUT)
        weights = layer_rows(f"{self.name}_w", self.rows[0].block, "[rows][taps][channels][kernel]")
        return KernelCall(
            "rnnc_conv_wide" if self._wide else "rnnc_conv",
            "conv.h",
            "rnnc_conv_params",
            (op.geometry.fields(), ("weights", weights), *self._fields(("rows", op.rows), ("columns", op.columns))),
            (x, Arg("scratch", "patch"), Arg("scratch", "v"), Arg("output", "0")),
            (
                Scratch("patch", self.input_format.ctype, op.columns),
                Operand("v", op.columns, self.input_format.bits, borrowed=True),
            ),
            macs=op.geometry.positions * op.rows * op.columns,
        )

    def _grouped(self, x: Arg) -> KernelCall:
        op, channels = self.op, self.op.geometry.channels
        rows, order = self._every.block.weights, "[rows][taps][channels of a group][kernel]"
        if op.groups == op.rows == channels:  # depthwise: rows next to each other, as the kernel takes them
            rows, order = rows.T, "[taps][kernel][rows]"
        weights = Constant(f"{self.name}_w", "int16_t" if self._wide else "int8_t", rows.ravel(), order)
        groups = (("rows_of_group", op.rows // op.groups), ("channels_of_group", channels // op.groups))
        return KernelCall(
            "rnnc_conv_grouped_wide" if self._wide else "rnnc_conv_grouped",
            "conv_grouped.h",
            "rnnc_conv_grouped_params",
            (op.geometry.fields(), ("weights", weights), *self._fields(("rows", op.rows), *groups)),
            (x, Arg("output", "0")),
            macs=op.geometry.positions * op.rows * op.columns,
        )

    def _fields(self, *counts: tuple[str, int]) -> tuple[tuple[str, int | Constant], ...]:
        n, y, (lo, hi) = self.name, self.formats[0], self.limits
        scale = np.stack([self._every.block.scale.m, self._every.block.scale.p], 1)
        return (
            ("bias", Constant(f"{n}_b", "int32_t", self._every.bias, "[rows]")),
            ("scale", Constant(f"{n}_s", "rnnc_scale1", scale, "[rows] multipliers and shifts")),
            *counts,
            ("x_bits", self.input_format.bits),
            ("y_bits", y.bits),
            ("outside", self.input_format.zero_point),
            ("zero_point", y.zero_point),
            ("lo", lo),
            ("hi", hi),
        )

    def dequantized(self) -> Op:
        op = self.op
        scales = op.split(op._patch_scale(self.input_format)[None])
        weights = [rows.block.real(scale[0]) for rows, scale in zip(self.rows, scales, strict=True)]
        bias = np.concatenate([rows.real_bias(self.input_format.zero) for rows in self.rows])
        return replace(op, weights=np.concatenate(weights).reshape(op.weights.shape), bias=bias)


@handles("Conv")
def from_node(node: Node, trace: Tracer) -> None:
    """ONNX Conv with constant weights, over time or within a frame."""
    x, weights, bias = trace.input(node, 0), trace.constant(node, 1), trace.constant(node, 2)
    assert x is not None and weights is not None
    groups, rows = int(node.attributes.get("group", 1)), len(weights)
    spatial = read_spatial(node, trace, x, weights.shape[2:])
    if weights.shape[1] * groups != x.shape[1] or rows % groups:
        trace.refuse(node, f"weights {list(weights.shape)} do not fit {x.shape[1]} channels in {groups} groups")
    g = spatial.geometry
    y = Traced((x.shape[0], rows, *spatial.lengths), x.kind, x.time)
    op = trace.add(
        node,
        Conv,
        [x.value],
        weights=_time_first(np.asarray(weights, np.float64), x, g),
        bias=np.zeros(rows) if bias is None else np.asarray(bias, np.float64),
        geometry=g,
        groups=groups,
        shape=y.frame,
    )
    trace.result(node, 0, replace(y, value=op.outputs[0]))


def _time_first(weights: Floats, x: Traced, g: Geometry) -> Floats:
    """``[rows, channels of a group, spatial...]`` as ``[rows, taps of time, channels of a group, height, width]``."""
    over_time = x.time is not None and x.time >= 2
    weights = np.moveaxis(weights, x.time or 0, 1) if over_time else weights[:, None]
    channels = weights.shape[2]
    return weights.reshape(len(weights), g.time.kernel, channels, g.rows.kernel, g.columns.kernel)
