"""Shape arithmetic, constants and decided branches fold away; the result is checked against the file in onnxruntime."""

from __future__ import annotations

import math
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnc.errors import Refused, RnncError, UnreadableModel
from rnnc.frontend.read.fold import NO_CHANCE, RANDOM
from rnnc.frontend.read.inference import dims, infer_shapes, inferred
from rnnc.frontend.read.limits import copied, first_line, node_label
from rnnc.frontend.read.running import DoesNotRun, run

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

Arrays = dict[str, NDArray[Any]]
TOLERANCE = 1e-5
"""Relative to an output's largest value, or to the inputs."""
MOST_NOISE = 1e-3
"""Of an output's largest value: what inputs within the tolerance may move it by and still count for nothing."""
LISTS = {"SequenceEmpty", "SequenceConstruct", "SequenceInsert", "SequenceErase", "SplitToSequence"}
"""Operators that give no tensor."""
ROUNDS = 4
MAX_INPUT_BYTES = 1 << 27
"""Of one sequence of all inputs: they are kept while the file and what becomes of it run on them."""
RUNS_NOT = "onnxruntime does not run the file"
PLAIN = {
    *("LSTM", "GRU", "RNN", "MatMul", "Gemm", "Add", "Sub", "Mul", "Relu", "Tanh", "Sigmoid", "Softmax", "LogSoftmax"),
    *("ArgMax", "Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Gather", "Slice", "Split", "Concat"),
    *("Neg", "Abs", "Sign", "Exp", "Log", "Sqrt", "Reciprocal", "Floor", "Ceil", "Round", "Sin", "Cos", "Max", "Min"),
    *("LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "HardSigmoid", "HardSwish", "Softplus", "Softsign", "Gelu", "Mish"),
}
"""Operators that onnxslim leaves as they are, once constants are folded: a graph of these alone is simple."""


@dataclass(frozen=True, eq=False)
class Simplified:
    """A simplified model, notes on what could not be checked, and why onnxruntime does not run the file, "" if it does."""

    model: ModelProto
    notes: tuple[str, ...]
    broken: str


def simplify(model: ModelProto, where: str) -> Simplified:
    """A smaller equal of a model whose inputs have known shapes.

    Raises UnreadableModel where its tensors would be too large, or running it takes too long.
    """
    inferred(model, where)
    try:
        return _simplify(model, where)
    except UnreadableModel as error:
        raise UnreadableModel(error.what, where=error.where or where, hint=error.hint) from error


def _simplify(model: ModelProto, where: str) -> Simplified:
    inputs = random_inputs(model)
    reference = _reference(model, inputs)  # first, so that a loop without end stops here
    folded = _fold(copied(model))
    plain = all(n.op_type in PLAIN for n in folded.graph.node)
    slim, notes = (folded, []) if plain else _slim(folded)
    slim = _fold(slim)
    difference = _difference(model, reference, slim, inputs)
    if difference.startswith("simplification changes"):
        notes.append(f"{difference}: the graph is used as it is")
        slim = _fold(copied(model))
        difference = _difference(model, reference, slim, inputs)
        if difference.startswith("simplification changes"):
            raise _unsteady(model, difference, where)
    if difference:
        notes.append(difference)
    return Simplified(slim, tuple(notes), difference if RUNS_NOT in difference else "")


def _unsteady(model: ModelProto, difference: str, where: str) -> RnncError:
    """What to say of a file that does not give the same result twice: the node that draws, where one does."""
    node = next((n for n in model.graph.node if n.op_type in (*RANDOM, "Dropout")), None)
    if node is None:
        return UnreadableModel(f"{difference}: it does not give the same result twice", where=where)
    what = "it drops at random, as in training" if node.op_type == "Dropout" else f"{node.op_type} gives random numbers"
    return Refused(what, where=f"{where}: {node_label(node)}", hint=NO_CHANCE)


def _slim(model: ModelProto) -> tuple[ModelProto, list[str]]:
    """onnxslim on a copy (it changes its argument); the model itself, with a note, where it fails."""
    import onnxslim
    from onnx import ModelProto

    try:
        with redirect_stdout(StringIO()):
            slim = onnxslim.slim(
                copied(model),
                skip_fusion_patterns=["FusionGemm"],
                skip_optimizations=["subexpression_elimination", "weight_tying"],
            )
    except Exception as error:
        return copied(model), [f"onnxslim could not simplify the graph: {first_line(error)}"]
    return (slim, []) if isinstance(slim, ModelProto) else (copied(model), ["onnxslim returned no model"])


def _fold(model: ModelProto) -> ModelProto:
    """Replace what does not depend on the inputs by constants, shapes of known tensors included."""
    for _ in range(ROUNDS):
        changed = _fold_shapes(model)
        changed = _fold_constants(model.graph, model) or changed
        if not changed:
            break
    return model


def _fold_shapes(model: ModelProto) -> bool:
    from onnx import numpy_helper

    graph = model.graph
    if not any(n.op_type in ("Shape", "Size") for n in graph.node):
        return False
    try:
        shaped = infer_shapes(model)
    except UnreadableModel:
        raise
    except Exception:
        return False
    values = [v for v in [*shaped.graph.value_info, *graph.input] if v.type.tensor_type.HasField("shape")]
    known = {v.name: dims(v) for v in values}
    asked = [n for n in graph.node if n.op_type in ("Shape", "Size")]
    unknown = [n.input[0] for n in asked if not all(known.get(n.input[0], [0]))]
    known |= _measure_shapes(model, unknown)
    folded = []
    for node in asked:
        shape = known.get(node.input[0], [0])
        if all(shape):
            bounds = {a.name: a.i for a in node.attribute}
            part = np.asarray(shape[bounds.get("start", 0) : bounds.get("end", len(shape))], np.int64)
            value = part if node.op_type == "Shape" else np.asarray(np.prod(shape), np.int64)
            graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
            folded.append(node)
    for node in folded:
        graph.node.remove(node)
    return bool(folded)


def _measure_shapes(model: ModelProto, names: list[str]) -> dict[str, list[int]]:
    """Shapes that inference does not tell (what a Loop stacks up), by running it; none that depend on the data."""
    from onnx import helper

    probe = copied(model)
    del probe.graph.output[:]
    probe.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in dict.fromkeys(names))
    measured: list[dict[str, list[int]]] = []
    for seed in range(2 if names else 0):
        try:
            results = run(probe, random_inputs(model, seed), [o.name for o in probe.graph.output])
        except DoesNotRun:
            return {}
        measured.append({name: list(array.shape) for name, array in results.items()})
    return {name: shape for name, shape in measured[0].items() if measured[1][name] == shape} if measured else {}


