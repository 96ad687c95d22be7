"""The command line: one file a command. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import io
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

import rnnc
from rnnc.cli import bench, demo, doctor, inspect, parts, simulate, tune, verify
from rnnc.cli import compile as compile_command
from rnnc.cli.output import CommandOutput
from rnnc.cli.shared import add_command, add_model_command
from rnnc.ctrl_c import INTERRUPTED

EXIT_CODES = (
    "Exit codes: 0 done, 1 verification or budget failed, 2 bad usage, 3 unreadable or refused model, 4 bad data, "
    "5 missing tool, 70 a fault of rnnc itself."
)

ONE_THREAD = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
"""The products here are small: more threads cost more than they bring, and make the last bits depend on the machine's cores."""

app = typer.Typer(
    help="Compile trained recurrent networks from ONNX to integer C that runs one time step per call.",
    epilog=EXIT_CODES,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rnnc {rnnc.__version__}")
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


add_model_command(app, "compile", compile_command.run)
add_model_command(app, "inspect", inspect.run)
add_model_command(app, "simulate", simulate.run)
add_model_command(app, "verify", verify.run)
add_model_command(app, "bench", bench.run)
add_model_command(app, "tune", tune.run)
add_model_command(app, "parts", parts.run, optional=True)
add_command(app, "demo", demo.run)
add_command(app, "doctor", doctor.run)


def main() -> None:
    """Run the command line; never returns. Bad usage is one line on stderr and exit code 2."""
    for variable in ONE_THREAD:
        os.environ.setdefault(variable, "1")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show ends no command
    try:
        sys.exit(app(prog_name="rnnc", standalone_mode=False) or 0)
    except typer.Abort:
        sys.exit(INTERRUPTED)
    except typer.TyperException as error:
        message = error.format_message().replace("Value error, ", "")
        CommandOutput("--json" in sys.argv).error(message, _what_to_try(error), error.exit_code)
        sys.exit(error.exit_code)


def _what_to_try(error: typer.TyperException) -> str:
    """The help of the command that was given, or, of a file where a command should be, what may have been meant."""
    context = getattr(error, "ctx", None)
    first = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    if context is not None and context.parent is None and Path(first).suffix.lower() == ".onnx":
        return f"Try: rnnc compile {shlex.quote(first)}"
    return f"Try: {context.command_path if context else 'rnnc'} --help"
