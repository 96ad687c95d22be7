"""The C of fixed.h, lut.h and blob.h against the oracle, over every input that matters."""

from __future__ import annotations

import ctypes
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnc import fixed
from rnnc.backend.emit import data_root
from rnnc.functions import LONG_MAX, long_sigmoid
from rnnc.ops.recurrent import narrow
from tests.support.packages import WARNINGS, run

Array = np.ndarray[Any, Any]

SOURCE = """
#include "fixed.h"
#include "lut.h"
#include "blob.h"
#include "long_gates.h"
#define MAP(name, expression) \\
    void name(const int32_t *a, const int32_t *b, int32_t *y, int32_t n); \\
    void name(const int32_t *a, const int32_t *b, int32_t *y, int32_t n) \\
    { \\
        int32_t i; \\
        for (i = 0; i < n; i++) { \\
            (void)b[i]; \\
            y[i] = (expression); \\
        } \\
    }
MAP(map_sigmoid, rnnc_sigmoid(a[i]))
MAP(map_tanh, rnnc_tanh(a[i]))
MAP(map_sigmoid_fine, rnnc_sigmoid_fine(a[i]))
MAP(map_tanh_fine, rnnc_tanh_fine(a[i]))
MAP(map_long_sigmoid, rnnc_long_sigmoid(a[i]))
MAP(map_mul15, rnnc_mul15(a[i], b[i]))
MAP(map_narrow, rnnc_narrow(a[i]))
MAP(map_upper, rnnc_upper(a[i]))
MAP(map_activate_tanh, rnnc_activate(RNNC_TANH, a[i]))
MAP(map_activate_relu, rnnc_activate(RNNC_RELU, a[i]))
MAP(map_activate_sigmoid, rnnc_activate(RNNC_SIGMOID, a[i]))
uint32_t crc(const uint8_t *p, size_t n);
uint32_t crc(const uint8_t *p, size_t n) { return rnnc_crc32(p, n); }
void round_trip(const int32_t *v, int32_t *w, int32_t n, uint8_t *blob);
void round_trip(const int32_t *v, int32_t *w, int32_t n, uint8_t *blob)
{
    (void)rnnc_write32(blob, v, (size_t)n);
    (void)rnnc_read32(w, blob, (size_t)n);
}
void round_trip16(const int16_t *v, int16_t *w, int32_t n, uint8_t *blob);
void round_trip16(const int16_t *v, int16_t *w, int32_t n, uint8_t *blob)
{
    (void)rnnc_write16(blob, v, (size_t)n);
    (void)rnnc_read16(w, blob, (size_t)n);
}
void round_trip8(const int8_t *v, int8_t *w, int32_t n, uint8_t *blob);
void round_trip8(const int8_t *v, int8_t *w, int32_t n, uint8_t *blob)
{
    (void)rnnc_write8(blob, v, (size_t)n);
    (void)rnnc_read8(w, blob, (size_t)n);
}
"""

INTERVAL = np.arange(-(2**17), 2**17 + 1)


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("core")
    (folder / "core.c").write_text(SOURCE)
    run(
        ["gcc", *WARNINGS, "-O1", "-shared", "-fPIC", f"-I{data_root() / 'runtime_c'}", "core.c", "-o", "core.so"],
        folder,
    )
    return ctypes.CDLL(str(folder / "core.so"))


