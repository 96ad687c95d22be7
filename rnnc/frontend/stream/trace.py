"""The Tracer: one walk through a graph with one choice of time axes, building the net op by op."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

import rnnc.ops  # noqa: F401  registers the handlers
from rnnc.errors import Refused
from rnnc.frontend.read.fold import RECURRENT, fold
from rnnc.frontend.recurrence.sums import SUMS
from rnnc.frontend.rewrite.elements import follow
from rnnc.frontend.stream.finish import finish, only_from
from rnnc.frontend.stream.inside import along_frame, both_ways
from rnnc.frontend.stream.reasons import NeedsWindow, WrongAxis, advice, rows_of_table, whole_numbers, without_input
from rnnc.frontend.stream.scan import scan
from rnnc.frontend.stream.states import States
from rnnc.frontend.stream.whole import handle_whole, reopen, repeated_start
from rnnc.net import Feedback, Net, Op, Output, State, Value
from rnnc.ops.time_shift import last_of_window
from rnnc.tracing import HANDLERS, AnyOp, Graph, InitialState, Node, Tensor, Traced
from rnnc.views import VIEWS, moved_inputs

FIX = "Make it a weight, or bind the input that it is computed from (--bind NAME=VALUE)."
FLAT_READERS = ("Dense", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout")
STEP_FILE = "It is one step: call NAME_reset after every T of them, or export the network with a sequence as its input."
BACKWARD = "It needs the whole sequence: retrain without it."
BACKWARD_IN_WINDOWS = "It needs the whole sequence. Compile with --window T, or retrain without it."

COMPUTED_START = (
    "A state that the file works on before the layer takes it (episode starts, say) compiles in a file of one step a call; "
    "else export the layer with its state as it is, and call reset where a sequence starts."
)


@dataclass
class Parts:
    """What a net is built of, shared by the walk through a graph and those through bodies inside it.

    Args:
        steps: of the graph's sequence.
        window: the steps of a window that the user asks for, 0 for none.
        hop: steps from one window to the next, 0 for as many as a window has.
        windowed: whether the network is one that answers once a window.
        one_step: whether the user says that no axis of any input is time.
        blocks: whether a window holds all blocks of steps before zeros are joined to them.
        inner: whether layers may scan each frame of a file whose sequence has a fixed length.
        lengths: how many ticks each value has in the sequence of the graph.
        wholes: streams, by value, time axis and shape, as values of the whole window.
    """

    steps: int = 1
    window: int = 0
    hop: int = 0
    windowed: bool = False
    one_step: bool = False
    blocks: bool = False
    inner: bool = False
    lengths: dict[str, int] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """Ops of each kind."""
    wholes: dict[tuple[str, int, tuple[int, ...]], Traced] = field(default_factory=dict)


class Trace:
    """Walks through a graph and builds a Net (``rnnc.tracing.Tracer``).

    Args:
        graph: the graph, or the body of a Scan.
        states: the graph's inputs that are states.
        axes: the time axis of each other input; where all are None the graph is one step itself.
        parts: what to add to.
        repeats: where no input has time, how often the graph repeats one to make a sequence of it; 0 where it does not.
    """

    def __init__(
        self,
        graph: Graph,
        states: States,
        axes: Mapping[str, int | None],
        parts: Parts | None = None,
        repeats: int = 0,
    ) -> None:
        self.graph = graph
        self.states = states
        self.axes = axes
        self.parts = parts or Parts()
        self.values, self.ops = self.parts.values, self.parts.ops
        self.repeats = repeats
        self.single_step = not repeats and all(axis is None for axis in axes.values())
        self.tensors: dict[str, Traced] = {}
        self.inputs: list[Value] = []
        self.done = 0
        """Nodes walked through so far."""
        self.confirmed = 0
        """How often time was where a node scans."""

    def within(self, body: Graph) -> Trace:
        """A walk through the body of one of the graph's nodes, which adds to the same network."""
        return Trace(body, States(frozenset(), frozenset()), {}, self.parts)

    def run(self) -> Net:
        """Walk through the graph; raises Refused, and NeedsWindow where it must begin again with a window."""
        self.parts.steps = self.steps
        for tensor in self.graph.inputs:
            self.tensors[tensor.name] = self._input(tensor)
        self.walk()
        for tensor in self.graph.inputs:
            if tensor.name in self.states.feedback:
                self.feed(tensor.name, self.states.pairs[tensor.name], tensor.shape)
        return self._net()

    def walk(self) -> None:
        """Follow the tensors through all nodes, from those of the inputs on."""
        for name, array in self.graph.constants.items():
            self.tensors[name] = Traced(array.shape, "static", const=array)
        for node in self.graph.nodes:
            self.walk_node(node)
            self.done += 1

    def feed(self, state: str, output: str, shape: tuple[int, ...], start: InitialState | None = None) -> None:
        """Set the value ``state`` to the tensor ``output`` after each step."""
        result = self.tensors[output]
        if result.kind not in ("stream", "last"):
            what = "it is fed by a constant or an initial state, not by a result of the network"
            hint = f"If it is an input like others: --state {state}=none."
            raise Refused(what, where=f"{self.graph.file}: state {state!r}", hint=hint)
        frame = Traced(shape, "stream").frame
        start = start or InitialState(np.zeros(frame), state)
        kept = State(state, frame, start.value.reshape(frame), start.alias, start.window)
        self.parts.feedback.append(Feedback(kept, result.value))

    # ----------------------------------------------------------------- what handlers use

    @property
    def open_time(self) -> bool:
        """Whether the file leaves the length of a sequence open."""
        return self.graph.time > 0

    @property
    def windowed(self) -> bool:
        """Whether the network answers once for a window of steps."""
        return self.parts.windowed

    def holds(self, value: str) -> bool:
        """Whether a window holds all that a value is in it, before it is made longer."""
        return self.parts.blocks and 1 < self.ticks(value) < self.parts.steps

    def need_window(self, node: Node, what: str, *, buffered: bool) -> None:
        """Begin again with a window, unless there is one; refused where it is ``buffered`` and the user asks for none."""
        if buffered and not self.parts.window:
            self.refuse(node, what, BACKWARD, BACKWARD_IN_WINDOWS)
        self._check_window(self._where(node))
        if not self.windowed:
            raise NeedsWindow

    def _check_window(self, where: str) -> None:
        steps, window = self.parts.steps, self.parts.window
        if window and window != steps:
            what = f"the file takes {steps} step{'s' * (steps > 1)} at once, and --window says {window}"
            hint = f"The file has that length built in: --window {steps}, or export it with an open one."
            raise Refused(what, where=where, hint=STEP_FILE if steps == 1 else "", windowed=hint, steps=steps)

    def input(self, node: Node, index: int) -> Traced | None:
        """Input ``index`` of a node, None where it is missing."""
        if index >= len(node.inputs) or not node.inputs[index]:
            return None
        name = node.inputs[index]
        if name not in self.tensors:
            self.refuse(node, f"input {name!r} is not known here")
        traced = self.tensors[name]
        if traced.kind == "state":
            what = f"changes the initial state {traced.value!r} before a recurrent layer takes it"
            self.refuse(node, what, f"If an output is its next value, say which: --state {traced.value}=OUTPUT.")
        if traced.flat is not None and node.op_type not in FLAT_READERS:
            self.refuse(
                node, "reads all steps of a sequence side by side", "Only a Dense layer can follow: it is added up."
            )
        return traced

    def constant(self, node: Node, index: int) -> NDArray[Any] | None:
        """Input ``index`` as an array, None where it is missing; refused where it is computed from the inputs."""
        traced = self.input(node, index)
        if traced is None:
            return None
        if traced.const is None:
            self.refuse(node, f"input {index} is computed from the network's inputs; only a constant is supported", FIX)
        return traced.const

    def value(self, name: str) -> Value:
        """A value of the net."""
        return self.values[name]

    def add(
        self, node: Node, make: Callable[..., AnyOp], inputs: Sequence[str], outputs: int = 1, **fields: Any
    ) -> AnyOp:
        """Add an op under fresh names."""
        kind = str(getattr(make, "kind"))  # noqa: B009  a class variable of every op
        name = f"{kind}{self.parts.counts[kind]}"
        self.parts.counts[kind] += 1
        names = (name,) if outputs == 1 else tuple(f"{name}.{i}" for i in range(outputs))
        op = make(name, tuple(inputs), names, node=node.name or node.outputs[0], **fields)
        for output, value in zip(names, op.infer([self.values[n] for n in inputs]), strict=True):
            self.values[output] = replace(value, name=output)
            self.parts.lengths[output] = op.timing.count(min(self.ticks(n) for n in inputs))
        self.ops.append(op)
        return op

    def ticks(self, value: str) -> int:
        """How many values it takes in the sequence of the graph, or in a window."""
        return self.parts.lengths.get(value, self.parts.steps)

    def result(self, node: Node, index: int, traced: Traced) -> None:
        """Say what output ``index`` of a node is."""
        if index < len(node.outputs) and node.outputs[index]:
            if self.single_step and traced.kind in ("stream", "last"):
                traced = replace(traced, kind="stream", time=None)
            if self.windowed and traced.kind == "last" and traced.flat is None and self.ticks(traced.value) > 1:
                traced = last_of_window(node, self, traced, self.ticks(traced.value))
            self.tensors[node.outputs[index]] = traced

    def initial_state(self, node: Node, index: int, size: int) -> InitialState:
        """The initial state that input ``index`` gives."""
        name = node.inputs[index] if index < len(node.inputs) else ""
        if not name:
            return InitialState(np.zeros(size))
        traced = self.tensors[name]
        computed = traced.kind == "stream" and self.values[traced.value].dtype == "real"
        if computed and (self.single_step or self._once_a_sequence(traced)) and self.values[traced.value].size == size:
            return InitialState(np.zeros(size), given=traced.value, every=self.single_step)
        if self.windowed and traced.kind == "last" and self.values[traced.value].size == size:
            return InitialState(np.zeros(size), given=repeated_start(self, node, traced))
        return self.start(node, name, size)

    def _once_a_sequence(self, traced: Traced) -> bool:
        """Whether a tensor is computed from inputs alone that the file has once for a whole sequence."""
        per_sequence = {v.name for v in self.inputs if v.per_sequence}
        return traced.value in only_from((op for op in self.ops if not op.states()), per_sequence)

    def start(self, node: Node, name: str, size: int) -> InitialState:
        """The initial state that a tensor is."""
        traced = self.tensors[name]
        elements = int(np.prod(traced.shape, dtype=np.int64))
        if elements != size:
            self.refuse(
                node,
                f"its initial state {name!r} has {elements} elements, the layer {size} units: a broken export",
                "PyTorch's export drops the projection of LSTM(proj_size=...), and with dynamo=False refuses it: write the "
                "layer as a loop over its gates.",
            )
        if traced.const is not None:
            return InitialState(np.asarray(traced.const, np.float64).ravel())
        if traced.kind != "state" or traced.window is None:
            self.refuse(node, f"its initial state {name!r} is computed from the network's inputs", COMPUTED_START)
        window = traced.window.ravel()
        whole = traced.size == window.size and np.array_equal(window, np.arange(window.size))
        return InitialState(np.zeros(size), traced.value, None if whole else window)

    def require_time(self, node: Node, traced: Traced, axis: int) -> None:
        """Give up this choice of axes unless time is axis ``axis`` of a stream."""
        one_step = self.single_step and traced.kind == "stream"
        one_step |= self.windowed and traced.kind == "last" and self.ticks(traced.value) == 1
        if one_step and traced.shape[axis] == 1:
            self.confirmed += 1
            return
        if traced.kind == "last":
            self.refuse(node, "it scans the result of a whole sequence", "Compile the two parts as two networks.")
        if traced.kind == "static":
            hint = "Export the network with that sequence as an input, and give the constant at every step."
            self.refuse(node, f"it scans a constant {list(traced.shape)}: no input of the network has its steps", hint)
        if traced.time != axis or traced.kind != "stream":
            what = "no time axis there" if traced.time is None else f"time on axis {traced.time}"
            raise WrongAxis(
                f"it scans axis {axis} of an input {list(traced.shape)} that has {what}",
                where=self._where(node),
                hint="Say which axis of which input is time: --time-axis INPUT=AXIS.",
            )
        self.confirmed += 1

    def along_frame(self, node: Node, traced: Traced) -> bool:
        """Whether a recurrent node scans an axis of each frame, from the same state in every frame."""
        return along_frame(self, node, traced)

    def refuse(self, node: Node, what: str, hint: str = "", windowed: str = "") -> NoReturn:
        """Raise Refused, naming the node; ``windowed``: the advice in place of the hint if --window T compiles."""
        raise Refused(what, where=self._where(node), hint=hint, windowed=windowed, steps=self.parts.steps)

    # ----------------------------------------------------------------- the walk

    def _where(self, node: Node) -> str:
        return f"{self.graph.file}: {node.label}" if self.graph.file else node.label

    def _input(self, tensor: Tensor) -> Traced:
        shape = tensor.shape
        if tensor.name in self.states.initial:
            elements = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)
            return Traced(shape, "state", value=tensor.name, window=elements, size=elements.size)
        traced = Traced(shape, "stream", self.axes.get(tensor.name), tensor.name)
        value = Value(tensor.name, traced.frame)
        if tensor.name not in self.states.feedback:
            if np.issubdtype(np.dtype(tensor.dtype), np.integer):
                value = replace(value, dtype="index", rows=rows_of_table(self.graph, tensor.name))
                if not value.rows and any(tensor.name in n.inputs for n in self.graph.nodes):
                    what, hint = whole_numbers(self.graph, tensor)
                    raise Refused(what, where=f"{self.graph.file}: input {tensor.name!r}", hint=hint)
            value = replace(value, per_sequence=traced.time is None and not self.single_step, time=traced.time)
            self.inputs.append(value)
        self.values[tensor.name] = value
        return traced

    def walk_node(self, node: Node) -> None:
        """Follow the tensors through a node."""
        known = [self.tensors[n] for n in node.inputs if n in self.tensors]
        if known and all(t.kind == "static" for t in known) and self._fold(node):
            return
        if any(t.kind == "state" for t in known) and node.op_type in VIEWS:
            self._view_of_state(node)
            return
        if self.parts.window and node.op_type in (*RECURRENT, "Scan"):
            reopen(self, node)
        if both_ways(self, node):
            return
        if node.op_type == "Scan":
            scan(self, node)
            return
        if node.op_type not in HANDLERS:
            self.refuse(node, *advice(node.op_type))
        handle = HANDLERS[node.op_type]
        try:
            handle(node, self)
        except WrongAxis:
            raise
        except Refused as refused:
            handle_whole(self, node, handle, refused)

    def _fold(self, node: Node) -> bool:
        arrays = [self.tensors[n].const if n else None for n in node.inputs]
        results = fold(node, arrays, self.graph.opset)
        for name, array in zip(node.outputs, results or [], strict=False):
            self.tensors[name] = Traced(array.shape, "static", const=array)
        return results is not None

    def _view_of_state(self, node: Node) -> None:
        moved = [self.tensors[name] for name in moved_inputs(node)]
        constants = {n: c for n in node.inputs if n and (c := self.tensors[n].const) is not None}
        results = follow(node, lambda name: self.tensors[name].window, constants)
        if len({t.value for t in moved}) > 1 or results is None:
            self.refuse(node, "mixes an initial state with other tensors", "Export each state as an input of its own.")
        for i, window in enumerate(results):
            self.result(node, i, replace(moved[0], shape=window.shape, window=window))

    # ----------------------------------------------------------------- the result

    def _net(self) -> Net:
        outputs = [self._output(name) for name in self.graph.wanted]
        if self.repeats and not self.confirmed:
            raise WrongAxis("no recurrent layer scans what it repeats", where=self.graph.file)
        if self.repeats and all(o.kind == "last" for o in outputs):
            what = f"it answers once, after {self.repeats} steps with one input: no step of it has a result"
            hint = "Export it with what the recurrent layer gives at each step."
            raise Refused(what, where=self.graph.file, hint=hint)
        self._check_window(self.graph.file)
        graph, feedback = self.graph, self.parts.feedback
        steps, window = self.steps, self.steps if self.windowed else 0
        sizes = {name: value.size for name, value in self.values.items()}
        return finish(
            graph.name,
            self.inputs,
            self.ops,
            outputs,
            feedback,
            sizes=sizes,
            steps=steps,
            window=window,
            hop=self.parts.hop if window else 0,
            length=0 if graph.time else steps,
            summed=any(r.rule == SUMS for r in graph.rewritings),
            where=graph.file,
        )

    @property
    def steps(self) -> int:
        """How many steps the sequence of the graph has."""
        shapes = {t.name: t.shape for t in self.graph.inputs}
        return next((shapes[name][axis] for name, axis in self.axes.items() if axis is not None), self.repeats or 1)

    def _output(self, name: str) -> Output:
        traced = self.tensors[name]
        if traced.flat is not None or traced.kind in ("static", "state"):
            raise without_input(traced, f"{self.graph.file}: output {name!r}")
        return Output(name, traced.value, "last" if traced.kind == "last" else "stream")
