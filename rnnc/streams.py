"""Run networks in real numbers or in integers, with the same loop over steps, ops and clocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from rnnc.clock import Timing, common_clock
from rnnc.net import Array, Net, Probe, States, Value, no_probe
from rnnc.order import Fed, divided
from rnnc.qnet import QNet

CHUNK = 1024
MOST_NUMBERS = 1 << 22
"""Limit of the numbers held for one value when windows run side by side."""

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
    """A running network: the states of all lanes and the ticks that each op has seen.

    ``advance`` takes any number of steps; the results do not depend on how a sequence is split.
    """

    net: Net
    ops: Sequence[_Runner]
    kept: Mapping[str, Sequence[str]]
    """The names of the states of each op that has any."""
    feedback: Sequence[tuple[str, str]]
    values: Mapping[str, Value]
    initial: States
    lanes: int
    dtype: type
    observe: Observer | None = None
    watch: Observer | None = None
    """Called with the name of a state and its values after each of the next ticks, ``[ticks, lanes, *shape]``; for an elastic
    op after each step. Not past the end of the input."""
    state: States = field(init=False)
    ticks: dict[str, int] = field(init=False)
    tails: dict[str, int] = field(init=False)
    """Ticks that each op still has to run after the end of its input."""
    steps: int = field(init=False)
    """Steps since the start, or since the start of the window."""
    pending: dict[str, Array] = field(init=False)
    """Values of a window's outputs that wait for its end."""
    parts: Sequence[tuple[Sequence[_Runner], Sequence[Fed]]] = field(init=False)
    """As ``divided`` gives them."""
    observed: dict[str, list[Array]] = field(init=False, default_factory=dict)
    """What ``observe`` is told at the end of a chunk."""
    watched: dict[str, list[Array]] = field(init=False, default_factory=dict)
    """What ``watch`` is told at the end of a chunk."""

    def __post_init__(self) -> None:
        self._divide()
        self.reset()

    def substitute(self, others: Mapping[str, _Runner]) -> None:
        """Let other ops run in the place of those of the same names: they read, give and keep the same."""
        self.ops = [others.get(op.name, op) for op in self.ops]
        self._divide()

    def _divide(self) -> None:
        self.parts = divided(self.ops, self.feedback, self.values)

    def reset(self) -> None:
        """Return to the initial state."""
        self.state = {name: array.copy() for name, array in self.initial.items()}
        self.ticks = {op.name: 0 for op in self.ops}
        self.tails = {op.name: op.timing.tail for op in self.ops}
        self.steps = 0
        self.pending = {o.name: self._nothing(o.value) for o in self.net.outputs if o.kind == "window"}

    def advance(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Feed ``[steps, lanes, *shape]`` of each input; returns ``[ticks, lanes, *shape]`` of each output."""
        steps, done = len(next(iter(inputs.values()))), 0
        parts = [self._outputs({})]
        while done < steps:
            most = min(CHUNK, self.net.window - self.steps) if self.net.window else CHUNK
            values = {name: x[done : done + most] for name, x in inputs.items()}
            done += most
            parts.append(self._outputs(self._chunk(values, min(most, steps + most - done))))
            if self.steps == self.net.window:
                parts += [*self._past_end(), self.pending]
                self.reset()
        return _joined(parts)

    def drain(self) -> dict[str, Array]:
        """Return the outputs that look-ahead layers still owe after the end: ``[ticks, lanes, *shape]`` of each output."""
        return _joined([self._outputs({}), *([] if self.net.window else self._past_end())])

    def _past_end(self) -> list[dict[str, Array]]:
        nothing = {v.name: self._nothing(v.name) for v in self.net.inputs}
        return [self._outputs(self._chunk(dict(nothing), 1, ended=True)) for _ in range(self.net.drain_steps)]

    def _nothing(self, value: str) -> Array:
        return np.zeros((0, self.lanes, *self.values[value].shape), self.dtype)

    def _outputs(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """Return the ticks of each output; those of a window are kept back until its end."""
        found = {}
        for o in self.net.outputs:
            ticks = values.get(o.value, self._nothing(o.value))
            if o.kind == "window":
                self.pending[o.name] = np.concatenate([self.pending[o.name], ticks])[-max(o.ticks, 1) :]
                ticks = self._nothing(o.value)
            found[o.name] = ticks
        return found

    def _chunk(self, values: dict[str, Array], steps: int, ended: bool = False) -> dict[str, Array]:
        for name, value in values.items():
            self._see(name, value)
        for ops, fed in self.parts:
            if fed:
                self._loop(ops, fed, values, steps, ended)
            else:
                self._pass(ops, values, steps, ended)
        self.steps += steps
        self._report()
        return values

    def _pass(self, ops: Sequence[_Runner], values: dict[str, Array], steps: int, ended: bool) -> None:
        for op in ops:
            results = self._run(op, [values[name] for name in op.inputs], steps, ended)
            for name, result in zip(op.outputs, results, strict=True):
                values[name] = result.reshape(*result.shape[:2], *self.values[name].shape)
                self._see(name, values[name])

    def _loop(
        self, ops: Sequence[_Runner], fed: Sequence[Fed], values: dict[str, Array], steps: int, ended: bool
    ) -> None:
        """Run a part with states on each step, and add what its ops make, and the states that they read, to ``values``."""
        given = {name for op in ops for name in op.inputs if name in values}
        given |= {written for _, written in fed if written in values}
        parts = {name: self._by_steps(name, values[name], steps) for name in given}
        made: dict[str, list[Array]] = {}
        for k in range(steps):
            step = {name: part[k] for name, part in parts.items()} | {r: self.state[r][None] for r, _ in fed}
            for read, _ in fed:
                self._see(read, step[read])
            self._pass(ops, step, 1, ended)
            for read, written in fed:
                if len(step[written]):
                    self.state[read] = step[written][0].reshape(self.state[read].shape)
                if not ended:
                    self._tell(read, self.state[read][None])
            for name in step.keys() - given:
                made.setdefault(name, []).append(step[name])
            self.steps += 1
        self.steps -= steps
        values |= {name: np.concatenate(ticks) for name, ticks in made.items()}

    def _by_steps(self, name: str, value: Array, steps: int) -> Sequence[Array]:
        """Return the ticks of a value that belong to each of the next steps."""
        ticks = [self.values[name].clock.ticks(self.steps + k) for k in range(steps)]
        return np.split(value, np.cumsum(ticks)[:-1])

    def _report(self) -> None:
        for observer, kept in ((self.observe, self.observed), (self.watch, self.watched)):
            if observer:
                for name, parts in kept.items():
                    observer(name, parts[0] if len(parts) == 1 else np.concatenate(parts))
            kept.clear()

    def _run(self, op: _Runner, xs: list[Array], steps: int, ended: bool) -> Sequence[Array]:
        """Run an op on all ticks of its inputs, or on one tick of its tail."""
        tick, count = self.ticks[op.name], min(map(len, xs))
        if ended and not count and self.tails[op.name]:
            return self._tail(op)
        self.ticks[op.name] = tick + count
        if op.elastic:
            by_step = self.watch and not ended
            return self._by_step(op, xs, tick, steps) if by_step else op.step(xs, self.state, tick) or []
        if not count:
            return [self._nothing(name) for name in op.outputs]
        xs = [x[:count] for x in xs]
        if op.name in self.kept:
            return self._ticks(op, xs, tick, ended)
        return op.step(xs, {}, tick, lambda key, x: self._see(f"{op.name}.{key}", x)) or []

    def _tail(self, op: _Runner) -> Sequence[Array]:
        nothing = [self._nothing(name) for name in op.outputs]
        if not common_clock([self.values[n].clock for n in op.inputs]).ticks(self.steps):
            return nothing
        self.tails[op.name] -= 1
        self.ticks[op.name] += 1
        results = op.drain(self.state, self.ticks[op.name] - 1)
        return nothing if results is None else [r[None] for r in results]

    def _by_step(self, op: _Runner, xs: Sequence[Array], tick: int, steps: int) -> Sequence[Array]:
        """What an elastic op makes of each step's ticks, and its states after each."""
        parts = zip(*(self._by_steps(name, x, steps) for name, x in zip(op.inputs, xs, strict=True)), strict=True)
        rows = list[Sequence[Array]]()
        after: dict[str, list[Array]] = {name: [] for name in self.kept[op.name]}
        for part in parts:
            rows.append(op.step(part, self.state, tick) or [])
            for name, arrays in after.items():
                arrays.append(self.state[name].copy())
        self._tell_all(after)
        return [np.concatenate(ticks) for ticks in zip(*rows, strict=True)]

    def _tell_all(self, after: Mapping[str, Sequence[Array]]) -> None:
        for name, arrays in after.items():
            self._tell(name, np.stack(arrays))

    def _ticks(self, op: _Runner, xs: Sequence[Array], tick: int, ended: bool) -> Sequence[Array]:
        probed: dict[str, list[Array]] = {}
        probe: Probe = (lambda key, x: probed.setdefault(key, []).append(x)) if self.observe else no_probe
        rows: list[list[Array]] = [[] for _ in op.outputs]
        after: dict[str, list[Array]] = {name: [] for name in self.kept[op.name]} if self.watch and not ended else {}
        for k in range(len(xs[0])):
            result = op.step([x[k] for x in xs], self.state, tick + k, probe)
            for row, value in zip(rows, result or [], strict=False):
                row.append(value)
            for name, arrays in after.items():
                arrays.append(self.state[name].copy())
        self._tell_all(after)
        for key, arrays in probed.items():
            self._see(f"{op.name}.{key}", np.stack(arrays))
        return [np.stack(row) if row else self._nothing(n) for n, row in zip(op.outputs, rows, strict=True)]

    def _see(self, name: str, value: Array) -> None:
        if self.observe:
            self.observed.setdefault(name, []).append(value)

    def _tell(self, name: str, states: Array) -> None:
        if self.watch:
            self.watched.setdefault(name, []).append(states)


def _joined(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([p[name] for p in parts if name in p]) for name in parts[0]}


@dataclass
class Windows:
    """Overlapping windows over running streams: each starts from the initial state and is answered at its end.

    Windows run side by side, as lanes of ``windows``, a stream of one window after the other.
    """

    net: Net
    windows: Callable[[int], Stream]
    lanes: int
    kept: dict[str, Array] = field(default_factory=dict)
    """The frames of unfinished windows, ``[steps, lanes, *shape]`` of each input."""

    def reset(self) -> None:
        """Forget all frames."""
        self.kept = {}

    def advance(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """As ``Stream.advance``."""
        frames = {n: np.concatenate([self.kept[n], x]) if self.kept else np.asarray(x) for n, x in inputs.items()}
        count = self.net.windows(len(next(iter(frames.values()))))
        starts = np.arange(count) * self.net.every
        self.kept = {n: x[count * self.net.every :] for n, x in frames.items()}
        parts = [self._answers(frames, starts[k : k + self._most]) for k in range(0, count, self._most)]
        return _joined([self.drain(), *parts])

    def drain(self) -> dict[str, Array]:
        """Return empty outputs: windows do not extend past the end of a sequence."""
        return self.windows(self.lanes).drain()

    @property
    def _most(self) -> int:
        """The number of windows that run at once, in bounded memory."""
        largest = max(v.size for v in self.net.values.values())
        return max(1, MOST_NUMBERS // max(1, self.lanes * min(self.net.window, CHUNK) * largest))

    def _answers(self, frames: Mapping[str, Array], starts: Array) -> dict[str, Array]:
        """Return the answers of the windows that begin at ``starts``, in order."""
        steps = starts[None] + np.arange(self.net.window)[:, None]
        side = {n: x[steps].reshape(self.net.window, -1, *x.shape[2:]) for n, x in frames.items()}
        given = self.windows(len(starts) * self.lanes).advance(side)
        apart = {n: y.reshape(len(y), len(starts), self.lanes, *y.shape[2:]) for n, y in given.items()}
        return {n: y.swapaxes(0, 1).reshape(-1, *y.shape[2:]) for n, y in apart.items()}


def _lanes(initial: Array, lanes: int) -> Array:
    return np.repeat(initial[None], lanes, axis=0)


def start_net(net: Net, lanes: int = 1, observe: Observer | None = None, dtype: type = np.float64) -> Stream | Windows:
    """Start ``lanes`` streams of a net (as ``stream_net``); where its windows overlap, all of them."""
    if not net.overlaps:
        return stream_net(net, lanes, observe, dtype)
    return Windows(net, lambda n: stream_net(net, n, observe, dtype), lanes)


def start_qnet(qnet: QNet, lanes: int = 1) -> Stream | Windows:
    """Start ``lanes`` streams of a qnet, in int64; where its windows overlap, all of them."""
    if not qnet.net.overlaps:
        return stream_qnet(qnet, lanes)
    return Windows(qnet.net, lambda n: stream_qnet(qnet, n), lanes)


def stream_net(net: Net, lanes: int = 1, observe: Observer | None = None, dtype: type = np.float64) -> Stream:
    """Start ``lanes`` streams of a net, in float64, or in the type that its constants and all that it is fed have.

    One window follows the other where it has windows.
    """
    state = {s.name: _lanes(np.asarray(s.initial, dtype).reshape(s.shape), lanes) for s in net.states()}
    kept = {op.name: [s.name for s in op.states()] for op in net.ops if op.states()}
    feedback = [(f.state.name, f.next) for f in net.feedback]
    return Stream(net, net.ops, kept, feedback, net.values, state, lanes, dtype, observe)


def stream_qnet(qnet: QNet, lanes: int = 1, observe: Observer | None = None, watch: Observer | None = None) -> Stream:
    """Start ``lanes`` streams of a qnet, in int64; one window after the other where it has windows."""
    state = {s.name: _lanes(s.initial.reshape(s.shape), lanes) for s in qnet.states()}
    kept = {op.name: [s.name for s in op.states()] for op in qnet.ops if op.states()}
    feedback = [(f.state.name, f.next) for f in qnet.feedback]
    return Stream(qnet.net, qnet.ops, kept, feedback, qnet.values, state, lanes, np.int64, observe, watch)


def run_net(net: Net, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Run whole sequences ``[steps, lanes, *shape]`` of real inputs from the initial state; outputs in real units."""
    return _whole(start_net(net, next(iter(inputs.values())).shape[1]), inputs)


def run_qnet(qnet: QNet, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Run whole sequences ``[steps, lanes, *shape]`` of integer inputs from the initial state; outputs in integers."""
    return _whole(start_qnet(qnet, next(iter(inputs.values())).shape[1]), inputs)


def _whole(stream: Stream | Windows, inputs: Mapping[str, Array]) -> dict[str, Array]:
    return _joined([stream.advance(inputs), stream.drain()])
