"""Weights that lie in files beside the model: taken in within bounds.

MODEL.onnx.data, as torch.onnx.export writes it, is read unasked, other files on request. A location is a plain name in the
model's own folder, of a regular file and no link: a model names no file elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rnnc.errors import UnreadableModel
from rnnc.frontend.read.limits import MAX_FILE_BYTES, first_line, subgraphs, tensors

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

BESIDE = (
    "Copy it beside the model, or export the model again: torch.onnx.export(..., external_data=False) writes one file."
)


def embed_external(model: ModelProto, folder: Path, file: str, *, any_file: bool) -> bool:
    """Put the data of other files into the tensors that name them; raises UnreadableModel where that is not safe.

    Args:
        any_file: whatever file a tensor names, not the model's own ``.data`` alone.

    Returns whether there were any.
    """
    total, taken = 0, False
    for tensor in _external(model, file):
        if not (any_file or _location(tensor) == f"{file}.data"):
            continue
        taken = True
        where = f"{file}: weight {tensor.name!r}"
        tensor.raw_data = _read(tensor, folder, where)
        total += len(tensor.raw_data)
        if total > MAX_FILE_BYTES:
            raise UnreadableModel(f"the data in other files are more than {MAX_FILE_BYTES >> 20} MiB", where=file)
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
    return taken


def _location(tensor: TensorProto) -> str:
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")


def _external(model: ModelProto, file: str) -> Iterator[TensorProto]:
    from onnx import TensorProto

    for graph in subgraphs(model.graph, file):
        yield from (t for t in tensors(graph) if t.data_location == TensorProto.EXTERNAL)


def _read(tensor: TensorProto, folder: Path, where: str) -> bytes:
    """The bytes that a tensor names."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = _location(tensor)
    if not location or "\0" in location or location in (".", "..") or {"/", "\\"} & set(location):
        raise UnreadableModel(f"its data is at {location!r}, which is not a file in the model's folder", where=where)
    path = folder / location
    try:
        if path.is_symlink() or not path.is_file():
            raise UnreadableModel(
                f"its data is in {location!r}, which is not a file in the model's folder", where=where, hint=BESIDE
            )
        size = path.stat().st_size
        offset = int(entries.get("offset", 0))
        length = int(entries.get("length", size - offset))
        if not (0 <= offset <= size and 0 <= length <= min(size - offset, MAX_FILE_BYTES)):
            what = f"{location!r} has {size} bytes, not {length} from {offset} on"
            raise UnreadableModel(what, where=where, hint="It is cut off, or another model's. " + BESIDE)
        with path.open("rb") as stream:
            stream.seek(offset)
            return bytes(stream.read(length))
    except (OSError, ValueError) as error:
        raise UnreadableModel(f"its data in {location!r} cannot be read: {first_line(error)}", where=where) from error
