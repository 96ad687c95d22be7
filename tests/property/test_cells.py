"""A cell is a cell, however it is written: each rewriting becomes the one op, and equals onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings

from tests.support.imports import import_error, kinds
from tests.support.rewritings import GATES, Weights, scan_model, step_model, unrolled_model
from tests.support.strategies import choices, shown

LIMIT = 1e-5
Model = Callable[[Weights, Random], bytes]


def check(kind: str, choose: Random, model: Model) -> None:
    error, net = import_error(shown(model(Weights.draw(kind, choose), choose)), steps=12)
    assert kinds(net) == [kind.partition("_")[0], "dense"]
    assert error < LIMIT


@pytest.mark.parametrize("kind", GATES)
@settings(max_examples=20)
@given(choices())
def test_one_step(kind: str, choose: Random) -> None:
    check(kind, choose, step_model)


@pytest.mark.parametrize("kind", GATES)
@settings(max_examples=8)
@given(choices())
def test_scan(kind: str, choose: Random) -> None:
    check(kind, choose, scan_model)


@pytest.mark.parametrize("kind", GATES)
@settings(max_examples=5)
@given(choices())
def test_unrolled(kind: str, choose: Random) -> None:
    check(kind, choose, unrolled_model)


@pytest.mark.slow
@pytest.mark.parametrize("model", [step_model, scan_model, unrolled_model])
@pytest.mark.parametrize("kind", GATES)
@settings(max_examples=100)
@given(choices())
def test_many(kind: str, model: Model, choose: Random) -> None:
    check(kind, choose, model)
