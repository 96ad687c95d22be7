"""The pictures of the documentation are those that this build makes, and every one is shown."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/pictures"
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*(?:e-?\d+)?")
APART = 0.02
"""What a number may be another on another machine: its share, or as much of a pixel or a last digit."""


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return dict(runpy.run_path(str(ROOT / "tools/pictures.py"))["pictures"]())


def _words_and_numbers(text: str) -> tuple[str, list[float]]:
    return NUMBER.sub("#", text), [float(n.replace(",", "")) for n in NUMBER.findall(text)]


def alike(one: str, other: str) -> bool:
    """Whether two pictures say the same in the same places; numbers of another machine differ a little."""
    (words, numbers), (others, theirs) = _words_and_numbers(one), _words_and_numbers(other)
    return words == others and all(
        abs(a - b) <= APART * max(abs(a), abs(b)) + APART for a, b in zip(numbers, theirs, strict=True)
    )


def test_every_picture_is_what_this_build_makes(made: dict[str, str]) -> None:
    """`make docs` writes them."""
    assert sorted(made) == sorted(p.name for p in FOLDER.iterdir())
    assert [name for name, svg in made.items() if not alike(svg, (FOLDER / name).read_text())] == []


def test_a_picture_of_another_build_is_noticed(made: dict[str, str]) -> None:
    assert not alike(made["terminal.svg"], made["terminal.svg"].replace("57.9", "47.9"))
    assert not alike(made["flash.svg"], made["flash.svg"].replace("dense0", "dense1"))


def test_pictures_are_sound_and_ask_for_nothing(made: dict[str, str]) -> None:
    for svg in made.values():
        assert ElementTree.fromstring(svg).find("{http://www.w3.org/2000/svg}title") is not None
        assert not re.search(r"href|url\(|@import|<script", svg)


def test_every_picture_is_shown_with_words_for_who_does_not_see_it() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    shown = [m for page in pages for m in re.findall(r"!\[([^\]]*)\]\((?:docs/)?pictures/([\w.]+)\)", page.read_text())]
    assert {name for _, name in shown} == {p.name for p in FOLDER.iterdir()}
    assert all(len(words) > 20 for words, _ in shown)
