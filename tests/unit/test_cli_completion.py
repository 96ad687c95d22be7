"""What a shell gets when it asks for completions."""

from __future__ import annotations

import os

import pytest

from rnnc.cli import app, main
from rnnc.cli.complete import engines, stages, targets


def _completed(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What bash is offered for the last word of a line."""
    monkeypatch.setenv("_RNNC_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    with pytest.raises(SystemExit):
        main()
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("rnnc comp", ["compile"]),
        ("rnnc simulate x.onnx --eng", ["--engine"]),
        ("rnnc simulate x.onnx --engine o", ["oracle", "onnxruntime"]),
        ("rnnc compile x.onnx --package es", ["esp-idf"]),
        ("rnnc bench x.onnx --target cortex-m3", ["cortex-m3", "cortex-m33"]),
        ("rnnc compile x.onnx --target av", ["avr"]),
        ("rnnc compile x.onnx --target atmega3", ["atmega328p", "atmega32u4"]),
        ("rnnc inspect x.onnx --after l", ["load", "lower"]),
    ],
)
def test_bash(
    line: str, offered: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _completed(line, monkeypatch, capsys) == offered


def test_nothing_typed_offers_all() -> None:
    assert len(targets("")) >= 10 and len(engines("")) == 4 and stages("")[0] == "load"
    assert {c.name for c in app.registered_commands} >= {"compile", "tune"} and "_RNNC_COMPLETE" not in os.environ
