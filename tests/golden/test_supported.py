"""docs/supported.md is what the compiler does: written by `make golden`, compared here."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.forms import SECTIONS
from tests.support.supported import page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "supported.md"


def test_the_page_says_what_the_compiler_does() -> None:
    text = page(SECTIONS)
    if os.environ.get("RNNC_UPDATE_GOLDEN"):
        PAGE.write_text(text)
    assert PAGE.read_text() == text, "docs/supported.md is out of date: make golden writes it"
