"""States that a file shows: of any shape, packed, caches, of a ConvLSTM, several frames a call; none is an argument of step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import rnnc
from rnnc.errors import DataError, Refused, UsageError
from rnnc.net import Net
from rnnc.options import Options
from rnnc.report.cautions import open_loop_cautions
from rnnc.streams import stream_qnet
from tests.support.graphs import Builder
from tests.support.imports import import_error, kinds
from tests.support.nets import integers
from tests.support.operators import check_c, quantized, sequence
from tests.support.packages import Built, package

X, H = 3, 4
LIMIT = 1e-5
STEPS = 40


def follows(model: bytes, names: Sequence[str], folder: Path | None = None, options: Options | None = None) -> Net:
    """Equal to onnxruntime, fed its own states; these are the net's states, and no inputs; the C equals the oracle."""
    error, net = import_error(model, options, steps=STEPS)
    assert error < LIMIT
    assert {s.alias for s in net.states()} == set(names)
    assert not {v.name for v in net.inputs} & set(names)
    if folder is not None:
        check_c(quantized(net, sequence(net, steps=4 * STEPS)), folder, STEPS)
    return net


# --------------------------------------------------------------------------- shapes


def leaky(shape: Sequence[int]) -> bytes:
    """h' = 0.9 h + W x, a state of any shape; y reads it flattened."""
    b, size = Builder(), int(np.prod(shape))
    fresh = b.op("Reshape", b.op("MatMul", "x", b.const(b.weights(X, size))), b.const(np.array(shape)))
    b.op("Add", b.op("Mul", "memory", b.const(np.array(0.9))), fresh, out="memory_out")
    flat = b.op("Reshape", "memory_out", b.const(np.array([1, size])))
    b.op("Gemm", flat, b.const(b.weights(size, 2)), b.const(b.weights(2)), out="y")
    return b.model({"x": [1, X], "memory": shape}, ["y", "memory_out"])


SHAPES = ([6], [1, 6], [6, 1], [1, 1, 6], [2, 3], [1, 2, 3], [1, 2, 1, 3], [2, 1, 2, 3])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_state_of_any_shape(shape: list[int]) -> None:
    net = follows(leaky(shape), ["memory"])
    assert [o.name for o in net.outputs] == ["y"]


@pytest.mark.parametrize("shape", [[6], [1, 2, 1, 3]], ids=str)
def test_a_state_is_read_set_and_saved_from_c(shape: list[int], tmp_path: Path) -> None:
    net = rnnc.load_net(leaky(shape))
    qnet = quantized(net, sequence(net, steps=200))
    built = Built(*package(qnet, "leaky"), tmp_path)
    assert (
        "leaky_step(leaky_t *s, const int16_t x[LEAKY_X_LEN], int16_t y[LEAKY_Y_LEN])"
        in (tmp_path / "leaky.h").read_text()
    )
    data = {k: v[:, 0] for k, v in integers(qnet, STEPS).items()}
    oracle, first, second, third = stream_qnet(qnet), built.new(), built.new(), built.new()
    oracle.advance({k: v[:10, None] for k, v in data.items()})
    first.run({k: v[:10] for k, v in data.items()})
    state = np.zeros(6, np.int32)
    first.call("get_memory", state)
    assert state.tolist() == oracle.state[qnet.feedback[0].state.name].ravel().tolist()
    second.call("set_memory", state)
    assert third.restore(first.save()) == 0
    rest = {k: v[10:] for k, v in data.items()}
    want = first.run(rest)["y"]
    assert np.array_equal(second.run(rest)["y"], want) and np.array_equal(third.run(rest)["y"], want)


def decoder(shape: Sequence[int], axis: int) -> bytes:
    """Two LSTMs, one on the other, whose h and c lie in one tensor; ``axis`` tells h from c."""
    b, x, outs = Builder(), "x", []
    for k, columns in enumerate((X, H)):
        w, r, bias = (b.const(b.weights(1, 4 * H, n)) for n in (columns, H, 2))
        bias = b.const(b.weights(1, 8 * H))
        start = []
        for part in (0, 1):
            taken = b.op("Gather", "state", b.const(np.asarray(part)), axis=axis)
            layer = b.op("Slice", taken, *(b.const(np.array([v])) for v in (k, k + 1, 1 if shape[0] == 1 else 0)))
            start.append(b.op("Reshape", layer, b.const(np.array([1, 1, H]))))
        y, h, c = b.ops("LSTM", 3, x, b.const(b.constants[w]), r, bias, "", *start, hidden_size=H)
        x = b.op("Squeeze", y, b.const(np.array([1])))
        outs.append([b.op("Reshape", s, b.const(np.array([1, 1, H]))) for s in (h, c)])
    layers = [b.op("Concat", outs[0][p], outs[1][p], axis=1) for p in (0, 1)]
    one = b.const(np.array([*shape[:axis], 1, *shape[axis + 1 :]]))
    parts = [b.op("Reshape", s, one) for s in layers]
    b.op("Concat", *parts, axis=axis, out="state_out")
    b.op("Gemm", b.op("Reshape", x, b.const(np.array([1, H]))), b.const(b.weights(H, 2)), out="y")
    return b.model({"x": [1, 1, X], "state": shape}, ["y", "state_out"])


