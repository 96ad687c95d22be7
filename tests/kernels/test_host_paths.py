"""The ways that a package for hosts goes on x86-64, each with the oracle's bits: what a processor has is found at run time."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from tests.kernels.test_wide_rows import some_wide
from tests.support.packages import check_together, package
from tests.support.wide import ragged

WAYS = [
    ("AVX-512 VNNI", {"avx512_vnni", "avx512bw", "avx512vl"}, []),
    ("AVX2", {"avx2"}, ["-DRNNC_NO_AVX512"]),
    ("plain C", set[str](), ["-DRNNC_NO_AVX512", "-DRNNC_NO_AVX2"]),
]


def needs_processor(way: str, needs: set[str]) -> None:
    """Skip a test where the processor lacks a way."""
    if platform.machine() != "x86_64" or needs - set(Path("/proc/cpuinfo").read_text().split()):
        pytest.skip(f"this processor has no {way}: every other way, plain C among them, reads the same packing")


@pytest.mark.parametrize(("way", "needs", "flags"), WAYS, ids=[way for way, *_ in WAYS])
def test_each_way_gives_the_oracle_s_bits(way: str, needs: set[str], flags: list[str], tmp_path: Path) -> None:
    """Batches of 8 to 32 rows, of int8 and of int16, and columns that do not fill four pairs."""
    needs_processor(way, needs)
    nets = [some_wide("lstm"), some_wide("gru_after"), some_wide("dense"), ragged()]
    built = [package(qnet, f"net{k}", "host", steps=8) for k, qnet in enumerate(nets)]
    check_together(built, tmp_path, ["-O1", *flags])
