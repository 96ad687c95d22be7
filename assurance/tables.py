"""The C of every table on all its inputs: against the oracle bit for bit, and against the real function."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from assurance.store import ROOT, Outcome
from rnnc import fixed, functions
from rnnc.fixed import Ints
from tests.support.packages import WARNINGS
from tests.support.packages import run as tool

SOURCE = """
#include "fixed.h"
#include "functions.h"
#include "lut.h"
#define MAP(name, call) \\
    void name(const int32_t *x, int32_t *y, int32_t n); \\
    void name(const int32_t *x, int32_t *y, int32_t n) \\
    { int32_t i; for (i = 0; i < n; i++) { y[i] = (int32_t)(call); } }
MAP(sigmoid, rnnc_sigmoid(x[i]))
MAP(tanh_, rnnc_tanh(x[i]))
MAP(exp2_, rnnc_exp2((uint32_t)x[i]))
MAP(log2_, rnnc_log2((uint32_t)x[i]))
MAP(rsqrt, rnnc_rsqrt((uint32_t)x[i] << 15))
MAP(sqrt_, rnnc_sqrt((uint32_t)x[i] >> 1 << 16 | ((x[i] & 1) ? 65535u : 0u)))
MAP(narrow, rnnc_narrow(x[i]))
"""
LSB = 2.0**-fixed.GATE_FRACTION
INT16 = np.arange(-32768, 32768)
GATES = np.arange(-fixed.GATE_LIMIT - 1, fixed.GATE_LIMIT + 1)


def _ends(x: Ints) -> Ints:
    """The least and the largest 32-bit argument of each upper half: between them all that rnnc_sqrt computes is monotone."""
    return (x >> 1 << 16) + 65535 * (x & 1)


Real = Callable[[Ints], np.ndarray]
TABLES: dict[str, tuple[str, Ints, Callable[[Ints], Ints], Real, float]] = {
    "sigmoid": ("sigmoid", GATES, fixed.sigmoid, lambda x: 2.0**15 / (1 + np.exp(-x * LSB)), 1.6),
    "tanh": ("tanh_", GATES, fixed.tanh, lambda x: 2.0**15 * np.tanh(x * LSB), 2.2),
    "exp2": ("exp2_", np.arange(65536), functions.exp2, lambda x: 65536 * 2.0 ** (-x / 65536), 1.5),
    "log2": ("log2_", np.arange(1, 65536), functions.log2, lambda x: 65536 * np.log2(x), 3.5),
    "rsqrt": (
        "rsqrt",
        np.arange(1 << 15, 1 << 17),
        lambda x: functions.rsqrt(x << 15),
        lambda x: 2.0**31 / np.sqrt(x * 32768.0),
        2.0**16 * 2.0**-14.7,
    ),
    "sqrt": (
        "sqrt_",
        np.arange(1 << 15, 1 << 17),
        lambda x: functions.sqrt(_ends(x)),
        lambda x: np.sqrt(_ends(x)),
        0.5,
    ),
    "narrow": (
        "narrow",
        INT16,
        lambda x: np.minimum((x + 128) >> 8, 127),
        lambda x: np.clip(x / 256, -128, 127),
        0.5,
    ),
}
"""The C's name, all inputs, the oracle, the real function, and the error in LSB that the documentation gives."""


def run(shard: str) -> Outcome:
    """One table."""
    name, x, oracle, real, most = TABLES[shard]
    with TemporaryDirectory(prefix="rnnc-assurance-") as folder:
        (Path(folder) / "tables.c").write_text(SOURCE)
        flags = ["-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all", "-shared", "-fPIC"]
        tool(["gcc", *WARNINGS, *flags, f"-I{ROOT / 'runtime_c'}", "tables.c", "-o", "tables.so"], Path(folder))
        library = ctypes.CDLL(str(Path(folder) / "tables.so"))
        given, y = x.astype(np.int32), np.zeros(len(x), np.int32)
        getattr(library, name)(
            ctypes.c_void_p(given.ctypes.data), ctypes.c_void_p(y.ctypes.data), ctypes.c_int32(len(x))
        )
    failures = [f"{shard}({v}) is {c}, the oracle's {o}" for v, c, o in zip(x, y, oracle(x), strict=True) if c != o]
    error = float(np.abs(y - real(x)).max())
    if error > most:
        failures.append(f"{shard}: {error:.2f} LSB from the real function, {most:.2f} are documented")
    return Outcome(1, failures[:20], {f"inputs of {shard}": len(x), f"error of {shard}, LSB": round(error, 3)})
