"""rnnc verify."""

from __future__ import annotations

from typing import Annotated

import typer

from rnnc.cli.board import BAUD, Baud, Device, check_board, run_board
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
    port: Device = None,
    baud: Baud = BAUD,
) -> None:
    """Hold the integers against onnxruntime and the C against the integers, over all steps of the data; with --port that of
    a board, too."""
    from rnnc.report.terminal import by_layer as losses
    from rnnc.report.terminal import summary

    package = model.build(output, test=data, by_layer=by_layer, labels=labels)
    source = data or model.calib
    sequences = package.read(source).sequences if source else package.data.sequences
    board = run_board(output, package, sequences, port, baud) if port else None
    if output.as_json:
        output.json({**package.report, **({"board": board.content()} if board else {})})
    else:
        show(summary(package.report, package.program))
        if board:
            show(board.summary())
        if by_layer:
            show(losses(package.report))
    tell_verdict(output, package, fails=model.min_sqnr is None)
    package.check_exact()
    check_board(package, board)
    package.check()
