"""The front end: 20 ms of sound to 16 log-mel features, in integers. log_mel.h computes the same, bit for bit.

Every 160 samples (8 kHz, int16) the last 256 become a spectrum, 16 mel bands from 100 to 3,800 Hz, and their base-2
logarithms in 1/8 octave (0.38 dB). All is 32-bit integers with no product beyond them:

- windowed samples keep their 15 fraction bits and are shifted to fill 14 bits: quiet sound loses nothing;
- a 256-point real transform by way of a 128-point complex one, in int16 with a common exponent: where a stage could
  overflow, all is shifted right first and the shift is counted;
- the power of a bin is split between two neighbouring bands, with weights of 64ths; a band's sum is carried in two
  words, of the powers' upper and lower bits;
- the exponent is added to the logarithm.

    python logmel.py         writes log_mel_tables.h
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 8000
HOP = 160
FRAME = 256
HALF = FRAME // 2
BANDS = 16
LOWEST, HIGHEST = 100.0, 3800.0
LOG_BITS = 3
"""Features count 1/8 octave."""
FLOOR = 6 << LOG_BITS
"""Features are no lower: about the rounding noise of 16-bit samples."""
STAGE_LIMIT = 13500
"""Largest component before a stage: times 1 + sqrt(2) it stays below 32768."""
SPLIT_LIMIT = 6700
"""Largest component before the real spectrum is taken from the complex one: 2 (1 + sqrt(2)) times it stays below 32768."""
UNITS = 6 + 2 * 15 + 2
"""What the sums are too large by, octaves: weights of 64ths, the window's 15 fraction bits and a factor 2, squared."""

Ints = NDArray[np.int64]


def mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mel scale (O'Shaughnessy)."""
    scale: NDArray[np.float64] = 2595 * np.log10(1 + hertz / 700)
    return scale


def window() -> Ints:
    """Hann, Q0.15."""
    return np.round(32767 * np.sin(np.pi * (np.arange(FRAME) + 0.5) / FRAME) ** 2).astype(np.int64)


def turns() -> tuple[Ints, Ints]:
    """cos and -sin of 2 pi k / 256 for k in 0..127, Q0.15."""
    angle = 2 * np.pi * np.arange(HALF) / FRAME
    return np.round(32767 * np.cos(angle)).astype(np.int64), np.round(-32767 * np.sin(angle)).astype(np.int64)


def bands() -> tuple[Ints, Ints]:
    """For each bin 0..127 the band b that it rises in, and its weight there, 0..64; band b - 1 gets 64 - weight.

    Bands are numbered from 1. b is 0 below the first band's edge, 17 in the falling half of the last, 18 above.
    """
    low, high = mel(np.array([LOWEST, HIGHEST]))
    place = (mel(np.arange(HALF) * SAMPLE_RATE / FRAME) - low) / (high - low) * (BANDS + 1)
    band = np.clip(np.floor(place) + 1, 0, BANDS + 2)
    return band.astype(np.int64), np.round(64 * (place - np.floor(place))).astype(np.int64)


WINDOW = window()
COSINE, SINE = turns()
BAND, WEIGHT = bands()
REVERSED = np.array([int(f"{i:07b}"[::-1], 2) for i in range(HALF)])


def features(audio: NDArray[np.int16]) -> NDArray[np.int16]:
    """A stream of samples to features [steps, 16]; silence before it, a remainder of less than 160 samples is dropped."""
    steps = len(audio) // HOP
    padded = np.concatenate([np.zeros(FRAME - HOP, np.int64), audio[: steps * HOP].astype(np.int64)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
    power, exponent = spectrum(frames * WINDOW)
    return logarithms(power, exponent)


def spectrum(windowed: Ints) -> tuple[Ints, Ints]:
    """[frames, 256], Q.15, to the power of 128 bins, below 2^31, and the exponent: true amplitude = amplitude 2^exponent."""
    v, exponent = shifted(windowed, 1 << 14)
    re, im = v[:, ::2][:, REVERSED], v[:, 1::2][:, REVERSED]
    half = 1
    while half < HALF:
        (re, im), shift = shifted_pair(re, im, STAGE_LIMIT)
        exponent = exponent + shift
        re, im = stage(re, im, half)
        half *= 2
    (re, im), shift = shifted_pair(re, im, SPLIT_LIMIT)
    return split(re, im), exponent + shift


def shifted(v: Ints, limit: int) -> tuple[Ints, Ints]:
    """Each row shifted right, rounding, until its largest magnitude, shifted, is below the limit."""
    largest = np.abs(v).max(axis=1)
    shift = np.zeros(len(v), np.int64)
    while (over := (largest >> shift) >= limit).any():
        shift += over
    half = np.where(shift > 0, 1 << np.maximum(shift - 1, 0), 0)
    return v + half[:, None] >> shift[:, None], shift


def shifted_pair(re: Ints, im: Ints, limit: int) -> tuple[tuple[Ints, Ints], Ints]:
    """The same for a complex row."""
    both, shift = shifted(np.concatenate([re, im], axis=1), limit)
    return (both[:, :HALF], both[:, HALF:]), shift


def product(ar: Ints, ai: Ints, k: Ints) -> tuple[Ints, Ints]:
    """a exp(-2 pi i k / 256), rounded."""
    wr, wi = COSINE[k], SINE[k]
    return ar * wr - ai * wi + (1 << 14) >> 15, ar * wi + ai * wr + (1 << 14) >> 15


def stage(re: Ints, im: Ints, half: int) -> tuple[Ints, Ints]:
    """One stage of the radix-2 transform, decimation in time."""
    re, im = (a.reshape(len(a), -1, 2, half) for a in (re, im))
    tr, ti = product(re[:, :, 1], im[:, :, 1], np.arange(half) * (HALF // half))
    re = np.stack([re[:, :, 0] + tr, re[:, :, 0] - tr], axis=2)
    im = np.stack([im[:, :, 0] + ti, im[:, :, 0] - ti], axis=2)
    return re.reshape(len(re), -1), im.reshape(len(im), -1)


def split(re: Ints, im: Ints) -> Ints:
    """The power of twice the real signal's spectrum; bin 0 is left out (0)."""
    k = np.arange(1, HALF)
    er, ei = re[:, k] + re[:, HALF - k], im[:, k] - im[:, HALF - k]
    dr, di = re[:, k] - re[:, HALF - k], im[:, k] + im[:, HALF - k]
    pr, pi = product(dr, di, k)
    power = (er + pi) ** 2 + (ei - pr) ** 2
    return np.concatenate([np.zeros((len(re), 1), np.int64), power], axis=1)


def logarithms(power: Ints, exponent: Ints) -> NDArray[np.int16]:
    """Mel bands, and 8 log2 of each."""
    upper, lower = (np.zeros((len(power), BANDS + 2), np.int64) for _ in range(2))
    for k in range(1, HALF):
        for band, weight in ((BAND[k], WEIGHT[k]), (BAND[k] - 1, 64 - WEIGHT[k])):
            if 1 <= band <= BANDS:
                upper[:, band] += weight * (power[:, k] >> 10)
                lower[:, band] += weight * (power[:, k] & 1023)
    upper, lower = upper[:, 1:-1], lower[:, 1:-1]
    small = upper < 1 << 21
    total = np.where(small, (upper << 10) + lower, upper + (lower >> 10))
    log = log2_of(total) + np.where(small, 0, 10 << LOG_BITS)
    result = np.maximum(log + (2 * exponent[:, None] - UNITS) * (1 << LOG_BITS), FLOOR)
    return np.asarray(result, np.int16)


def log2_of(x: Ints) -> Ints:
    """floor(8 log2 x) or a little less, x below 2^32; 0 for 0."""
    x = np.maximum(x, 1)
    whole = np.frexp(x.astype(np.float64))[1].astype(np.int64) - 1
    mantissa = np.where(whole > 15, x >> np.maximum(whole - 15, 0), x << np.maximum(15 - whole, 0))
    log = whole
    for _ in range(LOG_BITS):
        mantissa = mantissa * mantissa >> 15
        carry = mantissa >> 16
        log = 2 * log + carry
        mantissa >>= carry
    return log


def write_tables(path: Path) -> None:
    """The tables of log_mel.h."""

    def table(ctype: str, name: str, values: Ints, comment: str) -> str:
        rows = [", ".join(str(int(v)) for v in values[i : i + 16]) for i in range(0, len(values), 16)]
        body = ",\n    ".join(rows)
        return f"/* {comment} */\nstatic const {ctype} {name}[{len(values)}] = {{\n    {body},\n}};\n"

    parts = [
        "/* SPDX-License-Identifier: 0BSD */\n/* Written by logmel.py. */\n"
        "#ifndef LOG_MEL_TABLES_H\n#define LOG_MEL_TABLES_H\n#include <stdint.h>\n",
        table("int16_t", "log_mel_window", WINDOW, "Hann window, Q0.15"),
        table("int16_t", "log_mel_cosine", COSINE, "cos(2 pi k / 256), k in 0..127, Q0.15"),
        table("int16_t", "log_mel_sine", SINE, "-sin(2 pi k / 256), k in 0..127, Q0.15"),
        table("uint8_t", "log_mel_band", BAND, "[bin] the band that the bin rises in, 1..17; 0 and 18: outside"),
        table("uint8_t", "log_mel_weight", WEIGHT, "[bin] its weight there, 64ths; the band below gets the rest"),
        "#endif",
    ]
    path.write_text("\n".join(parts) + "\n")


if __name__ == "__main__":
    write_tables(Path(__file__).resolve().parent / "log_mel_tables.h")
