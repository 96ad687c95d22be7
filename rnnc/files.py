"""Writing files: whole or not at all."""

from __future__ import annotations

from pathlib import Path

from rnnc.errors import UsageError
from rnnc.interruption import cleaned


def as_bytes(text: str) -> bytes:
    """Text as UTF-8; what Python keeps of a file's name that is none is written out (``caf\\udce9.onnx``)."""
    return text.encode(errors="backslashreplace")


def write_file(path: str | Path, content: bytes | str) -> None:
    """Write a file (text as UTF-8); what stood there stays until all is written. Devices and links are written to as they are.

    Raises UsageError where that is not possible.
    """
    path = Path(path)
    data = as_bytes(content) if isinstance(content, str) else content
    part = path.with_name(f".{path.name}.part")
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            path.write_bytes(data)
            return
        try:
            with cleaned(lambda: part.unlink(missing_ok=True)):
                part.write_bytes(data)
                part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
