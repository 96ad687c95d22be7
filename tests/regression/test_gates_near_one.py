"""1 - z of a gate that is always near 1: small, though neither 1 nor z is, and once cut off at twice its own range."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import rnnc
from rnnc.streams import run_net, run_qnet
from rnnc.verification.metrics import sqnr_db
from tests.support.graphs import Builder
from tests.support.operators import check_c, quantized, sequence

X, H = 3, 4


def slow_cell() -> bytes:
    """h' = z h + (1 - z) W x with z about 0.95."""
    b = Builder()
    gate = b.op("Gemm", "x", b.const(b.weights(X, H, scale=0.3)), b.const(np.full(H, 3.0)))
    z = b.op("Sigmoid", gate)
    rest = b.op("Sub", b.const(np.array(1.0)), z)
    new = b.op("Mul", rest, b.op("MatMul", "x", b.const(b.weights(X, H))))
    b.op("Add", b.op("Mul", z, "h"), new, out="h_out")
    b.op("Gemm", "h_out", b.const(b.weights(H, 2)), out="y")
    return b.model({"x": [1, X], "h": [1, H]}, ["y", "h_out"])


def test_the_arithmetic_is_as_fine_as_ever(tmp_path: Path) -> None:
    net = rnnc.load_net(slow_cell())
    data = sequence(net, steps=600)
    qnet = quantized(net, data)
    lanes = {k: np.moveaxis(v, 0, 1).astype(np.float64) for k, v in data.items()}
    want = run_net(qnet.dequantized(), lanes)["y"].reshape(600, -1)
    integers = run_qnet(qnet, {k: qnet.formats[k].quantize(v) for k, v in lanes.items()})["y"]
    got = qnet.formats[qnet.outputs[0].value].dequantize(integers).reshape(600, -1)
    assert (sqnr_db(want, got) or 0) > 55
    check_c(qnet, tmp_path, 60)
