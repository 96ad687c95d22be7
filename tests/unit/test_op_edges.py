"""Convolutions with padding over raw units: the padding is 0 of what the sensor says, far from all that it ever says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnnc
from rnnc.compiler import compile_stages
from rnnc.ops.edges import Edges, QEdges
from rnnc.options import Options
from tests.support.graphs import Builder

Array = np.ndarray[Any, Any]
MIDDLE = np.array([101325.0, 293.0])
SPREAD = np.array([15.0, 0.5])
STEPS = 60


def _recording(width: int, seed: int = 0) -> dict[str, list[Array]]:
    """Two sequences ``[steps, 2 (, width)]``, one shorter than the kernels."""
    g = np.random.default_rng(seed)
    shape = (2, width) if width > 1 else (2,)
    middle, spread = (v.reshape(2, *(1,) * (len(shape) - 1)) for v in (MIDDLE, SPREAD))
    return {"x": [(middle + spread * g.standard_normal((n, *shape))).astype(np.float32) for n in (STEPS, 3)]}


def _net(width: int, act: str, groups: int = 1, **attributes: Any) -> bytes:
    """``[1, time, 2 (, width)]`` through a convolution whose bias takes the middle away, where no padding is."""
    b = Builder(2)
    kernel = attributes.pop("kernel")
    weights = b.weights(4, 2 // groups, *kernel)
    weights /= np.repeat(SPREAD.reshape(groups, -1), 4 // groups, axis=0).reshape(4, -1, *(1,) * len(kernel))
    middle = np.repeat(MIDDLE.reshape(groups, -1), 4 // groups, axis=0)
    bias = -np.einsum("rck,rc->r", weights.reshape(4, 2 // groups, -1), middle)
    rank = 2 + len(kernel)
    x = b.op("Transpose", "x", perm=[0, 2, 1] + [3] * (rank > 3))
    y = b.op("Conv", x, b.const(weights), b.const(bias), group=groups, **attributes)
    b.op("Transpose", b.op(act, y), perm=[0, 2, 1] + [3] * (rank > 3), out="y")
    return b.model({"x": (1, "T", 2) + (width,) * (width > 1)}, ["y"])


FORMS: dict[str, tuple[int, str, dict[str, Any]]] = {
    "causal": (1, "Tanh", {"kernel": (3,), "pads": [2, 0]}),
    "same, dilated": (1, "Relu", {"kernel": (3,), "pads": [2, 2], "dilations": [2]}),
    "every second, in groups": (1, "Tanh", {"kernel": (4,), "pads": [3, 1], "strides": [2], "groups": 2}),
    "over time and a frame": (3, "Relu", {"kernel": (2, 3), "pads": [1, 1, 0, 1]}),
    "over a frame": (3, "Relu", {"kernel": (1, 3), "pads": [0, 1, 0, 1]}),
}


@pytest.mark.parametrize("form", FORMS)
def test_padding_is_what_the_file_says_at_every_edge(form: str) -> None:
    width, act, attributes = FORMS[form]
    package = rnnc.compile_model(_net(width, act, **attributes), _recording(width))
    verify = package.report["verify"]
    assert verify["c_equals_oracle"] and verify["import_max_rel"] < 1e-5
    assert verify["outputs"][0]["sqnr_db"] > (35 if form == "over a frame" else 45)
    counted = [q.op for q in package.program.qnet.ops if isinstance(q.op, Edges)]
    assert bool(counted) == (form != "over a frame")


def test_padding_near_what_varies_is_read_as_it_is() -> None:
    near = {"x": [x - MIDDLE.astype(np.float32) + 8 * SPREAD.astype(np.float32) for x in _recording(1)["x"]]}
    package = rnnc.compile_model(_net(1, "Tanh", kernel=(3,), pads=[2, 0]), near, verify=False)
    assert not any(isinstance(q.op, Edges) for q in package.program.qnet.ops)


def test_padding_before_a_relu_and_a_gru_is_made_less_in_proportion_where_that_is_nearer() -> None:
    """A first frame of 101325 Pa beside changes of 30 Pa leaves 16 bits little of the latter: 21 dB without."""
    g, b = np.random.default_rng(0), Builder(5)
    x = 101325 + 30 * np.cumsum(g.standard_normal((300, 1)), 0) / 5
    weights = b.weights(6, 1, 5, scale=0.05)
    weights -= weights.mean(2, keepdims=True)
    bias = b.weights(6, scale=0.1) - MIDDLE[0] * weights.sum((1, 2))
    y = b.op("Relu", b.op("Conv", b.op("Transpose", "x", perm=[1, 2, 0]), b.const(weights), b.const(bias), pads=[4, 0]))
    y = b.op("Transpose", y, perm=[2, 0, 1])
    gates = [b.const(b.weights(1, 24, 6)), b.const(b.weights(1, 24, 8))]
    b.op("GRU", y, *gates, out="y", hidden_size=8)
    done = compile_stages(b.model({"x": ["T", 1, 1]}, ["y"]), {"x": x.astype(np.float32)}, Options())
    (edges,) = (q for q in done.qnet.ops if isinstance(q, QEdges))
    wanted = edges.op.starts[0].ravel() / edges.formats[0].scale
    share = edges.tables[0][0].ravel() / wanted
    assert np.all(share < 0.6) and np.ptp(share) < 0.001
