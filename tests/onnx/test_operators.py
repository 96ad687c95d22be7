"""Single operators over time: the float net equals onnxruntime, the integers reach the SQNR that each case states."""

from __future__ import annotations

import numpy as np
import pytest

from rnnc.net import Array
from rnnc.options import Options
from rnnc.quantization.calibrate import interval_bounds
from rnnc.streams import stream_net
from tests.support.nets import integers
from tests.support.operators import CASES, Case, import_error, imported, model, quantized, sequence, sqnr


@pytest.mark.parametrize("case", CASES, ids=str)
def test_net_equals_onnxruntime_and_the_integers_are_accurate(case: Case) -> None:
    content = model([case])
    net = imported(content)
    assert import_error(content, net, sequence(net, case.spread)) <= 1e-5
    if case.kind:
        assert case.kind in [op.kind for op in net.ops]
    noise = sequence(net, case.spread, steps=1000, seed=1)
    reach = 2 * float(np.abs(noise["x"]).max())
    qnet = quantized(net, noise, Options(input_range={"x": (-reach, reach)}))
    assert sqnr(net, qnet, noise) >= case.sqnr


@pytest.mark.parametrize("case", CASES, ids=str)
def test_interval_bounds_hold_for_every_input(case: Case) -> None:
    net = imported(model([case]))
    qnet = quantized(net, sequence(net, case.spread))
    bounds = interval_bounds(net, {v.name: qnet.formats[v.name] for v in net.inputs})

    def inside(name: str, values: Array) -> None:
        flat = values.reshape(-1, values.shape[-1] if not net.values[name].shape else net.values[name].size)
        slack = 1e-9 * (1 + np.abs(flat))
        assert np.all(flat >= bounds[name].lo - slack), name
        assert np.all(flat <= bounds[name].hi + slack), name

    x = {k: qnet.formats[k].dequantize(np.clip(v, -32767, 32767)) for k, v in integers(qnet, 200).items()}
    stream_net(net, 1, inside).advance(x)
