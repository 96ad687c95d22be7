"""Files whose recurrent layers run inside a frame: over bands with a state each, and along an axis of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tests.support.graphs import Builder
from tests.support.supported import Form

BANDS, COLUMNS, HIDDEN = 5, 3, 4
GATES = {"GRU": 3, "LSTM": 4, "RNN": 1}


def layer(b: Builder, kind: str, x: str, columns: int, starts: tuple[str, ...] = (), **attributes: Any) -> list[str]:
    """A recurrent node over x; Y, Y_h (and Y_c)."""
    directions, rows = 2 if attributes.get("direction") == "bidirectional" else 1, GATES[kind] * HIDDEN
    weights = [b.const(b.weights(directions, rows, n)) for n in (columns, HIDDEN)]
    bias = b.const(b.weights(directions, 2 * rows, scale=0.2))
    outputs = 3 if kind == "LSTM" else 2
    inputs = [x, *weights, bias, *(["", *starts] if starts else [])]
    return b.ops(kind, outputs, *inputs, hidden_size=HIDDEN, **attributes)


def shaped(b: Builder, x: str, *shape: int) -> str:
    """x in another shape."""
    return b.op("Reshape", x, b.const(np.array(shape)))


def dual_path(intra: str = "GRU", inter: str = "GRU", **attributes: Any) -> bytes:
    """One step: a layer both ways along the bands, one over time on each of them, whose states are inputs."""
    b = Builder()
    y, *_ = layer(b, intra, "x", COLUMNS, direction="bidirectional", **attributes)
    z = shaped(b, b.op("Transpose", y, perm=[2, 0, 1, 3]), 1, BANDS, 2 * HIDDEN)
    states = ("h", "c") if inter == "LSTM" else ("h",)
    h, *last = layer(b, inter, z, 2 * HIDDEN, states, **attributes)
    b.op("MatMul", b.op("Squeeze", h, b.const(np.array([1]))), b.const(b.weights(HIDDEN, 2)), out="y")
    outputs = [b.op("Identity", name, out=f"{state}_out") for state, name in zip(states, last, strict=True)]
    return b.model({"x": [BANDS, 1, COLUMNS], **{s: [1, BANDS, HIDDEN] for s in states}}, ["y", *outputs])


def along(kind: str = "GRU", **attributes: Any) -> bytes:
    """Time is the batch of a layer along the bands."""
    b = Builder()
    y, *_ = layer(b, kind, "x", COLUMNS, **attributes)
    rows = HIDDEN * (2 if attributes.get("direction") == "bidirectional" else 1)
    if attributes.get("layout"):
        b.op("MatMul", shaped(b, y, -1, BANDS * rows), b.const(b.weights(BANDS * rows, 2)), out="y")
        return b.model({"x": ["time", BANDS, COLUMNS]}, ["y"])
    z = shaped(b, b.op("Transpose", y, perm=[2, 0, 1, 3]), -1, BANDS * rows)
    b.op("MatMul", z, b.const(b.weights(BANDS * rows, 2)), out="y")
    return b.model({"x": [BANDS, "time", COLUMNS]}, ["y"])


def last_of_frame() -> bytes:
    """What a layer along the bands gives for the last of them, from a constant state."""
    b = Builder()
    start = b.const(np.linspace(-0.5, 0.5, HIDDEN).reshape(1, 1, HIDDEN))
    steps = b.op("Slice", b.op("Shape", "x"), *(b.const(np.array([k])) for k in (1, 2)))
    start = b.op("Expand", start, b.op("Concat", steps, b.const(np.array([1])), axis=0))
    b.op("MatMul", layer(b, "RNN", "x", COLUMNS, (start,))[1], b.const(b.weights(HIDDEN, 2)), out="y")
    return b.model({"x": [BANDS, "time", COLUMNS]}, ["y"])


def groups_of_bands() -> bytes:
    """One step: along the bands of two groups side by side, then over time on each group."""
    b = Builder()
    y, *_ = layer(b, "GRU", "x", COLUMNS)
    z = shaped(b, b.op("Transpose", y, perm=[1, 2, 0, 3]), 1, 2, BANDS * HIDDEN)
    h, last = layer(b, "GRU", z, BANDS * HIDDEN, ("h",))
    b.op("MatMul", b.op("Squeeze", h, b.const(np.array([1]))), b.const(b.weights(HIDDEN, 2)), out="y")
    return b.model({"x": [BANDS, 2, COLUMNS], "h": [1, 2, HIDDEN]}, ["y", b.op("Identity", last, out="h_out")])


def mixed_bands() -> bytes:
    """A sequence of frames whose bands depend on each other, and start from states of their own."""
    b = Builder()
    x = b.op("Sub", "x", b.op("ReduceMean", "x", b.const(np.array([1])), keepdims=1))
    start = b.const(np.linspace(-0.8, 0.8, BANDS * HIDDEN).reshape(1, BANDS, HIDDEN))
    y, *_ = layer(b, "GRU", x, COLUMNS, (start,))
    b.op("MatMul", y, b.const(b.weights(HIDDEN, 2)), out="y")
    return b.model({"x": [8, BANDS, COLUMNS]}, ["y"])


FILES: Mapping[str, Callable[[], bytes]] = {
    "dual_path": dual_path,
    "dual_path_lstm": lambda: dual_path("LSTM", "LSTM"),
    "dual_path_rnn": lambda: dual_path("RNN", "RNN"),
    "reset_after": lambda: dual_path(linear_before_reset=1),
    "along": along,
    "along_both_ways": lambda: along("LSTM", direction="bidirectional"),
    "along_backwards": lambda: along(direction="reverse"),
    "along_layout_1": lambda: along("RNN", layout=1),
    "last_of_frame": last_of_frame,
    "groups_of_bands": groups_of_bands,
    "mixed_bands": mixed_bands,
}


def forms() -> list[Form]:
    """The rows of docs/supported.md."""
    both = "dual path: along the bands, then over time with a state for each"
    return [
        Form("GRU", "along an axis of the frame, time as batch", along),
        Form("GRU", "along an axis of the frame, bidirectional", lambda: along(direction="bidirectional")),
        Form("GRU", both, dual_path),
        Form("LSTM", both, lambda: dual_path("LSTM", "LSTM")),
    ]
