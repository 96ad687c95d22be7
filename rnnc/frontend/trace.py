"""The Tracer: one walk through a graph with one choice of time axes, building the net op by op."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

import rnnc.ops  # noqa: F401  registers the handlers
from rnnc.errors import Refused
from rnnc.frontend.fold import fold
from rnnc.frontend.states import States
from rnnc.net import ALWAYS, Feedback, Net, Op, Output, State, Value, computed
from rnnc.options import Options
from rnnc.tracing import HANDLERS, AnyOp, Graph, InitialState, Node, Tensor, Traced
from rnnc.views import VIEWS, moved_inputs, view


class WrongAxis(Refused):
    """A recurrent node does not find time on the axis that it scans: another choice of axes may be right."""


class Trace:
    """Walks through a graph and builds a Net (``rnnc.tracing.Tracer``).

    ``axes`` holds the time axis of each input that is no state; where all are None the graph is one step itself.
    """

    def __init__(self, graph: Graph, states: States, options: Options, axes: Mapping[str, int | None]) -> None:
        self.graph = graph
        self.states = states
        self.options = options
        self.axes = axes
        self.single_step = all(axis is None for axis in axes.values())
        self.tensors: dict[str, Traced] = {}
        self.values: dict[str, Value] = {}
        self.inputs: list[Value] = []
        self.ops: list[Op] = []
        self.done = 0
        """Nodes walked through so far."""

    def run(self) -> Net:
        """Walk through the graph; raises Refused."""
        for tensor in self.graph.inputs:
            self.tensors[tensor.name] = self._input(tensor)
        for name, array in self.graph.constants.items():
            self.tensors[name] = Traced(array.shape, "static", const=array)
        for node in self.graph.nodes:
            self._walk(node)
            self.done += 1
        return self._net()

    # ----------------------------------------------------------------- what handlers use

    @property
    def open_time(self) -> bool:
        """Whether the file leaves the length of a sequence open."""
        return self.graph.time > 0

    def input(self, node: Node, index: int) -> Traced | None:
        """Input ``index`` of a node, None where it is missing."""
        if index >= len(node.inputs) or not node.inputs[index]:
            return None
        name = node.inputs[index]
        if name not in self.tensors:
            self.refuse(node, f"input {name!r} is not known here")
        traced = self.tensors[name]
        if traced.kind == "state":
            self.refuse(node, f"changes the initial state {traced.value!r} before a recurrent layer takes it")
        return traced

    def constant(self, node: Node, index: int) -> NDArray[Any] | None:
        """Input ``index`` as an array, None where it is missing; refused where it is computed from the inputs."""
        traced = self.input(node, index)
        if traced is None:
            return None
        if traced.const is None:
            self.refuse(node, f"input {index} is computed from the network's inputs; only a constant is supported")
        return traced.const

    def value(self, name: str) -> Value:
        """A value of the net."""
        return self.values[name]

    def add(
        self, node: Node, make: Callable[..., AnyOp], inputs: Sequence[str], outputs: int = 1, **fields: Any
    ) -> AnyOp:
        """Add an op under fresh names."""
        kind = str(getattr(make, "kind"))  # noqa: B009  a class variable of every op
        name = f"{kind}{sum(op.kind == kind for op in self.ops)}"
        names = (name,) if outputs == 1 else tuple(f"{name}.{i}" for i in range(outputs))
        op = make(name, tuple(inputs), names, node=node.name or node.outputs[0], **fields)
        self._same_ticks(node, op)
        self.values.update((value.name, value) for value in computed(op, [self.values[n] for n in inputs]))
        self.ops.append(op)
        return op

    def result(self, node: Node, index: int, traced: Traced) -> None:
        """Say what output ``index`` of a node is."""
        if index < len(node.outputs) and node.outputs[index]:
            if self.single_step and traced.kind in ("stream", "last"):
                traced = replace(traced, kind="stream", time=None)
            self.tensors[node.outputs[index]] = traced

    def initial_state(self, node: Node, index: int, size: int) -> InitialState:
        """The initial state that input ``index`` gives."""
        name = node.inputs[index] if index < len(node.inputs) else ""
        if not name:
            return InitialState(np.zeros(size))
        traced = self.tensors[name]
        elements = int(np.prod(traced.shape, dtype=np.int64))
        if elements != size:
            self.refuse(
                node,
                f"its initial state {name!r} has {elements} elements, the layer {size} units: a broken export",
                "torch.onnx.export(dynamo=True) drops the projection of LSTM(proj_size=...): export with dynamo=False.",
            )
        if traced.const is not None:
            return InitialState(np.asarray(traced.const, np.float64).ravel())
        if traced.kind != "state" or traced.window is None:
            self.refuse(node, f"its initial state {name!r} is computed from the network's inputs")
        whole = np.arange(self._size(traced.value))
        window = traced.window.ravel()
        return InitialState(np.zeros(size), traced.value, None if np.array_equal(window, whole) else window)

    def require_time(self, node: Node, traced: Traced, axis: int) -> None:
        """Give up this choice of axes unless time is axis ``axis`` of a stream."""
        if self.single_step and traced.kind == "stream" and traced.shape[axis] == 1:
            return
        if traced.kind == "last":
            self.refuse(node, "it scans the result of a whole sequence", "Compile the two parts as two networks.")
        if traced.time != axis or traced.kind != "stream":
            what = "no time axis there" if traced.time is None else f"time on axis {traced.time}"
            raise WrongAxis(
                f"it scans axis {axis} of an input {list(traced.shape)} that has {what}",
                where=self._where(node),
                hint="Say which axis of which input is time: --time-axis INPUT=AXIS.",
            )

    def refuse(self, node: Node, what: str, hint: str = "") -> NoReturn:
        """Raise Refused, naming the node."""
        raise Refused(what, where=self._where(node), hint=hint)

    # ----------------------------------------------------------------- the walk

    def _where(self, node: Node) -> str:
        return f"{self.graph.file}: {node.label}" if self.graph.file else node.label

    def _size(self, graph_input: str) -> int:
        return next(int(np.prod(t.shape, dtype=np.int64)) for t in self.graph.inputs if t.name == graph_input)

    def _input(self, tensor: Tensor) -> Traced:
        shape = tensor.shape
        if tensor.name in self.states.initial:
            elements = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)
            return Traced(shape, "state", value=tensor.name, window=elements)
        traced = Traced(shape, "stream", self.axes.get(tensor.name), tensor.name)
        value = Value(tensor.name, traced.frame)
        if tensor.name in self.states.feedback:
            value = replace(value, clock=ALWAYS)
        else:
            if np.issubdtype(np.dtype(tensor.dtype), np.integer):
                value = replace(value, dtype="index", rows=_rows(self.graph, tensor.name))
            self.inputs.append(value)
        self.values[tensor.name] = value
        return traced

    def _walk(self, node: Node) -> None:
        known = [self.tensors[n] for n in node.inputs if n in self.tensors]
        if known and all(t.kind == "static" for t in known) and self._fold(node):
            return
        if any(t.kind == "state" for t in known) and node.op_type in VIEWS:
            self._view_of_state(node)
            return
        if node.op_type not in HANDLERS:
            self.refuse(node, f"the operator {node.op_type} is not supported", "docs/supported.md lists what is.")
        HANDLERS[node.op_type](node, self)

    def _fold(self, node: Node) -> bool:
        arrays = [self.tensors[n].const if n else None for n in node.inputs]
        results = fold(node, arrays, self.graph.opset)
        for name, array in zip(node.outputs, results or [], strict=False):
            self.tensors[name] = Traced(array.shape, "static", const=array)
        return results is not None

    def _view_of_state(self, node: Node) -> None:
        moved = [self.tensors[name] for name in moved_inputs(node)]
        constants = {n: t.const for n, t in self.tensors.items() if t.const is not None and n in node.inputs}
        windows = [t.window for t in moved if t.window is not None]
        results = view(node, windows, constants)
        if len({t.value for t in moved}) > 1 or len(windows) < len(moved) or results is None:
            self.refuse(node, "mixes an initial state with other tensors")
        for i, window in enumerate(results):
            self.result(node, i, Traced(window.shape, "state", value=moved[0].value, window=window))

    def _same_ticks(self, node: Node, op: Op) -> None:
        clocks = {self.values[name].clock for name in op.inputs}
        if not op.elastic and len({(c.rate, c.phase) for c in clocks if c.rate}) > 1:
            self.refuse(node, f"its inputs are not new at the same steps: {' and '.join(str(c) for c in clocks)}")

    # ----------------------------------------------------------------- the result

    def _net(self) -> Net:
        hidden = set() if self.options.outputs else set(self.states.pairs.values())
        outputs = [self._output(name) for name in self.graph.wanted if name not in hidden]
        if not outputs:
            hint = "Name one: --output TENSOR."
            raise Refused("all outputs of the graph only feed its states", where=self.graph.file, hint=hint)
        feedback = [self._feedback(t) for t in self.graph.inputs if t.name in self.states.feedback]
        needed = {o.value for o in outputs} | {f.next for f in feedback}
        ops: list[Op] = []
        for op in reversed(self.ops):
            if needed.intersection(op.outputs):
                needed.update(op.inputs)
                ops.append(op)
        return Net(self.graph.name, tuple(self.inputs), tuple(reversed(ops)), tuple(outputs), tuple(feedback))

    def _output(self, name: str) -> Output:
        traced = self.tensors[name]
        if traced.kind in ("static", "state"):
            raise Refused("it does not depend on the network's inputs", where=f"{self.graph.file}: output {name!r}")
        return Output(name, traced.value, "last" if traced.kind == "last" else "stream")

    def _feedback(self, tensor: Tensor) -> Feedback:
        output = self.tensors[self.states.pairs[tensor.name]]
        if output.kind not in ("stream", "last"):
            raise Refused(
                "what feeds it is no result of the network", where=f"{self.graph.file}: state {tensor.name!r}"
            )
        shape = Traced(tensor.shape, "stream").frame
        return Feedback(State(tensor.name, shape, np.zeros(shape), alias=tensor.name), output.value)


def _rows(graph: Graph, name: str) -> int:
    """How many rows the table has that a graph input of integers looks up; 0 where it is not found."""
    names = {name}
    for node in graph.nodes:
        if node.op_type == "Embedding" and node.inputs[1] in names:
            return len(graph.constants[node.inputs[0]])
        if names & set(node.inputs):
            names.update(node.outputs)
    return 0
