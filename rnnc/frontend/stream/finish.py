"""The last passes over the ops of a traced graph: dead ops go, ops that are one become one, paths of unlike delay align."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rnnc.clock import EVERY_STEP, Timing
from rnnc.errors import Refused
from rnnc.net import Feedback, Net, Op, Output, Value, fed_back
from rnnc.ops.collect import Collect
from rnnc.ops.delay import Delay
from rnnc.ops.reverse import Reverse
from rnnc.ops.time_shift import TimeShift
from rnnc.ops.unstack import Unstack
from rnnc.pace import computed


class UnlikeRates(Refused):
    """An op reads values of unlike rate."""


def finish(
    name: str,
    inputs: Sequence[Value],
    ops: Sequence[Op],
    outputs: Sequence[Output],
    feedback: Sequence[Feedback],
    *,
    sizes: Mapping[str, int],
    steps: int,
    where: str,
    window: int = 0,
    hop: int = 0,
    length: int = 0,
    summed: bool = False,
) -> Net:
    """Build the net.

    Args:
        sizes: elements of each value.
        steps: how many steps the sequence of the graph has.
        where: the file, for messages.
        window, hop, length, summed: as in ``Net``.

    Raises UnlikeRates where such values meet.
    """
    results = {o.value for o in outputs} | {f.next for f in feedback}
    live = needed(ops, results)
    kept = results | only_from(live, {f.state.name for f in feedback})  # these have no ticks to pick
    merged = fuse(needed(once(live, kept, sizes), results), results)
    aligner = _Aligner(inputs, feedback, steps, window, where)
    for op in merged:
        aligner.add(op)
    shown = [aligner.of_window(o) for o in aligner.outputs(outputs)] if window else aligner.outputs(outputs)
    return Net(name, tuple(inputs), tuple(aligner.ops), tuple(shown), tuple(feedback), window, hop, length, summed)


def needed(ops: Sequence[Op], results: set[str]) -> list[Op]:
    """The ops that results depend on."""
    wanted, kept = set(results), []
    for op in reversed(ops):
        if wanted.intersection(op.outputs):
            wanted.update(op.inputs)
            kept.append(op)
    return kept[::-1]


def once(ops: Sequence[Op], kept: set[str], sizes: Mapping[str, int]) -> list[Op]:
    """Where one step of a window is picked of what an op computes at each, let the op run on that step alone.

    Of steps that are turned around the one is picked that becomes it: they need not be kept. What computes or reads a
    value of ``kept`` stays as it is.
    """
    merged = list(ops)
    k = 0
    while k < len(merged):
        pick = merged[k]
        source = next((op for op in merged if pick.inputs[0] in op.outputs), None)
        if not isinstance(pick, TimeShift) or source is None or not _runs_for(pick, source, merged, kept):
            k += 1
            continue
        if isinstance(source, Reverse):
            merged[k] = replace(pick, inputs=source.inputs, before=1 - source.count - pick.before)
            continue
        earlier = [
            replace(pick, name=f"{pick.name}.{i}", inputs=(n,), outputs=(f"{pick.outputs[0]}.{i}",), size=sizes[n])
            for i, n in enumerate(source.inputs)
        ]
        sizes = {**sizes, **{op.outputs[0]: op.size for op in earlier}}
        moved = replace(source, inputs=tuple(op.outputs[0] for op in earlier), outputs=pick.outputs)
        merged[k : k + 1] = [*earlier, moved]
        merged.remove(source)
        k = 0
    return merged


def only_from(ops: Iterable[Op], values: set[str]) -> set[str]:
    """Some values, and those that ops in order compute from them alone."""
    found = set(values)
    for op in ops:
        if found.issuperset(op.inputs):
            found.update(op.outputs)
    return found


def _runs_for(pick: TimeShift, source: Op, ops: Sequence[Op], kept: set[str]) -> bool:
    """Whether an op, of one output and without memory, is only run for the step that is picked of it."""
    if pick.stride == 1 or pick.remembers or len(source.outputs) > 1:
        return False
    if kept.intersection(source.outputs + source.inputs) or any(
        source.outputs[0] in op.inputs for op in ops if op is not pick
    ):
        return False
    plain = not source.states() and not source.elastic and source.timing == Timing()
    return pick.stride >= source.count if isinstance(source, Reverse) else plain


def fuse(ops: Sequence[Op], results: set[str]) -> list[Op]:
    """Let each op absorb the only op that reads it (``Op.absorb``), where no result of the network lies between."""
    slots: list[Op | None] = list(ops)
    producers = {name: k for k, op in enumerate(ops) for name in op.outputs}
    readers: dict[str, set[int]] = {}
    for k, op in enumerate(ops):
        for name in op.inputs:
            readers.setdefault(name, set()).add(k)
    k = 0
    while k < len(slots):
        first = slots[k]
        reading = readers.get(first.outputs[0], ()) if first and len(first.outputs) == 1 else ()
        at = min(reading, default=k)
        reader = slots[at]
        one = first and reader and len(reading) == 1 and first.outputs[0] not in results
        absorbed = first.absorb(reader) if first and reader and one else None
        if first is None or reader is None or absorbed is None:
            k += 1
            continue
        slots[k], slots[at] = None, absorbed
        for name in {*first.inputs, *reader.inputs}:
            readers[name] -= {k, at}
        for name in absorbed.inputs:
            readers[name].add(at)
        k = min([k, *(producers[name] for name in {*first.inputs, *reader.inputs} if name in producers)])
    return [op for op in slots if op is not None]


class _Aligner:
    """Adds ops in order; where an op's inputs come at different steps, the earlier ones wait for the latest."""

    def __init__(
        self, inputs: Sequence[Value], feedback: Sequence[Feedback], steps: int, window: int, where: str
    ) -> None:
        self.values = {v.name: v for v in inputs} | {v.name: v for v in fed_back(feedback)}
        self.lengths = dict.fromkeys(self.values, steps)
        """How many ticks each value has in a sequence of ``steps`` steps."""
        self.window = window
        self.where = where
        self.ops: list[Op] = []
        self.waiting: dict[tuple[str, int], str] = {}

    def add(self, op: Op) -> None:
        """Add an op behind the delays that it needs."""
        if isinstance(op, Unstack):
            self._append(replace(op, inputs=(*op.inputs, self._after(op.inputs[0], op.ticks))), op.ticks)
            return
        inputs = tuple(self._together(op, op.inputs))
        aligned = op if inputs == op.inputs else replace(op, inputs=inputs)
        self._append(aligned, op.timing.count(min(self.lengths[n] for n in inputs)))

    def outputs(self, outputs: Sequence[Output]) -> list[Output]:
        """Outputs of one rate and length come together, so that step tells once that it wrote them."""
        shown = []
        for o in outputs:
            rivals = [o.value]
            for other in outputs:
                a, b = self.values[o.value].clock, self.values[other.value].clock
                if a.rate == b.rate and self.lengths[o.value] == self.lengths[other.value]:
                    rivals.append(other.value)
            latest = max(rivals, key=lambda n: self.values[n].clock.phase)
            shown.append(replace(o, value=self._wait(o.value, latest)))
        return shown

    def of_window(self, output: Output) -> Output:
        """An output of a network that answers once a window: one value, or all of them at its end."""
        ticks, clock = self.lengths[output.value], self.values[output.value].clock
        if output.kind == "stream" and ticks > 1:
            value = output.value if clock.phase >= self.window else self._collect(output.value, ticks)
            return replace(output, kind="window", value=value, ticks=ticks)
        value = output.value if clock.phase >= self.window - 1 else self._hold(output.value)
        return replace(output, kind="window", value=value)

    def _hold(self, name: str) -> str:
        """A value that comes once, kept until the last frame of the window."""
        end, x = "end", next(iter(self.values))
        if end not in self.values:
            self._append(
                TimeShift(
                    end, (x,), (end,), before=1 - self.window, after=0, size=self.values[x].size, stride=self.window
                ),
                1,
            )
        fresh = f"hold{len(self.ops)}"
        self._append(Delay(fresh, (name, end), (fresh,), capacity=1, size=self.values[name].size), 1)
        return fresh

    def _after(self, name: str, ticks: int) -> str:
        """A value that ticks so many times from the step on after ``name`` has come for the last time."""
        whole = [v for n, v in self.values.items() if v.clock == EVERY_STEP and self.lengths[n] == self.window]
        x = min(whole, key=lambda v: (v.dtype != "real", v.size))
        first = self.values[name].clock.phase + (self.lengths[name] - 1) * self.values[name].clock.rate + 1
        fresh = f"after{len(self.ops)}"
        after = ticks + first - self.window
        self._append(TimeShift(fresh, (x.name,), (fresh,), before=-first, after=after, size=x.size), ticks)
        return fresh

    def _collect(self, name: str, ticks: int) -> str:
        """The values of a window's steps, kept until its end."""
        fresh = f"collect{len(self.ops)}"
        self._append(Collect(fresh, (name,), (fresh,), count=ticks, size=self.values[name].size), ticks)
        return fresh

    def _together(self, op: Op, names: Sequence[str]) -> list[str]:
        ticking = [n for n in names if self.values[n].clock.rate]
        rates = sorted({self.values[n].clock.rate for n in ticking})
        if len(rates) > 1:
            raise UnlikeRates(
                f"{op.kind} reads values that are new every {' and every '.join(map(str, rates))} steps",
                where=f"{self.where}: node {op.node!r}" if self.where else f"node {op.node!r}",
                hint="Paths of different rate cannot be joined: give them the same strides.",
            )
        if not ticking:
            return list(names)
        latest = max(ticking, key=lambda n: self.values[n].clock.phase)
        return [self._wait(n, latest) if n in ticking else n for n in names]

    def _wait(self, name: str, partner: str) -> str:
        """The value at the ticks of ``partner``, by a queue where it comes earlier."""
        own, other = self.values[name].clock, self.values[partner].clock
        if own.phase == other.phase:
            return name
        key = (name, other.phase)
        if key not in self.waiting:
            capacity = -(-(other.phase - own.phase) // own.rate)
            capacity = min(capacity, self.lengths[name]) if self.window else capacity
            fresh = f"delay{len(self.waiting)}"
            delay = Delay(fresh, (name, partner), (fresh,), capacity=capacity, size=self.values[name].size)
            self._append(delay, self.lengths[name])
            self.waiting[key] = fresh
        return self.waiting[key]

    def _append(self, op: Op, ticks: int) -> None:
        for value in computed(op, [self.values[n] for n in op.inputs]):
            self.values[value.name] = value
            self.lengths[value.name] = ticks
        self.ops.append(op)
