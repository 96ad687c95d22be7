"""The compiler: one list of stages. Each takes what the one before made, checks what it makes, and can be printed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Any, get_type_hints

from rnnc.backend.emit import Banner, emit
from rnnc.backend.emit.every import emit_every, left_out, packings
from rnnc.backend.lower import lower
from rnnc.backend.program import Program
from rnnc.backend.targets import ALL, find_target
from rnnc.data import Data, Source, read_data
from rnnc.errors import UsageError
from rnnc.flags import addressed, flag_of, said
from rnnc.frontend.read.around import ERFC, ZIP_MAP, without_rounding
from rnnc.frontend.read.demands import fix_lengths
from rnnc.frontend.read.lengths import without_lengths_inputs
from rnnc.frontend.read.load import load, read_model
from rnnc.frontend.read.modules import content_of, name_of
from rnnc.frontend.read.precision import real_inputs, to_single, whole_inputs
from rnnc.frontend.read.quantized import DYNAMIC
from rnnc.frontend.stream.streaming import to_stream
from rnnc.net import Net
from rnnc.options import Options, ProgressCallback, no_progress
from rnnc.package import Model, Package, command_line, input_frames, output_shapes
from rnnc.qnet import QNet
from rnnc.quantization.calibrate import Ranges, calibrate, noise_sequences
from rnnc.quantization.centre import centre_inputs, centre_outputs
from rnnc.quantization.certify import Certificate, certify
from rnnc.quantization.choice import Choice, Size, choose
from rnnc.quantization.counts import check_counts
from rnnc.quantization.heads import denormalised, with_output_formats
from rnnc.quantization.keeping import with_long_gates
from rnnc.quantization.search import search
from rnnc.quantization.settled import settle
from rnnc.quantization.slow import prolonged
from rnnc.quantization.starts import make_room, room_for_starts
from rnnc.quantization.survey import survey
from rnnc.report.advice import range_cautions, restart_cautions
from rnnc.report.cautions import label_cautions, open_loop_cautions, reading_notes, record_cautions, state_cautions
from rnnc.report.content import report_content
from rnnc.report.widths import gap_cautions, target_notes
from rnnc.tracing import Graph
from rnnc.verification.attribution import ALL_STEPS, Attribution, affordable_steps, attribute, over_same_steps
from rnnc.verification.batches import sequences_of
from rnnc.verification.cause import diagnose
from rnnc.verification.golden import golden
from rnnc.verification.occupancy import input_occupancy
from rnnc.verification.stability import keep_stability
from rnnc.verification.task import recorded, task, wanted
from rnnc.verification.verdict import Verdict, judge
from rnnc.verification.verify import Measurement, Verification, compare_c, measure
from rnnc.verification.warm_up import warm_up

STAGES = ("load", "stream", "calibrate", "quantize", "certify", "lower", "emit", "verify")
NO_STARTS: Mapping[str, float] = {}
StageCallback = Callable[[str, object], None]
"""Called after each stage with its name and what it made, for printing and progress."""


def ignore_stage(_: str, __: object) -> None:
    """Ignore the event."""


@dataclass(frozen=True, eq=False)
class Compilation:
    """What each stage made. ``data`` is the calibration's, or the noise that stood in for it.

    ``net`` is as the file says; that of ``qnet`` reads inputs, and computes outputs, less their offsets.
    """

    graph: Graph
    net: Net
    data: Data
    ranges: Ranges
    qnet: QNet
    choice: Choice
    certificate: Certificate
    program: Program


def compile_stages(
    source: str | Path | bytes,
    calibration: Source | None,
    options: Options,
    watch: StageCallback = ignore_stage,
    progress: ProgressCallback = no_progress,
    starts: Mapping[str, float] = NO_STARTS,
    labels: str | None = None,
) -> Compilation:
    """From a model to all that its C says; nothing is run and nothing is written.

    Args:
        source: path of an ONNX file, or its content.
        calibration: sequences of each input (rnnc.data); None for data-free ranges.
        starts: the largest magnitudes that state inputs may start from, by name; they start from zero else.
        labels: as in ``build``: what is read of the calibration data besides.
        watch: called after each stage.
        progress: called with how much of a long stage is done.

    Raises ModelError, DataError, UsageError.
    """

    def finished(stage: str, result: Any) -> Any:
        watch(stage, result)
        return result

    find_target(options.target)
    graph: Graph = finished("load", load(source, options))
    net: Net = finished("stream", to_stream(graph, options))
    _check_names(net, options)
    check_counts(net)
    frames = input_frames(graph, net, options)
    given = None if calibration is None else read_data(calibration, frames, wanted(net, labels))
    sequences = given.sequences if given else None
    centred = centre_inputs(with_output_formats(denormalised(net), options), sequences, options)
    lasting, repeated = prolonged(centred, sequences) if sequences else (None, [])
    found = calibrate(centred, lasting, options, progress)
    found = make_room(centred, room_for_starts(centred, found, sequences) if sequences else found, starts)
    centred = with_long_gates(centred, found)
    settled = settle(*centre_outputs(centred, found, options), lasting, options)
    centred, ranges = settled.net, finished("calibrate", settled.ranges)
    qnet, choice = choose(centred, ranges, sequences, options, partial(_size, options), progress)
    searched = qnet
    if options.search:
        searched = search(centred, ranges, sequences, options, choice.is_wide, choice.fine, progress)
    qnet = finished("quantize", searched)
    certificate: Certificate = finished("certify", certify(qnet))
    program: Program = finished("lower", lower(qnet, options.target, many=options.step_many))
    data = given or Data({k: list(v) for k, v in noise_sequences(centred, ranges).items()}, "one")
    data.notes.extend([*repeated, *settled.notes])
    return Compilation(graph, net, data, ranges, qnet, choice, certificate, program)


def _size(options: Options, qnet: QNet) -> Size:
    """Of a build's weights; raises Refused where the target cannot hold them."""
    sizes = [lower(qnet, target).cost.flash_weights for target in dict.fromkeys(("portable", options.target))]
    return Size(sizes[0], sizes[-1])


