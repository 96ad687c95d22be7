"""The C of functions.h against the oracle; tests/golden/test_tables.py holds its tables to their formulas."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnc import functions
from rnnc.backend.emit import data_root
from tests.support.packages import WARNINGS, run

Array = np.ndarray[Any, Any]
SOURCE = """
#include "functions.h"
#define MAP(name, expression) \\
    void name(const uint32_t *a, const uint32_t *b, int32_t *y, int32_t n); \\
    void name(const uint32_t *a, const uint32_t *b, int32_t *y, int32_t n) \\
    { \\
        int32_t i; \\
        for (i = 0; i < n; i++) { \\
            (void)b[i]; \\
            y[i] = (int32_t)(expression); \\
        } \\
    }
MAP(leading_zeros, rnnc_leading_zeros(a[i]))
MAP(root, rnnc_sqrt(a[i]))
MAP(reciprocal_root, rnnc_rsqrt(a[i]))
MAP(exp2_, rnnc_exp2(a[i]))
MAP(log2_, rnnc_log2(a[i]))
MAP(power_of_two, rnnc_power_of_two((int32_t)a[i]))
MAP(scaled_root, rnnc_scaled_root(a[i], b[i] >> 24 & 31u, (uint16_t)(b[i] & 32767u), b[i] >> 16 & 31u))
"""
RNG = np.random.default_rng(0)
WIDE = np.concatenate([(2 ** RNG.uniform(0, 32, 100_000)).astype(np.int64), [1, 2, 3, 2**30, 2**31, 2**32 - 1]])

ROOTS = np.arange(2**15 + 1, 2**16)
NEAR_SQUARES = (ROOTS**2 + np.array([-ROOTS, 1 - ROOTS, ROOTS, ROOTS + 1])).ravel()
"""Where the rounded root changes."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("functions")
    (folder / "functions.c").write_text(SOURCE)
    flags = ["-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all", "-shared", "-fPIC"]
    include = f"-I{data_root() / 'runtime_c'}"
    run(["gcc", *WARNINGS, *flags, include, "functions.c", "-o", "functions.so"], Path(folder))
    return ctypes.CDLL(str(folder / "functions.so"))


def apply(library: ctypes.CDLL, name: str, a: Array, b: Array | None = None) -> Array:
    """The C function over arrays of 32 bits."""
    x = a.astype(np.uint32)
    z = x if b is None else b.astype(np.uint32)
    y = np.zeros(len(x), np.int32)
    pointers = [ctypes.c_void_p(v.ctypes.data) for v in (x, z, y)]
    getattr(library, name)(*pointers, ctypes.c_int32(len(x)))
    return y.astype(np.int64)


@pytest.mark.parametrize(
    ("name", "oracle", "values"),
    [
        ("leading_zeros", functions.leading_zeros, np.concatenate([[0], WIDE])),
        ("root", functions.sqrt, np.concatenate([[0], WIDE[WIDE >= 2**30], NEAR_SQUARES])),
        ("reciprocal_root", functions.rsqrt, np.linspace(2**30, 2**32 - 1, 200_001).astype(np.int64)),
        ("exp2_", functions.exp2, np.arange(65536)),
        ("log2_", functions.log2, WIDE),
        ("power_of_two", functions.power_of_two, np.arange(-40 << 16, 40 << 16, 61)),
    ],
)
def test_functions_equal_the_oracle(library: ctypes.CDLL, name: str, oracle: Any, values: Array) -> None:
    assert np.array_equal(apply(library, name, values % 2**32), oracle(values))


def test_scaled_root_equals_the_oracle(library: ctypes.CDLL) -> None:
    n = len(WIDE)
    doublings, m, p = RNG.integers(0, 32, n), RNG.integers(1, 32768, n), RNG.integers(0, 31, n)
    packed = doublings << 24 | p << 16 | m
    assert np.array_equal(apply(library, "scaled_root", WIDE, packed), functions.scaled_root(WIDE, doublings, m, p))
