"""The intermediate representations: a network as one time step, in real numbers (Net) and in integers (QNet).

A Net is a small graph in SSA form. Each op runs when its input clock ticks; its state is its own. Arrays carry one lane
axis in front (``[lanes, *shape]``): lanes are independent streams that tick together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rnnc.fixed import Floats, Format, Ints
from rnnc.rows import Block

Array = NDArray[Any]
Kind = Literal["stream", "last", "window"]
CHUNK = 1024


# --------------------------------------------------------------------------- what flows


@dataclass(frozen=True)
class Clock:
    """When a value is new: at the steps ``phase + k rate``, k = 0, 1, ...; it describes the input of ``delay`` steps ago."""

    rate: int = 1
    phase: int = 0
    delay: int = 0


@dataclass(frozen=True)
class Value:
    """What an op computes at one tick: a scalar ``()``, a vector, or a matrix (channels first)."""

    name: str
    shape: tuple[int, ...]
    dtype: Literal["real", "index"] = "real"
    clock: Clock = Clock()
    rows: int = 0
    """For an index: how many rows it may name."""

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class State:
    """What is kept from step to step.

    ``alias`` is the graph input that the user knows it by, if any; ``window`` tells which elements of that input it is
    (indices into the flattened input, one for each element of the state), None for all of it.
    """

    name: str
    shape: tuple[int, ...]
    initial: Floats
    alias: str = ""
    window: Ints | None = None


@dataclass(frozen=True, eq=False)
class Feedback:
    """A value that the graph itself feeds back: read as ``state.name`` in a step, then set to the value ``next``."""

    state: State
    next: str


@dataclass(frozen=True)
class Output:
    """A result of the network: ``value`` under the name that the file gives it."""

    name: str
    value: str
    kind: Kind = "stream"


# --------------------------------------------------------------------------- ops in real numbers

Probe = Callable[[str, Array], None]
States = dict[str, Array]


def no_probe(_: str, __: Array) -> None:
    """Record nothing."""


@dataclass(frozen=True)
class Interval:
    """Bounds of each element of a value (flattened), from the ranges of its inputs."""

    lo: Floats
    hi: Floats

    @property
    def magnitude(self) -> Floats:
        """The largest absolute value of each element."""
        return np.maximum(np.abs(self.lo), np.abs(self.hi))

    @staticmethod
    def of(lo: float, hi: float, size: int) -> Interval:
        """The same bounds for ``size`` elements."""
        return Interval(np.full(size, float(lo)), np.full(size, float(hi)))


Accept = Literal["any", "common", "channel", "gate", "logit"]
"""What an op takes as an input: any format; one scale for all elements; one scale for each index of axis 0; int32 with 12
fraction bits, clipped (fixed.GATE) or not (fixed.LOGIT)."""


@dataclass(frozen=True, eq=False)
class Op(ABC):
    """One operation of a step, in real numbers. A subclass holds its weights as fields and lives in a file of its own.

    ``name`` is ``kind`` and a number; ``node`` is where it comes from in the model, for messages.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    node: str = field(kw_only=True, default="")
    kind: ClassVar[str]

    @abstractmethod
    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        """The values that it computes: shape, dtype and clock."""

    def states(self) -> tuple[State, ...]:
        """What it keeps; the names are unique in the network (``f"{self.name}_h"``)."""
        return ()

    @abstractmethod
    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        """One tick of its input, the tick-th since the start; updates ``state``; None when there is no output at this tick.

        Arrays are ``[lanes, *shape]``, and for an op without states ``[ticks, lanes, *shape]``, many ticks at once. Results
        may have any shape of as many elements for each tick and lane.
        """

    @abstractmethod
    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        """Bounds of the outputs."""

    def accepts(self, index: int) -> Accept:
        """What it takes as input ``index``."""
        return "any"

    def takes8(self, index: int) -> bool:
        """Whether profile a8 gives it input ``index`` in 8 bits where the producer can."""
        return False

    @abstractmethod
    def quantize(self, q: Quantizer) -> QOp:
        """The same op in integers."""

    def describe(self) -> str:
        """One line: what it is."""
        return self.kind


