"""Which compilers and emulators are on this machine, and what each is for."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

TOOLS = (
    ("cc", "build and run the C on this machine: compile, verify, simulate, demo", "gcc"),
    ("gcc", "the same, and stack figures", "gcc"),
    ("clang", "the same; a second opinion on warnings", "clang"),
    ("arm-none-eabi-gcc", "Cortex-M firmware", "gcc-arm-none-eabi libnewlib-arm-none-eabi"),
    ("qemu-system-arm", "run Cortex-M firmware, count instructions", "qemu-system-arm"),
    ("riscv64-unknown-elf-gcc", "RV32 firmware", "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf"),
    ("qemu-system-riscv32", "run RV32 firmware, count instructions", "qemu-system-misc"),
    ("avr-gcc", "AVR firmware", "gcc-avr avr-libc"),
    ("simavr", "run AVR firmware", "simavr libsimavr-dev libelf-dev"),
)
"""Command, purpose, Debian packages."""


@dataclass(frozen=True)
class Tool:
    """A command that rnnc can use: its path, "" where it is missing, and the first line of its version."""

    name: str
    purpose: str
    package: str
    path: str
    version: str


def find_tools() -> list[Tool]:
    """Every tool, found or not."""
    return [_find(*tool) for tool in TOOLS]


def _find(name: str, purpose: str, package: str) -> Tool:
    path = shutil.which(name) or ""
    return Tool(name, purpose, package, path, _version(path) if path else "")


def _version(path: str) -> str:
    """What the tool says of itself; simavr knows no --version and says nothing useful."""
    try:
        done = subprocess.run([path, "--version"], check=False, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.splitlines()[0].strip() if done.returncode == 0 and done.stdout else ""
