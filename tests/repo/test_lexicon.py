"""docs/lexicon.md: its types exist, a name means one thing in the whole package, and retired words stay retired."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from tests.repo.test_layering import module_of, python_files

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/lexicon.md").read_text()
ROWS = re.findall(r"^\| ([^|]+) \| [^|]+ \| (?:`([\w.]+)`)? ?\|$", PAGE, re.M)
WORDS = {word.strip(): kind for row, kind in ROWS for word in row.split(",")}
"""Each word with the dotted name of its type, "" for none."""
RETIRED = {word.strip() for row in re.findall(r"^\| ([a-z, ]+) \| [^|]+ \|$", PAGE, re.M) for word in row.split(",")}


def types() -> list[str]:
    """The dotted names of all public classes of the package."""
    return [
        f"{module_of(file)}.{node.name}"
        for file, tree in python_files("rnnc").items()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name[0] != "_"
    ]


def defined(tree: ast.Module) -> Iterator[str]:
    """The names of a file's classes and functions, and of the fields of its classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name
            yield from (
                f.target.id for f in node.body if isinstance(f, ast.AnnAssign) and isinstance(f.target, ast.Name)
            )
        elif isinstance(node, ast.FunctionDef):
            yield node.name


def test_words_stand_once_and_their_types_exist() -> None:
    assert len(WORDS) > 20 and len(WORDS) == sum(len(row.split(",")) for row, _ in ROWS)
    for name in filter(None, WORDS.values()):
        module, _, kind = name.rpartition(".")
        assert isinstance(getattr(import_module(module), kind), type), name


def test_no_two_types_have_one_name() -> None:
    names = Counter(name.rpartition(".")[2] for name in types())
    assert [name for name, times in names.items() if times > 1] == []


def test_a_type_named_after_a_word_is_that_word_s_type() -> None:
    named = {name: WORDS[word] for name in types() if (word := name.rpartition(".")[2].lower()) in WORDS}
    assert len(named) > 10 and {name: kind for name, kind in named.items() if name != kind} == {}


def test_a_module_named_after_a_word_defines_that_word_s_type() -> None:
    modules = {module_of(file): module_of(file).rpartition(".")[2] for file in python_files("rnnc")}
    named = {module: WORDS[word].rpartition(".")[0] for module, word in modules.items() if WORDS.get(word)}
    assert len(named) > 4 and {module: home for module, home in named.items() if module != home} == {}


def test_retired_words_name_nothing() -> None:
    assert len(RETIRED) > 4
    python = {
        (f, name) for f, tree in python_files("rnnc").items() for name in defined(tree) if name.lower() in RETIRED
    }
    headers = sorted((ROOT / "runtime_c").rglob("*.h"))
    c = {(h.name, n) for h in headers for n in re.findall(r"\brnnc_([a-z]+)", h.read_text()) if n in RETIRED}
    assert python | c == set()
