"""Blocks of weights, and which of them are int16.

A block is the rows of one gate over one operand: "lstm0.i.x", "gru0.h.h", "rnn0.i.x"; of an op without gates all of its rows:
"dense0". A prefix of such a name (LAYER, LAYER.GATE) stands for all blocks that begin with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from rnnc.errors import UsageError
from rnnc.fixed import Bools, Floats, Ints
from rnnc.flags import said
from rnnc.options import Options
from rnnc.qnet import QNet, RowBlock
from rnnc.quantization.rounding import round_gptq, round_nearest
from rnnc.row_forms import pruned
from rnnc.rows import WEIGHT_MAX, Block, RealRows, Rounding, quantize_rows

JITTER = 0.08
IsWide = Callable[[str], bool]
"""Whether a block's weights are int16, by its name."""
Parts = Sequence[tuple[Floats, Floats, int, Floats | None]]
"""Rows over each operand: weights, LSBs, largest magnitude, samples (``Quantizer.round_blocks``)."""


def as_named(options: Options) -> IsWide:
    """What the options say by themselves, without looking at what a block costs."""
    return (lambda _: True) if options.weights == "16" else named(options.wide)


def named(prefixes: Sequence[str]) -> IsWide:
    """The blocks of these layers, gates and operands."""
    meant = [canonical(prefix) for prefix in prefixes]
    return lambda name: any(name == prefix or name.startswith(f"{prefix}.") for prefix in meant)


def canonical(name: str) -> str:
    """A name in which the candidate of a GRU, which many call n, is ONNX's h."""
    return re.sub(r"^([^.]+)\.n(?=\.|$)", r"\1.h", name)


def check_names(qnet: QNet, options: Options) -> None:
    """Raise UsageError where an option names a block that the network has not."""
    names = [b.name for b in qnet.blocks]
    for asked in options.wide:
        if not any(map(named([asked]), names)):
            raise UsageError(
                f"{said('wide', asked)}: the network has no such weights", hint=f"It has {', '.join(names) or 'none'}."
            )


@dataclass(eq=False)
class RowQuantizer:
    """Quantizes the rows of all ops of a network, and notes their blocks.

    Args:
        is_wide: which blocks are int16.
        jitter: seed of a random stretch of the row scales by up to 8 %, 0 for none.
        apart: rows over each operand are rounded by themselves, int16 to nearest: how else is told what one block costs?
        fine: the layers of the finer form.
    """

    is_wide: IsWide
    jitter: int = 0
    apart: bool = False
    fine: frozenset[str] = frozenset()
    seen: dict[tuple[str, int], RowBlock] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.jitter) if self.jitter else None

    @property
    def blocks(self) -> tuple[RowBlock, ...]:
        """All that were quantized, each once."""
        names = dict.fromkeys(name for name, _ in self.seen)
        groups = [[b for (n, _), b in self.seen.items() if n == name] for name in names]
        return tuple(RowBlock(g[0].name, sum(b.weights for b in g), g[0].wide) for g in groups)

    def round(
        self,
        names: Sequence[Sequence[str]],
        parts: Parts,
        target: Floats,
        bias: Floats,
        zero: float,
        group: int = 0,
    ) -> tuple[list[Block], Floats]:
        """Quantize rows over one operand or several; see ``Quantizer.round_blocks``.

        Args:
            names: for each operand the blocks of a unit's rows, in order.
            group: of an op whose rows come in groups under one name.
        """
        real = []
        for k, (of_unit, (weights, scale, top, samples)) in enumerate(zip(names, parts, strict=True)):
            mean = None if samples is None else samples.mean(0)
            wide = self._note(of_unit, weights, group)
            start = (bias, zero) if k == 0 else (np.zeros_like(bias), 0.0)
            power = None if samples is None else _power(samples / scale)
            zeros = pruned(weights, len(of_unit))
            real.append(RealRows(weights, scale, top, *start, mean, wide, zeros, power))
        stretches = [self._stretch(len(bias)) for _ in parts]
        lsbs = [None if samples is None else samples / scale for _, scale, _, samples in parts]
        rounding = _rounding(lsbs, [len(scale) for _, scale, _, _ in parts], apart=self.apart)
        blocks = quantize_rows(real, target, rounding, stretches)
        corrections = [rows.correction(block) for rows, block in zip(real, blocks, strict=True)]
        return blocks, np.asarray(sum(corrections, np.zeros_like(bias)))

    def _note(self, of_unit: Sequence[str], weights: Floats, group: int) -> Bools:
        """Which rows are int16, ``[rows]``."""
        size = weights.size // len(of_unit)
        return np.resize([self.note(name, size, group) for name in of_unit], len(weights))

    def note(self, name: str, weights: int, group: int = 0) -> bool:
        """Whether a block of so many weights is int16."""
        self.seen[name, group] = RowBlock(name, weights, self.is_wide(name))
        return self.is_wide(name)

    def _stretch(self, rows: int) -> Floats:
        return np.ones(rows) + (0 if self.random is None else self.random.uniform(0, JITTER, rows))


def _power(samples: Floats) -> float:
    """The sum of the elements' variances, of ``[n, columns]``; infinite where a recurrence lost its hold."""
    with np.errstate(over="ignore", invalid="ignore"):
        power = float(samples.var(0).sum())
    return power if np.isfinite(power) else np.inf


def _rounding(lsbs: Sequence[Floats | None], widths: Sequence[int], *, apart: bool) -> Rounding:
    """How rows over operands are rounded, given samples of each ``[n, columns]``, in LSBs."""
    known = [s for s in lsbs if s is not None]
    if len(known) < len(lsbs) or apart:
        return _each(lsbs, widths)
    steps = min(map(len, known))
    together = np.concatenate([s[:steps] for s in known], 1)
    return lambda weights, grid, most: round_gptq(weights, grid, together, most)


def _each(lsbs: Sequence[Floats | None], widths: Sequence[int]) -> Rounding:
    """The rows over each operand by themselves; to nearest where they are int16 or nothing is known."""
    cuts = np.cumsum(widths)[:-1]

    def rounding(weights: Floats, grid: Floats, most: Ints) -> Ints:
        parts = zip(lsbs, *(np.split(a, cuts, 1) for a in (weights, grid, most)), strict=True)
        return np.concatenate([_alone(*part) for part in parts], 1)

    return rounding


def _alone(samples: Floats | None, weights: Floats, grid: Floats, most: Ints) -> Ints:
    rounded = round_nearest(weights, grid, most)
    narrow = most.max(1, initial=0) == WEIGHT_MAX
    if samples is not None and narrow.any():
        rounded[narrow] = round_gptq(weights[narrow], grid[narrow], samples)
    return rounded
