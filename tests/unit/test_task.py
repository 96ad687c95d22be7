"""task.py and matching.py: labels and recorded results beside the answers that they belong to.

Where each entry belongs is proven by recording what onnxruntime gives to whole sequences: beside its own answers it must be
equal, 200 dB, which one step of displacement would spoil.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, load_from_string
from typer.testing import CliRunner

import rnnc
from rnnc.cli import app
from rnnc.data import Source
from rnnc.errors import DataError, UsageError
from rnnc.options import Options
from rnnc.package import Package
from tests.conftest import require
from tests.support.graphs import Builder
from tests.support.models import Array, model
from tests.support.small import FEATURES, HIDDEN, WEIGHTS, recording, small

RNG = np.random.default_rng(3)
LENGTHS = (18, 27, 9)
EXACT = 120.0
"""dB of equal numbers in float32 (200), and of sums in another order."""


def run(content: bytes, x: Array) -> Array:
    """What onnxruntime gives as y to the file's x."""
    engine = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    return np.asarray(engine.run(["y"], {"x": x.astype(np.float32)})[0])


def verified(content: bytes, data: Source, labels: str | None = None, **changes: Any) -> dict[str, Any]:
    require("gcc")
    found: dict[str, Any] = rnnc.build(content, data, Options(**changes), labels=labels).report["verify"]
    return found


# ------------------------------------------------------------------- models of each kind


def looking_ahead(stride: int = 1) -> bytes:
    """x [1, 3, time] through a Conv that sees the step before and the one after, then an LSTM: y [time, 1, 2]."""
    nodes = [
        helper.make_node("Conv", ["x", "K"], ["a"], kernel_shape=[3], pads=[1, 1], strides=[stride]),
        helper.make_node("Transpose", ["a"], ["t"], perm=[2, 0, 1]),
        helper.make_node("LSTM", ["t", "W", "R", "B"], ["Y", "", ""], hidden_size=HIDDEN),
        helper.make_node("Squeeze", ["Y", "axis"], ["h"]),
        helper.make_node("MatMul", ["h", "D"], ["y"]),
    ]
    kernel = np.random.default_rng(5).standard_normal((FEATURES, FEATURES, 3))
    constants = {**WEIGHTS, "K": kernel, "axis": np.array([1])}
    return model(nodes, {"x": [1, FEATURES, "time"]}, {"y": ["steps", 1, 2]}, constants)


