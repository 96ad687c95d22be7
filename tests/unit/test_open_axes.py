"""Open axes: features that the graph tells, axes without a name, lengths of sequences; what is asked for is named exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from onnx import ModelProto

from rnnc.compiler import compile_model, load_net
from rnnc.errors import Refused, UnreadableModel, UsageError
from rnnc.options import Options
from tests.support.graphs import Builder

F, H, BLOCK = 3, 4, 24
Axis = int | str | None


def opened(content: bytes, axes: dict[str, Sequence[Axis]]) -> bytes:
    """The model with other axes of its inputs: a length, a name, or None for neither."""
    model = ModelProto.FromString(content)
    for value in model.graph.input:
        for dim, axis in zip(value.type.tensor_type.shape.dim, axes.get(value.name, ()), strict=False):
            dim.Clear()
            if isinstance(axis, int):
                dim.dim_value = axis
            elif axis:
                dim.dim_param = axis
    return bytes(model.SerializeToString())


def rnn(b: Builder, x: str, features: int, *rest: str) -> str:
    weights = [b.const(b.weights(1, H, n)) for n in (features, H)]
    return b.ops("RNN", 2, x, *weights, "", *rest, hidden_size=H)[0]


def recurrent() -> bytes:
    b = Builder(1)
    b.op("Identity", rnn(b, "x", F), out="y")
    return opened(b.model({"x": [12, 1, F]}, ["y"]), {"x": ["T", 1, "F"]})


def behind_a_product() -> bytes:
    b = Builder(2)
    x = b.op("MatMul", "x", b.const(b.weights(F, 5)))
    b.op("Identity", rnn(b, x, 5), out="y")
    return opened(b.model({"x": [12, 1, F]}, ["y"]), {"x": ["T", 1, None]})


def behind_a_convolution() -> bytes:
    b = Builder(3)
    x = b.op("Conv", b.op("Transpose", "x", perm=[1, 2, 0]), b.const(b.weights(5, F, 3)), pads=[2, 0])
    b.op("Identity", rnn(b, b.op("Transpose", x, perm=[2, 0, 1]), 5), out="y")
    return opened(b.model({"x": [12, 1, F]}, ["y"]), {"x": ["T", 1, None]})


def blocks() -> bytes:
    """A step file: a block of samples, its axes without names, is cut by a Conv; the state's batch has no name either."""
    b = Builder(4)
    x = b.op("Reshape", "x", b.const(np.array([1, 1, BLOCK])))
    x = b.op(
        "ReduceMean", b.op("Conv", x, b.const(b.weights(F, 1, 8)), strides=[8]), b.const(np.array([2])), keepdims=0
    )
    x = b.op("Unsqueeze", x, b.const(np.array([0])))
    b.op("Identity", rnn(b, x, F, "", "h"), out="y")
    b.op("Identity", b.nodes[-2].output[1], out="hn")
    return opened(b.model({"x": [1, BLOCK], "h": [1, 1, H]}, ["y", "hn"]), {"x": [None, None], "h": [1, None, H]})


@pytest.mark.parametrize("make", [recurrent, behind_a_product, behind_a_convolution, blocks])
def test_the_graph_tells_the_features(make: Callable[[], bytes]) -> None:
    package = compile_model(make())
    assert package.program.inputs[0].size == (BLOCK if make is blocks else F)
    assert package.verified is not None and not package.verified.problems()


def test_an_axis_without_a_name_is_bound_by_its_place() -> None:
    content = blocks()
    assert load_net(content, Options(bind={"x.1": BLOCK, "h.1": 1})).inputs[0].size == BLOCK
    assert load_net(recurrent(), Options(bind={"x.2": F})).inputs[0].size == F


