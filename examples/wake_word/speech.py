"""Sound for the example, synthesised: phrases spoken by espeak-ng in many voices, laid into noise."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from logmel import SAMPLE_RATE

ESPEAK_RATE = 22050
WAV_HEADER = 44
WAKE = "hey computer"
NEAR = (
    "hey commuter",
    "the computer",
    "hey conductor",
    "they compute",
    "hey Peter",
    "a pewter cup",
    "may compete",
    "hey",
)
OTHER = (
    "good morning", "turn on the light", "what time is it", "seven", "music", "open the window", "no", "thank you very much",
    "where are my keys", "eleven o'clock", "stop", "the train is late", "dinner is ready", "happy birthday", "hello there",
    "tomorrow", "it is raining", "one two three", "please come in", "temperature", "garden", "wait a moment", "nineteen",
    "did you see that", "a cup of tea", "I am not so sure", "kilometres", "the neighbour's dog", "radio", "say it again",
)  # fmt: skip
HELD_OUT = (
    "hey Jupiter", "her computer", "hey come here", "a commuter train", "good night", "close the door", "eight", "news",
    "how far is it", "I forgot the milk", "yes", "where is everybody", "half past nine", "go ahead", "the kettle is on",
    "yesterday", "ninety", "I do not think so", "television", "never mind",
)  # fmt: skip
"""Phrases, and near misses, that training never hears."""
ACCENTS = "en en-us en-gb-scotland en-gb-x-rp en-gb-x-gbclan en-gb-x-gbcwmd en-029".split()
VARIANTS = (
    "m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 Alex Alicia Andrea Andy Annie Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee "
    "Marco Mario Michael Mike Nguyen adam anika announcer antonio aunty belinda benjamin boris caleb david ed edward "
    "edward2 grandma grandpa gustave iven john kaukovalta linda marcelo max michel miguel norbert pablo paul pedro "
    "quincy rob robert sandro shelby steph steph2 travis victor zac"
).split()
HELD_OUT_VARIANTS = VARIANTS[4::5]
TRAINING_VARIANTS = [v for v in VARIANTS if v not in HELD_OUT_VARIANTS]
SILENCE = 0.02
"""Of an utterance's largest sample: what is quieter at its ends is cut off."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.25, 0.7

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Utterance:
    """What was said from sample ``start`` to sample ``end`` of a stream, and whether it is the wake phrase."""

    start: int
    end: int
    wake: bool


@dataclass(frozen=True)
class Stream:
    """Sound, and what was said in it."""

    audio: NDArray[np.int16]
    utterances: list[Utterance]


def speak(phrase: str, variants: Sequence[str], rng: np.random.Generator) -> Floats:
    """A phrase in a random voice, at a random speed and pitch, 8 kHz, largest sample 1."""
    voice = f"{rng.choice(ACCENTS)}+{rng.choice(list(variants))}"
    speed, pitch = int(rng.integers(130, 200)), int(rng.integers(20, 80))
    command = ["espeak-ng", "--stdout", "-v", voice, "-s", str(speed), "-p", str(pitch), phrase]
    wav = subprocess.run(command, check=True, capture_output=True).stdout
    sound = resample(np.frombuffer(wav[WAV_HEADER:], "<i2").astype(np.float64))
    sound /= np.abs(sound).max()
    loud = np.flatnonzero(np.abs(sound) > SILENCE)
    return sound[loud[0] : loud[-1] + 1]


def resample(x: Floats) -> Floats:
    """From espeak-ng's rate to 8 kHz, by cutting the spectrum."""
    n = len(x) * SAMPLE_RATE // ESPEAK_RATE
    return np.asarray(np.fft.irfft(np.fft.rfft(x)[: n // 2 + 1], n) * (n / len(x)))


def noise(samples: int, rng: np.random.Generator) -> Floats:
    """Noise of unit power with a spectrum from white to brown, its loudness swaying."""
    spectrum = np.fft.rfft(rng.normal(size=samples))
    frequency = np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE), 40)
    x = np.fft.irfft(spectrum * frequency ** -rng.uniform(0, 1), samples)
    sway = 1 + 0.5 * np.sin(2 * np.pi * (rng.uniform(0.1, 0.6) * np.arange(samples) / SAMPLE_RATE + rng.random()))
    x = x * sway
    return np.asarray(x / np.sqrt(np.mean(x**2)))


def babble(samples: int, rng: np.random.Generator) -> Floats:
    """Three people who talk at once, of unit power."""
    x = np.zeros(samples)
    for _ in range(3):
        at = -int(rng.integers(0, SAMPLE_RATE))
        while at < samples:
            said = speak(str(rng.choice(OTHER)), TRAINING_VARIANTS, rng)
            first, last = max(at, 0), min(at + len(said), samples)
            if last > first:
                x[first:last] += said[first - at : last - at]
            at += len(said)
    return np.asarray(x / np.sqrt(np.mean(x**2)))


def make_stream(seconds: float, held_out: bool, rng: np.random.Generator) -> Stream:
    """Phrases with pauses between them, half of them the wake phrase, in noise at 5 to 25 dB, at any loudness.

    Args:
        held_out: with voices and other phrases that training never hears.
    """
    samples = round(seconds * SAMPLE_RATE)
    variants = HELD_OUT_VARIANTS if held_out else TRAINING_VARIANTS
    x, utterances, at = np.zeros(samples), [], 0
    while True:
        at += round(rng.uniform(SHORTEST_PAUSE, LONGEST_PAUSE) * SAMPLE_RATE)
        wake = bool(rng.random() < 0.5)
        said = speak(WAKE if wake else other_phrase(held_out, rng), variants, rng)
        if at + len(said) + SHORTEST_PAUSE * SAMPLE_RATE > samples:
            break
        said = said * rng.uniform(0.5, 1.0)
        x[at : at + len(said)] = said
        utterances.append(Utterance(at, at + len(said), wake))
        at += len(said)
    background = babble(samples, rng) if rng.random() < 0.25 else noise(samples, rng)
    speech_power = np.mean(x[x != 0] ** 2)
    x = x + background * np.sqrt(speech_power * 10 ** -rng.uniform(0.5, 2.5))
    x *= 32767 * 10 ** -rng.uniform(0.05, 1.5) / np.abs(x).max()
    return Stream(np.round(x).astype(np.int16), utterances)


def other_phrase(held_out: bool, rng: np.random.Generator) -> str:
    """Not the wake phrase; one in three that training hears is a near miss."""
    if held_out:
        return str(rng.choice(HELD_OUT))
    return str(rng.choice(NEAR if rng.random() < 1 / 3 else OTHER))
