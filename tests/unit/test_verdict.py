"""verdict.py: what is good, fair and poor, each channel by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import rnnc
from rnnc.cli import app
from rnnc.errors import VerificationError
from rnnc.fixed import Format
from rnnc.package import Package
from rnnc.verification.cause import diagnose
from rnnc.verification.metrics import difference
from rnnc.verification.occupancy import Occupancy
from rnnc.verification.reference import Points
from rnnc.verification.verdict import judge, judge_output, most_clipped, too_still
from rnnc.verification.verify import OutputFigures
from tests.support.faults import FAULTS
from tests.support.graphs import Builder
from tests.support.small import recording, small

Array = np.ndarray[Any, Any]
WAVE = np.sin(np.arange(1000) / 7)
FINE = Format(16, np.array([1e-4]))


def figures(reference: Array, got: Array, *, index: bool = False) -> OutputFigures:
    """Of an output ``[points, channels]``."""
    points = Points([0] * len(reference), [*range(len(reference))], list(reference))
    return OutputFigures("y", points, got, difference(reference, got, index=index), None)


def off(db: float, channels: int = 1) -> OutputFigures:
    """Sines that are all so many dB from what is got."""
    reference = np.repeat(WAVE[:, None], channels, 1)
    error = 10 ** (-db / 20) * np.sqrt(np.mean((WAVE - WAVE.mean()) ** 2))
    return figures(reference, reference + error)


@pytest.mark.parametrize(
    ("db", "level"), [(60, "good"), (40.1, "good"), (39.9, "fair"), (20.1, "fair"), (19.9, "poor")]
)
def test_levels_of_a_channel(db: float, level: str) -> None:
    """The error is a constant: the mean is removed from the reference alone."""
    found = judge_output(off(db), FINE)
    assert found.level == level and found.channel_db == pytest.approx((db,))


def test_the_worst_channel_decides() -> None:
    reference = np.stack([100 * WAVE, WAVE], 1)
    got = reference + np.array([0.01, 0.2])
    found = judge_output(figures(reference, got), FINE)
    assert (found.level, found.worst, found.why) == ("poor", 1, f"y[1] has {found.channel_db[1]:.1f} dB")
    assert difference(reference, got).sqnr_db > 40, "all channels together hide it"  # type: ignore[operator]


def test_class_scores_are_judged_together_and_by_the_largest() -> None:
    reference = np.stack([WAVE, 0.001 * WAVE, -WAVE], 1)
    got = reference + 0.003
    assert judge_output(figures(reference, got), FINE).level == "poor"
    assert judge_output(figures(reference, got), FINE, classes=True).level == "good"
    turned = np.where(np.arange(1000)[:, None] < 60, got[:, ::-1], got)
    found = judge_output(figures(reference, turned), FINE, classes=True)
    assert found.level == "poor" and "largest score in the same place in 94" in found.why


@pytest.mark.parametrize(("wrong", "level"), [(5, "good"), (30, "fair"), (60, "poor")])
def test_indices_are_judged_by_agreement(wrong: int, level: str) -> None:
    reference = np.arange(1000.0)[:, None] % 7
    got = np.where(np.arange(1000)[:, None] < wrong, reference + 1, reference)
    found = judge_output(figures(reference, got, index=True), Format.rows(9))
    assert (found.kind, found.level, found.channel_db) == ("indices", level, ())


def test_what_hardly_moves_is_listed_and_not_judged() -> None:
    still = 3e-4 * WAVE
    assert too_still(np.stack([still, still], 1), np.full(2, 1e-4)) == (0, 1), "below 8 LSB, and no other needs more"
    assert too_still(np.stack([still, WAVE], 1), np.full(2, 1e-4)) == (), "crowded out by a channel of another unit"
    assert too_still(np.stack([still, WAVE], 1), np.array([1e-4, 1.1e-4])) == (0,), "an LSB of its own"
    assert too_still(np.stack([still, still + 1], 1), np.full(2, 1e-4)) == (1,), "an offset crowds as well"
    assert too_still(np.stack([np.full(1000, 0.1) + 1e-9 * WAVE, WAVE], 1), np.full(2, 1e-4)) == (0,), "constant"
    found = judge_output(figures(still[:, None], still[:, None] + 1e-4), FINE)
    assert found.level is None and found.ignored == (0,) and found.channel_db[0] is not None


def occupied(share: float, *, state: bool = False, producer: str = "") -> Occupancy:
    one = np.ones(1)
    return Occupancy("v", producer, FINE, one, one, np.array([round(share * 10000)]), 10000, state)


def test_more_than_5_percent_of_an_input_or_a_state_is_too_much() -> None:
    assert most_clipped([occupied(0.04), occupied(0.06, producer="dense0")]) is None
    assert most_clipped([occupied(0.06)]) is not None
    assert most_clipped([occupied(0.06, state=True, producer="lstm0")]) is not None


# ------------------------------------------------------------------- of whole networks


@pytest.fixture(scope="module")
def package() -> Package:
    return rnnc.build(small(), {"x": recording(400)}, rnnc.Options())


def test_a_network_with_nothing_to_judge_has_no_verdict() -> None:
    b = Builder()
    b.op("Mul", "x", b.const(np.array(0.0)), out="y")
    made = rnnc.build(b.model({"x": ["time", 3]}, ["y"]), {"x": recording(50)}, rnnc.Options())
    assert made.verdict is not None and made.verdict.level is None
    verify = made.report["verify"]
    assert verify["verdict"] is None
    assert verify["cause"] == "nothing could be judged: y is constant in onnxruntime (the integers are within 0 of it)"
    assert "recordings in which the outputs move" in verify["advice"] and verify["advice"] in made.files["report.html"]


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        (np.zeros((0, 1)), "has no answer"),
        (np.full((9, 1), np.inf), "is not finite"),
        (
            np.full((1, 2), 0.1),
            "has one answer in these data, and one alone is not judged (the integers are within 0.5",
        ),
        (np.full((9, 1), 0.1), "is constant in onnxruntime (the integers are within 0.5 of it)"),
        (1e-4 * WAVE[:, None], "varies by less than 8 LSB"),
    ],
)
def test_an_output_that_is_not_judged_says_why(reference: Array, why: str) -> None:
    with np.errstate(invalid="ignore"):
        found = judge_output(figures(reference, reference + 0.5), FINE)
    assert found.level is None and why in found.why


def test_one_recording_of_a_network_with_one_answer_a_window_asks_for_more() -> None:
    b = Builder()
    b.op("ReduceMax", "x", b.const(np.array([0])), keepdims=0, out="y")
    made = rnnc.build(b.model({"x": [6, 3]}, ["y"]), {"x": recording(6)}, rnnc.Options(window=6))
    assert (
        made.verdict is not None
        and "y has one answer" in made.verdict.text
        and "Give more recordings" in made.verdict.cure
    )


def test_an_output_that_is_not_judged_is_named_beside_one_that_is() -> None:
    b = Builder()
    b.op("Mul", "x", b.const(np.array(0.0)), out="still")
    b.op("Mul", "x", b.const(np.array(2.0)), out="y")
    made = rnnc.build(b.model({"x": ["time", 3]}, ["y", "still"]), {"x": recording(50)}, rnnc.Options())
    assert made.verdict is not None and made.verdict.level == "good"
    assert "still is not judged: is constant in onnxruntime (the integers are within 0 of it)" in made.notes


def test_verify_says_that_nothing_could_be_judged(tmp_path: Path) -> None:
    b = Builder()
    b.op("Mul", "x", b.const(np.array(0.0)), out="y")
    (tmp_path / "net.onnx").write_bytes(b.model({"x": ["time", 3]}, ["y"]))
    answer = CliRunner().invoke(app, ["verify", str(tmp_path / "net.onnx")])
    assert answer.exit_code == 0 and "verified" not in answer.stdout
    assert "verdict: none: nothing could be judged: y is constant" in answer.stdout.replace("\n  ", " ")
    assert "warning: nothing could be judged: y is constant" in answer.stderr and "Give --calib DATA" in answer.stderr


def test_a_softmax_and_what_has_labels_are_class_scores() -> None:
    b = Builder()
    made = rnnc.build(
        b.model({"x": ["time", 3]}, [b.op("Softmax", "x", axis=-1, out="y")]), {"x": recording(300)}, rnnc.Options()
    )
    assert made.verdict is not None and made.verdict.outputs[0].kind == "classes"


def test_an_output_with_integer_labels_is_class_scores(package: Package) -> None:
    assert package.verified is not None
    qnet, measured = package.program.qnet, package.verified.measured
    assert judge(qnet, measured, of_user=True).outputs[0].kind == "channels"
    assert judge(qnet, measured, of_user=True, labelled={"y"}).outputs[0].kind == "classes"


def test_what_float32_itself_loses_is_the_cause_where_most_of_the_error_comes_after_it(package: Package) -> None:
    assert package.verified is not None
    measured = package.verified.measured
    (o,) = measured.outputs
    late = np.arange(len(o.got))[:, None] >= 100
    got = o.got + np.where(late, 0.5, 0.0)
    o = replace(o, got=got, difference=difference(o.asked.reference, got))
    measured = replace(measured, outputs=(o,))
    qnet, options = package.program.qnet, package.options
    verdict = judge(qnet, measured, of_user=True)
    assert verdict.level == "poor"
    assert "float32 and float64 part at step 100" in diagnose(verdict, qnet, measured, options, None, 100).cause
    assert "float32" not in diagnose(verdict, qnet, measured, options, None, 399).cause


def test_the_exception_holds_the_package() -> None:
    fault = FAULTS["beyond_calibration"]()
    with pytest.raises(VerificationError, match="poor: ") as caught:
        rnnc.compile_model(fault.model, fault.calib, rnnc.Options(input_range={"x": (-0.2, 0.2)}))
    assert caught.value.package is not None and "report.json" in caught.value.package.files
    assert caught.value.package.report["verify"]["verdict"] == "poor"


def test_noise_fails_nothing() -> None:
    made = rnnc.compile_model(FAULTS["unlike_outputs"]().model, output_scale={"y": "common"})
    assert made.verdict is not None and made.verdict.level == "poor" and not made.verdict.fails
