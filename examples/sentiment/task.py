"""What the example is judged by: held-out sentences called good or bad as people rated them. The firmware reads 300 of them."""

from __future__ import annotations

import numpy as np

from examples.common import Metric, Network, Simulate, c_array, c_header, integers, load_test_data
from examples.sentiment.prepare import WORDS
from rnnc import Options, Package

NETWORKS = (Network("sentiment.onnx", Options(window=WORDS)),)
METRIC = Metric("sentences judged as people did", "share", 2)
FIRMWARE_SENTENCES = 300


def score(simulate: Simulate) -> float:
    """The share of held-out sentences judged rightly."""
    test = load_test_data("sentiment")
    logits = simulate(test)["logits"].reshape(len(test["label"]), -1)
    return float((logits.argmax(1) == test["label"]).mean())


def heldout(_: Package) -> str:
    """Sentences as rows of the embedding, and their labels."""
    test = load_test_data("sentiment")
    return c_header(
        "sentiment",
        {"SENTENCES": FIRMWARE_SENTENCES, "WORDS": WORDS},
        [
            c_array("uint16_t", "heldout_ids", test["ids"][:FIRMWARE_SENTENCES], "[sentence][word]"),
            c_array("uint8_t", "heldout_good", test["label"][:FIRMWARE_SENTENCES], "[sentence] 1: good, 0: bad"),
        ],
    )


def expected(package: Package) -> str:
    """What main.c prints."""
    test = load_test_data("sentiment")
    logits = package.simulate({"ids": test["ids"][:FIRMWARE_SENTENCES]}, engine="oracle")["logits"]
    answers = integers(package, "logits", logits.reshape(FIRMWARE_SENTENCES, -1)).argmax(1)
    right = int(np.sum(answers == test["label"][:FIRMWARE_SENTENCES]))
    return f"sentences {FIRMWARE_SENTENCES}\nright {right}\n"
