"""Sounds of several files have one rate."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from rnnc.data import Frame, read_data
from rnnc.errors import DataError

X = Frame("x", (4,), (4,))


def _sound(path: Path, rate: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.arange(8, dtype="<i2").tobytes())
    return path


def test_sounds_of_one_rate_are_read(tmp_path: Path) -> None:
    data = read_data([_sound(tmp_path / "a.wav", 8000), _sound(tmp_path / "b.wav", 8000)], [X])
    assert data.lengths == [2, 2]


def test_a_sound_of_another_rate_is_refused_with_both_files(tmp_path: Path) -> None:
    _sound(tmp_path / "a.wav", 16000)
    _sound(tmp_path / "b.wav", 44100)
    with pytest.raises(DataError, match=r"b\.wav: has 44,100 samples a second, .*a\.wav has 16,000") as told:
        read_data(str(tmp_path / "*.wav"), [X])
    assert "Resample" in told.value.hint
