"""QNet to Program: where every value lies, which kernel is called with what, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnnc.backend.memory import Pool, allocate
from rnnc.backend.names import Namer, prefix
from rnnc.backend.pack import pack_weights
from rnnc.backend.targets import Target, find_target
from rnnc.fixed import Format, Ints
from rnnc.net import Arg, Clock, Constant, KernelCall, QNet, QOp, QState, WeightRows

ITEM_BYTES = {
    "int8_t": 1,
    "uint8_t": 1,
    "int16_t": 2,
    "uint16_t": 2,
    "int32_t": 4,
    "uint32_t": 4,
    "rnnc_scale1": 4,
    "rnnc_scale2": 6,
    "rnnc_line": 8,
    "rnnc_sum": 12,
    "rnnc_segment": 8,
}
SIGMA_TABLE_BYTES = 388
POOLS = {"int8_t": "work8", "uint8_t": "work8", "int16_t": "work16", "uint16_t": "work16", "int32_t": "work32"}
RESERVED = frozenset({"s", "blob", "memcpy", "memset", "work8", "work16", "work32", "real", "q"})


@dataclass(frozen=True, eq=False)
class Port:
    """An input or output: the file's ``name``, the C parameter ``c_name``, and what an element means."""

    name: str
    c_name: str
    value: str
    shape: tuple[int, ...]
    format: Format
    kind: str
    clock: Clock

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))


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
    """Calls that run when their clock ticks; ``clock`` None for every step."""

    clock: Clock | None
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
    """All that the C says, without its text."""

    name: str
    target: Target
    qnet: QNet
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    members: tuple[Member, ...]
    clocks: tuple[Clock, ...]
    scratch: dict[str, int]
    arrays: tuple[ConstantArray, ...]
    params: tuple[Params, ...]
    regions: tuple[Region, ...]
    headers: tuple[str, ...]
    cost: Cost

    @property
    def returns(self) -> bool:
        """Whether step says if it wrote the outputs: some output is not new at every step."""
        return any(o.clock.rate != 1 or o.clock.phase for o in self.outputs)

    def __str__(self) -> str:
        lines = [f"program {self.name} for {self.target.name}"]
        lines += [f"  state {m.state.format.ctype} {m.c_name}[{m.state.size}]" for m in self.members]
        lines += [f"  scratch {name}[{n}]" for name, n in self.scratch.items()]
        lines += [f"  const {a.ctype} {a.symbol}[{len(a.data)}]" for a in self.arrays]
        for region in self.regions:
            lines.append(f"  {'every step' if region.clock is None else region.clock}:")
            lines += [f"    {c.function}({', '.join(c.args)})" for c in region.calls]
        return "\n".join(lines)


def lower(qnet: QNet, target: str = "portable", name: str = "") -> Program:
    """Lay a qnet out for a target."""
    return _Lowering(qnet, find_target(target), prefix(name or qnet.net.name)).lower()