@pytest.mark.parametrize(("shape", "axis"), [([2, 2, 1, H], 0), ([1, 2, H, 2], 3), ([2, 1, H, 2], 3)], ids=str)
def test_states_of_all_layers_in_one_tensor(shape: list[int], axis: int, tmp_path: Path) -> None:
    net = follows(decoder(shape, axis), ["state"], tmp_path)
    assert kinds(net) == ["lstm", "lstm", "dense"]
    elements = [i for s in net.states() if s.window is not None for i in s.window.ravel().tolist()]
    assert sorted(elements) == list(range(4 * H))


# --------------------------------------------------------------------------- by option


def test_state_none_is_an_input() -> None:
    model = leaky([1, 6])
    net = rnnc.load_net(model, Options(states={"memory": "none"}))
    assert [v.name for v in net.inputs] == ["x", "memory"] and not net.states()
    assert [o.name for o in net.outputs] == ["y", "memory_out"]


def test_a_state_by_option() -> None:
    """Names that say nothing: an input until it is said."""
    b = Builder()
    b.op("Add", b.op("Mul", "u", b.const(np.array(0.5))), b.op("MatMul", "x", b.const(b.weights(X, 6))), out="v")
    b.op("MatMul", "v", b.const(b.weights(6, 2)), out="y")
    model = b.model({"x": [1, X], "u": [1, 6]}, ["y", "v"])
    assert len(rnnc.load_net(model).inputs) == 2
    follows(model, ["u"], options=Options(states={"u": "v"}))


def masked(name: str) -> bytes:
    """A state that a flag resets before the step, and results of whose names none is like its own."""
    b = Builder()
    kept = b.op("Mul", name, b.op("Sub", b.const(np.ones((1, 1))), "done"))
    b.op("Tanh", b.op("Add", kept, b.op("MatMul", "x", b.const(b.weights(X, 6)))), out="v")
    b.op("MatMul", "v", b.const(b.weights(6, 2)), out="y")
    return b.model({"x": [1, X], "done": [1, 1], name: [1, 6]}, ["y", "v"])


@pytest.mark.parametrize(
    ("name", "states", "told"),
    [("hidden", {}, True), ("hidden", {"hidden": "none"}, False), ("hidden", {"hidden": "v"}, False), ("u", {}, False)],
    ids=["unsaid", "none", "said", "no-state-by-name"],
)
def test_an_input_that_may_be_a_state_is_told_with_the_option(name: str, states: dict[str, str], told: bool) -> None:
    found = rnnc.compile_model(masked(name), options=Options(states=states), verify=False).cautions
    assert any("states={'hidden': 'v'}" in c and "states={'hidden': 'none'}" in c for c in found) == told


def test_data_without_the_array_of_a_state_say_how_to_name_it() -> None:
    with pytest.raises(DataError, match="has no array 'u'") as missing:
        rnnc.compile_model(masked("u"), {"x": np.zeros((9, X)), "done": np.zeros((9, 1))}, verify=False)
    assert "--state u=OUTPUT" in missing.value.hint


# --------------------------------------------------------------------------- caches


