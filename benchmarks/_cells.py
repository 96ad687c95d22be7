"""Recurrent cells of given sizes with random weights, compiled without a model file: what the benchmarks measure."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np

import rnnc.ops  # noqa: F401
from rnnc.backend.emit import Golden, emit
from rnnc.backend.lower import lower
from rnnc.backend.program import Program
from rnnc.fixed import Floats
from rnnc.net import Net, Op, Output, Value
from rnnc.ops.gru import Gru
from rnnc.ops.lstm import Lstm
from rnnc.ops.rnn import Rnn
from rnnc.options import Options, Precision
from rnnc.qnet import QNet
from rnnc.quantization.calibrate import calibrate
from rnnc.quantization.certify import certify
from rnnc.quantization.quantize import quantize
from rnnc.streams import run_qnet
from rnnc.tracing import InitialState

Cell = Literal["lstm", "gru", "rnn"]
SIZES = ((10, 20), (16, 32), (32, 64), (64, 128))
"""(input, hidden) of the published comparisons."""
EXTREMES = (-32768, 32767, 0, -1, 1)


def cell_net(cell: Cell, columns: int, hidden: int, seed: int = 0) -> Net:
    """One layer with uniform weights within +-1/sqrt(hidden), as the usual initialisation has them."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> Floats:
        return np.asarray(rng.uniform(-1, 1, shape) / np.sqrt(hidden))

    zero = InitialState(np.zeros(hidden))
    op: Op
    if cell == "lstm":
        w, r, b = draw(4, hidden, columns), draw(4, hidden, hidden), draw(4, hidden)
        op = Lstm("lstm0", ("x",), ("y",), w, r, b, zero, zero)
    elif cell == "gru":
        w, r = draw(3, hidden, columns), draw(3, hidden, hidden)
        op = Gru("gru0", ("x",), ("y",), w, r, draw(3, hidden), draw(3, hidden), zero, reset_after=True)
    else:
        op = Rnn("rnn0", ("x",), ("y",), draw(hidden, columns), draw(hidden, hidden), draw(hidden), zero)
    return Net(f"{cell}_{columns}_{hidden}", (Value("x", (columns,)),), (op,), (Output("y", "y"),))


@cache
def cell_qnet(
    cell: Cell, columns: int, hidden: int, precision: Precision = "a16", seed: int = 0, wide: tuple[str, ...] = ()
) -> QNet:
    """``cell_net`` in integers, data-free, proven free of overflow.

    ``wide``: blocks of int16 weights, "c.x" for those of an LSTM's gate c over x, "" for all.
    """
    blocks = tuple(f"{cell}0.{block}" if block else f"{cell}0" for block in wide)
    net, options = cell_net(cell, columns, hidden, seed), Options(precision=precision, weights="8", wide=blocks)
    qnet = quantize(net, calibrate(net, None, options), options)
    certify(qnet)
    return qnet


def package(
    qnet: QNet, target: str, steps: int = 12, seed: int = 1, *, many: bool = False
) -> tuple[Program, dict[str, str]]:
    """The package for a target; its self-test has noise and the extremes of int16 as input. ``many``: with NAME_step_many."""
    rng = np.random.default_rng(seed)
    inputs = {}
    for v in qnet.inputs:
        x = np.clip(np.round(rng.standard_normal((steps, 1, v.size)) * 4096), -32768, 32767).astype(np.int64)
        for step, extreme in enumerate(EXTREMES[: max(0, steps - 4)]):
            x[2 + step] = extreme
        inputs[v.name] = x.reshape(steps, 1, *v.shape)
    outputs = run_qnet(qnet, inputs)
    program = lower(qnet, target, many=many)
    golden = Golden({k: v[:, 0] for k, v in inputs.items()}, {k: v[:, 0] for k, v in outputs.items()})
    return program, emit(program, golden)
