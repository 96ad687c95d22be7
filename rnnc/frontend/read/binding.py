"""Every open dimension becomes a number: 1 for the batch, a distinctive length for time; scalars become constants.

With all lengths known, the arithmetic on shapes that exporters leave in a graph folds to constants, and files with open
and with fixed axes are alike from then on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING

import numpy as np

from rnnc.errors import Refused, UsageError
from rnnc.frontend.read.batch import check_not_swapped, same_lanes, without_batch
from rnnc.frontend.read.demands import addressed
from rnnc.frontend.read.fold import RECURRENT
from rnnc.frontend.read.inference import dims, infer_shapes
from rnnc.frontend.read.limits import copied, first_line
from rnnc.frontend.read.naming import named_as_state
from rnnc.options import Options

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

BATCH_WORDS = {"batch", "batches", "batchsize", "n", "b", "bs", "bsz"}
TIME_WORDS = {
    *("t", "time", "times", "timesteps", "steps", "step", "seq", "seqlen", "sequence", "len", "length", "l"),
    *("frame", "frames"),
}
SHORTEST = 29
MOST_TRIALS = 64
INNER = (
    "Where the file is one step, and the layer scans each frame: --time-axis INPUT=none. "
    "Where the axis is time: --time-axis INPUT=AXIS, --bind BATCH=1."
)


@dataclass(frozen=True, eq=False)
class Binding:
    """A model whose inputs have known lengths.

    Args:
        time: the length of the open time axis, 0 where the file fixes it.
        guessed: the lengths that neither the user nor a name nor the graph tells, as --bind would say them.
        unnamed: the axes (input, axis) among them that may be time, or the length of a block.
        batched: what to say of a batch that cannot be set to 1, where its members are no bands of one frame.
    """

    model: ModelProto
    time: int
    guessed: tuple[str, ...] = ()
    unnamed: tuple[tuple[str, int], ...] = ()
    batched: Refused | None = None


@dataclass(frozen=True)
class _Axis:
    """A dimension of an input: its symbol (an own one where the file gives no name), or its length."""

    input: str
    index: int
    symbol: str
    length: int


def bind(model: ModelProto, options: Options, where: str, multiple: int = 1) -> Binding:
    """Choose lengths for all open dimensions and put them into a copy of the model.

    Named dimensions and scalar inputs follow ``options.bind``, time ``options.time_axis``; else the dimension's name
    says what it is; else each way is tried, and the one is taken where recurrent nodes see a batch of 1 and more than
    one step.
    """
    copy = copied(model)
    values = {name: n for name, n in options.bind.items() if not addressed(copy.graph, name)}
    _bind_scalars(copy.graph, values, where)
    axes = _axes(copy.graph, where)
    _check_names(axes, values, copy.graph, where)
    time = options.window or multiple * _time_length(copy.graph)
    fixed = _known_roles(axes, options, values, time, where)
    trials = list(islice(_trials(axes, fixed, time), MOST_TRIALS))
    best = trials[0] if len(trials) == 1 else min(trials, key=lambda trial: _misfit(_apply(copy, axes, trial)))
    result = _apply(copy, axes, best)
    if not options.time_axis:
        check_not_swapped(copy, result, _recurrent_shapes(result), where)
    batched: Refused | None = None
    if _batches(result):
        try:
            best, copy = _unbatch(copy, axes, best, where)
            result = _apply(copy, axes, best)
        except Refused as refused:
            batched = refused
    by_user = {symbol for symbol in best if symbol in values}
    is_open = any(n == time and s not in by_user for s, n in best.items())
    guessed = [a for a in axes if a.symbol in best and a.symbol not in fixed]
    told = tuple(dict.fromkeys(f"{_address(a)}={best[a.symbol]}" for a in guessed))
    unnamed = tuple((a.input, a.index) for a in guessed if a.symbol not in _likely_batch(axes))
    return Binding(result, time if is_open else 0, told, unnamed, batched)


def _bind_scalars(graph: GraphProto, values: dict[str, float], where: str) -> None:
    """Turn inputs of one element that ``values`` names into constants."""
    from onnx import helper, numpy_helper

    for value in [v for v in graph.input if v.name in values]:
        kind = value.type.tensor_type
        dims = kind.shape.dim
        if any(d.dim_value > 1 for d in dims):
            raise UsageError(f"--bind {value.name}: it has more than one element", where=where)
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        array = np.full([1] * len(dims), values.pop(value.name)).astype(dtype)
        graph.initializer.append(numpy_helper.from_array(array, value.name))
        graph.input.remove(value)


def _axes(graph: GraphProto, where: str) -> list[_Axis]:
    constants = {i.name for i in graph.initializer}
    axes = []
    for value in graph.input:
        kind = value.type.tensor_type
        if not kind.HasField("shape"):
            raise Refused(
                "its number of axes is not known",
                where=f"{where}: input {value.name!r}",
                hint="Export it with a shape.",
            )
        for i, dim in enumerate(kind.shape.dim):
            symbol = "" if dim.dim_value > 0 else dim.dim_param or f"{value.name}[{i}]"
            if value.name in constants and symbol:
                raise Refused(
                    "it has a default value and an open shape",
                    where=f"{where}: input {value.name!r}",
                    hint="Export it with a fixed shape, or without the default value.",
                )
            axes.append(_Axis(value.name, i, symbol, dim.dim_value))
    return axes


def _address(axis: _Axis) -> str:
    """How --bind names an axis: by its own name, or as INPUT.AXIS."""
    return f"{axis.input}.{axis.index}" if "[" in axis.symbol else axis.symbol


def _check_names(axes: list[_Axis], values: Mapping[str, float], graph: GraphProto, where: str) -> None:
    symbols = {a.symbol for a in axes if a.symbol}
    for name, value in values.items():
        if name in symbols:
            if value < 1 or value != int(value):
                raise UsageError(f"--bind {name}={value:g}: a length is a positive integer", where=where)
        elif name.lower() not in BATCH_WORDS or value != 1:
            choices = sorted({_address(a) for a in axes if a.symbol}) + [v.name for v in graph.input]
            choice = ", ".join(choices) or "none"
            raise UsageError(
                f"--bind {name}={value:g}: no such dimension or input", where=where, hint=f"There are: {choice}"
            )


def _time_length(graph: GraphProto) -> int:
    """Return a prime that occurs nowhere in the file as a length and exceeds every convolution's receptive field."""
    taken = {d for i in graph.initializer for d in i.dims}
    taken = taken.union(*map(dims, graph.input))
    weights = {i.name: list(i.dims) for i in graph.initializer}
    reach = sum(_reach(node, weights) for node in graph.node)
    n = max(SHORTEST, min(reach, 4096) + SHORTEST)
    while n in taken or any(n % k == 0 for k in range(2, int(n**0.5) + 1)):
        n += 1
    return n


