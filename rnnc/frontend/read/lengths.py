"""An input that tells how long each sequence is (packed sequences, masks): it is the length of the sequence that is given.

A stream's sequence is as long as it has come. What the file takes from the place length - 1 is then its last step.
"""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

from rnnc.frontend.read.binding import role
from rnnc.frontend.read.fold import RECURRENT
from rnnc.frontend.read.limits import ancestry

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, ValueInfoProto

LENGTHS = 4
"""Which input of LSTM, GRU and RNN tells how long each sequence is."""


def without_lengths_inputs(model: ModelProto, bound: Container[str]) -> list[str]:
    """Compute inputs of lengths from the sequence's own, in place, where an axis is named as time; which inputs they are.

    There is one sequence: the axis of a batch of them gets the length 1.

    Args:
        bound: inputs whose values the user gives.
    """
    from onnx import helper

    graph = model.graph
    defaults = {i.name for i in graph.initializer}
    inputs = [v for v in graph.input if v.name not in defaults]
    found = [v for v in inputs if v.name not in bound and _tells_lengths(graph, v)]
    time = next(((v.name, i) for v in inputs if v not in found for i in _times(v)), None)
    if time is None:
        return []
    for value in found:
        name, kind = value.name, value.type.tensor_type
        axis = helper.make_tensor(f"{name}.axis", 7, [1] * len(kind.shape.dim), [time[1]])
        graph.initializer.append(axis)
        nodes = [
            helper.make_node("Shape", [time[0]], [f"{name}.shape"]),
            helper.make_node("Gather", [f"{name}.shape", axis.name], [f"{name}.length"]),
            helper.make_node("Cast", [f"{name}.length"], [name], to=kind.elem_type),
        ]
        for node in reversed(nodes):
            graph.node.insert(0, node)
        graph.input.remove(value)
        batch = {d.dim_param for d in kind.shape.dim if d.dim_param}
        for dim in (d for v in inputs for d in v.type.tensor_type.shape.dim if d.dim_param in batch):
            dim.dim_value = 1
    return [value.name for value in found]


def _tells_lengths(graph: GraphProto, value: ValueInfoProto) -> bool:
    """Whether an input is one whole number that a layer takes as its sequence's length, or that is named so."""
    kind = value.type.tensor_type
    dims = kind.shape.dim
    if kind.elem_type not in (6, 7) or len(dims) > 1 or any(d.dim_value > 1 for d in dims):
        return False
    asked = (n.input[LENGTHS] for n in graph.node if n.op_type in RECURRENT and len(n.input) > LENGTHS)
    return "len" in value.name.lower() or value.name in ancestry(graph, [name for name in asked if name])


def _times(value: ValueInfoProto) -> list[int]:
    """The axes of an input whose names say that they are time."""
    return [i for i, d in enumerate(value.type.tensor_type.shape.dim) if d.dim_param and role(d.dim_param) == "time"]
