"""Room for streams that start where the calibration data do not."""

from __future__ import annotations

import numpy as np
import pytest

from rnnc.net import Array, Net
from rnnc.options import Options
from rnnc.quantization.calibrate import Ranges, calibrate
from rnnc.quantization.starts import MOST, SHARE, room_for_starts
from tests.support.graphs import Builder
from tests.support.sequences import imported

STEPS = 400
LEVEL, SLOPE = 100.0, 1.0


def difference(channels: int = 1) -> Net:
    """``y0[k] = x0[k] - x0[k - 1]``, large where a stream starts with x0 far from 0; other channels as they are."""
    b = Builder()
    columns = b.op("Transpose", "x", perm=[0, 2, 1])
    weights = np.zeros((channels, channels, 2))
    weights[:, :, 1] = np.eye(channels)
    weights[0, 0, 0] = -1
    y = b.op("Conv", columns, b.const(weights), pads=[1, 0])
    b.op("Transpose", y, perm=[0, 2, 1], out="y")
    return imported(b.model({"x": (1, "T", channels)}, ["y"]))


def faded_in() -> Array:
    """``[steps, 1]``: 0 to LEVEL, by SLOPE a step, and there it stays."""
    return np.asarray(np.minimum(np.arange(STEPS) * SLOPE, LEVEL))[:, None]


def widened(net: Net, *recordings: Array) -> tuple[Array, Array]:
    """The peaks of the output without and with room for starts."""
    data = {"x": list(recordings)}
    ranges = calibrate(net, data, Options())
    seen = ranges.peaks[net.outputs[0].value].copy()
    found: Ranges = room_for_starts(net, ranges, data)
    return seen, found.peaks[net.outputs[0].value]


def test_a_stream_that_starts_in_the_middle_has_room_within_limits() -> None:
    seen, found = widened(difference(), faded_in())
    assert seen == pytest.approx([SLOPE])
    assert found == pytest.approx([MOST * SLOPE])
    assert LEVEL * SHARE > MOST * SLOPE


def test_a_channel_that_is_quiet_but_at_a_start_gets_as_much_room_as_others_have() -> None:
    """With the little room of its own it would be clipped, where large weights may read it."""
    loud = np.sin(np.arange(STEPS))[:, None] * LEVEL / 2
    seen, found = widened(difference(2), np.concatenate([faded_in(), loud], 1))
    assert seen[0] == pytest.approx(SLOPE)
    assert found == pytest.approx([LEVEL * SHARE, seen[1]])


def test_a_recording_that_starts_as_devices_do_changes_nothing() -> None:
    seen, found = widened(difference(), np.full((STEPS, 1), LEVEL))
    assert found == pytest.approx(seen)


def test_a_net_without_a_state_is_as_it_was() -> None:
    b = Builder()
    b.op("Mul", "x", b.const(np.array([2.0])), out="y")
    seen, found = widened(imported(b.model({"x": (1, "T", 1)}, ["y"])), faded_in())
    assert found == pytest.approx(seen)


def test_a_value_that_comes_later_than_the_pieces_end_is_as_it_was() -> None:
    b = Builder()
    columns = b.op("Transpose", "x", perm=[0, 2, 1])
    y = b.op("Conv", columns, b.const(np.ones((1, 1, 20))))
    b.op("Transpose", y, perm=[0, 2, 1], out="y")
    seen, found = widened(imported(b.model({"x": (1, "T", 1)}, ["y"])), faded_in())
    assert found == pytest.approx(seen)


def test_short_recordings_are_pieces_as_they_are() -> None:
    seen, found = widened(difference(), faded_in()[:3], faded_in()[:5])
    assert found == pytest.approx(seen)
