"""rnnc inspect."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from rnnc.cli import complete
from rnnc.cli.output import CommandOutput, show
from rnnc.cli.shared import ModelArguments

if TYPE_CHECKING:
    from rnnc.errors import ModelError


def run(
    output: CommandOutput,
    model: ModelArguments,
    after: Annotated[
        str,
        typer.Option(
            "--after", metavar="STAGE", help="Print the result of this stage.", autocompletion=complete.stages
        ),
    ] = "",
    rules: Annotated[
        bool, typer.Option("--rules", help="Print which rewriting rules fired, and at which nodes.")
    ] = False,
) -> None:
    """Show what became of each node of a file, what the network is, what one step costs, and what cannot be compiled.

    Stages: load, stream, calibrate, quantize, certify, lower, emit.
    """
    if after:
        _stage(output, model, after)
        return
    if rules:
        _rules(output, model)
        return
    from rnnc.errors import ModelError
    from rnnc.frontend.stream.survey import survey
    from rnnc.report.terminal import description, findings

    try:
        package = model.build(output, verify=False)
    except ModelError as error:
        _refused(output, model, error)
        raise
    found = survey(model.model, package.options, package.graph, package.program.qnet.net)
    report = {**package.report, "nodes": [asdict(f) for f in found]}
    text = "" if output.as_json else f"{findings(found)}\n{description(package.report, package.program)}"
    output.answer(report, text)


def _refused(output: CommandOutput, model: ModelArguments, error: ModelError) -> None:
    """Show what is known of each node of a file that cannot be compiled."""
    from rnnc.errors import ModelError
    from rnnc.frontend.read.load import load
    from rnnc.frontend.stream.survey import survey
    from rnnc.report.terminal import findings

    graph, found = None, []
    with suppress(ModelError):
        graph = load(model.model, model.options())
    with suppress(ModelError):
        found = survey(model.model, model.options(), graph, error=error)
    output.context["nodes"] = [asdict(f) for f in found]
    if found and not output.as_json:
        show(findings(found), flush=True)


def _rules(output: CommandOutput, model: ModelArguments) -> None:
    """Show which rules rewrote which nodes, also of a file that cannot be compiled for another reason."""
    from rnnc.frontend.read.load import load
    from rnnc.frontend.stream.survey import rewritings
    from rnnc.report import terminal

    options = model.options()
    found = rewritings(load(model.model, options), options)
    output.answer({"rules": [asdict(r) for r in found]}, "" if output.as_json else terminal.rules(found))


def _stage(output: CommandOutput, model: ModelArguments, after: str) -> None:
    from rnnc.compiler import STAGES, build
    from rnnc.errors import UsageError

    if after not in STAGES[:-1]:
        raise UsageError(f"--after {after}: no such stage", hint=f"One of: {', '.join(STAGES[:-1])}.")

    class Reached(Exception):
        """The stage is done; those after it need not run."""

    results: list[object] = []

    def watch(stage: str, result: object) -> None:
        if stage == after:
            results.append(result)
            raise Reached

    with suppress(Reached):
        build(model.model, model.calib or None, model.options(), verify=False, watch=watch)
    text = (
        "\n".join(f"{n}: {len(t)} characters" for n, t in results[0].items())
        if isinstance(results[0], dict)
        else str(results[0])
    )
    output.answer({"stage": after, "text": text}, text)
