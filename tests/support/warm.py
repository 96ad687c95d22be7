"""A process that has rnnc loaded and runs each command in a fork of itself.

Pages run dozens of commands, and loading takes a third of the time of one. As a program this file is the command: it hands
its arguments, folder, environment and streams to that process, and ends as it does.
"""

from __future__ import annotations

import json
import os
import pkgutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

STREAMS = 3
MOST = 1 << 20
"""Bytes of arguments and environment."""
ROOT = Path(__file__).parents[2]


@contextmanager
def warm_rnnc(folder: Path) -> Iterator[Path]:
    """A command ``rnnc`` in a folder of its own, and the process behind it while the context lasts."""
    place, command = folder / "socket", folder / "bin/rnnc"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{__file__}" "{place}" "$@"\n')
    command.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    server = [sys.executable, "-m", "tests.support.warm", str(place)]
    with subprocess.Popen(server, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        try:
            yield command
        finally:
            process.kill()


def _ask(place: str, words: list[str]) -> int:
    """Let the process run a command; its exit code."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(place)
        asked = json.dumps([words, os.getcwd(), dict(os.environ)]).encode()
        socket.send_fds(line, [asked], list(range(STREAMS)))
        line.shutdown(socket.SHUT_WR)
        return int(line.recv(MOST))


def _serve(place: str) -> None:
    """Answer for ever."""
    from rnnc.__main__ import main

    load()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen()
        print("ready", flush=True)
        while True:
            line, _ = listener.accept()
            if not os.fork():
                line.sendall(str(_run(line, main)).encode())
                os._exit(0)
            line.close()
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def load() -> None:
    """All that some command loads: rnnc's modules, what they take from others, and the templates."""
    import rnnc
    from rnnc.backend import emit
    from rnnc.report import page

    for module in pkgutil.walk_packages(rnnc.__path__, "rnnc."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    for heavy in ("onnxruntime", "onnxslim", "numpy.ma", "typer.rich_utils"):
        import_module(heavy)
    for environment, ending in ((emit._environment(), (".c.j2", ".h.j2")), (page._environment(), (".html.j2",))):
        for name in environment.list_templates():
            if name.endswith(ending):
                environment.get_template(name)


def _run(line: socket.socket, main: Callable[[], None]) -> int:
    """Run the command that was asked for in a fork, as a process that has just begun; its exit code."""
    asked, streams, _, _ = socket.recv_fds(line, MOST, STREAMS)
    while more := line.recv(MOST):
        asked += more
    words, folder, environment = json.loads(asked)
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    line.close()
    for k, stream in enumerate(streams):
        os.dup2(stream, k)
        os.close(stream)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115 open to its end
    sys.stderr = open(2, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["rnnc", *words]
    try:
        main()
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)
    os._exit(1)


if __name__ == "__main__":
    _serve(sys.argv[1]) if len(sys.argv) == 2 and __package__ else sys.exit(_ask(sys.argv[1], sys.argv[2:]))
