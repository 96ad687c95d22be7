"""Scan: its body is what happens in one step, so its nodes become ops of the step, its states states of the net."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rnnc.clock import ALWAYS
from rnnc.frontend.recurrence.flow import Flow
from rnnc.net import Value
from rnnc.ops.reverse import backwards
from rnnc.tracing import Graph, InitialState, Node, Traced

if TYPE_CHECKING:
    from rnnc.frontend.stream.trace import Trace


def scan(trace: Trace, node: Node) -> None:
    """Walk through the body of a Scan as a graph of one step, inside a walk through the graph that holds it."""
    body: Graph = node.attributes["body"]
    count = len(node.inputs) - int(node.attributes["num_scan_inputs"])
    steps = _steps(trace, node, count)
    flow = Flow(body)
    inner = trace.within(body)
    inner.tensors.update((name, t) for name, t in trace.tensors.items() if t.time is None)
    for tensor, traced in zip(body.inputs[count:], steps, strict=True):
        inner.tensors[tensor.name] = traced
    fed: list[tuple[str, int, InitialState]] = []
    for k, (tensor, name) in enumerate(zip(body.inputs[:count], node.inputs, strict=False)):
        size = int(np.prod(tensor.shape, dtype=np.int64))
        start = trace.start(node, name, size)
        own = tensor.name in flow.slots and tensor.name not in flow.read and flow.feeds(tensor, body.outputs[k])
        if own:
            inner.tensors[tensor.name] = replace(trace.tensors[name], shape=tensor.shape)
        else:
            state = f"state{len(trace.parts.feedback) + len(fed)}"
            value = Value(state, Traced(tensor.shape, "stream").frame, clock=ALWAYS)
            trace.values[state] = value
            inner.tensors[tensor.name] = Traced(tensor.shape, "stream", None, state)
            fed.append((state, k, start))
    inner.walk()
    for state, k, start in fed:
        inner.feed(state, body.outputs[k].name, body.inputs[k].shape, start)
    _results(trace, inner, node, count)


def _steps(trace: Trace, node: Node, count: int) -> list[Traced]:
    """What the body gets of each sequence: it without its time axis."""
    names = node.inputs[count:]
    axes = node.attributes.get("scan_input_axes", [0] * len(names))
    steps = []
    for i, place in enumerate(axes):
        x = trace.input(node, count + i)
        assert x is not None
        axis = place % len(x.shape)
        trace.require_time(node, x, axis)
        if _is_backward(node, "scan_input_directions", i):
            x = backwards(node, trace, x)
        steps.append(Traced((*x.shape[:axis], *x.shape[axis + 1 :]), "stream", None, x.value))
    return steps


def _results(trace: Trace, inner: Trace, node: Node, count: int) -> None:
    """Final states are what the sequence so far gives; what the body stacks up is a stream."""
    body: Graph = node.attributes["body"]
    stacked = len(body.outputs) - count
    axes = node.attributes.get("scan_output_axes", [0] * stacked)
    first = trace.input(node, count)
    assert first is not None
    length = first.shape[node.attributes.get("scan_input_axes", [0])[0]]
    for k, tensor in enumerate(body.outputs):
        result = inner.tensors[tensor.name]
        if result.kind not in ("stream", "last"):
            trace.refuse(node, f"its result {k} does not depend on the sequence", "Take that result out of the loop.")
        if k < count:
            trace.result(node, k, replace(result, kind="last"))
        else:
            axis = axes[k - count] % (len(result.shape) + 1)
            shape = (*result.shape[:axis], length, *result.shape[axis:])
            stream = replace(result, kind="stream", shape=shape, time=axis)
            turned = _is_backward(node, "scan_output_directions", k - count)
            trace.result(node, k, backwards(node, trace, stream) if turned else stream)


def _is_backward(node: Node, attribute: str, index: int) -> bool:
    directions = node.attributes.get(attribute, ())
    return index < len(directions) and bool(directions[index])
