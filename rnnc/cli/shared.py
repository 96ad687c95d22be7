"""What commands share: the model options, defined once, and the way an error ends a command."""

from __future__ import annotations

import errno
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

import rnnc
from rnnc.backend.names import prefix
from rnnc.cli import complete
from rnnc.cli.output import CommandOutput
from rnnc.cli.values import affine, at_least_one, axis, fraction, input_fraction, number, pairs, value_range
from rnnc.ctrl_c import INTERRUPTED
from rnnc.errors import ModelError, RnncError, UsageError
from rnnc.flags import in_shell
from rnnc.options import FIRST_VERSION, Options, OutputScale, Precision, Weights

if TYPE_CHECKING:
    from rnnc.package import Package

INTERNAL_ERROR = 70
"""Exit code of a fault of rnnc itself (sysexits.h: EX_SOFTWARE)."""
NOBODY_READS = 141
"""What shells say of a program that SIGPIPE ends."""
NO_FAULT_OF_OURS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EMFILE, errno.ENFILE}
"""What the machine may be short of while rnnc writes."""
Completion = Callable[[str], list[str]]
"""What begins with what was typed."""
PANEL = "Model options"

ModelFile = Annotated[str, typer.Argument(metavar="MODEL", help="The network, an ONNX file.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, everything else on stderr.")]


Labels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="[OUTPUT=]NAME",
        help="The array or column of the data that holds labels: label by default.",
        show_default=False,
    ),
]


def _option(name: str, metavar: str, help_text: str, completion: Completion | None = None) -> Any:
    return typer.Option(
        name, metavar=metavar, help=help_text, rich_help_panel=PANEL, show_default=False, autocompletion=completion
    )


