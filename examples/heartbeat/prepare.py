"""Write calib.npz and test.npz: synthetic electrocardiograms as frames of five samples. How they are made is in ecg.py.

Twenty-five frames a second: an alarm that is right within a frame or two is quick, and the part wakes up five times less
often than it samples. ``recording``, ``peak`` (in samples) and ``extra`` say for each beat whose it is, when its R wave peaks,
and whether it is an extra one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ecg import FRAME, SAMPLE_RATE, Recording, random_person, record

HERE = Path(__file__).resolve().parent
SECONDS = 60.0
CALIBRATION_SEED, TEST_SEED, TRAINING_SEED = 1, 2, 3
CALIBRATION_PERSONS, TEST_PERSONS = 6, 32


def recordings(persons: int, seed: int, seconds: float = SECONDS) -> list[Recording]:
    """One recording for each of some persons."""
    rng = np.random.default_rng(seed)
    return [record(random_person(rng), seconds, rng) for _ in range(persons)]


def frames(made: list[Recording]) -> np.ndarray[tuple[int, int, int], np.dtype[np.int16]]:
    """[recordings, frames, 5]."""
    return np.stack([r.counts.reshape(-1, FRAME) for r in made])


def write(path: Path, persons: int, seed: int) -> None:
    """Write rnnc's data format: equal sequences, and all beats."""
    made = recordings(persons, seed)
    np.savez_compressed(
        path,
        x=frames(made),
        recording=np.concatenate([np.full(len(r.peak), i) for i, r in enumerate(made)]),
        peak=np.concatenate([r.peak for r in made]),
        extra=np.concatenate([r.extra for r in made]),
    )
    beats, extra = sum(len(r.peak) for r in made), sum(int(r.extra.sum()) for r in made)
    minutes = persons * SECONDS / 60
    print(
        f"{path.name}: {minutes:.0f} minutes at {SAMPLE_RATE} Hz, {beats} beats, {extra} extra, {path.stat().st_size} bytes"
    )


def main() -> None:
    write(HERE / "calib.npz", CALIBRATION_PERSONS, CALIBRATION_SEED)
    write(HERE / "test.npz", TEST_PERSONS, TEST_SEED)


if __name__ == "__main__":
    main()
