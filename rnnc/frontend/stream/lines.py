"""A state that holds several delay lines becomes as many states: each is moved by itself, and none follows from itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from rnnc.fixed import Ints
from rnnc.frontend.stream.finish import needed
from rnnc.lines import MovedElements, moves, packed_states
from rnnc.net import Feedback, Net, Op, State
from rnnc.ops.layout import Layout, Move

CALL = 10
"""What a move costs besides its elements, in elements."""


def split_states(net: Net) -> Net:
    """The net with a state for each delay line of packed states, what moves their elements moving these alone; as it is where
    that would be no less work."""
    packed = {
        name: written for name, written in packed_states(net).items() if len(MovedElements(net).parts(written)) > 1
    }
    if not packed:
        return net
    split = _Splitter(net, packed).split()
    return split if _work(split) < _work(net) else net


def _work(net: Net) -> int:
    """What moving costs in a step: the elements, and CALL for each move."""
    moved = [move.lengths for op in net.ops if isinstance(op, Layout) for move in op.moves]
    return sum(int(np.prod(lengths, dtype=np.int64)) + CALL for lengths in moved)


class _Splitter:
    def __init__(self, net: Net, packed: dict[str, Ints]) -> None:
        self.net, self.packed, self.origins = net, packed, MovedElements(net)
        self.lines: dict[str, list[tuple[State, Ints]]] = {}
        """Of each packed state, each line and its elements in the whole."""
        for f in net.feedback:
            if f.state.name in packed:
                self.lines[f.state.name] = self._lines_of(f.state)

    def _lines_of(self, state: State) -> list[tuple[State, Ints]]:
        window = np.arange(self.net.values[state.name].size) if state.window is None else state.window.ravel()
        lines, initial = [], state.initial.ravel()
        for k, (at, _) in enumerate(self.origins.parts(self.packed[state.name]).values()):
            name = f"{state.name}_{k}"
            lines.append((State(name, (len(at),), initial[at], state.alias, window[at]), at))
        return lines

    def split(self) -> Net:
        ops = [self._direct(op) if moves(op) else op for op in self.net.ops]
        feedback = []
        for f in self.net.feedback:
            for line, at in self.lines.get(f.state.name, []):
                name = f"{line.name}_next"
                ops.append(self._layout(name, name, line.shape, self.origins.of[f.next][at]))
                feedback.append(Feedback(line, name))
            if f.state.name not in self.lines:
                feedback.append(f)
        results = {o.value for o in self.net.outputs} | {f.next for f in feedback}
        return replace(self.net, ops=tuple(needed(ops, results)), feedback=tuple(feedback))

    def _direct(self, op: Op) -> Op:
        """An op that moves elements of a line takes them from there."""
        name = op.outputs[0]
        numbers = self.origins.of[name]
        if not self.lines.keys() & self.origins.values(numbers):
            return op
        return self._layout(op.name, name, self.net.values[name].shape, numbers)

    def _layout(self, name: str, output: str, shape: tuple[int, ...], numbers: Ints) -> Layout:
        inputs: list[str] = []
        moved: list[Move] = []
        sources: list[int] = []
        for value, (at, elements) in self._parts(numbers):
            found = stretches(at, elements)
            sources += [len(inputs)] * len(found)
            inputs.append(value)
            moved += found
        return Layout(name, tuple(inputs), (output,), shape, tuple(moved), tuple(sources))

    def _parts(self, numbers: Ints) -> list[tuple[str, tuple[Ints, Ints]]]:
        """The values and lines that elements are of, as ``MovedElements.parts``."""
        found = []
        for value, (at, elements) in self.origins.parts(numbers).items():
            for line, whole in self.lines.get(value, []):
                place = np.searchsorted(whole, elements).clip(max=len(whole) - 1)
                own = whole[place] == elements
                if own.any():
                    found.append((line.name, (at[own], place[own])))
            if value not in self.lines:
                found.append((value, (at, elements)))
        return found


def stretches(target: Ints, source: Ints) -> list[Move]:
    """The moves of elements ``source`` to places ``target``, which go up: stretches of neighbours, those of one length at
    equal distances as one move."""
    breaks = np.flatnonzero((np.diff(target) != 1) | (np.diff(source) != 1)) + 1
    found: list[Move] = []
    for a, b in pairwise([0, *breaks.tolist(), len(target)]):
        to, begin, n = int(target[a]), int(source[a]), b - a
        last = found[-1] if found else None
        if last and last.lengths[1] == n:
            k, steps = last.lengths[0], (begin - last.from_offset, to - last.to_offset)
            if k == 1 or steps == (k * last.from_strides[0], k * last.to_strides[0]):
                each = steps if k == 1 else (last.from_strides[0], last.to_strides[0])
                found[-1] = replace(last, lengths=(k + 1, n), from_strides=(each[0], 1), to_strides=(each[1], 1))
                continue
        found.append(Move((1, n), (0, 1), (0, 1), begin, to))
    return [move.merged() for move in found]
