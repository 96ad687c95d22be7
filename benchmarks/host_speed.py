"""One step on this machine: the generated C, a float C of the same network, and onnxruntime, side by side in one run.

python benchmarks/host_speed.py [--target portable|host] [--json]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from _cells import SIZES, Cell, cell_net, cell_qnet, package
from onnx import TensorProto, helper, numpy_helper

from rnnc.files import write_files
from rnnc.fixed import Floats
from rnnc.ops.gru import Gru
from rnnc.ops.lstm import Lstm
from rnnc.verification.host import find_compiler

if TYPE_CHECKING:
    import onnxruntime as ort

FLAGS = ("-O3",)
"""No -march: what any x86-64 runs."""
ROUNDS = 30
PROCESSES = 7
SECONDS = 0.15

Row = tuple[str, int, int, float, float, float, float]
"""Cell, input, hidden; microseconds of rnnc, float C, float C as fast as a compiler makes it, onnxruntime."""

TIMER = """
#include <stdint.h>
#include <stdio.h>
#include <time.h>
{include}

static double now(void)
{{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}}

int main(void)
{{
    static {element} x[16][{columns}], y[{hidden}];
    {state}
    double best = 1e30;
    unsigned seed = 1, i, k, round, steps = {steps};
    {start}
    for (i = 0; i < 16; i++) {{
        for (k = 0; k < {columns}; k++) {{
            seed = seed * 1664525u + 1013904223u;
            x[i][k] = ({element})(((int)(seed >> 18) - 8192) * {lsb});
        }}
    }}
    for (round = 0; round < {rounds}; round++) {{
        double start = now();
        for (i = 0; i < steps; i++) {{
            {call}
        }}
        start = (now() - start) / steps;
        best = start < best ? start : best;
    }}
    printf("%.4f %d\\n", best, (int)(y[0] * 1000));
    return 0;
}}
"""

FLOAT_CELL = """
#include <math.h>
static const float W[] = {{{weights}}}, B[] = {{{bias}}};
static float h[{hidden}], c[{hidden}];
static float sigmoid(float x) {{ return 1.0f / (1.0f + expf(-x)); }}
static void float_step(const float *x, float *y)
{{
    float a[{rows}], ah[{rows}];
    int r, k;
    (void)c;
    for (r = 0; r < {rows}; r++) {{
        const float *w = W + r * {width};
        float s = B[r], t = B[{rows} + r];
        for (k = 0; k < {columns}; k++) s += w[k] * x[k];
        for (k = 0; k < {hidden}; k++) t += w[{columns} + k] * h[k];
        a[r] = s;
        ah[r] = t;
    }}
    for (k = 0; k < {hidden}; k++) {{
        {update}
        y[k] = h[k];
    }}
}}
"""
FAST = ("-Ofast", "-march=native")
"""Of the fair opponent: what whoever wants float C to be fast would take on this machine."""
FAST_CELL = """
#include <math.h>
static const float W[] __attribute__((aligned(64))) = {{{weights}}}, B[] = {{{bias}}};
static float h[{hidden}], c[{hidden}];
static inline float sigmoid(float x) {{ return 1.0f / (1.0f + expf(-x)); }}
static void float_step(const float *restrict x, float *restrict y)
{{
    float a[{rows}], ah[{rows}];
    int r, k;
    (void)c;
    for (r = 0; r < {rows}; r++) {{
        a[r] = B[r];
        ah[r] = B[{rows} + r];
    }}
    for (k = 0; k < {columns}; k++)
        for (r = 0; r < {rows}; r++) a[r] += W[k * {rows} + r] * x[k];
    for (k = 0; k < {hidden}; k++)
        for (r = 0; r < {rows}; r++) ah[r] += W[({columns} + k) * {rows} + r] * h[k];
    for (k = 0; k < {hidden}; k++) {{
        {update}
    }}
    for (k = 0; k < {hidden}; k++) y[k] = h[k];
}}
"""
UPDATE = {
    "lstm": "c[k] = sigmoid(a[{2}] + ah[{2}]) * c[k] + sigmoid(a[{0}] + ah[{0}]) * tanhf(a[{3}] + ah[{3}]);"
    " h[k] = sigmoid(a[{1}] + ah[{1}]) * tanhf(c[k]);",
    "gru": "float z = sigmoid(a[{0}] + ah[{0}]), r = sigmoid(a[{1}] + ah[{1}]);"
    " float n = tanhf(a[{2}] + r * ah[{2}]); h[k] = n + z * (h[k] - n);",
}


def weights_of(cell: Cell, columns: int, hidden: int) -> tuple[Floats, Floats, Floats, Floats]:
    """``[gates hidden, columns]``, ``[gates hidden, hidden]``, and the two biases of every row."""
    op = cell_net(cell, columns, hidden).ops[0]
    assert isinstance(op, Lstm | Gru)
    w, r = op.weights.reshape(-1, columns), op.recurrence.reshape(-1, hidden)
    if isinstance(op, Lstm):
        return w, r, op.bias.ravel(), np.zeros(len(w))
    return w, r, op.bias_x.ravel(), op.bias_h.ravel()


def time_c(folder: Path, main: str, sources: list[str], *flags: str) -> float:
    """Microseconds of a step, the best of all rounds of all processes."""
    (folder / "main.c").write_text(main)
    command = [find_compiler(), *FLAGS, *flags, "-I", ".", "main.c", *sources, "-lm", "-o", "timer"]
    subprocess.run(command, cwd=folder, check=True)
    runs = (subprocess.run([folder / "timer"], check=True, capture_output=True, text=True) for _ in range(PROCESSES))
    return min(float(done.stdout.split()[0]) for done in runs)


def timer(columns: int, hidden: int, **parts: object) -> str:
    """The timing program."""
    steps = max(500, int(6e6 / (4 * hidden * (columns + hidden))))
    return TIMER.format(columns=columns, hidden=hidden, steps=steps, rounds=ROUNDS, **parts)


def integer_c(cell: Cell, columns: int, hidden: int, target: str, *flags: str) -> float:
    """The generated C."""
    program, files = package(cell_qnet(cell, columns, hidden), target)
    n = program.name
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder, files)
        main = timer(
            columns,
            hidden,
            include=f'#include "{n}.h"',
            element="int16_t",
            state=f"static {n}_t s;",
            start=f"{n}_reset(&s);",
            lsb=1,
            call=f"{n}_step(&s, x[i & 15], y);",
        )
        return time_c(folder, main, [f"{n}.c"], *flags)


def float_c(cell: Cell, columns: int, hidden: int, *, fast: bool = False) -> float:
    """The same network in plain float C; ``fast``: its weights in the order of columns, which vectorises, with ``FAST``."""
    w, r, bx, bh = weights_of(cell, columns, hidden)
    update = UPDATE[cell].format(*(f"k + {g * hidden}" for g in range(4)))
    literals = [
        ", ".join(f"{v:.8g}f" if "." in f"{v:.8g}" or "e" in f"{v:.8g}" else f"{v:.8g}.0f" for v in a.ravel())
        for a in (np.concatenate([w, r], 1).T if fast else np.concatenate([w, r], 1), np.concatenate([bx, bh]))
    ]
    source = (FAST_CELL if fast else FLOAT_CELL).format(
        weights=literals[0],
        bias=literals[1],
        hidden=hidden,
        columns=columns,
        rows=len(w),
        width=columns + hidden,
        update=update,
    )
    with tempfile.TemporaryDirectory() as name:
        main = timer(
            columns,
            hidden,
            include=source,
            element="float",
            state="",
            start="",
            lsb="(1.0f / 2048.0f)",
            call="float_step(x[i & 15], y);",
        )
        return time_c(Path(name), main, [], *(FAST if fast else ()))


def session(cell: Cell, columns: int, hidden: int) -> ort.InferenceSession:
    """One step of the network in onnxruntime, its state an input and an output."""
    import onnxruntime as ort  # after rnnc, which turns its telemetry off

    w, r, bx, bh = weights_of(cell, columns, hidden)
    constants = {"W": w[None], "R": r[None], "B": np.concatenate([bx, bh])[None]}
    states = ["h", "c"] if cell == "lstm" else ["h"]
    extra: dict[str, Any] = {} if cell == "lstm" else {"linear_before_reset": 1}
    node = helper.make_node(
        cell.upper(),
        ["x", "W", "R", "B", "", *states],
        ["y", *(f"{s}_out" for s in states)],
        hidden_size=hidden,
        **extra,
    )
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, columns])]
    inputs += [helper.make_tensor_value_info(s, TensorProto.FLOAT, [1, 1, hidden]) for s in states]
    outputs = [helper.make_tensor_value_info(f"{s}_out", TensorProto.FLOAT, [1, 1, hidden]) for s in states]
    initial = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in constants.items()]
    graph = helper.make_graph([node], "step", inputs, outputs, initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def onnxruntime(cell: Cell, columns: int, hidden: int) -> float:
    """Microseconds of one run, the median of many."""
    run = session(cell, columns, hidden).run
    feed = {"x": np.zeros((1, 1, columns), np.float32)}
    feed |= {s: np.zeros((1, 1, hidden), np.float32) for s in (["h", "c"] if cell == "lstm" else ["h"])}
    times, end = [], time.perf_counter() + SECONDS * 7
    while time.perf_counter() < end:
        start = time.perf_counter()
        run(None, feed)
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e6


def compare(target: str, *flags: str) -> list[Row]:
    """Every cell and size, side by side."""
    rows: list[Row] = []
    for cell in ("lstm", "gru"):
        for columns, hidden in SIZES:
            mine = integer_c(cell, columns, hidden, target, *flags)
            plain, fast = (float_c(cell, columns, hidden, fast=f) for f in (False, True))
            rows.append((cell, columns, hidden, mine, plain, fast, onnxruntime(cell, columns, hidden)))
    return rows


def table(target: str, rows: list[Row]) -> list[str]:
    """The rows as Markdown."""
    lines = [
        f"| cell | input, hidden | rnnc, {target}, us | float C, us | onnxruntime, us | rnnc faster by | than float C by |"
    ]
    lines.append("|---|---|---|---|---|---|---|")
    for cell, columns, hidden, mine, plain, _, reference in rows:
        times = f"{mine:.2f} | {plain:.2f} | {reference:.1f} | {reference / mine:.1f} | {plain / mine:.1f}"
        lines.append(f"| {cell} | {columns},{hidden} | {times} |")
    return lines


def fast_table(found: dict[str, list[Row]]) -> list[str]:
    """Each target's rows beside the fair opponent's time of the same run, as Markdown."""
    lines = [f"| cell | input, hidden | target | rnnc, us | float C, {' '.join(FAST)}, us | rnnc faster by |"]
    lines.append("|---|---|---|---|---|---|")
    for target, rows in found.items():
        for cell, columns, hidden, mine, _, fast, _ in rows:
            lines.append(f"| {cell} | {columns},{hidden} | {target} | {mine:.2f} | {fast:.2f} | {fast / mine:.2f} |")
    return lines


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", choices=("portable", "host"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = {target: compare(target) for target in ([options.target] if options.target else ["portable", "host"])}
    if options.json:
        names = ("cell", "input", "hidden", "rnnc_us", "float_c_us", "fast_float_c_us", "onnxruntime_us")
        json.dump({t: [dict(zip(names, row, strict=True)) for row in rows] for t, rows in found.items()}, sys.stdout)
        return
    for target, rows in found.items():
        print("\n".join(table(target, rows)), end="\n\n")
    print("\n".join(fast_table(found)))


if __name__ == "__main__":
    main()
