"""Cycles of RV32 cores: a package's self-test on the RTL of a core, simulated with every clock cycle.

Verilator makes a program of a core's RTL once (20 to 40 s). It stays in rnnc's folder of the user's cache, or, where that
cannot be written, in a temporary folder until the process ends. The RTL comes from PyPI (`pip install 'rnnc[rtl]'`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from rnnc.backend.program import Program
from rnnc.errors import MissingTool, UsageError, VerificationError
from rnnc.interruption import TemporaryFolder, lasting_folder
from rnnc.verification.boards import BOARDS, PACKAGES, Board
from rnnc.verification.cycles import Cycles
from rnnc.verification.emulator import FIRMWARE, SECONDS, build_by, build_image, require_tools
from rnnc.verification.levels import LEVEL
from rnnc.verification.tools import run_tool

TARGET = "rv32imc"
"""The target whose packages the cores run."""
SIMULATORS = FIRMWARE / "rtl"
MOST_CYCLES = 100_000_000
MARKS = 0x10000000
"""Where count_begin and count_end store: see firmware/rtl/simulator.cpp."""
NEVER_ENDED = 98
VERILATOR = ("verilator", "-O3", "--cc", "--exe", "--build", "-Wno-fatal", "--top-module", "top")
"""Warnings are not fatal: they are about the cores' own sources."""
IBEX_INCLUDED = ("vendor/lowrisc_ip/ip/prim/rtl", "vendor/lowrisc_ip/dv/sv/dv_utils")
IBEX_PACKAGES = ("ram_1p", "util", "count", "secded", "mubi", "cipher")


@dataclass(frozen=True)
class Core:
    """A core whose RTL can be simulated.

    Args:
        name: as ``--core`` takes it.
        distribution: on PyPI; the module has the same name with underscores.
        folder: of the RTL within the module.
        wrapper: the file in firmware/rtl that puts a memory around it.
        sources: of the RTL, Verilator's options included; "{}" stands for the folder.
        march: what the compiler may use.
    """

    name: str
    distribution: str
    folder: str
    wrapper: str
    sources: tuple[str, ...]
    march: str = "rv32imc"

    @property
    def board(self) -> Board:
        """That of the target, whose firmware marks steps by a store and paints no stack."""
        board = BOARDS[TARGET]
        own = (f"-march={self.march}", f"-DMARKS={MARKS:#x}u", "-DSTACK_MOST=0")
        return replace(board, name=self.name, emulator=(), flags=(*board.flags[1:], *own))


def _ibex(name: str, *options: str) -> Core:
    folders = [f"+incdir+{{}}/{folder}" for folder in IBEX_INCLUDED]
    packages = [f"{{}}/{IBEX_INCLUDED[0]}/prim_{package}_pkg.sv" for package in IBEX_PACKAGES]
    searched = ["-y", "{}/rtl", "-y", f"{{}}/{IBEX_INCLUDED[0]}"]
    sources = (*options, *folders, *searched, *packages, "{}/rtl/ibex_pkg.sv")
    return Core(name, "pythondata-cpu-ibex", "system_verilog", "ibex.sv", sources)


CORES = {
    core.name: core
    for core in (
        _ibex("ibex"),
        _ibex("ibex3", "-DTHREE_STAGES"),
        Core(
            "vexriscv",
            "pythondata-cpu-vexriscv",
            "verilog",
            "vexriscv.sv",
            ("{}/VexRiscv_Full.v",),
            march="rv32im",
        ),
        Core("picorv32", "pythondata-cpu-picorv32", "verilog", "picorv32.sv", ("{}/picorv32.v",)),
    )
}


def find_core(name: str) -> Core:
    """The core of that name; raises UsageError where there is none."""
    if name not in CORES:
        raise UsageError(f"unknown core {name!r}", hint=f"One of: {', '.join(CORES)}.")
    return CORES[name]


def missing_parts(core: Core) -> list[str]:
    """The commands and distributions that a simulation of the core needs and this machine lacks."""
    commands = [name for name in ("verilator", "g++", "make") if not shutil.which(name)]
    return commands + ([] if _version(core) else [core.distribution])


