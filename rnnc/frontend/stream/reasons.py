"""Why an operator cannot be compiled, and what to do about it."""

from __future__ import annotations

import numpy as np

from rnnc.errors import Refused
from rnnc.frontend.read.fold import NO_CHANCE, RANDOM, RECURRENT, scanned_axis
from rnnc.frontend.read.lengths import LENGTHS
from rnnc.frontend.rewrite.editor import reached
from rnnc.tracing import Graph, Tensor, Traced

QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger")
ADVICE: dict[str, tuple[str, str]] = {
    "Einsum": ("is not a product of two tensors along one axis", "Write it as MatMul."),
    **dict.fromkeys(QUANTIZED, ("the model is already quantized", "Export it in float: rnnc quantizes it itself.")),
    "If": ("which branch runs depends on the data", "Bind what decides it (--bind NAME=VALUE), or export one branch."),
    **dict.fromkeys(
        ("NonZero", "Compress", "Unique", "NonMaxSuppression"),
        (
            "the size of its result depends on the data",
            "Multiply by a mask instead, or end before it: --output TENSOR.",
        ),
    ),
    **dict.fromkeys(
        ("Tan", "Atanh"),
        ("has poles, where no format holds its values", "Take the values before it as output: --output TENSOR."),
    ),
    **dict.fromkeys(
        ("IsNaN", "IsInf"),
        (
            "asks whether a computed number is finite, and integers always are",
            "Keep divisors and what roots and logarithms are taken of away from 0 (torch.clamp), and leave the question out.",
        ),
    ),
    "STFT": (
        "transforms overlapping blocks of samples",
        "Write it as a Conv1d whose weights are the window times cosines and sines, which streams; or export what follows, "
        "with spectra as its input.",
    ),
    "TopK": ("sorting is not supported", "Take the values before it as output: --output TENSOR."),
    **dict.fromkeys(
        ("GatherElements", "GatherND"),
        (
            "picks elements by a list of their places",
            "For the last step export a slice, y[:, -1]; for other places a list along one axis (Gather).",
        ),
    ),
    "Shape": ("a length that is not fixed is computed with", "Export with fixed or open axes that --bind can name."),
    "ReverseSequence": (
        "reverses part of the sequence",
        "Only the whole sequence can be reversed.",
    ),
}
"""By operator: what is wrong, and the way out."""
SEQUENCES = (
    "SequenceAt",
    "SequenceConstruct",
    "SequenceEmpty",
    "SequenceInsert",
    "SplitToSequence",
    "ConcatFromSequence",
)


class WrongAxis(Refused):
    """A recurrent node does not find time on the axis that it scans: another choice of axes may be right."""


class NeedsWindow(Exception):
    """The network answers once for a window of steps."""


def advice(op_type: str) -> tuple[str, str]:
    """What to say of an operator that no handler takes: what is wrong, and the way out."""
    if op_type in ADVICE:
        return ADVICE[op_type]
    if op_type in RANDOM:
        return f"{op_type} gives random numbers", NO_CHANCE
    if op_type in SEQUENCES:
        return "lists of tensors are not supported", "Export with fixed shapes, so that lists become tensors."
    return f"the operator {op_type} is not supported", "docs/supported.md lists what is."


def whole_numbers(graph: Graph, tensor: Tensor) -> tuple[str, str]:
    """What to say of an input of integers that no table is looked up with: what is wrong, and the way out."""
    layers = [n for n in graph.nodes if n.op_type in RECURRENT]
    made = reached((n for n in graph.nodes if n not in layers), [tensor.name])
    is_length = any(made.intersection(n.inputs[LENGTHS : LENGTHS + 1]) for n in layers)
    if is_length or "len" in tensor.name.lower():
        what = "it tells how long a sequence is, and a stream has no end"
        return what, f"Give it the length of a whole sequence: {_length_of_sequence(graph, tensor)}."
    if np.prod(tensor.shape, dtype=np.int64) == 1:
        what = "it is a single integer that looks up no table"
        setting = f"If it is a setting, --bind {tensor.name}=VALUE makes it a constant; else export it as floats."
        return what, f"If an output is its next value: --state {tensor.name}=OUTPUT. {setting}"
    what = "it holds integers that look up no table"
    return what, "Export the network with an input of floats; --input-affine takes raw counts."


def _length_of_sequence(graph: Graph, tensor: Tensor) -> str:
    """The exact --bind: the length that the file has, or both it and the open axis."""
    sequences = [t for t in graph.inputs if t.name != tensor.name and len(t.shape) > 1]
    open_axes = [f"{t.name}.{t.shape.index(graph.time)}" for t in sequences if graph.time and graph.time in t.shape]
    if open_axes:
        return f"--bind {tensor.name}=T --bind {open_axes[0]}=T, T a number of steps"
    layers = [n for n in graph.nodes if n.op_type in RECURRENT]
    readers = [n for n in layers if len(n.inputs) > LENGTHS and n.inputs[LENGTHS]] or layers
    steps = [graph.shapes[n.inputs[0]][scanned_axis(n)] for n in readers if n.inputs[0] in graph.shapes]
    return f"--bind {tensor.name}={steps[0]}" if steps else f"--bind {tensor.name}=T"


def unrecognised_sums(graph: Graph) -> str:
    """What to do about a file that takes exponentials of running sums; "" for others.

    So a recurrence is written that is computed for a whole sequence at once; what is recognised is none of it any more.
    """
    sums = [o for n in graph.nodes if n.op_type == "CumSum" for o in n.outputs]
    made = reached(graph.nodes, sums) if sums else set()
    if not any(n.op_type == "Exp" and made.intersection(n.inputs) for n in graph.nodes):
        return ""
    return (
        "The file takes exponentials of running sums: a linear recurrence, computed for all steps or for chunks of them at "
        "once, in a form that is not recognised (docs/supported.md, Linear recurrences). Export the step with its state as "
        "input and output, or a loop over the steps."
    )


def rows_of_table(graph: Graph, name: str) -> int:
    """How many rows the table has that a graph input of integers looks up; 0 where it is not found."""
    rows, names = (n for n in graph.nodes if n.op_type == "Embedding"), reached(graph.nodes, [name])
    return next((len(graph.constants[n.inputs[0]]) for n in rows if n.inputs[1] in names), 0)


def without_input(traced: Traced, where: str) -> Refused:
    """Why a constant, an initial state, or all steps of a sequence as one vector cannot be an output."""
    if traced.flat is not None:
        hint = "Take the values before it as output: --output TENSOR."
        return Refused("it holds all steps of a sequence side by side", where=where, hint=hint)
    if traced.kind == "static":
        what = "it is the same in every step, whatever the inputs are"
        return Refused(what, where=where, hint="Leave it out: --output NAME names the outputs to compile.")
    hint = "Let the file give what the step makes of it; the firmware can read it before the step (NAME_get_...)."
    return Refused("it is a state as the step finds it", where=where, hint=hint)
