"""The readings of the language of integers: ranges hold what arrays give, formats are checked, idle operations leave the C."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from rnnc import fixed
from rnnc.activations import Activation
from rnnc.ctext import CText, Written
from rnnc.language import OPERATIONS, Quantity, clip, let, mul15, rounded, toward30
from rnnc.ops.cells import Unit, gru, lstm
from rnnc.ops.library import HEADERS, rows
from rnnc.readings import Arrays, Intervals, Range
from tests.support.nets import to_integers
from tests.support.recurrent import imported, layer

Array = np.ndarray[Any, Any]
ARGUMENTS = {"add": 2, "sub": 2, "mul": 2, "clip": 3, "where_less": 4, "mul15": 2, "toward": 3}
CURVES = [Activation("elu", 0.7), Activation("elu", -0.7), Activation("scaledtanh", 0.7, 0.9), Activation("softsign")]


def values(rng: np.random.Generator, lo: int, hi: int, n: int = 500) -> Array:
    """Uniform, and the ends."""
    return np.where(rng.random(n) < 0.2, rng.choice([lo, hi], n), rng.integers(lo, hi + 1, n))


@pytest.mark.parametrize("op", ARGUMENTS)
def test_a_range_holds_every_value(op: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        ends = [sorted(rng.integers(-(2**b), 2**b, 2).tolist()) for b in rng.integers(2, 31, ARGUMENTS[op])]
        if op == "clip":
            ends[1:] = [[-abs(ends[1][0])] * 2, [abs(ends[2][0])] * 2]
        ranges = Intervals()
        found = ranges.apply(op, *(Range(*e) for e in ends))
        if ranges.terms <= fixed.INT32_MAX:
            y = OPERATIONS[op](*(values(rng, *e) for e in ends))
            assert found.lo <= y.min() and y.max() <= found.hi


@pytest.mark.parametrize("function", [fixed.sigmoid, fixed.tanh])
def test_gates_are_monotone_so_their_extremes_are_at_the_ends(function: Callable[[Array], Array]) -> None:
    assert np.all(np.diff(function(np.arange(-(2**18), 2**18))) >= 0)


@pytest.mark.parametrize("activation", CURVES, ids=lambda a: a.name)
def test_the_range_of_a_curve(activation: Activation) -> None:
    rng = np.random.default_rng(1)
    for exponent in range(3):
        f = activation.integer(exponent)
        for _ in range(10):
            lo, hi = sorted(rng.integers(-(2 ** int(rng.integers(8, 22))), 2**20, 2).tolist())
            found, y = Intervals().apply("curve", Range(lo, hi), f), f.interpolate(values(rng, lo, hi))
            assert found.lo <= y.min() and y.max() <= found.hi


def test_a_sum_of_unlike_formats_is_refused() -> None:
    reading = Intervals()
    with pytest.raises(AssertionError, match="unlike formats"):
        Quantity(reading, Range(0, 1), -15) + Quantity(reading, Range(0, 1), -12)


def test_the_oracle_asserts_what_lies_between_two_names() -> None:
    reading = Arrays("op0", iter([]))
    let("half", "", rounded(Quantity(reading, np.array([2**31 - 1]), -15), -14))
    with pytest.raises(fixed.OverflowInOracle, match=r"op0\.half, terms"):
        reading.finish()


def test_what_is_idle_is_not_in_the_c() -> None:
    k = CText()
    x = k.leaf("x[k]", 1000, -15)
    assert clip(rounded(x, -15), 1000).raw.text == "x[k]"
    assert clip(x, 999).raw.text == "rnnc_clip(x[k], -999, 999)"
    assert (0 - x).raw.text == "-x[k]"
    assert toward30(x, 0, Quantity(k, Written(0, 1 << 30, "w"), -30)).raw.text == "x[k] + rnnc_mul30(w, -x[k])"


def test_the_c_means_what_it_says() -> None:
    """A shift is a call, whose operand is a sum."""
    k = CText()
    u, x = k.leaf("u", 100, -15), k.leaf("x", 1_000_000, -12)
    assert rounded(mul15(u, x), -8).raw.text == "rnnc_right(rnnc_right(u * x + 16384, 15) + 8, 4)"
    assert rounded(u * x, -23).raw.text == "rnnc_right(u * x + 8, 4)"
    assert rounded(x + x, -8).raw.text == "rnnc_right(x + x + 8, 4)"


@pytest.mark.parametrize(
    "f", [Activation("leakyrelu", 0.5), Activation("scaledtanh", 1.0, 1.0), Activation("affine", 1.0)]
)
@pytest.mark.parametrize("text", [lstm, gru])
def test_one_minus_a_gate_that_nothing_bounds_is_certified(text: Any, f: Activation) -> None:
    """1 - i of coupled gates and 1 - z reach 2^16 where they are not clipped: mul15 takes 2^15."""
    state = ("c", -23) if text is lstm else ("s", -29)
    unit = Unit(text, f.integer(0), state=state, limit=2**30 if text is lstm else 32767 << 14, coupled=True)
    reading = Intervals()
    leaves = [Quantity(reading, Range(-(2**22), 2**22), -12) for _ in range(4)]
    for _ in text(unit, leaves, Quantity(reading, Range(-unit.limit, unit.limit), state[1]), []):
        pass
    assert max(reading.worst.values()) <= fixed.INT32_MAX


def test_every_variable_of_a_kernel_says_its_range_and_its_format() -> None:
    texts = [p.unit.kernels([p.phase])[0].text for p in HEADERS.values()]
    unit, gates = Unit(lstm, coupled=True, state=("c", -20), limit=2**30), rows("both", "both", "both", "both")
    texts += [k.text for k in unit.kernels([gates])]
    for text in texts:
        lines = text.splitlines()
        for before, line in pairwise(lines):
            if re.match(r" {8}int32_t \w+ = ", line):
                assert re.fullmatch(r"\s+/\* .+: -?\d+ \.\. \d+, LSB 2\^-\d+, \S+ \.\. \S+ \*/", before), before


@pytest.mark.parametrize(
    ("kind", "g", "function"),
    [("GRU", "Tanh", "rnnc_gru_after"), ("GRU", "Relu", "rnnc_gru_after"), ("LSTM", "Tanh", "rnnc_lstm")],
)
def test_a_plain_layer_takes_the_kernel_that_targets_replace(kind: str, g: str, function: str) -> None:
    activations = ["Sigmoid", g] + (["Tanh"] if kind == "LSTM" else [])
    attributes = {"activations": activations} | ({"linear_before_reset": 1} if kind == "GRU" else {})
    (op,) = to_integers(imported([layer(kind, attributes)], 8)).ops
    assert [call.function for call in op.calls()] == [function]