def _fold_constants(graph: GraphProto, model: ModelProto) -> bool:
    """Compute all nodes whose inputs are constants, in one run."""
    from onnx import helper, numpy_helper

    inputs = {v.name for v in graph.input}
    constant = {i.name for i in graph.initializer if i.name not in inputs}
    foldable: list[NodeProto] = []
    for node in graph.node:
        pure = node.op_type not in {*RANDOM, *LISTS} and not any(a.HasField("g") or a.graphs for a in node.attribute)
        if pure and all(not name or name in constant for name in node.input):
            foldable.append(node)
            constant.update(node.output)
    if not foldable:
        return False
    names = [name for node in foldable for name in node.output if name]
    needed = {name for node in foldable for name in node.input}
    part = helper.make_graph(
        foldable,
        "constants",
        [],
        [helper.make_empty_tensor_value_info(name) for name in names],
        [i for i in graph.initializer if i.name in needed],
    )
    try:
        results = run(helper.make_model(part, opset_imports=model.opset_import, ir_version=model.ir_version), {}, names)
    except DoesNotRun:
        return False
    for node in foldable:
        graph.node.remove(node)
    graph.initializer.extend(numpy_helper.from_array(results[name], name) for name in names)
    return True


def _reference(model: ModelProto, inputs: Arrays) -> Arrays | str:
    """What onnxruntime computes of a model, or why it does not run it; raises UnreadableModel where it takes too much."""
    try:
        return run(model, inputs, [o.name for o in model.graph.output])
    except DoesNotRun as error:
        return f"simplification could not be verified, {RUNS_NOT}: {error}"


