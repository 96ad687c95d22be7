"""What the example is judged by, and the Python twin of the arithmetic in its firmware: the same integers, bit for bit."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from examples.common import Metric, Network, Simulate, c_array, c_header, find_format, integers, load_test_data
from examples.poet.prepare import ALPHABET
from rnnc import Package
from rnnc.fixed import Ints
from rnnc.streams import stream_qnet

NETWORKS = (Network("poet.onnx"),)
METRIC = Metric("perplexity per character", "perplexity", 4)
FIRMWARE_PIECES = 10
POEM_LENGTH = 320
TEMPERATURE_TENTHS = 6
SEED = 20
POWER = [round(2**24 * 2 ** (-k / 32)) for k in range(33)]


def score(simulate: Simulate) -> float:
    """exp of the mean cross entropy over the held-out pieces."""
    test = load_test_data("poet")
    logits = simulate(test)["logits"]
    shifted = logits - logits.max(-1, keepdims=True)
    likelihood = np.take_along_axis(shifted, test["next"].astype(int)[..., None], -1)[..., 0]
    return math.exp(float((np.log(np.exp(shifted).sum(-1)) - likelihood).mean()))


def octaves_q20(package: Package) -> int:
    """What one LSB of a logit counts: log2(e) LSB, Q.20; fits 16 bits."""
    octaves = round(float(find_format(package, "logits").scale[0]) / math.log(2) * 2**20)
    assert octaves * 10 // TEMPERATURE_TENTHS < 1 << 16
    return octaves


def heldout(package: Package) -> str:
    """Pieces of the held-out play, and what one LSB of a logit means."""
    test = load_test_data("poet")
    text = np.concatenate([test["id"], test["next"][:, -1:]], axis=1)[:FIRMWARE_PIECES]
    return c_header(
        "poet",
        {"LOGIT_OCTAVES_Q20": f"{octaves_q20(package)}u"},
        [c_array("uint8_t", "heldout_text", text, "[piece][character], rows of the embedding")],
    )


def expected(package: Package) -> str:
    """What main.c prints."""
    test = load_test_data("poet")
    ids, following = test["id"][:FIRMWARE_PIECES], test["next"][:FIRMWARE_PIECES]
    logits = integers(package, "logits", package.simulate(ids, engine="oracle")["logits"]).reshape(ids.size, -1)
    lsb = octaves_q20(package)
    bits = sum(surprise(y, int(c), lsb) for y, c in zip(logits, following.ravel(), strict=True)) // ids.size
    thousandths = (bits * 1000 + 2048) >> 12
    poem = "".join(ALPHABET[i] for i in write_poem(package, lsb))
    return f"bits a character {thousandths // 1000}.{thousandths % 1000:03}\n{poem}\n"


# ------------------------------------------------------------------ the arithmetic of main.c


def weigh(logits: Ints, lsb: int) -> list[int]:
    """2^-e of each character, Q0.24."""
    return [power_of_half(int(d) * lsb) for d in logits.max() - logits]


def power_of_half(e: int) -> int:
    """2^-e, e in Q12.20."""
    entry, rest = (e >> 15) & 31, (e >> 5) & 1023
    return (POWER[entry] - (((POWER[entry] - POWER[entry + 1]) * rest) >> 10)) >> (e >> 20)


def log2_of(x: int) -> int:
    """log2(x / 2^24), Q4.12."""
    whole, bits = x.bit_length() - 1, 0
    x >>= whole - 15
    for _ in range(12):
        x = x * x >> 15
        bits = bits << 1 | x >> 16
        x >>= x >> 16
    return ((whole - 24) << 12) + bits


def surprise(logits: Ints, character: int, lsb: int) -> int:
    """-log2 of the probability of a character, Q.12."""
    return log2_of(sum(weigh(logits, lsb))) + (int(logits.max() - logits[character]) * lsb >> 8)


def random_bits() -> Iterator[int]:
    """Marsaglia's xorshift, 32 bits."""
    state = SEED
    while True:
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        yield state


def write_poem(package: Package, lsb: int) -> list[int]:
    """The characters that the firmware draws, by the integer oracle."""
    stream, source = stream_qnet(package.program.qnet), random_bits()
    poem = [0]
    for _ in range(POEM_LENGTH):
        logits = stream.advance({"id": np.array([[poem[-1]]])})["logits"].ravel()
        weight = np.cumsum(weigh(logits, lsb * 10 // TEMPERATURE_TENTHS))
        poem.append(int(np.searchsorted(weight, next(source) % int(weight[-1]), side="right")))
    return poem[1:]
