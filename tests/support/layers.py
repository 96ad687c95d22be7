"""Small layers for tests of the front end, and the check that what is imported equals the file."""

from __future__ import annotations

import numpy as np

from rnnc.options import Options
from tests.support.graphs import Builder
from tests.support.imports import import_error, kinds

X, H, T = 3, 4, 9
LIMIT = 1e-5


def layer(
    b: Builder, kind: str, x: str, initial: tuple[str, ...] = (), columns: int = X, **attributes: object
) -> list[str]:
    """An LSTM, GRU or RNN over ``[time, 1, columns]``; its outputs Y, Y_h and, for an LSTM, Y_c."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    w, r, bias = (b.const(b.weights(1, gates * H, n)) for n in (columns, H, 2))
    bias = b.const(b.weights(1, 2 * gates * H))
    outputs = 3 if kind == "LSTM" else 2
    return b.ops(kind, outputs, x, w, r, bias, *(["", *initial] if initial else []), hidden_size=H, **attributes)


def squeezed(b: Builder, y: str, axis: int = 1) -> str:
    """y without an axis of length 1."""
    return b.op("Squeeze", y, b.const(np.array([axis])))


def check(model: bytes, options: Options | None = None) -> list[str]:
    """The kinds of the ops that a model becomes, having checked that they equal it."""
    error, net = import_error(model, options)
    assert error < LIMIT
    return kinds(net)
