"""The intermediate representations: a network as one time step, in real numbers (Net) and in integers (QNet).

A Net is a small graph in SSA form. Each op runs when its input clock ticks; its state is its own. Arrays carry one lane
axis in front (``[lanes, *shape]``): lanes are independent streams that tick together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
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

    def ticks(self, step: int) -> bool:
        """Whether the value is new at a step."""
        return step >= self.phase and (step - self.phase) % max(self.rate, 1) == 0

    def __str__(self) -> str:
        text = f" every {self.rate}" if self.rate > 1 else ""
        text += f" from step {self.phase}" if self.phase else ""
        return text + (f" {self.delay} late" if self.delay else "")


ALWAYS = Clock(rate=0)
"""The clock of what is at hand at every step and new at none: a state that the graph itself feeds back."""


@dataclass(frozen=True)
class Timing:
    """At which ticks of its input an op gives a value: at ``first``, ``first + stride``, ...

    Args:
        tail: for how many ticks it goes on when its input has ended: its own padding comes in then (``Op.drain``).
        ahead: how many of the ticks before the first it waits only to look ahead.
    """

    first: int = 0
    stride: int = 1
    tail: int = 0
    ahead: int = 0

    def due(self, tick: int) -> bool:
        """Whether there is a value at a tick of the input."""
        return tick >= self.first and (tick - self.first) % self.stride == 0

    def count(self, ticks: int) -> int:
        """How many values come of ``ticks`` ticks of the input and the tail."""
        return max(0, (ticks + self.tail - self.first - 1) // self.stride + 1)

    def clock(self, source: Clock) -> Clock:
        """The clock of the values, given the input's."""
        return Clock(
            source.rate * self.stride, source.phase + self.first * source.rate, source.delay + self.ahead * source.rate
        )


def common_clock(clocks: Sequence[Clock]) -> Clock:
    """The clock of values that are read together: they tick at the same steps, ``ALWAYS`` left aside."""
    ticking = [c for c in clocks if c.rate]
    if not ticking:
        return ALWAYS
    assert len({(c.rate, c.phase) for c in ticking}) == 1, f"values of clocks {ticking} do not tick together"
    return replace(ticking[0], delay=max(c.delay for c in ticking))


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
    """A result of the network: ``value`` under the name that the file gives it.

    ``ticks`` of a window's output: how many values, one after the other, the window gives at its end; 0 for one alone.
    """

    name: str
    value: str
    kind: Kind = "stream"
    ticks: int = 0


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