def _reach(node: NodeProto, weights: Mapping[str, list[int]]) -> int:
    """Twice the frames that a convolution or pool sees beyond one; ``weights`` are the shapes of constants."""
    attributes = {a.name: list(a.ints) for a in node.attribute if a.ints}
    if node.op_type == "Conv":
        attributes.setdefault("kernel_shape", weights.get(node.input[1], [])[2:])
    kernel, dilations = attributes.get("kernel_shape", []), attributes.get("dilations", [])
    return 2 * max(((k - 1) * d for k, d in zip(kernel, dilations or [1] * len(kernel), strict=False)), default=0)


def role(symbol: str) -> str:
    """What the name of a dimension says: "batch", "time" or nothing."""
    words = set(re.findall("[a-z]+", symbol.lower()))
    if words & BATCH_WORDS and not words & (TIME_WORDS - {"t", "l"}):
        return "batch"
    return "time" if words & TIME_WORDS and not words & BATCH_WORDS else ""


def _known_roles(
    axes: list[_Axis], options: Options, values: Mapping[str, float], time: int, where: str
) -> dict[str, int]:
    """The length of each symbol that the user or its name decides."""
    names = {a.input for a in axes}
    for name in options.time_axis:
        if name not in names:
            choice = ", ".join(sorted(names))
            raise UsageError(
                f"--time-axis {name}: the model has no such input", where=where, hint=f"There are: {choice}"
            )
    fixed: dict[str, int] = {}
    for axis in axes:
        rank = sum(a.input == axis.input for a in axes)
        if not axis.symbol:
            continue
        if axis.symbol in values:
            fixed[axis.symbol] = int(values[axis.symbol])
        elif axis.input in options.time_axis:
            chosen = options.time_axis[axis.input]
            is_time = chosen is not None and chosen % rank == axis.index
            fixed[axis.symbol] = time if is_time else fixed.get(axis.symbol, 1)
    for symbol in {a.symbol for a in axes} - fixed.keys() - {""}:
        named = "[" not in symbol and role(symbol)
        if named:
            fixed[symbol] = 1 if named == "batch" else time
    return fixed


def _likely_batch(axes: list[_Axis]) -> set[str]:
    """The symbols of leading axes, and those of what is named as a state."""
    leading = {a.symbol for a in axes if a.index == 0 and sum(b.input == a.input for b in axes) > 1}
    return leading | {a.symbol for a in axes if named_as_state(a.input)}


