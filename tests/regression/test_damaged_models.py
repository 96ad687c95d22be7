"""Files that once ended in an internal error, each by its own message now."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from rnnc.cli import app
from rnnc.compiler import compile_stages
from rnnc.errors import ModelError
from rnnc.frontend.read.fold import fold
from rnnc.options import Options
from rnnc.tracing import Node
from tests.support.models import model
from tests.support.small import small


def _refusal(content: bytes) -> str:
    with pytest.raises(ModelError) as refused:
        compile_stages(content, None, Options())
    return str(refused.value)


@pytest.mark.parametrize("element", [TensorProto.UNDEFINED, TensorProto.STRING, TensorProto.COMPLEX64, 99])
def test_an_input_that_holds_no_numbers(element: int) -> None:
    damaged = ModelProto.FromString(small())
    damaged.graph.input[0].type.tensor_type.elem_type = element
    assert "input 'x': its elements are of type" in _refusal(damaged.SerializeToString())


def test_whole_numbers_that_no_table_is_looked_up_with() -> None:
    nodes = [
        helper.make_node("Add", ["x", "x"], ["twice"]),
        helper.make_node("Cast", ["twice"], ["r"], to=1),
        helper.make_node("LSTM", ["r", "W", "R"], ["y"], hidden_size=2),
    ]
    weights = {"W": np.ones((1, 8, 3)), "R": np.ones((1, 8, 2))}
    whole = ModelProto.FromString(model(nodes, {"x": ["time", 1, 3]}, {"y": ["time", 1, 1, 2]}, weights))
    whole.graph.input[0].type.tensor_type.elem_type = TensorProto.INT16
    assert "x" in _refusal(whole.SerializeToString())


def test_a_graph_without_outputs() -> None:
    damaged = ModelProto.FromString(small())
    del damaged.graph.output[:]
    assert "the graph has no outputs" in _refusal(damaged.SerializeToString())


def test_an_output_of_another_type_than_is_computed() -> None:
    damaged = ModelProto.FromString(small())
    damaged.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    assert "fit together" in _refusal(damaged.SerializeToString())


def test_a_bias_beyond_what_a_softmax_takes() -> None:
    nodes = [helper.make_node("Gemm", ["x", "W", "B"], ["l"]), helper.make_node("Softmax", ["l"], ["y"])]
    huge = {"W": np.ones((3, 2)), "B": np.array([1e20, 0.0])}
    content = model(nodes, {"x": ["time", 3]}, {"y": ["time", 2]}, huge)
    with pytest.raises(ModelError, match="can reach 1e"):
        compile_stages(content, None, Options(time_axis={"x": 0}))


def test_a_layer_whose_weights_are_too_wide_is_named() -> None:
    damaged = ModelProto.FromString(small())
    weight = next(w for w in damaged.graph.initializer if w.name == "W")
    array = np.frombuffer(weight.raw_data, np.float32).copy()
    array[0] = 1e20
    weight.raw_data = array.tobytes()
    assert _refusal(damaged.SerializeToString()).startswith("lstm0, LSTM 3 -> 4")


def test_a_name_that_is_no_text() -> None:
    content = small().replace(b"cell", b"c\xffll")
    assert ModelProto.FromString(content).graph.node[0].name != "cell"
    assert "UTF-8" in _refusal(content)


def test_a_cell_whose_weights_are_of_another_size() -> None:
    damaged = ModelProto.FromString(small())
    (cell,) = [node for node in damaged.graph.node if node.op_type == "LSTM"]
    cell.input[1], cell.input[2] = cell.input[2], cell.input[3]
    assert "fit" in _refusal(damaged.SerializeToString())


def test_a_dense_layer_of_another_width_than_what_it_reads() -> None:
    dense = Node("fc", "Dense", "", ("x", "W", "B"), ("y",))
    weights, bias = np.ones((2, 3)), np.zeros(2)
    assert fold(dense, [np.ones((4, 3)), weights, bias], 20) is not None
    assert all(fold(dense, [x, weights, bias], 20) is None for x in (np.ones(()), np.ones((4, 5))))


def test_a_constant_without_an_output_is_refused() -> None:
    broken = ModelProto.FromString(small())
    broken.graph.node.insert(0, helper.make_node("Constant", [], [], value=numpy_helper.from_array(np.ones(1))))
    assert "it has 0 outputs, its operator 1 or more" in _refusal(broken.SerializeToString())


@pytest.mark.parametrize("command", ["inspect", "compile"])
def test_places_that_are_no_whole_numbers_are_refused(command: str, tmp_path: Path) -> None:
    broken = ModelProto.FromString(small())
    broken.graph.node[-1].op_type = "Gather"
    (tmp_path / "m.onnx").write_bytes(broken.SerializeToString())
    answer = CliRunner().invoke(app, [command, str(tmp_path / "m.onnx")])
    assert answer.exit_code == 3 and "internal error" not in answer.stderr
