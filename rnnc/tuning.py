"""How wide weights and operands should be: each choice's accuracy against what it costs, and the choice that budgets leave.

Weights are int8, int16, or int16 in the blocks that make most error a byte, up to some share of flash; operands of layers are
of 16 or 8 bits. Operands are tried layer by layer with the weights of a default build, and all together with other weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from rnnc.backend.lower import lower
from rnnc.compiler import Compilation, compile_stages
from rnnc.data import Source, read_data
from rnnc.errors import Refused
from rnnc.fixed import Floats
from rnnc.options import Options, Precision, ProgressCallback, check_limits, no_progress
from rnnc.package import input_frames
from rnnc.qnet import QNet
from rnnc.quantization.calibrate import Sequences
from rnnc.quantization.quantize import quantize
from rnnc.quantization.survey import survey
from rnnc.quantization.wide_rows import named
from rnnc.streams import run_net
from rnnc.verification.attribution import excerpts
from rnnc.verification.batches import batches, by_sequence
from rnnc.verification.bench import bench, board_of
from rnnc.verification.emulator import missing_tools
from rnnc.verification.golden import golden
from rnnc.verification.host import run_oracle
from rnnc.verification.metrics import sqnr_db
from rnnc.verification.verify import real_outputs

STEPS = 2048
MOST_EXHAUSTIVE = 4
"""With so many layers to choose for, every combination is tried; with more, they go to a8 one by one, the cheapest first."""
CLOSE = 1.0
"""dB that the proposal may lose to the most accurate choice of no more flash where no budget says how much."""
SHARES = (0.2, 0.4, 0.7)
"""Of the bytes of int8 weights: what int16 blocks may add, beside none, what a default build adds, and all."""
PAYS = 0.97
"""8-bit operands pay where a step takes at most this part of the instructions."""
PER_MAC = {
    "cortex-m55": (0.35, 0.2),
    "cortex-m4": (1.1, 1.0),
    "cortex-m7": (1.1, 1.0),
    "cortex-m33": (1.1, 1.0),
    "cortex-m3": (2.4, 2.4),
    "cortex-m0": (4.0, 4.0),
    "rv32imc": (4.0, 4.0),
    "xtensa": (4.0, 4.0),
    "aarch64": (0.3, 0.15),
    "avr": (14.0, 11.0),
}
"""Instructions of a multiply-accumulate with 16-bit and with 8-bit operands, about, where there is no emulator to count."""
PORTABLE = (4.0, 4.0)


@dataclass(frozen=True)
class Candidate:
    """One choice.

    Args:
        a8: the layers whose operands have 8 bits.
        sqnr_db: at the worst output.
        flash, ram: bytes.
        instructions: of a step.
        weights: "8", "auto" (those of a default build), "16", or "+20%" and the like: of the bytes of int8 weights.
        wide: the blocks of int16 weights, or layers and gates all of whose blocks are.
    """

    a8: tuple[str, ...]
    sqnr_db: float
    flash: int
    ram: int
    instructions: int
    weights: str = "auto"
    wide: tuple[str, ...] = ()

    def beats(self, other: Candidate) -> bool:
        """Whether it is nowhere worse, and somewhere better."""
        mine, theirs = self._costs(), other._costs()
        return all(a <= b for a, b in zip(mine, theirs, strict=True)) and mine != theirs

    def _costs(self) -> tuple[float, int, int, int]:
        return -self.sqnr_db, self.instructions, self.flash, self.ram


@dataclass(frozen=True)
class Tuning:
    """All choices that were tried, and the one proposed: None where none keeps to the budgets.

    Args:
        layers: the layers for which operands of 8 bits are a choice.
        target: where instructions count.
        counted: they were counted in an emulator; else estimated from the multiply-accumulates.
    """

    layers: tuple[str, ...]
    target: str
    counted: bool
    candidates: tuple[Candidate, ...]
    proposed: Candidate | None

    @property
    def front(self) -> tuple[Candidate, ...]:
        """The choices that no other beats, the most accurate first."""
        best = [c for c in self.candidates if not any(o.beats(c) for o in self.candidates)]
        return tuple(sorted(best, key=lambda c: -c.sqnr_db))

    @property
    def operands(self) -> tuple[Candidate, Candidate] | None:
        """All operands in 16 bits, and in 8, with the same weights, where that is a choice."""
        usual = self.candidates[0].weights
        alike = [c for c in self.candidates if c.weights == usual and set(c.a8) in (set(), set(self.layers))]
        if not self.layers or len(alike) != 2:
            return None
        a16, a8 = sorted(alike, key=lambda c: len(c.a8))
        return a16, a8

    @property
    def a8_pays(self) -> bool | None:
        """Whether operands of 8 bits save instructions worth a loss; None where they are no choice."""
        if self.operands is None:
            return None
        a16, a8 = self.operands
        return a8.instructions <= PAYS * a16.instructions


def tune(
    source: str | Path | bytes,
    calibration: Source,
    options: Options,
    *,
    test: Source | None = None,
    flash: int | None = None,
    instructions: int | None = None,
    progress: ProgressCallback = no_progress,
) -> Tuning:
    """Try weights of several widths, and operands of 16 and 8 bits layer by layer.

    Args:
        test: data to measure accuracy on; else the calibration's.
        flash: the most bytes of constants (and of code, where that was measured).
        instructions: the most of one step.

    Raises a subclass of RnncError.
    """
    check_limits(flash=flash, instructions=instructions)
    compilation = compile_stages(source, calibration, replace(options, precision="a16", layer_precision={}, search=0))
    data = (
        compilation.data if test is None else read_data(test, input_frames(compilation.graph, compilation.net, options))
    )
    tuner = _Tuner(compilation, options, data.sequences, progress)
    layers, candidates = tuner.run()
    fitting = within(candidates, flash, instructions)
    budgeted = flash is not None or instructions is not None
    return Tuning(layers, options.target, tuner.counts, candidates, _proposed(fitting, budgeted))


def within(candidates: Sequence[Candidate], flash: int | None, instructions: int | None) -> list[Candidate]:
    """Those that keep to the budgets."""
    most_flash = np.inf if flash is None else flash
    most_instructions = np.inf if instructions is None else instructions
    return [c for c in candidates if c.flash <= most_flash and c.instructions <= most_instructions]


def _proposed(fitting: Sequence[Candidate], budgeted: bool) -> Candidate | None:
    """The most accurate within the budgets; without any, the cheapest that is about as accurate as the flash of the default
    build allows."""
    if not fitting:
        return None
    if not budgeted:
        usual = max(c.flash for c in fitting if c.weights == fitting[0].weights)
        fitting = [c for c in fitting if c.flash <= usual]
    most = max(c.sqnr_db for c in fitting)
    if budgeted:
        return min((c for c in fitting if c.sqnr_db == most), key=lambda c: (c.instructions, c.flash))
    return min((c for c in fitting if c.sqnr_db >= most - CLOSE), key=lambda c: (c.instructions, c.ram, -c.sqnr_db))


class _Tuner:
    def __init__(
        self, compilation: Compilation, options: Options, sequences: Sequences, progress: ProgressCallback
    ) -> None:
        self.compilation, self.options, self.progress = compilation, options, progress
        self.groups = batches(excerpts(sequences, compilation.net, STEPS).sequences, compilation.net)
        self.reference = by_sequence(compilation.net, [(b, run_net(compilation.net, b.inputs)) for b in self.groups])
        self.counts = not missing_tools(board_of(options.target))
        self.done, self.total = 0, len(compilation.qnet.net.ops) + 2
        self.usual = tuple(b.name for b in compilation.qnet.blocks if b.wide)

    def run(self) -> tuple[tuple[str, ...], tuple[Candidate, ...]]:
        """The layers whose operands may have 8 bits, and all choices."""
        base = self._qnet((), self.usual)
        outputs = self._outputs(base)
        singles: dict[str, tuple[QNet, Mapping[str, list[Floats]]]] = {}
        for op in self.compilation.qnet.net.ops:
            changed = self._qnet((op.name,), self.usual)
            got = self._outputs(changed)
            if any(not np.array_equal(a, b) for n in got for a, b in zip(got[n], outputs[n], strict=True)):
                singles[op.name] = changed, got
            self._tell()
        losses = {name: self._sqnr(got) for name, (_, got) in singles.items()}
        nested = _choices(sorted(losses, key=lambda name: -losses[name]))
        every = tuple(losses)
        choices: list[tuple[tuple[str, ...], str, tuple[str, ...]]]
        choices = [(a8, self.options.weights, self.usual) for a8 in nested]
        for label, wide in self._widths().items():
            choices += [(a8, label, wide) for a8 in ((), every)[: 1 + bool(every)]]
        self.total = self.done + len(choices)
        found = tuple(self._candidate(*choice) for choice in choices)
        return every, found

    def _widths(self) -> dict[str, tuple[str, ...]]:
        """Blocks of int16 weights that are worth trying beside those of a default build, by what they are called."""
        asked = self.options.weights
        if asked != "auto":
            return {}
        compilation, blocks = self.compilation, self.compilation.qnet.blocks
        options = replace(self.options, precision="a16", layer_precision={})
        costs = survey(compilation.qnet, compilation.ranges, options, compilation.data.sequences)
        always = tuple(filter(named(options.wide), (b.name for b in blocks)))
        ranked = sorted((c for c in costs if c.name not in always), key=lambda c: -c.error / c.block.weights)
        narrow = self._weights_bytes(always)
        found = {"8": always, "16": tuple(b.name for b in blocks)}
        for share in SHARES:
            taken, left = list(always), share * narrow
            for c in ranked:
                if c.block.weights <= left:
                    taken.append(c.name)
                    left -= c.block.weights
            found[f"+{share:.0%}"] = tuple(taken)
        tried = {frozenset(self.usual)}
        different = {}
        for label, wide in found.items():
            if frozenset(wide) not in tried and self._possible(wide):
                different[label] = wide
            tried.add(frozenset(wide))
        return different

    def _weights_bytes(self, wide: tuple[str, ...]) -> int:
        return lower(self._qnet((), wide), "portable").cost.flash_weights

    def _possible(self, wide: tuple[str, ...]) -> bool:
        try:
            return self._weights_bytes(wide) > 0
        except Refused:  # a row that 16 bits or the target cannot hold
            return False

    def _qnet(self, a8: tuple[str, ...], wide: tuple[str, ...]) -> QNet:
        precision: dict[str, Precision] = dict.fromkeys(a8, "a8")
        options = replace(self.options, precision="a16", layer_precision=precision)
        compilation, names = self.compilation, frozenset(wide)
        return quantize(compilation.qnet.net, compilation.ranges, options, is_wide=names.__contains__)

    def _outputs(self, qnet: QNet) -> dict[str, list[Floats]]:
        return real_outputs(qnet, [(b, run_oracle(qnet, b).outputs) for b in self.groups])

    def _sqnr(self, got: Mapping[str, list[Floats]]) -> float:
        net = self.compilation.net
        names = [o.name for o in net.outputs if net.values[o.value].dtype != "index"]
        found = [sqnr_db(np.concatenate(self.reference[n]), np.concatenate(got[n])) for n in names]
        return min((db for db in found if db is not None), default=0.0)

    def _candidate(self, a8: tuple[str, ...], weights: str, wide: tuple[str, ...]) -> Candidate:
        qnet = self._qnet(a8, wide)
        sqnr = self._sqnr(self._outputs(qnet))
        cost = lower(qnet, self.options.target).cost
        flash, ram = cost.flash_weights + cost.flash_tables, cost.ram_state + cost.ram_scratch
        count = estimated(qnet, self.options.target)
        if self.counts:
            vectors = golden(qnet, self.compilation.data.sequences)
            (measured,) = bench(qnet, "tuned", vectors, [self.options.target], lambda _: None)
            flash += measured["flash_code"]
            count = measured["median"]
        self._tell()
        return Candidate(a8, sqnr, flash, ram, count, weights, _shortest(wide, [b.name for b in qnet.blocks]))

    def _tell(self) -> None:
        self.done += 1
        self.progress(self.done, self.total)


def _shortest(wide: Sequence[str], blocks: Sequence[str]) -> tuple[str, ...]:
    """Some of a network's blocks by as few names as can be: a layer's, a gate's, or their own."""
    left, found = list(wide), list[str]()
    prefixes = {".".join(name.split(".")[:n]) for name in wide for n in (1, 2, 3)}
    for prefix in sorted(prefixes, key=lambda p: (p.count("."), p)):
        under = [b for b in blocks if named([prefix])(b)]
        if set(under) <= set(left):
            found.append(prefix)
            left = [b for b in left if b not in under]
    return tuple(found)


def _choices(layers: Sequence[str]) -> list[tuple[str, ...]]:
    """Sets of layers to put in a8: all of them where they are few, else one more at a time, in the order given."""
    if len(layers) <= MOST_EXHAUSTIVE:
        return [c for n in range(len(layers) + 1) for c in combinations(layers, n)]
    return [tuple(layers[:n]) for n in range(len(layers) + 1)] + [(name,) for name in layers[1:]]


def estimated(qnet: QNet, target: str) -> int:
    """Instructions of a step, about: what the multiply-accumulates take; functions and states are not in it."""
    wide, narrow = PER_MAC.get(target, PORTABLE)
    total = 0.0
    for op in qnet.ops:
        bits = max(qnet.formats[name].bits for name in op.inputs) if op.inputs else 16
        operands = [s.format.bits for s in op.states() if s.follows] or [bits]
        total += sum(call.macs for call in op.calls()) * (narrow if min(operands) == 8 else wide)
    return round(total)
