"""rnnc demo."""

from __future__ import annotations

from typing import Annotated

import typer

from rnnc.cli.output import CommandOutput


def run(
    output: CommandOutput,
    folder: Annotated[str, typer.Option("-o", metavar="DIR", help="Where to write the package.")] = "gesture",
) -> None:
    """Compile the gesture example, stream its held-out recordings through the C, and say how well it does."""
    from rnnc.demo import gesture

    with output.progress() as (watch, _):
        result = gesture(folder, watch)
    output.answer(result.content, result.text)
    result.package.check()
