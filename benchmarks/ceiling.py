"""What holds the accuracy once all weights are int16: each part of the arithmetic in float by itself, the others in integers.

python benchmarks/ceiling.py [NET.onnx ...] [--steps 1200] [--write]

For each NET.onnx its NET.calib.npz and NET.test.npz are read; without names, some of $RNNC_SHARED. The integers are modelled in
float64 with a rounding at each place; the first two columns show that the model is near the oracle. dB against the same
weights in float, at the worst output. --write puts the table into docs/numerics.md.
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _page import markdown, put

from rnnc import fixed
from rnnc.activations import SIGMOID, TANH, Activation
from rnnc.compiler import Compilation, compile_stages
from rnnc.fixed import GATE_FRACTION, Floats, Format
from rnnc.net import Array, Net, Op
from rnnc.ops.squash import Squash
from rnnc.ops.units import QRecurrent
from rnnc.options import Options
from rnnc.qnet import QOp
from rnnc.streams import run_net, run_qnet
from rnnc.verification.metrics import sqnr_db

PARTS = ("inputs", "preactivations", "tables", "hidden states", "stored values")
DEFAULT = ("nets/temps_gru16", "nets/temps_rnn16", "nets/slow_gru16", "nets/jv_gru32", "models/dtln_model_1")
UNIT = 2.0**-GATE_FRACTION
Call = Callable[[Floats], Floats]


def table(kind: str, p: Floats) -> Floats:
    """The integer sigmoid or tanh at preactivations that need not be whole numbers of 2^-12, in real numbers."""
    function = fixed.tanh if kind == "tanh" else fixed.sigmoid
    at = np.clip(p / UNIT, -fixed.TANH_MAX + 1, fixed.TANH_MAX - 1)
    low = np.floor(at).astype(np.int64)
    left, right = function(low), function(low + 1)
    return np.asarray((left + (right - left) * (at - low)) / 32768)


def squashing(f: Activation, on: frozenset[str]) -> Call:
    """An activation with what is rounded of it."""

    def call(p: Floats) -> Floats:
        p = np.round(p / UNIT) * UNIT if "preactivations" in on else p
        return table(f.name, p) if "tables" in on else f(p)

    return call if f in (SIGMOID, TANH) else f


def changed(op: Op, change: Callable[[Sequence[Array], dict[str, Array], list[Array]], list[Array]]) -> Op:
    """The op, each of whose steps goes on with what ``change`` makes of its inputs, states and results."""

    def step(self: Any, inputs: Sequence[Array], state: dict[str, Array], tick: int, *probe: Any) -> list[Array]:
        return change(inputs, state, list(original(self, inputs, state, tick, *probe) or []))

    original, other = type(op).step, copy.copy(op)
    object.__setattr__(other, "__class__", type(type(op).__name__, (type(op),), {"step": step}))
    return other


def rounded(form: Format, x: Floats) -> Floats:
    """x as the nearest integers of a format, in real units."""
    return np.asarray(form.dequantize(form.quantize(x)))


def in_parts(op: Op, q: QOp, on: frozenset[str]) -> Op:
    """An op in float but for the parts ``on``."""
    if isinstance(q, QRecurrent):
        for name in ("activation", "activations"):
            f = getattr(op, name, None)
            if f is not None:
                parts: Any = squashing(f, on) if name == "activation" else tuple(squashing(g, on) for g in f)
                op = replace(op, **{name: parts})
        h, key = q.h.full, f"{op.name}_h"

        def hold(_: Sequence[Array], state: dict[str, Array], ys: list[Array]) -> list[Array]:
            state[key] = rounded(h, state[key])
            return [state[key], *ys[1:]]

        return changed(op, hold) if "hidden states" in on else op
    if isinstance(op, Squash):
        function = op.function
        return changed(op, lambda xs, _, ys: [table(function, xs[0])]) if "tables" in on else op
    formats = q.formats
    if "stored values" not in on or any(f.index for f in formats):
        return op
    return changed(op, lambda _, __, ys: [rounded(f, y) for f, y in zip(formats, ys, strict=False)])


def modelled(done: Compilation, on: frozenset[str]) -> Net:
    """The network of rounded weights, in float but for the parts ``on``."""
    quantized = {q.name: q for q in done.qnet.ops}
    net = done.qnet.dequantized()
    return replace(net, ops=tuple(in_parts(op, quantized[op.name], on) for op in net.ops))


def worst(want: dict[str, Array], got: dict[str, Array]) -> float:
    """dB of the worst output, pooled over its channels."""
    found = [sqnr_db(r.reshape(len(r), -1), got[n].reshape(len(r), -1)) for n, r in want.items()]
    return min(db for db in found if db is not None)


def measured(model: Path, steps: int) -> list[float]:
    """dB of the oracle, of the model, and of the model with each part in float."""
    calibration, test = (dict(np.load(model.with_suffix(f".{k}.npz"))) for k in ("calib", "test"))
    done = compile_stages(model, calibration, Options(weights="16"))
    net, qnet = done.qnet.dequantized(), done.qnet
    frames = compile_stages(model, test, Options(weights="8")).data.sequences
    x = {v.name: np.asarray(frames[v.name][0][:steps], np.float64)[:, None] for v in net.inputs}
    integers = {v.name: qnet.formats[v.name].quantize(x[v.name]) for v in net.inputs}
    held = {n: qnet.formats[n].dequantize(i) for n, i in integers.items()}
    want = run_net(net, x)
    oracle = run_qnet(qnet, integers)
    formats = {o.name: qnet.formats[o.value] for o in qnet.outputs}
    row = [worst(want, {n: formats[n].dequantize(y) for n, y in oracle.items()})]
    for left in ("", *PARTS):
        on = frozenset(PARTS) - {left}
        row.append(worst(want, run_net(modelled(done, on), held if "inputs" in on else x)))
    return row


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--write", action="store_true", help="write the table into docs/numerics.md")
    asked = parser.parse_args()
    if not asked.models and "RNNC_SHARED" not in os.environ:
        print("left out: name networks, or set RNNC_SHARED", file=sys.stderr)
        return
    shared = Path(os.environ.get("RNNC_SHARED", ""))
    heads = ("network", "oracle", "model", *(f"float {part}" for part in PARTS))
    found = []
    for model in asked.models or [shared / f"{name}.onnx" for name in DEFAULT]:
        found.append([model.stem, *(f"{db:.1f}" for db in measured(model, asked.steps))])
        print(" | ".join(found[-1]), file=sys.stderr)
    table = markdown(heads, found)
    if asked.write:
        put("ceiling.py", table)
    print(table)


if __name__ == "__main__":
    main()