@dataclass(frozen=True)
class ModelArguments:
    """What the model options of a command line say, as typed."""

    model: str
    calib: Annotated[
        list[str] | None,
        _option(
            "--calib", "DATA", "Data to take ranges from: .npz, .npy, .csv, .wav, a folder, a glob; again for more."
        ),
    ] = None
    precision: Annotated[
        str, _option("--precision", "a16|a8", "Bits of activations; a16 by default.", complete.precisions)
    ] = "a16"
    layer_precision: Annotated[
        list[str] | None, _option("--layer-precision", "LAYER=a16|a8", "Bits of one layer's; rnnc tune proposes some.")
    ] = None
    weights: Annotated[
        str,
        _option(
            "--weights", "auto|8|16", "Bits of weights; auto: 16 where they pay, in 10 % more flash.", complete.weights
        ),
    ] = "auto"
    wide: Annotated[
        list[str] | None,
        _option("--wide", "LAYER[.GATE[.x|.h]]", "Weights of 16 bits for a layer, a gate, or its rows over x or h."),
    ] = None
    min_sqnr: Annotated[
        float | None,
        _option(
            "--min-sqnr", "DB", "What every output must reach: 16-bit weights where --calib asks for them; fails below."
        ),
    ] = None
    target: Annotated[
        str,
        _option(
            "--target", "TARGET", "The core to compile for, or all in one; portable C by default.", complete.targets
        ),
    ] = "portable"
    search: Annotated[int, _option("--search", "K", "Builds to try; the best on the calibration data is kept.")] = 0
    window: Annotated[int | None, _option("--window", "T", "Answer windows of T steps, each from reset.")] = None
    hop: Annotated[
        int | None,
        _option("--hop", "K", "Steps from one window to the next; alone for windows as long as the file has."),
    ] = None
    bind: Annotated[
        list[str] | None,
        _option("--bind", "NAME=VALUE", "The length of a dimension (its name, or INPUT.AXIS), a scalar input."),
    ] = None
    state: Annotated[list[str] | None, _option("--state", "IN=OUT|none", "The output that feeds a state input.")] = None
    wav_hop: Annotated[
        int, _option("--wav-hop", "N", "Samples from one frame of a .wav to the next; a frame's size.")
    ] = 0
    time_axis: Annotated[list[str] | None, _option("--time-axis", "INPUT=AXIS|none", "Which axis is time.")] = None
    output: Annotated[list[str] | None, _option("--output", "TENSOR", "A tensor to compile as output.")] = None
    external_data: Annotated[
        bool,
        typer.Option(
            "--external-data",
            help="Read weights from any file beside MODEL, not MODEL.data alone.",
            rich_help_panel=PANEL,
        ),
    ] = False
    step_many: Annotated[
        bool,
        typer.Option("--step-many", help="Add NAME_step_many: many streams, weights read once.", rich_help_panel=PANEL),
    ] = False
    input_range: Annotated[list[str] | None, _option("--input-range", "INPUT=LO:HI", "What an input may be.")] = None
    input_format: Annotated[list[str] | None, _option("--input-format", "INPUT=qM.N", "An input's number format.")] = (
        None
    )
    input_affine: Annotated[
        list[str] | None,
        _option(
            "--input-affine",
            "INPUT=SCALE,OFFSET",
            "Raw counts: real = counts * SCALE + OFFSET; by channel S0/S1/..,O0/O1/..",
        ),
    ] = None
    output_format: Annotated[
        list[str] | None, _option("--output-format", "OUTPUT=qM.N", "An output's number format.")
    ] = None
    output_scale: Annotated[
        list[str] | None,
        _option("--output-scale", "OUTPUT=common|channel", "One scale for all channels of an output, or one each."),
    ] = None

    def options(self, name: str = "", version: str = FIRST_VERSION, url: str = "") -> Options:
        """The same, understood; raises UsageError naming the option that makes no sense."""
        return Options(
            name=name,
            package_version=version,
            package_url=url,
            precision=cast("Precision", self.precision),
            layer_precision=pairs("--layer-precision", self.layer_precision, lambda text: cast("Precision", text)),
            weights=cast("Weights", self.weights),
            wide=tuple(self.wide or ()),
            min_sqnr=self.min_sqnr,
            target=self.target,
            search=self.search,
            window=at_least_one("--window", self.window, "Leave it out for an endless stream."),
            hop=at_least_one("--hop", self.hop, "Give --hop K with 1 <= K <= T."),
            bind=pairs("--bind", self.bind, number),
            wav_hop=self.wav_hop,
            states=pairs("--state", self.state, str),
            time_axis=pairs("--time-axis", self.time_axis, axis),
            outputs=tuple(self.output or ()),
            external_data=self.external_data,
            step_many=self.step_many,
            input_range=pairs("--input-range", self.input_range, value_range),
            input_format=pairs("--input-format", self.input_format, input_fraction),
            input_affine=pairs("--input-affine", self.input_affine, affine),
            output_format=pairs("--output-format", self.output_format, fraction),
            output_scale=pairs("--output-scale", self.output_scale, lambda text: cast("OutputScale", text)),
        )

    def of(self, model: str, names: Sequence[str]) -> ModelArguments:
        """The options of one of several networks: what is written NAME:VALUE is for the network NAME of ``names`` alone."""
        name = prefix(Path(model).stem)

        def own(values: Sequence[str]) -> list[str]:
            split = [(value.partition(":"), value) for value in values]
            return [v if of not in names else rest for (of, _, rest), v in split if of not in names or of == name]

        changed: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, list):
                changed[f.name] = own(value)
            elif isinstance(value, str):
                changed[f.name] = (own([value]) or [str(f.default)])[0]
        return replace(self, **{**changed, "model": model})

    def build(
        self,
        output: CommandOutput,
        name: str = "",
        version: str = FIRST_VERSION,
        url: str = "",
        test: list[str] | None = None,
        verify: bool = True,
        by_layer: bool = False,
        labels: str | None = None,
    ) -> Package:
        """Run all stages with progress, and say what there is to remark; raises RnncError."""
        from rnnc.compiler import build

        options = self.options(name, version, url)
        with output.progress() as (watch, progress):
            package = build(
                self.model,
                self.calib or None,
                options,
                test=test or None,
                verify=verify,
                by_layer=by_layer,
                watch=watch,
                progress=progress,
                labels=labels,
            )
        for note in package.notes:
            output.note(note)
        for caution in package.cautions:
            output.warn(caution)
        self.remark(output)
        return package

    def remark(self, output: CommandOutput) -> None:
        """Say what would make the result better."""
        if not self.calib:
            output.warn(
                "no calibration data: inputs are taken as +-16 unless told, ranges come from noise, weights are rounded to "
                "nearest. --calib DATA with typical recordings fits the ranges and gains about 10 dB."
            )
        if self.precision == "a8":
            output.note("a8 keeps 8 bits of what is fed back: fit for classifying and detecting, not for forecasting.")


