"""The pictures of the documentation are those that this build makes, and every one is shown."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/pictures"


@pytest.fixture(scope="module")
def tool() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools/pictures.py"))


@pytest.fixture(scope="module")
def made(tool: dict[str, Any]) -> dict[str, str]:
    return dict(tool["pictures"]())


def test_every_picture_is_what_this_build_makes(tool: dict[str, Any], made: dict[str, str]) -> None:
    """`make docs` writes them."""
    assert sorted([*made, tool["REPORT"]]) == sorted(p.name for p in FOLDER.iterdir())
    assert [name for name, svg in made.items() if not tool["alike"](svg, (FOLDER / name).read_text())] == []


def test_the_picture_of_the_report_is_one_of_this_build_s(tool: dict[str, Any]) -> None:
    """What it says is written into it."""
    _, words = tool["report"]()
    pictured = tool["words_of"]((FOLDER / tool["REPORT"]).read_bytes())
    assert tool["alike"](pictured, words)
    assert not tool["alike"](pictured.replace("this build 5", "this build 4"), words)


def test_a_picture_of_another_build_is_noticed(tool: dict[str, Any], made: dict[str, str]) -> None:
    alike = tool["alike"]
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