Accept = Literal["any", "common", "channel", "gate", "logit", "order"]
"""What an op takes as an input: any format; one scale for all elements; one scale for each index of axis 0; int32 with 12
fraction bits, clipped (fixed.GATE) or not (fixed.LOGIT); one scale for all elements, better as LOGIT."""


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
    elastic: ClassVar[bool] = False
    """Whether its inputs may tick at different steps; ``step`` then gets all ticks of each at once, as many as there are."""
    widens: ClassVar[bool] = False
    """Whether it can compute the next value of a state that the graph feeds back in 32 bits (``Quantizer.wide``)."""
    passes: ClassVar[bool] = False
    """Whether its output is its input 0 unchanged, at other ticks: producers suit what reads the output."""

    @abstractmethod
    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        """The values that it computes: shape and dtype (clocks follow from ``timing``)."""

    @property
    def timing(self) -> Timing:
        """At which ticks of its inputs it gives a value."""
        return Timing()

    def clock(self, inputs: Sequence[Value]) -> Clock:
        """The clock of its outputs."""
        return self.timing.clock(common_clock([v.clock for v in inputs]))

    def states(self) -> tuple[State, ...]:
        """What it keeps; the names are unique in the network (``f"{self.name}_h"``)."""
        return ()

    @abstractmethod
    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        """One tick of its input, the tick-th since the start; updates ``state``; None when there is no output at this tick.

        Arrays are ``[lanes, *shape]``, and for an op without states ``[ticks, lanes, *shape]``, many ticks at once. Results
        may have any shape of as many elements for each tick and lane.
        """

    def drain(self, state: States, tick: int) -> list[Array] | None:
        """As ``step`` when the inputs have ended, for ``timing.tail`` ticks: the op's own padding comes in."""
        raise AssertionError(f"{self.kind} has no tail")

    @abstractmethod
    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        """Bounds of the outputs."""

    def accepts(self, index: int) -> Accept:
        """What it takes as input ``index``."""
        return "any"

    def column_weights(self, index: int) -> Floats | None:
        """The weights ``[rows, elements]`` that multiply input ``index`` element by element, where the op has any."""
        return None

    def takes8(self, index: int) -> bool:
        """Whether profile a8 gives it input ``index`` in 8 bits where the producer can."""
        return False

    @abstractmethod
    def quantize(self, q: Quantizer) -> QOp:
        """The same op in integers."""

    def absorb(self, reader: Op) -> Op | None:
        """This op and the only op that reads its output as one, under the reader's outputs; None where they are not."""
        return None

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
        self,
        index: int = 0,
        *,
        axis: int | None = 0,
        rows: bool = False,
        wide: bool = False,
        nonnegative: bool = False,
        reach: float = 0.0,
    ) -> Format:
        """A format for output ``index`` that suits its range, the profile, and all that read it.

        Args:
            axis: the axis of the value along which the scale may differ, None for one scale.
            rows: it comes from rows of weights (Dense, Conv): it may be int32, and is 8 bits wide inside an a8 net.
            wide: it may be int32 where all that read it want preactivations or logits.
            nonnegative: negative numbers are clipped (a fused ReLU).
            reach: the largest magnitude before that clipping, which the accumulators must hold in LSBs of the output.
        """

    def wide(self) -> Format | None:
        """The int32 format of output 0, with 14 more fraction bits than int16, where it leads to a fed-back state."""

    def wants8(self, index: int = 0) -> bool:
        """Whether output ``index`` should be 8 bits wide: profile a8, and all that read it take 8 bits."""

    def round_block(
        self, weights: Floats, scale: Floats, target: Floats, bias: Floats, operand_max: int, samples: Floats | None
    ) -> tuple[Block, Floats]:
        """Quantize rows ``[rows, columns]`` over an operand with LSBs ``scale [columns]``.

        Returns the block and what to add to the bias ``[rows]`` to correct for the mean of the operand.
        """

    def round_blocks(
        self, parts: Sequence[tuple[Floats, Floats, int, Floats | None]], target: Floats, bias: Floats
    ) -> tuple[list[Block], Floats]:
        """The same for rows that are a sum over several operands, rounded together: weights, LSBs, largest, samples of each.

        The bias belongs to the first.
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
    batched: bool = False
    """The rows of a batch of units are in the order of gates, not of units (``UnitRows``)."""


@dataclass(frozen=True, eq=False)
class UnitRows:
    """Constants of a recurrent layer's rows, ``data [units, n]``, for a target that computes units in batches.

    They become ``[batch][n][units of a batch]``, zero past the last unit. A batch is that of weights with ``rows`` rows a unit.
    """

    name: str
    ctype: str
    data: Ints
    rows: int
    comment: str


Field = tuple[str, "int | Constant | WeightRows | UnitRows | tuple[Field, ...]"]
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


@dataclass(frozen=True)
class Operand:
    """Scratch for a vector as the target's product of rows takes it: ``columns`` elements of ``bits`` bits.

    ``borrowed``: the kernel may read the vector where it lies, if the target can (rnnc_taken).
    """

    name: str
    columns: int
    bits: int
    borrowed: bool = False


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
        when: run at the ticks of the op's "input", of its input and tail ("tick"), or of its "output". Under "tick" an
            ``Arg("input", ...)`` is 0 once the input has ended.
    """

    function: str
    header: str
    struct: str
    fields: tuple[Field, ...]
    args: tuple[Arg, ...]
    scratch: tuple[Scratch | Operand, ...] = ()
    macs: int = 0
    when: Literal["input", "tick", "output"] = "output"


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

    @property
    def timing(self) -> Timing:
        """As the op's."""
        return self.op.timing

    @property
    def elastic(self) -> bool:
        """As the op's."""
        return self.op.elastic

    def states(self) -> tuple[QState, ...]:
        """What it keeps."""
        return ()

    def output_state(self, index: int) -> str:
        """The state that output ``index`` lies in, "" where it has memory of its own."""
        return ""

    @abstractmethod
    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        """As ``Op.step``, on int64 arrays; every width that the C has is asserted."""

    def drain(self, state: States, tick: int) -> list[Array] | None:
        """As ``Op.drain``, on int64 arrays."""
        raise AssertionError(f"{self.op.kind} has no tail")

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


