"""How a graph over whole sequences becomes ops of one step: what an op's ``from_node`` is given and gives back.

A tensor of the ONNX graph is followed as a ``Traced``: its shape in the file, which axis is time, and the value of the
step that holds it. The value's shape is the tensor's without the time axis and without axes of length 1, so that
transposes and reshapes which only move those cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from rnnc.errors import Refused
from rnnc.net import Op, Value

TracedKind = Literal["static", "stream", "last", "state"]


@dataclass(frozen=True, eq=False)
class Node:
    """A node of the ONNX graph with plain attributes: int, float, str, lists of these, numpy arrays, Graphs."""

    name: str
    op_type: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"node {self.name or self.outputs[0]!r} ({self.op_type})"


@dataclass(frozen=True, eq=False)
class Tensor:
    """A graph input or output: shape with the time axis bound to a length, element type as numpy names it."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Rewriting:
    """A rule that rewrote a node: its name, and the node's own (or first output) and operator."""

    rule: str
    node: str
    op_type: str


@dataclass(frozen=True, eq=False)
class Graph:
    """What the file says, simplified, every axis bound to a length; equal to the file in onnxruntime.

    Nodes are in the form of the newest opset: what older ones say in attributes (axes, pads, ...) is in inputs.

    Args:
        outputs: all that the file or the user names; ``wanted`` are those to compile, the others may only close states.
        time: the length given to the time axis that the file leaves open, else 0.
        file: how messages name the file.
        notes: what could not be checked or was assumed, to show to the user.
        broken: why onnxruntime does not run the file, "" where it does.
        guessed: the lengths of open axes that nothing tells, as --bind would say them.
        deduced: those of blocks, by INPUT.AXIS, that follow from what the layers take.
        batched: what to say of a batch above 1 whose members are no bands of one frame.
        rewritings: which rules rewrote which nodes, in turn; those in bodies of its nodes are theirs.
    """

    name: str
    nodes: tuple[Node, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    constants: dict[str, NDArray[Any]]
    shapes: dict[str, tuple[int, ...]]
    opset: int = 0
    time: int = 0
    file: str = ""
    wanted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    broken: str = ""
    guessed: tuple[str, ...] = ()
    deduced: Mapping[str, int] = field(default_factory=dict)
    batched: Refused | None = None
    rewritings: tuple[Rewriting, ...] = ()

    def __str__(self) -> str:
        def shape(name: str) -> str:
            return str(list(self.shapes[name])) if name in self.shapes else ""

        lines = [f"graph {self.name}, opset {self.opset}"]
        lines += [f"  input  {t.name} {list(t.shape)} {t.dtype}" for t in self.inputs]
        for node in self.nodes:
            results = ", ".join(f"{name} {shape(name)}" for name in node.outputs if name)
            attributes = "".join(f" {k}={v}" for k, v in node.attributes.items())
            lines.append(f"  {results} = {node.op_type}({', '.join(node.inputs)}){attributes}")
        lines += [f"  constant {name} {list(np.shape(c))}" for name, c in self.constants.items()]
        lines += [f"  output {t.name} {list(t.shape)}" for t in self.outputs]
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Traced:
    """A tensor on its way through the graph.

    Args:
        shape: as in the file, time bound to a length.
        time: the time axis of a stream, else None.
        kind: "static" (a constant), "stream" (a value each tick), "last" (one value for the sequence so far), or
            "state" (a graph input that is an initial state).
        value: name of the step's value (stream, last), or of the graph input (state).
        const: the array, where static.
        flat: the stream all of whose steps and features lie side by side in this tensor, for a layer over all of them.
        window: for a state: which elements of the flattened graph input it is, indices in the tensor's own shape.
        size: for a state: how many elements the graph input has.
    """

    shape: tuple[int, ...]
    kind: TracedKind
    time: int | None = None
    value: str = ""
    const: NDArray[Any] | None = None
    flat: Traced | None = None
    window: NDArray[np.int64] | None = None
    size: int = 0

    @property
    def frame_axes(self) -> tuple[int, ...]:
        """The axes that the step's value has: all but time and those of length 1."""
        return tuple(i for i, n in enumerate(self.shape) if i != self.time and n != 1)

    @property
    def frame(self) -> tuple[int, ...]:
        """The shape of the step's value."""
        return tuple(self.shape[i] for i in self.frame_axes)


@dataclass(frozen=True, eq=False)
class InitialState:
    """The initial value of an op's state ``[size]``; ``alias`` and ``window`` as in ``State``.

    ``given``: the value of the net that it is at the first step, "" where ``value`` says what it is; ``every``: that it is
    at every step.
    """

    value: NDArray[np.float64]
    alias: str = ""
    window: NDArray[np.int64] | None = None
    given: str = ""
    every: bool = False


AnyOp = TypeVar("AnyOp", bound=Op)


class Tracer(Protocol):
    """Builds a Net while it walks through a graph."""

    @property
    def open_time(self) -> bool:
        """Whether the file leaves the length of a sequence open."""

    @property
    def windowed(self) -> bool:
        """Whether the network answers once for a window of steps, and then starts anew."""

    @property
    def steps(self) -> int:
        """How many steps the sequence of the graph has, 1 where the graph is one step itself."""

    def holds(self, value: str) -> bool:
        """Whether a window holds all blocks of steps that a value is in it, before zeros are joined to them."""

    def need_window(self, node: Node, what: str, *, buffered: bool) -> None:
        """Make the network ``windowed``, because of what a node does.

        ``buffered``: it must keep all steps; refused unless the user asks for a window.
        """

    def input(self, node: Node, index: int) -> Traced | None:
        """Input ``index`` of a node, None where it is missing or "" in the file."""

    def constant(self, node: Node, index: int) -> NDArray[Any] | None:
        """Input ``index`` as an array; None where it is missing; refused where it is not a constant."""

    def value(self, name: str) -> Value:
        """A value of the net being built."""

    def add(
        self, node: Node, make: Callable[..., AnyOp], inputs: Sequence[str], outputs: int = 1, **fields: Any
    ) -> AnyOp:
        """Add ``make(name, inputs, outputs, node=..., **fields)`` under fresh names; returns it."""

    def result(self, node: Node, index: int, traced: Traced) -> None:
        """Say what output ``index`` of a node is."""

    def initial_state(self, node: Node, index: int, size: int) -> InitialState:
        """What input ``index`` (initial_h, initial_c) says: a constant, zero where missing, a state input, or a given value."""

    def require_time(self, node: Node, traced: Traced, axis: int) -> None:
        """Refuse, or give up this choice of the time axis, unless ``traced`` is a stream with time on ``axis``."""

    def along_frame(self, node: Node, traced: Traced) -> bool:
        """Whether a recurrent node scans an axis of each frame of ``traced``, from the same state in every frame."""

    def refuse(self, node: Node, what: str, hint: str = "", windowed: str = "") -> NoReturn:
        """Raise Refused, naming the node; ``windowed``: the advice in place of the hint if --window T compiles."""


def join(node: Node, trace: Tracer, *tensors: Traced) -> Traced:
    """Shape, kind and time of an elementwise result of tensors that broadcast to each other, without its value.

    Refused where one step of a sequence, its last value, or a constant that differs from step to step meets every step of it.
    """
    shape = np.broadcast_shapes(*(t.shape for t in tensors))
    moving = [t for t in tensors if t.kind != "static"]
    times = {t.time + len(shape) - len(t.shape) for t in moving if t.time is not None}
    if len(times) > 1:
        trace.refuse(node, "its inputs have time on different axes")
    time = times.pop() if times else None
    for t in tensors:
        own = None if time is None else time - (len(shape) - len(t.shape))
        if own is not None and own >= 0 and t.time is None and t.shape[own] != 1:
            trace.refuse(
                node,
                "a constant differs from step to step of the sequence, and a stream has no end",
                "Make it an input, which the firmware gives with each frame.",
            )
    if time is not None and any(t.time is not None and t.shape[t.time] < shape[time] for t in moving):
        trace.refuse(
            node,
            "it uses one step of the sequence at each of its steps",
            "What all steps share is an input of its own, which the firmware gives with each frame.",
        )
    kinds = {t.kind for t in moving}
    if time is not None and "last" in kinds:
        trace.refuse(
            node,
            "it uses at each step of the sequence what there is once for the whole of it: a result, or one step taken out",
            "A stream cannot look ahead: use the result of the step, compile the parts as two networks, or make what all steps "
            "share an input of its own, which the firmware gives with each frame.",
        )
    kind: TracedKind = "last" if "last" in kinds else "stream" if kinds else "static"
    return Traced(shape, kind, time)


FromNode = Callable[[Node, Tracer], None]
HANDLERS: dict[str, FromNode] = {}


def handles(*op_types: str) -> Callable[[FromNode], FromNode]:
    """Register a function as what turns nodes of these ONNX op types into ops of a step."""

    def register(function: FromNode) -> FromNode:
        for op_type in op_types:
            assert op_type not in HANDLERS, op_type
            HANDLERS[op_type] = function
        return function

    return register
