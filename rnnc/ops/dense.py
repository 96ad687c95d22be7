"""Dense: ``y = W x + b`` over the last axis of a value (ONNX Gemm, or MatMul with a constant and Add), and a fused ReLU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rnnc.fixed import Floats, Format
from rnnc.interval import Interval
from rnnc.net import Accept, Array, Op, Probe, Quantizer, States, Value, no_probe
from rnnc.ops.affine import Affine
from rnnc.ops.clip import Clip
from rnnc.ops.extended_dense import QExtendedDense
from rnnc.ops.gate_rows import all_wide, layer_rows, one_block_bounds
from rnnc.ops.window_dense import over_window
from rnnc.qnet import Arg, Bound, ChooseSparse, Constant, KernelCall, Operand, QOp
from rnnc.rows import OneBlock
from rnnc.tracing import Node, Traced, Tracer, handles


@dataclass(frozen=True, eq=False)
class Dense(Op):
    """A fully connected layer, applied at each position of the leading axes.

    Args:
        weights: ``[rows, columns]``.
        bias: ``[rows]``.
        relu: clip at 0.
        shape: of the output: ``[*positions, rows]``, axes of length 1 left out.
        whole: read all bits of extended values, with weights of 32 bits.

    Inputs: x, ``columns`` elements at each position.
    """

    weights: Floats
    bias: Floats
    shape: tuple[int, ...]
    relu: bool = False
    whole: bool = False
    kind: ClassVar[str] = "dense"
    linear: ClassVar[bool] = True

    @property
    def by_element(self) -> bool:
        return self.positions == 1

    @property
    def extends(self) -> bool:
        return True

    @property
    def reads_extended(self) -> bool:
        return self.whole

    @property
    def rows(self) -> int:
        """Number of outputs at a position."""
        return int(self.weights.shape[0])

    @property
    def columns(self) -> int:
        """Number of inputs at a position."""
        return int(self.weights.shape[1])

    @property
    def positions(self) -> int:
        """How often it is applied in a step."""
        return int(np.prod(self.shape, dtype=np.int64)) // self.rows

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        assert inputs[0].size == self.positions * self.columns, f"{self.name}: {inputs[0].shape}"
        return [Value("", self.shape, clock=inputs[0].clock)]

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        y = inputs[0].reshape(*inputs[0].shape[:2], self.positions, self.columns) @ self.weights.T + self.bias
        return [np.maximum(y, 0) if self.relu else y]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        lo, hi = (side.reshape(self.positions, self.columns) for side in (inputs[0].lo, inputs[0].hi))
        up, down = np.maximum(self.weights, 0).T, np.minimum(self.weights, 0).T
        low, high = lo @ up + hi @ down + self.bias, hi @ up + lo @ down + self.bias
        if self.relu:
            low, high = np.maximum(low, 0), np.maximum(high, 0)
        return [Interval(low.ravel(), high.ravel())]

    def absorb(self, reader: Op) -> Op | None:
        """Take in a ReLU."""
        if isinstance(reader, Clip) and reader.is_relu:
            return replace(self, outputs=reader.outputs, relu=True)
        return None

    def scaled(self, reader: Affine) -> Dense | None:
        """This layer and a gain and offset that follow, which are the same at all positions; None where they are not."""
        unlimited = not self.relu and bool(np.isinf([reader.lo, reader.hi]).all())
        if not unlimited or reader.operand != reader.shape or int(np.prod(reader.shape)) != self.positions * self.rows:
            return None
        gain, offset = (np.broadcast_to(c, reader.shape).reshape(-1, self.rows) for c in (reader.gain, reader.offset))
        if np.any(gain != gain[0]) or np.any(offset != offset[0]):
            return None
        weights, bias = self.weights * gain[0][:, None], self.bias * gain[0] + offset[0]
        return replace(self, outputs=reader.outputs, weights=weights, bias=bias)

    def less(self, offsets: Sequence[Floats]) -> tuple[Op, Floats | None] | None:
        """The bias takes what is the same at all positions."""
        by_position = offsets[0].reshape(self.positions, self.columns)
        if np.any(by_position != by_position[0]):
            return None
        return replace(self, bias=self.bias + self.weights @ by_position[0]), None

    def accepts(self, index: int) -> Accept:
        return "any" if self.positions == 1 else "common"

    def column_weights(self, index: int) -> Floats | None:
        return self.weights if self.positions == 1 else None

    def quantize(self, q: Quantizer) -> QOp:
        x = q.input(0)
        if extended := q.extended():
            weights, bias = self.weights, self.bias
            return QExtendedDense(self, self.inputs, (extended,), weights, bias, self.positions, x, self.relu)
        largest = (max(x.hi - x.zero, x.zero - x.lo) * x.scale_for(self.positions * self.columns)).reshape(
            -1, self.columns
        )
        reach = (largest @ np.abs(self.weights).T + np.abs(self.bias)).ravel()
        y = q.output(rows=True, axis=-1, nonnegative=self.relu, reach=reach)
        target = np.array(y.scale_for(self.positions * self.rows)[: self.rows])
        samples = q.samples(0)
        samples = None if samples is None else samples.reshape(-1, self.columns)
        part = (self.weights, x.scale_for(self.columns), x.amax, samples)
        (block,), correction = q.round_rows([part], target, self.bias, x.zero)
        return QDense(self, self.inputs, (y,), OneBlock.build(block, self.bias + correction, x.zero), x)

    def describe(self) -> str:
        at = f" at {self.positions} positions" if self.positions > 1 else ""
        return f"Dense {self.columns} -> {self.rows}{at}{', ReLU' if self.relu else ''}"


@dataclass(frozen=True, eq=False)
class QDense(QOp):
    """int32 accumulators, requantized to the output's LSB, saturated to its range; ``sparse``: see ``QOp.without_zeros``."""

    op: Dense
    rows: OneBlock
    input_format: Format
    sparse: bool = False

    @property
    def limits(self) -> tuple[int, int]:
        """What the output is clipped to."""
        y = self.formats[0]
        return (y.zero_point if self.op.relu else y.lo), y.hi

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x = inputs[0].reshape(*inputs[0].shape[:2], self.op.positions, self.op.columns)
        return [np.clip(self.rows(x, f"{self.name}.rows") + self.formats[0].zero_point, *self.limits)]

    def bounds(self) -> list[Bound]:
        return one_block_bounds(self.name, "rows", self.rows)

    def calls(self) -> list[KernelCall]:
        return [
            dense_call(
                self.name,
                self.rows,
                self.op.positions,
                self.input_format,
                self.formats[0],
                self.limits,
                INPUT,
                OUTPUT,
                sparse=self.sparse,
            )
        ]

    def without_zeros(self, choose: ChooseSparse) -> QOp:
        block = self.rows.block
        return (
            self
            if all_wide(block)
            else replace(self, sparse=choose([(block.weights, self.input_format.bits)], False)[0])
        )

    def dequantized(self) -> Op:
        return replace(
            self.op,
            weights=self.rows.block.real(self.input_format.scale_for(self.op.columns)),
            bias=self.rows.real_bias(self.input_format.zero),
        )


