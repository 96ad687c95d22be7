"""Recurrences near 1: what 8 bits would change has 32, and what has become unstable all the same is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnc.activations import IDENTITY, RELU, Activation
from rnnc.net import Net, Output, Value
from rnnc.ops.extended_dense import ExtendedRows
from rnnc.ops.linear_rnn import QLinearRnn, near_one, response_db
from rnnc.ops.rnn import Rnn
from rnnc.streams import run_net, run_qnet
from rnnc.tracing import InitialState
from rnnc.verification.stability import keep_stability, spectral_radius
from rnnc.verification.verdict import Verdict
from tests.support.nets import to_integers
from tests.support.operators import check_c
from tests.support.recurrences import FORMS, outcomes

LEAKS = np.array([0.9, 0.99, 0.995, 0.999])


def layer(recurrence: np.ndarray, function: Activation = RELU) -> Net:
    n = len(recurrence)
    weights = np.abs(np.random.default_rng(3).standard_normal((n, 3))) * 0.1
    start = InitialState(np.zeros(n), "")
    op = Rnn("rnn0", ("x",), ("y",), weights, recurrence, np.zeros(n), start, function)
    return Net("net", (Value("x", (3,)),), (op,), (Output("y", "y"),))


def noise(steps: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((steps, 1, 3)) + 0.3


@pytest.mark.parametrize("function", [RELU, IDENTITY], ids=lambda f: f.name)
def test_leaks_up_to_999_in_1000_reach_40_db_in_every_unit(function: Activation, tmp_path: Path) -> None:
    net, x = layer(np.diag(LEAKS), function), noise(2000)
    qnet = to_integers(net, {"x": x})
    assert isinstance(qnet.ops[0], QLinearRnn)
    want = run_net(net, {"x": x})["y"].reshape(len(x), -1)
    got = qnet.formats["y"].dequantize(run_qnet(qnet, {"x": qnet.formats["x"].quantize(x)})["y"]).reshape(len(x), -1)
    assert (10 * np.log10(want.var(0) / ((got - want) ** 2).mean(0))).min() > 40
    check_c(qnet, tmp_path, 30)


def test_leaks_of_more_units_than_64_reach_40_db() -> None:
    net, x = layer(np.diag(np.resize(LEAKS, 100))), noise(600)
    qnet = to_integers(net, {"x": x})
    want = run_net(net, {"x": x})["y"].reshape(len(x), -1)
    got = qnet.formats["y"].dequantize(run_qnet(qnet, {"x": qnet.formats["x"].quantize(x)})["y"]).reshape(len(x), -1)
    assert (10 * np.log10(want.var(0) / ((got - want) ** 2).mean(0))).min() > 40


def test_a_recurrence_that_forgets_at_once_keeps_its_rows_of_8_bits() -> None:
    assert not near_one(np.random.default_rng(0).uniform(-0.15, 0.15, (16, 16)))


def test_no_stable_recurrence_leaves_the_unit_circle() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        n = int(rng.integers(1, 33))
        matrix = rng.standard_normal((n, n))
        matrix *= rng.choice([rng.uniform(0.5, 0.999), 0.9995]) / spectral_radius(matrix)
        assert spectral_radius(ExtendedRows.of(matrix).real) < 1


def test_rows_of_8_bits_that_grow_without_end_are_near_one() -> None:
    """The characteristic polynomial of five poles of 0.99 in a companion matrix: rounded to 8 bits, it has one of 1.4."""
    companion = np.eye(5, k=-1)
    companion[0] = -np.poly(np.full(5, 0.99))[1:]
    assert near_one(companion)


def test_32_bits_answer_as_float_does() -> None:
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((8, 8)))[0] * 0.9995
    assert response_db(turn, ExtendedRows.of(turn).real) > 100


def test_one_that_has_become_unstable_is_poor_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    qnet = to_integers(layer(np.diag(LEAKS)), {"x": noise(200)})
    good = Verdict("good", (), None, "", of_user=True)
    assert keep_stability(good, qnet) is good
    monkeypatch.setattr(QLinearRnn, "dequantized", lambda q: replace(q.op, recurrence=q.op.recurrence / LEAKS.max()))
    told = keep_stability(good, qnet)
    assert told.level == "poor" and "rnn0" in told.cause and told.fails


def test_random_stable_recurrences_are_stable_in_integers() -> None:
    """A sample; tests/target/test_recurrences.py has a thousand."""
    found = list(outcomes(range(3)))
    assert {o.form for o in found} == set(FORMS)
    assert not [o for o in found if o.lost or o.told]
