"""A network as a program (Program): all that the C says, without its text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnc.backend.signals import Counter
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
    "rnnc_wide_term": 4,
}


@dataclass(frozen=True, eq=False)
class Port:
    """An input or output: the file's ``name``, the C parameter ``c_name``, and what an element means.

    ``shape`` is that of all that a step writes; a window's output may be ``ticks`` values, one after the other.
    """

    name: str
    c_name: str
    value: str
    shape: tuple[int, ...]
    format: Format
    kind: str
    clock: Clock
    ticks: int = 0

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def timing(self) -> str:
        """How often an output comes, and how late: "stream, every 2 steps, 3 steps late"; of a window, how many values."""
        if self.kind == "window":
            return f"window, {self.ticks} values" if self.ticks else "window"
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
    """A constant of the C; ``data [n]`` or ``[n, fields]``."""

    symbol: str
    ctype: str
    data: Ints
    comment: str
    role: str

    @property
    def bytes(self) -> int:
        """Its size."""
        return len(self.data) * ITEM_BYTES[self.ctype]


@dataclass(frozen=True, eq=False)
class Params:
    """The parameter struct of a call: field name and initialiser."""

    symbol: str
    ctype: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class Call:
    """``function(args)``, C expressions; ``op`` is what it computes a part of."""

    op: str
    function: str
    args: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Region:
    """Calls that run when ``guard``, a C expression, is not 0; "" for every step."""

    guard: str
    calls: tuple[Call, ...]


@dataclass(frozen=True)
class Cost:
    """What is known without compiling: multiply-accumulates of a step, bytes of constants and of the struct."""

    macs: int
    flash_weights: int
    flash_tables: int
    ram_state: int
    ram_scratch: int


@dataclass(frozen=True, eq=False)
class Program:
    """All that the C says, without its text.

    Args:
        counters: of the struct: what tells when values are due, and how far a flush or a window is.
        signals: statements at the begin of a step that compute the guards of the regions.
        live: the guards' name for "a frame has come", "" where nothing goes on past the end of the input.
        wrote: C expression: whether a step wrote the outputs.
        apart: outputs are not all written at the same steps, and ``wrote`` is the sum of 2^i of those that are.
        flush: the counter of the steps that a flush takes, None where it takes none.
        frames: the counter of the frames in a window, None for an endless stream.
        kernels: definitions of functions that runtime_c does not hold.
    """

    name: str
    target: Target
    qnet: QNet
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    members: tuple[Member, ...]
    counters: tuple[Counter, ...]
    signals: tuple[str, ...]
    live: str
    wrote: str
    apart: bool
    flush: Counter | None
    frames: Counter | None
    scratch: dict[str, int]
    arrays: tuple[ConstantArray, ...]
    params: tuple[Params, ...]
    regions: tuple[Region, ...]
    headers: tuple[str, ...]
    kernels: tuple[str, ...]
    cost: Cost

    @property
    def returns(self) -> bool:
        """Whether step says if it wrote the outputs: some output is not new at every step."""
        return any(o.clock.rate != 1 or o.clock.phase or o.kind == "window" for o in self.outputs)

    @property
    def window(self) -> int:
        """The steps of a window, 0 for an endless stream."""
        return self.qnet.net.window

    @property
    def drain_steps(self) -> int:
        """For how many steps values go on coming when the input has ended."""
        return self.qnet.net.drain_steps

    def __str__(self) -> str:
        lines = [f"program {self.name} for {self.target.name}"]
        lines += [f"  state {m.state.format.ctype} {m.c_name}[{m.state.size}]" for m in self.members]
        lines += [f"  counter {c.c_name}: {c.comment}" for c in self.counters]
        lines += [f"  scratch {name}[{n}]" for name, n in self.scratch.items()]
        lines += [f"  const {a.ctype} {a.symbol}[{len(a.data)}]" for a in self.arrays]
        lines += [f"  {line}" for line in self.signals]
        for region in self.regions:
            lines.append(f"  {f'if {region.guard}' if region.guard else 'every step'}:")
            lines += [f"    {c.function}({', '.join(c.args)})" for c in region.calls]
        return "\n".join(lines)
