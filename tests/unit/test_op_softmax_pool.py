"""Attention pooling over time as a stream: one running maximum, total and mean for each score, exact over any length."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rnnc.fixed import Format
from rnnc.net import Net
from rnnc.ops.softmax_pool import HALVED, TOTAL, QSoftmaxPool, SoftmaxPool
from rnnc.streams import run_net
from tests.support.graphs import Builder
from tests.support.imports import kinds
from tests.support.operators import check_c, import_error, imported, quantized, reference, sequence
from tests.support.sequences import LIMIT

T, F = 48, 4
Array = np.ndarray


def pooled(b: Builder, form: str) -> str:
    """The mean of x ``[1, T, F]`` weighted by a softmax over time, as frameworks write it."""
    score = b.op("MatMul", b.op("Tanh", "x"), b.const(3 * b.weights(F, 1)))
    one, last = b.const(np.array([1])), b.const(np.array([2]))
    if form == "sum of products":
        return b.op("ReduceSum", b.op("Mul", "x", b.op("Softmax", score, axis=1)), one, keepdims=0)
    if form == "product of matrices":
        shares = b.op("Transpose", b.op("Softmax", score, axis=1), perm=[0, 2, 1])
        return b.op("MatMul", shares, "x")
    if form == "squeezed":
        shares = b.op("Unsqueeze", b.op("Softmax", b.op("Squeeze", score, last), axis=-1), one)
        return b.op("Squeeze", b.op("MatMul", shares, "x"), one)
    score = b.op("MatMul", b.op("Tanh", "x"), b.const(3 * b.weights(F, F)))
    return b.op("ReduceSum", b.op("Mul", b.op("Softmax", score, axis=1), "x"), one)


FORMS = ("sum of products", "product of matrices", "squeezed", "a score for each feature")


def pooling(form: str) -> bytes:
    b = Builder(3)
    b.op("Identity", pooled(b, form), out="y")
    return b.model({"x": (1, T, F)}, ["y"])


@pytest.mark.parametrize("form", FORMS)
def test_every_way_to_write_it_is_one_op_and_as_in_onnxruntime(form: str) -> None:
    net = imported(content := pooling(form))
    assert kinds(net).count("softmax_pool") == 1 and net.outputs[0].kind == "last" and "stack" not in kinds(net)
    last = sequence(net)
    got = import_error_at_the_end(content, net, last)
    assert got < LIMIT


def import_error_at_the_end(content: bytes, net: Net, inputs: dict[str, Array]) -> float:
    """As ``import_error``, of the last value."""
    want = reference(content, inputs)["y"].ravel()
    got = run_net(net, {k: np.moveaxis(v, 0, 1).astype(np.float64) for k, v in inputs.items()})["y"][-1].ravel()
    return float(np.abs(got - want).max() / np.abs(want).max())


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize("form", ["squeezed", "a score for each feature"])
def test_c_equals_oracle(form: str, calibrated: bool, tmp_path: Path) -> None:
    net = imported(pooling(form))
    check_c(quantized(net, sequence(net) if calibrated else None), tmp_path)


def test_along_features_it_is_a_softmax_and_a_sum() -> None:
    b = Builder()
    b.op("ReduceSum", b.op("Mul", b.op("Softmax", "x", axis=2), b.op("Tanh", "x")), b.const(np.array([2])), out="y")
    net = imported(content := b.model({"x": (1, T, F)}, ["y"]))
    assert "softmax" in kinds(net) and "softmax_pool" not in kinds(net)
    assert import_error(content, net, sequence(net)) < LIMIT


# --------------------------------------------------------------------------- its integers


def run(scores: Array, x: Array) -> tuple[Array, Array, dict[str, Array]]:
    """Real and integer results, in LSBs of int16, for scores ``[steps]`` and integers x ``[steps]``; and the states."""
    op = SoftmaxPool("p", ("s", "x"), ("y",), groups=1, size=1, shape=(1,))
    q = QSoftmaxPool(op, op.inputs, (Format(16, np.ones(1)),), Format(16, np.ones(1)))
    real = {s.name: s.initial[None] for s in op.states()}
    state = {s.name: s.initial[None] for s in q.states()}
    want, got = [], []
    for t, (s, v) in enumerate(zip(scores, x, strict=True)):
        want.append(op.step([np.array([[s / 4096]]), np.array([[float(v)]])], real, t)[0].item())
        got.append(q.step([np.array([[s]]), np.array([[v]])], state, t)[0].item())
    return np.array(want), np.array(got), state


SCORES: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "equal": lambda rng, n: np.zeros(n),
    "random": lambda rng, n: rng.normal(0, 2, n),
    "rising": lambda rng, n: np.linspace(0, 40, n),
    "falling": lambda rng, n: np.linspace(40, 0, n),
    "one far above": lambda rng, n: np.where(np.arange(n) == n // 2, 30.0, 0.0),
    "far apart": lambda rng, n: rng.normal(0, 1e5, n),
}


@pytest.mark.parametrize("kind", SCORES)
def test_the_integers_follow_the_real_numbers(kind: str) -> None:
    rng = np.random.default_rng(1)
    scores = np.round(SCORES[kind](rng, 600) * 4096).astype(np.int64)
    want, got, _ = run(scores, rng.integers(-30000, 30000, (600,)))
    assert np.abs(got - want).max() < 4


def test_a_total_is_halved_and_then_kept() -> None:
    """Equal scores: 64 steps fill the total, which is halved ten times; from 65,536 on the mean is a leaky one."""
    op = SoftmaxPool("p", ("s", "x"), ("y",), groups=1, size=1, shape=(1,))
    q = QSoftmaxPool(op, op.inputs, (Format(16, np.ones(1)),), Format(16, np.ones(1)))
    state = {s.name: s.initial[None] for s in q.states()}
    for t in range(200):
        q.step([np.zeros((1, 1), np.int64), np.full((1, 1), 5)], state, t)
    assert state["p_halved"].item() == 2 and state["p_total"].item() <= TOTAL
    state["p_halved"], state["p_total"] = np.full((1, 1), HALVED), np.full((1, 1), TOTAL)
    q.step([np.zeros((1, 1), np.int64), np.full((1, 1), 5)], state, 0)
    assert state["p_halved"].item() == HALVED and state["p_total"].item() == TOTAL


def test_no_restored_state_overflows() -> None:
    op = SoftmaxPool("p", ("s", "x"), ("y",), groups=1, size=2, shape=(2,))
    q = QSoftmaxPool(op, op.inputs, (Format(16, np.ones(1)),), Format(16, np.ones(1), 100))
    ends = (-(2**31), -1, 0, 1, 2**31 - 1)
    for best in ends:
        for total in ends:
            for mean in ends:
                state = {"p_best": np.full((1, 1), best), "p_total": np.full((1, 1), total)}
                state |= {"p_halved": np.full((1, 1), 32767), "p_mean": np.full((1, 1, 2), mean)}
                for score in ends:
                    q.step([np.full((1, 1), score), np.array([[-32768, 32767]])], dict(state), 0)
