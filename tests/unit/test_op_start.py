"""Layers that start from what an input says once a sequence: h0 = tanh(W z), and its like."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnc.errors import Refused
from rnnc.net import Net
from rnnc.options import Options
from rnnc.streams import run_net, run_qnet, stream_qnet
from tests.support.graphs import Builder
from tests.support.imports import import_error, kinds
from tests.support.nets import integers
from tests.support.operators import check_c, quantized, sequence
from tests.support.packages import Built, package
from tests.support.sequences import imported

T, X, H, C = 12, 3, 4, 5
LIMIT = 1e-5
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


@dataclass(frozen=True)
class Start:
    """A recurrent network whose state starts from z.

    Args:
        states: which are computed, "h", "c" or both.
        squash: what bounds them, "" for nothing.
        before: an operator in front of the layer.
        options: attributes of the layer.
    """

    op_type: str = "GRU"
    states: str = "h"
    squash: str = "Tanh"
    layers: int = 1
    before: str = ""
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return "-".join(map(str, (self.op_type, self.states, self.squash or "free", self.layers, self.before)))

    def model(self, scale: float = 0.5, steps: int | str = T) -> bytes:
        """x ``[1, steps, X]`` and z ``[1, C]`` to y."""
        b = Builder(1)
        starts = {s: self._start(b, scale) for s in self.states}
        x = "x"
        if self.before == "Conv":
            turned = b.op("Transpose", "x", perm=[0, 2, 1])
            turned = b.op("Conv", turned, b.const(b.weights(X, X, 3)), pads=[1, 1])
            x = b.op("Transpose", turned, perm=[0, 2, 1])
        y = b.op("Transpose", x, perm=[1, 0, 2])
        gates = GATES[self.op_type] * H
        for k in range(self.layers):
            w, r = (b.const(b.weights(1, gates, n)) for n in (X if k == 0 else H, H))
            at = [b.const(np.array([n])) for n in (k, k + 1, 0)]
            own = [b.op("Slice", starts[s], *at) if s in starts else "" for s in "hc"]
            own = own if self.op_type == "LSTM" else own[:1]
            y = b.op(self.op_type, y, w, r, "", "", *own, hidden_size=H, **dict(self.options))
            y = b.op("Squeeze", y, b.const(np.array([1])))
        b.op("MatMul", b.op("Transpose", y, perm=[1, 0, 2]), b.const(b.weights(H, 2)), out="y")
        return b.model({"x": [1, steps, X], "z": [1, C]}, ["y"])

    def _start(self, b: Builder, scale: float) -> str:
        """``[layers, 1, H]``."""
        z = b.op("MatMul", "z", b.const(b.weights(C, self.layers * H, scale=scale)))
        z = b.op(self.squash, z) if self.squash else z
        return b.op("Reshape", z, b.const(np.array([self.layers, 1, H])))


CASES = [
    Start("RNN"),
    Start("RNN", options=(("activations", ["Relu"]),), squash="Relu"),
    Start("GRU"),
    Start("GRU", squash="Sigmoid", options=(("linear_before_reset", 1),)),
    Start("GRU", squash=""),
    Start("GRU", before="Conv"),
    Start("GRU", layers=2),
    Start("LSTM", states="hc"),
    Start("LSTM", states="hc", squash=""),
    Start("LSTM", states="c"),
    Start("LSTM", states="hc", layers=2),
]


def integer(net: Net, precision: Any = "a16") -> Any:
    return quantized(net, sequence(net, steps=8 * T), Options(precision=precision))


@pytest.mark.parametrize("steps", [T, "time"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_what_onnxruntime_gives(case: Start, steps: int | str) -> None:
    error, net = import_error(case.model(steps=steps), steps=3 * T)
    assert error < LIMIT
    assert kinds(net).count("started") == case.layers
    assert {v.name: v.per_sequence for v in net.inputs} == {"x": False, "z": True}


@pytest.mark.parametrize(
    ("case", "precision"), [*((c, "a16") for c in CASES), *((c, "a8") for c in CASES[4:9])], ids=str
)
def test_c_is_the_oracle(case: Start, precision: str, tmp_path: Path) -> None:
    check_c(integer(imported(case.model()), precision), tmp_path, 2 * T)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_integers_follow(case: Start) -> None:
    """Over sequences of their own z, a few steps each: the start is most of what is heard."""
    net = imported(case.model())
    qnet = integer(net)
    rng = np.random.default_rng(3)
    real = {"x": rng.standard_normal((3, 40, X)), "z": np.repeat(rng.standard_normal((1, 40, C)), 3, 0)}
    want = run_net(net, real)["y"]
    got = run_qnet(qnet, {k: qnet.formats[k].quantize(v) for k, v in real.items()})["y"]
    got = qnet.formats[qnet.outputs[0].value].dequantize(got)
    noise = float(((got - want) ** 2).sum())
    assert 10 * np.log10(float((want**2).sum()) / noise) > 30


def test_only_the_first_z_counts() -> None:
    """And only until the next reset, whatever comes between."""
    qnet = integer(imported(Start("GRU").model()))
    x = integers(qnet, T)
    other = {**x, "z": np.concatenate([x["z"][:1], x["z"][1:][::-1] // 3])}
    first = {**x, "z": np.concatenate([x["z"][:1] // 3, x["z"][1:]])}
    want = run_qnet(qnet, x)["y"]
    np.testing.assert_array_equal(run_qnet(qnet, other)["y"], want)
    assert np.any(run_qnet(qnet, first)["y"] != want)


@pytest.mark.parametrize("case", [Start("GRU", layers=2), Start("LSTM", states="hc"), Start("RNN")], ids=str)
@pytest.mark.parametrize("precision", ["a16", "a8"])
def test_reset_and_restore(case: Start, precision: str, tmp_path: Path) -> None:
    """A stream that is reset starts from the new z; one that is restored in mid-stream does not."""
    qnet = integer(imported(case.model()), precision)
    built = Built(*package(qnet), tmp_path)
    stream, oracle = built.new(), stream_qnet(qnet)
    blobs = {0: stream.save()}
    for seed in (1, 2):
        x = integers(qnet, T, seed)
        want = oracle.advance(x)["y"][:, 0]
        parts = []
        for t in range(T):
            parts.append(stream.step({k: v[t, 0] for k, v in x.items()})["y"])
            blobs[t + 1] = stream.save()
        np.testing.assert_array_equal(np.array(parts), want.reshape(T, -1))
        for cut in (0, 1, T // 2):
            other = built.new()
            assert other.restore(blobs[cut]) == 0
            np.testing.assert_array_equal(
                other.run({k: v[cut:, 0] for k, v in x.items()})["y"], want.reshape(T, -1)[cut:]
            )
        stream.call("reset")
        oracle.reset()


def test_both_directions_of_a_window(tmp_path: Path) -> None:
    b = Builder(2)
    start = b.op("Tanh", b.op("MatMul", "z", b.const(b.weights(C, 2 * H))))
    start = b.op("Reshape", start, b.const(np.array([2, 1, H])))
    weights = [b.const(b.weights(2, 3 * H, n)) for n in (X, H)]
    x = b.op("Transpose", "x", perm=[1, 0, 2])
    y = b.op("GRU", x, *weights, "", "", start, hidden_size=H, direction="bidirectional")
    b.op("Identity", y, out="y")
    model, options = b.model({"x": [1, T, X], "z": [1, C]}, ["y"]), Options(window=T)
    error, net = import_error(model, options, steps=3 * T)
    assert error < LIMIT and kinds(net).count("started") == 2
    check_c(quantized(net, sequence(net, steps=4 * T)), tmp_path, 3 * T)


def test_what_the_sequence_itself_says_is_refused() -> None:
    """A state from the last frame of x is known when the sequence is over."""
    b = Builder(3)
    last = b.op("Gather", "x", b.const(np.array(-1)), axis=1)
    start = b.op("Tanh", b.op("MatMul", last, b.const(b.weights(X, H))))
    start = b.op("Unsqueeze", start, b.const(np.array([0])))
    weights = [b.const(b.weights(1, 3 * H, n)) for n in (X, H)]
    b.op("GRU", b.op("Transpose", "x", perm=[1, 0, 2]), *weights, "", "", start, hidden_size=H, out="y")
    with pytest.raises(Refused, match="computed from the network's inputs"):
        imported(b.model({"x": [1, T, X]}, ["y"]))
