"""Layers whose preactivations have further fraction bits: what they gain, when they are taken, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest

import rnnc
from rnnc import fixed
from rnnc.fixed import FINER
from rnnc.ops.units import QRecurrent
from rnnc.options import Options
from rnnc.qnet import QNet
from rnnc.quantization.calibrate import calibrate
from rnnc.quantization.quantize import quantize
from rnnc.streams import run_net, run_qnet
from rnnc.verification.metrics import sqnr_db
from tests.support.fine import fine, layers
from tests.support.small import small
from tests.unit.test_choice import DATA, NET, RANGES, chosen, recording


@pytest.mark.parametrize(("function", "worst"), [("sigmoid", 1.6), ("tanh", 2.5)])
def test_further_bits_leave_the_error_of_the_tables_and_their_order(function: str, worst: float) -> None:
    p = np.arange(-(13 << 15), 13 << 15, 3)
    y = getattr(fixed, function)(p, FINER)
    x = p / 2.0**15
    want = np.tanh(x) if function == "tanh" else 1 / (1 + np.exp(-x))
    assert np.abs(y / 32768 - want).max() * 32768 <= worst + 0.05 and np.all(np.diff(y) >= 0)


@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
def test_where_the_further_bits_are_0_the_tables_give_what_they_gave(function: str) -> None:
    p, f = np.arange(-(2**17), 2**17), getattr(fixed, function)
    assert np.abs(f(p << FINER, FINER) - f(p)).max() <= 1


def test_every_layer_of_gates_has_the_finer_form_and_gains_by_it() -> None:
    net, x = layers(), {"x": np.random.default_rng(1).standard_normal((200, 2, 3))}
    plain = quantize(net, calibrate(net, None, Options()), Options(weights="16"))
    assert all(isinstance(q, QRecurrent) and q.fine for q in fine().ops)
    assert not any(isinstance(q, QRecurrent) and q.fine for q in plain.ops)

    def db(qnet: QNet) -> float:
        form, held = qnet.formats["x"], {"x": qnet.formats["x"].quantize(x["x"])}
        want = run_net(qnet.dequantized(), {"x": form.dequantize(held["x"])})["y"]
        got = qnet.formats[net.outputs[0].value].dequantize(run_qnet(qnet, held)["y"])
        found = sqnr_db(want.reshape(len(want), -1), got.reshape(len(want), -1))
        assert found is not None
        return found

    assert db(fine()) > db(plain) + 3


def test_a_target_that_int16_weights_reach_takes_no_finer_layer() -> None:
    _, choice = chosen(min_sqnr=55.0)
    assert choice.reached is not None and choice.reached >= 55 and not choice.fine


def test_a_target_beyond_int16_weights_takes_finer_layers_and_no_more_blocks_than_it_needs() -> None:
    _, widest = chosen(weights="16")
    plain = min(
        rnnc.quantization.choice._Reference(NET, DATA).decibels(quantize(NET, RANGES, Options(weights="16"))).values()
    )
    qnet, choice = chosen(min_sqnr=plain + 1)
    assert choice.fine == {op.name for op in qnet.ops if isinstance(op, QRecurrent) and op.fine} != set()
    assert choice.reached is not None and choice.reached >= plain + 1 and choice.size.portable <= widest.size.portable


def test_what_the_finer_form_costs_is_told() -> None:
    plain = min(
        rnnc.quantization.choice._Reference(NET, DATA).decibels(quantize(NET, RANGES, Options(weights="16"))).values()
    )
    package = rnnc.compile_model(small(), {"x": recording(300)}, min_sqnr=plain + 1)
    (note,) = [n for n in package.notes if "15 fraction bits" in n]
    assert "instructions" in note and package.report["weights"]["fine"]