def pointer(a: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(a.ctypes.data)


def apply(core: ctypes.CDLL, name: str, a: Array, b: Array | None = None) -> Array:
    """The C function over int32 arrays."""
    x, z = a.astype(np.int32), (a if b is None else b).astype(np.int32)
    y = np.zeros(len(x), np.int32)
    getattr(core, name)(pointer(x), pointer(z), pointer(y), ctypes.c_int32(len(x)))
    return y.astype(np.int64)


@pytest.mark.parametrize(
    ("name", "oracle", "extremes"),
    [
        ("map_sigmoid", fixed.sigmoid, [-(2**31), -(2**31) + 1, 2**31 - 1]),
        ("map_tanh", fixed.tanh, [-(2**30) + 1, 2**30 - 1]),
        ("map_sigmoid_fine", partial(fixed.sigmoid, finer=fixed.FINER), [-(2**31), -(2**31) + 1, 2**31 - 1]),
        ("map_tanh_fine", partial(fixed.tanh, finer=fixed.FINER), [-(2**30) + 1, 2**30 - 1]),
        ("map_activate_tanh", fixed.tanh, [-(2**30) + 1, 2**30 - 1]),
        ("map_activate_sigmoid", lambda p: np.minimum(fixed.sigmoid(p), 32767), [-(2**31), 2**31 - 1]),
        ("map_activate_relu", lambda p: np.clip(p, 0, 32767), [-(2**31), 2**31 - 1]),
    ],
)
def test_activations_equal_the_oracle_everywhere(
    core: ctypes.CDLL, name: str, oracle: Callable[[Array], Array], extremes: list[int]
) -> None:
    p = np.concatenate([INTERVAL << (fixed.FINER if "fine" in name else 0), INTERVAL, extremes])
    assert np.array_equal(apply(core, name, p), oracle(p))


def test_the_long_sigmoid_equals_the_oracle_everywhere(core: ctypes.CDLL) -> None:
    p = np.arange(-LONG_MAX, LONG_MAX + 1)
    assert np.array_equal(apply(core, "map_long_sigmoid", p), long_sigmoid(p))


def test_mul15_equals_the_oracle(core: ctypes.CDLL) -> None:
    rng = np.random.default_rng(0)
    u = np.concatenate([rng.integers(0, 32769, 100_000), [0, 32768, 32768, 32768, 1]])
    d = np.concatenate([rng.integers(-(2**30), 2**30 + 1, 100_000), [2**30, 2**30, -(2**30), 32767, -1]])
    assert np.array_equal(apply(core, "map_mul15", u, d), fixed.mul15(u, d))


def test_narrowing_equals_the_oracle(core: ctypes.CDLL) -> None:
    h = np.arange(-32768, 32768)
    assert np.array_equal(apply(core, "map_narrow", h), narrow(h, fixed.Format(8, np.ones(1))))
    s = np.concatenate([np.arange(-(2**15), 2**15) * 2**14 + k for k in (-8193, -8192, -8191, 0, 8191, 8192)])
    s = np.clip(s, -32767 << 14, 32767 << 14)
    assert np.array_equal(apply(core, "map_upper", s), np.clip((s + 8192) >> 14, -32767, 32767))


def test_crc_is_that_of_ieee_802_3(core: ctypes.CDLL) -> None:
    core.crc.restype = ctypes.c_uint32
    for text in (b"", b"123456789", bytes(range(256)) * 5):
        assert core.crc(text, ctypes.c_size_t(len(text))) == zlib.crc32(text)


@pytest.mark.parametrize(("function", "bits"), [("round_trip", 32), ("round_trip16", 16), ("round_trip8", 8)])
def test_blobs_are_little_endian_and_keep_every_value(core: ctypes.CDLL, function: str, bits: int) -> None:
    top = 2 ** (bits - 1)
    v = np.unique(np.concatenate([np.linspace(-top, top - 1, 5001).astype(np.int64), [-1, 0, 1, -top, top - 1]]))
    v = v.astype(f"int{bits}")
    w, blob = np.zeros_like(v), np.zeros(len(v) * bits // 8, np.uint8)
    getattr(core, function)(pointer(v), pointer(w), ctypes.c_int32(len(v)), pointer(blob))
    assert np.array_equal(v, w)
    assert blob.tobytes() == v.astype(f"<i{bits // 8}").tobytes()


def test_runtime_headers_name_their_licence() -> None:
    headers = sorted(Path(data_root() / "runtime_c").rglob("*.h"))
    assert headers
    for header in headers:
        assert header.read_text().startswith("/* SPDX-License-Identifier: 0BSD */\n"), header.name
