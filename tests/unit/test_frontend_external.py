"""Weights in files beside the model: MODEL.onnx.data is read, others when asked for, and only from the model's own folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from typer.testing import CliRunner

import rnnc
from rnnc.cli import app
from rnnc.errors import UnreadableModel
from rnnc.frontend.read.load import load
from rnnc.options import Options
from tests.support.small import recording, small

EXTERNAL = Options(external_data=True)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """``small()`` with its weights in weights.bin."""
    path = tmp_path / "net.onnx"
    proto = onnx.load_model_from_string(small())
    onnx.save(proto, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (tmp_path / "weights.bin").stat().st_size > 300
    return path


def _with_entries(path: Path, **entries: str) -> Path:
    """The model with the first weight's entry changed."""
    proto = onnx.load(path, load_external_data=False)
    for entry in proto.graph.initializer[0].external_data:
        entry.value = entries.get(entry.key, entry.value)
    path.write_bytes(proto.SerializeToString())
    return path


def test_unasked_it_is_refused_with_both_ways_out(model: Path) -> None:
    with pytest.raises(UnreadableModel, match="its data is in another file") as refused:
        load(model, Options())
    assert "--external-data" in refused.value.hint and "external_data=False" in refused.value.hint


def test_asked_for_it_is_the_same_network(model: Path) -> None:
    alone, beside = (
        rnnc.compile_model(small(), recording(), name="net"),
        rnnc.compile_model(model, recording(), EXTERNAL, name="net"),
    )
    code = [p.files["net.c"].split("*/", 2)[2] for p in (alone, beside)]
    assert code[0] == code[1] and "--external-data" in beside.files["net.h"]
    assert alone.report["verify"]["outputs"] == beside.report["verify"]["outputs"]


def _in_data(model: Path, location: str) -> Path:
    """The model with its weights in another file of its folder."""
    (model.parent / "weights.bin").rename(model.parent / location)
    proto = onnx.load(model, load_external_data=False)
    for tensor in proto.graph.initializer:
        for entry in tensor.external_data:
            entry.value = location if entry.key == "location" else entry.value
    model.write_bytes(proto.SerializeToString())
    return model


def test_the_models_own_data_file_needs_no_flag(model: Path) -> None:
    alone = rnnc.compile_model(small(), recording(), name="net")
    beside = rnnc.compile_model(_in_data(model, "net.onnx.data"), recording(), name="net")
    code = [p.files["net.c"].split("*/", 2)[2] for p in (alone, beside)]
    assert code[0] == code[1] and "--external-data" not in beside.files["net.h"]
    assert alone.report["verify"]["outputs"] == beside.report["verify"]["outputs"]


def test_the_data_file_of_another_model_needs_the_flag(model: Path) -> None:
    with pytest.raises(UnreadableModel, match="its data is in another file"):
        load(_in_data(model, "other.onnx.data"), Options())


def test_the_models_own_data_file_is_no_link(model: Path) -> None:
    _in_data(model, "net.onnx.data")
    (model.parent / "net.onnx.data").rename(model.parent / "elsewhere.bin")
    (model.parent / "net.onnx.data").symlink_to(model.parent / "elsewhere.bin")
    with pytest.raises(UnreadableModel, match="not a file in the model's folder"):
        load(model, Options())


def test_the_command_line_takes_it(model: Path) -> None:
    answer = CliRunner().invoke(app, ["inspect", str(model), "--external-data"])
    assert answer.exit_code == 0 and "LSTM 3 -> 4" in answer.stdout


@pytest.mark.parametrize(
    "location", ["/etc/passwd", "../weights.bin", "sub/weights.bin", "..", ".", "", "a\0b", "no.bin"]
)
def test_no_other_folder_is_read(location: str, model: Path) -> None:
    (model.parent / "sub").mkdir()
    (model.parent / "sub/weights.bin").write_bytes((model.parent / "weights.bin").read_bytes())
    with pytest.raises(UnreadableModel, match="not a file in the model's folder"):
        load(_with_entries(model, location=location), EXTERNAL)


def test_no_link_is_followed(model: Path) -> None:
    weights = model.parent / "weights.bin"
    weights.rename(model.parent / "elsewhere.bin")
    weights.symlink_to(model.parent / "elsewhere.bin")
    with pytest.raises(UnreadableModel, match="not a file in the model's folder"):
        load(model, EXTERNAL)


@pytest.mark.parametrize(
    "entries", [{"offset": "-1"}, {"offset": "999999"}, {"length": "999999"}, {"length": "-4"}, {"length": "all"}]
)
def test_what_the_file_does_not_hold(entries: dict[str, str], model: Path) -> None:
    with pytest.raises(UnreadableModel, match=r"weights\.bin"):
        load(_with_entries(model, **entries), EXTERNAL)


def test_data_that_do_not_fill_the_shape(model: Path) -> None:
    with pytest.raises(UnreadableModel, match="weight"):
        load(_with_entries(model, length="8"), EXTERNAL)


def test_numbers_are_checked_as_those_within(model: Path) -> None:
    weights = model.parent / "weights.bin"
    weights.write_bytes(np.full(weights.stat().st_size // 4, np.nan, np.float32).tobytes())
    with pytest.raises(Exception, match="NaN or infinite"):
        load(model, EXTERNAL)


def test_bytes_have_no_folder(model: Path) -> None:
    with pytest.raises(UnreadableModel, match="another file"):
        load(model.read_bytes(), EXTERNAL)


def test_a_constant_node_keeps_its_data_there_too(model: Path) -> None:
    proto = onnx.load(model, load_external_data=False)
    weight = proto.graph.initializer[-1]
    assert weight.data_location == TensorProto.EXTERNAL
    proto.graph.node.insert(0, onnx.helper.make_node("Constant", [], [weight.name], value=weight))
    proto.graph.initializer.remove(weight)
    model.write_bytes(proto.SerializeToString())
    assert load(model, EXTERNAL).nodes
