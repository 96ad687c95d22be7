"""What the example is judged by, and what its firmware streams: forecasts at every hour of ten held-out days."""

from __future__ import annotations

import numpy as np

from examples.common import Metric, Network, Simulate, c_array, c_header, find_format, integers, load_test_data
from examples.temperature.prepare import WINDOWS
from rnnc import Options, Package
from rnnc.fixed import Floats

NETWORKS = (
    Network("temperature_lstm.onnx", Options(name="temperature")),
    Network("temperature_rnn.onnx", Options(name="temperature")),
)
METRIC = Metric("mean absolute error, degrees Celsius", "error", 4)


def score(simulate: Simulate) -> float:
    """Mean absolute error over all held-out windows and all 12 hours, degrees Celsius."""
    test = load_test_data("temperature")
    return float(np.abs(simulate(test)["y"][:, -1] - test["target"]).mean())


def first_stretch() -> tuple[Floats, Floats]:
    """The windows [WINDOWS, 24, 5] of the first held-out stretch, one for each hour, and their targets [WINDOWS, 12]."""
    test = load_test_data("temperature")
    return test["x"][:WINDOWS], test["target"][:WINDOWS]


def lsb_nanodegrees(package: Package) -> int:
    """What one LSB of the output means, 1e-9 degrees."""
    return round(float(find_format(package, "y").scale[0]) * 1e9)


def heldout(package: Package) -> str:
    """The hours of the first held-out stretch, and what each forecast should have been, in LSB of the output."""
    x, target = first_stretch()
    hours = integers(package, "x", np.concatenate([x[0], x[1:, -1]]))
    truth = integers(package, "y", target)
    return c_header(
        "temperature",
        {"HELDOUT_HOURS": len(hours), "LSB_NANODEGREES": lsb_nanodegrees(package)},
        [
            c_array("int16_t", "heldout_hours", hours, "[hour][feature], as temperature_step takes them"),
            c_array("int16_t", "heldout_truth", truth, "[forecast][hours ahead], as temperature_step gives them"),
        ],
    )


def expected(package: Package) -> str:
    """What main.c prints: the error in thousandths of a degree, rounded as the C rounds it."""
    x, target = first_stretch()
    y = integers(package, "y", package.simulate(x, engine="oracle")["y"][:, -1])
    mean = int(np.abs(y - integers(package, "y", target)).sum()) // y.size
    thousandths = (mean * lsb_nanodegrees(package) + 500_000) // 1_000_000
    return f"forecasts {len(x)}\nmean error {thousandths // 1000}.{thousandths % 1000:03} degrees\n"
