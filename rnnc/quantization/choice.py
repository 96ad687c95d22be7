"""Which blocks of weights are worth int16: those that cost most error a byte, up to a share of flash or to a target in dB.

The errors of blocks add up (``survey``), which says in what order they are worth it. How many of them a target in dB takes is
measured on whole builds. Choosing each block by the error of whole builds instead would be misled by the luck of rounding,
which is several dB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from rnnc.errors import Refused
from rnnc.net import Array, Net
from rnnc.ops.recurrent import Recurrent
from rnnc.ops.units import QRecurrent
from rnnc.options import Options, ProgressCallback, no_progress
from rnnc.qnet import QNet
from rnnc.quantization.calibrate import Ranges, Sequences, lanes_of
from rnnc.quantization.quantize import quantize
from rnnc.quantization.survey import BlockCost, alike, mean_square, pieces, run_changed, survey, within
from rnnc.quantization.wide_rows import IsWide, check_names
from rnnc.streams import run_net, run_qnet

SHARE = 0.1
"""Of the bytes of weights with --weights 8: how many more ``auto`` may take."""
LEAST = 24
"""How many more it may take where a tenth is less: a build's code and tables are far more than ten times that."""
GUARD_STEPS = 512
"""Of each piece of the calibration data on which builds are compared."""


WORTH_DB = 0.5
"""What a layer's finer form has to gain where the target is not reached."""


class Size(NamedTuple):
    """Bytes of all weights, scales and biases of a build.

    Args:
        portable: in portable C. Blocks are chosen by these, so that the bits are the same on every target.
        target: as packed for the target that the options name: what the user is told.
    """

    portable: int
    target: int


SizeOf = Callable[[QNet], Size]
"""Raises Refused where the target cannot hold the build."""


@dataclass(frozen=True, eq=False)
class Choice:
    """Which blocks are int16, and what that takes.

    Args:
        wide: their names.
        fine: the layers whose preactivations have further fraction bits, which a target in dB may ask for.
        narrow_size, size: of all weights with those that the options name alone, and with all of these.
        costs: what each block costs, where that was measured.
        decibels: SQNR of each output that varies on the calibration data, where a target asks for it.
        narrow_reached: at the worst output, without the blocks that were chosen.
        target: in dB, None where there is none.
    """

    wide: frozenset[str]
    narrow_size: Size
    size: Size
    costs: tuple[BlockCost, ...] = ()
    decibels: Mapping[str, float] = field(default_factory=dict)
    narrow_reached: float | None = None
    target: float | None = None
    fine: frozenset[str] = frozenset()

    @property
    def reached(self) -> float | None:
        """SQNR at the worst output on the calibration data (dB), None where no target asks for it."""
        return min(self.decibels.values(), default=None)

    @property
    def is_wide(self) -> IsWide:
        """For ``quantize``."""
        return lambda name: name in self.wide


Build = tuple[QNet, Choice]


def choose(
    net: Net,
    ranges: Ranges,
    sequences: Sequences | None,
    options: Options,
    size_of: SizeOf,
    progress: ProgressCallback = no_progress,
) -> Build:
    """The build that the options ask for.

    Args:
        sequences: of the calibration, None without: then nothing is chosen.

    Raises Refused, and UsageError where an option names a block that is not there.
    """
    base = quantize(net, ranges, options)
    check_names(base, options)
    size = size_of(base)
    plain = Choice(frozenset(b.name for b in base.blocks if b.wide), size, size, target=options.min_sqnr)
    if sequences is None or options.weights != "auto" or all(b.wide for b in base.blocks):
        return base, plain
    chooser = _Chooser(net, ranges, sequences, options, size_of, base, plain, progress)
    return chooser.within_share() if options.min_sqnr is None else chooser.up_to(options.min_sqnr)


