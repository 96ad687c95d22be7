"""What the example is judged by, and the firmware's day: all held-out recordings, one after the other, with no pause."""

from __future__ import annotations

import numpy as np

from examples.common import Metric, Network, Simulate, c_array, c_header, integers, load_test_data
from rnnc import Package
from rnnc.demo import accuracy
from rnnc.fixed import Ints

NETWORKS = (Network("gesture.onnx"),)
METRIC = Metric("right verdicts, step by step", "share", 2)
FRAMES_TO_AGREE = 12


def score(simulate: Simulate) -> float:
    """The share of right verdicts from two seconds after the start of a recording on."""
    test = load_test_data("gesture")
    return accuracy(simulate(test)["logits"], test["label"], test["lengths"]).steps


def heldout(package: Package) -> str:
    """The frames of all recordings, at which frame each ends, and what it was."""
    test = load_test_data("gesture")
    return c_header(
        "gesture",
        {"FRAMES": len(test["x"]), "RECORDINGS": len(test["lengths"])},
        [
            c_array("int16_t", "heldout_frames", integers(package, "x", test["x"]), "[frame][channel]"),
            c_array("uint16_t", "heldout_ends", np.cumsum(test["lengths"]), "[recording] the frame after its last"),
            c_array("uint8_t", "heldout_labels", test["label"], "[recording] class"),
        ],
    )


def shown(verdicts: Ints) -> Ints:
    """The exercise on display after each frame, -1 for none: as main.c shows it."""
    display, candidate, agreed, now = [], -1, 0, -1
    for verdict in verdicts.tolist():
        agreed = agreed + 1 if verdict == candidate else 1
        candidate = verdict
        if agreed >= FRAMES_TO_AGREE:
            now = candidate
        display.append(now)
    return np.array(display)


def expected(package: Package) -> str:
    """What the board prints: at how many recordings' ends the right exercise is on display."""
    test = load_test_data("gesture")
    logits = integers(package, "logits", package.simulate(test["x"], engine="oracle")["logits"])
    at_end = shown(logits.argmax(1))[np.cumsum(test["lengths"]) - 1]
    return f"recordings {len(at_end)}\nright at the end {int(np.sum(at_end == test['label']))}\n"
