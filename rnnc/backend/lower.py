"""QNet to Program: where every value lies, which kernel is called with what, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from rnnc.backend.folding import fold
from rnnc.backend.fusion import fused, maker
from rnnc.backend.guards import Counter, Guard, Guards, counters_of
from rnnc.backend.memory import Pool, Request, allocate
from rnnc.backend.names import Namer, prefix
from rnnc.backend.pack import pack_units, pack_weights
from rnnc.backend.places import (
    ActivationCode,
    Argument,
    Guarded,
    Literal,
    Place,
    PortPlace,
    StatePlace,
    Strided,
    place_of,
)
from rnnc.backend.program import (
    ITEM_BYTES,
    Call,
    Computed,
    ConstantArray,
    Copy,
    Cost,
    Initializer,
    Member,
    OperandBytes,
    Overlap,
    Params,
    Port,
    Program,
    Region,
    Ring,
)
from rnnc.backend.reach import check_reach
from rnnc.backend.sparse import without_zeros
from rnnc.backend.structs import widths
from rnnc.backend.targets import Target, find_target
from rnnc.errors import Refused
from rnnc.qnet import Arg, Constant, KernelCall, Operand, QNet, QOp, Scratch, UnitRows, WeightRows

POOLS = {"int8_t": "work8", "uint8_t": "work8", "int16_t": "work16", "uint16_t": "work16", "int32_t": "work32"}
RESERVED = frozenset("s i k n blob saved memcpy memset work8 work16 work32 real q step wrote count".split())
OF_WINDOWS = frozenset("w wait at read left due last".split())
"""What the C of overlapping windows names besides."""

NULL = Literal(0)
"""The null pointer."""


def lower(qnet: QNet, target: str = "portable", name: str = "", *, many: bool = False) -> Program:
    """Lay a qnet out for a target; ``many``: with NAME_step_many.

    Raises UsageError for an unknown target, Refused where what it can do does not reach so far.
    """
    chosen = find_target(target)
    ready = without_zeros(fused(qnet, vectors=chosen.vectors), chosen.sparse)
    program = _Lowering(ready, chosen, prefix(name or qnet.net.name)).lower()
    check_reach(program)
    return replace(program, qnet=qnet, many=many)


@dataclass
class _Lowering:
    qnet: QNet
    target: Target
    name: str
    places: dict[str, Place] = field(default_factory=dict)
    arrays: list[ConstantArray] = field(default_factory=list)
    params: list[Params] = field(default_factory=list)
    headers: set[str] = field(default_factory=set)
    kernels: dict[str, str] = field(default_factory=dict)
    """The names of functions by their definitions."""
    tables: set[str] = field(default_factory=set)
    operands: set[OperandBytes] = field(default_factory=set)
    macs: int = 0
    earlier: dict[str, int] = field(default_factory=dict)
    """Parameter structs of each op."""
    known: dict[str, ConstantArray] = field(default_factory=dict)
    """The arrays by their symbols."""
    namer: Namer = field(init=False)
    calls_of: dict[str, list[KernelCall]] = field(init=False)
    """The kernel calls of each op."""

    def __post_init__(self) -> None:
        self.calls_of = {op.name: op.calls() for op in self.qnet.ops}
        self.namer = Namer(self.name, RESERVED | (OF_WINDOWS if self.qnet.net.overlaps else frozenset()))

    def lower(self) -> Program:
        q = self.qnet
        inputs = tuple(self._port(v.name, v.name, "stream") for v in q.inputs)
        outputs = tuple(self._port(o.name, o.value, o.kind, o.ticks) for o in q.outputs)
        members = tuple(Member(self.namer.name(s.name), s) for s in q.states())
        states = {m.state.name: StatePlace(m.c_name) for m in members}
        self.places.update({p.value: PortPlace(p.c_name) for p in inputs})
        self.places.update({f.state.name: states[f.state.name] for f in q.feedback})
        guards = Guards(q, self.namer)
        copies = self._place_outputs(outputs, states, guards)
        self._place_next_states(states)
        pool = self._allocate()
        steps: list[tuple[Guard, Call | Copy]] = [
            (self._guard(op, call, guards), self._call(op, call, states, pool, guards.source(op)))
            for op in q.ops
            for call in self.calls_of[op.name]
        ]
        steps += [*copies, *self._feedback(states, pool, guards)]
        wrote = guards.wrote([o for o in q.outputs if o.ticks] or q.outputs)
        declared = guards.declared([*wrote, *(guard for guard, _ in steps)])
        flush, frames = self._ends()
        counters = (*counters_of(declared), *(c for c in (flush, frames) if c))
        overlap = self._overlap(inputs, members, counters)
        regions = _regions(steps)
        regions, folded = (regions, ()) if self.target.rom else fold(self.name, regions)
        return Program(
            name=self.name,
            target=self._used_target,
            qnet=q,
            inputs=inputs,
            outputs=outputs,
            members=members,
            counters=counters,
            guards=declared,
            live=guards.live,
            wrote=wrote,
            flush=flush,
            frames=frames,
            scratch=pool.sizes,
            arrays=tuple(self.arrays),
            params=tuple(self.params),
            regions=regions,
            folded=folded,
            headers=tuple(sorted(self.headers)),
            kernels=tuple(source.replace("@", symbol) for source, symbol in self.kernels.items()),
            operands=tuple(sorted(self.operands)),
            cost=self._cost(members, counters, pool, overlap),
            computed=tuple(
                Computed(maker(op, value), value, self._place(value, pool), guards.values[value], op.name)
                for op in q.ops
                if self.calls_of[op.name]
                for value in op.outputs
            ),
            overlap=overlap,
        )

    @property
    def _used_target(self) -> Target:
        """The target, with the header of rows without their blocks of zeros where there are such."""
        t = self.target
        return replace(t, isa=(*t.isa, t.sparse.header)) if t.sparse and any(a.whole for a in self.arrays) else t

    def _port(self, name: str, value: str, kind: str, ticks: int = 0) -> Port:
        v = self.qnet.values[value]
        shape = (ticks, *v.shape) if ticks else v.shape
        net = self.qnet.net
        hop = net.every if kind == "window" and net.overlaps else 0
        return Port(name, self.namer.name(name), value, shape, self.qnet.formats[value], kind, v.clock, ticks, hop)

    def _ends(self) -> tuple[Counter | None, Counter | None]:
        """The counters of a flush and of a window."""
        net = self.qnet.net
        if net.window:
            meaning = f"frames of a window, 0 .. {net.window - 1}; more while its answer is given step by step"
            return None, Counter(self.namer.name("frames"), 0, meaning, counts_steps=True)
        if net.drain_steps:
            return Counter(self.namer.name("left"), net.drain_steps, "steps that a flush takes at most"), None
        return None, None

    def _overlap(
        self, inputs: Sequence[Port], members: Sequence[Member], counters: Sequence[Counter]
    ) -> Overlap | None:
        """Where windows overlap, what takes less memory: states for each that is under way, or the frames they need."""
        net = self.qnet.net
        if not net.overlaps:
            return None
        apart = Overlap(net.window, net.every, -(-net.window // net.every))
        frames = net.window - net.every + 1
        kept = replace(apart, rings=tuple(Ring(self.namer.name(f"{p.c_name}_frames"), p, frames) for p in inputs))
        one = sum(m.bytes for m in members) + 2 * len(counters)
        return min(apart, kept, key=lambda overlap: overlap.bytes(one))

    def _place_outputs(
        self, outputs: Sequence[Port], states: Mapping[str, StatePlace], guards: Guards
    ) -> list[tuple[Guard, Copy]]:
        """Let values be computed where the caller wants them, or copied there from where they lie anyway."""
        for op in self.qnet.ops:
            for i, value in enumerate(op.outputs):
                if op.output_state(i):
                    self.places[value] = states[op.output_state(i)]
        copies = []
        for port in outputs:
            size, root, own = self.qnet.values[port.value].size, self._root(port.value), PortPlace(port.c_name)
            if root in self.places:
                copies.append((guards.values[port.value], Copy(own, self.places[root], size, port.format.ctype)))
            else:
                self.places[root] = own
        return copies

    def _place_next_states(self, states: Mapping[str, StatePlace]) -> None:
        """Let the next value of a state be computed in its place where nothing reads the state from then on."""
        q = self.qnet
        ends = {self._root(v) for v in (*(f.next for f in q.feedback), *(o.value for o in q.outputs))}
        for f in q.feedback:
            root, makers = self._root(f.next), [i for i, op in enumerate(q.ops) if self._root(f.next) in op.outputs]
            read_later = (
                any(self._root(name) == f.state.name for op in q.ops[makers[0] :] for name in op.inputs)
                if makers
                else True
            )
            if not read_later and root not in self.places and f.state.name not in ends:
                self.places[root] = states[f.state.name]

    @cached_property
    def _views(self) -> dict[str, str]:
        """Values that are others in the same memory: outputs of ops without calls."""
        return {op.outputs[0]: op.inputs[0] for op in self.qnet.ops if not self.calls_of[op.name]}

    def _root(self, value: str) -> str:
        """The value whose memory a value is."""
        while value in self._views:
            value = self._views[value]
        return value

    def _allocate(self) -> Pool:
        """Give every value without a place, and every call's scratch, room in the work arrays by lifetime.

        Time is counted in calls; scratch that several calls of an op name is kept from the first of them to the last, and as
        large as the largest of them takes it.
        """
        starts = [0]
        for op in self.qnet.ops:
            starts.append(starts[-1] + max(1, len(self.calls_of[op.name])))
        end = starts[-1]
        last = {self._root(name): starts[i + 1] - 1 for i, op in enumerate(self.qnet.ops) for name in op.inputs}
        last |= {
            self._root(name): end
            for name in [f.next for f in self.qnet.feedback] + [o.value for o in self.qnet.outputs]
        }
        pool: dict[str, Request] = {}
        for op, start, after in zip(self.qnet.ops, starts, starts[1:], strict=False):
            for name, form in zip(op.outputs, op.formats, strict=True):
                if name not in self.places and name not in self._views:
                    until = last.get(name, after - 1)
                    pool[name] = Request(name, POOLS[form.ctype], self.qnet.values[name].size, start, until)
            for now, call in enumerate(self.calls_of[op.name], start):
                for s in map(self._scratch, call.scratch):
                    name = f"{op.name}.{s.name}"
                    if s.length:
                        before = pool.get(name, Request(name, "", 0, now, now))
                        most = max(before.length, s.length)
                        pool[name] = Request(name, POOLS[s.ctype], most, before.first, now)
        for f in self.qnet.feedback:
            if self._in_state(f.next) and self.places[self._root(f.next)] != self.places[f.state.name]:
                name = f"{f.state.name}.next"
                pool[name] = Request(name, POOLS[f.state.format.ctype], f.state.size, end, end)
        return allocate(pool.values())

    def _in_state(self, value: str) -> bool:
        """Whether a value lies in a state of the struct."""
        return isinstance(self.places.get(self._root(value)), StatePlace)

    @staticmethod
    def _guard(op: QOp, call: KernelCall, guards: Guards) -> Guard:
        if call.when == "output":
            return guards.values[op.outputs[0]]
        return guards.source(op) if call.when == "input" else guards.ticks[op.name]

    def _call(self, op: QOp, call: KernelCall, states: Mapping[str, StatePlace], pool: Pool, source: Guard) -> Call:
        self.headers.update((call.header, *call.more_headers))
        self.tables.update(call.tables)
        self.macs += call.macs
        params = self._params(op, call) if call.struct else None
        args: list[Argument] = []
        for arg in call.args:
            if arg.place == "input" and call.when == "tick" and op.timing.tail:
                args.append(Guarded(self._place(op.inputs[arg.index], pool), source))
                continue
            found = self._argument(op, call, arg, states, pool)
            place = place_of(found) if arg.strides else None
            args.append(Strided(place, arg.strides) if place else found)
        return Call(op.name, call.function or self._kernel(op, call.source), params, tuple(args), call.times)

    def _kernel(self, op: QOp, source: str) -> str:
        """The name of a function that the package defines; equal definitions have one."""
        stem = f"{self.name}_{op.name}_kernel"
        names, count = self.kernels.values(), 0
        while f"{stem}{count or ''}" in names:
            count += 1
        return self.kernels.setdefault(source, f"{stem}{count or ''}")

    def _argument(self, op: QOp, call: KernelCall, arg: Arg, states: Mapping[str, StatePlace], pool: Pool) -> Argument:
        if arg.place == "null":
            return NULL
        if arg.place == "activation":
            return ActivationCode(arg.name)
        if arg.place == "state":
            return states[arg.name]
        if arg.place == "scratch":
            buffer = next(self._scratch(s) for s in call.scratch if s.name == arg.name)
            return pool.place(f"{op.name}.{arg.name}", buffer.ctype) if buffer.length else NULL
        return self._place((op.inputs if arg.place == "input" else op.outputs)[arg.index], pool)

    def _place(self, value: str, pool: Pool) -> Place:
        """Where a value lies."""
        root = self._root(value)
        return self.places.get(root) or pool.place(root, self.qnet.formats[value].ctype)

    def _scratch(self, scratch: Scratch | Operand) -> Scratch:
        if isinstance(scratch, Operand):
            if scratch.borrowed and self.target.direct:
                return Scratch(scratch.name, "int8_t", 0)
            ctype, length = self.target.operand(scratch.columns, scratch.bits)
            self.operands.add(OperandBytes(scratch.columns, scratch.bits, length * ITEM_BYTES[ctype]))
            return Scratch(scratch.name, ctype, length)
        return scratch

    def _params(self, op: QOp, call: KernelCall) -> Params:
        earlier = self.earlier.get(op.name, 0)
        self.earlier[op.name] = earlier + 1
        symbol = f"{self.name}_{op.name}_p{earlier or ''}"
        for wide in (w for w in widths(call.struct, call.fields) if not w.fits):
            what = f"its {wide.field.replace('_', ' ')}, {wide.value:,}, does not fit in the C ({wide.ctype})"
            raise Refused(what, where=op.name, hint="Make the layer smaller, or leave it outside: --output TENSOR.")
        params = Params(op.name, symbol, call.struct, tuple((n, self._initializer(v)) for n, v in call.fields))
        self.params.append(params)
        return params

    def _initializer(self, value: Any) -> Initializer:
        if isinstance(value, int | np.integer):
            return int(value)
        if isinstance(value, tuple):
            return tuple((n, self._initializer(v)) for n, v in value)
        return self._constant(value)

    def _constant(self, value: Constant | WeightRows | UnitRows) -> ConstantArray:
        symbol = f"{self.name}_{value.name}"
        if symbol in self.known:
            return self.known[symbol]
        t = self.target
        if isinstance(value, WeightRows):
            data = pack_weights(value, t.group, t.lanes, t.packing)
            whole = len(pack_weights(value.whole, t.group, t.lanes, t.packing)) if value.is_sparse else 0
            array = ConstantArray(symbol, "int8_t", data, value.described, "weights", value.span, whole, value.kept)
        elif isinstance(value, UnitRows):
            data = pack_units(value, t.group, t.lanes)
            array = ConstantArray(symbol, value.ctype, data, value.comment, "weights")
        else:
            array = ConstantArray(symbol, value.ctype, value.data, value.comment, value.role)
        self.arrays.append(array)
        self.known[symbol] = array
        return array

    def _feedback(self, states: Mapping[str, StatePlace], pool: Pool, guards: Guards) -> list[tuple[Guard, Copy]]:
        """Set every fed-back state at the end of a step; what lies in a state itself goes through scratch first."""
        first, then = [], []
        for f in self.qnet.feedback:
            guard, source, ctype = guards.values[f.next], self._place(f.next, pool), f.state.format.ctype
            if source == states[f.state.name]:
                continue
            if self._in_state(f.next):
                through = pool.place(f"{f.state.name}.next", ctype)
                first.append((guard, Copy(through, source, f.state.size, ctype)))
                source = through
            then.append((guard, Copy(states[f.state.name], source, f.state.size, ctype)))
        return first + then

    def _cost(
        self, members: Sequence[Member], counters: Sequence[Counter], pool: Pool, overlap: Overlap | None
    ) -> Cost:
        tables = sum(a.bytes for a in self.arrays if a.role == "table")
        tables += sum(self.target.table_bytes[name] for name in self.target.named_tables(self.tables))
        one = sum(m.bytes for m in members) + 2 * len(counters)
        return Cost(
            macs=self.macs * (overlap.steps if overlap else 1),
            flash_weights=sum(a.bytes for a in self.arrays if a.role == "weights"),
            flash_tables=tables,
            ram_state=overlap.bytes(one) if overlap else one,
            ram_scratch=pool.bytes,
        )


def _regions(steps: Sequence[tuple[Guard, Call | Copy]]) -> tuple[Region, ...]:
    """What runs under one guard, one after the other, as one region."""
    regions: list[tuple[Guard, list[Call | Copy]]] = []
    for guard, work in steps:
        if not regions or regions[-1][0] != guard:
            regions.append((guard, []))
        regions[-1][1].append(work)
    return tuple(Region(guard, tuple(work)) for guard, work in regions)
