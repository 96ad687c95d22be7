"""Steps of many streams on this machine: NAME_step for each against NAME_step_many, in one run, by turns.

python benchmarks/many_streams.py
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from _cells import Cell, cell_qnet, package
from host_speed import FLAGS, PROCESSES

from rnnc.files import write_files
from rnnc.options import Precision
from rnnc.verification.host import find_compiler

STREAMS = 32
SIZES = ((32, 64), (64, 128), (256, 512))
TIMER = """
#include <stdio.h>
#include <time.h>
#include "{n}.h"

static double now(void)
{{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}}

int main(void)
{{
    enum {{ N = {streams} }};
    static {n}_t s[N];
    static {x} x[N * {N}_X_LEN];
    static {y} y[N * {N}_Y_LEN];
    double each = 1e30, many = 1e30;
    unsigned seed = 1, i, k, round;
    for (k = 0; k < N; k++) {n}_reset(&s[k]);
    for (i = 0; i < N * {N}_X_LEN; i++) {{
        seed = seed * 1664525u + 1013904223u;
        x[i] = ({x})((int)(seed >> 18) - 8192);
    }}
    for (round = 0; round < 30; round++) {{
        double start = now(), middle, end;
        for (i = 0; i < {steps}; i++)
            for (k = 0; k < N; k++) {n}_step(&s[k], x + k * {N}_X_LEN, y + k * {N}_Y_LEN);
        middle = now();
        for (i = 0; i < {steps}; i++) {n}_step_many(s, N, x, y);
        end = now();
        each = middle - start < each ? middle - start : each;
        many = end - middle < many ? end - middle : many;
    }}
    printf("%.4f %.4f %d\\n", each / {steps} / N, many / {steps} / N, y[0]);
    return 0;
}}
"""


def microseconds(cell: Cell, columns: int, hidden: int, precision: Precision, target: str) -> tuple[float, float]:
    """Of a step of a stream: each by itself, and all together; the best of all rounds of all processes."""
    program, files = package(cell_qnet(cell, columns, hidden, precision), target, 2, many=True)
    n = program.name
    types = {"x": program.inputs[0].format.ctype, "y": program.outputs[0].format.ctype}
    steps = max(1, int(4e6 / (4 * hidden * (columns + hidden) * STREAMS)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder, {**files, "main.c": TIMER.format(n=n, N=n.upper(), streams=STREAMS, steps=steps, **types)})
        subprocess.run([find_compiler(), *FLAGS, "-I", ".", "main.c", f"{n}.c", "-o", "timer"], cwd=folder, check=True)
        runs = [
            subprocess.run([folder / "timer"], check=True, capture_output=True, text=True) for _ in range(PROCESSES)
        ]
    times = [[float(t) for t in run.stdout.split()[:2]] for run in runs]
    return min(t[0] for t in times), min(t[1] for t in times)


def table() -> Iterator[str]:
    """Lines of Markdown."""
    yield "| cell | input, hidden | target | profile | each, us | together, us | faster by |\n|---|---|---|---|---|---|---|"
    for target in ("host", "portable"):
        for cell in ("lstm", "gru"):
            for columns, hidden in SIZES:
                for precision in get_args(Precision):
                    each, many = microseconds(cell, columns, hidden, precision, target)
                    where = f"{cell} | {columns},{hidden} | {target} | {precision}"
                    yield f"| {where} | {each:.2f} | {many:.2f} | {each / many:.2f} |"


if __name__ == "__main__":
    for line in table():
        print(line, flush=True)