def fed_back(feedback: Sequence[Feedback]) -> list[Value]:
    """The values that fed-back states are read as."""
    return [Value(f.state.name, f.state.shape, clock=ALWAYS) for f in feedback]


def computed(op: Op, inputs: Sequence[Value]) -> list[Value]:
    """The values of an op's outputs, with names and clocks."""
    values, clock = op.infer(inputs), op.clock(inputs)
    assert len(values) == len(op.outputs), op.name
    return [replace(v, name=n, clock=clock) for n, v in zip(op.outputs, values, strict=True)]


@dataclass(frozen=True, eq=False)
class Net:
    """A network as one step. ``ops`` are in an order in which every value is computed before it is read.

    ``window``: the network answers after so many steps and then starts anew; 0 for an endless stream.
    """

    name: str
    inputs: tuple[Value, ...]
    ops: tuple[Op, ...]
    outputs: tuple[Output, ...]
    feedback: tuple[Feedback, ...] = ()
    window: int = 0
    values: Mapping[str, Value] = field(init=False)

    def __post_init__(self) -> None:
        values: dict[str, Value] = {v.name: v for v in self.inputs}
        values |= {v.name: v for v in fed_back(self.feedback)}
        for op in self.ops:
            for name in op.inputs:
                assert name in values, f"{op.name} reads {name!r} before it is computed"
            for value in computed(op, [values[name] for name in op.inputs]):
                assert value.name not in values, f"{value.name!r} is computed twice"
                values[value.name] = value
        for output in self.outputs:
            assert output.value in values, f"output {output.name!r} is not computed"
        for f in self.feedback:
            assert values[f.next].size == values[f.state.name].size, f"feedback of {f.state.name!r} changes size"
        object.__setattr__(self, "values", values)

    def passed(self, value: str) -> list[str]:
        """A value, and all that it becomes by ops that pass it on."""
        names = [value]
        for op in self.ops:
            if op.passes and op.inputs[0] in names:
                names += op.outputs
        return names

    def readers(self, value: str) -> list[tuple[Op, int]]:
        """The ops that do something with a value, with the index of the input."""
        names = self.passed(value)
        return [(op, i) for op in self.ops if not op.passes for i, name in enumerate(op.inputs) if name in names]

    def states(self) -> list[State]:
        """Every state, in order."""
        return [f.state for f in self.feedback] + [s for op in self.ops for s in op.states()]

    @cached_property
    def ends(self) -> dict[str, int]:
        """For how many steps each value goes on coming when the input has ended: what looks ahead is pushed through."""
        ends = dict.fromkeys(self.values, 0)
        for op in self.ops:
            rate = self.values[op.inputs[0]].clock.rate
            for name in op.outputs:
                ends[name] = max(ends[n] for n in op.inputs) + op.timing.tail * rate
        return ends

    @property
    def drain_steps(self) -> int:
        """The longest of ``ends``."""
        return max(self.ends.values())

    def ticks(self, output: Output, steps: int) -> int:
        """How many values an output gives for a sequence of ``steps`` steps, those that come after its end included."""
        if output.kind == "window":
            return steps // self.window * max(output.ticks, 1)
        counts = dict.fromkeys(self.values, steps)
        for op in self.ops:
            for name in op.outputs:
                counts[name] = op.timing.count(
                    counts[op.inputs[0]] if op.elastic else min(counts[n] for n in op.inputs)
                )
        return counts[output.value]

    def __str__(self) -> str:
        lines = [f"net {self.name}{f', {self.window} steps at a time' if self.window else ''}"]
        lines += [f"  input  {v.name} {list(v.shape)} {v.dtype}" for v in self.inputs]
        for op in self.ops:
            shapes = ", ".join(f"{n} {list(self.values[n].shape)}{self.values[n].clock}" for n in op.outputs)
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
    precision: str
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
    @property
    def name(self) -> str: ...
    @property
    def inputs(self) -> tuple[str, ...]: ...
    @property
    def outputs(self) -> tuple[str, ...]: ...
    @property
    def timing(self) -> Timing: ...
    @property
    def elastic(self) -> bool: ...
    def step(
        self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe
    ) -> list[Array] | None: ...
    def drain(self, state: States, tick: int) -> list[Array] | None: ...