@pytest.mark.parametrize(
    ("bind", "message"),
    [
        ({"h.0": 2.0}, r"bind=\{'h.0': 2\}: that axis has length 1"),
        ({"x.1": 0.0}, r"bind=\{'x.1': 0\}: a length is a positive integer"),
        ({"x.7": 1.0}, r"bind=\{'x.7': 1\}: no such dimension or input"),
        ({"z.0": 1.0}, r"bind=\{'z.0': 1\}: no such dimension or input"),
    ],
)
def test_a_place_that_is_none_is_told(bind: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_net(blocks(), Options(bind=bind))


def test_a_wrong_length_names_what_was_guessed() -> None:
    """Nothing tells how long a block is that is cut by slices: the guess, and the flag that says it, are named."""
    b = Builder(5)
    first, then, axis = (b.const(np.array([n])) for n in (0, BLOCK // 2, 1))
    halves = b.op(
        "Add", b.op("Slice", "x", first, then, axis), b.op("Slice", "x", then, b.const(np.array([BLOCK])), axis)
    )
    x = b.op("Unsqueeze", b.op("MatMul", halves, b.const(b.weights(BLOCK // 2, F))), b.const(np.array([0])))
    b.op("Identity", rnn(b, x, F, "", "h"), out="y")
    b.op("Identity", b.nodes[-2].output[1], out="hn")
    content = opened(b.model({"x": [1, BLOCK], "h": [1, 1, H]}, ["y", "hn"]), {"x": [1, None]})
    with pytest.raises((Refused, UnreadableModel)) as refused:
        load_net(content)
    assert "bind={'x.1': N}" in f"{refused.value}"
    assert load_net(content, Options(bind={"x.1": BLOCK})).inputs[0].size == BLOCK


SAMPLES = 40


def whole_blocks() -> bytes:
    """A block of samples, mirrored at its end, through strided convolutions to one position; the state is packed."""
    b = Builder(6)
    x = b.op("Pad", "x", b.const(np.array([0, 0, 0, 4])), mode="reflect")
    x = b.op("Conv", b.op("Unsqueeze", x, b.const(np.array([1]))), b.const(b.weights(F, 1, 16)), strides=[8])
    for _ in range(2):
        x = b.op("Relu", b.op("Conv", x, b.const(b.weights(F, F, 3)), strides=[2], pads=[1, 1]))
    x = b.op("Squeeze", x, b.const(np.array([2])))
    h, c = (b.op("Slice", "state", *(b.const(np.array([n])) for n in (k, k + 1, 0))) for k in range(2))
    weights = [b.const(b.weights(1, 4 * H, n)) for n in (F, H)]
    first = b.const(np.array([0]))
    _, h, c = b.ops("LSTM", 3, b.op("Unsqueeze", x, first), *weights, "", "", h, c, hidden_size=H)
    b.op("Concat", h, c, axis=0, out="stateN")
    b.op("Identity", h, out="y")
    content = b.model({"x": [1, SAMPLES], "state": [2, 1, H]}, ["y", "stateN"])
    return opened(content, {"x": [None, None], "state": [2, None, H]})


def test_the_longest_block_that_layers_use_up_is_taken_and_told() -> None:
    package = compile_model(whole_blocks())
    assert package.program.inputs[0].size == 36
    assert any("x.1: its open axis was taken as 36" in note for note in package.notes)
    assert package.verified is not None and not package.verified.problems()


def test_a_block_that_is_bound_is_not_deduced() -> None:
    package = compile_model(whole_blocks(), bind={"x.1": 28})
    assert package.program.inputs[0].size == 28 and not package.notes


def with_lengths(*axes: Axis) -> bytes:
    b = Builder(6)
    weights = [b.const(b.weights(1, H, n)) for n in (F, H)]
    _, last = b.ops("RNN", 2, "x", *weights, "", "lens", hidden_size=H)
    b.op("Identity", last, out="y")
    model = ModelProto.FromString(b.model({"x": [12, 1, F], "lens": [1]}, ["y"], "fi"))
    model.graph.input[1].type.tensor_type.elem_type = 6
    return opened(model.SerializeToString(), {"x": axes})


@pytest.mark.parametrize(
    ("content", "flags", "bind"),
    [
        (with_lengths(12, 1, F), "--bind lens=12", {"lens": 12.0}),
        (with_lengths(None, 1, F), "--bind lens=T --bind x.0=T", {"lens": 16.0, "x.0": 16.0}),
    ],
    ids=["fixed", "unnamed"],
)
def test_an_input_of_lengths_names_the_exact_bind(content: bytes, flags: str, bind: dict[str, float]) -> None:
    with pytest.raises(Refused, match="it tells how long a sequence is") as refused:
        load_net(content)
    assert flags in refused.value.hint
    package = compile_model(content, options=Options(bind=bind))
    assert package.verified is not None and not package.verified.problems()


def packed() -> bytes:
    """What unpacking a packed sequence exports: of each feature the element at the place length - 1."""
    b = Builder(7)
    weights = [b.const(b.weights(1, H, n)) for n in (F, H)]
    y, _ = b.ops("RNN", 2, b.op("Transpose", "x", perm=[1, 0, 2]), *weights, hidden_size=H)
    y = b.op("Transpose", b.op("Squeeze", y, b.const(np.array([1]))), perm=[1, 0, 2])
    place = b.op("Reshape", b.op("Sub", "lengths", b.const(np.array([1]))), b.const(np.array([-1, 1, 1])))
    at = b.op("Expand", place, b.const(np.array([1, 1, H])))
    b.op("Squeeze", b.op("GatherElements", y, at, axis=1), b.const(np.array([1])), out="y")
    model = ModelProto.FromString(b.model({"x": [1, 12, F], "lengths": [1]}, ["y"], "fi"))
    model.graph.input[1].type.tensor_type.elem_type = 7
    return opened(model.SerializeToString(), {"x": ["batch", "seq", F], "lengths": ["batch"]})


@pytest.mark.parametrize("content", [with_lengths("T", 1, F), packed()], ids=["of a layer", "packed"])
def test_an_input_of_lengths_is_that_of_the_sequence(content: bytes) -> None:
    """Named axes: the answer is the last so far, at every step, and a note says what became of the input."""
    package = compile_model(content)
    assert [v.name for v in package.program.qnet.inputs] == ["x"]
    assert [o.kind for o in package.program.qnet.outputs] == ["last"]
    assert any("taken as the length of the sequence" in note for note in package.notes)
    assert package.verified is not None and not package.verified.problems()
    bound = {"lengths": 12.0, "seq": 12.0} if b"seq" in content else {"lens": 12.0, "T": 12.0}
    assert load_net(content, Options(bind=bound)).length == 12


def test_a_length_that_no_layer_takes_names_the_steps_of_the_file() -> None:
    """Where it only picks the last step."""
    b = Builder()
    weights = [b.const(b.weights(1, H, n)) for n in (F, H)]
    steps, _ = b.ops("RNN", 2, "x", *weights, hidden_size=H)
    b.op("Gather", steps, b.op("Sub", "lens", b.const(np.array([1]))), out="y", axis=0)
    model = ModelProto.FromString(b.model({"x": [12, 1, F], "lens": [1]}, ["y"], "fi"))
    model.graph.input[1].type.tensor_type.elem_type = 7
    with pytest.raises(Refused, match="it tells how long a sequence is") as refused:
        load_net(model.SerializeToString())
    assert "--bind lens=12." in refused.value.hint


def test_a_length_that_the_sequence_does_not_have_is_told() -> None:
    with pytest.raises(UnreadableModel, match="onnxruntime does not run it with"):
        compile_model(with_lengths("T", 1, F), options=Options(bind={"lens": 24.0}))


@pytest.mark.parametrize("taken", ["Split", "Gather"])
def test_a_loop_that_was_unrolled_over_an_open_axis_tells_its_length(taken: str) -> None:
    """As torch leaves a Python loop where the axis is said to be open: the file means no other number of steps."""
    b, steps, copies = Builder(7), list[str](), 5
    if taken == "Split":
        parts = b.ops("Split", copies, "x", b.const(np.ones(copies, np.int64)), axis=1)
        frames = [b.op("Squeeze", part, b.const(np.array([1]))) for part in parts]
    else:
        frames = [b.op("Gather", "x", b.const(np.array(t)), axis=1) for t in range(copies)]
    w, u, h = b.const(b.weights(F, H)), b.const(b.weights(H, H)), b.const(np.zeros((1, H), np.float32))
    for frame in frames:
        h = b.op("Tanh", b.op("Add", b.op("MatMul", frame, w), b.op("MatMul", h, u)))
        steps.append(b.op("Unsqueeze", h, b.const(np.array([1]))))
    b.op("Concat", *steps, out="y", axis=1)
    net = load_net(opened(b.model({"x": [1, copies, F]}, ["y"]), {"x": [1, "seq_len", F]}))
    assert net.length == copies and [o.kind for o in net.outputs] == ["stream"]
    assert len(net.ops) < 2 * copies  # one step, not five


def test_a_layer_over_all_steps_tells_how_many_there_are() -> None:
    """torch's ``view(len(x), -1)`` before a Linear, with an open axis of time."""
    b = Builder(8)
    y = b.op(
        "Transpose",
        b.op("Squeeze", rnn(b, b.op("Transpose", "x", perm=[1, 0, 2]), F), b.const(np.array([1]))),
        perm=[1, 0, 2],
    )
    first = b.op("Slice", b.op("Shape", "x"), b.const(np.array([0])), b.const(np.array([1])))
    flat = b.op("Reshape", y, b.op("Concat", first, b.const(np.array([-1])), axis=0))
    b.op("Gemm", flat, b.const(b.weights(2, 12 * H)), out="y", transB=1)
    net = load_net(opened(b.model({"x": [1, 12, F]}, ["y"]), {"x": ["batch", "seq_len", F]}))
    assert net.window == 12 and net.outputs[0].kind == "window"
