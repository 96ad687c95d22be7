"""Extended values: states of plain arithmetic in 32 bits, what they are made of, and what reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnc.fixed import mul15
from rnnc.frontend.read.load import load
from rnnc.frontend.stream.streaming import to_stream
from rnnc.functions import fine_exp2, fine_power_of_two, mul30
from rnnc.net import Net
from rnnc.ops.extended import EXTENDED_MAX, Gain, extended_format, is_extended
from rnnc.options import Options
from rnnc.qnet import QNet
from rnnc.streams import run_net, run_qnet
from tests.support.operators import Array, check_c, quantized
from tests.support.plain_states import FORMS, model

STEPS = 240


def imported(name: str) -> Net:
    content, states = model(name)
    options = Options(states=states)
    return to_stream(load(content, options), options)


def data(steps: int = STEPS, offset: float = 0.3) -> dict[str, Array]:
    rng = np.random.default_rng(1)
    return {"x": (rng.standard_normal((1, steps, 3)) + offset).astype(np.float32)}


def worst(net: Net, qnet: QNet, inputs: dict[str, Array]) -> float:
    """dB of the worst element of any output, against the same weights in float."""
    lanes = {k: np.moveaxis(v, 0, 1).astype(np.float64) for k, v in inputs.items()}
    want = run_net(qnet.dequantized(), lanes)
    got = run_qnet(qnet, {k: qnet.formats[k].quantize(v) for k, v in lanes.items()})
    found = []
    for o in net.outputs:
        r = want[o.name].reshape(STEPS, -1)
        e = qnet.formats[o.value].dequantize(got[o.name]).reshape(STEPS, -1) - r
        found.append(10 * np.log10(r.var(0) / np.maximum((e**2).mean(0), 1e-30)).min())
    return float(min(found))


@pytest.mark.parametrize("name", FORMS)
def test_every_state_has_32_bits_and_keeps_what_float_has(name: str, tmp_path: Path) -> None:
    net, inputs = imported(name), data()
    qnet = quantized(net, inputs)
    assert all(is_extended(f.state.format) for f in qnet.feedback)
    assert worst(net, qnet, inputs) > FORMS[name].sqnr
    check_c(qnet, tmp_path, 30)


@pytest.mark.parametrize("seed", range(4))
def test_mul30_is_within_an_lsb_for_any_operands(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, x = (rng.integers(-(2**30), 2**30 + 1, 100_000) for _ in range(2))
    error = mul30(m, x) - m * x / 2**30
    assert np.abs(error).max() <= 1.5 and abs(error.mean()) < 0.01


def test_a_gain_of_a_power_of_two_is_exact() -> None:
    x = np.random.default_rng(0).integers(-EXTENDED_MAX, EXTENDED_MAX, 1000)
    assert np.array_equal(Gain.of(np.array(1.0))(x), x)
    assert np.array_equal(Gain.of(np.array(-0.5))(2 * (x >> 1)), -(x >> 1))
    assert np.array_equal(mul15(np.asarray(32768), x), x)


def test_one_is_exact_in_a_format_with_room_for_one() -> None:
    form = extended_format(1.0)
    assert form.dequantize(form.quantize(np.array([1.0]))).tolist() == [1.0]


def test_the_fine_power_of_two_is_exact_at_whole_numbers_and_within_2_to_the_minus_20() -> None:
    t = np.arange(0, 1 << 24, 97)
    assert np.abs(fine_exp2(t) / (2.0**30 * 2.0 ** (-t / 2**24)) - 1).max() < 2**-20
    whole = np.arange(30) << 24
    assert fine_power_of_two(whole).tolist() == (1 << np.arange(30)).tolist()
    assert fine_power_of_two(np.array([-(2**30), 2**30])).tolist() == [0, EXTENDED_MAX]
