"""Turn rated sentences of reviews into calib.npz, test.npz and vocabulary.txt, and serve the rest to train.py.

The sentences come with the source distribution of vaderSentiment: 10,605 of film reviews and 3,708 of product reviews, each
rated by twenty people from -4 to 4.

    pip download --no-deps --no-binary vaderSentiment vaderSentiment==3.3.2
    python prepare.py vaderSentiment-3.3.2.tar.gz

The choices, and why:

- Sentences rated between -0.8 and 0.8 are left out: people do not agree on them either. The rest is good or bad.
- Words are lower case, without punctuation; "not" that hides in "isn't" is parted from it. The 1,998 most frequent words of the
  training sentences have numbers from 2 on, all others are 1, and 0 fills sentences up to 24 words. Longer ones lose
  their beginnings: what counts tends to come last.
- Every fifth sentence is held out.
"""

from __future__ import annotations

import re
import sys
import tarfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
INNER = "additional_resources/hutto_ICWSM_2014.tar.gz"
SOURCES = ("movieReviewSnippets_GroundTruth.txt", "amazonReviewSnippets_GroundTruth.txt")
LEAST_RATING = 0.8
WORDS = 24
VOCABULARY = 2000
FILL, UNKNOWN = 0, 1
HELD_OUT_EVERY = 5
CALIBRATION_SENTENCES = 200

Ids = NDArray[np.int64]


def read_rated(package: Path) -> list[tuple[float, str]]:
    """Ratings and sentences, in the order of the files."""
    rated = []
    with tarfile.open(package) as outer:
        member = next(m for m in outer.getmembers() if m.name.endswith(INNER))
        with tarfile.open(fileobj=outer.extractfile(member)) as inner:
            for name in SOURCES:
                file = next(m for m in inner.getmembers() if m.name.endswith(name))
                extracted = inner.extractfile(file)
                assert extracted is not None
                for line in extracted.read().decode("utf-8", "replace").splitlines():
                    _, rating, sentence = line.split("\t", 2)
                    rated.append((float(rating), sentence))
    return rated


def words(sentence: str) -> list[str]:
    """Lower-case words; n't becomes a word of its own, not."""
    text = re.sub(r"n't\b", " not", sentence.lower().replace("\u2019", "'").replace("can't", "can not"))
    return re.findall(r"[a-z0-9]+(?:'[a-z]+)?", text.replace("''", " "))


def to_ids(sentence: Sequence[str], numbers: dict[str, int]) -> Ids:
    """A row of WORDS numbers."""
    known = [numbers.get(word, UNKNOWN) for word in sentence[-WORDS:]]
    return np.array(known + [FILL] * (WORDS - len(known)), dtype=np.int64)


def load(package: Path) -> tuple[list[str], tuple[Ids, Ids], tuple[Ids, Ids]]:
    """The vocabulary from number 2 on, and ids [sentences, 24] with labels (1 good, 0 bad) for training and held out."""
    rated = [(rating > 0, words(text)) for rating, text in read_rated(package) if abs(rating) >= LEAST_RATING]
    rated = [(good, text) for good, text in rated if text]
    train = [r for i, r in enumerate(rated) if i % HELD_OUT_EVERY]
    held_out = rated[::HELD_OUT_EVERY]
    counts = Counter(word for _, text in train for word in text)
    vocabulary = sorted(counts, key=lambda word: (-counts[word], word))[: VOCABULARY - 2]
    numbers = {word: i + 2 for i, word in enumerate(vocabulary)}

    def rows(part: list[tuple[bool, list[str]]]) -> tuple[Ids, Ids]:
        return np.stack([to_ids(text, numbers) for _, text in part]), np.array([int(good) for good, _ in part])

    return vocabulary, rows(train), rows(held_out)


def package_path() -> Path:
    """The source distribution, from the command line."""
    if len(sys.argv) != 2 or not sys.argv[1].endswith(".tar.gz"):
        raise SystemExit(f"usage: python {Path(sys.argv[0]).name} vaderSentiment-3.3.2.tar.gz")
    return Path(sys.argv[1])


def write(path: Path, ids: Ids, label: Ids) -> None:
    """Write rnnc's data format: equal sequences, and the label of each."""
    np.savez_compressed(path, ids=ids.astype(np.uint16), label=label.astype(np.uint8))
    print(f"{path.name}: {len(ids)} sentences, {label.mean():.1%} good, {path.stat().st_size} bytes")


def main() -> None:
    vocabulary, (train_ids, train_label), (test_ids, test_label) = load(package_path())
    (HERE / "vocabulary.txt").write_text("\n".join(vocabulary) + "\n")
    spread = np.linspace(0, len(train_ids) - 1, CALIBRATION_SENTENCES).astype(int)
    write(HERE / "calib.npz", train_ids[spread], train_label[spread])
    write(HERE / "test.npz", test_ids, test_label)
    print(f"{(test_ids > UNKNOWN).sum() / (test_ids > FILL).sum():.1%} of the held-out words are known")


if __name__ == "__main__":
    main()