def cached(frames: int, channels: int, outputs: int, width: int = 0) -> bytes:
    """A convolution whose cache comes in and goes out, ``frames`` frames a call, then a GRU; y ``[1, frames, outputs]``."""
    b, tail = Builder(), [width] if width else []
    joined = b.op("Concat", "cache", "x", axis=2)
    kernel = (4, channels, 3, 3) if width else (4, channels, 3)
    pads = [0, 1, 0, 1] if width else [0, 0]
    y = b.op("Relu", b.op("Conv", joined, b.const(b.weights(*kernel)), pads=pads))
    b.op("Slice", joined, *(b.const(np.array([v])) for v in (-2, 1 << 40, 2)), out="cache_out")
    rest = [0, 1, 3] if width else [0, 1]
    y = b.op("Transpose", y, perm=[2, *rest])
    count = 4 * max(width, 1)
    y = b.op("Reshape", y, b.const(np.array([frames, 1, count])))
    w, r, bias = b.weights(1, 3 * H, count), b.weights(1, 3 * H, H), b.weights(1, 6 * H)
    every, last = b.ops("GRU", 2, y, b.const(w), b.const(r), b.const(bias), "", "h", hidden_size=H)
    b.op("Identity", last, out="h_out")
    flat = b.op("Transpose", b.op("Squeeze", every, b.const(np.array([1]))), perm=[1, 0, 2])
    b.op("MatMul", flat, b.const(b.weights(H, outputs)), out="y")
    inputs = {"x": [1, channels, frames, *tail], "cache": [1, channels, 2, *tail], "h": [1, 1, H]}
    return b.model(inputs, ["y", "cache_out", "h_out"])


@pytest.mark.parametrize("width", [0, 6])
def test_a_cache_and_a_frame_a_call(width: int, tmp_path: Path) -> None:
    follows(cached(1, 2, 3, width), ["cache", "h"], tmp_path)


@pytest.mark.parametrize(("frames", "outputs"), [(2, 3), (4, 3), (3, 3)])
@pytest.mark.parametrize("width", [0, 6])
def test_a_cache_and_several_frames_a_call(frames: int, outputs: int, width: int, tmp_path: Path) -> None:
    """A step takes one frame; the history of the convolution is the cache. As many frames as outputs are told apart."""
    net = follows(cached(frames, 2, outputs, width), ["", "h"], tmp_path)
    assert net.inputs[0].shape == ((2, width) if width else (2,))


def test_caches_alone_and_several_frames_a_call() -> None:
    b = Builder()
    joined = b.op("Concat", "cache", "x", axis=2)
    b.op("Slice", joined, *(b.const(np.array([v])) for v in (-4, 1 << 40, 2)), out="cache_out")
    b.op("Conv", joined, b.const(b.weights(3, 2, 3)), out="y", dilations=[2])
    net = follows(b.model({"x": [1, 2, 4], "cache": [1, 2, 4]}, ["y", "cache_out"]), [""])
    assert net.inputs[0].shape == (2,)


# --------------------------------------------------------------------------- ConvLSTM


def conv_lstm(b: Builder, x: str, h: str, c: str, channels: int, hidden: int, axes: int) -> tuple[str, str]:
    rng = np.random.default_rng(5)
    kernel = rng.standard_normal((4 * hidden, channels + hidden, *[3] * axes)) * 0.3
    joined = b.op("Concat", x, h, axis=1)
    a = b.op("Conv", joined, b.const(kernel), b.const(rng.standard_normal(4 * hidden)), pads=[1] * (2 * axes))
    i, f, o, g = b.ops("Split", 4, a, axis=1, num_outputs=4)
    kept = b.op("Mul", b.op("Sigmoid", f), c)
    new = b.op("Add", kept, b.op("Mul", b.op("Sigmoid", i), b.op("Tanh", g)))
    return b.op("Mul", b.op("Sigmoid", o), b.op("Tanh", new)), new


GRID = {1: [5], 2: [3, 4]}


@pytest.mark.parametrize("axes", GRID)
def test_conv_lstm_of_one_step(axes: int, tmp_path: Path) -> None:
    b = Builder()
    h, c = conv_lstm(b, "x", "h", "c", 2, 3, axes)
    b.op("Identity", h, out="h_out")
    b.op("Identity", c, out="c_out")
    b.op("Conv", h, b.const(b.weights(1, 3, *[1] * axes)), out="y")
    state = [1, 3, *GRID[axes]]
    model = b.model({"x": [1, 2, *GRID[axes]], "h": state, "c": state}, ["y", "h_out", "c_out"])
    net = follows(model, ["h", "c"], tmp_path)
    assert [f.state.shape for f in net.feedback] == [(3, *GRID[axes])] * 2


