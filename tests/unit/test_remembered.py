"""States that remember an input, and states that sum up: what reads them keeps its bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnnc
from rnnc.compiler import compile_stages
from rnnc.fixed import Format
from rnnc.options import Options
from rnnc.quantization.calibrate import calibrate
from rnnc.quantization.centre import centre_inputs
from rnnc.quantization.extend import totals
from rnnc.quantization.remembered import less_offsets, start_within
from rnnc.streams import run_net
from rnnc.verification import experiments
from tests.support.graphs import Builder

Array = np.ndarray[Any, Any]
SPREAD = np.array([300.0, 3.0, 0.02])
MIDDLE = np.array([101325.0, 21.0, 0.5])
STEPS = 250


def deltas(steps: int = 1, middle: Array = MIDDLE) -> bytes:
    """A small network over what raw units have changed by in one or two steps, and over the units themselves."""
    b = Builder(3)
    last = "b" if steps == 2 else "a"
    changed = b.op("Div", b.op("Sub", "x", last), b.const(SPREAD / 10))
    both = b.op("Concat", changed, b.op("Div", b.op("Sub", "x", b.const(middle)), b.const(SPREAD)), axis=1)
    b.op("Identity", "x", out="a_next")
    b.op("Identity", "a", out="b_next")
    hidden = b.op("Tanh", b.op("MatMul", both, b.const(b.weights(6, 8))))
    b.op("MatMul", hidden, b.const(b.weights(8, 2)), out="y")
    shapes = {"x": [1, 3], "a": [1, 3]} | ({"b": [1, 3]} if steps == 2 else {})
    return b.model(shapes, ["y", "a_next"] + (["b_next"] if steps == 2 else []))


def recording(middle: Array = MIDDLE, seed: int = 0) -> dict[str, Array]:
    g, t = np.random.default_rng(seed), np.arange(STEPS)[:, None]
    slow = np.sin(t / np.array([23.0, 31.0, 17.0])) + 0.02 * g.standard_normal((STEPS, 3))
    return {"x": (middle + SPREAD * slow).astype(np.float32)}


STATES = {1: {"a": "a_next"}, 2: {"a": "a_next", "b": "b_next"}}


@pytest.mark.parametrize(("steps", "middle"), [(1, MIDDLE), (2, MIDDLE), (1, 0 * MIDDLE)])
def test_what_raw_units_have_changed_by_keeps_its_bits(steps: int, middle: Array) -> None:
    package = rnnc.compile_model(deltas(steps, middle), recording(middle), states=STATES[steps], weights="16")
    verify = package.report["verify"]
    assert verify["c_equals_oracle"] and min(verify["outputs"][0]["channel_sqnr_db"]) > 35, verify["outputs"]
    qnet = package.program.qnet
    for f in qnet.feedback:
        assert np.array_equal(f.state.format.scale, qnet.formats["x"].scale)


def test_states_less_the_offset_of_what_they_remember_are_the_same_in_float() -> None:
    options, data = Options(states=STATES[2]), recording()
    net = compile_stages(deltas(2), data, options).net
    sequences = {"x": [data["x"][:, None].reshape(STEPS, 1, 3)]}
    centred = centre_inputs(net, sequences, options)
    found = less_offsets(centred, calibrate(centred, sequences, options))
    assert found is not None and len(found[0].ops) < len(centred.ops) + 2
    lanes = {"x": data["x"].reshape(STEPS, 1, 1, 3)}
    want, got = run_net(net, lanes), run_net(found[0], lanes)
    for name, y in got.items():
        assert np.abs(y - want[name]).max() <= 1e-6 * np.abs(want[name]).max(), name


def test_a_start_out_of_range_is_nearer_in_proportion() -> None:
    form = Format(16, np.array([2.0, 1.0]) / 32767, offset=np.array([20.0, 4.0]))
    assert start_within(form, np.zeros(2)) == pytest.approx([18.0, 3.6])
    assert start_within(form, np.array([19.0, 4.5])) == pytest.approx([19.0, 4.5])
    assert np.all(start_within(Format(16, np.array([1e-4])), np.full(2, 5.0)) == 5.0)


def integrator() -> bytes:
    """``i += x / 100``, of which a tenth is answered beside x."""
    b = Builder(0)
    raw = b.op("Add", "i", b.op("Mul", "x", b.const(np.array(0.01))))
    b.op("Clip", raw, b.const(np.array(-50.0)), b.const(np.array(50.0)), out="i_next")
    b.op("Sub", b.op("Tanh", "x"), b.op("Mul", "i_next", b.const(np.array(0.1))), out="y")
    return b.model({"x": [1, 1], "i": [1, 1]}, ["y", "i_next"])


def drift(steps: int) -> dict[str, Array]:
    t = np.arange(steps)[:, None]
    return {"x": (1 + np.sin(t / 7)).astype(np.float32)}


def test_what_reads_a_sum_goes_on_when_the_calibration_ends() -> None:
    package = rnnc.build(integrator(), drift(200), Options(states={"i": "i_next"}), test=drift(1000))
    assert package.report["verify"]["c_equals_oracle"]
    assert min(package.report["verify"]["outputs"][0]["channel_sqnr_db"]) > 50
    assert totals(package.program.qnet.net) >= {"i"}


def test_a_clipped_sum_is_named_where_it_comes_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiments, "MOST_OP_STEPS", 2000)
    package = rnnc.build(integrator(), drift(100), Options(states={"i": "i_next"}), test=drift(1200))
    assert package.verdict is not None and "clipped" in package.verdict.cause, package.verdict