def build(
    source: str | Path | bytes,
    calibration: Source | None,
    options: Options,
    *,
    test: Source | None = None,
    verify: bool = True,
    by_layer: bool = False,
    watch: StageCallback = ignore_stage,
    progress: ProgressCallback = no_progress,
    starts: Mapping[str, float] = NO_STARTS,
    words: Sequence[str] = (),
    labels: str | None = None,
) -> Package:
    """All stages, with the verification's figures and without judging them (``Package.check`` does).

    Args:
        test: data to verify on; else the calibration's, or noise.
        verify: hold the integers against onnxruntime and run the C on this machine.
        by_layer: measure what each layer costs over many steps; else over a few, where that takes no time.
        starts: as in ``compile_stages``.
        words: what the command line says in place of the file's name, where it is linked to another.
        labels: the array of the data that holds labels, or OUTPUT=NAME where several outputs fit; None for "label" where it
            is there, UNSCORED for no labels and no recorded results.

    Raises ModelError, DataError, UsageError, and MissingTool where there is no C compiler to verify with.
    """
    _check_labels(labels, verify)
    done = compile_stages(source, calibration, options, watch, progress, starts, labels)
    model = _model(source, options, done.graph.deduced)
    frames = input_frames(done.graph, done.net, options)
    data = done.data if test is None else read_data(test, frames, wanted(done.net, labels))
    measured = measure(model.content, done.net, done.qnet, done.ranges, data.sequences, options) if verify else None
    command = command_line(model.file, calibration, options, words)
    banner = Banner(command, model.sha256, measured.summary if measured else "", options.package_version)
    files, unpacked = _emitted(done, options, banner)
    watch("emit", files)
    verified = _verified(done, measured, data, files, labels) if measured else None
    shapes = {f.name: f.shape for f in frames} | output_shapes(done.graph, done.net)
    attribution = _attribution(done.qnet, measured, progress, whole=by_layer) if measured else None
    verdict = _verdict(done, verified, options, calibrated=calibration is not None, tested=test is not None)
    costs = survey(done.qnet, done.ranges, options, data.sequences, 4, progress) if by_layer and measured else []
    report = (model.file, model.sha256, done.program, done.certificate, shapes, verified, verdict)
    watch("verify", verified)
    return Package(
        files=files,
        report=report_content(*report, attribution if by_layer else None, done.choice, costs),
        model=model,
        graph=done.graph,
        program=done.program,
        options=options,
        verified=verified,
        verdict=verdict,
        notes=_notes(done, measured, verdict, options, data if test is not None else None, unpacked),
        cautions=_cautions(done, data, options, verified, verdict, tested=test is not None),
        attribution=attribution,
        ranges=done.ranges,
        data=done.data,
        choice=done.choice,
    )


