"""The reference: what onnxruntime answers to sequences, and at which steps it can be asked.

A *stream* output is compared at every step. A *last* output is compared at every step where the file exposes its state
(it is then run step by step and fed its own state), else at the end of each sequence and at evenly spaced prefixes. A file
of a fixed length T gets the sequences cut into pieces of T, each from the initial state; a network that answers windows, one
run for each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnnc.errors import DataError, UnreadableModel
from rnnc.fixed import Floats
from rnnc.net import Array, Net, Output
from rnnc.quantization.calibrate import Sequences
from rnnc.verification.session import Session

SUMMED_STEPS = 16
"""Of a file that sums over time, pieces of so many steps are compared where it leaves the length of a sequence open."""
STEADY = 1e-5
"""What the frames that follow may change, in parts of the largest value, where such a file's answer is compared."""
PREFIX_POINTS = 64
"""At least so many points of a *last* output are compared where each needs a run of its own."""


@dataclass(frozen=True, eq=False)
class Points:
    """Some values of an output: which sequence, which tick of it, and ``values [points, size]``."""

    sequence: list[int] = field(default_factory=list)
    tick: list[int] = field(default_factory=list)
    values: list[Array] = field(default_factory=list)

    def add(self, sequence: int, tick: int, value: Array) -> None:
        """One more point."""
        self.sequence.append(sequence)
        self.tick.append(tick)
        self.values.append(value)

    @property
    def reference(self) -> Floats:
        """``[points, size]``."""
        return _rows(self.values)

    def kept(self, which: Array) -> Points:
        """Those of the points for which ``which [points]`` is true."""
        at = np.flatnonzero(which).tolist()
        return Points([self.sequence[k] for k in at], [self.tick[k] for k in at], [self.values[k] for k in at])

    def of(self, sequences: Sequence[Array]) -> Floats:
        """The same points of another run, given ``[ticks, size]`` of each of its sequences."""
        return _rows([sequences[s][t] for s, t in zip(self.sequence, self.tick, strict=True)])


def _rows(values: Sequence[Array]) -> Floats:
    """``[points, size]``; ``[0, 0]`` where there are no points."""
    return np.array(values, np.float64).reshape(len(values), np.size(values[0]) if values else 0)


@dataclass(frozen=True, eq=False)
class Reference:
    """What onnxruntime answered.

    Args:
        sequences: what was run: the sequences given, or pieces of them.
        origins: of each of them, which sequence it is of, and from which step on.
        dropped: steps at the ends of sequences that do not fill the length that the file takes.
        outputs: the points of each output.
        compared: in words, the use of the network that this is the reference for.
    """

    sequences: Sequences
    origins: list[tuple[int, int]]
    dropped: int
    outputs: dict[str, Points]
    compared: str


def run_reference(session: Session, sequences: Sequences) -> Reference:
    """Run the file over sequences.

    Raises DataError where none is as long as the file needs.
    """
    return _ReferenceRun(session).run(sequences)


