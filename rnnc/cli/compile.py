"""rnnc compile."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from rnnc.cli.output import Output
from rnnc.cli.shared import ModelArguments
from rnnc.options import Layout


def run(
    output: Output,
    model: ModelArguments,
    folder: Annotated[str | None, typer.Option("-o", metavar="DIR", help="Where to write; ./NAME by default.")] = None,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Prefix of everything in the C; from the file's name.")
    ] = "",
    package: Annotated[
        Layout,
        typer.Option(
            metavar="LAYOUT", help=f"What build system to lay the files out for: {', '.join(get_args(Layout))}."
        ),
    ] = "plain",
    max_flash: Annotated[int | None, typer.Option(metavar="B", help="Fail above so many bytes of constants.")] = None,
    max_ram: Annotated[
        int | None, typer.Option(metavar="B", help="Fail above so many bytes of state and scratch.")
    ] = None,
    max_stack: Annotated[
        int | None, typer.Option(metavar="B", help="Fail where a step can use more stack; needs the target's compiler.")
    ] = None,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Run neither onnxruntime nor the C.")] = False,
) -> None:
    """Compile a network to C, prove it, and write the package."""
    from rnnc.report.terminal import example, summary

    built = model.build(output, name, verify=not no_verify)
    if max_stack is not None:
        built.measure_stack()
    if output.as_json:
        output.json(built.report)
    built.check()
    built.check_budget(max_flash, max_ram, max_stack)
    written = built.write(Path(folder) if folder else Path(built.name), package)
    if not output.as_json:
        print(summary(built.report, built.program))
        print(example(built.program))
    roots = {f"{name.split('/')[0]}/" if "/" in name else name: None for name in built.arranged(package)}
    output.note(f"wrote {written}/: {', '.join(roots)}")
