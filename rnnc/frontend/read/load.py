"""A file, or its content, to a Graph: read within bounds, every axis bound to a length, simplified, converted."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from numpy.typing import NDArray

from rnnc.errors import Refused, UnreadableModel, UsageError
from rnnc.frontend.read.around import without_erfc, without_maps, without_rounding
from rnnc.frontend.read.binding import Binding, bind, scans_time
from rnnc.frontend.read.blocks import has_empty, longest_block
from rnnc.frontend.read.convert import convert
from rnnc.frontend.read.demands import fix_lengths
from rnnc.frontend.read.external import embed_external
from rnnc.frontend.read.fold import scanned_axis
from rnnc.frontend.read.foreign import (
    refuse_absent,
    refuse_by_name,
    refuse_foreign,
    refuse_foreign_bytes,
    refuse_unknown,
)
from rnnc.frontend.read.frozen import check_shapes, held_length
from rnnc.frontend.read.inference import UNFIT
from rnnc.frontend.read.lengths import without_lengths_inputs
from rnnc.frontend.read.limits import (
    MAX_FILE_BYTES,
    check_domains,
    check_inlined_size,
    check_limits,
    first_line,
    node_label,
    subgraphs,
)
from rnnc.frontend.read.precision import real_inputs, to_single, whole_inputs
from rnnc.frontend.read.quantized import DYNAMIC, without_dynamic
from rnnc.frontend.read.simplify import Simplified, simplify
from rnnc.options import Options
from rnnc.tracing import Graph

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, ValueInfoProto


MOST_SHOWN = 8
"""Values of a constant output that a note tells one by one."""
MULTIPLES = (1, 2, 4, 6, 8)
"""Of the length of an open time axis, tried in turn: where frames are taken together, not every length will do."""


INVALID = "onnx.checker refuses the file: export it again, with opset 17 or later, and do not change its opset by hand."
UNKNOWN_OPERATOR = (
    "The exporter left an operator of its framework in, as tf2onnx does with those of TensorFlow that it does not know: "
    "write that layer with others, or export another way."
)


class Parsed(NamedTuple):
    """A model with its functions inlined, its file's name for messages, and what onnxruntime runs: the file's own content,
    into which weights of other files are taken."""

    model: ModelProto
    file: str
    content: bytes


def load(source: str | Path | bytes, options: Options) -> Graph:
    """Read a model and simplify it.

    Args:
        source: path of an ONNX file, or its content.
        options: ``bind``, ``time_axis``, ``window``, ``outputs``, ``external_data`` and ``name`` are used.

    Raises UnreadableModel, Refused, UsageError.
    """
    model, file, content = read_model(source, options.external_data)
    other, counts, rounded = to_single(model), real_inputs(model), without_rounding(model)
    whole_inputs(model)
    _check(model, file)
    _strip_shapes(model)
    counted = without_lengths_inputs(model, options.bind)
    fix_lengths(model, options.bind, file)
    wanted = select_outputs(model, options.outputs, file)
    try:
        bound, slim, deduced = _bound(model, options, file)
    except UnreadableModel as error:
        error.hint = held_length(model, options, file) if error.what.startswith(UNFIT) else error.hint
        raise
    if slim.broken:
        check_shapes(model, slim.model, options, file)
    name = options.name or (Path(file).stem if file else "model")
    graph = convert(slim.model, name, file, wanted, bound.time, slim.notes)
    notes = [f"the file computes in {other}: it was converted to float32, for onnxruntime as well"] if other else []
    if rounded or DYNAMIC.encode() in content:
        operators = "QuantizeLinear, DequantizeLinear" if rounded else "DynamicQuantizeLinear, DynamicQuantizeLSTM"
        what = f"the file rounds what it computes to fewer bits and back ({operators})"
        notes.append(f"{what}: it was compiled without that rounding, and is compared with onnxruntime without it")
    if counts:
        what = f"the integers or truth values of {', '.join(counts)} are taken as real numbers"
        notes.append(f"{what}: give their range with --input-range {counts[0]}=LO:HI or --input-format")
    if counted:
        notes.append(
            f"{', '.join(counted)}: taken as the length of the sequence, which in a stream is the number of steps so far"
        )
    for axis, length in deduced.items():
        what = f"its open axis was taken as {length}, the longest block that the layers take at once and use up"
        notes.append(f"{axis}: {what}; --bind {axis}=N overrides this")
    notes += _restarts(graph)
    graph, constant = _without_constant_outputs(graph, options)
    return replace(
        graph,
        notes=(*graph.notes, *notes, *constant),
        broken=slim.broken,
        guessed=bound.guessed,
        deduced=deduced,
        batched=bound.batched,
    )


def _without_constant_outputs(graph: Graph, options: Options) -> tuple[Graph, list[str]]:
    """The graph without the outputs that no input has a part in, where others are left and none was asked for; with notes."""
    constant = [] if options.outputs else [name for name in graph.wanted if name in graph.constants]
    rest = tuple(name for name in graph.wanted if name not in constant)
    if not constant or not rest:
        return graph, []
    notes = [
        f"output {name!r} is left out: it is {_shown(graph.constants[name])} in every step, whatever the inputs are"
        for name in constant
    ]
    return replace(graph, wanted=rest), notes


def _shown(array: NDArray[Any]) -> str:
    """A constant in a message: its values where they are few, else their number and range."""
    values = [f"{v:.6g}" for v in array.ravel().tolist()]
    if len(values) > MOST_SHOWN:
        return f"{len(values)} constants from {array.min():.6g} to {array.max():.6g}"
    return f"[{', '.join(values)}]"


def _bound(model: ModelProto, options: Options, file: str) -> tuple[Binding, Simplified, dict[str, int]]:
    """The model with lengths that it works with, simplified, and the lengths of blocks that the graph told."""
    found: list[tuple[Binding, Simplified, dict[str, int]]] = []
    for multiple in MULTIPLES:
        bound = bind(model, options, file, multiple)
        slim = simplify(bound.model, file)
        if multiple > 1 and bound.batched:  # a multiple that only fits because a batch has it, too
            break
        found.append((bound, slim, {}))
        if not slim.broken and not has_empty(slim.model):
            break
        if multiple == 1 and len(bound.unnamed) == 1 and not options.window and not scans_time(bound):
            (name, axis), address = bound.unnamed[0], ".".join(map(str, bound.unnamed[0]))
            if length := longest_block(slim.model, name, axis):
                fix_lengths(model, {address: length}, file)
                bound = bind(model, options, file)
                found = [(bound, simplify(bound.model, file), {address: length})]
                break
        if not slim.broken or not bound.time or options.window:
            break
    return found[0] if found[-1][1].broken else found[-1]


def read_model(source: str | Path | bytes, external_data: bool = False) -> Parsed:
    """Parse a model, check its tensors, inline its functions, give scores for maps of them, floats for what is quantized.

    Args:
        external_data: take in weights from whatever files beside the model's it names, not from MODEL.onnx.data alone.
    """
    from onnx import ModelProto

    content, file = _content(source)
    model = ModelProto()
    damage: Exception | None = None
    try:
        model.ParseFromString(content)
    except Exception as error:
        damage = error
    if (damage or not model.HasField("graph")) and not isinstance(source, bytes):
        refuse_by_name(Path(source))
    if damage:
        refuse_unknown(content, file)
    if not isinstance(source, bytes) and embed_external(model, Path(source).parent, file, any_file=external_data):
        content = model.SerializeToString()
    check_limits(model, file)
    if model.functions:
        model = _inline_functions(model, file)
    without_maps(model)
    without_erfc(model)
    without_dynamic(model, file)
    check_domains(model, file)
    return Parsed(model, file, content)


def _content(source: str | Path | bytes) -> tuple[bytes, str]:
    if isinstance(source, bytes):
        refuse_foreign_bytes(source)
        if len(source) > MAX_FILE_BYTES:
            raise UnreadableModel(f"the model is larger than {MAX_FILE_BYTES >> 20} MiB")
        return source, "model"
    path = Path(source)
    try:
        refuse_foreign(path)
        if not path.is_file():
            refuse_absent(path)
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UnreadableModel(f"the file is larger than {MAX_FILE_BYTES >> 20} MiB", where=str(path))
        return path.read_bytes(), path.name
    except (OSError, ValueError) as error:
        raise UnreadableModel(f"cannot be read: {first_line(error)}", where=str(path)) from error


def _inline_functions(model: ModelProto, file: str) -> ModelProto:
    from onnx import inliner

    check_inlined_size(model, file)
    try:
        inlined = inliner.inline_local_functions(model)
    except Exception as error:
        raise UnreadableModel(f"its functions cannot be inlined: {first_line(error)}", where=file) from error
    check_limits(inlined, file)
    return inlined


def _strip_shapes(model: ModelProto) -> None:
    """Forget inner and output shapes: exporters leave them stale, with a length of time frozen."""
    for graph in subgraphs(model.graph, ""):
        del graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")


def _check(model: ModelProto, file: str) -> None:
    from onnx import checker

    for output in model.graph.output:
        if not output.type.tensor_type.HasField("shape"):
            output.type.tensor_type.shape.SetInParent()
    try:
        checker.check_model(model)
    except Exception as error:
        what = first_line(error)
        hint = UNKNOWN_OPERATOR if what.startswith("No Op registered") else INVALID
        raise UnreadableModel(f"the model is not valid ONNX: {what}", where=file, hint=hint) from error
    for value in model.graph.input:
        if not value.type.HasField("tensor_type"):
            what = "it is not a tensor but a sequence, map or optional"
            raise Refused(what, where=f"{file}: input {value.name!r}", hint="Export it with tensors as inputs.")
    seen: set[str] = set()
    for node in model.graph.node:
        for name in node.output:
            if name in seen:
                raise UnreadableModel(f"computes {name!r} a second time", where=f"{file}: {node_label(node)}")
            seen.update([name] if name else [])


def select_outputs(model: ModelProto, outputs: tuple[str, ...], file: str) -> tuple[str, ...]:
    """Make inner tensors outputs. Returns the outputs that are wanted: those named, or the file's.

    Raises UsageError where the model computes no such tensor.
    """
    graph = model.graph
    present = [o.name for o in graph.output]
    known = {name for node in graph.node for name in node.output} | set(present)
    for name in outputs:
        if name not in known:
            what = f"--output {name}: the model computes no such tensor"
            raise UsageError(what, where=file, hint=_nearby(graph, name))
    for name in [n for n in outputs if n not in present]:
        graph.output.append(_declaration(model, name))
    return outputs or tuple(present)


def _declaration(model: ModelProto, name: str) -> ValueInfoProto:
    """An inner tensor as an output: its element type, without a shape."""
    from onnx import TensorProto, helper, shape_inference

    try:
        inferred = list(shape_inference.infer_shapes(model).graph.value_info)
    except Exception:
        inferred = []
    types = [v.type.tensor_type.elem_type for v in inferred if v.name == name]
    return helper.make_tensor_value_info(name, types[0] if types else TensorProto.FLOAT, None)


def _restarts(graph: Graph) -> tuple[str, ...]:
    """A note where a file of a single step starts a layer anew at each call, from a state that is built in."""
    for node in graph.nodes:
        if node.op_type not in ("LSTM", "GRU", "RNN", "Loop"):
            continue
        names = node.inputs[5:7] if node.op_type != "Loop" else node.inputs[2:]
        shape = graph.shapes.get(node.inputs[0], (0,)) if node.op_type != "Loop" else ()
        steps = shape[scanned_axis(node)] if shape else graph.constants.get(node.inputs[0], 0)
        built_in = all(not name or name in graph.constants for name in names)
        if steps == 1 and built_in:
            what = "the file takes one step a call and starts each from a state that is built in (stateful=True?)"
            carried = (
                "compiled, the state is carried from step to step (reset before each step gives what the file gives)"
            )
            return (f"{node.label}: {what}; {carried}",)
    return ()


def _nearby(graph: GraphProto, name: str) -> str:
    close = get_close_matches(name, [o for node in graph.node for o in node.output if o], 5)
    return f"Did you mean {' or '.join(close)}?" if close else "rnnc inspect lists the tensors."
