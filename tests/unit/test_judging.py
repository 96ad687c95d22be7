"""Commands that do not verify say all the same what their results are worth: the verdict, its cause, and what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from rnnc import judging
from rnnc.cli import app
from tests.support.faults import FAULTS, Fault
from tests.support.graphs import Builder
from tests.support.small import FEATURES, recording, small


def run(*words: str, stdin: str = "") -> Any:
    return CliRunner().invoke(app, [*words], input=stdin)


def put(fault: Fault) -> list[str]:
    Path("net.onnx").write_bytes(fault.model)
    np.save("calib.npy", fault.calib)
    np.save("test.npy", fault.test)
    return ["net.onnx", "--calib", "calib.npy", *fault.options]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", ["unlike_outputs", "beyond_calibration", "slow_recurrence"])
def test_simulate_warns_with_verdict_cause_and_cure(name: str) -> None:
    fault = FAULTS[name]()
    answer = run("simulate", *put(fault), "--input", "test.npy", "--engine", "oracle", "--json")
    assert answer.exit_code == 0 and json.loads(answer.stdout)["outputs"]
    said = re.search(rf"warning: {fault.level} over all \d[\d,]* steps, its cause over the first .*", answer.stderr)
    assert said and re.search(fault.words, said[0]) and re.search(fault.advice, said[0]), answer.stderr


@pytest.mark.usefixtures("here")
def test_simulate_in_real_numbers_and_a_good_network_warn_of_nothing() -> None:
    arguments = put(FAULTS["unlike_outputs"]())
    assert "poor" not in run("simulate", *arguments, "--input", "test.npy", "--engine", "float", "--json").stderr
    Path("net.onnx").write_bytes(small())
    np.save("calib.npy", np.random.default_rng(0).standard_normal((600, FEATURES)).astype(np.float32))
    assert not run("simulate", "net.onnx", "--calib", "calib.npy", "--input", "calib.npy", "--json").stderr


@pytest.mark.usefixtures("here")
def test_what_comes_late_is_told_although_the_first_steps_are_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sum that leaves its format late."""
    monkeypatch.setattr(judging, "FEWEST_STEPS", 64)
    monkeypatch.setattr(judging, "MOST_OP_STEPS", 128)
    monkeypatch.setattr(judging, "FARTHER", 1)
    b = Builder(5)
    b.op("Add", "s", b.op("Mul", "x", b.const(np.array(0.01))), out="sn")
    b.op("Mul", "sn", b.const(np.array(2.0)), out="y")
    Path("net.onnx").write_bytes(b.model({"x": [1, 1], "s": [1, 1]}, ["y", "sn"]))
    x = 1 + 0.1 * np.random.default_rng(0).standard_normal(2000).astype(np.float32)
    np.save("calib.npy", x[:200])  # a sum has room for eight times what it reaches there
    np.save("test.npy", x)
    answer = run("simulate", "net.onnx", "--calib", "calib.npy", "--input", "test.npy", "--json")
    assert answer.exit_code == 0
    assert re.search(r"poor over all 2,000 steps: y has .* dB; the first \d+ are good. rnnc verify", answer.stderr)


@pytest.mark.usefixtures("here")
def test_a_pipe_is_told_what_its_calibration_shows() -> None:
    arguments = put(FAULTS["unlike_outputs"]())
    answer = run("simulate", *arguments, "--input", "-", "--engine", "oracle", stdin="1,2,3\n")
    assert answer.exit_code == 0 and "warning: poor over the first 300 steps: y[1] has " in answer.stderr


@pytest.mark.usefixtures("here")
def test_where_onnxruntime_cannot_be_asked_simulate_says_that_nothing_was_compared() -> None:
    """A file of 24 steps, and a recording of 10."""
    b = Builder(6)
    h = b.ops("GRU", 2, "x", b.const(b.weights(1, 24, 3)), b.const(b.weights(1, 24, 8)), hidden_size=8)[0]
    Path("net.onnx").write_bytes(b.model({"x": [24, 1, 3]}, [b.op("Squeeze", h, b.const(np.array([1])), out="y")]))
    np.save("calib.npy", recording(200)[:, :3])
    np.save("test.npy", recording(10)[:, :3])
    answer = run("simulate", "net.onnx", "--calib", "calib.npy", "--input", "test.npy", "--json")
    assert answer.exit_code == 0
    assert "not compared with onnxruntime: the model takes 24 steps at once" in answer.stderr, answer.stderr


@pytest.mark.usefixtures("here")
def test_tune_says_what_its_proposal_is_worth_by_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnc.tuning.missing_tools", lambda _: ["qemu"])
    answer = run("tune", *put(FAULTS["unlike_outputs"]()), "--input", "test.npy")
    assert answer.exit_code == 0 and "warning: poor over the first 300 steps: y[1] has " in answer.stderr


@pytest.mark.usefixtures("here")
def test_bench_says_what_its_network_is_worth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnc.verification.bench.bench", lambda *_, **__: [])
    answer = run("bench", *put(FAULTS["unlike_outputs"]()), "--target", "cortex-m4")
    assert answer.exit_code == 0 and "warning: poor over the first 300 steps: y[1] has " in answer.stderr


@pytest.mark.usefixtures("here")
def test_bench_without_data_is_not_judged_by_its_self_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose inputs go to the extremes of their types."""
    monkeypatch.setattr("rnnc.verification.bench.bench", lambda *_, **__: [])
    Path("net.onnx").write_bytes(small())
    answer = run("bench", "net.onnx", "--target", "cortex-m4")
    assert answer.exit_code == 0 and "clipped" not in answer.stderr
