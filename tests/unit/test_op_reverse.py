"""Backward and bidirectional layers in a window, against onnxruntime, and in C against the oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnc
from rnnc.errors import DataError, Refused
from rnnc.net import Net
from rnnc.options import Options
from rnnc.report.terminal import summary
from rnnc.streams import run_net, run_qnet
from tests.support.graphs import Builder
from tests.support.nets import integers
from tests.support.operators import quantized, reference, sequence
from tests.support.packages import Built, package
from tests.support.sequences import LIMIT, imported

T = 12
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def layer(b: Builder, x: str, kind: str, direction: str, columns: int, hidden: int, outputs: int = 1) -> list[str]:
    """A recurrent layer over ``[time, 1, columns]``."""
    d, g = (2 if direction == "bidirectional" else 1), GATES[kind]
    weights = ((g * hidden, columns), (g * hidden, hidden), (2 * g * hidden,))
    names = [b.const(b.weights(d, *shape)) for shape in weights]
    return b.ops(kind, outputs, x, *names, hidden_size=hidden, direction=direction)


def sequence_model(kind: str, direction: str, steps: int | str = T) -> bytes:
    """Every step's hidden states through a Dense layer."""
    b = Builder()
    d = 2 if direction == "bidirectional" else 1
    (y,) = layer(b, b.op("Transpose", "x", perm=[1, 0, 2]), kind, direction, 3, 4)
    flat = b.op("Reshape", b.op("Transpose", y, perm=[2, 0, 1, 3]), b.const(np.array([0, 0, 4 * d])))
    b.op("MatMul", flat, b.const(b.weights(4 * d, 2)), out="y")
    return b.model({"x": (1, steps, 3)}, ["y"])


def last_model(kind: str) -> bytes:
    """Both directions' final states, and what the sequence says at its last step."""
    b = Builder()
    y, h = layer(b, b.op("Transpose", "x", perm=[1, 0, 2]), kind, "bidirectional", 3, 4, 2)
    both = b.op("Reshape", b.op("Transpose", h, perm=[1, 0, 2]), b.const(np.array([1, 8])))
    end = b.op("Reshape", b.op("Gather", y, b.const(np.array(-1)), axis=0), b.const(np.array([1, 8])))
    b.op("Softmax", b.op("MatMul", b.op("Concat", both, end, axis=1), b.const(b.weights(16, 3))), out="y")
    return b.model({"x": (1, T, 3)}, ["y"])


def answers(content: bytes, asked: int = T) -> Net:
    """The network, whose answer to each of three windows must be onnxruntime's; ``asked``: --window."""
    net = imported(content, window=asked)
    assert net.window == T and {o.kind for o in net.outputs} == {"window"}
    data = sequence(net, steps=3 * T)
    got = run_net(net, {k: np.moveaxis(v, 0, 1).astype(np.float64) for k, v in data.items()})
    for k in range(3):
        want = reference(content, {n: v[:, k * T : (k + 1) * T] for n, v in data.items()})
        for o in net.outputs:
            n = max(o.ticks, 1)
            y, r = got[o.name][k * n : (k + 1) * n], want[o.name]
            np.testing.assert_allclose(y.ravel(), r.ravel(), atol=LIMIT * float(np.abs(r).max()))
    return net


def compiles(net: Net, folder: Path, precision: Any = "a16") -> None:
    """The C answers each window as the oracle does, also when saved and restored in the middle of one."""
    qnet = quantized(net, sequence(net, steps=8 * T), Options(precision=precision))
    program, files = package(qnet, steps=2 * T + 3)
    built = Built(program, files, folder)
    x = integers(qnet, 3 * T)
    want = {k: v[:, 0] for k, v in run_qnet(qnet, x).items()}
    c, got = built.new(), []
    for t in range(3 * T):
        other = built.new()
        assert other.restore(c.save()) == 0
        c = other
        written = c.step({k: v[t, 0] for k, v in x.items()})
        assert bool(written) == ((t + 1) % T == 0)
        got += [written] if written else []
    for name, y in want.items():
        np.testing.assert_array_equal(np.concatenate([g[name].ravel() for g in got]), y.ravel())


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("direction", ["reverse", "bidirectional"])
def test_sequences(kind: str, direction: str, tmp_path: Path) -> None:
    net = answers(sequence_model(kind, direction))
    assert net.outputs[0].ticks == T
    compiles(net, tmp_path)


@pytest.mark.parametrize("kind", GATES)
def test_final_states(kind: str, tmp_path: Path) -> None:
    net = answers(last_model(kind))
    assert net.outputs[0].ticks == 0
    compiles(net, tmp_path, "a8")


def test_two_layers(tmp_path: Path) -> None:
    b = Builder()
    (y,) = layer(b, b.op("Transpose", "x", perm=[1, 0, 2]), "GRU", "bidirectional", 3, 4)
    flat = b.op("Reshape", b.op("Transpose", y, perm=[0, 2, 1, 3]), b.const(np.array([0, 0, 8])))
    (z,) = layer(b, flat, "LSTM", "bidirectional", 8, 2)
    b.op("Reshape", b.op("Transpose", z, perm=[2, 0, 1, 3]), b.const(np.array([0, 0, 4])), out="y")
    compiles(answers(b.model({"x": (1, T, 3)}, ["y"])), tmp_path)


