"""rnnc verify."""

from __future__ import annotations

from typing import Annotated

import typer

from rnnc.cli.output import CommandOutput, show
from rnnc.cli.shared import Labels, ModelArguments, tell_verdict


def run(
    output: CommandOutput,
    model: ModelArguments,
    data: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="DATA", help="Data to verify on; else the calibration's, or noise."),
    ] = None,
    by_layer: Annotated[
        bool, typer.Option("--by-layer", help="Show the loss of each layer: weights, activations, tables.")
    ] = False,
    labels: Labels = None,
) -> None:
    """Hold the integers against onnxruntime and the C against the integers, over all steps of the data."""
    from rnnc.report.terminal import by_layer as losses
    from rnnc.report.terminal import summary

    package = model.build(output, test=data, by_layer=by_layer, labels=labels)
    if output.as_json:
        output.json(package.report)
    else:
        show(summary(package.report, package.program))
        if by_layer:
            show(losses(package.report))
    tell_verdict(output, package, fails=model.min_sqnr is None)
    package.check()
