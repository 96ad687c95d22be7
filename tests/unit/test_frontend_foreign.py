"""Files of other formats given as a model: named, with the way to ONNX."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

import rnnc
from rnnc.cli import app
from rnnc.errors import UnreadableModel
from rnnc.frontend.read.foreign import FORMATS
from tests.support.small import small


def zipped(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return made.getvalue()


FILES = [
    (
        "fan.tflite",
        b"\x1c\0\0\0TFL3" + b"\0" * 40,
        "TensorFlow Lite",
        "tf2onnx.convert --tflite fan.tflite --output fan.onnx",
    ),
    ("fan.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 40, "HDF5", "load_model('fan.h5')"),
    (
        "fan.keras",
        zipped("metadata.json", "config.json", "model.weights.h5"),
        "a Keras model",
        "rnnc.export(model, 'fan.onnx')",
    ),
    ("fan.pt", zipped("fan/data.pkl", "fan/version"), "a PyTorch file", "torch.onnx.export(model.eval()"),
    ("fan.pth", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "a PyTorch file", "torch.onnx.export("),
    ("fan.pt", zipped("fan/data.pkl", "fan/code/__torch__.py"), "TorchScript", "torch.jit.load('fan.pt')"),
    ("fan.pt2", zipped("fan/models/model.json"), "torch.export", "torch.export.load('fan.pt2')"),
    ("fan.pb", b"\n\x10\n\x01x\x12\x0bPlaceholder", "TensorFlow graph", "--graphdef fan.pb --output fan.onnx"),
    ("fan.ort", b"\x1c\0\0\0ORTM" + b"\0" * 40, "in onnxruntime's own format", "file that it was made from"),
    ("fan.onnx", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS", "git lfs pull"),
    ("fan.h5", b"cut short", "HDF5", "load_model('fan.h5')"),
    ("fan.safetensors", b"\x40\0\0\0\0\0\0\0{}", "safetensors", "torch.onnx.export("),
]


@pytest.mark.parametrize(("name", "content", "what", "how"), FILES)
def test_another_format_is_named_with_the_way_to_onnx(
    name: str, content: bytes, what: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content)
    answer = CliRunner().invoke(app, ["compile", name, "-o", "out"])
    assert answer.exit_code == 3 and what in answer.stderr and how in answer.stderr and not Path("out").exists()
    with pytest.raises(UnreadableModel) as error:
        rnnc.load_net(name)
    assert how in str(error.value), "commands of others are left as they are"


@pytest.mark.parametrize("given", ["saved", "saved/saved_model.pb"])
def test_a_saved_model(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("saved").mkdir()
    Path("saved/saved_model.pb").write_bytes(b"\x08\x01\x12\x04\n\x02\x08\x01")
    answer = CliRunner().invoke(app, ["inspect", given, "--json"])
    assert answer.exit_code == 3 and "--saved-model saved --output saved.onnx" in answer.stderr


def test_contents_are_told_apart_without_a_name() -> None:
    with pytest.raises(UnreadableModel, match="Keras"):
        rnnc.load_net(zipped("config.json", "model.weights.h5"))


@pytest.mark.parametrize("name", ["fan.pb", "fan.pt", "fan", "fan.model"])
def test_an_onnx_file_may_be_called_anything(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(small())
    assert rnnc.load_net(tmp_path / name).inputs


def test_an_archive_of_anything_else_is_no_onnx(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped("notes.txt"))
    with pytest.raises(UnreadableModel, match="ONNX"):
        rnnc.load_net(tmp_path / "a.zip")


def test_every_format_is_met_here() -> None:
    assert len(FORMATS) == len({what for _, _, what, _ in FILES}) + 1, "and a SavedModel"
