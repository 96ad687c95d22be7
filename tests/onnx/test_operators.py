"""Single operators over time: the float net equals onnxruntime, the integers reach the SQNR that each case states."""

from __future__ import annotations

import pytest

from tests.support.operators import CASES, Case, import_error, imported, model, quantized, sequence, sqnr


@pytest.mark.parametrize("case", CASES, ids=str)
def test_net_equals_onnxruntime_and_the_integers_are_accurate(case: Case) -> None:
    content = model([case])
    net = imported(content)
    assert import_error(content, net, sequence(net, case.spread)) <= 1e-5
    if case.kind:
        assert case.kind in [op.kind for op in net.ops]
    noise = sequence(net, case.spread, steps=1000, seed=1)
    assert sqnr(net, quantized(net, noise), noise) >= case.sqnr
