"""WAV files as frames of samples."""

from __future__ import annotations

from pathlib import Path

from numpy.lib.stride_tricks import sliding_window_view

from rnnc.data.frames import MOST_NUMBERS, Array, Frame
from rnnc.errors import DataError
from rnnc.wav import read_sound

MOST_SOUND = 2 * MOST_NUMBERS
"""Bytes of the largest file: samples of 16 bits."""


def read_frames(path: Path, frame: Frame, notes: list[str]) -> tuple[Array, int]:
    """Frames ``hop`` samples apart, or a sample a step where the input is as wide as the file has channels; samples a second.

    Raises DataError.
    """
    size = path.stat().st_size
    if size > MOST_SOUND:
        raise DataError(f"takes {size >> 20:,} MiB; at most {MOST_SOUND >> 20} are read", hint="Cut the recording.")
    samples, rate = read_sound(path.read_bytes())
    channels = samples.shape[1]
    if channels not in (1, frame.size):
        raise DataError(
            f"has {channels} channels; input {frame.name!r} takes frames of {frame.size} samples of one channel"
        )
    if channels == frame.size:
        return samples.reshape(-1, *frame.shape), rate
    hop = frame.hop or frame.size
    count = max(0, (len(samples) - frame.size) // hop + 1)
    rest = len(samples) - (count - 1) * hop - frame.size if count else len(samples)
    if count * frame.size > MOST_NUMBERS:
        what = f"makes {count:,} frames of {frame.size} samples: more than {MOST_NUMBERS:,} numbers"
        raise DataError(what, hint="A longer --wav-hop, or a shorter recording.")
    if rest:
        notes.append(f"{path.name}: the last {rest} samples do not fill a frame of {frame.size} and are dropped")
    frames = sliding_window_view(samples[:, 0], frame.size)[::hop] if count else samples[:0]
    return frames[:count].reshape(count, *frame.shape), rate