def _trials(axes: list[_Axis], fixed: dict[str, int], time: int) -> Iterator[dict[str, int]]:
    """Lengths for all symbols: first the likeliest (any but a batch is time), then all others."""
    unknown = [s for s in dict.fromkeys(a.symbol for a in axes) if s and s not in fixed]
    batch = _likely_batch(axes)
    choices = [(1, time) if s in batch else (time, 1) for s in unknown]
    for choice in product(*choices):
        yield {**fixed, **dict(zip(unknown, choice, strict=True))}


def _apply(model: ModelProto, axes: list[_Axis], lengths: Mapping[str, int]) -> ModelProto:
    """A copy with the symbols' lengths; a key "input[i]" sets one dimension, also one of fixed length."""
    bound = copied(model)
    inputs = {v.name: v for v in bound.graph.input}
    for axis in axes:
        n = lengths.get(f"{axis.input}[{axis.index}]", lengths.get(axis.symbol))
        if n is not None:
            inputs[axis.input].type.tensor_type.shape.dim[axis.index].dim_value = n
    return bound


def _recurrent_shapes(model: ModelProto) -> list[tuple[int, int]]:
    """(steps, batch) that each recurrent node sees; 0 where shape inference does not tell."""
    try:
        return [(steps, batch) for steps, batch, _ in _recurrent_axes(infer_shapes(model))]
    except Exception:
        return []


def _recurrent_axes(inferred: ModelProto) -> Iterator[tuple[int, int, int]]:
    """(steps, batch, initial states of another batch) of each recurrent node."""
    known = {v.name: dims(v) for v in [*inferred.graph.value_info, *inferred.graph.input]}
    for node in inferred.graph.node:
        if node.op_type in RECURRENT and node.input[0] in known and len(known[node.input[0]]) == 3:
            layout = next((a.i for a in node.attribute if a.name == "layout"), 0)
            steps, batch = known[node.input[0]][1::-1] if layout else known[node.input[0]][:2]
            states = [known[name] for name in node.input[5:7] if len(known.get(name, ())) == 3]
            yield steps, batch, sum(s[0 if layout else 1] != batch for s in states)


def _misfit(model: ModelProto) -> tuple[bool, int, int, int]:
    """Whether its shapes contradict, how many recurrent nodes see a single step, how many several sequences, and others."""
    try:
        found = list(_recurrent_axes(infer_shapes(model, strict=True)))
    except Exception:
        return True, 0, 0, 0
    batches, single = sum(batch > 1 for _, batch, _ in found), sum(steps == 1 for steps, _, _ in found)
    return False, single, batches, sum(other for *_, other in found)


def scans_time(bound: Binding) -> bool:
    """Whether a recurrent node scans the axis that is open for time: it is no block that a step takes at once."""
    return any(steps == bound.time for steps, _ in _recurrent_shapes(bound.model))


def _batches(model: ModelProto) -> int:
    """The batch, above 1, that some recurrent node sees; 0 if there is none."""
    return max((batch for _, batch in _recurrent_shapes(model) if batch > 1), default=0)


def _unbatch(
    model: ModelProto, axes: list[_Axis], lengths: dict[str, int], where: str
) -> tuple[dict[str, int], ModelProto]:
    """Lengths with the fixed batch of the file set to 1, and the model for them; refused where they are not found."""
    together = _apply(model, axes, lengths)
    batch = _batches(together)
    batched = [a for a in axes if a.length == batch]
    inputs = list(dict.fromkeys(a.input for a in batched))
    choices = list(islice(product(*[[a for a in batched if a.input == name] for name in inputs]), MOST_TRIALS))
    reason = ""
    for candidate, chosen in product((model, without_batch(model, batch)), choices):
        trial = {**lengths, **{f"{a.input}[{a.index}]": 1 for a in chosen}}
        bound = _apply(candidate, axes, trial)
        try:
            infer_shapes(bound, strict=True)
        except Exception as error:
            reason = first_line(error)
            continue
        if not _batches(bound) and same_lanes(together, bound, {a.input: a.index for a in chosen}):
            return trial, candidate
    inner = next((steps for steps, lanes in _recurrent_shapes(together) if steps > 1 and batch in (steps, lanes)), 0)
    if inner and (not batched or any(steps == batch for steps, _ in _recurrent_shapes(together))):
        raise Refused(
            f"a recurrent layer scans {inner} elements beside a batch of {batch}: which of the two is time is not known",
            where=where,
            hint=INNER,
        )
    raise Refused(
        f"recurrent layers see a batch of {batch}, and it cannot be set to 1{f' ({reason})' if reason else ''}",
        where=where,
        hint="Export the network with a batch of 1 or an open batch axis; name open axes with --bind and --time-axis.",
    )
