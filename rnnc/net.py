"""A network as one time step, in real numbers (Net).

A Net is a small graph in SSA form. Each op runs when its input clock ticks; its state is its own. Arrays carry one lane
axis in front (``[lanes, *shape]``): lanes are independent streams that tick together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rnnc.clock import ALWAYS, EVERY_STEP, Clock, Timing, common_clock
from rnnc.fixed import Floats, Format, Ints
from rnnc.interval import Interval
from rnnc.notebook import NotebookText
from rnnc.pace import Pace, computed
from rnnc.rows import Block

if TYPE_CHECKING:
    from rnnc.qnet import QOp

MOST_COUNTED = 65_535
"""The largest count of frames or steps in the C, which counts in 16 bits."""
MOST_ELEMENTS = MOST_COUNTED - 63
"""Limit of the elements of a value: a loop that computes up to 64 rows at once must not overflow its 16-bit count."""
Array = NDArray[Any]
Kind = Literal["stream", "last", "window"]


@dataclass(frozen=True)
class Value:
    """What an op computes at one tick: a scalar ``()``, a vector, or a matrix (channels first)."""

    name: str
    shape: tuple[int, ...]
    dtype: Literal["real", "index"] = "real"
    clock: Clock = EVERY_STEP
    rows: int = 0
    """For an index: how many rows it may name."""
    per_sequence: bool = False
    """For an input: whether the file takes it once per sequence; then every step receives the same value."""
    time: int | None = None
    """For an input: the axis of the file's tensor that is time, if one is."""

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class State:
    """What is kept from step to step."""

    name: str
    shape: tuple[int, ...]
    initial: Floats
    alias: str = ""
    """The graph input that the user knows it by, if any."""
    window: Ints | None = None
    """For each element of the state, its index in that input, flattened; None if the state is the whole input."""


@dataclass(frozen=True, eq=False)
class Feedback:
    """A value that the graph itself feeds back: read as ``state.name`` in a step, then set to the value ``next``."""

    state: State
    next: str


@dataclass(frozen=True)
class Output:
    """A result of the network: ``value``, under its name in the file."""

    name: str
    value: str
    kind: Kind = "stream"
    ticks: int = 0
    """For a window's output: the number of consecutive values it returns at its end; 0 for a single value."""


Probe = Callable[[str, Array], None]
States = dict[str, Array]


def no_probe(_: str, __: Array) -> None:
    """Record nothing."""


Accept = Literal["any", "common", "channel", "gate", "logit", "order"]
"""The format that an op accepts for an input: any; one scale for all elements; one scale for each index of axis 0; int32 with
12 fraction bits, clipped (fixed.GATE) or not (fixed.LOGIT); one scale for all elements, better as LOGIT."""


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
    gates: ClassVar[tuple[str, ...]] = ()
    """What the blocks along axis 0 of its weights and biases are called, where it has gates."""
    scores: ClassVar[bool] = False
    """Whether its output holds class scores, of which only the largest matters."""
    elastic: ClassVar[bool] = False
    """Whether its inputs may tick at different steps; ``step`` then gets all ticks of each at once, as many as there are."""
    forgets: ClassVar[bool] = False
    """Whether its state is forgotten after a fixed number of steps: a history, not a recurrence."""
    linear: ClassVar[bool] = False
    """Whether a small change of an input changes the output in a proportion that does not depend on the data."""
    passes: ClassVar[bool] = False
    """Whether its output is input 0 unchanged, at other ticks; the format then suits the readers of the output."""
    jumps: ClassVar[bool] = False
    """Whether its output is a decision: it jumps when the input crosses a limit and is constant otherwise."""

    @abstractmethod
    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        """Return the values that it computes, with shape and dtype (``timing`` gives the clocks)."""

    @property
    def extends(self) -> bool:
        """Whether it is plain arithmetic, whose output may be an extended value (``Quantizer.extended``)."""
        return False

    @property
    def reads_extended(self) -> bool:
        """Whether it needs all bits of a state of plain arithmetic: it takes extended values as they are."""
        return False

    @property
    def by_element(self) -> bool:
        """Whether extended values that it takes and gives may have an LSB for each element."""
        return False

    @property
    def timing(self) -> Timing:
        """At which ticks of its inputs it gives a value."""
        return Timing()

    def clock(self, inputs: Sequence[Value]) -> Clock:
        """The clock of its outputs."""
        return self.timing.clock(common_clock([v.clock for v in inputs]))

    def states(self) -> tuple[State, ...]:
        """Its states; their names are unique in the network (``f"{self.name}_h"``)."""
        return ()

    @abstractmethod
    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        """Process one tick of its input, number ``tick`` since the start, and update ``state``; None if it has no output now.

        Arrays are ``[lanes, *shape]``, and for an op without states ``[ticks, lanes, *shape]``, many ticks at once. Results
        may have any shape of as many elements for each tick and lane.
        """

    def drain(self, state: States, tick: int) -> list[Array] | None:
        """Process one of the ``timing.tail`` ticks after the end of the inputs: as ``step``, with the op's own padding."""
        raise AssertionError(f"{self.kind} has no tail")

    @abstractmethod
    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        """Bounds of the outputs."""

    def accepts(self, index: int) -> Accept:
        """The format that it accepts for input ``index``."""
        return "any"

    def column_weights(self, index: int) -> Floats | None:
        """The weights ``[rows, elements]`` that multiply input ``index`` element by element, where the op has any."""
        return None

    def accepts_int8(self, index: int) -> bool:
        """Whether input ``index`` may have 8 bits in profile a8, if its producer can give them."""
        return False

    @abstractmethod
    def quantize(self, q: Quantizer) -> QOp:
        """The same op in integers."""

    def absorb(self, reader: Op) -> Op | None:
        """Return this op fused with the only reader of its output, with the reader's outputs; None if that is impossible."""
        return None

    def less(self, offsets: Sequence[Floats]) -> tuple[Op, Floats | None] | None:
        """The op for inputs reduced by ``offsets [elements]``, and how much that reduces its output; None if there is none."""
        return None

    def describe(self) -> str:
        """One line: what it is."""
        return self.kind


