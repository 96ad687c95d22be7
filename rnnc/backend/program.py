"""A network as a program (Program): the content of the C, without its text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnc.backend.guards import Always, Counter, Declared, Guard, LiveGuard
from rnnc.backend.places import Argument, Place, place_of
from rnnc.backend.targets import Target
from rnnc.clock import Clock
from rnnc.fixed import Format, Ints
from rnnc.qnet import QNet, QState

ITEM_BYTES = {
    "int8_t": 1,
    "uint8_t": 1,
    "int16_t": 2,
    "uint16_t": 2,
    "int32_t": 4,
    "uint32_t": 4,
    "rnnc_scale1": 4,
    "rnnc_line": 8,
    "rnnc_sum": 12,
    "rnnc_argument": 8,
    "rnnc_root": 8,
    "rnnc_segment": 8,
}


@dataclass(frozen=True, eq=False)
class Port:
    """An input or output: its ``name`` in the file, its C parameter ``c_name``, and the meaning of an element.

    ``shape`` covers everything that a step writes; a window's output may be ``ticks`` consecutive values.
    """

    name: str
    c_name: str
    value: str
    shape: tuple[int, ...]
    format: Format
    kind: str
    clock: Clock
    ticks: int = 0
    hop: int = 0
    """Steps from one overlapping window to the next, else 0."""

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def timing(self) -> str:
        """How often an output is written, and how late: "stream, every 2 steps, 3 steps late"; for a window, its values."""
        if self.kind == "window":
            text = f"window, {self.ticks} values" if self.ticks else "window"
            return f"{text}, every {self.hop} step{'s' * (self.hop > 1)}" if self.hop else text
        text = f"{self.kind}, every {self.clock.rate} steps" if self.clock.rate != 1 else self.kind
        if self.clock.delay:
            text += f", {self.clock.delay} step{'s' * (self.clock.delay > 1)} late"
        return text + (f", for the first time at step {self.clock.phase + 1}" if self.clock.phase else "")


@dataclass(frozen=True, eq=False)
class Member:
    """A state in the struct."""

    c_name: str
    state: QState

    @property
    def bytes(self) -> int:
        """Its size."""
        return self.state.size * ITEM_BYTES[self.state.format.ctype]


@dataclass(frozen=True, eq=False)
class ConstantArray:
    """A constant of the C; ``data [n]`` or ``[n, fields]``; ``span``: of the values, where ``data`` are bytes of wider ones;
    ``whole``: its bytes with the blocks of zeros that were left out, 0 for none; ``kept``: the share of blocks that are not."""

    symbol: str
    ctype: str
    data: Ints
    comment: str
    role: str
    span: tuple[int, int] | None = None
    whole: int = 0
    kept: float = 1.0

    @property
    def bytes(self) -> int:
        """Its size."""
        return len(self.data) * ITEM_BYTES[self.ctype]


Initializer = int | ConstantArray | tuple[tuple[str, "Initializer"], ...]
"""The content of a field of a parameter struct: an integer, the address of an array, or the fields of a nested struct."""


@dataclass(frozen=True, eq=False)
class Params:
    """The parameter struct of a call of ``op``: names and contents of its fields."""

    op: str
    symbol: str
    ctype: str
    fields: tuple[tuple[str, Initializer], ...]


@dataclass(frozen=True, eq=False)
class Call:
    """A call of a kernel with the address of ``params``, if any, and ``args``; it computes a part of ``op``.

    ``times``: turns of the loops around it, as in ``KernelCall``.
    """

    op: str
    function: str
    params: Params | None
    args: tuple[Argument, ...]
    times: tuple[int, ...] = ()

    def __str__(self) -> str:
        params = [self.params.symbol] if self.params else []
        times = "".join(f"{n} times " for n in self.times)
        return f"{times}{self.function}({', '.join([*params, *map(str, self.args)])})"


@dataclass(frozen=True, eq=False)
class FoldedKernel:
    """A C function ``symbol`` for the calls of ``function`` by ``ops``.

    Args:
        struct: C type of the parameters.
        parameters: of the function after the parameter struct, as C has them, and ``arguments``: their names.
        fields: of the struct; None for those that each call has its own of.
    """

    symbol: str
    function: str
    ops: tuple[str, ...]
    struct: str
    parameters: str
    arguments: tuple[str, ...]
    fields: tuple[tuple[str, Initializer | None], ...]


@dataclass(frozen=True, eq=False)
class Copy:
    """``size`` elements of ``ctype`` from one place to another."""

    to: Place
    source: Place
    size: int
    ctype: str

    @property
    def args(self) -> tuple[Argument, ...]:
        """As a call's."""
        return (self.to, self.source)

    def __str__(self) -> str:
        return f"{self.to} = {self.source}, {self.size} of {self.ctype}"