def both_ways() -> bytes:
    """x [9, 1, 3] through an LSTM in both directions: y [9, 1, 8]."""
    nodes = [
        helper.make_node("LSTM", ["x", "W2", "R2", "B2"], ["Y", "", ""], hidden_size=HIDDEN, direction="bidirectional"),
        helper.make_node("Transpose", ["Y"], ["t"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["t", "shape"], ["y"]),
    ]
    twice = {f"{k}2": np.concatenate([WEIGHTS[k], WEIGHTS[k][:, ::-1]]) for k in "WRB"}
    return model(
        nodes, {"x": [9, 1, FEATURES]}, {"y": [9, 1, 2 * HIDDEN]}, {**twice, "shape": np.array([9, 1, 2 * HIDDEN])}
    )


def sequences() -> list[Array]:
    return [recording(n, seed) for seed, n in enumerate(LENGTHS)]


def as_it_is(content: bytes, x: Array) -> Array:
    return run(content, x[:, None])[:, 0]


def channels_first(content: bytes, x: Array) -> Array:
    return run(content, x.T[None])[:, 0]


def in_pieces(content: bytes, x: Array) -> Array:
    return np.concatenate([run(content, x[t : t + 9, None])[:, 0] for t in range(0, len(x), 9)])


Plain = Callable[[bytes, Array], Array]
KINDS: dict[str, tuple[bytes, Plain, dict[str, Any]]] = {
    "stream": (small(), as_it_is, {}),
    "latency": (looking_ahead(), channels_first, {}),
    "rate": (looking_ahead(2), channels_first, {}),
    "pieces": (small(9), in_pieces, {}),
    "window": (both_ways(), in_pieces, {"window": 9}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_recorded_results_are_compared_where_they_belong(kind: str) -> None:
    content, plain, options = KINDS[kind]
    xs = sequences()
    ys = [plain(content, x) for x in xs]
    (found,) = verified(content, {"x": xs, "y": ys}, **options)["recorded"]
    assert found["name"] == "y" and found["onnxruntime_db"] > EXACT and 20 < found["c_db"] < 100


@pytest.mark.parametrize("kind", KINDS)
def test_a_label_a_step_goes_with_the_answer_about_that_step(kind: str) -> None:
    """The labels are onnxruntime's own classes, so that it is always right; at a lower rate, those of steps 0, 2, ... ."""
    content, plain, options = KINDS[kind]
    xs = sequences()
    labels = []
    for x in xs:
        said = plain(content, x).argmax(1)
        labels.append(np.repeat(said, 2)[: len(x)] if kind == "rate" else said)
    task = verified(content, {"x": xs, "label": labels}, **options)["task"]
    assert task["each"] == "step" and task["onnxruntime"]["accuracy"] == 1 and task["c"]["accuracy"] > 0.9
    assert task["points"] == sum(len(plain(content, x)) for x in xs)


@pytest.mark.parametrize("kind", KINDS)
def test_a_label_a_sequence_goes_with_its_last_answer(kind: str) -> None:
    content, plain, options = KINDS[kind]
    xs = sequences()
    labels = [plain(content, x)[-1].argmax() for x in xs]
    task = verified(content, {"x": xs, "label": labels}, **options)["task"]
    assert task["each"] == "sequence" and task["points"] == len(xs) and task["onnxruntime"]["accuracy"] == 1


def test_last_outputs_are_scored_where_they_were_compared() -> None:
    """The file keeps its state to itself: it is asked at the ends, and at some of the steps before."""
    xs = sequences()
    every = [as_it_is(small(), x).argmax(1) for x in xs]
    found = verified(small(last=True), {"x": xs, "label": [e[-1] for e in every]})["task"]
    assert found["each"] == "sequence" and found["points"] == 3 and found["onnxruntime"]["accuracy"] == 1
    found = verified(small(last=True), {"x": xs, "label": every})["task"]
    assert found["each"] == "step" and found["points"] > 40 and found["onnxruntime"]["accuracy"] == 1


# ------------------------------------------------------------------- a small classifier, end to end


def classifier() -> tuple[Array, Array, Array]:
    """60 steps as two recordings of 30, onnxruntime's y for them, and its classes of which every tenth is another."""
    x = np.stack([recording(30, 1), recording(30, 2)])
    y = np.stack([as_it_is(small(), s) for s in x])
    labels = y.argmax(2)
    labels.ravel()[::10] ^= 1
    return x, y, labels


def test_accuracy_of_onnxruntime_and_of_the_c() -> None:
    x, _, labels = classifier()
    require("gcc")
    package = rnnc.compile_model(small(), {"x": x, "label": labels})
    task = package.report["verify"]["task"]
    said = package.simulate({"x": x})["y"].argmax(2)
    assert task["onnxruntime"]["accuracy"] == 0.9 and task["points"] == 60 and task["classes"] == 2
    assert task["c"]["accuracy"] == pytest.approx(float((said == labels).mean()), abs=1e-6)
    confusion = np.array(task["c"]["confusion"])
    assert confusion.sum() == 60 and confusion.trace() == (said == labels).sum()
    assert task["onnxruntime"]["rmse"] is None and 0 < task["onnxruntime"]["f1"] < 1
    (output,) = package.report["verify"]["outputs"]
    assert output["argmax_agreement_clear"] >= output["argmax_agreement"]
    assert "Same argmax where the largest is clear" in package.files["report.html"]
    assert "By the labels" in package.files["report.html"] and "90.00%" in package.files["report.html"]


def test_floats_are_what_the_output_should_be() -> None:
    x, y, _ = classifier()
    task = verified(small(), {"x": x, "label": y + 0.5})["task"]
    assert task["onnxruntime"]["rmse"] == pytest.approx(0.5, rel=1e-5) == task["onnxruntime"]["mae"]
    assert task["c"]["rmse"] == pytest.approx(0.5, rel=0.05) and task["classes"] is None
    assert task["onnxruntime"]["accuracy"] is None and task["c"]["confusion"] is None


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_one_hot_labels_are_classes(dtype: type) -> None:
    """As Keras writes them: as numbers that the output should be they would say nothing of accuracy."""
    x, _, labels = classifier()
    task = verified(small(), {"x": x, "label": np.eye(2, dtype=dtype)[labels]})["task"]
    assert task["onnxruntime"]["accuracy"] == 0.9 and task["classes"] == 2 and task["points"] == 60


@pytest.mark.parametrize("squashed", [False, True])
def test_logits_scored_by_a_threshold_of_probabilities_are_told(squashed: bool) -> None:
    b = Builder(3)
    score = b.op("MatMul", "x", b.const(b.weights(FEATURES, 1)))
    b.op("Sigmoid" if squashed else "Identity", score, out="y")
    data = {"x": recording(40), "label": np.arange(40) % 2}
    found = rnnc.build(b.model({"x": ["time", 1, FEATURES]}, ["y"]), data, Options()).cautions
    assert any("if it is a logit, export its sigmoid" in text for text in found) is not squashed


def test_labels_that_are_not_a_number_are_left_out() -> None:
    x, y, _ = classifier()
    y[0, :10] = np.nan
    assert verified(small(), {"x": x, "label": y})["task"]["points"] == 50


def test_one_column_says_class_one_above_a_half() -> None:
    nodes = [
        helper.make_node("LSTM", ["x", "W", "R", "B"], ["Y", "", ""], hidden_size=HIDDEN),
        helper.make_node("Squeeze", ["Y", "axis"], ["h"]),
        helper.make_node("MatMul", ["h", "D"], ["a"]),
        helper.make_node("Sigmoid", ["a"], ["y"]),
    ]
    constants = {**WEIGHTS, "D": WEIGHTS["D"][:, :1] * 4, "axis": np.array([1])}
    content = model(nodes, {"x": ["time", 1, FEATURES]}, {"y": ["time", 1, 1]}, constants)
    x = recording(40)
    labels = (as_it_is(content, x)[:, 0] > 0.5).astype(np.uint8)
    assert 0 < labels.sum() < 40
    task = verified(content, {"x": x, "label": labels})["task"]
    assert task["onnxruntime"]["accuracy"] == 1 and np.array(task["c"]["confusion"]).shape == (2, 2)
    with pytest.raises(DataError, match=r"'label' holds 2; the classes of output 'y' are 0\.\.1"):
        verified(content, {"x": x, "label": labels * 2})


def test_indices_are_the_class_themselves() -> None:
    proto = load_from_string(small())
    proto.graph.node.append(helper.make_node("ArgMax", ["y"], ["i"], axis=-1, keepdims=0))
    del proto.graph.output[:]
    proto.graph.output.append(helper.make_tensor_value_info("i", TensorProto.INT64, ["time", 1]))
    x = recording(40)
    task = verified(proto.SerializeToString(), {"x": x, "label": as_it_is(small(), x).argmax(1)})["task"]
    assert task["output"] == "i" and task["onnxruntime"]["accuracy"] == 1 and len(task["c"]["confusion"]) == 2


# ------------------------------------------------------------------- which array, which output


def test_labels_of_another_name(tmp_path: Path) -> None:
    x, _, labels = classifier()
    np.savez(tmp_path / "a.npz", x=x, activity=labels)
    task = verified(small(), tmp_path / "a.npz", labels="activity")["task"]
    assert task["labels"] == "activity" and task["onnxruntime"]["accuracy"] == 0.9
    with pytest.raises(DataError, match="no array 'motion'") as error:
        verified(small(), tmp_path / "a.npz", labels="motion")
    assert error.value.exit_code == 4
    with pytest.raises(UsageError, match="left out"):
        rnnc.compile_model(small(), tmp_path / "a.npz", verify=False, labels="activity")


def two_outputs() -> bytes:
    """small() with its hidden states, 4 wide, as a second output."""
    proto = load_from_string(small())
    proto.graph.output.append(helper.make_tensor_value_info("h_y", TensorProto.FLOAT, ["time", 1, HIDDEN]))
    return bytes(proto.SerializeToString())


def test_of_several_outputs_labels_are_for_the_one_with_as_many_classes() -> None:
    x, _, labels = classifier()
    assert verified(two_outputs(), {"x": x, "label": labels})["task"]["output"] == "y"


def test_labels_that_fit_several_outputs_are_refused_until_one_is_named() -> None:
    x, _, labels = classifier()
    with pytest.raises(DataError, match=r"fits several outputs: y, h_y(.|\n)*labels='y=label'"):
        verified(two_outputs(), {"x": x, "label": 0 * labels})
    assert verified(two_outputs(), {"x": x, "label": 0 * labels}, labels="h_y=label")["task"]["output"] == "h_y"
    with pytest.raises(DataError, match="no output 'z'"):
        verified(two_outputs(), {"x": x, "label": labels}, labels="z=label")


def test_the_width_of_floats_tells_their_output() -> None:
    x, y, _ = classifier()
    assert verified(two_outputs(), {"x": x, "label": y})["task"]["output"] == "y"


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (np.zeros(59, int), r"'label' is \[59\] .*\n.*\[2, 30\] \(one a step\) or \[2\] \(one a sequence\)"),
        (np.zeros((2, 29), int), r"'label' is \[2, 29\]"),
        (np.full((2, 30), -1), r"holds -1; the classes of output 'y' are 0\.\.1"),
        (np.full((2, 30), 5), "holds 5"),
        (np.zeros((2, 30)), r"(?s)fits nothing.*\[2, 30, 2\] \(one a step\).*Integers are classes"),
        (np.array([["a"] * 30] * 2), "not numbers"),
    ],
)
def test_labels_that_cannot_be_matched_are_refused_with_what_would_be_right(label: Array, message: str) -> None:
    x, _, _ = classifier()
    with pytest.raises(DataError, match=message):
        verified(small(), {"x": x, "label": label})


def test_a_label_that_is_no_class_names_its_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=recording(20), label=0)
    np.savez(tmp_path / "b.npz", x=recording(30), label=9)
    with pytest.raises(DataError, match=r"b\.npz: 'label' holds 9; the classes"):
        verified(small(), str(tmp_path / "*.npz"))


