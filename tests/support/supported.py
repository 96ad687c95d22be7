"""docs/supported.md: small files of one form each, given to the front end; what it makes of them is the page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnnc.errors import RnncError
from rnnc.frontend.read.load import load
from rnnc.frontend.stream.reasons import ADVICE
from rnnc.frontend.stream.streaming import to_stream
from rnnc.net import Net
from rnnc.options import Options

PLUMBING = ("layout", "time_shift", "delay", "identity", "requantize")
"""Ops that move elements: named only where there is nothing else."""
INTRODUCTION = """# Supported operators

What rnnc compiles, by operator and by form. This page is written by the compiler: each row is a small file that was given to it
(`make golden` writes the page again, a test compares). *Compiled as* names the ops that `rnnc inspect` shows; a refusal is
quoted as it is told. Opsets 7 to 23 are read. Shape arithmetic, constants and `If` with a known condition fold away before.

Words: *last* is an output that a step gives for the sequence so far, *window* one that comes once for a whole window of frames,
*late* how many steps an output is behind its input, *`NAME_next`* that an answer of several values can be had one a call.
"""
TORCH = Path(__file__).with_name("torch.json")
TORCH_INTRODUCTION = """## Cells by torch's exporters

Cells in plain torch, exported by both of its exporters as one step and as a loop over a sequence, which they unroll
(`tools/torch_cells.py`; {versions}; {date}). Shown is how far the net, before it has integers, is from what torch gives,
relative to the largest value; and how near the C of the step comes to onnxruntime on random sequences, bits equal to the
oracle. `make test-frameworks` runs all cells of that file; here are those of the last run that was kept.
"""
KERAS = Path(__file__).with_name("keras.json")
KERAS_INTRODUCTION = """## Keras

Layers and stacks of Keras, exported with `model.export(format="onnx")`, compiled with calibration data of their own and
compared with what Keras itself gives for other sequences (`tools/keras_layers.py`; {versions}; {date}). *dB* is how near the
integers come to Keras's own output; onnxruntime on the exported files comes within {least:.0f} dB or nearer.
"""
ENDING = """## Refused where nothing above applies

| operator | why | what to do |
|---|---|---|
"""


@dataclass(frozen=True)
class Form:
    """One row: an operator in one form, as a file.

    Args:
        what: the attribute or use.
        options: how it is compiled.
    """

    operator: str
    what: str
    content: Callable[[], bytes]
    options: Options = field(default_factory=Options)

    def row(self) -> str:
        """The row of the table."""
        try:
            result = _told(to_stream(load(self.content(), self.options), self.options))
        except RnncError as refused:
            hint = re.sub(r"--window \d+", "--window T", refused.hint)
            result = f"refused: {refused.what}{f'. {hint}' if hint else ''}"
        return f"| {self.operator} | {self.what} | {result.replace('|', '/')} |"


def _told(net: Net) -> str:
    """The ops of a net, and when its output comes."""
    kinds = list(dict.fromkeys(op.kind for op in net.ops))
    kinds = [k for k in kinds if k not in PLUMBING] or kinds[:1]
    described = [op.describe() for op in net.ops if op.kind in ("lstm", "gru", "rnn")]
    parts = [", ".join(f"`{k}`" for k in kinds) if kinds else "folded: changes nothing"]
    parts += [d.partition(", ")[2] for d in described[:1] if ", " in d]
    output = net.outputs[0]
    clock = net.values[output.value].clock
    parts += [output.kind] if output.kind != "stream" else []
    parts += ["`NAME_next`"] if net.drain_steps and all(o.ticks for o in net.outputs) else []
    parts += [f"every {clock.rate} steps"] if clock.rate > 1 and output.kind == "stream" else []
    parts += [f"{clock.delay} late"] if clock.delay and output.kind == "stream" else []
    return "; ".join(parts)


def keras_rows() -> str:
    """What tools/keras_layers.py measured, as a section."""
    found = json.loads(KERAS.read_text())
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    least = min(row["onnxruntime_db"] for row in found["rows"].values() if "onnxruntime_db" in row)
    lines = [
        KERAS_INTRODUCTION.format(versions=versions, date=found["date"], least=least),
        "| layers | options | output | dB |",
        "|---|---|---|---|",
    ]
    for name, row in found["rows"].items():
        hint = re.sub(r"unk__\d+", "AXIS", row.get("refused", ""))
        result = f"refused: {hint} | " if hint else f"{row['kind']} | {row['keras_db']:.1f}"
        lines.append(f"| {name} | {row['options']} | {result} |")
    return "\n".join(lines) + "\n"


def torch_rows() -> str:
    """What tools/torch_cells.py measured, as a section."""
    found = json.loads(TORCH.read_text())
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    forms = list(next(iter(found["rows"].values())))
    lines = [
        TORCH_INTRODUCTION.format(versions=versions, date=found["date"]),
        f"| cell | {' | '.join(forms)} |",
        f"|---{'|---' * len(forms)}|",
    ]
    for name, row in found["rows"].items():
        told = [_of_cell(row[form]) for form in forms]
        lines.append(f"| {name} | {' | '.join(told)} |")
    return "\n".join(lines) + "\n"


def _of_cell(result: Mapping[str, Any]) -> str:
    """What became of a cell in one form: its error, the dB of its C, or why it is refused."""
    if "refused" in result:
        return f"refused: {result['refused']}"
    return f"{result['db']:.0f} dB" if "db" in result else f"{result['error']:.0e}"


def page(sections: Sequence[tuple[str, Callable[[], list[Form]]]]) -> str:
    """docs/supported.md of these sections."""
    parts = [INTRODUCTION]
    for title, forms in sections:
        rows = "\n".join(form.row() for form in forms())
        parts.append(f"## {title}\n\n| operator | form | compiled as |\n|---|---|---|\n{rows}\n")
    parts += [torch_rows(), keras_rows()]
    rows = "\n".join(f"| {op_type} | {what} | {hint} |" for op_type, (what, hint) in sorted(ADVICE.items()))
    return "\n".join(parts) + "\n" + ENDING + rows + "\n"
