"""Ctrl-C at any time: child processes end, temporary folders go, what is being written is written whole; one line, exit 130.

An exception would come out anywhere, and libraries turn it into others or print it; so the process ends where it stands.
Python hears of the signal only between two of its own instructions: where a long call of C keeps it from that, a thread acts.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import NoReturn

from rnnc.ctrl_c import INTERRUPTED, WORDS

PATIENCE = 0.5
"""Seconds that Python has to hear of the signal."""

_cleanups: dict[object, Callable[[], object]] = {}
_leaving = threading.Lock()
_heard = threading.Event()


class _Whole:
    """Whether something is being written that must not be left half-done, and whether the end waits for it."""

    depth = 0
    due = False


@contextmanager
def cleaned(action: Callable[[], object]) -> Iterator[None]:
    """Within it, an interruption calls ``action`` before the process ends."""
    key = object()
    _cleanups[key] = action
    try:
        yield
    finally:
        _cleanups.pop(key, None)


@contextmanager
def whole() -> Iterator[None]:
    """Within it, which must be short, an interruption waits."""
    _Whole.depth += 1
    try:
        yield
    finally:
        _Whole.depth -= 1
        if _Whole.due and not _Whole.depth:
            _leave()


class TemporaryFolder(TemporaryDirectory[str]):
    """A temporary folder that an interruption takes away, too."""

    def __init__(self, prefix: str = "rnnc-", folder: str | os.PathLike[str] | None = None) -> None:
        with whole():
            super().__init__(prefix=prefix, dir=folder, ignore_cleanup_errors=True)
            _cleanups[id(self)] = super().cleanup

    def cleanup(self) -> None:
        """Remove it."""
        _cleanups.pop(id(self), None)
        super().cleanup()


def lasting_folder(prefix: str) -> Path:
    """A temporary folder that lives as long as this process."""
    folder = TemporaryFolder(prefix)
    atexit.register(folder.cleanup)
    return Path(folder.name)


def listen() -> None:
    """From now on SIGINT ends this process; for the main thread of a program, not for a library."""
    if signal.getsignal(signal.SIGINT) in (_handle, signal.SIG_IGN):
        return  # heard already, or nothing is to be heard: a job in the background
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.signal(signal.SIGINT, _handle)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(read,), daemon=True).start()


def _handle(_: int, __: FrameType | None) -> None:
    _heard.set()
    if _Whole.depth:
        _Whole.due = True
    else:
        _leave()


def _watch(read: int) -> None:
    """Leave where the main thread does not hear of the signal, because it is in a call of C."""
    os.read(read, 1)
    if not _heard.wait(PATIENCE):
        _leave()


def _leave() -> NoReturn:
    with _leaving:  # and never again
        with suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        for action in reversed(list(_cleanups.values())):
            with suppress(Exception):
                action()
        with suppress(OSError):
            os.write(2, WORDS.encode())
        os._exit(INTERRUPTED)
