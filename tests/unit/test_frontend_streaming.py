"""From sequences to steps: where time is, what is state, what an output is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import rnnc
from rnnc.errors import Refused
from rnnc.options import Options
from tests.support.graphs import Builder
from tests.support.imports import import_error, kinds
from tests.support.layers import LIMIT, H, T, X, check, layer, squeezed

# --------------------------------------------------------------------------- time


@pytest.mark.parametrize("shape", [[1, "time", X], [1, T, X]])
def test_batch_first_through_transposes(shape: list[int | str]) -> None:
    b = Builder()
    y = layer(b, "GRU", b.op("Transpose", "x", perm=[1, 0, 2]))[0]
    flat = b.op("Reshape", b.op("Transpose", y, perm=[0, 2, 1, 3]), b.const(np.array([0, 0, -1])))
    b.op("Transpose", flat, out="y", perm=[1, 0, 2])
    assert check(b.model({"x": shape}, ["y"])) == ["gru"]


def test_features_as_long_as_the_sequence() -> None:
    b = Builder()
    y = layer(b, "GRU", b.op("Transpose", "x", perm=[1, 0, 2]), columns=T)[0]
    b.op("Transpose", squeezed(b, y), out="y", perm=[1, 0, 2])
    assert check(b.model({"x": [1, T, T]}, ["y"])) == ["gru"]


def test_channels_first() -> None:
    b = Builder()
    y = layer(b, "LSTM", b.op("Transpose", "x", perm=[2, 0, 1]))[0]
    b.op("Transpose", squeezed(b, y), out="y", perm=[1, 2, 0])
    assert check(b.model({"x": [1, X, T]}, ["y"])) == ["lstm"]


def test_layout_1() -> None:
    """onnxruntime does not run batch-first layers: only the shape is checked."""
    b = Builder()
    y = layer(b, "GRU", "x", layout=1)[0]
    b.op("Squeeze", y, b.const(np.array([2])), out="y")
    net = rnnc.load_net(b.model({"x": [1, "time", X]}, ["y"]))
    assert kinds(net) == ["gru"] and net.outputs[0].kind == "stream"


def test_frames_of_two_axes() -> None:
    """Each step is a matrix; the layer sees it flattened."""
    b = Builder()
    flat = b.op("Reshape", "x", b.const(np.array([T, 1, 6])))
    b.op("MatMul", squeezed(b, layer(b, "GRU", flat, columns=6)[0]), b.const(b.weights(H, 2)), out="y")
    assert check(b.model({"x": [1, T, 2, 3]}, ["y"])) == ["reshape", "gru", "dense"]


def test_a_frame_that_is_turned() -> None:
    b = Builder()
    turned = b.op("Transpose", "x", perm=[1, 0, 3, 2])
    flat = b.op("Reshape", turned, b.const(np.array([T, 1, 6])))
    b.op("Identity", squeezed(b, layer(b, "GRU", flat, columns=6)[0]), out="y")
    assert check(b.model({"x": [1, T, 2, 3]}, ["y"])) == ["layout", "reshape", "gru"]


def test_time_mixed_with_features_is_refused() -> None:
    b = Builder()
    y = squeezed(b, layer(b, "GRU", "x")[0])
    b.op("Reshape", b.op("Transpose", y, perm=[2, 1, 0]), b.const(np.array([2, -1])), out="y")
    with pytest.raises(Refused, match=r"\(Reshape\).*mixes time"):
        rnnc.load_net(b.model({"x": [10, 1, X]}, ["y"]))


@pytest.mark.parametrize("length", [12, "time"])
@pytest.mark.parametrize("count", [2, 3])
def test_frames_taken_together(length: int | str, count: int) -> None:
    b = Builder()
    joined = b.op("Reshape", "x", b.const(np.array([-1, 1, count * X])))
    b.op("Identity", squeezed(b, layer(b, "GRU", joined, columns=count * X)[0]), out="y")
    error, net = import_error(b.model({"x": [length, 1, X]}, ["y"]))
    assert error < LIMIT and kinds(net) == ["stack", "gru"]
    assert net.values[net.outputs[0].value].clock.rate == count


def test_no_axis_fits() -> None:
    """The layer scans the axis that holds the batch."""
    b = Builder()
    b.op("Identity", layer(b, "GRU", b.op("Transpose", "x", perm=[2, 0, 1]), columns=T)[0], out="y")
    model = b.model({"x": [1, T, X]}, ["y"])
    net = rnnc.load_net(model)
    assert net.inputs[0].shape == (T,)
    with pytest.raises(Refused, match="time_axis"):
        rnnc.load_net(model, Options(time_axis={"x": 1}))


# --------------------------------------------------------------------------- outputs


@pytest.mark.parametrize("form", ["gather", "slice", "Y_h"])
def test_last_step(form: str) -> None:
    b = Builder()
    y, h = layer(b, "GRU", "x")
    if form == "gather":
        last = b.op("Gather", squeezed(b, y), b.const(np.array(-1)), axis=0)
    elif form == "slice":
        ends = [b.const(np.array([v])) for v in (-1, np.iinfo(np.int64).max, 0)]
        last = squeezed(b, b.op("Slice", squeezed(b, y), *ends), 0)
    else:
        last = squeezed(b, h, 0)
    b.op("MatMul", last, b.const(b.weights(H, 2)), out="y")
    error, net = import_error(b.model({"x": ["time", 1, X]}, ["y"]))
    assert error < LIMIT and net.outputs[0].kind == "last"


def test_the_end_at_every_step_is_refused() -> None:
    b = Builder()
    y, h = layer(b, "GRU", "x")
    b.op("Add", squeezed(b, y), h, out="y")
    with pytest.raises(Refused, match="what there is once for the whole of it: a result"):
        rnnc.load_net(b.model({"x": [T, 1, X]}, ["y"]))


@pytest.mark.parametrize("step", [0, 4])
@pytest.mark.parametrize("op_type", ["Sub", "Mul", "Max"])
def test_one_step_at_every_step_is_refused(op_type: str, step: int) -> None:
    """The file subtracts one frame, such as the first, from all; what a step is given is not that frame."""
    b = Builder()
    bounds = [b.const(np.array([n])) for n in (step, step + 1, 0)]
    relative = b.op(op_type, "x", b.op("Slice", "x", *bounds))
    b.op("Identity", squeezed(b, layer(b, "GRU", relative)[0]), out="y")
    with pytest.raises(Refused, match="of a sequence by itself: of single steps a stream has the newest alone"):
        rnnc.load_net(b.model({"x": [T, 1, X]}, ["y"]))


def test_a_constant_that_differs_by_step_is_refused() -> None:
    b = Builder()
    b.op("Add", squeezed(b, layer(b, "GRU", "x")[0]), b.const(b.weights(T, 1, H)), out="y")
    with pytest.raises(Refused, match="differs from step to step") as refused:
        rnnc.load_net(b.model({"x": [T, 1, X]}, ["y"]))
    assert "Make it an input" in refused.value.hint


def test_a_constant_that_differs_by_step_is_no_feature() -> None:
    b = Builder()
    y = squeezed(b, layer(b, "GRU", "x")[0])
    b.op("Concat", y, b.const(b.weights(T, 1, 2)), out="y", axis=2)
    with pytest.raises(Refused, match="differs from step to step") as refused:
        rnnc.load_net(b.model({"x": [T, 1, X]}, ["y"]))
    assert "Make it an input" in refused.value.hint


def test_what_is_refused_is_told_of_the_axis_that_the_layer_scans() -> None:
    """Weights for each feature, after a mean over time (RevIN): with features taken as time they would differ by step."""
    b = Builder()
    x = b.op("Sub", "x", b.op("ReduceMean", "x", b.const(np.array([0]))))
    x = b.op("Mul", x, b.const(b.weights(X)))
    b.op("Identity", squeezed(b, layer(b, "GRU", x)[0]), out="y")
    with pytest.raises(Refused, match="what there is once for the whole of it") as refused:
        rnnc.load_net(b.model({"x": [T, 1, X]}, ["y"]))
    assert f"--window {T} compiles it" in refused.value.hint


def test_sequences_of_different_lengths_are_told() -> None:
    b = Builder()
    layers = list[list[str]]()
    for name, width in (("source", X), ("target", 2)):
        weights = [b.const(b.weights(1, H, n)) for n in (width, H)]
        layers.append(b.ops("RNN", 2, name, *weights, *(["", "", layers[0][1]] if layers else []), hidden_size=H))
    b.op("Squeeze", layers[1][0], b.const(np.array([1])), out="y")
    with pytest.raises(
        Refused, match=r"'source' \[10, 1, 3\] and 'target' \[16, 1, 2\] are not sequences of the same length"
    ):
        rnnc.load_net(b.model({"source": [10, 1, X], "target": [16, 1, 2]}, ["y"]))


def test_backward_layers_say_what_to_do() -> None:
    for direction in ("reverse", "bidirectional"):
        b = Builder()
        n = 2 if direction == "bidirectional" else 1
        w, r = b.const(b.weights(n, 3 * H, X)), b.const(b.weights(n, 3 * H, H))
        b.op("GRU", "x", w, r, out="y", hidden_size=H, direction=direction)
        with pytest.raises(Refused, match=rf"direction='{direction}'(.|\n)*window=T"):
            rnnc.load_net(b.model({"x": ["time", 1, X]}, ["y"]))


def test_unknown_operators_are_named() -> None:
    b = Builder()
    b.op("Det", b.op("MatMul", "x", b.const(b.weights(X, X))), out="y")
    with pytest.raises(Refused, match=r"'n_y' \(Det\): the operator Det is not supported"):
        rnnc.load_net(b.model({"x": [2, X, X]}, ["y"]))


# --------------------------------------------------------------------------- rewriting


def test_what_becomes_dense() -> None:
    b = Builder()
    x = b.op("MatMul", "x", b.const(b.weights(X, H)))
    x = b.op("Mul", b.op("Add", b.const(b.weights(H)), x), b.const(b.weights(1, 1, H)))
    x = b.op("Sub", b.const(b.weights(H)), b.op("Div", x, b.const(np.full(1, 3.0))))
    b.op("Identity", squeezed(b, layer(b, "RNN", x, columns=H)[0]), out="y")
    assert check(b.model({"x": ["time", 1, X]}, ["y"])) == ["dense", "rnn"]


def test_gemm_in_all_forms() -> None:
    b = Builder()
    h = squeezed(b, layer(b, "RNN", "x")[1], 0)
    a = b.op("Gemm", h, b.const(b.weights(2, H)), b.const(b.weights(2)), transB=1, alpha=0.5, beta=2.0)
    turned = b.op("Transpose", a, perm=[1, 0])
    b.op("Gemm", turned, b.const(b.weights(2, 3)), b.const(b.weights(1, 1)), out="y", transA=1)
    assert check(b.model({"x": ["time", 1, X]}, ["y"])) == ["rnn", "dense", "dense"]


def test_matrix_on_the_left() -> None:
    b = Builder()
    column = b.op("Transpose", layer(b, "RNN", "x")[1], perm=[0, 2, 1])
    b.op("MatMul", b.const(b.weights(2, H)), column, out="y")
    assert check(b.model({"x": ["time", 1, X]}, ["y"])) == ["rnn", "dense"]


# --------------------------------------------------------------------------- several frames a call


def test_several_frames_a_call_with_caches() -> None:
    """Two dilated convolutions with caches and a GRU with its state; four frames in a call."""
    b = Builder()
    x = b.op("Transpose", "x", perm=[0, 2, 1])
    for k, (columns, reach) in enumerate(((X, 2), (H, 4))):
        joined = b.op("Concat", f"cache_{k}", x, axis=2)
        ends = [b.const(np.array([v])) for v in (-reach, np.iinfo(np.int64).max, 2)]
        b.op("Slice", joined, *ends, out=f"next_cache_{k}")
        weights = b.const(b.weights(H, columns, 3))
        x = b.op("Relu", b.op("Conv", joined, weights, b.const(b.weights(H)), dilations=[reach // 2]))
    y, h = layer(b, "GRU", b.op("Transpose", x, perm=[2, 0, 1]), ("h0",), columns=H)
    b.op("Identity", h, out="hn")
    b.op("Transpose", squeezed(b, y), out="y", perm=[1, 0, 2])
    inputs: dict[str, list[int | str]] = {"x": [1, 4, X], "cache_0": [1, X, 2], "cache_1": [1, H, 4], "h0": [1, 1, H]}
    error, net = import_error(b.model(inputs, ["y", "next_cache_0", "next_cache_1", "hn"]))
    assert error < LIMIT
    assert [o.name for o in net.outputs] == ["y"] and not net.feedback and net.inputs[0].shape == (X,)


def test_states_of_one_axis() -> None:
    b = Builder()
    a = b.op("Add", b.op("MatMul", b.const(b.weights(H, X)), "x"), b.op("MatMul", b.const(b.weights(H, H)), "h"))
    b.op("Tanh", a, out="h_out")
    b.op("MatMul", "h_out", b.const(b.weights(H, 2)), out="y")
    assert check(b.model({"x": [X], "h": [H]}, ["y", "h_out"])) == ["rnn", "dense"]


def test_einsum() -> None:
    b = Builder()
    h = b.op("Einsum", "x", b.const(b.weights(H, X)), equation="bti,oi->bto")
    y = layer(b, "RNN", b.op("Transpose", h, perm=[1, 0, 2]), columns=H)[0]
    b.op("Identity", y, out="y")
    assert check(b.model({"x": [1, "time", X]}, ["y"])) == ["dense", "rnn"]


# --------------------------------------------------------------------------- refusals


def attention(b: Builder) -> None:
    b.op("MatMul", b.op("Softmax", b.op("MatMul", "x", b.op("Transpose", "x", perm=[0, 2, 1]))), "x", out="y")


def quantized(b: Builder) -> None:
    """There and back with scales of unlike size: more than rounding."""
    first, then, zero = b.const(np.array(0.1)), b.const(np.array(0.2)), b.const(np.array(0, np.int8))
    b.op("DequantizeLinear", b.op("QuantizeLinear", "x", first, zero), then, zero, out="y")


def noise(b: Builder) -> None:
    b.op("Add", "x", b.op("RandomNormalLike", "x"), out="y")


REFUSED: dict[Callable[[Builder], None], str] = {
    attention: "relates every step of a sequence",
    quantized: "already quantized",
    noise: "random numbers",
}


@pytest.mark.parametrize("make", REFUSED)
def test_reasons(make: Callable[[Builder], None]) -> None:
    b = Builder()
    make(b)
    with pytest.raises(Refused, match=REFUSED[make]):
        rnnc.load_net(b.model({"x": [1, "time", X]}, ["y"]))
