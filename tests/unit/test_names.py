"""names.py: C identifiers from whatever a model calls its tensors."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnc.backend.names import C_HEADERS, C_TYPES, KEYWORDS, Namer, identifier, prefix


@given(st.text(max_size=300))
def test_any_text_becomes_an_identifier(text: str) -> None:
    name = identifier(text)
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,40}", name)
    assert "__" not in name and not name.endswith("_")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("input.1", "input_1"),
        ("a-b", "a_b"),
        ("9x", "n9x"),
        ("", "n"),
        ("*/ int evil; /*", "int_evil"),
        ("/x:0/", "x_0"),
    ],
)
def test_other_characters_become_underscores(text: str, name: str) -> None:
    assert identifier(text) == name


@given(st.text(max_size=60))
def test_a_prefix_is_lower_case_and_no_name_of_c(text: str) -> None:
    name = prefix(text)
    assert name == name.lower()
    assert name not in KEYWORDS | C_TYPES | C_HEADERS


@pytest.mark.parametrize(
    "text", ["int8", "string", "time", "Int16", "key", "features", "float", "aux", "rnnc", "new", "Wire", "servo"]
)
def test_a_prefix_that_means_something_is_extended(text: str) -> None:
    assert prefix(text) == f"{text.lower()}_net"


def test_collisions_are_numbered_whatever_the_case() -> None:
    namer = Namer("fan", frozenset({"s"}))
    assert [namer.name(t) for t in ("a-b", "a_b", "A.b", "s", "int")] == ["a_b", "a_b_2", "A_b_3", "s_2", "int_2"]


@given(st.lists(st.text(max_size=12), max_size=40))
def test_names_are_distinct(texts: list[str]) -> None:
    namer = Namer("fan")
    names = [namer.name(t).lower() for t in texts]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("int16_t", "n_int16_t"),
        ("rnnc_lstm", "n_rnnc_lstm"),
        ("fan_step", "n_fan_step"),
        ("memcpy", "n_memcpy"),
        ("INPUT", "input"),
        ("NULL", "null"),
        ("X", "x"),
        ("H0", "h0"),
    ],
)
def test_names_of_c_and_of_the_package_are_left_alone(text: str, name: str) -> None:
    assert Namer("fan").name(text) == name
