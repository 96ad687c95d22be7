"""The batch axis of a file: fixed above 1, each lane of it is a stream of its own; confused with time, it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnc.errors import Refused, UnreadableModel
from rnnc.frontend.read.fold import INITIAL, RECURRENT
from rnnc.frontend.read.inference import dims
from rnnc.frontend.read.limits import ancestry, constants, copied
from rnnc.frontend.read.running import DoesNotRun, run
from rnnc.frontend.read.simplify import TOLERANCE, random_inputs

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, ValueInfoProto

SHAPED = {"Reshape": 1, "Expand": 1, "ConstantOfShape": 0}
"""Which input of an operator is the shape of its result."""


def without_batch(model: ModelProto, batch: int) -> ModelProto:
    """A copy in which constant initial states of ``batch`` equal rows have one, and constant shapes 1 in its place."""
    from onnx import numpy_helper

    copy = copied(model)
    graph, stored = copy.graph, constants(copy.graph)
    starts = (name for node in graph.node if node.op_type in RECURRENT for name in node.input[INITIAL])
    states = ancestry(graph, starts, RECURRENT)
    shapes = {node.input[i] for node in graph.node for i in [SHAPED.get(node.op_type, 99)] if i < len(node.input)}
    for name, array in stored.items():
        smaller = _smaller_shape(array, batch) if name in shapes else _one_row(array, batch) if name in states else None
        if smaller is not None:
            _replace(graph, numpy_helper.from_array(smaller, name))
    return copy


def same_lanes(model: ModelProto, single: ModelProto, axes: Mapping[str, int]) -> bool:
    """Whether a model gives for each lane of its batch what ``single`` gives for that lane alone, as onnxruntime has it.

    Args:
        axes: the batch axis of each input that has one.

    True where onnxruntime does not run the model itself, False where no input has the batch.
    """
    names = [o.name for o in model.graph.output]
    inputs = random_inputs(model)
    try:
        together = run(model, inputs, names)
    except DoesNotRun:
        return True
    if not axes:
        return False
    lanes = max(inputs[name].shape[axis] for name, axis in axes.items())
    for lane in range(lanes):
        one = {k: np.take(x, [lane], axes[k]) if k in axes else x for k, x in inputs.items()}
        try:
            alone = run(single, one, names)
        except (DoesNotRun, UnreadableModel):
            return False
        if not all(_is_lane(together[name], alone[name], lane) for name in names):
            return False
    return True


def _is_lane(together: NDArray[Any], alone: NDArray[Any], lane: int) -> bool:
    """Whether a result is the given lane of another, along the one axis in which their shapes differ."""
    if together.ndim != alone.ndim:
        return False
    axes = [i for i, (n, m) in enumerate(zip(together.shape, alone.shape, strict=True)) if n != m]
    if len(axes) != 1 or alone.shape[axes[0]] != 1:
        return False
    mine = np.take(together, [lane], axes[0]).astype(np.float64)
    limit = TOLERANCE * max(float(np.abs(mine).max(initial=0)), 1e-6)
    return mine.shape == alone.shape and float(np.abs(mine - alone).max(initial=0)) <= limit


def _smaller_shape(array: NDArray[Any], batch: int) -> NDArray[Any] | None:
    """A shape with 1 where it has the batch first."""
    places = np.flatnonzero(array.ravel() == batch)
    if array.ndim != 1 or not places.size:
        return None
    smaller = array.copy()
    smaller[places[0]] = 1
    return smaller


def _one_row(array: NDArray[Any], batch: int) -> NDArray[Any] | None:
    """The first of ``batch`` equal rows, along the last axis of that length but the very last; None where they differ."""
    axes = [i for i, n in enumerate(array.shape[:-1]) if n == batch]
    if not axes:
        return None
    row = np.take(array, [0], axes[-1])
    return row if np.array_equal(np.broadcast_to(row, array.shape), array) else None


def _replace(graph: GraphProto, tensor: Any) -> None:
    """Put a constant in the place of the one of its name."""
    for initializer in graph.initializer:
        if initializer.name == tensor.name:
            initializer.CopyFrom(tensor)
            return
    node = next(n for n in graph.node if tensor.name in n.output)
    node.attribute[0].t.CopyFrom(tensor)


# --------------------------------------------------------------------------- batch and time confused


def check_not_swapped(given: ModelProto, bound: ModelProto, shapes: list[tuple[int, int]], where: str) -> None:
    """Refuse a file all of whose layers take one step of several sequences, each from a state that is not an input.

    Args:
        given: the model as it is in the file, whose axes messages name.
        bound: the same with a length for every axis.
        shapes: (steps, batch) that each recurrent node of ``bound`` sees.
    """
    if not shapes or any(steps != 1 or batch <= 1 for steps, batch in shapes) or _states_are_inputs(bound.graph):
        return
    batch = max(batch for _, batch in shapes)
    for before, value in zip(given.graph.input, bound.graph.input, strict=False):
        shape = dims(value)
        if len(shape) != 3 or batch not in shape[:2] or 1 not in shape[:2]:
            continue
        lane = shape.index(batch)
        first = "is batch_first=True missing?" if lane else "is batch_first=True one too many?"
        raise Refused(
            f"the recurrent layer scans axis {1 - lane} ({_length(before, 1 - lane)}) and takes axis {lane} "
            f"({_length(before, lane)}) as batch: {first}",
            where=f"{where}: input {value.name!r}",
            hint=f"Export it so that the layer scans axis {lane}. If that axis holds sequences side by side, one step of each "
            f"a call: --time-axis {value.name}={1 - lane}.",
        )


def _length(value: ValueInfoProto, axis: int) -> str:
    dim = value.type.tensor_type.shape.dim[axis]
    if dim.dim_value:
        return f"length {dim.dim_value}"
    return f"open, named {dim.dim_param!r}" if dim.dim_param else "open"


def _states_are_inputs(graph: GraphProto) -> bool:
    """Whether a layer starts from what an input holds, not only from its shape."""
    starts = (name for node in graph.node if node.op_type in RECURRENT for name in node.input[INITIAL])
    inputs = {v.name for v in graph.input} - {i.name for i in graph.initializer}
    return not inputs.isdisjoint(ancestry(graph, starts, ("Shape", "Size")))
