"""Networks some of whose rows hold int16 weights: chosen at random, as fine as their accumulators allow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rnnc.net import Net, Op, Output, Value
from rnnc.ops.conv import QConv
from rnnc.ops.dense import Dense, QDense
from rnnc.ops.gate_rows import Apart, GateRows, Part
from rnnc.ops.gru import Gru
from rnnc.ops.lstm import Lstm
from rnnc.ops.start import QStarted
from rnnc.ops.units import QRecurrent
from rnnc.ops.window_dense import QWindowDense
from rnnc.options import Options, Precision
from rnnc.qnet import QNet, QOp
from rnnc.quantization.certify import certify
from rnnc.rows import Block, OneBlock, RowScale, TwoBlock
from rnnc.tracing import InitialState
from tests.support.nets import to_integers

Array = np.ndarray[Any, Any]
MOST_BITS, MOST_SHIFT = 8, 24
"""Of more precision than int8; of the shift before a row's multiplication."""
REACH = 2**31 - 2**17 - 2**26
"""What weights and bias may reach; the rest is left for rounding."""


def widened(qnet: QNet, rng: np.random.Generator, share: float = 0.5) -> QNet:
    """The network with each row of a unit, over each operand, wide with a chance of ``share``; certified."""
    result = replace(qnet, ops=tuple(_op(op, rng, share) for op in qnet.ops))
    certify(result)
    return result


def wide_functions(qnet: QNet) -> list[str]:
    """The kernels of rows of int16 weights that a network calls: functions of runtime_c, and texts of its own."""
    calls = [call for op in qnet.ops for call in op.calls()]
    return [c.function for c in calls if c.function.endswith("_wide")] + [
        c.source for c in calls if "rnnc_product_wide" in c.source
    ]


def ragged(precision: Precision = "a16") -> QNet:
    """Dense layers with 1 to 19 columns, all rows wide, then an LSTM and a GRU with some."""
    rng, most = np.random.default_rng(0), 20

    def draw(*shape: int) -> Array:
        return np.asarray(rng.standard_normal(shape) / np.sqrt(shape[-1]))

    ops: list[Op] = []
    for n in range(1, most):
        x = ops[-1].outputs[0] if ops else "x"
        ops.append(Dense(f"d{n}", (x,), (f"y{n}",), draw(n + 1, n), draw(n + 1), shape=(n + 1,)))
    zero = [InitialState(np.zeros(n)) for n in (7, 5)]
    w, r, b = draw(4, 7, most), draw(4, 7, 7), draw(4, 7)
    ops.append(Lstm("lstm0", (ops[-1].outputs[0],), ("h0",), w, r, b, zero[0], zero[0]))
    ops.append(Gru("gru0", ("h0",), ("h1",), draw(3, 5, 7), draw(3, 5, 5), draw(3, 5), draw(3, 5), zero[1], True))
    net = Net("ragged", (Value("x", (1,)),), tuple(ops), (Output("y", "h1"),))
    qnet = to_integers(net, options=Options(precision=precision))
    dense = [_op(op, rng, 1.0) for op in qnet.ops[:-2]]
    result = replace(qnet, ops=(*dense, *(_op(op, rng, 0.5) for op in qnet.ops[-2:])))
    certify(result)
    return result


def lengthy(columns: int, precision: Precision = "a16") -> QNet:
    """Three rows of many columns over the same input: of int8 weights, and of int16."""
    rng = np.random.default_rng(columns)
    w = rng.standard_normal((2, 3, columns)) / np.sqrt(columns)
    layers = [Dense(name, ("x",), (name,), w[i], np.zeros(3), shape=(3,)) for i, name in enumerate(("d0", "d1"))]
    net = Net("lengthy", (Value("x", (columns,)),), tuple(layers), (Output("d0", "d0"), Output("d1", "d1")))
    qnet = to_integers(net, options=Options(precision=precision))
    result = replace(qnet, ops=tuple(_op(op, rng, 1.0) if "d1" in op.op.outputs else op for op in qnet.ops))
    certify(result)
    return result


def _op(op: QOp, rng: np.random.Generator, share: float) -> QOp:
    if isinstance(op, QStarted):
        return replace(op, layer=_op(op.layer, rng, share))
    if isinstance(op, QRecurrent):
        return replace(op, loops=tuple(_loop(loop, op.input_format.zero, rng, share) for loop in op.loops))
    if isinstance(op, QDense) and rng.random() < share:
        return replace(op, rows=_one(op.rows, _every(op.rows.block), op.input_format.zero, rng))
    if isinstance(op, QConv) and rng.random() < share:
        return replace(op, rows=tuple(_one(r, _every(r.block), op.input_format.zero, rng) for r in op.rows))
    if isinstance(op, QWindowDense) and rng.random() < share:
        return replace(op, block=_block(op.block, np.zeros(len(op.block.weights), np.int64), _every(op.block), rng))
    return op


def _every(block: Block) -> Array:
    return np.ones(len(block.weights), np.bool_)


def _loop(loop: GateRows, zero: float, rng: np.random.Generator, share: float) -> GateRows:
    return replace(loop, parts=tuple((name, _part(part, loop.units, zero, rng, share)) for name, part in loop.parts))


def _part(part: Part, units: int, zero: float, rng: np.random.Generator, share: float) -> Part:
    def chosen(block: Block) -> Array:
        return np.tile(rng.random(len(block.weights) // units) < share, units)

    if isinstance(part, Apart):
        return Apart(_one(part.x, chosen(part.x.block), zero, rng), _one(part.h, chosen(part.h.block), 0, rng))
    if isinstance(part, OneBlock):
        return _one(part, chosen(part.block), 0, rng)
    x, h = _block(part.x, part.bias, chosen(part.x), rng), _block(part.h, part.bias * 0, chosen(part.h), rng)
    rows = TwoBlock.build(x, h, part.real_bias(zero), zero, part.shift)
    if rows.representable:
        return rows
    return replace(part, x=replace(part.x, wide=x.wide), h=replace(part.h, wide=h.wide))


def _one(rows: OneBlock, wide: Array, zero: float, rng: np.random.Generator) -> OneBlock:
    built = OneBlock.build(_block(rows.block, rows.bias, wide, rng), rows.real_bias(zero), zero, rows.shift)
    return built if built.representable else replace(rows, block=replace(rows.block, wide=wide))


def _block(block: Block, bias: Array, wide: Array, rng: np.random.Generator) -> Block:
    """Rows with more bits, random ones below those that they had, where they are wide."""
    s, bits = block.scale, np.zeros(len(wide), np.int64)
    for more in range(1, MOST_BITS + 1):
        weights = (np.abs(block.weights) << more) + (1 << more >> 1)
        fits = (weights.max(1, initial=0) <= 32767) & (s.p + more <= MOST_SHIFT)
        fits &= weights.sum(1) * block.operand_max + (np.abs(bias) << more) < REACH
        bits = np.where(fits & wide, more, bits)
    half = (1 << bits[:, None]) >> 1
    weights = (block.weights << bits[:, None]) + rng.integers(-half, half + 1, block.weights.shape)
    scale = RowScale(s.accumulator / 2.0**bits, s.m, s.p + bits)
    return Block(weights, scale, block.operand_max, wide)