def tell_verdict(output: CommandOutput, package: Package, *, fails: bool = False) -> None:
    """Say what is no better than fair, or not judged at all, why, and what to do; ``fails``: an error will say what is poor."""
    verdict = package.verdict
    if verdict and verdict.cure and not (fails and verdict.fails):
        output.warn(f"{verdict.text}. {verdict.cure}")


def tell_judgement(output: CommandOutput, judge: Callable[[], str]) -> None:
    """Say what ``judge`` finds; where onnxruntime cannot be asked, that nothing was judged, which is no error here."""
    try:
        found = judge()
    except RnncError as error:
        output.note(f"not compared with onnxruntime: {error.what}")
        return
    if found:
        output.warn(found)


# --------------------------------------------------------------------------- commands

Command = Callable[..., None]


def add_command(app: typer.Typer, name: str, run: Command) -> None:
    """Add a command; ``run`` takes ``output: Output`` and its own options. It gets --json, and errors that end well."""
    own = list(inspect.signature(run, eval_str=True).parameters.values())[1:]
    _register(app, name, run, own, lambda output, values: run(output, **values))


def add_model_command(app: typer.Typer, name: str, run: Command, *, optional: bool = False) -> None:
    """As ``add_command``, for a ``run(output, model, ...)`` that takes ``model: ModelArguments``: MODEL and its options.

    ``optional``: MODEL may be left out, and is "" then.
    """
    own = list(inspect.signature(run, eval_str=True).parameters.values())[2:]
    taken = {p.name for p in own}  # a command may read a model option in its own way
    shared = [p for p in inspect.signature(ModelArguments, eval_str=True).parameters.values() if p.name not in taken]
    shared[0] = shared[0].replace(annotation=ModelFile, default="" if optional else inspect.Parameter.empty)
    names = [p.name for p in shared]

    def call(output: CommandOutput, values: Mapping[str, Any]) -> None:
        arguments = ModelArguments(**{k: values[k] for k in names})
        run(output, arguments, **{k: v for k, v in values.items() if k not in names})

    _register(app, name, run, [shared[0], *own, *shared[1:]], call)


def _register(
    app: typer.Typer,
    name: str,
    run: Command,
    parameters: Sequence[inspect.Parameter],
    call: Callable[[CommandOutput, Mapping[str, Any]], None],
) -> None:
    json = inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=AsJson)
    as_keywords = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]

    def command(*, json: bool, **values: Any) -> None:
        _guarded(CommandOutput(json), values, call)

    command.__doc__ = run.__doc__
    setattr(command, "__signature__", inspect.Signature([*as_keywords, json]))  # noqa: B010
    command.__annotations__ = {p.name: p.annotation for p in [*as_keywords, json]}
    app.command(name)(command)


def _guarded(
    output: CommandOutput, values: Mapping[str, Any], call: Callable[[CommandOutput, Mapping[str, Any]], None]
) -> None:
    """Run a command; an error becomes one message and its exit code, never a traceback."""
    try:
        with in_shell():
            call(output, values)
        sys.stdout.flush()
    except RnncError as error:
        what = f"{error.where}: {error.what}" if error.where else error.what
        output.error(what, error.hint, error.exit_code)
        raise typer.Exit(error.exit_code) from None
    except MemoryError:
        code = ModelError.exit_code
        output.error("the machine's memory does not suffice for this model and data", "Give shorter recordings.", code)
        raise typer.Exit(code) from None
    except KeyboardInterrupt:
        output.note("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        _close_stdout()
        raise typer.Exit(NOBODY_READS) from None
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NO_FAULT_OF_OURS:
            what = f"cannot write {error.filename or 'the result'}: {error.strerror}"
            with suppress(OSError):
                output.error(what, "", UsageError.exit_code)
            _close_stdout()
            raise typer.Exit(UsageError.exit_code) from None
        if os.environ.get("RNNC_TRACEBACK"):
            traceback.print_exc()
        what = f"internal error, a fault of rnnc: {type(error).__name__}: {error}".splitlines()[0]
        hint = (
            f"Set RNNC_TRACEBACK=1 to see where, and report that with the model and rnnc's version, {rnnc.__version__}."
        )
        output.error(what, hint, INTERNAL_ERROR)
        raise typer.Exit(INTERNAL_ERROR) from None


def _close_stdout() -> None:
    """What is still to be written has nowhere to go; without this the interpreter would try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