def _emitted(done: Compilation, options: Options, banner: Banner) -> tuple[dict[str, str], list[str]]:
    """The files, and what there is to say of packings that they do not hold."""
    vectors = golden(done.qnet, done.data.sequences)
    if options.target != ALL.name:
        return emit(done.program, vectors, banner), []
    every = packings(done.program)
    return emit_every(done.program, every, vectors, banner), left_out(every)


def _verified(
    done: Compilation, measured: Measurement, data: Data, files: Mapping[str, str], labels: str | None
) -> Verification:
    """The C against the oracle, and both it and onnxruntime against what the data say they should be."""
    scored = task(done.net, measured, data, labels)
    results = tuple(recorded(done.net, measured, data, labels))
    warm = warm_up(done.net, data.sequences, done.program.cost.macs)
    return Verification(measured, compare_c(done.program, files, measured.runs), scored, results, warm)


def _notes(
    done: Compilation,
    measured: Measurement | None,
    verdict: Verdict | None,
    options: Options,
    test: Data | None,
    unpacked: Sequence[str],
) -> tuple[str, ...]:
    notes = [*done.graph.notes, *done.data.notes, *(test.notes if test else ())]
    notes += [*_renamed(options.name, done.program.name), *(measured.notes if measured else [])]
    notes += [*reading_notes(done.graph, done.net, options), *(verdict.unjudged if verdict else ())]
    notes += [*target_notes(done.choice, done.qnet), *unpacked]
    return tuple(map(addressed, dict.fromkeys(notes)))


def _cautions(
    done: Compilation,
    data: Data,
    options: Options,
    verified: Verification | None,
    verdict: Verdict | None,
    *,
    tested: bool,
) -> tuple[str, ...]:
    cautions = (
        *restart_cautions(done.program),
        *open_loop_cautions(done.net, options),
        *range_cautions(input_occupancy(done.qnet, data.sequences), options, done.ranges.measured),
        *state_cautions(done.qnet.net, done.ranges, done.qnet),
        *record_cautions(verified),
        *label_cautions(verified),
        *(verdict.states if verdict else ()),
        *gap_cautions(done.choice, verified, tested=tested),
    )
    return tuple(map(addressed, cautions))


def _with_options(plain: Signature) -> Signature:
    """With the options as keywords in place of ``**changes``, for editors and notebooks that show what there is."""
    *first, _ = plain.parameters.values()
    types, usual = get_type_hints(Options), Options()
    options = [
        Parameter(f.name, Parameter.KEYWORD_ONLY, default=getattr(usual, f.name), annotation=types[f.name])
        for f in fields(Options)
    ]
    return plain.replace(parameters=[*first, *options])


def compile_model(
    source: Any,
    calibration: Source | None = None,
    options: Options | None = None,
    *,
    example: Any = None,
    verify: bool = True,
    labels: str | None = None,
    watch: StageCallback = ignore_stage,
    **changes: Any,
) -> Package:
    """Compile a model to the C of one time step.

    Args:
        source: path of an ONNX file, its content, a ModelProto, a torch module, or a Keras model.
        example: an input (or a sequence of inputs) that a torch module is exported with: tensors or arrays.
        calibration: a path, an array, arrays by input name, or a list of these, one a recording (rnnc.data); None for
            data-free ranges.
        options: how to compile; ``changes`` replace fields of it (``precision="a8"``).
        verify: prove it against onnxruntime and by running the C on this machine, which needs a compiler.
        labels: the array of the calibration data that holds labels, "label" by default; see ``build``.

    Raises a subclass of RnncError; VerificationError where the C differs from the oracle, the import is not exact, or the
    verdict on the calibration data is poor: its ``package`` is what was compiled.
    """
    unknown = set(changes) - {f.name for f in fields(Options)}
    if unknown:
        raise TypeError(f"compile_model has no option {sorted(unknown)[0]!r}")
    chosen = replace(options or Options(), **changes)
    chosen = replace(chosen, name=chosen.name or name_of(source))
    content = content_of(source, example)
    package = build(content, calibration, chosen, verify=verify, watch=watch, labels=labels)
    package.check()
    return package


