"""Mamba-2 as its authors write it: products within chunks of steps, and the states between the chunks carried on."""

from __future__ import annotations

import numpy as np

from tests.support.graphs import Builder

X, HEADS, P, N, T = 6, 2, 3, 3, 16


def chunked_model(chunk: int) -> bytes:
    """x ``[1, T, X]``, chunks of so many steps, y ``[1, T, 4]``."""
    b = Builder()
    u, keys, queries, dt = (b.op("MatMul", "x", b.const(b.weights(X, n))) for n in (HEADS * P, N, N, HEADS))
    dt = b.op("Softplus", dt)
    u = b.op("Mul", _reshaped(b, u, 1, T, HEADS, P), _reshaped(b, dt, 1, T, HEADS, 1))
    u, keys, queries = (_chunks(b, v, chunk, n) for v, n in ((u, P), (_shared(b, keys), N), (_shared(b, queries), N)))
    decay = _chunks(b, b.op("Mul", dt, b.const(np.array([-0.5, -0.3]))), chunk)
    decay = b.op("Transpose", decay, perm=[0, 3, 1, 2])
    total = b.op("CumSum", decay, b.const(np.asarray(-1)))
    within = b.op("Exp", _segments(b, decay, [1, HEADS, T // chunk, chunk]))
    diagonal = b.op("Einsum", queries, keys, within, u, equation="bclhn,bcshn,bhcls,bcshp->bclhp")
    last = b.op("Slice", total, *(b.const(np.array([n])) for n in (-1, chunk, 3)))
    until = b.op("Exp", b.op("Sub", last, total))
    states = b.op("Einsum", keys, until, u, equation="bclhn,bhcl,bclhp->bchpn")
    states = b.op("Concat", b.const(np.zeros((1, 1, HEADS, P, N))), states, axis=1)
    ends = b.op("Pad", b.op("Squeeze", last, b.const(np.array([3]))), b.const(np.array([0, 0, 1, 0, 0, 0])))
    between = b.op("Exp", _segments(b, ends, [1, HEADS, T // chunk + 1]))
    states = b.op("Einsum", between, states, equation="bhzc,bchpn->bzhpn")
    before = b.op("Slice", states, *(b.const(np.array([n])) for n in (0, -1, 1)))
    carried = b.op("Einsum", queries, before, b.op("Exp", total), equation="bclhn,bchpn,bhcl->bclhp")
    y = _reshaped(b, b.op("Add", diagonal, carried), 1, T, HEADS * P)
    b.op("MatMul", y, b.const(b.weights(HEADS * P, 4)), out="y")
    return b.model({"x": (1, T, X)}, ["y"])


def _reshaped(b: Builder, x: str, *shape: int) -> str:
    return b.op("Reshape", x, b.const(np.array(shape)))


def _shared(b: Builder, x: str) -> str:
    """One vector for all heads."""
    return b.op("Expand", b.op("Unsqueeze", x, b.const(np.array([2]))), b.const(np.array([1, T, HEADS, N])))


def _chunks(b: Builder, x: str, chunk: int, *size: int) -> str:
    return _reshaped(b, x, 1, T // chunk, chunk, HEADS, *size)


def _segments(b: Builder, x: str, shape: list[int]) -> str:
    """segsum: the sum of x from each step to each later one, -inf for earlier ones."""
    n = shape[-1]
    wide = b.op("Expand", b.op("Unsqueeze", x, b.const(np.array([len(shape)]))), b.const(np.array([*shape, n])))
    below, until = (b.const(np.tri(n, k=k, dtype=bool)) for k in (-1, 0))
    sums = b.op("CumSum", b.op("Where", below, wide, b.const(np.asarray(0.0))), b.const(np.asarray(-2)))
    return b.op("Where", until, sums, b.const(np.asarray(-np.inf)))
