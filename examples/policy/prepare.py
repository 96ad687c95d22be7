"""Write calib.npz and test.npz: what the robot sees in mazes that the teacher walks. The task itself is in maze.py.

The metric is taken in mazes that the network walks itself (task.py); these recordings are for calibration and for
``rnnc verify``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maze import lessons

HERE = Path(__file__).resolve().parent
CALIBRATION_FIRST, TEST_FIRST, TRAINING_FIRST = 100_000, 200_000, 1_000_000
"""First numbers of the mazes for each purpose; task.py counts its own from 0."""


def write(path: Path, count: int, first: int) -> None:
    """Write rnnc's data format: concatenated sequences, their lengths, and the teacher's actions."""
    x, action, lengths = lessons(count, first)
    np.savez_compressed(
        path,
        x=np.concatenate([row[:n] for row, n in zip(x, lengths, strict=True)]),
        action=np.concatenate([row[:n] for row, n in zip(action, lengths, strict=True)]),
        lengths=lengths,
    )
    print(f"{path.name}: {count} mazes, {lengths.sum()} steps, {path.stat().st_size} bytes")


def main() -> None:
    write(HERE / "calib.npz", 64, CALIBRATION_FIRST)
    write(HERE / "test.npz", 200, TEST_FIRST)


if __name__ == "__main__":
    main()