def _difference(model: ModelProto, reference: Arrays | str, slim: ModelProto, inputs: Arrays) -> str:
    """What keeps the simplified model from being proven equal to the original; "" where it is equal."""
    if isinstance(reference, str):
        return reference
    kept = {v.name for v in slim.graph.input}
    try:
        got = run(slim, {k: v for k, v in inputs.items() if k in kept}, list(reference))
    except DoesNotRun as error:
        return f"simplification could not be verified, onnxruntime does not run its result: {error}"
    if not _outside(reference, got, {}):
        return ""
    changed = _outside(reference, got, _noise(model, reference, inputs))
    return changed and f"simplification changes output {changed!r} by more than {TOLERANCE:g} of its largest value"


def _outside(reference: Arrays, got: Arrays, noise: dict[str, float]) -> str:
    """The first output that differs by more than the tolerance and its noise, "" where none does."""
    for name in reference:
        want, have = np.asarray(reference[name], np.float64), np.asarray(got[name], np.float64)
        largest = max(float(np.abs(want[np.isfinite(want)]).max(initial=0)), 1e-6)
        limit = TOLERANCE * largest + min(noise.get(name, 0.0), MOST_NOISE * largest)
        if want.shape != have.shape or not np.allclose(have, want, rtol=0, atol=limit, equal_nan=True):
            return name
    return ""


def _noise(model: ModelProto, reference: Arrays, inputs: Arrays) -> dict[str, float]:
    """How far each output moves with inputs that are larger by the tolerance: small outputs may have few bits of float32."""
    nudged = {
        k: v * v.dtype.type(1 + TOLERANCE) if np.issubdtype(v.dtype, np.floating) else v for k, v in inputs.items()
    }
    moved = run(model, nudged, list(reference))
    with np.errstate(invalid="ignore"):  # infinity less infinity
        change = {name: np.abs(np.asarray(moved[name], np.float64) - reference[name]) for name in reference}
    return {name: float(d[np.isfinite(d)].max(initial=0)) for name, d in change.items()}


def random_inputs(model: ModelProto, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Normally distributed numbers, and 0 or 1 for integers, for each input without a default; shapes must be known.

    Raises UnreadableModel where they would take more memory than a network of a microcontroller has use for.
    """
    rng = np.random.default_rng(seed)
    defaults = {i.name for i in model.graph.initializer}
    drawn = [v for v in model.graph.input if v.name not in defaults]
    total = sum(math.prod(dims(v)) * _dtype(v).itemsize for v in drawn)
    if total > MAX_INPUT_BYTES:
        what = f"{total >> 20:,} MiB for one sequence of the inputs are more than {MAX_INPUT_BYTES >> 20:,} MiB"
        raise UnreadableModel(f"{what}: the largest is {max(drawn, key=lambda v: math.prod(dims(v))).name!r}")
    return {v.name: _random(v, rng) for v in drawn}


def _dtype(value: Any) -> np.dtype[Any]:
    from onnx import helper

    return np.dtype(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))


def _random(value: Any, rng: np.random.Generator) -> NDArray[Any]:
    """Drawn in the type that they stay in, or in float32: a second copy of float64 is the peak of memory."""
    shape, dtype = dims(value), _dtype(value)
    if np.issubdtype(dtype, np.floating):
        return np.asarray(rng.standard_normal(shape, dtype=np.float32)).astype(dtype, copy=False)
    return np.asarray(rng.integers(0, 2, shape, dtype=np.int8)).astype(dtype, copy=False)