class Quantizer(Protocol):
    """The services that ``quantize`` offers to an op."""

    @property
    def precision(self) -> Literal["a16", "a8"]: ...

    def input(self, index: int) -> Format:
        """The format of input ``index``, already decided; it satisfies ``accepts(index)``."""

    def samples(self, operand: str | int) -> Floats | None:
        """Calibration samples ``[n, elements]`` in real units: of input ``index``, or of what ``step`` gave its probe."""

    def peak(self, operand: str | int) -> Floats:
        """The largest magnitude that each element of an operand (as in ``samples``) had, or may have, ``[elements]``."""

    def state_limit(self, operand: str) -> float:
        """The magnitude for which an unbounded state has room: twice that of the calibration data, or 8 times that of noise."""

    def output(
        self,
        index: int = 0,
        *,
        axis: int | None = 0,
        rows: bool = False,
        int32: bool = False,
        nonnegative: bool = False,
        reach: float | Floats = 0.0,
    ) -> Format:
        """A format for output ``index`` that suits its range, the profile, and all that read it.

        Args:
            axis: the axis of the value along which the scale may differ, None for one scale.
            rows: it comes from rows of weights (Dense, Conv): it may be int32, and is 8 bits wide inside an a8 net.
            int32: it may be int32 where all that read it want preactivations or logits.
            nonnegative: negative numbers are clipped (a fused ReLU).
            reach: the largest magnitude before that clipping, of all elements or each: what accumulators must hold.
        """

    def extended(self) -> Format | None:
        """The format of output 0 where it is an extended value: one that leads to a fed-back state, or to what reads such."""

    def wants8(self, index: int = 0) -> bool:
        """Whether output ``index`` should be 8 bits wide: profile a8, and all that read it take 8 bits."""

    def wide_table(self, weights: int) -> bool:
        """Whether the rows of the op's table, of so many weights, are int16."""

    @property
    def fine(self) -> bool:
        """Whether the op's preactivations are to have further fraction bits, if it has a finer form."""

    def round_rows(
        self,
        parts: Sequence[tuple[Floats, Floats, int, Floats | None]],
        target: Floats,
        bias: Floats,
        zero: float,
        gates: Sequence[str] = ("",),
        group: int = 0,
    ) -> tuple[list[Block], Floats]:
        """Quantize rows over one operand, or that sum over x and h: weights ``[rows, columns]``, LSBs, largest value, samples.

        Bias and zero belong to the first. ``gates`` are those of a unit's rows, in order ("h.x" for rows over x alone);
        ``group`` counts calls for one block. Returns the rows and what to add to the bias to correct for the operands' means.
        """


