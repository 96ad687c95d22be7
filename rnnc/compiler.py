"""The compiler: one list of stages. Each takes what the one before made, checks what it makes, and can be printed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from rnnc.backend.emit import Banner, emit
from rnnc.backend.lower import lower
from rnnc.backend.program import Program
from rnnc.data import Data, Source, read_data
from rnnc.errors import UsageError
from rnnc.frontend.around import ZIP_MAP, without_rounding
from rnnc.frontend.demands import fix_lengths
from rnnc.frontend.load import load, read_model
from rnnc.frontend.precision import real_inputs, to_single
from rnnc.frontend.streaming import to_stream
from rnnc.net import Net
from rnnc.options import Options, Told, not_told
from rnnc.package import Model, Package, command_line, golden, input_frames, output_shapes
from rnnc.qnet import QNet
from rnnc.quantization.calibrate import Ranges, calibrate, noise_sequences
from rnnc.quantization.certify import Certificate, certify
from rnnc.quantization.quantize import check_counts, quantize
from rnnc.quantization.search import search
from rnnc.quantization.starts import make_room
from rnnc.report.advice import range_cautions
from rnnc.report.content import report_content
from rnnc.tracing import Graph
from rnnc.verification.attribution import affordable_steps, attribute
from rnnc.verification.occupancy import input_occupancy
from rnnc.verification.verify import Verification, compare_c, measure

BY_LAYER_STEPS = 4096
STAGES = ("load", "stream", "calibrate", "quantize", "certify", "lower", "emit", "verify")
NO_STARTS: Mapping[str, float] = {}
Stage = Callable[[str, object], None]
"""Called after each stage with its name and what it made, for printing and progress."""


def no_watch(_: str, __: object) -> None:
    """Look at nothing."""


@dataclass(frozen=True, eq=False)
class Compilation:
    """What each stage made. ``data`` is the calibration's, or the noise that stood in for it."""

    graph: Graph
    net: Net
    data: Data
    ranges: Ranges
    qnet: QNet
    certificate: Certificate
    program: Program


def compile_stages(
    source: str | Path | bytes,
    calibration: Source | None,
    options: Options,
    watch: Stage = no_watch,
    told: Told = not_told,
    starts: Mapping[str, float] = NO_STARTS,
) -> Compilation:
    """From a model to all that its C says; nothing is run and nothing is written.

    Args:
        source: path of an ONNX file, or its content.
        calibration: sequences of each input (rnnc.data); None for data-free ranges.
        starts: the largest magnitudes that state inputs may start from, by name; they start from zero else.
        watch: told of each stage.
        told: told how far a long stage is.

    Raises ModelError, DataError, UsageError.
    """

    def made(stage: str, result: Any) -> Any:
        watch(stage, result)
        return result

    graph: Graph = made("load", load(source, options))
    net: Net = made("stream", to_stream(graph, options))
    _check_names(net, options)
    check_counts(net)
    given = None if calibration is None else read_data(calibration, input_frames(graph, net, options))
    sequences = given.sequences if given else None
    ranges: Ranges = made("calibrate", make_room(net, calibrate(net, sequences, options, told), starts))
    searched = search(net, ranges, sequences, options, told) if options.search else None
    qnet: QNet = made("quantize", searched or quantize(net, ranges, options))
    certificate: Certificate = made("certify", certify(qnet))
    program: Program = made("lower", lower(qnet, options.target))
    data = given or Data({k: list(v) for k, v in noise_sequences(net, ranges).items()}, "one")
    return Compilation(graph, net, data, ranges, qnet, certificate, program)


