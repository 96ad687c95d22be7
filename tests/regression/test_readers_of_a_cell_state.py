"""What reads the cell state of an LSTM, 32 bits in the layer, reads 16: operators took it as it was, and the C read halves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rnnc.compiler import compile_model
from tests.support.graphs import Builder

H, X, STEPS = 4, 3, 300
Reader = Callable[[Builder, str, str], str]


def reads(op_type: str, *constants: object) -> Reader:
    return lambda b, c, _: b.op(op_type, c, *(b.const(k) for k in constants))


def with_h(op_type: str) -> Reader:
    return lambda b, c, h: b.op(op_type, c, h)


def along(op_type: str) -> Reader:
    return reads(op_type, np.array([1]))


READERS: dict[str, Reader] = {
    "gated": lambda b, c, _: b.op("Mul", b.op("Sigmoid", c), c),
    "times h": with_h("Mul"),
    "plus h": with_h("Add"),
    "over h": lambda b, c, h: b.op("Div", c, b.op("Add", b.op("Abs", h), b.const(1.0))),
    "larger of h": with_h("Max"),
    "dense": lambda b, c, _: b.op("MatMul", c, b.const(b.weights(H, 2))),
    "beside h": lambda b, c, h: b.op("MatMul", b.op("Concat", c, h, axis=1), b.const(b.weights(2 * H, 2))),
    **{kind: reads(kind) for kind in ("Relu", "LeakyRelu", "Abs", "Exp", "Elu", "Tanh", "Softmax")},
    "Clip": reads("Clip", -0.1, 0.1),
    **{kind: along(kind) for kind in ("ReduceSum", "ReduceMax", "ReduceL2")},
    "LayerNormalization": reads("LayerNormalization", np.ones(H)),
}


def model() -> bytes:
    """One LSTM, and an output for each reader of its last cell state."""
    b = Builder(1)
    weights = [b.const(b.weights(1, 4 * H, n)) for n in (X, H)]
    _, h, c = b.ops("LSTM", 3, "x", *weights, hidden_size=H)
    h, c = (b.op("Squeeze", name, b.const(np.array([0]))) for name in (h, c))
    for name, reader in READERS.items():
        b.op("Identity", reader(b, c, h), out=name)
    return b.model({"x": [8, 1, X]}, list(READERS))


@pytest.mark.parametrize(("precision", "data", "least"), [("a16", True, 38), ("a16", False, 15), ("a8", True, 15)])
def test_it_is_read_in_16_bits(precision: str, data: bool, least: float) -> None:
    x = np.random.default_rng(0).standard_normal((STEPS, X)).astype(np.float32)
    package = compile_model(model(), x if data else None, precision=precision)
    assert package.verified is not None
    assert not package.verified.problems(min_sqnr=least)