class Quantizer(Protocol):
    """What ``quantize`` offers to an op that becomes integers."""

    @property
    def precision(self) -> Literal["a16", "a8"]: ...

    def input(self, index: int) -> Format:
        """The format of input ``index``, already decided; it satisfies ``accepts(index)``."""

    def samples(self, operand: str | int) -> Floats | None:
        """Calibration samples ``[n, elements]`` in real units: of input ``index``, or of what ``step`` gave its probe."""

    def peak(self, operand: str | int) -> Floats:
        """The largest magnitude that each element of an operand (as in ``samples``) had, or may have, ``[elements]``."""

    def state_limit(self, operand: str) -> float:
        """The magnitude that a state which nothing bounds has room for: twice the calibration's, 8 times that of noise."""

    def output(
        self, index: int = 0, *, axis: int = 0, rows: bool = False, nonnegative: bool = False, reach: float = 0.0
    ) -> Format:
        """A format for output ``index`` that suits its range, the profile, and all that read it.

        Args:
            axis: the axis of the value along which the scale may differ.
            rows: it comes from int32 accumulators (Dense, Conv): it may be int32, and is 8 bits wide inside an a8 net.
            nonnegative: negative numbers are clipped (a fused ReLU).
            reach: the largest magnitude before that clipping, which the accumulators must hold in LSBs of the output.
        """

    def wants8(self, index: int = 0) -> bool:
        """Whether output ``index`` should be 8 bits wide: profile a8, and all that read it take 8 bits."""

    def round_block(
        self, weights: Floats, scale: Floats, target: Floats, bias: Floats, operand_max: int, samples: Floats | None
    ) -> tuple[Block, Floats]:
        """Quantize rows ``[rows, columns]`` over an operand with LSBs ``scale [columns]``.

        Returns the block and what to add to the bias ``[rows]`` to correct for the mean of the operand.
        """


# --------------------------------------------------------------------------- ops in integers


@dataclass(frozen=True)
class Bound:
    """The worst case of one accumulator over all inputs: ``worst < 2^(bits-1)`` is what the C relies on."""

    op: str
    accumulator: str
    worst: int
    bits: int = 32

    @property
    def margin_bits(self) -> float:
        """How many more bits the accumulator could lose before it overflows."""
        return float(self.bits - 1 - np.log2(max(self.worst, 1)))


@dataclass(frozen=True, eq=False)
class QState:
    """A state in integers: C type ``format.ctype``, ``initial`` flattened; ``alias`` and ``window`` as in ``State``.

    One that ``follows`` another is its upper part, ``narrow(saturate((wide + 2^13) >> 14))``: it is neither saved nor set
    on its own.
    """

    name: str
    shape: tuple[int, ...]
    format: Format
    initial: Ints
    alias: str = ""
    window: Ints | None = None
    follows: str = ""

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))


ConstantRole = Literal["weights", "table"]


@dataclass(frozen=True, eq=False)
class Constant:
    """A constant array of the C: ``data [n]``, or ``[n, fields]`` where ``ctype`` is a struct."""

    name: str
    ctype: str
    data: Ints
    comment: str
    role: ConstantRole = "weights"


@dataclass(frozen=True, eq=False)
class WeightRows:
    """int8 weights that a target packs: for each unit in turn, its rows over the first operand, then over the next.

    ``blocks`` are ``[units, rows of a unit, columns]``, one for each operand.
    """

    name: str
    blocks: tuple[Ints, ...]
    comment: str


Field = tuple[str, "int | Constant | WeightRows | tuple[Field, ...]"]
"""A field of a parameter struct: an integer, the address of an array, or a struct inside."""


@dataclass(frozen=True)
class Arg:
    """An argument of a kernel call: where a pointer goes."""

    place: Literal["input", "output", "state", "scratch", "null"]
    name: str = ""
    """Index of the input or output as a string, name of the state, or name of the scratch buffer."""


@dataclass(frozen=True)
class Scratch:
    """Memory that a call needs only while it runs."""

    name: str
    ctype: str
    length: int


@dataclass(frozen=True, eq=False)
class KernelCall:
    """``function(&params, args...)``: one call of a kernel from a header of runtime_c.

    Args:
        function: name of the C function.
        header: file in runtime_c that defines it.
        struct: C type of its parameters ("" when it takes none).
        fields: the parameter struct's initialiser in order; an array stands for its address.
        args: the pointers that follow, in order.
        scratch: buffers named by ``Arg("scratch", ...)``.
        macs: multiply-accumulates of the call.
        when: run at the ticks of the op's "input" or "output" clock.
    """

    function: str
    header: str
    struct: str
    fields: tuple[Field, ...]
    args: tuple[Arg, ...]
    scratch: tuple[Scratch, ...] = ()
    macs: int = 0
    when: Literal["input", "output"] = "output"


