"""Weights that are zero in blocks: in which layers, what leaving them out saves, and where they are stored all the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rnnc.backend.program import ConstantArray, Initializer, Program
from rnnc.row_forms import SPARSE_SHARE


def sparse_content(program: Program) -> list[dict[str, Any]]:
    """Of each layer's weights of which enough blocks of 4 x 4 are zero that somebody pruned them: their share and bytes."""
    return [
        {
            "op": params.op,
            "weights": array.symbol,
            "zero_blocks": round(1 - array.kept, 3),
            "left_out": bool(array.whole),
            "bytes": array.bytes,
            "bytes_saved": array.whole - array.bytes if array.whole else 0,
        }
        for params in program.params
        for _, content in params.fields
        for array in _arrays(content)
        if array.whole or array.kept <= 1 - SPARSE_SHARE
    ]


def _arrays(content: Initializer) -> Iterator[ConstantArray]:
    if isinstance(content, ConstantArray):
        yield content
    elif isinstance(content, tuple):
        for _, inner in content:
            yield from _arrays(inner)


def sparse_lines(report: Mapping[str, Any]) -> list[list[str]]:
    """The same for the table of costs."""
    entries = report["cost"]["sparse"]
    left_out = [e for e in entries if e["left_out"]]
    stored = [e for e in entries if not e["left_out"]]
    lines = []
    if left_out:
        saved = sum(e["bytes_saved"] for e in left_out)
        lines.append(["zeros", f"-{saved:,} B", f"blocks of 4 x 4 zeros are left out of {_named(left_out)}"])
    if stored:
        why = f"leaving them out gains nothing on {report['target']}"
        lines.append(["zeros", "stored", f"blocks of 4 x 4 zeros in {_named(stored)}: {why}"])
    return lines


def _named(entries: list[Mapping[str, Any]]) -> str:
    """Layers with the shares of their blocks that are zero."""
    return ", ".join(f"{e['op']} ({100 * e['zero_blocks']:.0f} %)" for e in entries)
