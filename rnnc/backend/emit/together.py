"""The C of several networks in one translation unit: the compiler keeps one copy of each kernel and table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rnnc.backend.emit import most_columns, render
from rnnc.backend.program import Program


def together(name: str, networks: Sequence[tuple[Program, Mapping[str, str]]]) -> dict[str, str]:
    """The files of ``networks``, each a program and its own files, with NAME.c in place of the C of each."""
    files: dict[str, str] = {}
    for program, own in networks:
        n = program.name
        files |= {f: text for f, text in own.items() if f not in (f"{n}.c", "report.json", "report.html")}
        files[f"{n}_code.h"] = own[f"{n}.c"]
    most = max((most_columns(program) for program, _ in networks), default=0)
    names = [program.name for program, _ in networks]
    return {f"{name}.c": render("together.c.j2", networks=names, most_columns=most)} | files