@dataclass(frozen=True, eq=False)
class QOp(ABC):
    """One operation of a step, in integers: the definition of what the C computes.

    ``formats`` are those of the outputs. An output that *is* a state (an LSTM's h) is named in ``output_state``.
    """

    op: Op
    inputs: tuple[str, ...]
    formats: tuple[Format, ...]

    @property
    def name(self) -> str:
        """As the op."""
        return self.op.name

    @property
    def outputs(self) -> tuple[str, ...]:
        """As the op."""
        return self.op.outputs

    def states(self) -> tuple[QState, ...]:
        """What it keeps."""
        return ()

    def output_state(self, index: int) -> str:
        """The state that output ``index`` lies in, "" where it has memory of its own."""
        return ""

    @abstractmethod
    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        """As ``Op.step``, on int64 arrays; every width that the C has is asserted."""

    def bounds(self) -> list[Bound]:
        """The worst case of each accumulator."""
        return []

    @abstractmethod
    def calls(self) -> list[KernelCall]:
        """The kernel calls that compute it in C, in order."""

    def dequantized(self) -> Op:
        """The op in real numbers with the weights as quantized."""
        return self.op


# --------------------------------------------------------------------------- networks


@dataclass(frozen=True, eq=False)
class Net:
    """A network as one step. ``ops`` are in an order in which every value is computed before it is read."""

    name: str
    inputs: tuple[Value, ...]
    ops: tuple[Op, ...]
    outputs: tuple[Output, ...]
    feedback: tuple[Feedback, ...] = ()
    values: Mapping[str, Value] = field(init=False)

    def __post_init__(self) -> None:
        values: dict[str, Value] = {v.name: v for v in self.inputs}
        for f in self.feedback:
            values[f.state.name] = Value(f.state.name, f.state.shape)
        for op in self.ops:
            for name in op.inputs:
                assert name in values, f"{op.name} reads {name!r} before it is computed"
            inferred = op.infer([values[name] for name in op.inputs])
            assert len(inferred) == len(op.outputs), op.name
            for name, value in zip(op.outputs, inferred, strict=True):
                assert name not in values, f"{name!r} is computed twice"
                values[name] = replace(value, name=name)
        for output in self.outputs:
            assert output.value in values, f"output {output.name!r} is not computed"
        for f in self.feedback:
            assert values[f.next].size == values[f.state.name].size, f"feedback of {f.state.name!r} changes size"
        object.__setattr__(self, "values", values)

    def readers(self, value: str) -> list[tuple[Op, int]]:
        """The ops that read a value, with the index of the input."""
        return [(op, i) for op in self.ops for i, name in enumerate(op.inputs) if name == value]

    def states(self) -> list[State]:
        """Every state, in order."""
        return [f.state for f in self.feedback] + [s for op in self.ops for s in op.states()]

    def __str__(self) -> str:
        lines = [f"net {self.name}"]
        lines += [f"  input  {v.name} {list(v.shape)} {v.dtype}" for v in self.inputs]
        for op in self.ops:
            shapes = ", ".join(f"{n} {list(self.values[n].shape)}" for n in op.outputs)
            lines.append(f"  {shapes} = {op.name}({', '.join(op.inputs)})  {op.describe()}")
            lines += [f"    state {s.name} {list(s.shape)}" for s in op.states()]
        lines += [f"  state  {f.state.name} {list(f.state.shape)} <- {f.next}" for f in self.feedback]
        lines += [f"  output {o.name} = {o.value} ({o.kind})" for o in self.outputs]
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class QFeedback:
    """``Feedback`` in integers; ``next`` has the state's format."""

    state: QState
    next: str


@dataclass(frozen=True, eq=False)
class QNet:
    """A network in integers. ``formats`` holds the format of every value, ``net`` what it came from."""

    net: Net
    precision: Literal["a16", "a8"]
    ops: tuple[QOp, ...]
    outputs: tuple[Output, ...]
    feedback: tuple[QFeedback, ...]
    formats: Mapping[str, Format]
    values: Mapping[str, Value]

    @property
    def inputs(self) -> tuple[Value, ...]:
        """As the net's."""
        return self.net.inputs

    def states(self) -> list[QState]:
        """Every state, in order."""
        return [f.state for f in self.feedback] + [s for op in self.ops for s in op.states()]

    def dequantized(self) -> Net:
        """The network in real numbers with the weights as quantized, for telling arithmetic from rounding."""
        return replace(self.net, ops=tuple(q.dequantized() for q in self.ops if q.op in self.net.ops))

    def __str__(self) -> str:
        lines = [f"qnet {self.net.name} {self.precision}"]
        lines += [f"  input  {v.name} {list(v.shape)}: {self.formats[v.name]}" for v in self.inputs]
        for op in self.ops:
            lines.append(f"  {op.name}({', '.join(op.inputs)})")
            lines += [f"    {n}: {f}" for n, f in zip(op.outputs, op.formats, strict=True)]
            lines += [f"    state {s.name} {list(s.shape)}: {s.format}" for s in op.states()]
        lines += [f"  output {o.name} = {o.value} ({o.kind})" for o in self.outputs]
        return "\n".join(lines)