@dataclass
class Stream:
    """A running network: states of all lanes, and how many ticks each op has seen.

    ``advance`` takes any number of steps at a time; the results do not depend on how a sequence is cut.
    """

    net: Net
    ops: Sequence[_Runner]
    stateful: set[str]
    feedback: Sequence[tuple[str, str]]
    values: Mapping[str, Value]
    initial: States
    lanes: int
    dtype: type
    observe: Observer | None = None
    state: States = field(init=False)
    ticks: dict[str, int] = field(init=False)
    tails: dict[str, int] = field(init=False)
    """How many ticks each op still goes on once its input has ended."""
    steps: int = field(init=False)
    """Since the start, or since the start of the window."""
    held: dict[str, Array] = field(init=False)
    """What the outputs of a window have given so far in it."""

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start anew."""
        self.state = {name: array.copy() for name, array in self.initial.items()}
        self.ticks = {op.name: 0 for op in self.ops}
        self.tails = {op.name: op.timing.tail for op in self.ops}
        self.steps = 0
        self.held = {o.name: self._nothing(o.value) for o in self.net.outputs if o.kind == "window"}

    def advance(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Feed ``[steps, lanes, *shape]`` of each input; returns ``[ticks, lanes, *shape]`` of each output."""
        steps, done = len(next(iter(inputs.values()))), 0
        parts = [self._outputs({})]
        while done < steps:
            most = 1 if self.feedback else min(CHUNK, self.net.window - self.steps) if self.net.window else CHUNK
            values = {name: x[done : done + most] for name, x in inputs.items()}
            done += most
            parts.append(self._outputs(self._chunk(values, min(most, steps + most - done))))
            if self.steps == self.net.window:
                parts += [*self._past_end(), self.held]
                self.reset()
        return _joined(parts)

    def drain(self) -> dict[str, Array]:
        """What still comes of what looks ahead when the sequence has ended: ``[ticks, lanes, *shape]`` of each output."""
        return _joined([self._outputs({}), *([] if self.net.window else self._past_end())])

    def _past_end(self) -> list[dict[str, Array]]:
        nothing = {v.name: self._nothing(v.name) for v in self.net.inputs}
        return [self._outputs(self._chunk(dict(nothing), 1, ended=True)) for _ in range(self.net.drain_steps)]

    def _nothing(self, value: str) -> Array:
        return np.zeros((0, self.lanes, *self.values[value].shape), self.dtype)

    def _outputs(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs' ticks; what belongs to a window is held back until its end."""
        found = {}
        for o in self.net.outputs:
            ticks = values.get(o.value, self._nothing(o.value))
            if o.kind == "window":
                self.held[o.name] = np.concatenate([self.held[o.name], ticks])[-max(o.ticks, 1) :]
                ticks = self._nothing(o.value)
            found[o.name] = ticks
        return found

    def _chunk(self, values: dict[str, Array], steps: int, ended: bool = False) -> dict[str, Array]:
        for read, _ in self.feedback:
            values[read] = self.state[read][None]
        for name, value in values.items():
            self._see(name, value)
        for op in self.ops:
            results = self._run(op, [values[name] for name in op.inputs], ended)
            for name, result in zip(op.outputs, results, strict=True):
                values[name] = result.reshape(*result.shape[:2], *self.values[name].shape)
                self._see(name, values[name])
        for read, written in self.feedback:
            if len(values[written]):
                self.state[read] = values[written][0].reshape(self.state[read].shape)
        self.steps += steps
        return values

    def _run(self, op: _Runner, xs: list[Array], ended: bool) -> Sequence[Array]:
        """All ticks of an op's inputs, or one of its tail."""
        tick, count = self.ticks[op.name], min(map(len, xs))
        if ended and not count and self.tails[op.name]:
            return self._tail(op)
        self.ticks[op.name] = tick + count
        if op.elastic:
            return op.step(xs, self.state, tick) or []
        if not count:
            return [self._nothing(name) for name in op.outputs]
        xs = [x[:count] for x in xs]
        return self._ticks(op, xs, tick) if op.name in self.stateful else op.step(xs, {}, tick) or []

    def _tail(self, op: _Runner) -> Sequence[Array]:
        nothing = [self._nothing(name) for name in op.outputs]
        if not common_clock([self.values[n].clock for n in op.inputs]).ticks(self.steps):
            return nothing
        self.tails[op.name] -= 1
        self.ticks[op.name] += 1
        results = op.drain(self.state, self.ticks[op.name] - 1)
        return nothing if results is None else [r[None] for r in results]

    def _ticks(self, op: _Runner, xs: Sequence[Array], tick: int) -> Sequence[Array]:
        probed: dict[str, list[Array]] = {}
        probe: Probe = (lambda key, x: probed.setdefault(key, []).append(x)) if self.observe else no_probe
        rows: list[list[Array]] = [[] for _ in op.outputs]
        for k in range(len(xs[0])):
            result = op.step([x[k] for x in xs], self.state, tick + k, probe)
            for row, value in zip(rows, result or [], strict=False):
                row.append(value)
        for key, arrays in probed.items():
            self._see(f"{op.name}.{key}", np.stack(arrays))
        return [np.stack(row) if row else self._nothing(n) for n, row in zip(op.outputs, rows, strict=True)]

    def _see(self, name: str, value: Array) -> None:
        if self.observe:
            self.observe(name, value)


def _joined(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([p[name] for p in parts if name in p]) for name in parts[0]}


def _lanes(initial: Array, lanes: int) -> Array:
    return np.repeat(initial[None], lanes, axis=0)


def stream_net(net: Net, lanes: int = 1, observe: Observer | None = None) -> Stream:
    """Start ``lanes`` streams of a net, in float64."""
    state = {s.name: _lanes(np.asarray(s.initial, np.float64).reshape(s.shape), lanes) for s in net.states()}
    stateful = {op.name for op in net.ops if op.states()}
    feedback = [(f.state.name, f.next) for f in net.feedback]
    return Stream(net, net.ops, stateful, feedback, net.values, state, lanes, np.float64, observe)


def stream_qnet(qnet: QNet, lanes: int = 1, observe: Observer | None = None) -> Stream:
    """Start ``lanes`` streams of a qnet, in int64."""
    state = {s.name: _lanes(s.initial.reshape(s.shape), lanes) for s in qnet.states()}
    stateful = {op.name for op in qnet.ops if op.states()}
    feedback = [(f.state.name, f.next) for f in qnet.feedback]
    return Stream(qnet.net, qnet.ops, stateful, feedback, qnet.values, state, lanes, np.int64, observe)


def run_net(net: Net, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Run whole sequences ``[steps, lanes, *shape]`` of real inputs from the initial state; outputs in real units."""
    return _whole(stream_net(net, next(iter(inputs.values())).shape[1]), inputs)


def run_qnet(qnet: QNet, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Run whole sequences ``[steps, lanes, *shape]`` of integer inputs from the initial state; outputs in integers."""
    return _whole(stream_qnet(qnet, next(iter(inputs.values())).shape[1]), inputs)


def _whole(stream: Stream, inputs: Mapping[str, Array]) -> dict[str, Array]:
    return _joined([stream.advance(inputs), stream.drain()])
