"""The C of every pointwise and vector operator equals the oracle bit for bit, over int16 inputs to the extremes."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnc.options import Options
from tests.support.operators import GROUPS, check_c, imported, model, quantized, sequence

NEED_LOGITS = {"squash", "softmax", "argmax", ""}


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("calibrated", [True, False], ids=["calibrated", "data_free"])
def test_c_equals_oracle_on_int16(group: str, calibrated: bool, tmp_path: Path) -> None:
    net = imported(model(GROUPS[group]))
    check_c(quantized(net, sequence(net, steps=300) if calibrated else None), tmp_path)


@pytest.mark.parametrize("group", [g for g in GROUPS if g not in ("heads", "matrices")])
def test_c_equals_oracle_on_int8(group: str, tmp_path: Path) -> None:
    cases = [c for c in GROUPS[group] if c.kind not in NEED_LOGITS]
    net = imported(model(cases, columns=4))
    qnet = quantized(net, sequence(net, steps=300), Options(precision="a8"))
    assert any(f.bits == 8 for f in qnet.formats.values())
    check_c(qnet, tmp_path)


def test_c_equals_oracle_on_raw_counts(tmp_path: Path) -> None:
    cases = [c for g in ("arithmetic", "powers", "norms", "reductions", "heads") for c in GROUPS[g]]
    net = imported(model(cases))
    check_c(quantized(net, None, Options(input_affine={"x": (0.001, -20.0)})), tmp_path)
