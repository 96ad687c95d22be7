"""Which blocks of weights are worth int16: those that cost most error a byte, up to a share of flash or to a target in dB.

The errors of blocks add up (``survey``); what int16 everywhere still leaves, the arithmetic's, is added where dB are asked for.
Choosing by the error of whole builds instead would be misled by the luck of rounding, which is several dB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rnnc.errors import Refused
from rnnc.net import Net
from rnnc.options import Options, ProgressCallback, no_progress
from rnnc.qnet import QNet
from rnnc.quantization.calibrate import Ranges, Sequences, lanes_of
from rnnc.quantization.quantize import quantize
from rnnc.quantization.survey import BlockCost, pieces, survey, within
from rnnc.quantization.wide_rows import IsWide, check_names
from rnnc.streams import run_net, run_qnet

SHARE = 0.1
"""Of the bytes of weights with --weights 8: how many more ``auto`` may take."""
GUARD_STEPS = 512
"""Of each piece of the calibration data on which builds are compared."""
ROUNDS = 6
"""How often more blocks are added where a build stays below what the model foresaw."""
Bytes = Callable[[QNet], int]
"""Of all weights, scales and biases of a build."""


@dataclass(frozen=True, eq=False)
class Choice:
    """Which blocks are int16, and what that takes.

    Args:
        wide: their names.
        narrow_bytes, bytes: of all weights with those that the options name alone, and with all of these.
        costs: what each block costs, where that was measured.
        reached: SQNR at the worst output on the calibration data (dB), where a target asks for it.
        narrow_reached: the same without the blocks that were chosen.
        target: in dB, None where there is none.
    """

    wide: frozenset[str]
    narrow_bytes: int
    bytes: int
    costs: tuple[BlockCost, ...] = ()
    reached: float | None = None
    narrow_reached: float | None = None
    target: float | None = None

    @property
    def is_wide(self) -> IsWide:
        """For ``quantize``."""
        return lambda name: name in self.wide


def choose(
    net: Net,
    ranges: Ranges,
    sequences: Sequences | None,
    options: Options,
    size: Bytes,
    progress: ProgressCallback = no_progress,
) -> tuple[QNet, Choice]:
    """The build that the options ask for.

    Args:
        sequences: of the calibration, None without: then nothing is chosen.
        size: bytes of a build's weights.

    Raises Refused, and UsageError where an option names a block that is not there.
    """
    base = quantize(net, ranges, options)
    check_names(base, options)
    wide = frozenset(b.name for b in base.blocks if b.wide)
    plain = Choice(wide, size(base), size(base), target=options.min_sqnr)
    if sequences is None or options.weights != "auto" or all(b.wide for b in base.blocks):
        return base, plain
    chooser = _Chooser(net, ranges, sequences, options, size, base, plain, progress)
    return chooser.within_share() if options.min_sqnr is None else chooser.up_to(options.min_sqnr)


@dataclass(eq=False)
class _Chooser:
    net: Net
    ranges: Ranges
    sequences: Sequences
    options: Options
    size: Bytes
    base: QNet
    plain: Choice
    progress: ProgressCallback
    costs: list[BlockCost] = field(default_factory=list)

    def _ranked(self, most: float = np.inf) -> list[BlockCost]:
        """The blocks of at most so many weights that may be widened, most error a byte first."""
        effort = 1.0 if self.options.min_sqnr is None else 4.0
        self.costs = survey(self.base, self.ranges, self.options, self.sequences, most, effort, self.progress)
        open_ = [c for c in self.costs if c.name not in self.plain.wide and c.error > 0]
        return sorted(open_, key=lambda c: -c.error / c.block.weights)

    def within_share(self) -> tuple[QNet, Choice]:
        """As many as a tenth more bytes hold, most error a byte first."""
        left = int(SHARE * self.plain.narrow_bytes)
        if min(b.weights for b in self.base.blocks if not b.wide) > left:
            return self.base, self.plain
        taken: list[BlockCost] = []
        for cost in self._ranked(left):
            if cost.block.weights <= left:
                taken.append(cost)
                left -= cost.block.weights
        while taken:
            built = self._built([c.name for c in taken])
            if built and built[1].bytes <= (1 + SHARE) * self.plain.narrow_bytes:
                return built if self._better(built[0]) else (self.base, self._choice(self.base, self.plain.wide))
            taken.pop()
        return self.base, self._choice(self.base, self.plain.wide)

    def _better(self, qnet: QNet) -> bool:
        """Whether a build is nearer to the net than the one with int8 weights: that may have been lucky."""
        reference = _Reference(self.net, pieces(self.net, self.sequences, GUARD_STEPS))
        narrow, wide = (sum(reference.errors(q).values()) for q in (self.base, qnet))
        return wide < narrow

    def up_to(self, target: float) -> tuple[QNet, Choice]:
        """As few as reach the target on the calibration data; all where it cannot be reached."""
        reference = _Reference(self.net, self.sequences)
        narrow = reference.worst(self.base)
        if narrow is None or narrow >= target:
            return self.base, self._reached(self.plain, narrow, narrow)
        ranked = self._ranked()
        everything = self._built([c.name for c in ranked]) or (self.base, self.plain)
        best = reference.worst(everything[0])
        if best is None or best < target:
            return everything[0], self._reached(everything[1], best, narrow)
        rest = reference.errors(everything[0])
        taken: list[str] = []
        more = dict.fromkeys(rest, 1.0)
        for _ in range(ROUNDS):
            taken = _foreseen(ranked, rest, more, target, len(taken) + 1)
            built = self._built(taken)
            if not built or len(taken) == len(ranked):
                break
            got = reference.errors(built[0])
            if max(got.values()) <= 10 ** (-target / 10):
                return built[0], self._reached(built[1], _worst(got), narrow)
            left = [c for c in ranked if c.name not in taken]
            more = {o: max(k, _times(got[o] - rest[o], sum(c.errors[o] for c in left))) for o, k in more.items()}
        return everything[0], self._reached(everything[1], best, narrow)

    def _built(self, names: Sequence[str]) -> tuple[QNet, Choice] | None:
        """The build with these blocks in int16 as well; None where it cannot be, or where the target cannot hold it."""
        wide = self.plain.wide | frozenset(names)
        try:
            qnet = quantize(self.net, self.ranges, self.options, is_wide=lambda name: name in wide)
            return qnet, self._choice(qnet, wide)
        except Refused:
            return None

    def _choice(self, qnet: QNet, wide: frozenset[str]) -> Choice:
        return Choice(wide, self.plain.narrow_bytes, self.size(qnet), tuple(self.costs), target=self.options.min_sqnr)

    @staticmethod
    def _reached(choice: Choice, db: float | None, narrow: float | None) -> Choice:
        return Choice(choice.wide, choice.narrow_bytes, choice.bytes, choice.costs, db, narrow, choice.target)


def _foreseen(
    ranked: Sequence[BlockCost], rest: Mapping[str, float], more: Mapping[str, float], target: float, least: int
) -> list[str]:
    """The blocks to widen, one after the other, until the errors of the others and the rest are foreseen to be small enough.

    Args:
        more: how many times what blocks cost their errors turned out to be, at each output.
        least: of blocks.
    """
    most = 10 ** (-target / 10)
    left, taken = list(ranked), list[str]()
    while left:
        total = {o: e + more[o] * sum(c.errors[o] for c in left) for o, e in rest.items()}
        far = {o for o, e in total.items() if e > most}
        if not far and len(taken) >= least:
            break
        far = far or set(total)
        worst = max(left, key=lambda c: sum(c.errors[o] / total[o] for o in far) / c.block.weights)
        left.remove(worst)
        taken.append(worst.name)
    return taken


def _times(error: float, foreseen: float) -> float:
    return error / foreseen if foreseen > 0 else 1.0


def _worst(errors: Mapping[str, float]) -> float | None:
    """SQNR at the worst output (dB); None where none varies."""
    return -10 * float(np.log10(max(*errors.values(), 1e-20))) if errors else None


class _Reference:
    """What the net says on the calibration data, for builds to be held against."""

    def __init__(self, net: Net, sequences: Sequences) -> None:
        self.net = net
        self.lanes, lengths = lanes_of(net, sequences)
        outputs = run_net(net, self.lanes)
        self.compared = [o for o in net.outputs if net.values[o.value].dtype != "index"]
        self.valid = {o.name: within(net, o, len(outputs[o.name]), lengths) for o in self.compared}
        self.wanted = {o.name: outputs[o.name][self.valid[o.name]] for o in self.compared}

    def errors(self, qnet: QNet) -> dict[str, float]:
        """At each output that varies: the error's mean square over the variance, of all channels."""
        got = run_qnet(qnet, {v.name: qnet.formats[v.name].quantize(self.lanes[v.name]) for v in self.net.inputs})
        found = {}
        for o in self.compared:
            if not len(self.wanted[o.name]):
                continue
            r = self.wanted[o.name].reshape(len(self.wanted[o.name]), -1)
            y = qnet.formats[o.value].dequantize(got[o.name])[self.valid[o.name]].reshape(r.shape)
            power = float(np.var(r, 0).sum())
            if power > 0:
                found[o.name] = float(((y - r) ** 2).sum(1).mean()) / power
        return found

    def worst(self, qnet: QNet) -> float | None:
        """SQNR at the worst output (dB); None where none varies."""
        return _worst(self.errors(qnet))
