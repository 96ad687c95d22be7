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
X86 = "isa/x86_units.h"
AVX2 = ["-mavx2", "-DRNNC_NO_AVX512"]
AVX512 = ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512vnni"]
UNITS: dict[str, tuple[str, int, list[str]]] = {
    "isa/mve_gates.h": ("isa/mve_gates.h", 4, []),
    "isa/x86_gates.h": (X86, 8, AVX2),
    "isa/x86_avx512_gates.h": (X86, 8, AVX512),
    NEON: (NEON, 4, []),
}
"""Of each file: the header that takes its gates, how many units at once, and the compiler's flags."""
FAULTS = [
    ("isa/mve_gates.h", "x + 8, y + 8, ax + 8, ah + 8)", "x + 8, y + 8, ax + 8, ah + 4)", "lstm", "f"),
    ("isa/mve_gates.h", "(i, g), 7);", "(vaddq_s32(i, vdupq_n_s32(1)), g), 7);", "lstm", "i g"),
    (NEON, "x + 8, y + 8, ax + 8, ah + 8)", "x + 8, y + 8, ax + 8, ah + 4)", "lstm", "f"),
    (NEON, "vdupq_n_s32(65535)), vdupq", "vdupq_n_s32(4095)), vdupq", "gru", "n over h"),
    ("isa/x86_gates.h", "x + 8, y + 8, ax + 8, ah + 8)", "x + 8, y + 8, ax + 8, ah)", "lstm", "o"),
    ("isa/x86_gates.h", "_mm256_set1_epi32(65535)), _mm", "_mm256_set1_epi32(4095)), _mm", "gru", "n over h"),
    ("isa/x86_gates.h", "mx, mh, ax, ah));\n    __m256i r", "mx, mh, ax, ah + 8));\n    __m256i r", "gru", "z"),
    ("isa/x86_avx512_gates.h", "f = _mm512_castsi512_si256(fg)", "f = _mm512_castsi512_si256(io)", "lstm", "f"),
]


def gates(header: str, lanes: int, flags: list[str], runtime: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    needs = {
        flag.removeprefix("-m").replace("512v", "512_v").replace("512_vl", "512vl")
        for flag in flags
        if flag.startswith("-m")
    }
    if needs and (platform.machine() != "x86_64" or needs - set(Path("/proc/cpuinfo").read_text().split())):
        pytest.skip(f"this machine has not all of {', '.join(sorted(needs))}")
    shims = flags if flags else ["-I", str(HERE / "shims")]
    defines = [f'-DGATES="{header}"', f"-DLANES={lanes}"]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    compiler, emulator = ["gcc", *sanitizers, *shims], list[str]()
    if header == NEON:
        compiler, emulator = [require("aarch64-linux-gnu-gcc"), "-static"], [require("qemu-aarch64")]
    command = [*compiler, "-std=c99", "-O1", "-Wall", "-Wextra", "-I", str(runtime), *defines]
    run([*command, HERE / "gates.c", "-o", "t"], folder)
    return subprocess.run([*emulator, folder / "t"], cwd=folder, check=False, capture_output=True, text=True)


@pytest.mark.parametrize(("header", "lanes", "flags"), UNITS.values(), ids=UNITS)
def test_gates_of_a_vector_unit_equal_portable_c(header: str, lanes: int, flags: list[str], tmp_path: Path) -> None:
    done = gates(header, lanes, flags, data_root() / "runtime_c", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("file", "right", "wrong", "cell", "gate"), FAULTS)
def test_a_gate_that_differs_is_named(file: str, right: str, wrong: str, cell: str, gate: str, tmp_path: Path) -> None:
    runtime = tmp_path / "runtime_c"
    shutil.copytree(data_root() / "runtime_c", runtime)
    text = (runtime / file).read_text()
    assert text.count(right) >= 1
    (runtime / file).write_text(text.replace(right, wrong, 1))
    header, lanes, flags = UNITS[file]
    done = gates(header, lanes, flags, runtime, tmp_path)
    said = done.stdout.splitlines()
    assert done.returncode and f"cell {cell}, gates {gate}; where none is named, what joins them" in said, done.stdout
    assert {line.split(",")[0] for line in said} == {f"cell {cell}"}
