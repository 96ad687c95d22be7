"""How much room an input's channels get from calibration data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rnnc
from rnnc.net import Value
from rnnc.options import Options, Precision
from rnnc.quantization.calibrate import calibrate
from rnnc.quantization.inputs import INPUT_HEADROOM
from tests.support.nets import draw
from tests.support.small import small


def _room(x: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[float]:
    """What each channel of ``x [steps, channels]`` may reach, as a multiple of what it reached."""
    net = draw(3, ["lstm"], columns=x.shape[1])
    assert net.inputs == (Value("x", (x.shape[1],)),)
    form = calibrate(net, {"x": [x]}, Options()).inputs["x"]
    return [float(r) for r in form.scale * 32767 / np.abs(x).max(0)]


def _one_calm(channels: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Channels with a peak of 10 times their usual magnitude, but for the first, which is always at its peak."""
    x = np.random.default_rng(0).choice([-1.0, 1.0], (400, channels))
    x[7, 1:] *= 10
    return x


@pytest.mark.parametrize("channels", [2, 9])
def test_of_few_channels_each_has_room_for_its_own_peak(channels: int) -> None:
    assert _room(_one_calm(channels)) == pytest.approx([INPUT_HEADROOM] * channels)


def test_of_many_channels_a_calm_one_may_become_as_peaked_as_the_others() -> None:
    assert _room(_one_calm(10)) == pytest.approx([2 * INPUT_HEADROOM] + [INPUT_HEADROOM] * 9)


@pytest.mark.parametrize("precision", ["a16", "a8"])
def test_an_input_of_8_bits_is_int8_in_c_and_has_the_oracles_bits(precision: Precision, tmp_path: Path) -> None:
    """Over every extreme of int8."""
    model = tmp_path / "small.onnx"
    model.write_bytes(small())
    package = rnnc.build(model, None, Options(precision=precision, input_format={"x": "q3.4"}), verify=False)
    header = package.files["small.h"]
    assert isinstance(header, str) and "const int8_t x[SMALL_X_LEN]" in header and "SMALL_X_FRAC 4" in header
    x = np.random.default_rng(0).uniform(-8, 7.9375, (40, 3))
    x[3:7] = np.array([[-8.0], [7.9375], [0.0], [-0.0625]])
    assert np.array_equal(package.simulate(x, engine="c")["y"], package.simulate(x, engine="oracle")["y"])
