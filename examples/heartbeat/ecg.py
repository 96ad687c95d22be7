"""A synthetic electrocardiogram with extra beats (premature ventricular contractions), and when each beat was.

A beat is a sum of Gaussians for the waves P, Q, R, S and T, as in McSharry et al., "A dynamical model for generating
synthetic electrocardiogram signals" (2003), each person with heights, widths and rate of their own. An extra beat comes
early, without a P wave, wide, with its T wave turned round, and the next beat is late. One person in four has wide beats
always: there a wide beat alone is no reason for an alarm. Breathing moves rate and baseline; the muscles, the mains and
electrodes that slip add noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 125
COUNTS_A_MILLIVOLT = 200
"""Of the converter, whose counts the network takes."""
FRAME = 5
"""Samples that the network takes a step."""
WAVES = ("P", "Q", "R", "S", "T")
DELAY = np.array([-0.17, -0.025, 0.0, 0.025, 0.26])
"""Seconds from the R peak, at 60 beats a minute."""
HEIGHT = np.array([0.15, -0.12, 1.1, -0.25, 0.3])
"""Millivolts."""
WIDTH = np.array([0.022, 0.009, 0.011, 0.010, 0.045])
"""Standard deviations, seconds."""
EXTRA_SHARE = 0.12
WIDE_PERSONS = 0.25

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Recording:
    """Counts of the converter [samples], and for each beat the sample of its R peak and whether it is an extra beat."""

    counts: NDArray[np.int16]
    peak: NDArray[np.int64]
    extra: NDArray[np.bool_]


@dataclass(frozen=True)
class Person:
    """Delays, heights and widths of the five waves of an ordinary and of an extra beat, and seconds from beat to beat."""

    ordinary: tuple[Floats, Floats, Floats]
    extra: tuple[Floats, Floats, Floats]
    interval: float


def random_person(rng: np.random.Generator) -> Person:
    """Somebody."""
    height = HEIGHT * rng.uniform(0.6, 1.5, 5) * rng.uniform(0.7, 1.3)
    width = WIDTH * rng.uniform(0.8, 1.3, 5)
    delay = DELAY * rng.uniform(0.85, 1.15, 5)
    if rng.random() < WIDE_PERSONS:
        width[1:4] *= rng.uniform(1.7, 2.4)
        delay[1:4] *= rng.uniform(1.5, 2.2)
    sign = rng.choice([1.0, -1.0], p=[0.75, 0.25])
    early = height * np.array(
        [0, 0, sign * rng.uniform(0.8, 1.6), rng.uniform(0.5, 2.5), -sign * rng.uniform(0.8, 1.8)]
    )
    wide = np.array([1, 1, 1, 1, 1.2]) * WIDTH * np.array([1, 3, rng.uniform(3, 4.5), rng.uniform(3, 4.5), 1])
    late = DELAY * np.array([1, 2, 1, 3.5, 1.15])
    return Person((delay, height, width), (late, early, wide), float(rng.uniform(0.6, 1.1)))


def beat_times(person: Person, seconds: float, rng: np.random.Generator) -> tuple[Floats, NDArray[np.bool_]]:
    """When each beat peaks, and which are extra: these come early, and the one after each is late."""
    times, extra, time, after = [], [], float(rng.uniform(0.2, 0.8)), False
    breath, phase = rng.uniform(0.2, 0.35), rng.uniform(0, 2 * np.pi)
    while time < seconds - 0.7:
        times.append(time)
        now = not after and len(times) > 3 and rng.random() < EXTRA_SHARE / (1 - EXTRA_SHARE)
        interval = person.interval * (1 + 0.04 * np.sin(2 * np.pi * breath * time + phase) + 0.02 * rng.normal())
        extra.append(now)
        if now:  # it has come early: move it
            before = times[-2] if len(times) > 1 else 0.0
            times[-1] = before + person.interval * rng.uniform(0.55, 0.75)
            interval = 2 * person.interval - (times[-1] - before)
            time = times[-1]
        time += interval
        after = now
    return np.array(times), np.array(extra)


def record(person: Person, seconds: float, rng: np.random.Generator) -> Recording:
    """A recording of a person."""
    samples = round(seconds * SAMPLE_RATE)
    time = np.arange(samples) / SAMPLE_RATE
    times, extra = beat_times(person, seconds, rng)
    signal = np.zeros(samples)
    for at, is_extra in zip(times, extra, strict=True):
        delay, height, width = person.extra if is_extra else person.ordinary
        vary = 1 + 0.05 * rng.normal()
        for d, h, w in zip(delay * np.sqrt(person.interval), height, width, strict=True):
            signal += vary * h * np.exp(-0.5 * ((time - at - d) / w) ** 2)
    millivolts = signal + disturbances(time, rng)
    counts = np.clip(np.round(millivolts * COUNTS_A_MILLIVOLT), -2048, 2047)
    return Recording(counts.astype(np.int16), np.round(times * SAMPLE_RATE).astype(np.int64), extra)


def disturbances(time: Floats, rng: np.random.Generator) -> Floats:
    """Baseline, mains, muscles, and now and then an electrode that slips, millivolts."""
    baseline = rng.uniform(0.02, 0.25) * np.sin(2 * np.pi * (rng.uniform(0.15, 0.4) * time + rng.random()))
    mains = rng.uniform(0, 0.03) * np.sin(2 * np.pi * (50 * time + rng.random()))
    muscles = rng.uniform(0.01, 0.05) * rng.normal(size=len(time))
    slips = np.zeros(len(time))
    for at in rng.uniform(0, time[-1], rng.poisson(time[-1] / 20)):
        fall = np.exp(-np.maximum(time - at, 0) / rng.uniform(0.05, 0.5))
        slips += np.where(time >= at, rng.normal() * 0.6 * fall, 0)
    return np.asarray(baseline + mains + muscles + slips)
