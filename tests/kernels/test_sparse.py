"""Rows stored without their blocks of zeros: the C of each packing against the oracle, with sanitizers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnc.backend.lower import lower
from rnnc.backend.targets import TARGETS
from tests.support.packages import check_together, package
from tests.support.pruned import dense, everything_sparse, layers, quantized
from tests.support.wide import widened

SPARSE = [name for name in ("cortex-m4", "cortex-m55", "rv32imc") if TARGETS[name].sparse]


@pytest.mark.parametrize("target", SPARSE)
def test_c_of_rows_without_blocks_of_zeros_is_the_oracle(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every layer, both widths of operands, rows of int16 beside, columns by the thousand, a group without weights."""
    monkeypatch.setattr("rnnc.backend.lower.without_zeros", lambda qnet, _: everything_sparse(qnet))
    networks = [
        quantized(layers(units=3), "a8"),
        widened(quantized(layers(units=3)), np.random.default_rng(0)),
        quantized(dense(6, 300, 0.5)),
        quantized(dense(9, 24, 1.0)),
    ]
    built = [package(qnet, f"net{k}", target, steps=6) for k, qnet in enumerate(networks)]
    assert all(any(a.whole for a in program.arrays) for program, _ in built)
    check_together(built, tmp_path)


def test_targets_without_such_rows_store_them_whole() -> None:
    qnet = quantized(dense(64, 64, 0.5))
    for target in TARGETS:
        program = lower(qnet, target)
        assert any(a.whole for a in program.arrays) == (TARGETS[target].sparse is not None)
        assert ("isa/dsp_sparse.h" in program.target.isa) == ("isa/dsp.h" in program.target.isa)
