"""Reading a file within bounds, binding its axes, and saying what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import rnnc
from rnnc.errors import ModelError, Refused, UnreadableModel, UsageError
from rnnc.frontend.read.load import load
from rnnc.options import Options
from tests.support.graphs import Builder
from tests.support.models import IR, OPSET, recurrent

X, H = 3, 4


def lstm(shape: list[int | str], **attributes: object) -> onnx.ModelProto:
    """An LSTM over ``shape``, batch first."""
    b = Builder()
    b.op("Transpose", "x", out="xt", perm=[1, 0, 2])
    w, r = b.const(b.weights(1, 4 * H, X)), b.const(b.weights(1, 4 * H, H))
    b.op("LSTM", "xt", w, r, out="Y", hidden_size=H, **attributes)
    b.op("Squeeze", "Y", b.const(np.array([1])), out="y")
    model: onnx.ModelProto = onnx.ModelProto.FromString(b.model({"x": shape}, ["y"]))
    return model


def refusal(model: onnx.ModelProto | bytes, options: Options | None = None) -> str:
    content = model if isinstance(model, bytes) else bytes(model.SerializeToString())
    with pytest.raises(ModelError) as caught:
        load(content, options or Options())
    return str(caught.value)


# --------------------------------------------------------------------------- bounds


def test_an_operator_that_an_exporter_left_in() -> None:
    b = Builder()
    b.op("StatefulPartitionedCall", "x", out="y")
    assert "tf2onnx" in refusal(b.model({"x": [1, X]}, ["y"]))


@pytest.mark.parametrize("content", [b"", b"not onnx at all", b"\x00" * 100, bytes(range(256))])
def test_what_is_no_model(content: bytes) -> None:
    assert "ONNX" in refusal(content)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableModel, match="no such file"):
        load(tmp_path / "none.onnx", Options())
    with pytest.raises(UnreadableModel, match="not a file"):
        load(tmp_path, Options())


def test_external_data() -> None:
    model = lstm(["time", 1, X])
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    assert "another file" in refusal(model)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers(value: float) -> None:
    model = lstm([1, "time", X])
    array = numpy_helper.to_array(model.graph.initializer[0]).copy()
    array.flat[5] = value
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(array, model.graph.initializer[0].name))
    with pytest.raises(ModelError) as caught:
        rnnc.load_net(model.SerializeToString())
    message = str(caught.value)
    assert "infinite numbers" in message and model.graph.initializer[0].name in message


def test_sizes_that_do_not_fit_the_data() -> None:
    model = lstm([1, "time", X])
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([1 << 20, 8])
    assert "does not fill its shape" in refusal(model)


@pytest.mark.parametrize("dims", [[1 << 40], [1 << 20, 1 << 20], [-1, 4], [1] * 40])
def test_absurd_dimensions(dims: list[int]) -> None:
    model = lstm([1, "time", X])
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend(dims)
    refusal(model)


def test_tensors_that_would_be_huge() -> None:
    b = Builder()
    b.op("ConstantOfShape", b.const(np.array([1 << 20, 1 << 20])), out="big")
    b.op("Add", "x", b.op("ReduceSum", "big", keepdims=0), out="y")
    assert "elements are more than" in refusal(b.model({"x": [1, X]}, ["y"]))


def test_graphs_nested_without_end() -> None:
    graph = helper.make_graph([], "inner", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])])
    for _ in range(20):
        node = helper.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=graph)
        graph = helper.make_graph([node], "outer", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])])
        if graph.ByteSize() > 1 << 16:
            break
    assert "nested" in refusal(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR))


def test_nodes_in_a_circle() -> None:
    b = Builder()
    b.op("Add", "x", "b", out="a")
    b.op("Relu", "a", out="b")
    assert "not valid ONNX" in refusal(b.model({"x": [1, X]}, ["b"]))


def test_shapes_that_do_not_fit() -> None:
    b = Builder()
    b.op("MatMul", "x", b.const(b.weights(X + 1, H)), out="y")
    assert "do not fit together" in refusal(b.model({"x": [1, 4, X]}, ["y"]))


def test_a_length_that_an_exporter_left_in_an_open_axis_is_named() -> None:
    """As torch leaves it in the Reshape behind a recurrent layer."""
    b = Builder()
    before = b.op("MatMul", "x", b.const(b.weights(X, X)))
    steps = b.op("Slice", b.op("Shape", "x"), b.const(np.array([1])), b.const(np.array([2])))
    before = b.op("Reshape", before, b.op("Concat", b.const(np.array([1])), steps, b.const(np.array([-1])), axis=0))
    h = b.ops(
        "RNN",
        1,
        b.op("Transpose", before, perm=[1, 0, 2]),
        b.const(b.weights(1, X, X)),
        b.const(b.weights(1, X, X)),
        hidden_size=X,
    )[0]
    frozen = b.op("Reshape", b.op("Transpose", h, perm=[0, 2, 1, 3]), b.const(np.array([20, 1, X])))
    b.op("Add", before, b.op("Transpose", frozen, perm=[1, 0, 2]), out="y")
    with pytest.raises(UnreadableModel) as refused:
        load(b.model({"x": [1, "T", X]}, ["y"]), Options())
    assert "--bind T=20" in refused.value.hint


def test_the_steps_of_an_unrolled_loop_are_named_where_the_axis_is_lost_on_the_way() -> None:
    b = Builder()
    steps = b.op("Slice", b.op("Shape", "x"), b.const(np.array([1])), b.const(np.array([2])))
    x = b.op("Reshape", "x", b.op("Concat", b.const(np.array([1])), steps, b.const(np.array([-1])), axis=0))
    taken = [b.op("Tanh", b.op("Gather", x, b.const(np.array(k)), axis=1)) for k in range(4)]
    rows = [b.op("Unsqueeze", t, b.const(np.array([1]))) for t in taken]
    b.op("Add", b.op("Concat", *rows, axis=1), "x", out="y")
    with pytest.raises(UnreadableModel, match="do not fit together") as refused:
        load(b.model({"x": [1, "T", X]}, ["y"]), Options())
    assert "--bind T=4" in refused.value.hint


def test_a_constant_output_is_left_out_and_told() -> None:
    """As a policy gives the logarithm of its deviation beside its mean."""
    b = Builder()
    b.op("Tanh", "x", out="mean")
    b.op("Expand", b.const(np.array([0.5, 2], np.float32)), b.op("Shape", "x"), out="deviation")
    content = b.model({"x": [1, 2]}, ["mean", "deviation"])
    graph = load(content, Options())
    assert graph.wanted == ("mean",)
    assert any("'deviation' is left out: it is [0.5, 2] in every step" in note for note in graph.notes)
    assert load(content, Options(outputs=("deviation",))).wanted == ("deviation",)


def test_an_operator_that_tf2onnx_leaves_for_gelu_is_written_with_those_of_onnx() -> None:
    b = Builder()
    b.op("Mul", "x", b.op("Erfc", b.op("Neg", "x")), out="y")
    package = rnnc.compile_model(
        b.model({"x": ["time", 4]}, ["y"]), np.linspace(-2, 2, 400, dtype=np.float32).reshape(-1, 4), time_axis={"x": 0}
    )
    assert package.report["verify"]["import_max_rel"] < 1e-5


def test_a_file_that_drops_at_random_is_refused_by_name() -> None:
    b = Builder()
    b.op("Dropout", "x", b.const(np.array(0.5, np.float32)), b.const(np.array(True)), out="y")
    with pytest.raises(Refused, match=r"Dropout.*it drops at random, as in training") as refused:
        load(b.model({"x": [1, 64]}, ["y"]), Options())
    assert "model.eval()" in refused.value.hint


def test_custom_domain() -> None:
    model = lstm([1, "time", X])
    model.graph.node[1].domain = "com.microsoft"
    model.graph.node[1].op_type = "QAttention"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    message = refusal(model)
    assert "com.microsoft" in message and "QAttention" in message and "standard" in message


def test_local_functions_are_inlined() -> None:
    body = [helper.make_node("Add", ["a", "a"], ["b"])]
    function = helper.make_function("local", "Double", ["a"], ["b"], body, [helper.make_opsetid("", OPSET)])
    node = helper.make_node("Double", ["x"], ["y"], domain="local")
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, X])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, X])],
    )
    imports = [helper.make_opsetid("", OPSET), helper.make_opsetid("local", 1)]
    model = helper.make_model(graph, functions=[function], opset_imports=imports, ir_version=IR)
    assert [n.op_type for n in load(bytes(model.SerializeToString()), Options()).nodes] == ["Add"]
    model.functions[0].node[0].op_type, model.functions[0].node[0].domain = "Double", "local"
    assert "calls itself" in refusal(model)


def test_a_branch_that_depends_on_data() -> None:
    b = Builder()
    b.op("ReduceMax", "x", out="top", keepdims=0)
    b.op("Greater", "top", b.const(np.array(0.0)), out="which")
    shape = [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)]
    branches = [helper.make_graph([helper.make_node(op, ["x"], ["r"])], op, [], shape) for op in ("Relu", "Tanh")]
    node = helper.make_node("If", ["which"], ["y"], name="the if", then_branch=branches[0], else_branch=branches[1])
    b.nodes.append(node)
    import rnnc

    with pytest.raises(Refused, match=r"'the if' \(If\): which branch runs depends on the data"):
        rnnc.load_net(b.model({"x": [1, X]}, ["y"]))


# --------------------------------------------------------------------------- binding


@pytest.mark.parametrize(
    "shape", [["batch", "time", X], ["N", "seq_len", X], ["b", None, X], [None, None, X], ["s0", "s1", X]]
)
def test_open_axes_are_told_apart(shape: list[int | str]) -> None:
    graph = load(bytes(lstm(shape).SerializeToString()), Options())
    assert graph.inputs[0].shape == (1, graph.time, X)
    assert graph.time >= 29


def test_time_first_by_what_the_layer_scans() -> None:
    model = recurrent("GRU", np.ones((3 * H, X)), np.ones((3 * H, H)), np.ones(6 * H))
    proto = onnx.ModelProto.FromString(model)
    for k, symbol in enumerate(("d0", "d1")):
        proto.graph.input[0].type.tensor_type.shape.dim[k].dim_param = symbol
    assert load(bytes(proto.SerializeToString()), Options()).inputs[0].shape[1:] == (1, X)


def test_fixed_axes_stay() -> None:
    graph = load(bytes(lstm([1, 20, X]).SerializeToString()), Options())
    assert graph.inputs[0].shape == (1, 20, X) and graph.time == 0


def test_fixed_batch_becomes_one() -> None:
    graph = load(bytes(lstm([6, "time", X]).SerializeToString()), Options())
    assert graph.inputs[0].shape[0] == 1


def test_fixed_batch_that_is_built_in() -> None:
    b = Builder()
    b.op("Reshape", "x", b.const(np.array([20, 6, X])), out="xt")
    w, r = b.const(b.weights(1, 4 * H, X)), b.const(b.weights(1, 4 * H, H))
    b.op("LSTM", "xt", w, r, out="y", hidden_size=H)
    with pytest.raises(ModelError, match="mixes time"):
        rnnc.load_net(b.model({"x": [6, 20, X]}, ["y"]))


def test_bind_by_name() -> None:
    model = bytes(lstm(["batch", "time", X]).SerializeToString())
    graph = load(model, Options(bind={"time": 7}))
    assert graph.inputs[0].shape == (1, 7, X) and graph.time == 0
    assert load(model, Options(bind={"batch": 1})).inputs[0].shape[0] == 1
    with pytest.raises(UsageError, match="no such dimension"):
        load(model, Options(bind={"tiem": 7}))
    with pytest.raises(UsageError, match="positive integer"):
        load(model, Options(bind={"time": 0.5}))


def test_time_axis_by_option() -> None:
    model = bytes(lstm(["a", "b", X]).SerializeToString())
    assert load(model, Options(time_axis={"x": 1})).inputs[0].shape[0] == 1
    with pytest.raises(UsageError, match="no such input"):
        load(model, Options(time_axis={"z": 1}))


def test_scalars_are_bound_and_decide_branches() -> None:
    b = Builder()
    b.op("Equal", "sr", b.const(np.array(16000)), out="which")
    shape = [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)]
    branches = [helper.make_graph([helper.make_node(op, ["x"], ["r"])], op, [], shape) for op in ("Relu", "Tanh")]
    b.nodes.append(helper.make_node("If", ["which"], ["y"], then_branch=branches[0], else_branch=branches[1]))
    model = b.model({"x": [1, X], "sr": []}, ["y"], "fi")
    for rate, op in ((16000, "Relu"), (8000, "Tanh")):
        graph = load(model, Options(bind={"sr": rate}))
        assert [n.op_type for n in graph.nodes] == [op] and [t.name for t in graph.inputs] == ["x"]


def test_outputs_by_name() -> None:
    b = Builder()
    b.op("Relu", b.op("MatMul", "x", b.const(b.weights(X, H)), out="logits"), out="y")
    model = b.model({"x": [1, X]}, ["y"])
    assert load(model, Options(outputs=("logits",))).wanted == ("logits",)
    with pytest.raises(UsageError, match="Did you mean logits"):
        load(model, Options(outputs=("logit",)))


def test_stale_shapes_do_no_harm() -> None:
    """Exporters freeze the length of the example in inner shapes and outputs."""
    model = lstm([1, "time", X])
    model.graph.value_info.append(helper.make_tensor_value_info("xt", TensorProto.FLOAT, [20, 1, X]))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, [20, 1, H]))
    graph = load(bytes(model.SerializeToString()), Options())
    assert graph.shapes["y"] == (graph.time, 1, H)


# --------------------------------------------------------------------------- older opsets


@pytest.mark.parametrize("opset", [7, 9, 11, 12, 13, 17, 21])
def test_attributes_of_older_opsets_are_inputs(opset: int) -> None:
    b = Builder()
    axes = {"axes": [1]} if opset < 13 else {}
    names = [] if opset < 13 else [b.const(np.array([1]))]
    b.op("Squeeze", b.op("Transpose", "x", perm=[0, 2, 1]), *names, out="s", **axes)
    b.op("Softmax", "s", out="y")
    graph = load(b.model({"x": [4, 1, 1]}, ["y"], opset=opset), Options())
    squeeze = [n for n in graph.nodes if n.op_type in ("Squeeze", "Reshape")]
    assert all(len(n.inputs) == 2 and not n.attributes.get("axes") for n in squeeze)


def test_a_softmax_that_takes_axes_together() -> None:
    b = Builder()
    b.op("Softmax", "x", out="y", axis=1)
    assert "opset" in refusal(b.model({"x": [1, 3, 5]}, ["y"], opset=11))
