"""Each cause on a network made for it: the verdict, its words, what to do, and the exit code; what commands do of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from typer.testing import CliRunner

import rnnc
from rnnc.cli import app
from rnnc.options import Options
from rnnc.quantization.slow import _followed, feedback_gain, longest, still_rising
from tests.support.faults import FAULTS, GAINS, OBSERVER, Fault, slow_recurrence
from tests.support.graphs import Builder
from tests.support.small import FEATURES, recording, small


def run(*words: str) -> Any:
    return CliRunner().invoke(app, [*words])


def put(fault: Fault, here: Path) -> list[str]:
    """Write a fault's files; the arguments that name them."""
    (here / "net.onnx").write_bytes(fault.model)
    np.save(here / "calib.npy", fault.calib)
    np.save(here / "test.npy", fault.test)
    return ["net.onnx", "--calib", "calib.npy", *fault.options]


@pytest.mark.parametrize("name", FAULTS)
def test_the_cause_is_named(name: str, here: Path) -> None:
    fault = FAULTS[name]()
    answer = run("verify", *put(fault, here), "--input", "test.npy", "--json")
    verify = json.loads(answer.stdout)["verify"]
    assert verify["verdict"] == fault.level and answer.exit_code == (1 if fault.level == "poor" else 0), answer.stderr
    assert re.search(fault.words, verify["cause"]), verify["cause"]
    assert re.search(fault.advice, verify["advice"]), verify["advice"]
    assert f"{fault.level}: {verify['cause']}" in answer.stderr and verify["advice"] in answer.stderr


def test_the_advice_on_int8_weights_helps(here: Path) -> None:
    arguments = put(FAULTS["rounded_gate"](), here)
    verify = json.loads(run("verify", *arguments, "--weights", "16", "--json").stdout)["verify"]
    assert verify["verdict"] == "good" and not verify["cause"]


def test_errors_that_grow_are_not_said_to_last(here: Path) -> None:
    """A network that amplifies any difference, over the steps before float32 and float64 part."""
    b = Builder(0)
    recurrence = b.rng.standard_normal((1, 32, 32)) * 2.2 / 32**0.5
    h = b.ops("RNN", 1, "x", b.const(b.weights(1, 32, 1)), b.const(recurrence.astype(np.float32)), hidden_size=32)[0]
    b.op("MatMul", h, b.const(b.weights(32, 1)), out="y")
    (here / "net.onnx").write_bytes(b.model({"x": ["time", 1, 1]}, ["y"]))
    np.save(here / "calib.npy", 0.1 * np.random.default_rng(0).standard_normal((400, 1)))
    verify = json.loads(run("verify", "net.onnx", "--calib", "calib.npy", "--json").stdout)["verify"]
    assert re.search(r"errors grow 1\.\d+ times a step", verify["cause"]) and "by its task" in verify["advice"], verify


def test_verified_is_not_printed_above_a_poor_result(here: Path) -> None:
    arguments = put(FAULTS["unlike_outputs"](), here)
    text = run("verify", *arguments).stdout
    assert "verified" not in text and "compared over 300 steps: the C equals the oracle" in text
    assert "verdict: poor: y[1] has -" in text and "y by channel: [0] " in text
    assert max(map(len, text.splitlines())) <= 80


def test_poor_writes_the_package_all_the_same(here: Path) -> None:
    arguments = put(FAULTS["unlike_outputs"](), here)
    answer = run("compile", *arguments, "-o", "out", "--json")
    report = json.loads(answer.stdout)
    assert answer.exit_code == 1 and (here / "out/net.c").is_file()
    assert report["verify"]["verdict"] == "poor" and len(report["verify"]["outputs"][0]["channel_sqnr_db"]) == 2
    assert json.loads((here / "out/report.json").read_text()) == report
    page = (here / "out/report.html").read_text()
    assert "<b>poor</b>" in page and "share the range of output y" in page


def test_poor_stops_no_other_command(here: Path) -> None:
    arguments = put(FAULTS["unlike_outputs"](), here)
    assert run("simulate", *arguments, "--input", "test.npy", "-o", "out.npz").exit_code == 0
    assert run("inspect", *arguments).exit_code == 0


def test_a_bar_of_the_users_own_replaces_that_of_poor(here: Path) -> None:
    arguments = put(FAULTS["unlike_outputs"](), here)
    answer = run("verify", *arguments, "--min-sqnr", "30")
    assert answer.exit_code == 0 and "warning: poor: " in answer.stderr


