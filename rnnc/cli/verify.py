"""rnnc verify."""

from __future__ import annotations

from typing import Annotated

import typer

from rnnc.cli.output import Output
from rnnc.cli.shared import ModelArguments


def run(
    output: Output,
    model: ModelArguments,
    data: Annotated[
        str | None, typer.Option("--input", metavar="DATA", help="Data to verify on; else the calibration's, or noise.")
    ] = None,
    min_sqnr: Annotated[float | None, typer.Option(metavar="DB", help="Fail where an output's SQNR is lower.")] = None,
) -> None:
    """Hold the integers against onnxruntime and the C against the integers, over all steps of the data."""
    from rnnc.report.terminal import summary

    package = model.build(output, test=data)
    output.answer(package.report, "" if output.as_json else summary(package.report, package.program))
    package.check(min_sqnr)
