"""Mean, sum, largest and smallest of a sequence so far, against onnxruntime, and in C against the oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnc.errors import Refused
from rnnc.net import Net, Output, Value
from rnnc.ops.running import MOST, Running
from rnnc.streams import run_net, stream_net, stream_qnet
from tests.support.graphs import Builder
from tests.support.operators import quantized, reference, sequence
from tests.support.packages import HEADER, Built, blob_of, package
from tests.support.sequences import STEPS, arithmetic_sqnr, compiles, follows, imported


def over(op_type: str, axes: list[int], keepdims: int = 1, frame: tuple[int, ...] = (4,), before: str = "") -> bytes:
    """A reduction of x ``[1, time, *frame]``, of its ``before`` if named."""
    b = Builder()
    x = b.op(before, "x") if before else "x"
    b.op(op_type, x, b.const(np.array(axes)), out="y", keepdims=keepdims)
    return b.model({"x": (1, STEPS, *frame)}, ["y"])


@pytest.mark.parametrize("op_type", ["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"])
@pytest.mark.parametrize(("axes", "keepdims"), [([1], 1), ([1], 0), ([1, 2], 0)])
def test_over_time(op_type: str, axes: list[int], keepdims: int, tmp_path: Path) -> None:
    net = follows(over(op_type, axes, keepdims))
    assert net.outputs[0].kind == "last"
    assert arithmetic_sqnr(net) > 55
    compiles(net, tmp_path)


@pytest.mark.parametrize("op_type", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_pools(op_type: str, tmp_path: Path) -> None:
    b = Builder()
    x = b.op("Conv", b.op("Transpose", "x", perm=[0, 2, 1, 3]), b.const(b.weights(3, 2, 3, 3)), pads=[1, 0, 1, 0])
    b.op("Flatten", b.op(op_type, x), out="y")
    compiles(follows(b.model({"x": (1, STEPS, 2, 5)}, ["y"])), tmp_path)


def test_every_prefix() -> None:
    """At each step it is what the whole file answers to the sequence so far."""
    content = over("ReduceMean", [1], 0, before="Tanh")
    net = imported(content)
    data = sequence(net, steps=STEPS)
    y = run_net(net, {"x": np.moveaxis(data["x"], 0, 1).astype(np.float64)})["y"]
    b = Builder()
    b.op("ReduceMean", b.op("Tanh", "x"), b.const(np.array([1])), out="y", keepdims=0)
    for steps in (1, 7, STEPS):
        want = reference(b.model({"x": (1, steps, 4)}, ["y"]), {"x": data["x"][:, :steps]})["y"]
        np.testing.assert_allclose(y[steps - 1], want, atol=1e-6)


def test_other_sums_over_time_are_refused() -> None:
    with pytest.raises(Refused, match="ReduceL2 along time"):
        imported(over("ReduceL2", [1]))


def _mean(size: int = 2) -> Net:
    op = Running("running0", ("x",), ("y",), "mean", size)
    return Net("mean", (Value("x", (size,)),), (op,), (Output("y", "y", "last"),))


def test_a_full_mean_goes_on_as_a_leaky_one(tmp_path: Path) -> None:
    """Past 65,535 values the integers follow the float recursion, and the C the integers, at full scale too."""
    net, rng = _mean(), np.random.default_rng(0)
    qnet = quantized(net, {"x": np.ones((1, 64, 2), np.float32)})
    x = np.stack([np.full(400, 32767), rng.integers(-32768, 32768, 400)], 1)[:, None]
    lsb = qnet.formats["x"].scale[0]
    start = np.array([[-(MOST - 100) * 32767, 12345678]])
    oracle, exact = stream_qnet(qnet), stream_net(net)
    oracle.state["running0_sum"], exact.state["running0_sum"] = start.copy(), start * lsb
    oracle.state["running0_count"][:] = exact.state["running0_count"][:] = MOST - 100
    program, files = package(qnet)
    c = Built(program, files, tmp_path).new()
    assert c.restore(blob_of(program, oracle, {}, c.save()[:HEADER])) == 0
    want = oracle.advance({"x": x})["y"]
    np.testing.assert_array_equal(c.run({"x": x[:, 0]})["y"], want[:, 0])
    assert oracle.state["running0_count"][0, 0] == MOST
    real = qnet.formats["y"].dequantize(want)
    assert np.abs(real - exact.advance({"x": x * lsb})["y"]).max() < 3 * lsb


def test_any_restored_sum_is_safe(tmp_path: Path) -> None:
    """The largest sum with the smallest count overflows nothing (the oracle checks every width)."""
    qnet = quantized(_mean(), {"x": np.ones((1, 64, 2), np.float32)})
    for count in (0, 1, 2, 32767, MOST):
        stream = stream_qnet(qnet)
        limit = qnet.states()[0].format.hi
        stream.state["running0_sum"] = np.array([[limit, -limit]])
        stream.state["running0_count"][:] = count
        assert stream.advance({"x": np.array([[[32767, -32768]]])})["y"].shape == (1, 1, 2)
