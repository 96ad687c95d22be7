"""One thing at a time as the C has it, all else exact: how much of an output's error each explains.

Errors are sums of squares of one output, or of its worst channel, against onnxruntime, over the points that verify compared.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rnnc.clock import Timing
from rnnc.fixed import Floats, Format
from rnnc.net import Array, Net, Op, Probe, States, no_probe
from rnnc.qnet import QNet, QOp
from rnnc.streams import Stream, Windows, stream_net
from rnnc.verification.attribution import InIntegers
from rnnc.verification.batches import Batch, by_sequence
from rnnc.verification.copies import InsertedCopies, limited
from rnnc.verification.reference import Points
from rnnc.verification.verify import Measurement, OutputFigures

MOST_OP_STEPS, MOST_MACS = 6e4, 4e9
"""What one run may cost: times that an op steps, and multiply-accumulates."""
FEWEST = 256
SELDOM, MORE = 0.5, 4
"""Beginnings with less than this share of the error that as many steps have on average are taken so many times as long."""

Transform = Callable[[str, Array], Array]
"""What becomes of an input of some name."""


@dataclass(frozen=True, eq=False)
class ErrorMetric:
    """Whose error is explained: one channel of an output, or all of them (None)."""

    points: Points
    reference: Floats
    got: Floats
    channel: int | None
    index: bool

    def error(self, got: Floats, reference: Floats | None = None) -> float:
        """The sum of squares of ``got [points, channels]``, of indices how many differ."""
        against = self.reference if reference is None else reference
        if self.index:
            return float(np.count_nonzero(np.any(against != got, axis=1)))
        wanted = slice(None) if self.channel is None else slice(self.channel, self.channel + 1)
        d = (got - against)[:, wanted]
        return float(np.sum(d[np.isfinite(d)] ** 2))

    @property
    def total(self) -> float:
        """The error of the integers."""
        return self.error(self.got)


class Experiments:
    """Runs of the network in real numbers over what verify ran, or over the beginnings of it where that takes too long."""

    def __init__(
        self, qnet: QNet, measured: Measurement, output: OutputFigures, channel: int | None, share: float = 1.0
    ) -> None:
        self.qnet, self.net, self.name = qnet, qnet.net, output.name
        self.by_name = {q.name: q for q in qnet.ops}
        groups = [run.batch for run in measured.runs]
        self._shorten(groups, share)
        self.target = self._target(output, channel)
        index = self.target.index
        whole = ErrorMetric(output.asked, output.asked.reference, output.got, channel, index)
        if self.target.total * len(whole.got) < SELDOM * whole.total * len(self.target.got):
            self._shorten(groups, MORE * share)
            self.target = self._target(output, channel)

    def _shorten(self, groups: Sequence[Batch], share: float) -> None:
        self.groups = [_shortened(b, _affordable(self.qnet, groups, share)) for b in groups]

    def _target(self, output: OutputFigures, channel: int | None) -> ErrorMetric:
        (o,) = (o for o in self.net.outputs if o.name == output.name)
        lengths = {i: n for b in self.groups for i, n in zip(b.members, b.lengths, strict=True)}
        at = zip(output.asked.sequence, output.asked.tick, strict=True)
        kept = [k for k, (i, t) in enumerate(at) if t < self.net.ticks(o, lengths[i])]
        asked = output.asked
        points = Points(
            [asked.sequence[k] for k in kept], [asked.tick[k] for k in kept], [asked.values[k] for k in kept]
        )
        index = self.net.values[o.value].dtype == "index"
        return ErrorMetric(points, points.reference, output.got[kept], channel, index)

    def run(
        self,
        ops: Mapping[str, Op] | None = None,
        integers: Collection[str] = (),
        inputs: Transform = lambda _, x: x,
        clamped: Mapping[str, Clamped] | None = None,
    ) -> Floats:
        """The output's points, ``[points, channels]``.

        Args:
            ops: what stands in place of ops, by name.
            integers: ops that run as the C has them.
            inputs: what becomes of inputs before they are given.
            clamped: ops of which results and states are kept within limits.
        """
        net, found = replace(self.net, ops=tuple((ops or {}).get(op.name, op) for op in self.net.ops)), []

        def start(lanes: int) -> Stream:
            stream = stream_net(net, lanes)
            self._in_integers(stream, integers)
            stream.substitute(clamped or {})
            return stream

        for batch in self.groups:
            lanes = len(batch.members)
            stream = Windows(net, start, lanes) if net.overlaps else start(lanes)
            given = {name: inputs(name, x) for name, x in batch.inputs.items()}
            outputs, late = stream.advance(given), stream.drain()
            found.append((batch, {n: np.concatenate([y, late[n]]) for n, y in outputs.items()}))
        return self.target.points.of(by_sequence(self.net, found)[self.name])

    def _in_integers(self, stream: Stream, names: Collection[str]) -> None:
        stream.substitute({name: InIntegers(self.by_name[name], self.qnet) for name in names})
        for name in names:
            for s in self.by_name[name].states():
                stream.initial[s.name] = np.repeat(s.initial.reshape(s.shape)[None], stream.lanes, axis=0)
        stream.reset()

    def rounded(self, name: str, x: Array) -> Array:
        """An input as the C is given it."""
        f = self.qnet.formats[name]
        return f.dequantize(f.quantize(x))

    def clipped(self, name: str, x: Array) -> Array:
        """An input within the range of its format, and not rounded."""
        return x if self.qnet.formats[name].index else self.qnet.formats[name].limit(x)

    def clamps(self) -> dict[str, Clamped]:
        """Every op that the network and the integers have in common, within its formats: its results, states, copied inputs."""
        fed_back = {f.next: f.state.format for f in self.qnet.feedback}
        found, copies = {}, InsertedCopies(self.qnet)
        for op in self.net.ops:
            q = self.by_name[op.name]
            results = [self._limit(name, f, fed_back) for name, f in zip(op.outputs, q.formats, strict=True)]
            states = {s.name: s.format for s in q.states()}
            found[op.name] = Clamped(op, copies.formats(q), results, states, self.net)
        return found

    def _limit(self, name: str, form: Format, fed_back: Mapping[str, Format]) -> list[Format]:
        return [f for f in (form, fed_back.get(name)) if f is not None and not f.index]


class Clamped:
    """An op in real numbers of which copied inputs, results and states are kept within the ranges of their formats."""

    def __init__(
        self,
        op: Op,
        copied: Sequence[Sequence[Format]],
        results: Sequence[Sequence[Format]],
        states: Mapping[str, Format],
        net: Net,
    ) -> None:
        self.op, self.copied, self.results = op, copied, results
        own = {s.name for s in op.states()}
        self.states = {name: f for name, f in states.items() if name in own and f.lo < 0 and not f.index}
        self.shapes = [net.values[name].shape for name in op.outputs]

    @property
    def name(self) -> str:
        """As the op."""
        return self.op.name

    @property
    def inputs(self) -> tuple[str, ...]:
        """As the op."""
        return self.op.inputs

    @property
    def outputs(self) -> tuple[str, ...]:
        """As the op."""
        return self.op.outputs

    @property
    def elastic(self) -> bool:
        """As the op's."""
        return self.op.elastic

    @property
    def timing(self) -> Timing:
        """As the op's."""
        return self.op.timing

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        """``Op.step``, within the ranges."""
        read = [limited(x, formats) for x, formats in zip(inputs, self.copied, strict=True)]
        results = self.op.step(read, state, tick, probe)
        for name, f in self.states.items():
            if name in state:
                state[name] = f.limit(state[name])
        return self._kept(results)

    def drain(self, state: States, tick: int) -> list[Array] | None:
        """``Op.drain``, within the ranges."""
        return self._kept(self.op.drain(state, tick))

    def _kept(self, results: Sequence[Array] | None) -> list[Array] | None:
        if results is None:
            return None
        leading = 2 if self.op.elastic or not self.op.states() else 1
        found = []
        for y, forms, shape in zip(results, self.results, self.shapes, strict=True):
            found.append(limited(y.reshape(*y.shape[:leading], *shape), forms))
        return found


def in_integers(q: QOp) -> bool:
    """Whether an op's weights are rounded."""
    return q.dequantized() is not q.op


def _affordable(qnet: QNet, groups: Sequence[Batch], share: float) -> int:
    """How many steps of each sequence may be run."""
    longest, steps = max(b.steps for b in groups), sum(b.steps for b in groups)
    lanes = sum(sum(b.lengths) for b in groups) / max(steps, 1)
    macs = sum(call.macs for op in qnet.ops for call in op.calls())
    most = share * min(MOST_OP_STEPS / max(len(qnet.ops), 1), MOST_MACS / max(macs * lanes, 1))
    return longest if most >= steps else max(FEWEST, int(longest * most / steps))


def _shortened(batch: Batch, steps: int) -> Batch:
    """A batch of which no sequence has more than so many steps."""
    if batch.steps <= steps:
        return batch
    lengths = [min(n, steps) for n in batch.lengths]
    return Batch(batch.members, lengths, {name: x[:steps] for name, x in batch.inputs.items()})
