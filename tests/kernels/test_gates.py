"""The vector units' gates against portable C, lane by lane: Helium through a shim of its intrinsics, AVX2 as it is, NEON in
an emulator."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from rnnc.backend.emit import data_root
from tests.conftest import require
from tests.support.packages import run

HERE = Path(__file__).parent


NEON = "isa/aarch64_gates.h"
UNITS = [("isa/mve_gates.h", 4, []), ("isa/x86_gates.h", 8, ["-mavx2"]), (NEON, 4, [])]
FAULTS = [
    ("isa/mve_gates.h", "x + 8, y + 8, ax + 8, ah + 8)", "x + 8, y + 8, ax + 8, ah + 4)", "lstm", "f"),
    ("isa/mve_gates.h", "(i, g), 7);", "(vaddq_s32(i, vdupq_n_s32(1)), g), 7);", "lstm", "i g"),
    (NEON, "x + 8, y + 8, ax + 8, ah + 8)", "x + 8, y + 8, ax + 8, ah + 4)", "lstm", "f"),
    (NEON, "vdupq_n_s32(65535)), vdupq", "vdupq_n_s32(4095)), vdupq", "gru", "n over h"),
    ("isa/x86_gates.h", "x + 8, y + 8, ax + 8, ah + 8)", "x + 8, y + 8, ax + 8, ah)", "lstm", "o"),
    ("isa/x86_gates.h", "_mm256_set1_epi32(65535)), _mm", "_mm256_set1_epi32(4095)), _mm", "gru", "n over h"),
    ("isa/x86_gates.h", "mx, mh, ax, ah));\n    __m256i r", "mx, mh, ax, ah + 8));\n    __m256i r", "gru", "z"),
]


def gates(header: str, lanes: int, flags: list[str], runtime: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    if flags and (platform.machine() != "x86_64" or "avx2" not in Path("/proc/cpuinfo").read_text()):
        pytest.skip("this machine has no AVX2")
    shims = flags if flags else ["-I", str(HERE / "shims")]
    defines = [f'-DGATES="{header}"', f"-DLANES={lanes}"]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    compiler, emulator = ["gcc", *sanitizers, *shims], list[str]()
    if header == NEON:
        compiler, emulator = [require("aarch64-linux-gnu-gcc"), "-static"], [require("qemu-aarch64")]
    command = [*compiler, "-std=c99", "-O1", "-Wall", "-Wextra", "-I", str(runtime), *defines]
    run([*command, HERE / "gates.c", "-o", "t"], folder)
    return subprocess.run([*emulator, folder / "t"], cwd=folder, check=False, capture_output=True, text=True)


@pytest.mark.parametrize(("header", "lanes", "flags"), UNITS)
def test_gates_of_a_vector_unit_equal_portable_c(header: str, lanes: int, flags: list[str], tmp_path: Path) -> None:
    done = gates(header, lanes, flags, data_root() / "runtime_c", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("header", "right", "wrong", "cell", "gate"), FAULTS)
def test_a_gate_that_differs_is_named(
    header: str, right: str, wrong: str, cell: str, gate: str, tmp_path: Path
) -> None:
    runtime = tmp_path / "runtime_c"
    shutil.copytree(data_root() / "runtime_c", runtime)
    text = (runtime / header).read_text()
    assert text.count(right) >= 1
    (runtime / header).write_text(text.replace(right, wrong, 1))
    lanes, flags = next((lanes, flags) for name, lanes, flags in UNITS if name == header)
    done = gates(header, lanes, flags, runtime, tmp_path)
    said = done.stdout.splitlines()
    assert done.returncode and f"cell {cell}, gates {gate}; where none is named, what joins them" in said, done.stdout
    assert {line.split(",")[0] for line in said} == {f"cell {cell}"}
