"""rnnc inspect."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from rnnc.cli.output import Output
from rnnc.cli.shared import ModelArguments


def run(
    output: Output,
    model: ModelArguments,
    after: Annotated[str, typer.Option("--after", metavar="STAGE", help="Print what this stage made.")] = "",
) -> None:
    """Show what a network is, what one step costs, and what cannot be compiled and why.

    Stages: load, stream, calibrate, quantize, certify, lower, emit.
    """
    if after:
        _stage(output, model, after)
        return
    from rnnc.report.terminal import description

    package = model.build(output, verify=False)
    output.answer(package.report, "" if output.as_json else description(package.report, package.program))


def _stage(output: Output, model: ModelArguments, after: str) -> None:
    from rnnc.compiler import STAGES, build
    from rnnc.errors import UsageError

    if after not in STAGES[:-1]:
        raise UsageError(f"--after {after}: no such stage", hint=f"One of: {', '.join(STAGES[:-1])}.")

    class Reached(Exception):
        """The stage is done; those after it need not run."""

    made: list[object] = []

    def watch(stage: str, result: object) -> None:
        if stage == after:
            made.append(result)
            raise Reached

    with suppress(Reached):
        build(model.model, model.calib, model.options(), verify=False, watch=watch)
    text = (
        "\n".join(f"{n}: {len(t)} characters" for n, t in made[0].items())
        if isinstance(made[0], dict)
        else str(made[0])
    )
    output.answer({"stage": after, "text": text}, text)
