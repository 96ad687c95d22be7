"""The integers against onnxruntime's own dynamic int8, weights per channel: dB from float, and how well each does its task.

python benchmarks/against_onnxruntime.py [NET.onnx ...] [--steps 2000] [--write]

For each NET.onnx its NET.calib.npz and NET.test.npz are read; without names, some of $RNNC_SHARED. Labels in the test data
(an array `label`) are scored for all. onnxruntime quantizes LSTM, MatMul and Gemm; it leaves GRU and RNN in float. --write puts
the tables into docs/numerics.md.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from _page import markdown, put

from rnnc.compiler import compile_stages
from rnnc.data import read_data
from rnnc.options import Options, Weights
from rnnc.package import input_frames
from rnnc.verification.metrics import difference
from rnnc.verification.reference import Points, run_reference
from rnnc.verification.score import Score, Task
from rnnc.verification.session import Session
from rnnc.verification.task import task, wanted
from rnnc.verification.verify import Measurement, OutputFigures, measure

WIDTHS: tuple[Weights, ...] = ("8", "auto", "16")
HEADS = ("network", "onnxruntime int8", *(f"`--weights {w}`" for w in WIDTHS))
TASK_HEADS = ("network", "float", *HEADS[1:])
NETS = ("temps_gru16", "temps_rnn16", "slow_gru16", "slow_lstm16", "jv_gru32", "jv_rnn32", "bm_conv_lstm24")
LARGER = (
    "nets/vad_lstm128",
    "nets/char_lstm128",
    "models/armkws_gru_s",
    "models/armkws_basic_lstm_s",
    "models/dtln_model_1",
)
DEFAULT = (*(f"nets/{name}" for name in NETS), *LARGER)
FLOAT_LAYERS = {"GRU", "RNN"}


def dynamic(model: Path) -> bytes:
    """The model as onnxruntime quantizes it without data."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "int8.onnx"
        quantize_dynamic(model, result, per_channel=True, weight_type=QuantType.QInt8)
        return result.read_bytes()


def worst(measured: Measurement) -> float:
    """SQNR of the worst output, dB."""
    return min(o.difference.sqnr_db for o in measured.outputs if o.difference.sqnr_db is not None)


def shown(score: Score) -> str:
    """The one figure of a score that says most."""
    return f"{score.accuracy:.2%}" if score.accuracy is not None else f"RMSE {score.rmse:.4g}"


def scores(tasks: list[Task | None]) -> list[str]:
    """Of float, then of each measurement."""
    first = tasks[0]
    if first is None:
        return ["-"] * (1 + len(tasks))
    return [shown(first.onnxruntime), *(shown(t.c) for t in tasks if t)]


def agreement(measured: list[Measurement]) -> list[str]:
    """Where there are no labels: how often the largest output is the same one as in float."""
    found = [m.outputs[0].difference.argmax_agreement for m in measured]
    return ["-", *("-" if a is None else f"same argmax {a:.1%}" for a in found)]


def answered(o: OutputFigures, peer: Points) -> OutputFigures:
    """The figures of another model's answers, where both were asked."""
    at = {key: k for k, key in enumerate(zip(o.asked.sequence, o.asked.tick, strict=True))}
    both = [(at[key], k) for k, key in enumerate(zip(peer.sequence, peer.tick, strict=True)) if key in at]
    chosen = np.zeros((2, max(len(at), len(peer.tick))), bool)
    for mine, theirs in both:
        chosen[0, mine] = chosen[1, theirs] = True
    asked, got = o.asked.kept(chosen[0]), peer.kept(chosen[1]).reference
    return replace(o, asked=asked, got=got, difference=difference(asked.reference, got))


def rows(model: Path, steps: int) -> tuple[list[str], list[str]]:
    """One line of each table: dB, and the task."""
    content = model.read_bytes()
    calibration, test = (dict(np.load(model.with_suffix(f".{k}.npz"))) for k in ("calib", "test"))
    if "lengths" not in test:
        test = {name: a[:steps] for name, a in test.items()}
    measured = []
    for weights in WIDTHS:
        options = Options(weights=weights)
        done = compile_stages(model, calibration, options)
        data = read_data(test, input_frames(done.graph, done.net, options), wanted(done.net, None))
        measured.append(measure(content, done.net, done.qnet, done.ranges, data.sequences, options))
    asked, peer_session = (Session(file, done.net, options) for file in (content, dynamic(model)))
    for known in ("axes", "pairs"):  # found by trying, which rounding would mislead
        peer_session.__dict__[known] = getattr(asked, known)
    peer = run_reference(peer_session, data.sequences)
    outputs = [answered(o, p) for o, p in zip(measured[0].outputs, peer.outputs.values(), strict=True)]
    everything = [replace(measured[0], outputs=tuple(outputs)), *measured]
    tasks = [task(done.net, m, data, None) for m in everything]
    said = scores(tasks) if tasks[0] else agreement(everything)
    note = "*" if FLOAT_LAYERS & {n.op_type for n in onnx.load_from_string(content).graph.node} else ""
    first, *others = (f"{worst(m):.1f}" for m in everything)
    return [model.stem, first + note, *others], [model.stem, *said]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help="write the tables into docs/numerics.md")
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    if not asked.models and "RNNC_SHARED" not in os.environ:
        print("left out: name networks, or set RNNC_SHARED", file=sys.stderr)
        return
    shared = Path(os.environ.get("RNNC_SHARED", ""))
    found = []
    for model in asked.models or [shared / f"{name}.onnx" for name in DEFAULT]:
        found.append(rows(model, asked.steps))
        print(*(" | ".join(line) for line in found[-1]), sep="\n", file=sys.stderr)
    tables = [markdown(HEADS, [db for db, _ in found]), markdown(TASK_HEADS, [said for _, said in found])]
    for name, table in zip(("against_onnxruntime.py", "against_onnxruntime.py, task"), tables, strict=True):
        if asked.write:
            put(name, table)
        print(table)


if __name__ == "__main__":
    main()