INPUT, OUTPUT = Arg("input", "0"), Arg("output", "0")


def dense_call(
    name: str,
    rows: OneBlock,
    positions: int,
    x: Format,
    y: Format,
    limits: tuple[int, int],
    operand: Arg,
    result: Arg,
    *,
    sparse: bool = False,
) -> KernelCall:
    """The kernel call of rows over each position of ``operand``."""
    weights, s = rows.block.weights, rows.block.scale
    return KernelCall(
        "rnnc_dense_wide" if all_wide(rows.block) else "rnnc_dense_sparse" if sparse else "rnnc_dense",
        "dense.h",
        "rnnc_dense_params",
        (
            ("weights", layer_rows(f"{name}_w", rows.block, "[rows][columns]", sparse=sparse)),
            ("bias", Constant(f"{name}_b", "int32_t", rows.bias, "[rows]")),
            ("scale", Constant(f"{name}_s", "rnnc_scale1", np.stack([s.m, s.p], 1), "[rows] multipliers and shifts")),
            ("columns", weights.shape[1]),
            ("rows", weights.shape[0]),
            ("positions", positions),
            ("x_bits", x.bits),
            ("y_bits", y.bits),
            ("zero_point", y.zero_point),
            ("lo", limits[0]),
            ("hi", limits[1]),
        ),
        (operand, Arg("scratch", "v"), result),
        (Operand("v", weights.shape[1], x.bits, borrowed=True),),
        macs=positions * weights.size,
    )


@handles("Dense")
def from_node(node: Node, trace: Tracer) -> None:
    """The canonical form that simplification gives Gemm and MatMul + Add: inputs x, W ``[rows, columns]``, b ``[rows]``."""
    x, weights, bias = trace.input(node, 0), trace.constant(node, 1), trace.constant(node, 2)
    assert x is not None and weights is not None
    rows, columns = weights.shape
    bias = np.zeros(rows) if bias is None else np.broadcast_to(np.asarray(bias, np.float64), (rows,))
    if x.flat is not None:
        trace.result(node, 0, over_window(node, trace, x, np.asarray(weights, np.float64), bias))
        return
    if x.time == len(x.shape) - 1 or x.shape[-1] != columns:
        trace.refuse(node, f"multiplies along the last axis of {list(x.shape)}, which is not the features' axis")
    shape = (*x.shape[:-1], rows)
    traced = Traced(shape, x.kind, x.time)
    op = trace.add(node, Dense, [x.value], weights=np.asarray(weights, np.float64), bias=bias, shape=traced.frame)
    trace.result(node, 0, replace(traced, value=op.outputs[0]))
