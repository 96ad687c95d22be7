"""rnnc tune."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnc.cli.output import CommandOutput
from rnnc.cli.shared import ModelArguments, tell_judgement
from rnnc.errors import BudgetError, UsageError
from rnnc.files import write_file
from rnnc.options import Options, Precision, Weights

if TYPE_CHECKING:
    from rnnc.report.charts import Point
    from rnnc.tuning import Candidate, Tuning

HEADS = ("weights", "in a8", "SQNR dB", "instructions", "flash B", "RAM B")


def run(
    output: CommandOutput,
    model: ModelArguments,
    data: Annotated[
        list[str] | None, typer.Option("--input", metavar="DATA", help="Data to measure on; else the calibration's.")
    ] = None,
    budget_flash: Annotated[int | None, typer.Option(metavar="B", help="The most bytes of flash.")] = None,
    budget_instructions: Annotated[
        int | None, typer.Option(metavar="N", help="The most instructions of a step.")
    ] = None,
    plot: Annotated[str | None, typer.Option(metavar="PNG", help="Plot accuracy against instructions.")] = None,
    report: Annotated[str | None, typer.Option(metavar="HTML", help="Write picture and table as a page.")] = None,
) -> None:
    """Find out which weights should have 16 bits and which layers 8-bit operands: accuracy, instructions, flash and RAM of each
    choice."""
    from rnnc.tuning import tune

    if not model.calib:
        raise UsageError("tune needs --calib DATA", hint="Without data the choices cannot be compared.")
    with output.progress("trying widths of weights and operands") as (_, progress):
        tuning = tune(
            model.model,
            model.calib,
            model.options(),
            test=data or None,
            flash=budget_flash,
            instructions=budget_instructions,
            progress=progress,
        )
    for sentence in _sentences(tuning):
        output.note(sentence)
    if plot is not None:
        _draw(tuning, plot)
        output.note(f"wrote {plot}")
    if report is not None:
        write_file(report, _page(tuning, model))
        output.note(f"wrote {report}")
    output.answer(_content(tuning), "" if output.as_json else _text(tuning, model))
    if tuning.proposed is None:
        raise BudgetError("no choice fits the budget", where=model.model, hint=_hint(tuning, budget_flash))
    proposed = _options(tuning.proposed, model)
    tell_judgement(output, lambda: _judge(model, proposed, data))


def _judge(model: ModelArguments, options: Options, data: list[str] | None) -> str:
    """Judge the proposal channel by channel: the figures of the table are pooled over channels."""
    from rnnc.compiler import build
    from rnnc.judging import judge_start

    package = build(model.model, model.calib, options, verify=False)
    return judge_start(package, (package.read(data) if data else package.data).sequences)


def _draw(tuning: Tuning, file: str) -> None:
    from rnnc.report.plot import plot_choices

    plot_choices(_points(tuning), _axes(tuning), file)


def _page(tuning: Tuning, model: ModelArguments) -> str:
    from rnnc.report.page import choices_page

    command = _command(tuning.proposed, model) if tuning.proposed else ""
    return choices_page(Path(model.model).name, _sentences(tuning), _points(tuning), _axes(tuning), HEADS, command)


def _points(tuning: Tuning) -> list[Point]:
    """The choices, the most accurate first."""
    from rnnc.report.charts import Point

    front = tuning.front
    return [
        Point(_name(c), (c.instructions, c.flash), c.sqnr_db, c in front, c == tuning.proposed, bool(c.a8), _cells(c))
        for c in sorted(tuning.candidates, key=lambda c: -c.sqnr_db)
    ]


def _axes(tuning: Tuning) -> tuple[str, ...]:
    how = "" if tuning.counted else ", estimated"
    return f"instructions of a step on {tuning.target}{how}", "flash, bytes"


def _cells(c: Candidate) -> tuple[str, ...]:
    """A choice under HEADS."""
    figures = (f"{c.sqnr_db:.1f}", f"{c.instructions:,}", f"{c.flash:,}", f"{c.ram:,}")
    return c.weights, ", ".join(c.a8) or "none", *figures


def _sentences(tuning: Tuning) -> list[str]:
    """What the figures mean: how they came about, and whether 8-bit operands pay."""
    said = []
    if not tuning.counted:
        said.append(f"instructions are estimates from the multiply-accumulates: no emulator of {tuning.target} is here")
    if tuning.operands:
        a16, a8 = tuning.operands
        said.append(
            f"8-bit operands {'pay' if tuning.a8_pays else 'do not pay'} on {tuning.target}: with all layers in a8 a step "
            f"takes {a8.instructions:,} instructions, in a16 {a16.instructions:,}, with {a8.ram:,} and {a16.ram:,} B of "
            f"RAM; they cost {a16.sqnr_db - a8.sqnr_db:.1f} dB"
        )
    return said


def _name(c: Candidate) -> str:
    return f"weights {c.weights}, a8: {', '.join(c.a8)}" if c.a8 else f"weights {c.weights}"


def _hint(tuning: Tuning, budget_flash: int | None) -> str:
    least = min(c.flash for c in tuning.candidates)
    if budget_flash is not None and least > budget_flash:
        return f"The least flash is {least} B: weights have 8 bits at least, so only a smaller network helps."
    return f"The fewest instructions are {min(c.instructions for c in tuning.candidates)}."


def _content(tuning: Tuning) -> dict[str, Any]:
    def plain(c: Candidate) -> dict[str, Any]:
        return {
            "a8": list(c.a8),
            "weights": c.weights,
            "wide": list(c.wide),
            "sqnr_db": float(f"{c.sqnr_db:.5g}"),
            "instructions": c.instructions,
            "flash": c.flash,
            "ram": c.ram,
            "pareto": c in tuning.front,
        }

    return {
        "target": tuning.target,
        "instructions_counted": tuning.counted,
        "layers": list(tuning.layers),
        "a8_pays": tuning.a8_pays,
        "candidates": [plain(c) for c in tuning.candidates],
        "proposed": plain(tuning.proposed) if tuning.proposed else None,
    }


def _text(tuning: Tuning, model: ModelArguments) -> str:
    from rnnc.report.terminal import table

    if len(tuning.candidates) == 1:
        return "Weights and operands of other widths give the same bits here: there is nothing to choose."
    rows = [["proposed" if p.proposed else "*" if p.front else "", *p.cells] for p in _points(tuning)]
    parts = [table(["", *HEADS], rows)]
    parts.append("* no other choice is better in one thing and as good in all others")
    parts.append("weights: int8, int16, or int16 in some: so many more bytes; auto: as by default")
    if tuning.proposed:
        parts.append(f"\n{_command(tuning.proposed, model)}")
    return "\n".join(parts)


def _command(choice: Candidate, model: ModelArguments) -> str:
    """What compiles the choice, as it can be pasted."""
    from rnnc.package import command_line

    calibration = " ".join(f"--calib {shlex.quote(path)}" for path in model.calib or ())
    return f"{command_line(model.model, None, _options(choice, model))} {calibration}"


def _options(choice: Candidate, model: ModelArguments) -> Options:
    layers: dict[str, Precision] = dict.fromkeys(choice.a8, "a8")
    options = replace(model.options(), precision="a16", layer_precision=layers)
    if choice.weights.startswith("+"):
        return replace(options, weights="8", wide=choice.wide)
    widths: dict[str, Weights] = {"8": "8", "16": "16"}
    return replace(options, weights=widths.get(choice.weights, options.weights))
