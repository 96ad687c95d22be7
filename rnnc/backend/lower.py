"""QNet to Program: where every value lies, which kernel is called with what, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from rnnc.backend.memory import Pool, Request, allocate
from rnnc.backend.names import Namer, prefix
from rnnc.backend.pack import pack_units, pack_weights
from rnnc.backend.program import Call, ConstantArray, Cost, Member, Params, Port, Program, Region
from rnnc.backend.signals import Counter, Signals
from rnnc.backend.targets import Target, find_target
from rnnc.errors import Refused
from rnnc.fixed import Format
from rnnc.qnet import Arg, Constant, KernelCall, Operand, QNet, QOp, Scratch, UnitRows, WeightRows

POOLS = {"int8_t": "work8", "uint8_t": "work8", "int16_t": "work16", "uint16_t": "work16", "int32_t": "work32"}
RESERVED = frozenset("s i k n blob memcpy memset work8 work16 work32 real q step wrote count".split())

MOST_APART = 15
"""Outputs that come at unlike steps: a bit of step's result for each, an int of 16 bits."""


def lower(qnet: QNet, target: str = "portable", name: str = "") -> Program:
    """Lay a qnet out for a target.

    Raises UsageError for an unknown target, Refused where what it can do does not reach so far.
    """
    program = _Lowering(qnet, find_target(target), prefix(name or qnet.net.name)).lower()
    _check_reach(program)
    return program


def _check_reach(program: Program) -> None:
    if program.apart and len(program.outputs) > MOST_APART:
        raise Refused(
            f"{len(program.outputs)} outputs come at unlike steps; step can tell {MOST_APART} apart",
            where=program.name,
            hint="Choose those you need: --output TENSOR.",
        )
    t, total = program.target, program.cost.flash_weights + program.cost.flash_tables
    largest = max(program.arrays, key=lambda a: a.bytes, default=None)
    if t.most_constant and largest and largest.bytes > t.most_constant:
        raise Refused(
            f"target {t.name}: the array {largest.symbol} needs {largest.bytes} B; its compilers take {t.most_constant} B",
            where=program.name,
            hint="A smaller layer, or another target.",
        )
    if t.most_constants and total > t.most_constants:
        raise Refused(
            f"target {t.name}: constants need {total} B; its reads of flash reach {t.most_constants} B",
            where=program.name,
            hint="A smaller network, or another target.",
        )


