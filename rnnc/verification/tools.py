"""Which compilers and emulators are on this machine, and what each is for."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from rnnc.interruption import cleaned, whole

TOOLS = (
    ("cc", "build and run the C on this machine: compile, verify, simulate, demo", "gcc"),
    ("gcc", "the same, and stack figures", "gcc"),
    ("clang", "the same; a second opinion on warnings", "clang"),
    ("wasm-ld", "with clang: the network itself in report.html", "lld"),
    ("arm-none-eabi-gcc", "Cortex-M firmware", "gcc-arm-none-eabi libnewlib-arm-none-eabi"),
    ("qemu-system-arm", "run Cortex-M firmware, count instructions", "qemu-system-arm"),
    ("riscv64-unknown-elf-gcc", "RV32 firmware", "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf"),
    ("qemu-system-riscv32", "run RV32 firmware, count instructions", "qemu-system-misc"),
    ("xtensa-lx106-elf-gcc", "Xtensa firmware", "gcc-xtensa-lx106"),
    ("qemu-system-xtensa", "run Xtensa firmware, count instructions", "qemu-system-misc"),
    ("aarch64-linux-gnu-gcc", "AArch64 programs", "gcc-aarch64-linux-gnu libc6-dev-arm64-cross"),
    ("qemu-aarch64", "run AArch64 programs, count instructions", "qemu-user"),
    ("verilator", "simulate the RTL of RV32 cores, count cycles", "verilator g++ make"),
    ("avr-gcc", "AVR firmware", "gcc-avr avr-libc"),
    ("simavr", "run AVR firmware", "simavr libsimavr-dev libelf-dev"),
)
"""Command, purpose, Debian packages."""
RTL = (
    ("pythondata-cpu-ibex", "RTL of the cores ibex and ibex3"),
    ("pythondata-cpu-vexriscv", "RTL of the core vexriscv"),
    ("pythondata-cpu-picorv32", "RTL of the core picorv32"),
)
"""Distribution on PyPI, purpose."""


@dataclass(frozen=True)
class Tool:
    """A command, or the RTL of a core, that rnnc can use: its path, "" where missing, its version, and what installs it."""

    name: str
    purpose: str
    package: str
    path: str
    version: str
    install: str


def run_tool(
    command: Sequence[str | Path], folder: Path | None = None, seconds: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, in ``folder``, where its temporary files go as well.

    It and all that it has started end when this process is interrupted, or gives up.

    Raises subprocess.TimeoutExpired after ``seconds``, OSError where it does not start.
    """
    pipe = subprocess.PIPE
    with ExitStack() as stack:
        with whole():
            child = stack.enter_context(
                subprocess.Popen(
                    command,
                    cwd=folder,
                    env={**os.environ, "TMPDIR": str(folder)} if folder else None,
                    stdin=subprocess.DEVNULL,
                    stdout=pipe,
                    stderr=pipe,
                    text=True,
                    errors="replace",
                    start_new_session=True,
                )
            )
            stack.enter_context(cleaned(lambda: _end(child.pid)))
        try:
            out, err = child.communicate(timeout=seconds)
        except BaseException:
            _end(child.pid)
            raise
    return subprocess.CompletedProcess(command, child.returncode, out, err)


def _end(group: int) -> None:
    """End a program and all that it has started, and wait until it is gone."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(group, 0)


def find_tools() -> list[Tool]:
    """Every tool, found or not."""
    return [*(_find(*tool) for tool in TOOLS), *(_find_rtl(*rtl) for rtl in RTL)]


def _find(name: str, purpose: str, package: str) -> Tool:
    path = shutil.which(name) or ""
    return Tool(name, purpose, package, path, _version(path) if path else "", f"apt-get install {package}")


def _find_rtl(name: str, purpose: str) -> Tool:
    module = find_spec(name.replace("-", "_"))
    path = str(Path(module.origin).parent) if module and module.origin else ""
    return Tool(name, purpose, name, path, version(name) if path else "", f"pip install {name}")


def _version(path: str) -> str:
    """What the tool says of itself; simavr knows no --version and says nothing useful."""
    try:
        done = run_tool([path, "--version"], seconds=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.splitlines()[0].strip() if done.returncode == 0 and done.stdout else ""
