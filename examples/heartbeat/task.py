"""What the example is judged by: alarms at extra beats, in time, and none else. The firmware judges four of the recordings."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from examples.common import Metric, Network, Simulate, c_array, c_header, events, load_test_data
from examples.heartbeat.ecg import FRAME
from rnnc import Options, Package

FRACTION = 3
"""Of the network's input: counts, within 2048, and as much again to spare."""
NETWORKS = (Network("heartbeat.onnx", Options(input_format={"x": FRACTION})),)
METRIC = Metric("beats judged rightly", "share", 2)
FIRMWARE_RECORDINGS = 4
AGREE = 2
"""Frames in a row above 0 that make an alarm."""
LATEST = 15
"""Frames (600 ms) after the peak of an extra beat until which an alarm is about it."""
FRAME_MILLISECONDS = 40


@dataclass
class Verdicts:
    """What came of some recordings: extra beats, those found and how many frames after the peak, and false alarms."""

    beats: int = 0
    extra: int = 0
    false: int = 0
    latency: list[int] = field(default_factory=list)

    def judge(self, above: NDArray[np.bool_], extra: NDArray[np.int64]) -> None:
        """One recording: whether the answer is yes at each frame, and the frames of the extra beats' peaks."""
        alarms = events(above, AGREE)
        after = alarms[None, :] - extra[:, None]
        about = (after >= 1) & (after <= LATEST)
        self.extra += len(extra)
        self.false += int((~about.any(axis=0)).sum())
        self.latency += [int(row[mask][0]) for row, mask in zip(after, about, strict=True) if mask.any()]

    @property
    def share(self) -> float:
        """Of all beats, those neither missed nor followed by a false alarm."""
        return 1 - (self.extra - len(self.latency) + self.false) / self.beats


def judged(simulate: Simulate, recordings: int | None = None) -> Verdicts:
    """The verdicts on the first held-out recordings, or on all."""
    test = load_test_data("heartbeat")
    verdicts, x = Verdicts(), test["x"][:recordings]
    for i, above in enumerate(simulate(x)["y"].reshape(len(x), -1) > 0):
        of_this = test["recording"] == i
        verdicts.beats += int(of_this.sum())
        verdicts.judge(above, test["peak"][of_this & test["extra"]] // FRAME)
    return verdicts


def score(simulate: Simulate) -> float:
    """The share of beats judged rightly."""
    return judged(simulate).share


def heldout(_: Package) -> str:
    """Four recordings, and the frames of the peaks of their extra beats."""
    test = load_test_data("heartbeat")
    chosen = test["recording"] < FIRMWARE_RECORDINGS
    extra = test["extra"] & chosen
    first = np.searchsorted(test["recording"][extra], np.arange(FIRMWARE_RECORDINGS + 1))
    return c_header(
        "heartbeat",
        {"RECORDINGS": FIRMWARE_RECORDINGS, "FRAMES": test["x"].shape[1], "BEATS": int(chosen.sum())},
        [
            c_array("int16_t", "heldout_counts", test["x"][:FIRMWARE_RECORDINGS], "[recording][frame][sample]"),
            c_array("uint16_t", "heldout_extra", test["peak"][extra] // FRAME, "[extra beat] frame of its peak"),
            c_array("uint16_t", "heldout_first", first, "[recording] its first extra beat, and the end"),
        ],
    )


def expected(package: Package) -> str:
    """What main.c prints."""
    v = judged(lambda x: package.simulate(x, engine="oracle"), FIRMWARE_RECORDINGS)
    mean = sum(v.latency) * FRAME_MILLISECONDS // max(len(v.latency), 1)
    return (
        f"beats {v.beats}\nextra beats found {len(v.latency)} of {v.extra}\nfalse alarms {v.false}\n"
        f"alarm after {mean} ms\n"
    )