def test_without_data_poor_only_warns(here: Path) -> None:
    fault = FAULTS["unlike_outputs"]()
    put(fault, here)
    answer = run("compile", "net.onnx", *fault.options, "-o", "out")
    assert answer.exit_code == 0 and "warning: poor: " in answer.stderr and (here / "out/net.c").is_file()


def test_a_good_network_is_good_without_a_word(here: Path) -> None:
    (here / "net.onnx").write_bytes(small())
    np.save(here / "calib.npy", np.random.default_rng(0).standard_normal((600, FEATURES)).astype(np.float32))
    answer = run("verify", "net.onnx", "--calib", "calib.npy")
    assert answer.exit_code == 0 and "verified over 600 steps" in answer.stdout and "verdict: good" in answer.stdout
    assert not answer.stderr


def test_clipped_states_are_told_as_clipped_inputs_are(here: Path) -> None:
    arguments = put(FAULTS["rising_state"](), here)
    answer = run("verify", *arguments, "--input", "test.npy")
    assert re.search(r"warning: State s was clipped in [\d.]+% of its numbers", answer.stderr)


def test_the_graphs_own_clip_is_no_fault(here: Path) -> None:
    """The state of charge is at its limits half of the time, and that is what the network does."""
    fault = FAULTS["short_state"]()
    (here / "net.onnx").write_bytes(fault.model)
    x = np.where(np.arange(2000) % 1000 < 500, -900.0, 900.0).astype(np.float32)
    np.save(here / "calib.npy", x)
    answer = run("verify", "net.onnx", "--calib", "calib.npy", *fault.options)
    assert answer.exit_code == 0 and "clipped" not in answer.stderr, answer.stderr


def test_all_layers_together_are_what_verify_says(here: Path) -> None:
    """The same quantity over the same steps, of recordings short and long."""
    (here / "net.onnx").write_bytes(small())
    x = np.random.default_rng(0).standard_normal((600, FEATURES)).astype(np.float32)
    np.savez(here / "calib.npz", x=x, lengths=np.array([40, 300, 260]))
    report = json.loads(run("verify", "net.onnx", "--calib", "calib.npz", "--by-layer", "--json").stdout)
    found, verify = report["verify"]["by_layer"], report["verify"]
    assert (found["steps"], found["of"], verify["steps"]) == (600, 600, 600)
    assert found["network_db"] == verify["outputs"][0]["sqnr_db"]


def test_the_feedback_of_a_linear_recurrence_is_its_largest_eigenvalue() -> None:
    fault = slow_recurrence(copies=1)
    net = rnnc.load_net(fault.model, Options(states={"s": "sn"}))
    matrix = (OBSERVER - GAINS @ OBSERVER[:1]).T
    x = {"z": [fault.calib[:, None]]}
    gain = feedback_gain(net, {"s"}, x)
    assert gain == pytest.approx(np.abs(np.linalg.eigvals(matrix.astype(np.float32))).max(), rel=1e-4)
    assert feedback_gain(net, {"nothing"}, x) is None
    assert _followed(net, ["s"], longest(x), 1) == pytest.approx(gain, rel=3e-3), (
        "an error that is followed fades alike"
    )


def test_a_state_that_settles_is_not_rising() -> None:
    fault = FAULTS["rising_state"]()
    net = rnnc.load_net(fault.model, Options(states={"s": "sn"}))
    assert still_rising(net, {"x": [fault.calib[:, None]]}) == {"s"}
    back_and_forth = np.sin(np.arange(2000) / 30)[:, None]
    assert still_rising(net, {"x": [back_and_forth]}) == set()


@pytest.mark.parametrize("precision", ["a16", "a8"])
def test_a_saturated_gru_is_not_clipped(precision: Literal["a16", "a8"]) -> None:
    """Its state lies at +-1 for long, which is as far as it goes in real numbers."""
    b = Builder(3)
    w, r = b.const(40 * b.weights(1, 12, 3)), b.const(b.weights(1, 12, 4))
    h = b.op("Squeeze", b.ops("GRU", 2, "x", w, r, hidden_size=4)[0], b.const(np.array([1])))
    model = b.model({"x": ["time", 1, 3]}, [b.op("MatMul", h, b.const(b.weights(4, 2)), out="y")])
    x = np.repeat(recording(10), 30, axis=0)
    made = rnnc.build(model, x, Options(precision=precision))
    assert made.verified is not None
    states = [o for o in made.verified.measured.occupancy if o.state]
    assert states and max(o.used for o in states) > 0.99 and not any(o.saturated.any() for o in states)