@dataclass(frozen=True, eq=False)
class Region:
    """The work that runs under ``guard``, in order."""

    guard: Guard
    work: tuple[Call | Copy, ...]


@dataclass(frozen=True, eq=False)
class Ring:
    """The newest ``frames`` frames of an input, in the struct."""

    c_name: str
    port: Port
    frames: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.frames * self.port.size

    @property
    def bytes(self) -> int:
        """Its size."""
        return self.size * ITEM_BYTES[self.port.format.ctype]


@dataclass(frozen=True, eq=False)
class Overlap:
    """How overlapping windows are computed. A call of step runs at most ``steps`` steps of the network in either way.

    Either every window in progress has its own states and receives each frame as it arrives, or there are states for one
    window and rings keep the ``window - hop + 1`` frames that later windows need; the steps of the next window are then
    spread evenly over the calls until its answer.

    Args:
        hop: frames from one answer to the next.
        steps: windows in progress at once, ``window / hop`` rounded up.
        rings: empty if each window has its own states.
    """

    window: int
    hop: int
    steps: int
    rings: tuple[Ring, ...] = ()

    @property
    def lanes(self) -> int:
        """How many windows have states."""
        return 1 if self.rings else self.steps

    @property
    def frames(self) -> int:
        """Frames in a ring."""
        return self.rings[0].frames if self.rings else 0

    @property
    def idle(self) -> int:
        """Frames for which a window's states are idle between its end and the start of the next."""
        return self.steps * self.hop - self.window

    @property
    def counters(self) -> tuple[tuple[str, str], ...]:
        """The counters of the struct, besides those of its windows, with their meaning."""
        if not self.rings:
            return ()
        end = self.frames - 1
        return (
            ("at", f"where the next frame goes, 0 .. {end}"),
            ("read", f"where the window's next frame is, 0 .. {end}"),
            ("left", f"frames until the next answer, 1 .. {self.window}"),
        )

    def bytes(self, window: int) -> int:
        """The bytes of all states, given those of one window."""
        if self.rings:
            return window + sum(r.bytes for r in self.rings) + 2 * len(self.counters)
        return self.lanes * (window + 2)


@dataclass(frozen=True)
class Computed:
    """Where a value of ``op`` is stored after the calls of ``call``, and the guard that says whether it is new.

    The two are one op, or one loop computes several and ``call`` is the last of them.
    """

    op: str
    value: str
    place: Place
    guard: Guard
    call: str


@dataclass(frozen=True, order=True)
class OperandBytes:
    """The bytes that a target needs for an operand: a vector of ``columns`` elements of ``bits`` bits."""

    columns: int
    bits: int
    bytes: int