@dataclass
class _ReferenceRun:
    session: Session
    points: dict[str, Points] = field(default_factory=dict)

    def run(self, sequences: Sequences) -> Reference:
        session, net = self.session, self.session.net
        chained = session.pairs is not None and not net.window
        piece = net.window or session.fixed_time or SUMMED_STEPS * net.summed
        lengths = [len(s) for s in next(iter(sequences.values()))]
        cuts = _cuts(net, lengths, piece, chained)
        if not cuts:
            raise DataError(f"the model takes {piece} steps at once and the longest sequence has {max(lengths)}")
        cut = _repeated({name: [all_[i][a:b] for i, a, b in cuts] for name, all_ in sequences.items()}, net)
        self.points = {o.name: Points() for o in net.outputs}
        has_last = any(o.kind == "last" for o in net.outputs)
        for group in _side_by_side([b - a for _, a, b in cuts], session.lanes):
            steps = {name: np.stack([cut[name][i] for i in group], 1) for name in cut}
            if net.window:
                self._windows(group, steps)
            elif net.summed and not chained:
                self._newest(group, steps)
            elif chained and (piece or has_last):
                self._chain(group, steps, piece or 1)
            else:
                self._whole(group, steps)
                if has_last and not piece and not net.drain_steps:
                    self._prefixes(group, steps, len(next(iter(cut.values()))))
        covered = sum(b - a for _, a, b in cuts)
        use = _use(net, len(cuts), covered, 0 if chained else piece)
        return Reference(cut, [(i, a) for i, a, _ in cuts], sum(lengths) - covered, self.points, use)

    def _whole(self, group: Sequence[int], steps: Mapping[str, Array]) -> None:
        """Every tick of stream outputs, the end of the others."""
        results, net = self.session.run(steps), self.session.net
        for o in net.outputs:
            self._note(o, results[o.name], group, 0, net.ticks(o, len(next(iter(steps.values())))))

    def _prefixes(self, group: Sequence[int], steps: Mapping[str, Array], sequences: int) -> None:
        """More points of *last* outputs: what the file answers to the beginnings of the sequences."""
        length = len(next(iter(steps.values())))
        count = -(-PREFIX_POINTS // sequences)
        ends = np.unique(np.round(np.linspace(length / count, length, count)).astype(int))
        for end in ends[(ends > 0) & (ends < length)].tolist():
            last = [o for o in self.session.net.outputs if o.kind == "last" and self._ticks(o, end)]
            results = self.session.run({name: s[:end] for name, s in steps.items()}) if last else {}
            for o in last:
                self._note(o, results[o.name], group, 0, self._ticks(o, end))

    def _newest(self, group: Sequence[int], steps: Mapping[str, Array]) -> None:
        """Answers to the newest frame: where frames follow, sums over all of them lose what the first ones gave.

        A file of a fixed length gets zeros for the frames that follow; its answer counts where they change nothing.
        """
        net, fixed = self.session.net, self.session.fixed_time
        length = len(next(iter(steps.values())))
        whole = self.session.run(steps) if fixed else {}
        for end in range(1, length + 1):
            shown = {
                name: np.concatenate([s[:end], np.zeros_like(s[end:] if fixed else s[:0])]) for name, s in steps.items()
            }
            results = self.session.run(shown)
            for o in net.outputs:
                after = self._ticks(o, end)
                if after == self._ticks(o, end - 1) or (o.kind == "last" and fixed and end < length):
                    continue
                ticks = None if o.kind == "last" else self._ticks(o, length if fixed else end)
                row = -1 if ticks is None else after - 1
                values = self.session.unpack(o.name, results[o.name], ticks)[row]
                again = self.session.unpack(o.name, whole[o.name], ticks)[row] if fixed else values
                if np.all(np.isfinite(values)) and np.abs(again - values).max() <= STEADY * np.abs(values).max():
                    for lane, i in enumerate(dict.fromkeys(group)):
                        self.points[o.name].add(i, after - 1, values[lane])

    def _chain(self, group: Sequence[int], steps: Mapping[str, Array], size: int) -> None:
        """``size`` steps at a time, each run from the state that the one before left."""
        pairs = self.session.pairs or {}
        state: dict[str, Any] = {}
        for t in range(0, len(next(iter(steps.values()))), size):
            results = self.session.run({name: s[t : t + size] for name, s in steps.items()}, state)
            state = {to: results[source] for to, source in pairs.items()}
            for o in self.session.net.outputs:
                self._note(o, results[o.name], group, self._ticks(o, t), self._ticks(o, t + size))

    def _windows(self, group: Sequence[int], steps: Mapping[str, Array]) -> None:
        """A window at a time, each from the initial state."""
        net = self.session.net
        for k in range(net.windows(len(next(iter(steps.values()))))):
            first = k * net.every
            results = self.session.run({name: s[first : first + net.window] for name, s in steps.items()})
            for o in net.outputs:
                n = max(o.ticks, 1)
                self._note(o, results[o.name], group, k * n, (k + 1) * n)

    def _ticks(self, output: Output, steps: int) -> int:
        """How many values an output has given by a step, those left aside that come after the end."""
        c = self.session.net.values[output.value].clock
        return 0 if steps <= c.phase else (steps - 1 - c.phase) // c.rate + 1

    def _note(self, output: Output, tensor: Array, group: Sequence[int], before: int, after: int) -> None:
        """Points of the ticks ``before..after`` that one run was about: all of them, or the last where it answers once."""
        if after <= before:
            return
        once = output.kind == "last" or (output.kind == "window" and not output.ticks)
        rows = self.session.unpack(output.name, tensor, None if once else after - before)
        if not once and len(rows) > after - before:
            raise UnreadableModel(
                f"onnxruntime gives {len(rows)} values of {output.name!r} for these steps, the network as it was read "
                f"{after - before}",
                hint="What time is was taken from the wrong axis, or this is a fault of rnnc. --time-axis INPUT=AXIS says it.",
            )
        at = range(after - 1, after) if once else range(before, min(after, before + len(rows)))
        for lane, i in enumerate(dict.fromkeys(group)):
            for k, tick in enumerate(at):
                self.points[output.name].add(i, tick, rows[k, lane])


def _repeated(sequences: Sequences, net: Net) -> Sequences:
    """Sequences in which the inputs that the file has once for a sequence stay what they are at its first step."""
    per_sequence = {v.name for v in net.inputs if v.per_sequence}
    return {
        name: [np.repeat(s[:1], len(s), 0) for s in all_] if name in per_sequence else all_
        for name, all_ in sequences.items()
    }


def _cuts(net: Net, lengths: Sequence[int], piece: int, chained: bool) -> list[tuple[int, int, int]]:
    """What of each sequence is run: its number, the first step, and the step after the last.

    Args:
        piece: how many steps the file takes at once, 0 where any number will do.
        chained: whether it goes on from the state that it gave.
    """
    if net.window:
        counts = [net.windows(n) for n in lengths]
        return [(i, 0, net.window + (k - 1) * net.every) for i, k in enumerate(counts) if k]
    if chained and piece:
        return [(i, 0, n // piece * piece) for i, n in enumerate(lengths) if n >= piece]
    if piece:
        return [(i, t, t + piece) for i, n in enumerate(lengths) for t in range(0, n - piece + 1, piece)]
    return [(i, 0, n) for i, n in enumerate(lengths)]


def _use(net: Net, sequences: int, steps: int, piece: int) -> str:
    """The use of the network that is compared, in words; ``piece``: the steps after which the file ends."""
    if net.window:
        return f"windows of {net.window} every {net.every}"
    if net.summed:
        return f"pieces of {piece} from reset, where the file's sums over time can be trusted"
    if piece:
        return f"pieces of {piece} from reset; going on past them is not compared: the file cannot run past {piece}"
    return f"one stream of {steps} steps" if sequences == 1 else f"{sequences} streams of {steps} steps in all"


def _side_by_side(lengths: Sequence[int], lanes: int) -> list[list[int]]:
    """Sequences that run as lanes of one run: ``lanes`` of one length, the last group filled up with its last member."""
    if lanes == 1:
        return [[i] for i in range(len(lengths))]
    groups = []
    for length in sorted(set(lengths)):
        same = [i for i, n in enumerate(lengths) if n == length]
        groups += [same[k : k + lanes] for k in range(0, len(same), lanes)]
    return [g + g[-1:] * (lanes - len(g)) for g in groups]