def test_behind_a_convolution(tmp_path: Path) -> None:
    b = Builder()
    c = b.op("Conv", b.op("Transpose", "x", perm=[0, 2, 1]), b.const(b.weights(4, 3, 5)), pads=[2, 2])
    (y,) = layer(b, b.op("Transpose", b.op("Relu", c), perm=[2, 0, 1]), "RNN", "bidirectional", 4, 3)
    flat = b.op("Reshape", b.op("Transpose", y, perm=[2, 0, 1, 3]), b.const(np.array([0, 0, 6])))
    b.op("ReduceMean", flat, b.const(np.array([1])), out="y", keepdims=0)
    compiles(answers(b.model({"x": (1, T, 3)}, ["y"])), tmp_path)


def test_an_open_length() -> None:
    net = imported(sequence_model("GRU", "bidirectional", "time"), window=7)
    assert net.window == 7 and net.outputs[0].ticks == 7


def test_memory() -> None:
    """The input is kept for the backward layer, its results and those of the forward one until they meet."""
    net = imported(sequence_model("GRU", "bidirectional"), window=T)
    kept = {s.name: int(np.prod(s.shape)) for s in net.states()}
    assert kept["reverse0_queue"] == T * 3 and kept["reverse1_queue"] == T * 4 and kept["delay0_queue"] == T * 4


def test_final_states_keep_only_the_input() -> None:
    """What the last step says of a backward layer is what it said first."""
    net = imported(last_model("LSTM"), window=T)
    kept = {s.name: int(np.prod(s.shape)) for s in net.states()}
    assert [n for n in kept if "queue" in n and kept[n] > 8] == ["reverse0_queue"]
    assert kept["reverse0_queue"] == T * 3


@pytest.mark.parametrize("direction", ["reverse", "bidirectional"])
def test_refused_without_a_window(direction: str) -> None:
    with pytest.raises(Refused, match="direction='" + direction) as error:
        imported(sequence_model("LSTM", direction))
    assert "--window" in error.value.hint


def test_another_window_than_the_file_has() -> None:
    with pytest.raises(Refused, match=f"{T} steps at once, and window says 7"):
        imported(sequence_model("LSTM", "reverse"), window=7)


def test_a_step_of_the_window(tmp_path: Path) -> None:
    b = Builder()
    turned = b.op("Slice", "x", *(b.const(np.array([v])) for v in (-1, -(2**31), 1, -1)))
    steps = [b.op("Gather", source, b.const(np.array(i)), axis=1) for source, i in ((turned, 3), ("x", 5))]
    b.op("Tanh", b.op("Concat", *steps, axis=1), out="y")
    compiles(answers(b.model({"x": (1, T, 3)}, ["y"])), tmp_path)


def test_what_comes_before_the_last_frame_waits_for_it(tmp_path: Path) -> None:
    """A pool leaves the last frames of a window over."""
    b = Builder()
    x = b.op("MaxPool", b.op("Transpose", "x", perm=[0, 2, 1]), kernel_shape=[5], strides=[5])
    b.op("Gemm", b.op("Flatten", x), b.const(b.weights(6, 2)), out="y")
    net = answers(b.model({"x": (1, T, 3)}, ["y"]), asked=0)
    assert net.values[net.outputs[0].value].clock.phase == T - 1
    compiles(net, tmp_path)


def test_outputs_of_each_step() -> None:
    b = Builder()
    b.op("Tanh", "x", out="z")
    b.op("Slice", "x", *(b.const(np.array([v])) for v in (-1, -(2**31), 1, -1)), out="y")
    content = b.model({"x": (1, T, 3)}, ["y", "z"])
    assert imported(content, window=T, outputs=("y",)).window == T
    net = imported(content, window=T)
    assert [o.ticks for o in net.outputs] == [T, T]


@pytest.mark.parametrize("content", [sequence_model("GRU", "reverse"), last_model("GRU")])
def test_a_window_answers_with_its_last_frame(content: bytes) -> None:
    """Delays within are not the caller's."""
    compiled = rnnc.compile_model(content, window=T, verify=False)
    said = compiled.report["outputs"][0]
    assert (said["kind"], said["rate"], said["latency"]) == ("window", T, 0)
    table = summary(compiled.report, compiled.program)
    assert "window" in table and " late" not in table and "every" not in table


@pytest.mark.parametrize("engine", ["c", "oracle", "float"])
def test_a_sequence_shorter_than_the_window_gives_nothing(engine: Any) -> None:
    compiled = rnnc.compile_model(sequence_model("GRU", "reverse"), window=T, verify=False)
    short, long = np.zeros((5, 3), np.float32), np.ones((T + 5, 3), np.float32)
    with pytest.raises(DataError, match="gives nothing yet after 5 steps"):
        compiled.simulate(short, engine=engine)
    both = compiled.simulate({"x": np.concatenate([short, long]), "lengths": np.array([5, T + 5])}, engine=engine)
    assert both["lengths"].tolist() == [0, T] and both["y"].shape == (T, 2)
