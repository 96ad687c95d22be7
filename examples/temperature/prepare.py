"""Turn the hourly temperatures that vega_datasets ships into calib.npz and test.npz, and serve the rest to train.py.

The choices, and why:

- The data are hourly *normals* of San Francisco, averages over many years: smooth, with no weather in them. So that there
  is something to forecast, `weather` adds what such averages leave out: days that are warmer or colder than usual, and the
  noise of a cheap sensor. Both are synthetic, drawn with a fixed seed.
- A frame is what a sensor with a clock knows each hour: temperature in degrees Celsius, and the hour of the day and day of
  the year as points on a circle, so that midnight is next to midnight.
- The target is how much warmer each of the next 12 hours is than now: the part adds it to its own reading.
- The year is cut into stretches of ten days; every fourth is held out. No window crosses a border.
"""

from __future__ import annotations

import csv
import importlib.util
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
HOURS_IN = 24
HOURS_OUT = 12
FEATURES = 5
STRETCH = 10 * 24
WINDOWS = STRETCH - HOURS_IN - HOURS_OUT + 1
"""Windows in a stretch, one for each hour that has 24 before it and 12 after it."""
HELD_OUT_EVERY = 4
CALIBRATION_STRIDE = 24
SEED = 2010

DEPARTURE = 2.5
"""Standard deviation of the departure from the normal, degrees Celsius."""
MEMORY = 36.0
"""Hours after which a departure has decayed to 1/e."""
SENSOR_NOISE = 0.2
"""Standard deviation of a reading, degrees Celsius."""

Floats = NDArray[np.float32]


def read_normals() -> tuple[NDArray[np.float64], list[datetime]]:
    """The temperatures in degrees Celsius, and the times, from the installed package, without importing it."""
    spec = importlib.util.find_spec("vega_datasets")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("vega_datasets is not installed: pip install --no-deps vega_datasets==0.9.0")
    path = Path(spec.submodule_search_locations[0]) / "_data" / "sf-temps.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    fahrenheit = np.array([float(row["temp"]) for row in rows])
    return (fahrenheit - 32) / 1.8, [datetime.strptime(row["date"], "%Y/%m/%d %H:%M:%S") for row in rows]


def weather(hours: int) -> NDArray[np.float64]:
    """A departure from the normal for each hour: first-order autoregressive, degrees Celsius."""
    rng = np.random.default_rng(SEED)
    keep = np.exp(-1 / MEMORY)
    shocks = rng.normal(size=hours) * DEPARTURE * np.sqrt(1 - keep**2)
    departure = np.zeros(hours)
    for t in range(1, hours):
        departure[t] = keep * departure[t - 1] + shocks[t]
    return departure


def load_frames() -> tuple[Floats, Floats]:
    """Frames [hours, 5] as the sensor gives them, and the true temperatures [hours]."""
    normals, times = read_normals()
    truth = normals + weather(len(normals))
    reading = truth + SENSOR_NOISE * np.random.default_rng(SEED + 1).normal(size=len(truth))
    day = 2 * np.pi * np.array([t.hour for t in times]) / 24
    year = 2 * np.pi * np.array([t.timetuple().tm_yday for t in times]) / 365
    frames = np.stack([reading, np.sin(day), np.cos(day), np.sin(year), np.cos(year)], axis=1)
    return frames.astype(np.float32), truth.astype(np.float32)


def windows(frames: Floats, truth: Floats, start: int) -> tuple[Floats, Floats]:
    """All windows of the stretch that begins at ``start``: x [WINDOWS, 24, 5] and target [WINDOWS, 12]."""
    x = [frames[t : t + HOURS_IN] for t in range(start, start + WINDOWS)]
    now = [t + HOURS_IN - 1 for t in range(start, start + WINDOWS)]
    target = [truth[t + 1 : t + 1 + HOURS_OUT] - frames[t, 0] for t in now]
    return np.stack(x), np.stack(target)


def split() -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Training windows and those of the held-out stretches, in order of time."""
    frames, truth = load_frames()
    stretches = [windows(frames, truth, start) for start in range(0, len(frames) - STRETCH + 1, STRETCH)]
    held_out = [s for i, s in enumerate(stretches) if i % HELD_OUT_EVERY == HELD_OUT_EVERY - 1]
    train = [s for i, s in enumerate(stretches) if i % HELD_OUT_EVERY != HELD_OUT_EVERY - 1]
    return _joined(train), _joined(held_out)


def _joined(parts: list[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    return np.concatenate([x for x, _ in parts]), np.concatenate([target for _, target in parts])


def write(path: Path, x: Floats, target: Floats) -> None:
    """Write rnnc's data format: equal sequences, and the target of each."""
    np.savez_compressed(path, x=x, target=target)
    print(f"{path.name}: {len(x)} windows of {HOURS_IN} hours, {path.stat().st_size} bytes")


def main() -> None:
    (train_x, train_target), (test_x, test_target) = split()
    write(HERE / "calib.npz", train_x[::CALIBRATION_STRIDE], train_target[::CALIBRATION_STRIDE])
    write(HERE / "test.npz", test_x, test_target)


if __name__ == "__main__":
    main()
