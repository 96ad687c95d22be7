"""Whatever a damaged file makes a reader raise becomes one DataError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rnnc.errors import DataError


@contextmanager
def readable(kind: str, array: str = "") -> Iterator[None]:
    """Reading a file of a kind (".npz"), or one array of it: every error is a DataError that names the array."""
    head = f"array {array!r}: " if array else ""
    try:
        yield
    except DataError as error:
        error.what = head + error.what
        raise
    except OSError as error:
        raise DataError(head + (error.strerror or str(error))) from None
    except MemoryError:
        raise DataError(f"{head}takes more memory than there is") from None
    except Exception as error:  # NumPy, zipfile, zlib and csv have a dozen kinds for what is damaged
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise DataError(f"{head}is not a readable {kind} file: {reason[:200]}") from None
