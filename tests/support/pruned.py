"""Networks whose weights are zero in blocks of four rows and columns, as pruning leaves them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rnnc.net import Net, Op, Output, Value
from rnnc.ops.dense import Dense
from rnnc.ops.gru import Gru
from rnnc.ops.lstm import Lstm
from rnnc.ops.rnn import Rnn
from rnnc.options import Options, Precision
from rnnc.qnet import QNet
from rnnc.tracing import InitialState
from tests.support.nets import noise, to_integers

Array = np.ndarray[Any, Any]


def prune(weights: Array, rng: np.random.Generator, share: float) -> Array:
    """``[..., rows, columns]`` with so many of the blocks of each matrix zero."""
    rows, columns = weights.shape[-2:]
    result = weights.reshape(-1, rows, columns).copy()
    for matrix in result:
        blocks = np.ones(-(-rows // 4) * (columns // 4), np.bool_)
        blocks[rng.permutation(len(blocks))[: round(share * len(blocks))]] = False
        kept = np.repeat(np.repeat(blocks.reshape(-1, columns // 4), 4, 0), 4, 1)
        matrix[:, : kept.shape[1]] *= kept[:rows]
    return np.asarray(result.reshape(weights.shape))


def dense(rows: int, columns: int, share: float, seed: int = 0) -> Net:
    """A layer."""
    rng = np.random.default_rng(seed)
    w = prune(rng.standard_normal((rows, columns)) / np.sqrt(columns), rng, share)
    layer = Dense("d", ("x",), ("y",), w, rng.standard_normal(rows), shape=(rows,))
    return Net("net", (Value("x", (columns,)),), (layer,), (Output("y", "y"),))


def layers(share: float = 0.6, columns: int = 36, units: int = 10) -> Net:
    """A Dense layer, an LSTM, a GRU of either kind, and an RNN, one after the other."""
    rng = np.random.default_rng(1)
    full = 4 * units

    def draw(*shape: int) -> Array:
        return prune(rng.standard_normal(shape) / np.sqrt(shape[-1]), rng, share)

    zero = InitialState(np.zeros(full))
    g = (3, full)
    ops: tuple[Op, ...] = (
        Dense("d", ("x",), ("v0",), draw(full - 2, columns), np.zeros(full - 2), shape=(full - 2,)),
        Lstm("lstm0", ("v0",), ("v1",), draw(4, full, full - 2), draw(4, full, full), np.zeros((4, full)), zero, zero),
        Gru("gru0", ("v1",), ("v2",), draw(*g, full), draw(*g, full), np.zeros(g), np.zeros(g), zero, True),
        Gru("gru1", ("v2",), ("v3",), draw(*g, full), draw(*g, full), np.zeros(g), np.zeros(g), zero, False),
        Rnn("rnn0", ("v3",), ("y",), draw(full, full), draw(full, full), np.zeros(full), zero),
    )
    return Net("layers", (Value("x", (columns,)),), ops, (Output("y", "y"),))


def quantized(net: Net, precision: Precision = "a16", *, calibrated: bool = True) -> QNet:
    """In integers."""
    return to_integers(net, noise(net, 64, 0) if calibrated else None, Options(precision=precision))


def everything_sparse(qnet: QNet) -> QNet:
    """With all int8 rows sparse whose columns are whole blocks, whatever it costs."""
    choose = lambda rows, _: tuple(one.shape[1] % 4 == 0 for one, _ in rows)  # noqa: E731
    return replace(qnet, ops=tuple(op.without_zeros(choose) for op in qnet.ops))