@dataclass
class _Lowering:
    qnet: QNet
    target: Target
    name: str
    places: dict[str, str] = field(default_factory=dict)
    arrays: list[ConstantArray] = field(default_factory=list)
    params: list[Params] = field(default_factory=list)
    headers: set[str] = field(default_factory=set)
    kernels: dict[str, str] = field(default_factory=dict)
    """The names of functions by their definitions."""
    tables: set[str] = field(default_factory=set)
    macs: int = 0
    namer: Namer = field(init=False)

    def __post_init__(self) -> None:
        self.namer = Namer(self.name, RESERVED)

    def lower(self) -> Program:
        q = self.qnet
        inputs = tuple(self._port(v.name, v.name, "stream") for v in q.inputs)
        outputs = tuple(self._port(o.name, o.value, o.kind, o.ticks) for o in q.outputs)
        members = tuple(Member(self.namer.name(s.name), s) for s in q.states())
        states = {m.state.name: f"s->{m.c_name}" for m in members}
        self.places.update({p.value: p.c_name for p in inputs})
        self.places.update({f.state.name: states[f.state.name] for f in q.feedback})
        signals = Signals(q, self.namer)
        copies = self._place_outputs(outputs, states, signals)
        pool = self._allocate()
        steps = [
            (self._guard(op, call, signals), self._call(op, call, states, pool, signals.source(op)))
            for op in q.ops
            for call in op.calls()
        ]
        steps += copies
        steps += self._feedback(states, pool, signals)
        several = [o for o in q.outputs if o.ticks]
        wrote = signals.wrote(several or q.outputs)
        lines, counters = signals.declarations([wrote, *(guard for guard, _ in steps)])
        flush, frames = self._ends()
        counters += [c for c in (flush, frames) if c]
        return Program(
            self.name,
            self.target,
            q,
            inputs,
            outputs,
            members,
            tuple(counters),
            tuple(lines),
            signals.live,
            wrote,
            not (q.net.window or signals.together(q.outputs)),
            flush,
            frames,
            pool.sizes,
            tuple(self.arrays),
            tuple(self.params),
            _regions(steps),
            tuple(sorted(self.headers)),
            tuple(source.replace("@", symbol) for source, symbol in self.kernels.items()),
            self._cost(members, counters, pool),
        )

    def _port(self, name: str, value: str, kind: str, ticks: int = 0) -> Port:
        v = self.qnet.values[value]
        shape = (ticks, *v.shape) if ticks else v.shape
        return Port(name, self.namer.name(name), value, shape, self.qnet.formats[value], kind, v.clock, ticks)

    def _ends(self) -> tuple[Counter | None, Counter | None]:
        """The counters of a flush and of a window."""
        net = self.qnet.net
        if net.window:
            return None, Counter(
                self.namer.name("frames"), 0, f"frames of a window, 0 .. {net.window - 1}", counts_steps=True
            )
        if net.drain_steps:
            return Counter(self.namer.name("left"), net.drain_steps, "steps that a flush takes at most"), None
        return None, None

    def _place_outputs(
        self, outputs: Sequence[Port], states: dict[str, str], signals: Signals
    ) -> list[tuple[str, Call]]:
        """Let values be computed where the caller wants them, or copied there from where they lie anyway."""
        for op in self.qnet.ops:
            for i, value in enumerate(op.outputs):
                if op.output_state(i):
                    self.places[value] = states[op.output_state(i)]
        copies = []
        for port in outputs:
            size, root = self.qnet.values[port.value].size, self._root(port.value)
            if root in self.places:
                copies.append(
                    (signals.values[port.value], self._copy(port.c_name, self.places[root], size, port.format))
                )
            else:
                self.places[root] = port.c_name
        return copies

    @cached_property
    def _views(self) -> dict[str, str]:
        """Values that are others in the same memory: outputs of ops without calls."""
        return {op.outputs[0]: op.inputs[0] for op in self.qnet.ops if not op.calls()}

    def _root(self, value: str) -> str:
        """The value whose memory a value is."""
        while value in self._views:
            value = self._views[value]
        return value

    @staticmethod
    def _copy(to: str, source: str, size: int, form: Format) -> Call:
        return Call("", "memcpy", (to, source, f"{size} * sizeof({form.ctype})"))

    def _allocate(self) -> Pool:
        """Give every value without a place, and every call's scratch, room in the work arrays by lifetime.

        Time is counted in calls; scratch that several calls of an op name is kept from the first of them to the last.
        """
        starts = [0]
        for op in self.qnet.ops:
            starts.append(starts[-1] + max(1, len(op.calls())))
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
                    pool[name] = (name, POOLS[form.ctype], self.qnet.values[name].size, start, until)
            for now, call in enumerate(op.calls(), start):
                for s in map(self._scratch, call.scratch):
                    name = f"{op.name}.{s.name}"
                    first = pool[name][3] if name in pool else now
                    if s.length:
                        pool[name] = (name, POOLS[s.ctype], s.length, first, now)
        for f in self.qnet.feedback:
            if self.places.get(self._root(f.next), "").startswith("s->"):
                name = f"{f.state.name}.next"
                pool[name] = (name, POOLS[f.state.format.ctype], f.state.size, end, end)
        return allocate(pool.values())

    @staticmethod
    def _guard(op: QOp, call: KernelCall, signals: Signals) -> str:
        if call.when == "output":
            return signals.values[op.outputs[0]]
        return signals.source(op) if call.when == "input" else signals.ticks[op.name]

    def _call(self, op: QOp, call: KernelCall, states: dict[str, str], pool: Pool, source: str) -> Call:
        self.headers.add(call.header)
        self.tables.update(call.tables)
        self.macs += call.macs
        args = [f"RNNC_PARAMS({call.struct}, {self._params(op, call)})"] if call.struct else []
        for arg in call.args:
            text = self._argument(op, call, arg, states, pool)
            ends = arg.place == "input" and call.when == "tick" and op.timing.tail
            args.append(f"{source} ? {text} : 0" if ends else text)
        return Call(op.name, call.function or self._kernel(op, call.source), tuple(args))

    def _kernel(self, op: QOp, source: str) -> str:
        """The name of a function that the package defines; equal definitions have one."""
        taken = sum(name.startswith(f"{self.name}_{op.name}_kernel") for name in self.kernels.values())
        return self.kernels.setdefault(source, f"{self.name}_{op.name}_kernel{taken or ''}")

    def _argument(self, op: QOp, call: KernelCall, arg: Arg, states: dict[str, str], pool: Pool) -> str:
        if arg.place == "null":
            return "0"
        if arg.place == "constant":
            return arg.name
        if arg.place == "state":
            return states[arg.name]
        if arg.place == "scratch":
            buffer = next(self._scratch(s) for s in call.scratch if s.name == arg.name)
            return pool.expression(f"{op.name}.{arg.name}", buffer.ctype) if buffer.length else "0"
        name = (op.inputs if arg.place == "input" else op.outputs)[int(arg.name)]
        return self._expression(name, pool)

    def _expression(self, value: str, pool: Pool) -> str:
        """The C expression of a value's address."""
        root = self._root(value)
        return self.places.get(root) or pool.expression(root, self.qnet.formats[value].ctype)

    def _scratch(self, scratch: Scratch | Operand) -> Scratch:
        if isinstance(scratch, Operand):
            ctype, length = self.target.operand(scratch.columns, scratch.bits)
            return Scratch(scratch.name, ctype, 0 if scratch.borrowed and self.target.direct else length)
        return scratch

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

    def _constant(self, value: Constant | WeightRows | UnitRows) -> str:
        symbol = f"{self.name}_{value.name}"
        if any(a.symbol == symbol for a in self.arrays):
            return symbol
        t = self.target
        if isinstance(value, WeightRows):
            data = pack_weights(value, t.group, t.lanes, t.pack, t.pack_batch)
            self.arrays.append(ConstantArray(symbol, "int8_t", data, value.comment, "weights"))
        elif isinstance(value, UnitRows):
            data = pack_units(value, self.target.group, self.target.lanes)
            self.arrays.append(ConstantArray(symbol, value.ctype, data, value.comment, "weights"))
        else:
            self.arrays.append(ConstantArray(symbol, value.ctype, value.data, value.comment, value.role))
        return symbol

    def _feedback(self, states: dict[str, str], pool: Pool, signals: Signals) -> list[tuple[str, Call]]:
        """Set every fed-back state at the end of a step; what lies in a state itself goes through scratch first."""
        first, then = [], []
        for f in self.qnet.feedback:
            guard, source = signals.values[f.next], self._expression(f.next, pool)
            if source.startswith("s->") and self._root(f.next) in self.places:
                through = pool.expression(f"{f.state.name}.next", f.state.format.ctype)
                first.append((guard, self._copy(through, source, f.state.size, f.state.format)))
                source = through
            then.append((guard, self._copy(states[f.state.name], source, f.state.size, f.state.format)))
        return first + then

    def _cost(self, members: Sequence[Member], counters: Sequence[Counter], pool: Pool) -> Cost:
        tables = sum(a.bytes for a in self.arrays if a.role == "table")
        tables += sum(self.target.table_bytes[name] for name in self.tables)
        return Cost(
            macs=self.macs,
            flash_weights=sum(a.bytes for a in self.arrays if a.role == "weights"),
            flash_tables=tables,
            ram_state=sum(m.bytes for m in members) + 2 * len(counters),
            ram_scratch=pool.bytes,
        )


def _regions(steps: Sequence[tuple[str, Call]]) -> tuple[Region, ...]:
    """Consecutive calls of one guard as one region."""
    regions: list[tuple[str, list[Call]]] = []
    for guard, call in steps:
        if not regions or regions[-1][0] != guard:
            regions.append((guard, []))
        regions[-1][1].append(call)
    return tuple(Region(guard, tuple(calls)) for guard, calls in regions)
