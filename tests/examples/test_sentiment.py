"""examples/sentiment: a bidirectional GRU over a window of words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from examples.common import HERE
from examples.sentiment.prepare import FILL, UNKNOWN, VOCABULARY, WORDS, to_ids, words
from rnnc import compile_model
from rnnc.errors import Refused
from tests.support.examples import check_firmware, check_folder, check_score, check_warnings, example_package

MODEL = "sentiment.onnx"


@pytest.mark.target
def test_firmware_judges_as_the_oracle(tmp_path: Path) -> None:
    assert check_firmware("sentiment", MODEL, tmp_path).startswith("sentences 300\n")


def test_sentences_are_judged_as_by_onnxruntime() -> None:
    reference, _ = check_score("sentiment", MODEL)
    assert reference > 0.75


def test_without_a_window_it_is_refused_with_the_way_out() -> None:
    with pytest.raises(Refused) as refusal:
        compile_model(HERE / "sentiment" / MODEL, verify=False)
    assert "window=24" in str(refusal.value)


def test_plain_sentences() -> None:
    vocabulary = (HERE / "sentiment" / "vocabulary.txt").read_text().split()
    numbers = {word: i + 2 for i, word in enumerate(vocabulary)}
    assert len(vocabulary) == VOCABULARY - 2
    package = example_package("sentiment", MODEL)
    for sentence, good in (
        ("One of the best films of the year, funny and moving.", 1),
        ("A dull, boring and badly acted mess.", 0),
        ("I love this camera, it takes great pictures.", 1),
        ("It isn't funny, it is just a waste of time.", 0),
    ):
        ids = to_ids(words(sentence), numbers)
        logits = package.simulate({"ids": ids}, engine="oracle")["logits"].reshape(-1, 2)[-1]
        assert logits.argmax() == good, sentence


def test_numbers_of_words() -> None:
    assert words("Isn't it GREAT? It can't be.") == ["is", "not", "it", "great", "it", "can", "not", "be"]
    ids = to_ids(["a", "b", "zzz"], {"a": 2, "b": 3})
    assert ids.tolist() == [2, 3, UNKNOWN] + [FILL] * (WORDS - 3)
    assert to_ids(["b"] + ["a"] * WORDS, {"a": 2, "b": 3}).tolist() == [2] * WORDS


def test_main_is_clean_c(tmp_path: Path) -> None:
    check_warnings("sentiment", MODEL, tmp_path)


def test_folder() -> None:
    check_folder("sentiment")
    assert np.load(HERE / "sentiment" / "test.npz")["ids"].max() < VOCABULARY
