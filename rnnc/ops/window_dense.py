"""WindowDense: a Dense layer over all steps of a window at once, added up step by step.

    y = b + sum over t of W[t] x[t]

Each step's rows are requantized to 2^-8 of the output's LSB and added to 32-bit sums: nothing of the steps is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from rnnc.clock import Timing
from rnnc.fixed import Floats, Format, Ints, int32
from rnnc.interval import Interval
from rnnc.net import Array, Op, Probe, Quantizer, State, States, Value, no_probe
from rnnc.ops.affine import Affine
from rnnc.ops.clip import Clip
from rnnc.ops.gate_rows import all_wide
from rnnc.qnet import Arg, Bound, Constant, KernelCall, QOp, QState
from rnnc.rows import Block
from rnnc.tracing import Node, Traced, Tracer

SUM_SHIFT = 8
"""The sums have so many more fraction bits than the output."""


@dataclass(frozen=True, eq=False)
class WindowDense(Op):
    """Dense over a window.

    Args:
        weights: ``[steps, rows, columns]``.
        bias: ``[rows]``.
        shape: of the output, ``[rows]`` without an axis of length 1.
        relu: clip at 0.

    Inputs: x ``[columns]``, ``steps`` times. Outputs: y ``[rows]``, once.
    """

    weights: Floats
    bias: Floats
    shape: tuple[int, ...]
    relu: bool = False
    kind: ClassVar[str] = "windowdense"

    @property
    def steps(self) -> int:
        """Ticks of a window."""
        return len(self.weights)

    @property
    def rows(self) -> int:
        """Number of outputs."""
        return int(self.weights.shape[1])

    @property
    def columns(self) -> int:
        """Number of inputs of a tick."""
        return int(self.weights.shape[2])

    @property
    def timing(self) -> Timing:
        return Timing(first=self.steps - 1, stride=self.steps)

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        assert inputs[0].size == self.columns, f"{self.name}: {inputs[0].shape}"
        return [Value("", self.shape)]

    def states(self) -> tuple[State, ...]:
        return State(f"{self.name}_sum", (self.rows,), self.bias), State(f"{self.name}_at", (1,), np.zeros(1))

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        t = tick % self.steps
        total = state[f"{self.name}_sum"] + inputs[0].reshape(-1, self.columns) @ self.weights[t].T
        state[f"{self.name}_sum"], state[f"{self.name}_at"] = total, np.full_like(state[f"{self.name}_at"], t + 1)
        if t + 1 < self.steps:
            return None
        return [np.maximum(total, 0) if self.relu else total]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        up, down = np.maximum(self.weights, 0).sum(0), np.minimum(self.weights, 0).sum(0)
        low = up @ inputs[0].lo + down @ inputs[0].hi + self.bias
        high = up @ inputs[0].hi + down @ inputs[0].lo + self.bias
        return [Interval(np.maximum(low, 0), np.maximum(high, 0)) if self.relu else Interval(low, high)]

    def scaled(self, reader: Affine) -> WindowDense | None:
        """This layer and a gain and offset that follow; None where it clips before them, or they clip."""
        if self.relu or not np.isinf([reader.lo, reader.hi]).all() or int(np.prod(reader.shape)) != self.rows:
            return None
        gain, offset = (np.broadcast_to(c, reader.shape).ravel() for c in (reader.gain, reader.offset))
        weights, bias = self.weights * gain[:, None], self.bias * gain + offset
        return replace(self, outputs=reader.outputs, weights=weights, bias=bias)

    def less(self, offsets: Sequence[Floats]) -> tuple[Op, Floats | None]:
        return replace(self, bias=self.bias + self.weights.sum(0) @ offsets[0]), None

    def accepts_int8(self, index: int) -> bool:
        return True

    def absorb(self, reader: Op) -> Op | None:
        """Take in a ReLU."""
        if isinstance(reader, Clip) and reader.is_relu:
            return replace(self, outputs=reader.outputs, relu=True)
        return None

    def quantize(self, q: Quantizer) -> QWindowDense:
        x = q.input(0)
        scale = x.scale_for(self.columns)
        largest = max(x.hi - x.zero, x.zero - x.lo) * scale
        reach = float((np.abs(self.weights).sum(0) @ largest + np.abs(self.bias)).max())
        y = q.output(rows=True, axis=-1, nonnegative=self.relu, reach=ROOM * reach)
        target = np.tile(y.scale_for(self.rows), self.steps)
        flat = self.weights.reshape(-1, self.columns)
        part = (flat, scale, x.amax, q.samples(0))
        (block,), correction = q.round_rows([part], target, np.zeros(len(flat)), 0.0)
        bias = self.bias + correction.reshape(self.steps, self.rows).sum(0)
        return QWindowDense(self, self.inputs, (y,), block, bias, x)

    def describe(self) -> str:
        return f"Dense {self.steps} x {self.columns} -> {self.rows} over a window{', ReLU' if self.relu else ''}"


ROOM = 1.05
"""Of the largest sum, for what rounding adds."""


@dataclass(frozen=True, eq=False)
class QWindowDense(QOp):
    """``sum += ((W[t] x + half) >> p) M`` at each step, ``y = (sum + 128) >> 8`` after the last.

    Args:
        block: ``[steps * rows, columns]``.
        bias: real, with corrections.
    """

    op: WindowDense
    block: Block
    bias: Floats
    x: Format

    @property
    def limits(self) -> tuple[int, int]:
        """What the output is clipped to."""
        y = self.formats[0]
        return (y.zero_point if self.op.relu else y.lo), y.hi

    @cached_property
    def start(self) -> Ints:
        """What the sums start from: the bias, and what the input's zero point adds up to; 2^-8 of the output's LSB."""
        s = self.block.scale
        unit = self.formats[0].scale_for(self.op.rows) / 2**SUM_SHIFT
        zero = self.block.weights.sum(1) * self.x.zero * s.m / 2.0**s.p
        exact = self.bias / unit - zero.reshape(self.op.steps, -1).sum(0)
        return np.asarray(np.round(exact), np.int64)

    @cached_property
    def worst(self) -> int:
        """The largest magnitude that a sum can have at any point."""
        s = self.block.scale
        each = ((self.block.worst(1 << s.p >> 1) >> s.p) + 1) * s.m
        return int((np.abs(self.start) + each.reshape(self.op.steps, -1).sum(0)).max())

    def states(self) -> tuple[QState, ...]:
        total, at = self.op.states()
        unit = self.formats[0].scale_for(self.op.rows) / 2**SUM_SHIFT
        sums = Format(32, unit, 0, -self.worst, self.worst)
        steps = Format(16, np.ones(1), 0, 0, self.op.steps - 1)
        return (
            QState(total.name, total.shape, sums, self.start),
            QState(at.name, (1,), steps, np.zeros(1, np.int64)),
        )

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        t = int(state[f"{self.name}_at"][0, 0])
        rows = slice(t * self.op.rows, (t + 1) * self.op.rows)
        s = self.block.scale
        part = Block(self.block.weights[rows], s, self.block.operand_max)
        half = (np.int64(1) << s.p[rows]) >> 1
        a = part.accumulate(inputs[0].reshape(-1, self.op.columns), half, f"{self.name} accumulator")
        product = int32((a >> s.p[rows]) * s.m[rows], f"{self.name} product")
        total = int32(state[f"{self.name}_sum"] + product, f"{self.name} sum")
        ends = t + 1 == self.op.steps
        state[f"{self.name}_sum"] = np.broadcast_to(self.start, total.shape) if ends else total
        state[f"{self.name}_at"] = np.full_like(state[f"{self.name}_at"], 0 if ends else t + 1)
        y = self.formats[0]
        return [np.clip(((total + 128) >> SUM_SHIFT) + y.zero_point, *self.limits)] if ends else None

    def bounds(self) -> list[Bound]:
        s = self.block.scale
        accumulator = self.block.worst(1 << s.p >> 1)
        product = ((accumulator >> s.p) + 1) * s.m
        return [
            Bound(self.name, "accumulator", int(accumulator.max())),
            Bound(self.name, "product", int(product.max())),
            Bound(self.name, "sum", self.worst + int(product.max()) + 128),
        ]

    def calls(self) -> list[KernelCall]:
        op, n, s, y = self.op, self.name, self.block.scale, self.formats[0]
        wide = all_wide(self.block)
        function = "rnnc_window_dense_add_wide" if wide else "rnnc_window_dense_add"
        ctype = "int16_t" if wide else "int8_t"
        fields = (
            ("weights", Constant(f"{n}_w", ctype, self.block.weights.ravel(), "[steps][rows][columns]")),
            (
                "scale",
                Constant(f"{n}_s", "rnnc_scale1", np.stack([s.m, s.p], 1), "[steps][rows] multipliers and shifts"),
            ),
            ("start", Constant(f"{n}_b", "int32_t", self.start, "[rows], 2^-8 of the output's LSB")),
            ("steps", op.steps),
            ("rows", op.rows),
            ("columns", op.columns),
            ("x_bits", self.x.bits),
            ("y_bits", y.bits),
            ("zero_point", y.zero_point),
            ("lo", self.limits[0]),
            ("hi", self.limits[1]),
        )
        sums, at = Arg("state", f"{n}_sum"), Arg("state", f"{n}_at")
        header, struct, macs = "window_dense.h", "rnnc_window_dense_params", op.rows * op.columns
        args = (Arg("input", "0"), sums, at)
        add = KernelCall(function, header, struct, fields, args, macs=macs, when="input")
        end = replace(add, function="rnnc_window_dense_end", args=(sums, Arg("output", "0")), macs=0, when="output")
        return [add, end]

    def dequantized(self) -> Op:
        op = self.op
        weights = self.block.real(self.x.scale_for(op.columns)).reshape(op.weights.shape)
        unit = self.formats[0].scale_for(op.rows) / 2**SUM_SHIFT
        zero = weights.sum(0) @ (self.x.zero * self.x.scale_for(op.columns))
        return replace(op, weights=weights, bias=self.start * unit + zero)


def over_window(node: Node, trace: Tracer, x: Traced, weights: Floats, bias: Floats) -> Traced:
    """The result of a layer ``weights [rows, elements]`` over a tensor that holds a whole window."""
    stream = x.flat
    assert stream is not None and stream.time is not None
    if weights.shape[1] != int(np.prod(stream.shape, dtype=np.int64)):
        trace.refuse(node, f"has {weights.shape[1]} columns for {list(stream.shape)}")
    rows = len(weights)
    by_step = np.moveaxis(weights.reshape(rows, *stream.shape), stream.time + 1, 0).reshape(
        stream.shape[stream.time], rows, -1
    )
    traced = Traced((*x.shape[:-1], rows), "last")
    op = trace.add(node, WindowDense, [stream.value], weights=by_step, bias=bias, shape=traced.frame)
    return replace(traced, value=op.outputs[0])
