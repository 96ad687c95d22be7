"""When the calls of a step run: flags that tell which values are new, and the counters in the struct behind them.

Without look-ahead a value is new when its clock ticks. With it, values go on coming after the input has ended: an op with
a tail runs on, and what reads it runs as long as it gives something. The flags then say so at run time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rnnc.backend.names import Namer
from rnnc.clock import Clock, common_clock
from rnnc.net import Output
from rnnc.qnet import QNet, QOp

ALWAYS_NEW = ""
"""The flag of what is new at every step."""


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


@dataclass
class Signals:
    """The flags of all values and ops of a qnet.

    ``live`` is the flag of the inputs: "" where the network needs none, because nothing goes on past their end.
    ``owner`` is the C pointer to the counters.
    """

    qnet: QNet
    namer: Namer
    owner: str
    live: str = field(init=False)
    values: dict[str, str] = field(default_factory=dict)
    ticks: dict[str, str] = field(default_factory=dict)
    waits: dict[tuple[int, int], tuple[str, Counter]] = field(default_factory=dict)
    tails: dict[str, Counter] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)
    """Flag to the C expression of it."""

    def __post_init__(self) -> None:
        self.live = self.namer.name("live") if self.qnet.net.drain_steps else ALWAYS_NEW
        self.values = {v.name: self.live for v in self.qnet.inputs}
        self.values |= {f.state.name: ALWAYS_NEW for f in self.qnet.feedback}
        for op in self.qnet.ops:
            self._op(op)

    def source(self, op: QOp) -> str:
        """The flag of an op's inputs."""
        ticking = [n for n in op.inputs if self.qnet.values[n].clock.rate]
        return self.values[ticking[0]] if ticking else ALWAYS_NEW

    def wrote(self, outputs: Sequence[Output]) -> str:
        """What tells whether outputs were written: one flag, or a bit for each output where they differ."""
        flags = [self.values[o.value] or "1" for o in outputs]
        if len({self._pace(o) for o in outputs}) == 1:
            return flags[0]
        return " | ".join(f"({f} ? {1 << i} : 0)" for i, f in enumerate(flags))

    def together(self, outputs: Sequence[Output]) -> bool:
        """Whether outputs are always written at the same steps."""
        return len({self._pace(o) for o in outputs}) <= 1

    def declarations(self, used: Iterable[str]) -> tuple[list[str], list[Counter]]:
        """The C statements that compute what ``used`` expressions mention, and the counters that these need."""
        needed = set(re.findall(r"\w+", " ".join(used)))
        for name, expression in reversed(self.flags.items()):
            if name in needed:
                needed.update(re.findall(r"\w+", expression))
        waits = [(flag, c) for flag, c in self.waits.values() if flag in needed]
        at = self.owner
        lines = [f"const int {flag} = {at}->{c.c_name} == 0;" for flag, c in waits]
        for flag, c in waits:
            assert c.clock is not None
            lines.append(f"{at}->{c.c_name} = (uint16_t)({flag} ? {c.clock.rate - 1} : {at}->{c.c_name} - 1);")
        lines += [f"const int {name} = {text};" for name, text in self.flags.items() if name in needed]
        return lines, [c for _, c in waits] + [c for c in self.tails.values() if c.c_name in needed]

    def _pace(self, output: Output) -> tuple[int, int, int]:
        clock = self.qnet.values[output.value].clock
        return clock.rate, clock.phase, self.qnet.net.ends[output.value]

    def _op(self, op: QOp) -> None:
        source, tick = self.source(op), self.source(op)
        clock = self.qnet.values[op.outputs[0]].clock
        if op.timing.tail:
            tick = self._flag("tick", _either(source, self._tail(op)))
        result = tick
        if op.elastic:
            result = self.values[op.inputs[1]]
        elif (op.timing.first, op.timing.stride) != (0, 1):
            due = self._due(clock)
            result = due if not self.live else self._flag("have", f"{tick} && {due}")
        self.ticks[op.name] = tick
        self.values |= dict.fromkeys(op.outputs, result)

    def _tail(self, op: QOp) -> str:
        """Whether an op goes on by one tick of its tail; it counts these."""
        k = len(self.tails)
        self.tails[op.name] = Counter(
            self.namer.name(f"tail{k}"), op.timing.tail, f"ticks that {op.name} goes on for when its input has ended"
        )
        due = self._due(common_clock([self.qnet.values[n].clock for n in op.inputs]))
        left = f"rnnc_count_down(&{self.owner}->{self.tails[op.name].c_name})"
        return f"({due} && {left})" if due else left

    def _due(self, clock: Clock) -> str:
        if clock.rate <= 1 and clock.phase == 0:
            return ALWAYS_NEW
        key = (clock.rate, clock.phase)
        if key not in self.waits:
            k = len(self.waits)
            counter = Counter(self.namer.name(f"wait{k}"), clock.phase, "steps until a value is due", Clock(*key))
            self.waits[key] = (self.namer.name(f"due{k}"), counter)
        return self.waits[key][0]

    def _flag(self, name: str, expression: str) -> str:
        flag = self.namer.name(f"{name}{len(self.flags)}")
        self.flags[flag] = expression
        return flag


def _either(source: str, tail: str) -> str:
    return f"{source} || {tail}"