@dataclass
class _Lowering:
    qnet: QNet
    target: Target
    name: str
    namer: Namer = field(default_factory=lambda: Namer(RESERVED))
    places: dict[str, str] = field(default_factory=dict)
    arrays: list[ConstantArray] = field(default_factory=list)
    params: list[Params] = field(default_factory=list)
    headers: set[str] = field(default_factory=set)
    macs: int = 0

    def lower(self) -> Program:
        q = self.qnet
        inputs = tuple(self._port(v.name, v.name, "stream") for v in q.inputs)
        outputs = tuple(self._port(o.name, o.value, o.kind) for o in q.outputs)
        members = tuple(Member(self.namer.name(s.name), s) for s in q.states())
        states = {m.state.name: f"s->{m.c_name}" for m in members}
        self.places.update({p.value: p.c_name for p in inputs})
        self.places.update({f.state.name: states[f.state.name] for f in q.feedback})
        copies = self._place_outputs(outputs, states)
        pool = self._allocate()
        steps = [(self._clock(op, call), self._call(op, call, states, pool)) for op in q.ops for call in op.calls()]
        steps += copies
        steps += [(None, c) for c in self._feedback(states, pool)]
        clocks = tuple(dict.fromkeys(c for c, _ in steps if c is not None))
        return Program(
            self.name,
            self.target,
            q,
            inputs,
            outputs,
            members,
            clocks,
            pool.sizes,
            tuple(self.arrays),
            tuple(self.params),
            _regions(steps),
            tuple(sorted(self.headers)),
            self._cost(members, clocks, pool),
        )

    def _port(self, name: str, value: str, kind: str) -> Port:
        v = self.qnet.values[value]
        return Port(name, self.namer.name(name), value, v.shape, self.qnet.formats[value], kind, v.clock)

    def _place_outputs(self, outputs: Sequence[Port], states: dict[str, str]) -> list[tuple[Clock | None, Call]]:
        """Let values be computed where the caller wants them, or copied there from where they lie anyway."""
        in_state = {v: states[op.output_state(i)] for op in self.qnet.ops for i, v in enumerate(op.outputs) if op.output_state(i)}
        self.places.update(in_state)
        copies = []
        for port in outputs:
            if port.value in self.places:
                copies.append((_guard(port.clock), self._copy(port.c_name, self.places[port.value], port.size, port.format)))
            else:
                self.places[port.value] = port.c_name
        return copies

    @staticmethod
    def _copy(to: str, source: str, size: int, form: Format) -> Call:
        return Call("", "memcpy", (to, source, f"{size} * sizeof({form.ctype})"))

    def _allocate(self) -> Pool:
        """Give every value without a place, and every call's scratch, room in the work arrays by lifetime."""
        pool, now = [], 0
        last = {name: i for i, op in enumerate(self.qnet.ops) for name in op.inputs}
        end = len(self.qnet.ops)
        last |= {f.next: end for f in self.qnet.feedback}
        for now, op in enumerate(self.qnet.ops):
            for name, form in zip(op.outputs, op.formats, strict=True):
                if name not in self.places:
                    pool.append((name, POOLS[form.ctype], self.qnet.values[name].size, now, last.get(name, now)))
            for call in op.calls():
                pool += [(f"{op.name}.{s.name}", POOLS[s.ctype], s.length, now, now) for s in call.scratch]
        for f in self.qnet.feedback:
            if self.places.get(f.next, "").startswith("s->"):
                pool.append((f"{f.state.name}.next", POOLS[f.state.format.ctype], f.state.size, end, end))
        return allocate(pool)

    def _clock(self, op: QOp, call: KernelCall) -> Clock | None:
        names = op.inputs if call.when == "input" else op.outputs
        return _guard(self.qnet.values[names[0]].clock)

    def _call(self, op: QOp, call: KernelCall, states: dict[str, str], pool: Pool) -> Call:
        self.headers.add(call.header)
        self.macs += call.macs
        args = [f"&{self._params(op, call)}"] if call.struct else []
        args += [self._argument(op, call, arg, states, pool) for arg in call.args]
        return Call(op.name, call.function, tuple(args))

    def _argument(self, op: QOp, call: KernelCall, arg: Arg, states: dict[str, str], pool: Pool) -> str:
        if arg.place == "null":
            return "0"
        if arg.place == "state":
            return states[arg.name]
        if arg.place == "scratch":
            buffer = next(s for s in call.scratch if s.name == arg.name)
            return pool.expression(f"{op.name}.{arg.name}", buffer.ctype)
        name = (op.inputs if arg.place == "input" else op.outputs)[int(arg.name)]
        return self.places.get(name) or pool.expression(name, self.qnet.formats[name].ctype)

    def _params(self, op: QOp, call: KernelCall) -> str:
        taken = sum(p.symbol.startswith(f"{self.name}_{op.name}_p") for p in self.params)
        symbol = f"{self.name}_{op.name}_p{taken or ''}"
        self.params.append(Params(symbol, call.struct, tuple((n, self._initializer(v)) for n, v in call.fields)))
        return symbol

    def _initializer(self, value: Any) -> str:
        """The C initialiser of a field: an integer, an array's address, or a struct in braces."""
        if isinstance(value, int | np.integer):
            return str(value)
        if isinstance(value, tuple):
            return "{" + ", ".join(f".{n} = {self._initializer(v)}" for n, v in value) + "}"
        return self._constant(value)

    def _constant(self, value: Constant | WeightRows) -> str:
        symbol = f"{self.name}_{value.name}"
        if any(a.symbol == symbol for a in self.arrays):
            return symbol
        if isinstance(value, WeightRows):
            data = pack_weights(value, self.target.group, self.target.pack)
            self.arrays.append(ConstantArray(symbol, "int8_t", data, value.comment, "weights"))
        else:
            self.arrays.append(ConstantArray(symbol, value.ctype, value.data, value.comment, value.role))
        return symbol

    def _feedback(self, states: dict[str, str], pool: Pool) -> list[Call]:
        """Set every fed-back state at the end of a step; what lies in a state itself goes through scratch first."""
        first, then = [], []
        for f in self.qnet.feedback:
            source = self.places.get(f.next) or pool.expression(f.next, f.state.format.ctype)
            if source.startswith("s->"):
                through = pool.expression(f"{f.state.name}.next", f.state.format.ctype)
                first.append(self._copy(through, source, f.state.size, f.state.format))
                source = through
            then.append(self._copy(states[f.state.name], source, f.state.size, f.state.format))
        return first + then

    def _cost(self, members: Sequence[Member], clocks: Sequence[Clock], pool: Pool) -> Cost:
        tables = sum(a.bytes for a in self.arrays if a.role == "table")
        if self.headers & {"lstm.h", "gru.h", "rnn.h"}:
            tables += SIGMA_TABLE_BYTES
        return Cost(
            macs=self.macs,
            flash_weights=sum(a.bytes for a in self.arrays if a.role == "weights"),
            flash_tables=tables,
            ram_state=sum(m.bytes for m in members) + 2 * len(clocks),
            ram_scratch=pool.bytes,
        )


def _guard(clock: Clock) -> Clock | None:
    return None if clock.rate == 1 and clock.phase == 0 else Clock(clock.rate, clock.phase)


def _regions(steps: Sequence[tuple[Clock | None, Call]]) -> tuple[Region, ...]:
    """Consecutive calls of one clock as one region."""
    regions: list[tuple[Clock | None, list[Call]]] = []
    for clock, call in steps:
        if not regions or regions[-1][0] != clock:
            regions.append((clock, []))
        regions[-1][1].append(call)
    return tuple(Region(clock, tuple(calls)) for clock, calls in regions)
