"""What commands say of a board on a serial port."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rnnc.cli.output import CommandOutput
from rnnc.errors import VerificationError
from rnnc.verification.serial_line import DEFAULT_BAUD

if TYPE_CHECKING:
    from rnnc.package import Package
    from rnnc.quantization.calibrate import Sequences
    from rnnc.verification.on_board import BoardRun

Device = Annotated[
    str | None,
    typer.Option(
        "--port",
        metavar="DEVICE",
        help="Run the data on the board that serves the network on this serial port.",
        show_default=False,
    ),
]
Baud = Annotated[int, typer.Option("--baud", metavar="N", help="Bits a second on the serial port.")]
BAUD = DEFAULT_BAUD


def run_board(output: CommandOutput, package: Package, sequences: Sequences, device: str, baud: int) -> BoardRun:
    """Run data on a board; raises as ``run_on_board`` does."""
    from rnnc.verification.on_board import run_on_board

    with output.progress(f"running on {device}") as (_, progress):
        return run_on_board(package.program, sequences, device, baud, progress)


def check_board(package: Package, run: BoardRun | None) -> None:
    """Raise VerificationError where a board's answers are not the oracle's."""
    if run and run.difference:
        raise VerificationError(
            f"the board on {run.device} differs from the oracle: {run.difference}",
            where=package.model.file,
            hint="If the self-test passes on this board, its firmware was compiled with other data or by another compiler; "
            "else see whether the stack of the task that serves is large enough (rnnc bench shows what a step takes).",
        )
