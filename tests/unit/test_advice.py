"""Refusals that advise --window T: the advised command compiles, else it is not advised."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from rnnc.compiler import load_net
from rnnc.errors import Refused, UsageError
from rnnc.options import Options
from tests.support.graphs import Builder
from tests.support.small import small
from tests.support.windows import T, layer

AXES = {"x": 1}
Maker = Callable[[Builder], None]
ADVISED = re.compile(r"--window (\w+)")


def model(make: Maker, steps: int | str) -> bytes:
    """x ``[1, steps, 3]`` to y."""
    b = Builder()
    make(b)
    return b.model({"x": (1, steps, 3)}, ["y"])


def turned(b: Builder, x: str) -> str:
    """A sequence from its last step to its first."""
    return b.op("Slice", x, *(b.const(np.array([v])) for v in (-1, -(2**31), 1, -1)))


def step_of(b: Builder, x: str, index: int) -> str:
    """One step of a sequence ``[1, time, n]``."""
    return b.op("Gather", x, b.const(np.array([index])), axis=1)


def backward(b: Builder) -> None:
    b.op("Tanh", layer(b, "x", "GRU", direction="reverse")[0], out="y")


def both_ways(b: Builder) -> None:
    b.op("Tanh", layer(b, "x", "LSTM", direction="bidirectional")[0], out="y")


def reversed_input(b: Builder) -> None:
    b.op("Tanh", turned(b, "x"), out="y")


def first_step(b: Builder) -> None:
    b.op("Tanh", step_of(b, "x", 0), out="y")


def first_and_last(b: Builder) -> None:
    b.op("Sub", step_of(b, "x", -1), step_of(b, "x", 0), out="y")


def state_before_the_last(b: Builder) -> None:
    states = b.op("Squeeze", layer(b, "x", "RNN")[0], b.const(np.array([1])))
    b.op("Tanh", b.op("Gather", states, b.const(np.array([-2])), axis=0), out="y")


def less_its_first_step(b: Builder) -> None:
    b.op("Sub", "x", step_of(b, "x", 0), out="y")


def less_its_first_step_and_backward(b: Builder) -> None:
    b.op("Tanh", layer(b, b.op("Sub", "x", step_of(b, "x", 0)), "GRU", direction="reverse")[0], out="y")


def backward_and_cumulated(b: Builder) -> None:
    both = layer(b, "x", "GRU", direction="reverse")[0]
    b.op("CumSum", both, b.const(np.array(0)), out="y")


def turned_and_less_its_end(b: Builder) -> None:
    x = turned(b, "x")
    b.op("Sub", x, step_of(b, x, 0), out="y")


HELPED = (backward, both_ways, reversed_input, first_step, first_and_last, state_before_the_last)
DOUBTFUL = (
    less_its_first_step,
    less_its_first_step_and_backward,
    backward_and_cumulated,
    turned_and_less_its_end,
)


@pytest.mark.parametrize("steps", [T, "time"])
@pytest.mark.parametrize("make", HELPED)
def test_the_window_that_is_advised_compiles(make: Maker, steps: int | str) -> None:
    content = model(make, steps)
    with pytest.raises(Refused) as refused:
        load_net(content, Options(time_axis=AXES))
    advised = ADVISED.search(refused.value.hint)
    assert advised and advised[1] == ("T" if steps == "time" else str(T))
    assert load_net(content, Options(window=T, time_axis=AXES)).window == T


@pytest.mark.parametrize("steps", [T, "time"])
@pytest.mark.parametrize("make", DOUBTFUL)
def test_a_window_is_advised_if_it_compiles(make: Maker, steps: int | str) -> None:
    content = model(make, steps)
    with pytest.raises(Refused) as refused:
        load_net(content, Options(time_axis=AXES))
    assert refused.value.hint
    try:
        load_net(content, Options(window=T, time_axis=AXES))
    except Refused:
        assert not ADVISED.search(refused.value.hint)
    else:
        assert ADVISED.search(refused.value.hint)


@pytest.mark.parametrize("make", HELPED)
def test_another_window_than_the_file_s_is_mended_by_its_own(make: Maker) -> None:
    with pytest.raises(Refused) as refused:
        load_net(model(make, T), Options(window=7, time_axis=AXES))
    assert f"--window {T}" in refused.value.hint


def test_a_file_of_one_step_is_not_told_to_take_a_window() -> None:
    with pytest.raises(UsageError, match="takes one step at once") as error:
        load_net(small(1, 1, explicit=True), Options(hop=2))
    assert "--window" not in error.value.hint
