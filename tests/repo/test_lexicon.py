"""docs/lexicon.md: its types exist, and a type's name means one thing in the whole package."""

from __future__ import annotations

import ast
import re
from collections import Counter
from importlib import import_module
from pathlib import Path

from tests.repo.test_layering import python_files

PAGE = Path(__file__).parents[2] / "docs/lexicon.md"
TWICE = {"Bound", "Choice", "Difference", "Frame", "Function", "Measurement", "Node", "Output", "Scratch", "Target"}
"""Names that two types have: no others may."""


def test_words_stand_once_and_their_types_exist() -> None:
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| (?:`([\w.]+)`)? ?\|$", PAGE.read_text(), re.M)
    words = [word.strip() for row, _ in rows for word in row.split(",")]
    assert len(rows) > 10 and len(words) == len(set(words))
    for _, name in rows:
        module, _, kind = name.rpartition(".")
        assert not kind or isinstance(getattr(import_module(module), kind), type), name


def test_no_two_types_have_one_name() -> None:
    trees = python_files("rnnc").values()
    names = Counter(n.name for tree in trees for n in tree.body if isinstance(n, ast.ClassDef) and n.name[0] != "_")
    assert {name for name, times in names.items() if times > 1} <= TWICE
