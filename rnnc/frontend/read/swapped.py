"""Files in which batch and time were confused when they were exported: the recurrent layers scan an axis of length 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnc.errors import Refused
from rnnc.frontend.read.limits import ancestry

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, ValueInfoProto

RECURRENT = ("LSTM", "GRU", "RNN")
INITIAL = slice(5, 7)
"""The inputs of a recurrent node that are its initial states."""


def check_not_swapped(given: ModelProto, bound: ModelProto, shapes: list[tuple[int, int]], where: str) -> None:
    """Refuse a file all of whose layers take one step of several sequences, each from a state that nobody hands in.

    Args:
        given: the model as it is in the file, whose axes messages name.
        bound: the same with a length for every axis.
        shapes: (steps, batch) that each recurrent node of ``bound`` sees.
    """
    if not shapes or any(steps != 1 or batch <= 1 for steps, batch in shapes) or _states_are_inputs(bound.graph):
        return
    batch = max(batch for _, batch in shapes)
    for before, value in zip(given.graph.input, bound.graph.input, strict=False):
        dims = [d.dim_value for d in value.type.tensor_type.shape.dim]
        if len(dims) != 3 or batch not in dims[:2] or 1 not in dims[:2]:
            continue
        lane = dims.index(batch)
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