def test_recordings_must_all_have_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=recording(20), label=0)
    np.savez(tmp_path / "b.npz", x=recording(30))
    with pytest.raises(DataError, match=r"b\.npz: has no array 'label', others have"):
        verified(small(), str(tmp_path / "*.npz"))


def test_results_of_another_network_are_told() -> None:
    x, y, _ = classifier()
    package = rnnc.build(small(), {"x": x, "y": -y}, Options())
    assert "does not give what was recorded as y" in " ".join(package.cautions)


def test_an_input_called_label_is_an_input() -> None:
    content = load_from_string(small())
    content.graph.input[0].name = content.graph.node[0].input[0] = "label"
    x, y, _ = classifier()
    found = verified(content.SerializeToString(), {"label": x, "y": y})
    assert found["task"] is None and found["recorded"][0]["onnxruntime_db"] > EXACT


def test_nothing_is_scored_where_nothing_is_there() -> None:
    found = verified(small(), {"x": recording(30)})
    assert found["task"] is None and found["recorded"] == []
    with pytest.raises(DataError, match="no array 'label' to take labels from"):
        verified(small(), {"x": recording(30)}, labels="label")


# ------------------------------------------------------------------- the command line


def test_a_folder_of_csv_with_labels_on_the_command_line(tmp_path: Path) -> None:
    require("gcc")
    x, _, labels = classifier()
    (tmp_path / "walks").mkdir()
    for k in range(2):
        rows = [f"{t / 50},{','.join(map(repr, map(float, x[k, t])))},{labels[k, t]}" for t in range(30)]
        (tmp_path / "walks" / f"{k}.csv").write_text("\n".join(["time,ax,ay,az,label", *rows]))
    (tmp_path / "fan.onnx").write_bytes(small())
    command = ["verify", str(tmp_path / "fan.onnx"), "--calib", str(tmp_path / "walks"), "--calib"]
    command += [str(tmp_path / "walks/1.csv"), "--input", str(tmp_path / "walks" / "[01].csv")]
    answer = CliRunner().invoke(app, command)
    assert answer.exit_code == 0, answer.stderr
    assert "label, one a step, for output y: 60 answers" in answer.stdout and "90.00%" in answer.stdout
    assert "same argmax where the largest is clear (more than 0.1 above the next): 100.00% of y" in " ".join(
        answer.stdout.split()
    )
    assert "columns ax, ay, az are input x; left out: time" in answer.stderr
    assert max(map(len, answer.stdout.splitlines())) <= 80
    report = json.loads(CliRunner().invoke(app, [*command, "--labels", "label", "--json"]).stdout)
    assert report["verify"]["task"]["onnxruntime"]["accuracy"] == 0.9


