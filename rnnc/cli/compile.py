"""rnnc compile."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rnnc.cli.output import Output
from rnnc.cli.shared import ModelArguments


def run(
    output: Output,
    model: ModelArguments,
    folder: Annotated[str | None, typer.Option("-o", metavar="DIR", help="Where to write; ./NAME by default.")] = None,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Prefix of everything in the C; from the file's name.")
    ] = "",
    max_flash: Annotated[int | None, typer.Option(metavar="B", help="Fail above so many bytes of constants.")] = None,
    max_ram: Annotated[
        int | None, typer.Option(metavar="B", help="Fail above so many bytes of state and scratch.")
    ] = None,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Run neither onnxruntime nor the C.")] = False,
) -> None:
    """Compile a network to C, prove it, and write the package."""
    from rnnc.report.terminal import summary

    package = model.build(output, name, verify=not no_verify)
    if output.as_json:
        output.json(package.report)
    package.check()
    package.check_budget(max_flash, max_ram)
    written = package.write(Path(folder) if folder else Path(package.name))
    if not output.as_json:
        print(summary(package.report, package.program))
    output.note(f"wrote {written}/: {', '.join(n for n in package.files if '/' not in n)}, rnnc/")