compile_model.__signature__ = _with_options(signature(compile_model))  # type: ignore[attr-defined]


def _attribution(qnet: QNet, measured: Measurement, progress: ProgressCallback, *, whole: bool) -> Attribution | None:
    """What each layer costs: over all that was compared, or over a few steps where that takes no time."""
    sequences = sequences_of([run.batch for run in measured.runs])
    steps = ALL_STEPS if whole else affordable_steps(qnet)
    if not steps:
        return None
    return over_same_steps(attribute(qnet, sequences, steps, progress, whole=whole), measured, qnet.net)


def _verdict(
    done: Compilation, verified: Verification | None, options: Options, *, calibrated: bool, tested: bool
) -> Verdict | None:
    """What the figures mean, and why; no cause is looked for where they are of an import or a C that is wrong."""
    if verified is None:
        return None
    labelled = [verified.task.output] if verified.task and verified.task.classes else []
    verdict = judge(done.qnet, verified.measured, of_user=calibrated or tested, labelled=labelled)
    if not verified.problems():
        calibration = done.data.sequences if calibrated else None
        parts_at = verified.measured.float32.parts_at
        found = diagnose(verdict, done.qnet, verified.measured, options, calibration, parts_at)
        verdict = keep_stability(found, done.qnet)
    return replace(verdict, cause=addressed(verdict.cause), cure=addressed(verdict.cure))


def load_net(source: Any, options: Options | None = None, *, example: Any = None) -> Net:
    """The network of a model (as ``compile_model`` takes it) as one time step, in float64: see ``rnnc.streams.run_net``.

    Raises ModelError, UsageError.
    """
    chosen = options or Options()
    return to_stream(load(content_of(source, example), chosen), chosen)


def _model(source: str | Path | bytes, options: Options, deduced: Mapping[str, int]) -> Model:
    """What onnxruntime runs as the reference: the file in float32, with what it keeps in others and what --output names.

    Args:
        deduced: as in ``Graph``: the lengths of blocks.
    """
    parsed, file, content = read_model(source, options.external_data)
    present = {o.name for o in parsed.graph.output}
    missing = [name for name in options.outputs if name not in present]
    for name in missing:
        parsed.graph.output.add(name=name)
    changed = [
        any(word.encode() in content for word in (ERFC, ZIP_MAP, DYNAMIC)),
        to_single(parsed),
        *real_inputs(parsed),
        *whole_inputs(parsed),
        without_rounding(parsed),
        *missing,
        *without_lengths_inputs(parsed, options.bind),
        fix_lengths(parsed, {**options.bind, **deduced}, file),
    ]
    return Model(file, hashlib.sha256(content).hexdigest(), parsed.SerializeToString() if any(changed) else content)


def _check_labels(labels: str | None, verify: bool) -> None:
    """Raise UsageError where labels are named that nothing scores."""
    if labels and not verify:
        raise UsageError("labels are scored by the verification, which is left out")


def _renamed(asked: str, name: str) -> list[str]:
    """A note where the prefix is another than the user asked for."""
    reason = "lower case, an identifier of C, nothing that C reserves"
    return [f"{said('name', asked)}: the prefix in the C is {name} ({reason})"] if asked not in ("", name) else []


def _check_names(net: Net, options: Options) -> None:
    """Raise UsageError where an option names an input or a layer that the network has not."""
    layers = [op.name for op in net.ops]
    for name in options.layer_precision:
        if name not in layers:
            raise UsageError(
                f"--layer-precision: the network has no layer {name!r}", hint=f"Its layers are {', '.join(layers)}."
            )
    inputs, outputs = [v.name for v in net.inputs], [o.name for o in net.outputs]
    of_inputs = [(option, "input", inputs) for option in ("input_range", "input_format", "input_affine", "time_axis")]
    of_outputs = [(option, "output", outputs) for option in ("output_format", "output_scale")]
    for option, what, known in (*of_inputs, *of_outputs):
        for name in getattr(options, option):
            if name not in known:
                has = f"Its {what}s are {', '.join(known)}."
                raise UsageError(f"{flag_of(option)}: the network has no {what} {name!r}", hint=has)
