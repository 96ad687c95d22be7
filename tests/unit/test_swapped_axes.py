"""Batch and time confused at export, and files without an input of their own: refused with what is wrong and the way on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rnnc.compiler import compile_model, load_net
from rnnc.errors import Refused, VerificationError
from rnnc.frontend.read.load import load
from rnnc.options import Options
from rnnc.verification import axes
from rnnc.verification.axes import better_axes
from rnnc.verification.single import EXACT
from tests.support.graphs import Builder
from tests.support.small import small

T = 24


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            small(1, T),
            r"scans axis 0 \(length 1\) and takes axis 1 \(length 24\) as batch: is batch_first=True missing",
        ),
        (
            small("batch", T),
            r"axis 0 \(open, named 'batch'\) .* axis 1 \(length 24\) as batch: is batch_first=True missing",
        ),
        (small("batch", "time"), r"axis 1 \(open, named 'time'\) as batch: is batch_first=True missing"),
        (small(1, T, batch_first=True), r"axis 1 \(length 1\) .* axis 0 \(length 24\) as batch: .* one too many"),
        (small("batch", "time", batch_first=True), r"axis 0 \(open, named 'time'\) as batch: .* one too many"),
    ],
    ids=["fixed", "open batch", "both open", "batch first", "batch first, open"],
)
def test_batch_first_forgotten(content: bytes, message: str) -> None:
    with pytest.raises(Refused, match=message) as refused:
        load_net(content)
    assert "--time-axis x=" in refused.value.hint


@pytest.mark.parametrize(
    "content",
    [
        small(),
        small("time", "batch"),
        small(T, 3),
        small(1, 1),
        small(1, 3, explicit=True),
    ],
    ids=["time", "open batch", "batch of 3", "one step", "one step of 3 streams"],
)
def test_files_that_know_their_axes_are_not_accused(content: bytes) -> None:
    assert load_net(content).ops


def test_lanes_side_by_side_are_taken_where_that_is_said() -> None:
    assert load_net(small(1, T), Options(time_axis={"x": 0})).inputs[0].size == 3


def test_no_input_beside_states() -> None:
    """A generator, all of whose inputs are fed from its outputs."""
    b = Builder()
    weights = [b.const(b.weights(1, 3 * 4, n)) for n in (1, 4)]
    y, _ = b.ops("GRU", 2, "x", *weights, "", "", "h", hidden_size=4)
    b.op("Identity", b.nodes[-1].output[1], out="hn")
    b.op("MatMul", b.op("Squeeze", y, b.const(np.array([1]))), b.const(b.weights(4, 1)), out="y")
    content = b.model({"x": [1, 1, 1], "h": [1, 1, 4]}, ["y", "hn"])
    with pytest.raises(Refused, match=r"no input is left: outputs feed them all \(x, h\)") as refused:
        load_net(content, Options(states={"x": "y"}))
    assert "--state x=none" in refused.value.hint
    assert [v.name for v in load_net(content, Options(states={"x": "none"})).inputs] == ["x"]


def test_after_a_failed_import_the_axes_are_tried_the_other_way() -> None:
    """One step of 24 lanes, its axes guessed wrongly: the choice that is equal to onnxruntime is named."""
    content = small(1, T)
    options = Options(time_axis={"x": 0})
    graph = load(content, options)
    assert better_axes(content, graph, Options(), EXACT) == "--time-axis x=0"


def test_a_package_with_a_wrong_import_says_which_axis_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong: Any = SimpleNamespace(
        problems=lambda *_: ["the import differs"], measured=SimpleNamespace(import_max_rel=0.9)
    )
    package = compile_model(small(), verify=False)
    object.__setattr__(package, "verified", wrong)
    with pytest.raises(VerificationError) as failed:
        package.check()
    assert "With --time-axis x=0 it is equal to onnxruntime" in failed.value.hint
    monkeypatch.setattr(axes, "_error", lambda *_: 1.0)
    with pytest.raises(VerificationError) as failed:
        package.check()
    assert "No other choice of the time axis" in failed.value.hint
