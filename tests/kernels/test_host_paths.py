"""The ways that a package for hosts goes on x86-64, each with the oracle's bits: what a processor has is found at run time."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from rnnc.files import write_files
from tests.kernels.test_wide_rows import some_wide
from tests.support.packages import WARNINGS, package, run
from tests.support.wide import ragged

WAYS = [
    ("AVX-512 VNNI", {"avx512_vnni", "avx512bw", "avx512vl"}, []),
    ("AVX2", {"avx2"}, ["-DRNNC_NO_AVX512"]),
    ("plain C", set[str](), ["-DRNNC_NO_AVX512", "-DRNNC_NO_AVX2"]),
]


@pytest.mark.parametrize(("way", "needs", "flags"), WAYS, ids=[way for way, *_ in WAYS])
def test_each_way_gives_the_oracle_s_bits(way: str, needs: set[str], flags: list[str], tmp_path: Path) -> None:
    """Batches of 8 to 32 rows, of int8 and of int16, and columns that do not fill four pairs."""
    if platform.machine() != "x86_64" or needs - set(Path("/proc/cpuinfo").read_text().split()):
        pytest.skip(f"this processor has no {way}: every other way, plain C among them, reads the same packing")
    source = calls = ""
    nets = [some_wide("lstm"), some_wide("gru_after"), some_wide("dense"), ragged()]
    for k, qnet in enumerate(nets):
        name = f"net{k}"
        write_files(tmp_path, package(qnet, name, "host", steps=8)[1])
        source += f'#include "{name}.c"\nstatic {name}_t s{k};\n'
        calls += f"    if ({name}_selftest(&s{k})) {{ return {k + 1}; }}\n"
    write_files(tmp_path, {"main.c": f"{source}int main(void)\n{{\n{calls}    return 0;\n}}\n"})
    tests = [f"net{k}_selftest.c" for k in range(len(nets))]
    run(["gcc", "-O1", *WARNINGS, *flags, "-I", ".", "main.c", *tests, "-o", "t"], tmp_path)
    run([tmp_path / "t"], tmp_path)