def test_a_glob_that_the_shell_expanded_is_told(tmp_path: Path) -> None:
    (tmp_path / "fan.onnx").write_bytes(small())
    answer = CliRunner().invoke(app, ["compile", str(tmp_path / "fan.onnx"), "--calib", "a.csv", "b.csv"])
    assert answer.exit_code == 2 and "quote a glob" in answer.stderr


def test_a_state_that_calibration_never_moves_is_named() -> None:
    """s += x * gate: the gate is shut in all of the calibration data."""
    nodes = [
        helper.make_node("Mul", ["x", "gate"], ["a"]),
        helper.make_node("Add", ["s", "a"], ["sn"]),
        helper.make_node("Add", ["sn", "x"], ["y"]),
    ]
    content = model(nodes, {"x": [1, 2], "gate": [1, 2], "s": [1, 2]}, {"y": [1, 2], "sn": [1, 2]}, {})
    x = RNG.standard_normal((50, 2))

    def cautions(gate: float) -> str:
        shut = np.zeros((50, 2))
        shut[25:] = gate
        package: Package = rnnc.build(
            content, {"x": x, "gate": shut}, Options(input_range={"gate": (-1, 1)}), verify=False
        )
        return " ".join(package.cautions)

    assert "State s never moves in the calibration data" in cautions(0.0)
    assert "never moves" not in cautions(1.0)


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_a_layer_that_calibration_never_moved_is_named(kind: str) -> None:
    b = Builder()
    gates = {"GRU": 3, "LSTM": 4}[kind]
    h = b.ops(kind, 2, "x", b.const(b.weights(1, gates * 4, 2)), b.const(b.weights(1, gates * 4, 4)), hidden_size=4)[0]
    content = b.model({"x": ["time", 1, 2]}, [b.op("Squeeze", h, b.const(np.array([1])), out="y")])

    def cautions(level: float) -> str:
        x = level * RNG.standard_normal((50, 2))
        options = Options(input_range={"x": (-1, 1)})
        return " ".join(rnnc.build(content, {"x": x}, options, verify=False).cautions)

    assert f"{kind.lower()}0 ({kind}" in cautions(0.0) and "never moves in the calibration data" in cautions(0.0)
    assert "never moves" not in cautions(1.0)
