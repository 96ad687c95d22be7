"""Norms in every disguise: decomposed by PyTorch, Keras and by hand, all one op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnnc.ops.norm import Norm
from tests.support.graphs import Builder
from tests.support.operators import Case, import_error, imported, model, sequence

N = 6
GAIN, BIAS = np.linspace(0.5, 2, N), np.linspace(-1, 1, N)
EPSILON = 1e-5
Nodes = Callable[[Builder, str], str]


def mean(b: Builder, x: str) -> str:
    return b.op("ReduceMean", x, b.const(np.array([-1])), keepdims=1)


def root(b: Builder, d: str, *, product: bool = True, epsilon_first: bool = False) -> str:
    """sqrt(mean(d^2) + epsilon)."""
    square = b.op("Mul", d, d) if product else b.op("Pow", d, b.const(2.0))
    v, epsilon = mean(b, square), b.const(EPSILON)
    return b.op("Sqrt", b.op("Add", epsilon, v) if epsilon_first else b.op("Add", v, epsilon))


def torch_layer_norm(b: Builder, x: str) -> str:
    d = b.op("Sub", x, mean(b, x))
    y = b.op("Div", d, root(b, d, product=False))
    return b.op("Add", b.op("Mul", y, b.const(GAIN)), b.const(BIAS))


def keras_layer_norm(b: Builder, x: str) -> str:
    m = mean(b, x)
    inverse = b.op("Mul", b.op("Reciprocal", root(b, b.op("Sub", x, m))), b.const(GAIN))
    rest = b.op("Sub", b.const(BIAS), b.op("Mul", m, inverse))
    return b.op("Add", b.op("Mul", x, inverse), rest)


def keras3_layer_norm(b: Builder, x: str) -> str:
    m = mean(b, x)
    inverse = b.op("Mul", b.const(GAIN), b.op("Reciprocal", root(b, b.op("Sub", x, m), epsilon_first=True)))
    rest = b.op("Add", b.op("Mul", b.op("Neg", m), inverse), b.const(BIAS))
    return b.op("Add", rest, b.op("Mul", inverse, x))


def bare_layer_norm(b: Builder, x: str) -> str:
    d = b.op("Sub", x, mean(b, x))
    return b.op("Mul", b.op("Div", b.const(1.0), root(b, d)), d)


def two_means(b: Builder, x: str) -> str:
    """The mean is computed twice, as some exporters leave it."""
    d = b.op("Sub", x, mean(b, x))
    return b.op("Div", b.op("Sub", x, mean(b, x)), root(b, d))


def unbiased(b: Builder, x: str) -> str:
    d = b.op("Sub", x, mean(b, x))
    v = b.op("Mul", mean(b, b.op("Mul", d, d)), b.const(N / (N - 1)))
    return b.op("Div", d, b.op("Sqrt", b.op("Add", v, b.const(EPSILON))))


def rms_norm(b: Builder, x: str) -> str:
    return b.op("Mul", b.const(GAIN), b.op("Mul", x, b.op("Reciprocal", root(b, x))))


def rms_norm_by_power(b: Builder, x: str) -> str:
    v = b.op("Add", mean(b, b.op("Pow", x, b.const(2.0))), b.const(EPSILON))
    return b.op("Mul", b.op("Mul", x, b.op("Pow", v, b.const(-0.5))), b.const(GAIN))


def torch_normalize(b: Builder, x: str) -> str:
    length = b.op("ReduceL2", x, b.const(np.array([-1])), keepdims=1)
    return b.op("Div", x, b.op("Clip", length, b.const(np.float32(1e-6))))


def length_by_hand(b: Builder, x: str) -> str:
    total = b.op("ReduceSum", b.op("Mul", x, x), b.const(np.array([-1])), keepdims=1)
    return b.op("Div", x, b.op("Sqrt", b.op("Max", total, b.const(1e-6))))


CENTRED = [torch_layer_norm, keras_layer_norm, keras3_layer_norm, bare_layer_norm, two_means, unbiased]
UNCENTRED = [rms_norm, rms_norm_by_power, torch_normalize, length_by_hand]


@pytest.mark.parametrize("nodes", [*CENTRED, *UNCENTRED], ids=lambda f: f.__name__)
def test_every_form_of_a_norm_is_one_op(nodes: Nodes) -> None:
    content = model([Case("norm", nodes, 0)])
    net = imported(content)
    (only,) = net.ops
    assert isinstance(only, Norm)
    assert only.centred == (nodes in CENTRED)
    assert import_error(content, net, sequence(net)) <= 1e-5
    small = {"x": sequence(net, 1e-3)["x"]}
    assert import_error(content, net, small) <= 1e-5


def test_a_norm_whose_parts_are_read_elsewhere_is_still_right() -> None:
    def nodes(b: Builder, x: str) -> str:
        d = b.op("Sub", x, mean(b, x))
        y = b.op("Div", d, root(b, d))
        return b.op("Add", b.op("Mul", y, b.const(GAIN)), b.op("Tanh", y))

    content = model([Case("norm", nodes, 0)])
    net = imported(content)
    assert [op.kind for op in net.ops].count("norm") == 1
    assert import_error(content, net, sequence(net)) <= 1e-5


def test_what_only_looks_like_a_norm_stays_what_it_is() -> None:
    def nodes(b: Builder, x: str) -> str:
        d = b.op("Sub", x, mean(b, x))
        return b.op("Div", x, root(b, d))

    content = model([Case("norm", nodes, 0)])
    net = imported(content)
    assert "norm" not in [op.kind for op in net.ops]
    assert import_error(content, net, sequence(net)) <= 1e-5


@pytest.mark.parametrize("op_type", ["InstanceNormalization", "GroupNormalization"])
def test_norms_of_channels_over_frames_on_the_batch_axis(op_type: str) -> None:
    import onnxruntime

    from rnnc.frontend.read.load import load
    from rnnc.frontend.stream.streaming import to_stream
    from rnnc.options import Options
    from rnnc.streams import run_net

    b = Builder()
    how: dict[str, Any] = {} if op_type == "InstanceNormalization" else {"num_groups": 3}
    y = b.op(op_type, "x", b.const(GAIN.astype(np.float32)), b.const(BIAS.astype(np.float32)), **how)
    content = b.model({"x": (20, N, 5)}, [y], opset=21)
    options = Options(time_axis={"x": 0})
    net = to_stream(load(content, options), options)
    x = np.random.default_rng(0).standard_normal((20, N, 5)).astype(np.float32)
    (want,) = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    got = run_net(net, {"x": x[:, None].astype(np.float64)})[net.outputs[0].name][:, 0]
    assert np.abs(got - want).max() <= 1e-5
