"""Commands of rnnc in forked processes: libraries are imported once, each command's time and memory are its own."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DOCUMENTED = range(6)
MOST_SECONDS, MOST_MIB = 10.0, 1024.0
PATIENCE = 300.0
"""Seconds after which a command is ended, however slow the machine."""
ADDRESS_SPACE = 8 << 30
ENDED = 256
"""In place of an exit code: a signal ended it, this much plus its number."""


@dataclass(frozen=True)
class Run:
    """How a command ended: seconds of CPU and the peak of resident memory, children that it waited for included."""

    code: int
    seconds: float
    mib: float
    stderr: str


def prepare() -> None:
    """Import what commands use, so that forked processes share it."""
    import onnx.checker
    import onnx.inliner
    import onnx.reference
    import onnx.shape_inference  # noqa: F401

    from tests.support.warm import load

    load()


def rnnc(arguments: Sequence[str], folder: Path) -> Run:
    """Run ``rnnc arguments`` in a folder."""
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            _command(arguments, folder, out.fileno(), err.fileno())
    begin = time.monotonic()
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() - begin > PATIENCE:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)
    code = ENDED + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    text = (folder / "stderr").read_text(errors="replace")
    for name in ("stdout", "stderr"):
        (folder / name).unlink()
    return Run(code, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text)


def _command(arguments: Sequence[str], folder: Path, out: int, err: int) -> None:
    """What the forked process does; never returns."""
    code = 70
    try:
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.chdir(folder)
        sys.argv = ["rnnc", *arguments]
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
        from rnnc.cli import main

        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(code)


def fault(run: Run, before: set[str], folder: Path, made: str) -> str:
    """Why a command did not end well; "" where it did.

    Args:
        before: names in the folder before it ran.
        made: the name of what it writes where it succeeds.
    """
    after = {p.name for p in folder.iterdir()} - before
    errors = [line for line in run.stderr.splitlines() if line.startswith("rnnc: error: ")]
    if run.code >= ENDED:
        return f"signal {run.code - ENDED}"
    if run.code not in DOCUMENTED:
        return f"exit code {run.code}: {run.stderr.strip()[-200:]}"
    if "Traceback" in run.stderr:
        return "a traceback"
    if run.code and len(errors) != 1:
        return f"{len(errors)} messages with exit code {run.code}"
    if after - {made} or (run.code > 1 and after):
        return f"left {sorted(after)} with exit code {run.code}"
    if run.seconds > MOST_SECONDS:
        return f"{run.seconds:.1f} s of CPU"
    return f"{run.mib:.0f} MiB" if run.mib > MOST_MIB else ""
