"""The vector units' gates against portable C, lane by lane: Helium through a shim of its intrinsics, AVX2 as it is."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from rnnc.backend.emit import data_root
from tests.support.packages import run

HERE = Path(__file__).parent


@pytest.mark.parametrize(("header", "lanes", "flags"), [("isa/mve_gates.h", 4, []), ("isa/x86_gates.h", 8, ["-mavx2"])])
def test_gates_of_a_vector_unit_equal_portable_c(header: str, lanes: int, flags: list[str], tmp_path: Path) -> None:
    if flags and (platform.machine() != "x86_64" or "avx2" not in Path("/proc/cpuinfo").read_text()):
        pytest.skip("this machine has no AVX2")
    shims = flags if flags else ["-I", str(HERE / "shims")]
    defines = [f'-DGATES="{header}"', f"-DLANES={lanes}"]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    include = ["-I", str(data_root() / "runtime_c")]
    command = ["gcc", "-std=c99", "-O1", "-Wall", "-Wextra", *sanitizers, *shims, *include, *defines]
    run([*command, HERE / "gates.c", "-o", "t"], tmp_path)
    run([tmp_path / "t"], tmp_path)