@dataclass(eq=False)
class _Chooser:
    net: Net
    ranges: Ranges
    sequences: Sequences
    options: Options
    size_of: SizeOf
    base: QNet
    plain: Choice
    progress: ProgressCallback
    costs: list[BlockCost] = field(default_factory=list)

    def within_share(self) -> Build:
        """As many blocks as a tenth more bytes, or LEAST, hold: most error a byte first, then the smallest not tried."""
        left = most = max(int(SHARE * self.plain.narrow_size.portable), LEAST)
        if min(b.weights for b in self.base.blocks if not b.wide) > left:
            return self.base, self.plain
        taken: list[BlockCost] = []
        for cost in self._ranked(left):
            if cost.block.weights <= left:
                taken.append(cost)
                left -= cost.block.weights
        while taken:
            built = self._built(taken)
            if built and built[1].size.portable <= self.plain.narrow_size.portable + most:
                return built if self._better(built[0]) else self._unwidened()
            taken.pop()
        return self._unwidened()

    def _better(self, qnet: QNet) -> bool:
        """Whether a build's weights are nearer to the net's than those of the build in int8: they may have been lucky."""
        reference = _Reference(self.net, pieces(self.net, self.sequences, GUARD_STEPS))
        outputs = (run_changed(q.dequantized(), {}, reference.lanes) for q in (self.base, qnet))
        narrow, wide = (sum(reference.errors(got).values()) for got in outputs)
        return wide < narrow

    def up_to(self, target: float) -> Build:
        """The fewest blocks, most error a byte first, that reach the target on the calibration data; all where none do.

        Where all do not, the layers are finer whose further bits bring them nearer to it.
        """
        reference = _Reference(self.net, alike(self.net, self.sequences))
        before = reference.decibels(self.base)
        narrow = min(before.values(), default=None)

        def built(blocks: Sequence[BlockCost], fine: frozenset[str] = frozenset()) -> Build | None:
            build = self._built(blocks, fine)
            return build and (build[0], replace(build[1], decibels=reference.decibels(build[0]), narrow_reached=narrow))

        if narrow is None or narrow >= target:
            return self.base, replace(self.plain, decibels=before, narrow_reached=narrow)
        ranked = self._ranked()
        while (widest := built(ranked)) is None:
            ranked.remove(max(ranked, key=lambda c: c.block.weights))
        if not _reaches(widest, target):
            widest = self._finer(widest, target, partial(built, ranked))
        best, few, many = widest, 0, len(ranked)
        while _reaches(best, target) and many - few > 1:
            middle = (few + many) // 2
            fewer = built(ranked[:middle], best[1].fine)
            if fewer and _reaches(fewer, target):
                many, best = middle, fewer
            else:
                few = middle
        return best

    @staticmethod
    def _finer(coarse: Build, target: float, built: Callable[[frozenset[str]], Build | None]) -> Build:
        """The build with as few layers in the finer form as reach the target, or as gain by it where none do."""
        cells = frozenset(op.name for op in coarse[0].net.ops if isinstance(op, Recurrent))
        best = built(cells)
        if best is None or not _gains(best, coarse):
            return coarse
        for layer in sorted(cells):
            without = built(best[1].fine - {layer})
            if without and (_reaches(without, target) if _reaches(best, target) else not _gains(best, without)):
                best = without
        return best if best[1].fine else coarse

    def _ranked(self, most: float = np.inf) -> list[BlockCost]:
        """The blocks of at most so many weights that may be widened, most error a byte first."""
        effort = 1.0 if self.options.min_sqnr is None else 4.0
        self.costs = survey(self.base, self.ranges, self.options, self.sequences, effort, self.progress, most)
        return by_worth([c for c in self.costs if c.name not in self.plain.wide and c.error > 0])

    def _built(self, blocks: Sequence[BlockCost], fine: frozenset[str] = frozenset()) -> Build | None:
        """The build with these blocks in int16 as well; None where it cannot be, or where the target cannot hold it."""
        wide = self.plain.wide | {c.name for c in blocks}
        try:
            qnet = quantize(self.net, self.ranges, self.options, is_wide=lambda name: name in wide, fine=fine)
            finer = frozenset(op.name for op in qnet.ops if isinstance(op, QRecurrent) and op.fine)
            return qnet, replace(self.plain, wide=wide, size=self.size_of(qnet), costs=tuple(self.costs), fine=finer)
        except Refused:
            return None

    def _unwidened(self) -> Build:
        return self.base, replace(self.plain, costs=tuple(self.costs))


def by_worth(costs: Sequence[BlockCost]) -> list[BlockCost]:
    """Most error a byte first, each at the output that has the most error left when those before it have none."""
    left, ordered = list(costs), list[BlockCost]()
    while left:
        worst = max(left[0].errors, key=lambda o: sum(c.errors[o] for c in left))
        ordered.append(max(left, key=lambda c: c.errors[worst] / c.block.weights))
        left.remove(ordered[-1])
    return ordered


def _reaches(build: Build, target: float) -> bool:
    reached = build[1].reached
    return reached is not None and reached >= target


def _gains(build: Build, other: Build) -> bool:
    """Whether a build is nearer to the target than another by more than is worth its instructions."""
    return (build[1].reached or 0.0) > (other[1].reached or 0.0) + WORTH_DB


class _Reference:
    """What the net says on the calibration data, for builds to be held against."""

    def __init__(self, net: Net, sequences: Sequences) -> None:
        self.net = net
        self.lanes, lengths = lanes_of(net, sequences)
        outputs = run_net(net, self.lanes)
        self.compared = [o for o in net.outputs if net.values[o.value].dtype != "index"]
        self.valid = {o.name: within(net, o, len(outputs[o.name]), lengths) for o in self.compared}
        self.wanted = {o.name: outputs[o.name][self.valid[o.name]] for o in self.compared}

    def errors(self, got: Mapping[str, Array]) -> dict[str, float]:
        """Of outputs in real units, at each that varies: the error's mean square over the variance, of all channels."""
        found = {}
        for o in self.compared:
            if not len(self.wanted[o.name]):
                continue
            r = self.wanted[o.name].reshape(len(self.wanted[o.name]), -1)
            y = got[o.name][self.valid[o.name]].reshape(r.shape)
            power = float(np.var(r, 0).sum())
            if power > 0:
                found[o.name] = mean_square(y - r) / power
        return found

    def decibels(self, qnet: QNet) -> dict[str, float]:
        """SQNR of the integers at each output that varies (dB)."""
        got = run_qnet(qnet, {v.name: qnet.formats[v.name].quantize(self.lanes[v.name]) for v in self.net.inputs})
        errors = self.errors({o.name: qnet.formats[o.value].dequantize(got[o.name]) for o in self.compared})
        return {name: -10 * float(np.log10(max(error, 1e-20))) for name, error in errors.items()}