def fed_back(feedback: Sequence[Feedback]) -> list[Value]:
    """The values that fed-back states are read as."""
    return [Value(f.state.name, f.state.shape, clock=ALWAYS) for f in feedback]


@dataclass(frozen=True, eq=False, repr=False)
class Net(NotebookText):
    """A network as one step. ``ops`` are in an order in which every value is computed before it is read.

    Args:
        window: the network answers after so many steps, from the initial state; 0 for an endless stream.
        hop: steps from one window to the next; 0 for as many as a window has.
        length: steps of the file's own sequence, 0 where it leaves them open.
        summed: the file computes a recurrence by sums over the sequence, which overflow and lose digits as it gets longer.
    """

    name: str
    inputs: tuple[Value, ...]
    ops: tuple[Op, ...]
    outputs: tuple[Output, ...]
    feedback: tuple[Feedback, ...] = ()
    window: int = 0
    hop: int = 0
    length: int = 0
    summed: bool = False
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
            if values[output.value].clock == ALWAYS:
                values[output.value] = replace(values[output.value], clock=EVERY_STEP)
        for f in self.feedback:
            assert values[f.next].size == values[f.state.name].size, f"feedback of {f.state.name!r} changes size"
        object.__setattr__(self, "values", values)

    def passed(self, value: str) -> list[str]:
        """A value and its copies: the outputs of ops that pass it on unchanged."""
        names = [value]
        for name in names:
            names += [
                n for k, i in self._uses.get(name, ()) if i == 0 and self.ops[k].passes for n in self.ops[k].outputs
            ]
        return names

    def readers(self, value: str) -> list[tuple[Op, int]]:
        """The ops that compute with a value, each with the index of the input."""
        uses = sorted(use for name in self.passed(value) for use in self._uses.get(name, ()))
        return [(self.ops[k], i) for k, i in uses if not self.ops[k].passes]

    @cached_property
    def _uses(self) -> dict[str, list[tuple[int, int]]]:
        """For each value, which ops read it, and as which input."""
        uses: dict[str, list[tuple[int, int]]] = {}
        for k, op in enumerate(self.ops):
            for i, name in enumerate(op.inputs):
                uses.setdefault(name, []).append((k, i))
        return uses

    def states(self) -> list[State]:
        """Every state, in order."""
        return [f.state for f in self.feedback] + [s for op in self.ops for s in op.states()]

    @property
    def every(self) -> int:
        """Steps from one window's answer to the next."""
        return self.hop or self.window

    @property
    def overlaps(self) -> bool:
        """Whether a frame belongs to more than one window."""
        return self.every < self.window

    @property
    def restarts(self) -> int:
        """The number of steps after which the file resets to its built-in states although the C continues; 0 if it does not."""
        kept = [f.state for f in self.feedback] + [s for op in self.ops if not op.forgets for s in op.states()]
        return self.length if self.length > 1 and not self.window and any(not s.alias for s in kept) else 0

    def windows(self, steps: int) -> int:
        """How many windows end within ``steps`` steps."""
        return (steps - self.window) // self.every + 1 if steps >= self.window else 0

    @cached_property
    def ends(self) -> dict[str, int]:
        """For each value, the number of steps with new ticks after the input has ended: look-ahead layers are flushed."""
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
        """The number of values of an output for a sequence of ``steps`` steps, including those after its end."""
        window = output.kind == "window"
        return self.windows(steps) * max(output.ticks, 1) if window else self._pace.ticks(output.value, steps)

    @cached_property
    def _pace(self) -> Pace:
        return Pace(self.values, self.ops)

    def __str__(self) -> str:
        windows = f", {self.window} steps at a time" if self.window else ""
        lines = [f"net {self.name}{windows}{f', every {self.hop} steps' if self.overlaps else ''}"]
        lines += [f"  input  {v.name} {list(v.shape)} {v.dtype}" for v in self.inputs]
        for op in self.ops:
            shapes = ", ".join(f"{n} {list(self.values[n].shape)}{self.values[n].clock}" for n in op.outputs)
            lines.append(f"  {shapes} = {op.name}({', '.join(op.inputs)})  {op.describe()}")
            lines += [f"    state {s.name} {list(s.shape)}" for s in op.states()]
        lines += [f"  state  {f.state.name} {list(f.state.shape)} <- {f.next}" for f in self.feedback]
        return "\n".join([*lines, *(f"  output {o.name} = {o.value} ({o.kind})" for o in self.outputs)])