@dataclass(frozen=True)
class Cost:
    """The costs known without a compiler: most multiply-accumulates of a step, bytes of constants and of the struct."""

    macs: int
    flash_weights: int
    flash_tables: int
    ram_state: int
    ram_scratch: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Program:
    """The content of the C, without its text.

    Args:
        counters: of the struct: they say when values are due, and how far a flush or a window has come.
        guards: the guards that a step computes first, in order.
        live: the guard of the inputs, None if nothing continues past their end.
        wrote: whether a step wrote the outputs; one guard each if they are not all written at the same steps, and step then
            returns the sum of 2^i. In a window these are its outputs of several values, if it has any.
        flush: the counter of the steps of a flush, None if there is no flush.
        frames: the counter of the frames in a window, None for an endless stream.
        operands: the sizes of the buffers for operands.
        kernels: definitions of functions that runtime_c does not contain.
        folded: functions in which the parameters of their calls are constants.
        computed: every value that an op computes, in order.
        overlap: how overlapping windows are computed, None if there are none. ``members`` and ``counters`` are those of one.
        many: NAME_step_many is wanted, too."""

    name: str
    target: Target
    qnet: QNet
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    members: tuple[Member, ...]
    counters: tuple[Counter, ...]
    guards: tuple[Declared, ...]
    live: LiveGuard | None
    wrote: tuple[Guard, ...]
    flush: Counter | None
    frames: Counter | None
    scratch: dict[str, int]
    arrays: tuple[ConstantArray, ...]
    params: tuple[Params, ...]
    regions: tuple[Region, ...]
    headers: tuple[str, ...]
    operands: tuple[OperandBytes, ...]
    kernels: tuple[str, ...]
    folded: tuple[FoldedKernel, ...]
    cost: Cost
    computed: tuple[Computed, ...]
    overlap: Overlap | None = None
    many: bool = False

    @property
    def returns(self) -> bool:
        """Whether step returns if it wrote the outputs, because some output is not new at every step."""
        return any(o.clock.rate != 1 or o.clock.phase or o.kind == "window" for o in self.outputs)

    @property
    def apart(self) -> bool:
        """Whether the outputs of a stream are written at different steps; step then returns a bit for each."""
        return not self.window and len(self.wrote) > 1

    @property
    def apart_in_window(self) -> bool:
        """The same for a window's outputs of several values, while they are written."""
        return bool(self.window) and len(self.wrote) > 1 and any(o.ticks for o in self.outputs)

    @property
    def continues(self) -> bool:
        """Whether NAME_next gives the answer of a window, which has several values, one a call."""
        several = bool(self.outputs) and all(o.ticks for o in self.outputs)
        return several and bool(self.drain_steps) and not self.apart_in_window

    @property
    def macs_by_call(self) -> tuple[int, int]:
        """The most multiply-accumulates of a call that takes a frame, and those of a step past the last one of a window."""
        q, ends = self.qnet, dict.fromkeys(self.qnet.values, 0)
        frame = late = 0
        for op in q.ops:
            macs = sum(call.macs for call in op.calls())
            rate = q.values[op.inputs[0]].clock.rate
            end = max(ends[n] for n in op.inputs) + op.timing.tail * rate
            ends.update(dict.fromkeys(op.outputs, end))
            frame += macs * any(q.values[n].clock.phase < self.window for n in op.inputs)
            late += macs * (end > 0)
        return frame * (self.overlap.steps if self.overlap else 1), late

    @property
    def calls(self) -> list[Call]:
        """The calls of kernels, in order."""
        return [c for region in self.regions for c in region.work if isinstance(c, Call)]

    @property
    def touched(self) -> list[Place]:
        """Every place that a step reads or writes."""
        places = (place_of(a) for region in self.regions for c in region.work for a in c.args)
        return [p for p in places if p]

    @property
    def window(self) -> int:
        """The steps of a window, 0 for an endless stream."""
        return self.qnet.net.window

    @property
    def saved_bytes(self) -> int:
        """The bytes of a saved state, without header and checksum."""
        one = sum(m.bytes for m in self.members if not m.state.follows) + 2 * len(self.counters)
        return self.overlap.bytes(one) if self.overlap else one

    @property
    def drain_steps(self) -> int:
        """The number of steps with new values after the input has ended."""
        return self.qnet.net.drain_steps

    def __str__(self) -> str:
        lines = [f"program {self.name} for {self.target.name}"]
        lines += [f"  state {m.state.format.ctype} {m.c_name}[{m.state.size}]" for m in self.members]
        lines += [f"  counter {c.c_name}: {c.comment}" for c in self.counters]
        lines += [f"  scratch {name}[{n}]" for name, n in self.scratch.items()]
        lines += [f"  const {a.ctype} {a.symbol}[{len(a.data)}]" for a in self.arrays]
        lines += [f"  guard {g}: {g.meaning}" for g in self.guards]
        for region in self.regions:
            lines.append(f"  {'' if isinstance(region.guard, Always) else 'if '}{region.guard}:")
            lines += [f"    {c}" for c in region.work]
        return "\n".join(lines)
