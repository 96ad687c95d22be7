"""Ctrl-C at any time: exit 130 and one line; nothing half-written, no temporary folder and no process is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import rnnc
from rnnc.errors import VerificationError
from rnnc.verification.host import HostPackage
from rnnc.verification.live import LiveC
from tests.conftest import require
from tests.support.small import FEATURES, small

ROOT = Path(__file__).parents[2]
SECONDS = 60
COMPILE = ("compile", "net.onnx", "--calib", "calib.npy", "-o", "out")
START = """
import hashlib, os, pathlib, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the tests were started by
def ready():
    pathlib.Path("ready").touch()
{patch}
sys.argv = ["rnnc", *{words}]
from rnnc.__main__ import main
main()
"""
IMPORT = """
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            ready()
            try:
                time.sleep(60)
            except BaseException as error:
                raise ImportError("as compiled modules do") from error
sys.meta_path.insert(0, Slow())
"""
CALL_OF_C = """
import rnnc.verification.host
def long(*_):
    ready()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 1 << 28)
rnnc.verification.host.HostPackage.run = long
"""
WRITING = """
import rnnc.files
write_files = rnnc.files.write_files
def half(folder, files):
    if folder.name != "out":
        return write_files(folder, files)
    folder.mkdir()
    (folder / "net.h").write_text("half")
    ready()
    time.sleep(60)
rnnc.files.write_files = half
"""
REPLACING = """
replace = os.replace
def slow(*paths):
    replace(*paths)
    ready()
    time.sleep(0.02)
os.replace = slow
"""
RESULT = """
import rnnc.files
class Slow(type(pathlib.Path())):
    def replace(self, target):
        ready()
        time.sleep(60)
rnnc.files.Path = Slow
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "net.onnx").write_bytes(small())
    np.save(tmp_path / "calib.npy", np.random.default_rng(0).standard_normal((120, FEATURES)).astype(np.float32))
    (tmp_path / "tmp").mkdir()
    return tmp_path


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.01)


def interrupted(here: Path, patch: str, words: tuple[str, ...] = COMPILE, path: str = "") -> None:
    """Interrupt a command once it is ``ready``; all that is always true of its end is checked."""
    before = {p.name for p in here.iterdir()} | {"ready", "child"}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(here / "tmp")}
    environment["PATH"] = path + environment["PATH"]
    code = START.format(patch=patch, words=words)
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=here, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        until(lambda: (here / "ready").exists() or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        out, err = process.communicate(timeout=SECONDS)
    assert time.monotonic() - began < SECONDS / 4, "at once"
    assert process.returncode == 130 and err == "rnnc: interrupted\n", err
    assert "Traceback" not in out and not list((here / "tmp").iterdir())
    assert {p.name for p in here.iterdir()} <= before


@pytest.mark.parametrize("module", ["rnnc.interruption", "typer", "numpy", "onnx", "onnxruntime"])
def test_while_modules_are_imported_that_turn_exceptions_into_others(module: str, here: Path) -> None:
    interrupted(here, IMPORT.format(module=module))


def test_next_to_nothing_is_imported_before_ctrl_c_is_heard() -> None:
    """What comes before that is Python's own start."""
    code = "import sys; had = {*sys.modules}; import rnnc.ctrl_c; print(*sys.modules.keys() - had)"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    libraries = {name.split(".")[0] for name in done.stdout.split()} - {"rnnc"}
    assert {"typing", "threading", "tempfile"}.isdisjoint(libraries) and "signal" in libraries, libraries


def test_in_a_long_call_of_c(here: Path) -> None:
    require("gcc")
    interrupted(here, CALL_OF_C)


def test_while_a_compiler_runs_that_has_started_others(here: Path) -> None:
    (here / "bin").mkdir()
    compiler = here / "bin" / "cc"
    compiler.write_text("#!/bin/sh\nsleep 600 &\necho $! > ../../child\ntouch ../../ready\nwait\n")
    compiler.chmod(0o755)
    interrupted(here, "", path=f"{here / 'bin'}:")
    child = int((here / "child").read_text())

    def gone() -> bool:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return True
        status = Path(f"/proc/{child}/status")
        return status.exists() and "State:\tZ" in status.read_text()

    until(gone)


def test_while_the_package_is_written(here: Path) -> None:
    interrupted(here, WRITING, (*COMPILE, "--no-verify"))
    assert not (here / "out").exists()


def test_a_folder_that_was_there_is_replaced_as_a_whole(here: Path) -> None:
    (here / "out").mkdir()
    interrupted(here, REPLACING, (*COMPILE, "--no-verify"))
    assert {"net.h", "net.c", "net_state.c", "report.json", "report.html"} <= {p.name for p in (here / "out").iterdir()}


def test_while_a_result_is_written(here: Path) -> None:
    (here / "y.npz").write_bytes(b"old")
    words = (
        "simulate",
        "net.onnx",
        "--calib",
        "calib.npy",
        "--input",
        "calib.npy",
        "--engine",
        "oracle",
        "-o",
        "y.npz",
    )
    interrupted(here, RESULT, words)
    assert (here / "y.npz").read_bytes() == b"old"


def test_while_it_waits_for_a_row_of_a_pipe(here: Path) -> None:
    waiting = "import rnnc.data\nrows = rnnc.data.csv_rows\nrnnc.data.csv_rows = lambda *a: (ready(), rows(*a))[1]\n"
    interrupted(here, waiting, ("simulate", "net.onnx", "--calib", "calib.npy", "--input", "-"))


def test_a_folder_that_lasts_as_long_as_the_process_goes_with_it_without_a_warning() -> None:
    program = "from rnnc.interruption import lasting_folder; print(lasting_folder('rnnc-test-'))"
    done = subprocess.run([sys.executable, "-W", "always", "-c", program], check=True, capture_output=True, text=True)
    assert done.stderr == "" and done.stdout and not Path(done.stdout.strip()).exists()


def test_a_package_that_does_not_build_leaves_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    require("cc")
    package = rnnc.compile_model(small(), verify=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for engine in (HostPackage, LiveC):
        with pytest.raises(VerificationError):
            engine(package.program, {**package.files, f"{package.name}.c": "#error none"})
    assert not list(tmp_path.iterdir())
