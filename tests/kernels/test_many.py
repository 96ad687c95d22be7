"""NAME_step_many: each stream as NAME_step would have it, bit for bit, whatever the phases of the others and their number."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from rnnc.backend.program import Program
from rnnc.files import write_files
from rnnc.qnet import QNet
from rnnc.streams import run_qnet
from tests.kernels.test_host_paths import WAYS, needs_processor
from tests.kernels.test_wide_rows import some_wide
from tests.support.nets import draw_integers, integers
from tests.support.packages import WARNINGS, Built, dtype, in_one, package, run

SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
LAYERS = [
    *("lstm", "lstm_general", "gru_after", "gru_before", "rnn_other", "dense", "conv"),
    *("linked", "pool", "inner", "at_positions", "custom"),
]
"""One kernel, several and none; projections; clocks slower than the input; look-ahead; loops over bands."""
STREAMS = 19
"""More than RNNC_MANY, and no multiple."""
CHECK = """
static int check_{n}(void)
{{
    enum {{ N = {streams} }};
    static {n}_t a[N], b[N];
    static {x} x[N * {N}_X_LEN];
    static {y} ya[N * {N}_Y_LEN], yb[N * {N}_Y_LEN];
    static uint8_t sa[{N}_BLOB_LEN], sb[{N}_BLOB_LEN];
    int wrote[N], t, k;
    for (k = 0; k < N; k++) {{
        {n}_reset(&a[k]);
        for (t = 0; t < k % 5; t++) {{
            fill(x, sizeof x);
            {void}{n}_step(&a[k], x, ya);
        }}
        b[k] = a[k];
    }}
    for (t = 0; t < 5; t++) {{
        fill(x, sizeof x);
        memset(ya, 0x55, sizeof ya);
        memset(yb, 0x55, sizeof yb);
        {n}_step_many(b, 0, x, yb{wrote});
        {n}_step_many(b, N, x, yb{wrote});
        for (k = 0; k < N; k++) {{
            {returned}{n}_step(&a[k], x + k * {N}_X_LEN, ya + k * {N}_Y_LEN){compared};
            (void){n}_save(&a[k], sa);
            (void){n}_save(&b[k], sb);
            if (memcmp(sa, sb, sizeof sa) != 0) {{ return 1; }}
        }}
        if (memcmp(ya, yb, sizeof ya) != 0) {{ return 1; }}
    }}
    return 0;
}}
"""
MAIN = """
static uint32_t seed = 1;
static void fill(void *x, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        ((uint8_t *)x)[i] = (uint8_t)(seed >> 24);
    }
}
"""


@cache
def networks() -> list[QNet]:
    """One of each layer, and recurrent ones some of whose rows are wide."""
    drawn = [draw_integers(3, (layer,)) for layer in LAYERS]
    return [*drawn, draw_integers(5, ("conv", "lstm", "dense")), *map(some_wide, ("lstm", "gru_after", "dense"))]


def check(program: Program) -> str:
    """C that compares both functions."""
    n, (x,), (y,) = program.name, program.inputs, program.outputs
    return CHECK.format(
        n=n,
        N=n.upper(),
        streams=STREAMS,
        x=x.format.ctype,
        y=y.format.ctype,
        void="(void)" if program.returns else "",
        wrote=", wrote" if program.returns else "",
        returned="if (" if program.returns else "(void)wrote;\n            ",
        compared=" != wrote[k]) { return 1; }" if program.returns else "",
    )


def compared(built: Sequence[tuple[Program, dict[str, str]]]) -> dict[str, str]:
    """Packages, and main.c, which ends with the number of the first network whose functions differ, 0 where none does."""
    names = [program.name for program, _ in built]
    tests = "".join(check(program) for program, _ in built)
    calls = "".join(f"    if (check_{n}()) {{ return {k}; }}\n" for k, n in enumerate(names, 1))
    main = f"{in_one(built, ('', '_state'))}{MAIN}{tests}int main(void)\n{{\n{calls}    return 0;\n}}\n"
    return {name: text for _, files in built for name, text in files.items()} | {"main.c": main}


def check_together(built: Sequence[tuple[Program, dict[str, str]]], folder: Path, flags: Sequence[str]) -> None:
    """Fails by the number of the first network whose functions differ."""
    write_files(folder, compared(built))
    run(["gcc", *WARNINGS, *flags, "-I", ".", "main.c", "-o", "t"], folder)
    run([folder / "t"], folder)


@pytest.mark.parametrize("target", ["portable", "cortex-m4"])
def test_many_streams_are_each_as_one(target: str, tmp_path: Path) -> None:
    """Where it is no x86-64, plain C reads the packing."""
    check_together(
        [package(q, f"net{k}", target, 2, many=True) for k, q in enumerate(networks())], tmp_path, ["-O0", *SANITIZERS]
    )


@pytest.mark.parametrize(("way", "needs", "flags"), WAYS, ids=[way for way, *_ in WAYS])
def test_many_streams_are_each_as_one_on_hosts(way: str, needs: set[str], flags: list[str], tmp_path: Path) -> None:
    needs_processor(way, needs)
    check_together(
        [package(q, f"net{k}", "host", 2, many=True) for k, q in enumerate(networks())], tmp_path, ["-O1", *flags]
    )


def test_many_streams_are_the_oracle_s(tmp_path: Path) -> None:
    """Its lanes are the streams."""
    qnet, steps = draw_integers(5, ("lstm", "dense")), 6
    built = Built(*package(qnet, "net", "host", many=True), tmp_path)
    (x,), (y,) = built.program.inputs, built.program.outputs
    given = integers(qnet, steps, lanes=STREAMS)
    wanted = run_qnet(qnet, given)[y.name].reshape(steps, STREAMS, -1)
    streams = np.concatenate([built.new().memory for _ in range(STREAMS)])
    for frames, answers in zip(given[x.name], wanted, strict=True):
        taken, got = np.ascontiguousarray(frames.astype(dtype(x))), np.zeros(answers.shape, dtype(y))
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in (streams, taken, got)]
        built.c.net_step_many(pointers[0], ctypes.c_size_t(STREAMS), *pointers[1:])
        assert np.array_equal(got, answers)


def test_without_the_option_nothing_is_added() -> None:
    qnet = draw_integers(3, ("lstm",))
    plain, many = (package(qnet, "net", "host", 2, many=wanted)[1] for wanted in (False, True))
    assert "step_many" not in "".join(plain.values())
    assert set(many) - set(plain) == {"rnnc/many.h"}
