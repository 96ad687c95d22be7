"""What the example is judged by: it wakes at the wake phrase and at nothing else. The firmware hears twenty seconds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from examples.common import HERE, Array, Metric, Network, Simulate, c_array, c_header, events, load_test_data
from examples.wake_word.logmel import HOP, features
from rnnc import Options, Package
from rnnc.fixed import Ints

FRACTION = 6
"""Of the network's input: features, below 512, fill the 16 bits."""
NETWORKS = (Network("wake_word.onnx", Options(input_format={"x": FRACTION})),)
METRIC = Metric("utterances judged rightly", "share", 2)
AGREE = 4
"""Steps in a row above 0 that wake."""
EARLIEST, LATEST = -10, 20
"""Steps after the end of a wake phrase between which waking is about it."""


def judge(above: NDArray[np.bool_], ends: Ints) -> tuple[int, int]:
    """One stream: wake phrases found, and false wakes. ``above``: whether the answer is yes at each step."""
    wakes = events(above, AGREE)
    after = wakes[None, :] - ends[:, None]
    about = (after >= EARLIEST) & (after <= LATEST)
    return int(about.any(axis=1).sum()), int((~about.any(axis=0)).sum())


def score(simulate: Simulate) -> float:
    """Of all utterances the share neither missed nor woken at; a wake in a pause counts as one woken at."""
    test = load_test_data("wake_word")
    answers = simulate(test)["y"].reshape(len(test["x"]), -1) > 0
    wrong = 0
    for i, above in enumerate(answers):
        ends = test["end"][(test["stream"] == i) & (test["wake"] == 1)]
        found, false = judge(above, ends)
        wrong += len(ends) - found + false
    return 1 - wrong / len(test["wake"])


def load_audio() -> dict[str, Array]:
    """The sound that the firmware hears, and what is said in it."""
    with np.load(HERE / "wake_word" / "audio.npz") as archive:
        return dict(archive)


def heldout(_: Package) -> str:
    """Twenty seconds of sound, and the ends of the wake phrases in it."""
    audio = load_audio()
    hops = audio["audio"][: len(audio["audio"]) // HOP * HOP].reshape(-1, HOP)
    ends = audio["end"][audio["wake"] == 1]
    return c_header(
        "wake_word",
        {"STEPS": len(hops), "PHRASES": len(ends)},
        [
            c_array("int16_t", "heldout_audio", hops, "[step][sample], 8 kHz"),
            c_array("uint16_t", "heldout_ends", ends, "[wake phrase] step at which it has ended"),
        ],
    )


def expected(package: Package) -> str:
    """What main.c prints."""
    audio = load_audio()
    above = package.simulate(features(audio["audio"]), engine="oracle")["y"].ravel() > 0
    lines = [f"awake at {t // 50}.{t % 50 * 20:03} s\n" for t in events(above, AGREE)]
    ends = audio["end"][audio["wake"] == 1]
    found, false = judge(above, ends)
    return "".join(lines) + f"wake phrases {found} of {len(ends)}\nfalse wakes {false}\n"