# --------------------------------------------------------------------------- running them


Observer = Callable[[str, Array], None]
"""Called with a value's name, or a probed operand's ("op.key"), and its next ticks ``[ticks, lanes, *shape]``."""


class _Runner(Protocol):
    name: str

    @property
    def inputs(self) -> tuple[str, ...]: ...
    @property
    def outputs(self) -> tuple[str, ...]: ...
    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None: ...


@dataclass
class Stream:
    """A running network: states of all lanes, and how many ticks each op has seen.

    ``advance`` takes any number of steps at a time; the results do not depend on how a sequence is cut.
    """

    ops: Sequence[_Runner]
    stateful: set[str]
    feedback: Sequence[tuple[str, str]]
    outputs: Sequence[Output]
    values: Mapping[str, Value]
    state: States
    ticks: dict[str, int] = field(default_factory=dict)
    observe: Observer | None = None

    def advance(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Feed ``[steps, lanes, *shape]`` of each input; returns ``[ticks, lanes, *shape]`` of each output."""
        steps = len(next(iter(inputs.values())))
        size = 1 if self.feedback else CHUNK
        parts = [self._chunk({k: v[t : t + size] for k, v in inputs.items()}) for t in range(0, steps, size)]
        return {o.name: np.concatenate([p[o.value] for p in parts]) for o in self.outputs}

    def _chunk(self, values: dict[str, Array]) -> dict[str, Array]:
        for read, _ in self.feedback:
            values[read] = self.state[read][None]
        for name, value in values.items():
            self._see(name, value)
        for op in self.ops:
            tick = self.ticks.get(op.name, 0)
            xs = [values[name] for name in op.inputs]
            results = self._ticks(op, xs, tick) if op.name in self.stateful else op.step(xs, {}, tick)
            assert results is not None
            for name, result in zip(op.outputs, results, strict=True):
                values[name] = result.reshape(*result.shape[:2], *self.values[name].shape)
                self._see(name, values[name])
            self.ticks[op.name] = tick + len(xs[0])
        for read, written in self.feedback:
            self.state[read] = values[written][0].reshape(self.state[read].shape)
        return values

    def _ticks(self, op: _Runner, xs: Sequence[Array], tick: int) -> list[Array]:
        probed: dict[str, list[Array]] = {}
        probe: Probe = (lambda key, x: probed.setdefault(key, []).append(x)) if self.observe else no_probe
        rows: list[list[Array]] = [[] for _ in op.outputs]
        for k in range(len(xs[0])):
            result = op.step([x[k] for x in xs], self.state, tick + k, probe)
            for row, value in zip(rows, result or [], strict=False):
                row.append(value)
        for key, arrays in probed.items():
            self._see(f"{op.name}.{key}", np.stack(arrays))
        lanes = xs[0].shape[1]
        return [np.stack(row) if row else np.zeros((0, lanes, self.values[n].size)) for n, row in zip(op.outputs, rows, strict=True)]

    def _see(self, name: str, value: Array) -> None:
        if self.observe:
            self.observe(name, value)


def _lanes(initial: Array, lanes: int) -> Array:
    return np.repeat(initial[None], lanes, axis=0)


def stream_net(net: Net, lanes: int = 1, observe: Observer | None = None) -> Stream:
    """Start ``lanes`` streams of a net, in float64."""
    state = {s.name: _lanes(np.asarray(s.initial, np.float64).reshape(s.shape), lanes) for s in net.states()}
    stateful = {op.name for op in net.ops if op.states()}
    feedback = [(f.state.name, f.next) for f in net.feedback]
    return Stream(net.ops, stateful, feedback, net.outputs, net.values, state, observe=observe)


def stream_qnet(qnet: QNet, lanes: int = 1, observe: Observer | None = None) -> Stream:
    """Start ``lanes`` streams of a qnet, in int64."""
    state = {s.name: _lanes(s.initial.reshape(s.shape), lanes) for s in qnet.states()}
    stateful = {op.name for op in qnet.ops if op.states()}
    feedback = [(f.state.name, f.next) for f in qnet.feedback]
    return Stream(qnet.ops, stateful, feedback, qnet.outputs, qnet.values, state, observe=observe)


def run_net(net: Net, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Run sequences ``[steps, lanes, *shape]`` of real inputs from the initial state; outputs in real units."""
    return stream_net(net, next(iter(inputs.values())).shape[1]).advance(inputs)


def run_qnet(qnet: QNet, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Run sequences ``[steps, lanes, *shape]`` of integer inputs from the initial state; outputs in integers."""
    return stream_qnet(qnet, next(iter(inputs.values())).shape[1]).advance(inputs)
