"""Recurrent nodes that scan an axis of each frame, not time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnc.frontend.read.fold import INITIAL, RECURRENT, scanned_axis
from rnnc.frontend.recurrence.forward import forward_nodes
from rnnc.tracing import Node, Traced

if TYPE_CHECKING:
    from rnnc.frontend.stream.trace import Trace


def along_frame(trace: Trace, node: Node, x: Traced) -> bool:
    """Whether a recurrent node scans an axis of each frame of x, from the same state in every frame.

    It does so where time is on its batch axis, if the file leaves that open or no layer could scan time else; or where the
    file is one step, as its states or the user say, and the axis has more than one element.
    """
    axis = scanned_axis(node)
    if x.kind != "stream" or x.flat is not None or x.time == axis or x.shape[axis] == 1:
        return False
    if any(trace.tensors[name].kind != "static" for name in node.inputs[INITIAL] if name):
        return False
    if trace.single_step:
        return bool(trace.states.initial or trace.states.feedback) or trace.parts.one_step
    return (trace.open_time or trace.parts.inner) and x.time == 1 - axis


def both_ways(trace: Trace, node: Node) -> bool:
    """Walk through a node that scans each frame backwards, or both ways, as through forward ones; whether it is one."""
    x = trace.tensors.get(node.inputs[0]) if node.op_type in RECURRENT else None
    if x is None or node.attributes.get("direction", "forward") == "forward" or not along_frame(trace, node, x):
        return False
    nodes, constants = forward_nodes(trace.graph, node)
    trace.tensors |= {name: Traced(array.shape, "static", const=array) for name, array in constants.items()}
    for one in nodes:
        trace.walk_node(one)
    return True
