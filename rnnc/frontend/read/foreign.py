"""Files of other formats given as a model: what they are, and how they become ONNX."""

from __future__ import annotations

import shlex
import zipfile
from io import BytesIO
from pathlib import Path
from typing import NoReturn

from rnnc.errors import UnreadableModel

HEAD = 64
"""Bytes at the start that tell formats apart."""
MOST_NAMED = 5
"""Of the models beside a path that is none, how many are named."""
HDF5, PICKLE, ZIP = b"\x89HDF\r\n\x1a\n", b"\x80", b"PK\x03\x04"

TORCH = (
    "In Python, load it into its module, then `rnnc.export(model, '{onnx}', example=x)`, x being an input, "
    "or `torch.onnx.export(model.eval(), (x,), '{onnx}')`."
)
KERAS = "In Python, `model = keras.models.load_model('{file}')`, then `rnnc.export(model, '{onnx}')`."
TENSORFLOW = "Convert it: `python -m tf2onnx.convert {how} {shell} --output {out}` (pip install tf2onnx)."
FORMATS = {
    "tflite": (
        "a TensorFlow Lite model",
        TENSORFLOW.replace("{how}", "--tflite") + " Take the float model, not one that was quantized: rnnc quantizes.",
    ),
    "hdf5": ("an HDF5 file (Keras writes .h5)", KERAS),
    "keras": ("a Keras model", KERAS),
    "torch": ("a PyTorch file (a module, a state_dict or a checkpoint)", TORCH),
    "torchscript": (
        "a TorchScript module",
        "Load it in Python: `model = torch.jit.load('{file}')`, then `torch.onnx.export(model, example, '{onnx}')`.",
    ),
    "torch program": (
        "a program of torch.export",
        "Load it in Python: `program = torch.export.load('{file}')`, then `torch.onnx.export(program, f='{onnx}')`.",
    ),
    "safetensors": ("weights without a network (safetensors)", TORCH),
    "saved model": ("a TensorFlow SavedModel", TENSORFLOW.replace("{how}", "--saved-model")),
    "graph": (
        "a TensorFlow graph",
        TENSORFLOW.replace("{how}", "--graphdef").replace("{out}`", "{out} --inputs X:0 --outputs Y:0`"),
    ),
    "ort": ("a model in onnxruntime's own format", "Give the .onnx file that it was made from."),
    "pointer": ("a pointer of Git LFS, not the file itself", "Fetch it: `git lfs pull`."),
}
"""What it is, and what to do; {file} and {onnx} are its name and the result's, {shell} and {out} the same for a shell."""
ENDINGS = {
    ".tflite": "tflite",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".keras": "keras",
    ".pt": "torch",
    ".pth": "torch",
    ".ckpt": "torch",
    ".pt2": "torch program",
    ".safetensors": "safetensors",
    ".pb": "graph",
    ".ort": "ort",
}
"""What a file that is not ONNX probably is."""


def refuse_foreign(path: Path) -> None:
    """Raise UnreadableModel where a file (or folder) begins as another format does."""
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            raise _refusal("saved model", str(path))
        return
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(HEAD)
        found = _by_content(head, _members(path) if head.startswith(ZIP) else [])
        if found:
            raise _refusal(found, str(path))


def refuse_foreign_bytes(content: bytes) -> None:
    """As ``refuse_foreign``, of a file's content."""
    found = _by_content(content[:HEAD], _members(BytesIO(content)) if content.startswith(ZIP) else [])
    if found:
        raise _refusal(found, "model")


def refuse_by_name(path: Path) -> None:
    """Raise UnreadableModel where a file that holds no ONNX is called as files of another format are."""
    if path.name == "saved_model.pb":
        raise _refusal("saved model", str(path.parent))
    if path.suffix.lower() in ENDINGS:
        raise _refusal(ENDINGS[path.suffix.lower()], str(path))


def refuse_absent(path: Path) -> NoReturn:
    """Raise UnreadableModel for a path that is no file, with the names of the models that are there."""
    folder = path if path.is_dir() else path.parent
    near = sorted(p.name for p in folder.glob("*.onnx"))[:MOST_NAMED] if folder.is_dir() else []
    hint = f"In {folder if str(folder) != '.' else 'this folder'}: {', '.join(near)}." if near else ""
    what = "no such file" if not path.exists() else "a folder, not a file" if path.is_dir() else "not a file"
    raise UnreadableModel(what, where=str(path), hint=hint or "Give the path of an .onnx file.")


def refuse_unknown(content: bytes, file: str) -> NoReturn:
    """Raise UnreadableModel for content that is neither ONNX nor a format that is known by its beginning."""
    head = content[:HEAD].lstrip().lower()
    hint = "If it is to be ONNX, it is cut off or damaged: copy it, or export it, again."
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        hint = "It is a web page: download the file itself, not the page that shows it."
    elif content.startswith(ZIP) or content.startswith(b"\x93NUMPY"):
        hint = f"It is an archive, or arrays. Data go to --calib: rnnc compile MODEL.onnx --calib {shlex.quote(file)}"
    raise UnreadableModel("not an ONNX file, or damaged", where=file, hint=hint)


def _by_content(head: bytes, members: list[str]) -> str:
    """The format that content begins as; ``members`` are the files of a ZIP. "" for none of those known."""
    if head[4:8] in (b"TFL3", b"ORTM"):
        return "tflite" if head[4:8] == b"TFL3" else "ort"
    if head.startswith(HDF5):
        return "hdf5"
    if head.startswith(b"version https://git-lfs"):
        return "pointer"
    if head.startswith(PICKLE) and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "torch"
    names = {name.rpartition("/")[2] for name in members}
    if "model.weights.h5" in names:
        return "keras"
    if "data.pkl" in names:
        return "torchscript" if any("/code/" in name for name in members) else "torch"
    return (
        "torch program" if any("serialized_exported_program" in name or "/models/" in name for name in members) else ""
    )


def _members(source: Path | BytesIO) -> list[str]:
    try:
        with zipfile.ZipFile(source) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return []


def _refusal(found: str, file: str) -> UnreadableModel:
    what, hint = FORMATS[found]
    onnx = Path(file).with_suffix(".onnx").name if file != "model" else "model.onnx"
    how = hint.format(file=Path(file).name, onnx=onnx, shell=shlex.quote(file), out=shlex.quote(onnx))
    return UnreadableModel(f"it is {what}, not ONNX", where=file, hint=how)
