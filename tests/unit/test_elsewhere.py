"""What docs/windows-and-macos.md says: Python without the modules of POSIX, and the generated C as clang-cl compiles it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import rnnc
from rnnc.package import Package
from rnnc.verification.wasm import STRING_H
from tests.conftest import require
from tests.support.small import small

ROOT = Path(__file__).parents[2]
POSIX = ("fcntl", "grp", "pwd", "pty", "resource", "termios")
WITHOUT = f"""
import signal, sys
sys.modules.update(dict.fromkeys({POSIX!r}))
for name in ("SIGKILL", "SIGHUP", "SIGALRM"):
    delattr(signal, name)
from rnnc.__main__ import main
sys.argv = ["rnnc", *sys.argv[1:]]
main()
"""
"""Runs a command with what Windows has not."""


@pytest.mark.parametrize(
    "words",
    [("--help",), ("inspect", "net.onnx"), ("compile", "net.onnx", "--no-verify"), ("parts",), ("doctor",)],
    ids=lambda words: words[0],
)
def test_commands_that_build_nothing_need_no_module_of_posix(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "net.onnx").write_bytes(small())
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": ""}
    command = [sys.executable, "-c", WITHOUT, *words]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_bench_without_posix_names_the_compiler_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(small())
    command = [sys.executable, "-c", WITHOUT, "bench", "net.onnx", "--target", "cortex-m4"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 5 and "is not installed" in done.stderr, done.stderr


@pytest.fixture(scope="module")
def package() -> Package:
    return rnnc.compile_model(small(), verify=False)


@pytest.mark.parametrize("machine", ["x86_64", "i686", "aarch64"])
@pytest.mark.parametrize("language", ["C", "P"], ids=["C", "C++"])
def test_the_generated_c_compiles_as_on_windows(package: Package, tmp_path: Path, machine: str, language: str) -> None:
    """As clang-cl compiles for Microsoft's ABI, warnings are errors; there are no headers of Windows here."""
    package.write(tmp_path / "net")
    (tmp_path / "string.h").write_text(STRING_H)
    sources = [f"net/{package.name}{end}.c" for end in ("", "_state", "_selftest")]
    flags = [f"--target={machine}-pc-windows-msvc", "/clang:-ffreestanding", "/W4", "/WX", "/c", f"/T{language}"]
    for source in sources:
        command = [require("clang"), "--driver-mode=cl", *flags, source, "-I.", "-Inet", "-Fonet.obj"]
        done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
