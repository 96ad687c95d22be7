"""Nothing leaves the machine: no command, nor the library, writes into HOME or opens a connection."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import require
from tests.support.small import FEATURES, small

ROOT = Path(__file__).parents[2]
RNNC = ("-m", "rnnc")
LIBRARY = "import rnnc; package = rnnc.compile_model('net.onnx'); package.simulate({'x': [[0, 0, 0]]})"
RUNS = {
    "inspect": (*RNNC, "inspect", "net.onnx"),
    "compile, unverified": (*RNNC, "compile", "net.onnx", "--no-verify"),
    "compile": (*RNNC, "compile", "net.onnx", "--calib", "calib.npy"),
    "plot": (*RNNC, "simulate", "net.onnx", "--input", "calib.npy", "-o", "y.npz", "--plot", "y.png"),
    "library": ("-c", LIBRARY),
    "module": ("-c", "import rnnc.verification.session"),
}
SOCKET = re.compile(r"\b(?:socket|connect|sendto|sendmsg)\((?!AF_UNIX)(?!\d+, \{sa_family=AF_UNIX)")


@cache
def can_trace() -> bool:
    """Whether strace is here, and the machine lets it trace (a container may forbid that)."""
    try:
        done = subprocess.run(["strace", "-f", "-e", "trace=%network", "true"], check=False, capture_output=True)
    except FileNotFoundError:
        return False
    return done.returncode == 0


def run(folder: Path, words: tuple[str, ...]) -> tuple[list[str], str]:
    """Run Python with an empty HOME: the files that it left there, and its network system calls where they can be seen."""
    home, trace = folder / "home", folder / "trace"
    home.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "ORT_", "MPL"))}
    environment |= {"HOME": str(home), "PYTHONPATH": str(ROOT), "ORT_DISABLE_TELEMETRY": "0"}
    watched = ["strace", "-f", "-e", "trace=%network", "-o", str(trace)] if can_trace() else []
    command = [*watched, sys.executable, *words]
    done = subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return [str(p.relative_to(home)) for p in home.rglob("*")], trace.read_text() if watched else ""


def connections(trace: str) -> list[str]:
    """Lines of a trace that reach for a network; sockets of this machine (AF_UNIX) do not."""
    return [line for line in trace.splitlines() if SOCKET.search(line)]


@pytest.fixture(scope="module", params=RUNS)
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], str]:
    if request.param == "plot":
        pytest.importorskip("matplotlib")
    folder = tmp_path_factory.mktemp("run")
    (folder / "net.onnx").write_bytes(small())
    np.save(folder / "calib.npy", np.random.default_rng(0).standard_normal((120, FEATURES)).astype(np.float32))
    return run(folder, RUNS[request.param])


def test_nothing_is_written_into_home(ran: tuple[list[str], str]) -> None:
    assert not ran[0]


def test_no_connection_is_opened(ran: tuple[list[str], str]) -> None:
    require("strace")
    if not can_trace():
        pytest.skip("this machine does not let strace trace")
    assert not connections(ran[1])


def test_a_connection_would_be_seen(tmp_path: Path) -> None:
    require("strace")
    if not can_trace():
        pytest.skip("this machine does not let strace trace")
    _, trace = run(tmp_path, ("-c", "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"))
    assert len(connections(trace)) == 2, "a socket and its connection"


def test_scripts_import_onnxruntime_after_rnnc() -> None:
    """What runs beside the package: rnnc is imported at the top, onnxruntime (if at all) inside of functions."""
    early = []
    for folder in ("examples", "benchmarks", "tools"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.parse(file.read_text()).body:
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                early += [str(file.relative_to(ROOT)) for n in names if n.split(".")[0] == "onnxruntime"]
    assert not early