def test_conv_lstm_in_a_scan(tmp_path: Path) -> None:
    inner, b = Builder(prefix="in_"), Builder()
    h, c = conv_lstm(inner, "x_t", "h", "c", 2, 3, 2)
    outputs = [inner.op("Identity", v, out=n) for v, n in ((h, "h_next"), (c, "c_next"), (h, "y_t"))]
    state = [1, 3, *GRID[2]]
    body = inner.graph({"h": state, "c": state, "x_t": [1, 2, *GRID[2]]}, outputs)
    zero = b.const(np.zeros(state))
    b.nodes.append(helper.make_node("Scan", [zero, zero, "x"], ["h_end", "c_end", "y"], body=body, num_scan_inputs=1))
    follows(b.model({"x": ["time", 1, 2, *GRID[2]]}, ["y"]), [""], tmp_path)


def test_conv_lstm_unrolled(tmp_path: Path) -> None:
    b, steps = Builder(), 5
    h = c = b.const(np.zeros([1, 3, *GRID[2]]))
    outputs = []
    for t in range(steps):
        x = b.op("Gather", "x", b.const(np.asarray(t)), axis=1)
        h, c = conv_lstm(b, x, h, c, 2, 3, 2)
        outputs.append(b.op("Unsqueeze", h, b.const(np.array([1]))))
    b.op("Concat", *outputs, axis=1, out="y")
    net = follows(b.model({"x": [1, steps, 2, *GRID[2]]}, ["y"]), [""], tmp_path)
    assert kinds(net).count("conv") == 1


@pytest.mark.parametrize(
    ("given", "result", "asked"),
    [("u", "u_next", True), ("u", "next_u", True), ("temperature", "temperature_new", True), ("u", "v", False)],
)
def test_an_input_whose_next_value_is_a_result_is_asked_about(given: str, result: str, asked: bool) -> None:
    """x and x_next may be a state or a prediction: as an argument of each step it is told, with both ways out."""
    b = Builder(2)
    joined = b.op("Concat", "x", given, axis=1)
    b.op("Tanh", b.op("MatMul", joined, b.const(b.weights(7, 4))), out=result)
    b.op("MatMul", result, b.const(b.weights(4, 2)), out="y")
    content = b.model({"x": (1, 3), given: (1, 4)}, ["y", result])
    told = list(open_loop_cautions(rnnc.load_net(content), Options()))
    assert [f"--state {given}={result} keeps it inside" in text for text in told] == [True] * asked
    for choice in (result, "none"):
        options = Options(states={given: choice})
        assert not list(open_loop_cautions(rnnc.load_net(content, options), options))


def test_a_predictor_of_its_only_input_is_not_asked_about() -> None:
    b = Builder(2)
    b.op("Tanh", b.op("MatMul", "x", b.const(b.weights(3, 3))), out="x_next")
    assert not list(open_loop_cautions(rnnc.load_net(b.model({"x": (1, 3)}, ["x_next"])), Options()))


def test_an_open_length_is_shown_as_such_where_shapes_differ() -> None:
    b = Builder()
    h = b.ops("RNN", 1, "x", b.const(b.weights(1, H, X)), b.const(b.weights(1, H, H)), hidden_size=H)[0]
    b.op("Squeeze", h, b.const(np.array([1])), out="y")
    with pytest.raises(UsageError, match=r"shapes \[T, 1, 3\] and \[T, 1, 4\] differ"):
        rnnc.load_net(b.model({"x": ["time", 1, X]}, ["y"]), Options(states={"x": "y"}))


# --------------------------------------------------------------------------- outputs of the state as the step finds it


def before_the_step(form: str) -> bytes:
    """h' = tanh(W x + R h), and y of h, not of h'."""
    b = Builder()
    sums = b.op("Add", b.op("MatMul", "x", b.const(b.weights(X, H))), b.op("MatMul", "h", b.const(b.weights(H, H))))
    after = b.op("Tanh", sums, out="h_out")
    if form == "state":
        b.op("Identity", "h", out="y")
    else:
        b.op("MatMul", "h", b.const(b.weights(H, 2)), out="y")
    names = ["y", "h_out"]
    if form == "both":
        names.append(b.op("MatMul", after, b.const(b.weights(H, 2)), out="z"))
    return b.model({"x": (1, X), "h": (1, H)}, names)


@pytest.mark.parametrize("form", ["y alone", "both"])
def test_an_output_of_the_state_before_the_step_comes_every_step(form: str, tmp_path: Path) -> None:
    net = follows(before_the_step(form), ["h"], tmp_path)
    assert all(net.values[o.value].clock.ticks(step) for o in net.outputs for step in range(3))
    rnnc.compile_model(before_the_step(form), verify=True)


def test_the_state_itself_as_the_step_finds_it_is_refused() -> None:
    with pytest.raises(Refused, match="a state as the step finds it"):
        rnnc.load_net(before_the_step("state"))