def build(
    source: str | Path | bytes,
    calibration: Source | None,
    options: Options,
    *,
    test: Source | None = None,
    verify: bool = True,
    by_layer: bool = False,
    watch: Stage = no_watch,
    told: Told = not_told,
    starts: Mapping[str, float] = NO_STARTS,
    words: Sequence[str] = (),
) -> Package:
    """All stages, with the verification's figures and without judging them (``Package.check`` does).

    Args:
        test: data to verify on; else the calibration's, or noise.
        verify: hold the integers against onnxruntime and run the C on this machine.
        by_layer: measure what each layer costs over many steps; else over a few, where that takes no time.
        starts: as in ``compile_stages``.
        words: what the command line says in place of the file's name, where it is linked to another.

    Raises ModelError, DataError, UsageError, and MissingTool where there is no C compiler to verify with.
    """
    model = _model(source, options)
    made = compile_stages(source, calibration, options, watch, told, starts)
    data = made.data if test is None else read_data(test, input_frames(made.graph, made.net, options))
    measured = measure(model.content, made.net, made.qnet, made.ranges, data.sequences, options) if verify else None
    banner = Banner(
        command_line(model.file, calibration, options, words), model.sha256, measured.summary if measured else ""
    )
    files = emit(made.program, golden(made.qnet, made.data.sequences), banner)
    watch("emit", files)
    verified = Verification(measured, compare_c(made.program, files, measured.runs)) if measured else None
    shapes = {f.name: f.shape for f in input_frames(made.graph, made.net, options)} | output_shapes(
        made.graph, made.net
    )
    steps = (BY_LAYER_STEPS if by_layer else affordable_steps(made.qnet)) if verify else 0
    attribution = attribute(made.qnet, data.sequences, steps, told) if steps else None
    content = report_content(
        model.file, model.sha256, made.program, made.certificate, shapes, verified, attribution if by_layer else None
    )
    watch("verify", verified)
    notes = [*made.graph.notes, *made.data.notes, *(data.notes if test is not None else ())]
    if measured and measured.dropped:
        notes.append(f"{measured.dropped} steps at the ends do not fill what the model takes at once and are left out")
    return Package(
        files,
        content,
        model,
        made.graph,
        made.program,
        options,
        verified,
        tuple(dict.fromkeys(notes)),
        tuple(range_cautions(input_occupancy(made.qnet, data.sequences), options, made.ranges.measured)),
        attribution,
        made.ranges.measured,
    )


def compile_model(
    source: str | Path | bytes,
    calibration: Source | None = None,
    options: Options | None = None,
    *,
    verify: bool = True,
    watch: Stage = no_watch,
    **changes: Any,
) -> Package:
    """Compile an ONNX model to the C of one time step.

    Args:
        source: path of an ONNX file, or its content.
        calibration: a path, an array, or arrays by input name (rnnc.data); None for data-free ranges.
        options: how to compile; ``changes`` replace fields of it (``precision="a8"``).
        verify: prove it against onnxruntime and by running the C on this machine, which needs a compiler.

    Raises a subclass of RnncError; VerificationError where the C differs from the oracle or the import is not exact.
    """
    unknown = set(changes) - {f.name for f in fields(Options)}
    if unknown:
        raise TypeError(f"compile_model has no option {sorted(unknown)[0]!r}")
    package = build(source, calibration, replace(options or Options(), **changes), verify=verify, watch=watch)
    package.check()
    return package


def load_net(source: str | Path | bytes, options: Options | None = None) -> Net:
    """The network of an ONNX file as one time step, in float64: see ``rnnc.streams.run_net``.

    Raises ModelError, UsageError.
    """
    chosen = options or Options()
    return to_stream(load(source, chosen), chosen)


def _model(source: str | Path | bytes, options: Options) -> Model:
    """What onnxruntime runs as the reference: the file in float32, with what it keeps in others and what --output names."""
    parsed, file = read_model(source, options.external_data)
    content = source if isinstance(source, bytes) else Path(source).read_bytes()
    if options.external_data:
        content = parsed.SerializeToString()
    sha256 = hashlib.sha256(content).hexdigest()
    present = {o.name for o in parsed.graph.output}
    missing = [name for name in options.outputs if name not in present]
    for name in missing:
        parsed.graph.output.add(name=name)
    changed = [
        ZIP_MAP.encode() in content,
        to_single(parsed),
        *real_inputs(parsed),
        without_rounding(parsed),
        *missing,
        fix_lengths(parsed, options.bind, file),
    ]
    return Model(file, sha256, parsed.SerializeToString() if any(changed) else content)


def _check_names(net: Net, options: Options) -> None:
    """Raise UsageError where an option names an input or a layer that the network has not."""
    layers = [op.name for op in net.ops]
    for name in options.layer_precision:
        if name not in layers:
            raise UsageError(
                f"--layer-precision: the network has no layer {name!r}", hint=f"Its layers are {', '.join(layers)}."
            )
    known = [v.name for v in net.inputs]
    for option in ("input_range", "input_format", "input_affine", "time_axis"):
        for name in getattr(options, option):
            if name not in known:
                flag = option.replace("_", "-")
                raise UsageError(
                    f"--{flag}: the network has no input {name!r}", hint=f"Its inputs are {', '.join(known)}."
                )