def require_parts(core: Core) -> None:
    """Raise MissingTool where something that the core needs is not installed."""
    require_tools(core.board)
    missing = missing_parts(core)
    if missing:
        commands = [PACKAGES[name] for name in missing if name in PACKAGES]
        hints = [f"apt-get install {' '.join(commands)}"] if commands else []
        hints += [f"pip install {core.distribution}"] if core.distribution in missing else []
        raise MissingTool(f"core {core.name}: {', '.join(missing)} is not installed", hint="; ".join(hints))


def simulate_cycles(program: Program, files: Mapping[str, str], core: Core, level: str = LEVEL) -> Cycles:
    """Run a package's self-test, built at a level of optimization, on a core's RTL and count the cycles of each step.

    Raises MissingTool; VerificationError where it does not build, does not end, or has other bits than the oracle.
    """
    require_parts(core)
    simulator = build_simulator(core)
    with TemporaryFolder() as folder:
        here = Path(folder)
        image = build_image(here, program, files, core.board, (level,))
        _write_words(image, here / "image.hex")
        try:
            done = run_tool([str(simulator), "cycles.out", str(MOST_CYCLES)], here, SECONDS)
        except subprocess.TimeoutExpired as e:
            raise VerificationError(f"the self-test does not end in {SECONDS} s on {core.name}") from e
        if done.returncode == NEVER_ENDED:
            raise VerificationError(f"the self-test does not end in {MOST_CYCLES:,} cycles on {core.name}")
        words = dict(line.split() for line in done.stdout.splitlines() if len(line.split()) == 2)
        if words.get("selftest") != "0":
            where = f"at step {words['selftest']}" if "selftest" in words else f": {done.stderr.strip()[:200]}"
            raise VerificationError(f"the C differs from the oracle on {core.name} {where}")
        counts = [int(line.split()[1]) for line in (here / "cycles.out").read_text(encoding="utf-8").splitlines()]
        return Cycles.of(core.name, counts)


@cache
def build_simulator(core: Core) -> Path:
    """The program that simulates a core, from the cache or built now; raises VerificationError where it does not build."""
    import fcntl  # Windows has none, nor Verilator

    found = _folder() / f"{core.name}-{_key(core)}"
    with found.with_suffix(".lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # who wants the same one waits for it
        if not found.exists():
            _build(core, found)
    return found


def _build(core: Core, to: Path) -> None:
    module = find_spec(core.distribution.replace("-", "_"))
    rtl = Path(module.origin if module and module.origin else "").parent / core.folder
    with TemporaryFolder() as folder:
        sources = [source.format(rtl) for source in core.sources]
        own = [str(SIMULATORS / core.wrapper), str(SIMULATORS / "simulator.cpp")]
        command = [*VERILATOR, "-Mdir", folder, *sources, *own, "-o", "simulator"]
        build_by(command, Path(folder), f"core {core.name}")
        kept = to.with_suffix(f".{os.getpid()}")
        shutil.copy2(Path(folder) / "simulator", kept)
        kept.replace(to)


def _write_words(image: Path, to: Path) -> None:
    """An image's memory as $readmemh takes it: a word of 32 bits a line."""
    binary = image.with_suffix(".bin")
    objcopy = BOARDS[TARGET].compiler.removesuffix("gcc") + "objcopy"
    build_by([objcopy, "-O", "binary", str(image), str(binary)], image.parent, "objcopy")
    content = binary.read_bytes()
    words = np.frombuffer(content + bytes(-len(content) % 4), "<u4")
    to.write_text("".join(f"{word:08x}\n" for word in words), encoding="ascii")


def _version(core: Core) -> str:
    """Of the distribution, "" where it is not installed."""
    try:
        return version(core.distribution)
    except PackageNotFoundError:
        return ""


def _key(core: Core) -> str:
    """What a simulator is made from, as one word."""
    verilator = build_by(["verilator", "--version"], Path(), "verilator")
    parts = [verilator, _version(core), *VERILATOR, *core.sources]
    own = [(SIMULATORS / name).read_bytes() for name in (core.wrapper, "simulator.cpp")]
    return hashlib.sha256("\n".join(parts).encode() + b"".join(own)).hexdigest()[:16]


@cache
def _spare_folder() -> Path:
    return lasting_folder("rnnc-rtl-")


def _folder() -> Path:
    """Where simulators are kept."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rnnc" / "rtl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return _spare_folder()
    return folder if os.access(folder, os.W_OK) else _spare_folder()
