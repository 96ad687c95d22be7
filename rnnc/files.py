"""Writing files: whole or not at all."""

from __future__ import annotations

import os
import tempfile
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
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            path.write_bytes(data)
            return
        _replace(path, data)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None


def _replace(path: Path, data: bytes) -> None:
    """Through a file beside it that nobody else has: one that stands there already, or a link, is not written to."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:64]}-", suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with cleaned(lambda: part.unlink(missing_ok=True)):
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            part.chmod(path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~_umask())
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _umask() -> int:
    """The permissions that new files do not get."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
