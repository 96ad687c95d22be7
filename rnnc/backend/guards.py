"""Guards: what tells at run time which values are new, and the counters in the struct behind them.

Without look-ahead a value is new when its clock ticks. With it, values go on coming after the input has ended: an op with
a tail runs on, and what reads it runs as long as it gives something. The guards then say so at run time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rnnc.backend.names import Namer
from rnnc.clock import Clock, common_clock
from rnnc.net import Output
from rnnc.qnet import QNet, QOp


@dataclass(frozen=True)
class Counter:
    """A uint16 of the struct: ``c_name``, what it starts at, and the clock that it waits for, if any."""

    c_name: str
    initial: int
    comment: str
    clock: Clock | None = None
    counts_steps: bool = False

    def after(self, steps: int) -> int:
        """Its value after so many steps, none of them past the end of the input."""
        if self.counts_steps:
            return steps
        if self.clock is None:
            return self.initial
        if steps <= self.clock.phase:
            return self.clock.phase - steps
        return self.clock.rate - 1 - (steps - 1 - self.clock.phase) % self.clock.rate


# --------------------------------------------------------------------------- guards


@dataclass(frozen=True)
class LiveGuard:
    """A frame has come: the input has not ended."""

    c_name: str

    def __str__(self) -> str:
        return self.c_name


@dataclass(frozen=True)
class Due:
    """The clock of ``counter`` ticks: it has come down to 0, and starts again from ``rate`` - 1."""

    c_name: str
    counter: Counter
    rate: int

    def __str__(self) -> str:
        return self.c_name

    @property
    def meaning(self) -> str:
        """What it is computed from."""
        return f"{self.counter.c_name} is 0, every {self.rate} steps"


@dataclass(frozen=True, eq=False)
class Tail:
    """``source``, or it has ended and an op goes on: when ``due``, as often as ``counter`` says."""

    c_name: str
    source: Guard
    due: Due | None
    counter: Counter

    def __str__(self) -> str:
        return self.c_name

    @property
    def meaning(self) -> str:
        """What it is computed from."""
        return f"{self.source}, or {f'{self.due} and ' if self.due else ''}{self.counter.c_name} counts down"


@dataclass(frozen=True, eq=False)
class Both:
    """``tick`` and ``due``."""

    c_name: str
    tick: Guard
    due: Due

    def __str__(self) -> str:
        return self.c_name

    @property
    def meaning(self) -> str:
        """What it is computed from."""
        return f"{self.tick} and {self.due}"


@dataclass(frozen=True)
class Always:
    """Every step."""

    def __str__(self) -> str:
        return "every step"


Guard = Always | LiveGuard | Due | Tail | Both
Declared = Due | Tail | Both
"""What is computed at the start of a step, and held in a variable ``c_name``."""
ALWAYS_NEW = Always()
"""The guard of what is new at every step."""


def _needs(guard: Guard) -> tuple[Guard, ...]:
    """The guards that one is computed from."""
    if isinstance(guard, Tail):
        return (guard.source, *([guard.due] if guard.due else []))
    return (guard.tick, guard.due) if isinstance(guard, Both) else ()


# --------------------------------------------------------------------------- of a network


@dataclass
class Guards:
    """The guards of all values and ops of a qnet; ``live`` is None where nothing goes on past the end of the input."""

    qnet: QNet
    namer: Namer
    live: LiveGuard | None = field(init=False)
    values: dict[str, Guard] = field(default_factory=dict)
    ticks: dict[str, Guard] = field(default_factory=dict)
    _dues: dict[Clock, Due] = field(default_factory=dict)
    _combined: list[Tail | Both] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.live = LiveGuard(self.namer.name("live")) if self.qnet.net.drain_steps else None
        self.values = {v.name: self.live or ALWAYS_NEW for v in self.qnet.inputs}
        self.values |= {f.state.name: ALWAYS_NEW for f in self.qnet.feedback}
        for op in self.qnet.ops:
            self._op(op)

    def source(self, op: QOp) -> Guard:
        """Whether an op's inputs are new."""
        ticking = [n for n in op.inputs if self.qnet.values[n].clock.rate]
        return self.values[ticking[0]] if ticking else ALWAYS_NEW

    def wrote(self, outputs: Sequence[Output]) -> tuple[Guard, ...]:
        """Whether outputs are written: one guard, or one for each where they are not always written together."""
        each = tuple(self.values[o.value] for o in outputs)
        return each[:1] if len({self._pace(o) for o in outputs}) == 1 else each

    def declared(self, used: Iterable[Guard]) -> tuple[Declared, ...]:
        """What a step computes to know the ``used`` ones, in an order in which each is computed before it is needed."""
        found, todo = set[Guard](), list(used)
        while todo:
            guard = todo.pop()
            if guard not in found:
                found.add(guard)
                todo += _needs(guard)
        return tuple(g for g in (*self._dues.values(), *self._combined) if g in found)

    def _pace(self, output: Output) -> tuple[int, int, int]:
        clock = self.qnet.values[output.value].clock
        return clock.rate, clock.phase, self.qnet.net.ends[output.value]

    def _op(self, op: QOp) -> None:
        tick = self.source(op)
        if op.timing.tail:
            tick = self._tail(op, tick)
        result = tick
        if op.elastic:
            result = self.values[op.inputs[1]]
        elif (op.timing.first, op.timing.stride) != (0, 1):
            result = self._at(tick, self.qnet.values[op.outputs[0]].clock)
        self.ticks[op.name] = tick
        self.values |= dict.fromkeys(op.outputs, result)

    def _at(self, tick: Guard, clock: Clock) -> Guard:
        """The ticks of a slower clock among those of an op."""
        due = self._due(clock)
        if due is None or not self.live:
            return due or ALWAYS_NEW
        both = Both(self._name("have"), tick, due)
        self._combined.append(both)
        return both

    def _tail(self, op: QOp, source: Guard) -> Guard:
        k = sum(isinstance(g, Tail) for g in self._combined)
        comment = f"ticks that {op.name} goes on for when its input has ended"
        counter = Counter(self.namer.name(f"tail{k}"), op.timing.tail, comment)
        due = self._due(common_clock([self.qnet.values[n].clock for n in op.inputs]))
        tail = Tail(self._name("tick"), source, due, counter)
        self._combined.append(tail)
        return tail

    def _due(self, clock: Clock) -> Due | None:
        """What tells that a clock ticks; None for one that ticks at every step."""
        if clock.rate <= 1 and clock.phase == 0:
            return None
        key = Clock(clock.rate, clock.phase)
        if key not in self._dues:
            k = len(self._dues)
            counter = Counter(self.namer.name(f"wait{k}"), clock.phase, "steps until a value is due", key)
            self._dues[key] = Due(self.namer.name(f"due{k}"), counter, clock.rate)
        return self._dues[key]

    def _name(self, text: str) -> str:
        return self.namer.name(f"{text}{len(self._combined)}")


def counters_of(guards: Iterable[Declared]) -> list[Counter]:
    """The counters that guards read, those of clocks first."""
    declared = list(guards)
    waits = [g.counter for g in declared if isinstance(g, Due)]
    return waits + [g.counter for g in declared if isinstance(g, Tail)]
