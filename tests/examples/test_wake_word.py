"""examples/wake_word: a log-mel front end in integer C, and a GRU that listens for a phrase."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from examples.common import HERE
from examples.wake_word.logmel import BAND, BANDS, FLOOR, FRAME, HALF, HOP, WEIGHT, WINDOW, features, write_tables
from examples.wake_word.task import judge, load_audio
from tests.conftest import require
from tests.support.examples import check_firmware, check_folder, check_score, check_warnings
from tests.support.packages import WARNINGS, run

MODEL = "wake_word.onnx"
FOLDER = HERE / "wake_word"
DRIVER = """
#include "log_mel.h"
void run(const int16_t *audio, int32_t steps, int16_t *features);
void run(const int16_t *audio, int32_t steps, int16_t *features)
{
    static log_mel_t s;
    int32_t t;
    log_mel_reset(&s);
    for (t = 0; t < steps; t++) {
        log_mel_step(&s, audio + t * LOG_MEL_HOP, features + t * LOG_MEL_BANDS);
    }
}
"""


def sounds() -> dict[str, NDArray[np.int16]]:
    """Sound of all kinds, the worst for overflow among it."""
    rng, t = np.random.default_rng(0), np.arange(200 * HOP)
    noise = {f"noise {a}": np.clip(a * rng.normal(size=len(t)), -32768, 32767) for a in (1, 30, 1000, 30000)}
    tones = {f"tone {f}": 32767 * np.sin(2 * np.pi * f * t / 8000) for f in (50, 250, 1000, 3990)}
    others = {
        "silence": np.zeros(len(t)),
        "lowest": np.full(len(t), -32768),
        "extremes": rng.choice([-32768, 32767], len(t)),
        "alternating": np.where(t % 2, -32768, 32767),
        "bursts": rng.integers(-32768, 32768, len(t)) * np.repeat(rng.integers(0, 2, 200), HOP),
        "speech": load_audio()["audio"],
    }
    return {name: np.asarray(x).astype(np.int16) for name, x in (noise | tones | others).items()}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("log_mel")
    (folder / "driver.c").write_text(DRIVER)
    sanitize = ["-fsanitize=undefined", "-fno-sanitize-recover=all"]
    run(
        [require("gcc"), *WARNINGS, *sanitize, "-O2", "-shared", "-fPIC", f"-I{FOLDER}", "driver.c", "-o", "d.so"],
        folder,
    )
    return ctypes.CDLL(str(folder / "d.so"))


@pytest.mark.parametrize("name", sounds())
def test_front_end_in_c_equals_that_in_python(name: str, library: ctypes.CDLL) -> None:
    audio = np.ascontiguousarray(sounds()[name])
    got = np.zeros((len(audio) // HOP, BANDS), np.int16)
    library.run(audio.ctypes.data_as(ctypes.c_void_p), len(got), got.ctypes.data_as(ctypes.c_void_p))
    assert np.array_equal(got, features(audio))


@pytest.mark.parametrize("amplitude", [3, 100, 3000, 30000])
def test_features_are_log_mel_energies(amplitude: int) -> None:
    """Against the same in float: within one and a half eighths of an octave below."""
    audio = np.clip(np.random.default_rng(0).normal(size=100 * HOP) * amplitude, -32768, 32767).astype(np.int16)
    padded = np.concatenate([np.zeros(FRAME - HOP), audio])
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP] * (WINDOW / 32768)
    power = np.abs(np.fft.rfft(frames)[:, :HALF]) ** 2
    weights = np.zeros((HALF, BANDS + 3))
    weights[np.arange(HALF), BAND] = WEIGHT / 64
    weights[np.arange(HALF), np.maximum(BAND - 1, 0)] += 1 - WEIGHT / 64
    wanted = 8 * np.log2(power @ weights[:, 1 : BANDS + 1])
    difference = features(audio) - np.maximum(wanted, FLOOR)
    assert difference.max() < 0.1 and difference.min() > -1.5


def test_tables_are_those_of_the_script(tmp_path: Path) -> None:
    write_tables(tmp_path / "tables.h")
    numbers = ["".join(c if c.isdigit() or c == "-" else " " for c in path.read_text()).split() for path in
               (tmp_path / "tables.h", FOLDER / "log_mel_tables.h")]  # fmt: skip
    assert numbers[0] == numbers[1]


def test_verdicts() -> None:
    above = np.zeros(200, bool)
    above[20:30] = above[48:60] = above[120:122] = True
    assert judge(above, np.array([45, 150])) == (1, 1)


@pytest.mark.target
def test_firmware_wakes_when_the_oracle_does(tmp_path: Path) -> None:
    assert "wake phrases " in check_firmware("wake_word", MODEL, tmp_path)


def test_utterances_are_judged_as_by_onnxruntime() -> None:
    reference, _ = check_score("wake_word", MODEL)
    assert reference > 0.9


def test_main_is_clean_c(tmp_path: Path) -> None:
    check_warnings("wake_word", MODEL, tmp_path)


def test_folder() -> None:
    check_folder("wake_word")
