"""Turn seglearn's smartwatch recordings into calib.npz and test.npz, and serve the training recordings to train.py.

The choices, and why:

- Units stay as the data set has them: acceleration in g, rotation in rad/s. Nothing is standardised here; train.py folds
  its standardisation into the exported weights, so the firmware needs no pre-processing beyond unit conversion.
- 50 Hz becomes 12.5 Hz, the mean of every four samples. Repetitions of these exercises last one to two seconds; at 25 Hz
  the validation accuracy was no better, and each second costs the part twice the steps.
- Subjects 8, 9 and 10 are held out. Nothing was chosen by looking at them: settings were compared by cross-validation
  over subjects 1 to 7.
- test.npz holds every recording of the held-out subjects whole. calib.npz holds 16 seconds from the middle of one
  recording for each training subject and class, which keeps the file small and the ranges representative.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
CLASSES = ("PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW")
CHANNELS = 6
SAMPLE_RATE = 50.0
DECIMATION = 4
RATE = SAMPLE_RATE / DECIMATION
TEST_SUBJECTS = (8, 9, 10)
CALIBRATION_STEPS = round(16 * RATE)


@dataclass(frozen=True)
class Recording:
    """One set of about twenty repetitions of one exercise by one person."""

    x: NDArray[np.float32]
    """[time, 6]: ax ay az in g, wx wy wz in rad/s, at RATE."""
    label: int
    subject: int


def load_recordings() -> list[Recording]:
    """Read all 140 recordings from the installed seglearn package, without importing it (that needs scipy)."""
    spec = importlib.util.find_spec("seglearn")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("seglearn is not installed: pip install --no-deps seglearn==1.2.5")
    path = Path(spec.submodule_search_locations[0]) / "data" / "watch_dataset.npy"
    data = np.load(path, allow_pickle=True).item()
    if tuple(data["y_labels"]) != CLASSES:
        raise SystemExit(f"{path.name}: unexpected classes {data['y_labels']}")
    return [
        Recording(decimate(x), int(label), int(subject))
        for x, label, subject in zip(data["X"], data["y"], data["subject"], strict=True)
    ]


def decimate(x: NDArray[np.float64]) -> NDArray[np.float32]:
    """Average every DECIMATION samples; a remainder at the end is dropped."""
    steps = len(x) // DECIMATION
    mean: NDArray[np.float64] = x[: steps * DECIMATION].reshape(steps, DECIMATION, CHANNELS).mean(axis=1)
    return mean.astype(np.float32)


def split(recordings: Sequence[Recording]) -> tuple[list[Recording], list[Recording]]:
    """Training recordings and those of the held-out subjects, by subject and class."""
    ordered = sorted(recordings, key=lambda r: (r.subject, r.label))
    train = [r for r in ordered if r.subject not in TEST_SUBJECTS]
    test = [r for r in ordered if r.subject in TEST_SUBJECTS]
    return train, test


def calibration(train: Sequence[Recording]) -> list[Recording]:
    """The middle of the first recording of each subject and class."""
    first = {(r.subject, r.label): r for r in reversed(train)}
    return [crop(first[key]) for key in sorted(first)]


def crop(recording: Recording) -> Recording:
    """The middle CALIBRATION_STEPS steps."""
    start = max(0, (len(recording.x) - CALIBRATION_STEPS) // 2)
    return Recording(recording.x[start : start + CALIBRATION_STEPS], recording.label, recording.subject)


def write(path: Path, recordings: Sequence[Recording]) -> None:
    """Write rnnc's data format: concatenated sequences with their lengths, and the class of each."""
    np.savez_compressed(
        path,
        x=np.concatenate([r.x for r in recordings]),
        lengths=np.array([len(r.x) for r in recordings], dtype=np.int64),
        label=np.array([r.label for r in recordings], dtype=np.int64),
    )
    steps = sum(len(r.x) for r in recordings)
    print(f"{path.name}: {len(recordings)} recordings, {steps} steps, {path.stat().st_size} bytes")


def main() -> None:
    train, test = split(load_recordings())
    write(HERE / "calib.npz", calibration(train))
    write(HERE / "test.npz", test)


if __name__ == "__main__":
    main()
