"""The same network with other widths of weights and operands, beside the build: what each takes, and how near it comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from rnnc.backend.identity import model_id
from rnnc.backend.lower import lower
from rnnc.backend.program import Program
from rnnc.errors import Refused
from rnnc.fixed import Floats
from rnnc.net import Net
from rnnc.options import Options, Precision
from rnnc.qnet import QNet
from rnnc.quantization.calibrate import Ranges, Sequences
from rnnc.quantization.quantize import quantize
from rnnc.quantization.wide_rows import IsWide, named
from rnnc.streams import run_net, run_qnet
from rnnc.verification.attribution import LANES, Excerpts, excerpts
from rnnc.verification.batches import batches, by_sequence
from rnnc.verification.host import quantized
from rnnc.verification.metrics import sqnr_db
from rnnc.verification.verify import real_outputs

OP_STEPS, MACS, FEWEST = 1000, 5e8, 24
"""How often the ops of all builds may step, and multiply, in passing: a fraction of a second; the fewest steps of a lane that
say something."""
MOST_WEIGHTS = 1 << 17
"""Of a network whose alternatives are measured in passing: rounding the weights of each takes a fraction of a second."""
BUILDS = 5
"""The most runs over the data: the network in float64, the build, and three others."""


@dataclass(frozen=True)
class Alternative:
    """One way to build a network.

    Args:
        flag: what asks for it on the command line; "" of the build itself.
        sqnr_db: at the worst output, against the network in float64; None where no output varies.
        flash: bytes of weights and tables, as packed for the target.
        ram: bytes of state and scratch.
    """

    flag: str
    sqnr_db: float | None
    flash: int
    ram: int


@dataclass(frozen=True)
class Alternatives:
    """The build and its alternatives, measured over the same steps."""

    steps: int
    builds: tuple[Alternative, ...]


def alternatives(program: Program, options: Options, ranges: Ranges, sequences: Sequences) -> Alternatives | None:
    """Measure the build, operands of the other width, and all weights in int8 and in int16, where these differ from it.

    Returns None where that is no small part of a compilation, and where there is no alternative.
    """
    qnet = program.qnet
    steps = _steps(qnet)
    if steps < FEWEST or sum(b.weights for b in qnet.blocks) > MOST_WEIGHTS:
        return None
    others = [
        b for flag, changed, wide in _others(qnet, options) if (b := _built(program, flag, changed, ranges, wide))
    ]
    if not others:
        return None
    compared = _Compared(qnet.net, excerpts(sequences, qnet.net, steps))
    builds = tuple(compared.measured(flag, built) for flag, built in (("", program), *others))
    return Alternatives(sum(b - a for _, a, b in compared.chosen.stretches), builds)


def _steps(qnet: QNet) -> int:
    """How many steps of each lane cost little."""
    macs = sum(call.macs for op in qnet.ops for call in op.calls())
    return min(OP_STEPS // (BUILDS * max(len(qnet.net.ops), 1)), int(MACS / (BUILDS * LANES * max(macs, 1))))


def _others(qnet: QNet, options: Options) -> Iterator[tuple[str, Options, IsWide]]:
    """The flag of each alternative, its options, and which of its blocks are int16."""
    wide = frozenset(b.name for b in qnet.blocks if b.wide)
    always = frozenset(b.name for b in qnet.blocks if named(options.wide)(b.name))
    every = frozenset(b.name for b in qnet.blocks)
    other: Precision = "a8" if options.precision == "a16" else "a16"
    yield f"--precision {other}", replace(options, precision=other, layer_precision={}), wide.__contains__
    for bits, asked in (("8", always), ("16", every)):
        if asked != wide:
            yield f"--weights {bits}", options, asked.__contains__


def _built(program: Program, flag: str, options: Options, ranges: Ranges, wide: IsWide) -> tuple[str, Program] | None:
    """The flag and the build; None where it cannot be, where the target cannot hold it, and where it is the same."""
    try:
        qnet = quantize(program.qnet.net, ranges, options, is_wide=wide)
        built = lower(qnet, program.target.name)
    except Refused:
        return None
    return None if model_id(qnet) == model_id(program.qnet) else (flag, built)


class _Compared:
    """What the network in float64 gives on pieces of the data, for builds to be held against."""

    def __init__(self, net: Net, chosen: Excerpts) -> None:
        self.net, self.chosen = net, chosen
        self.groups = batches(chosen.sequences, net)
        self.names = [o.name for o in net.outputs if net.values[o.value].dtype != "index"]
        self.wanted = self._kept(by_sequence(net, [(b, run_net(net, b.inputs)) for b in self.groups]))

    def measured(self, flag: str, built: Program) -> Alternative:
        """A build's figures."""
        qnet, cost = built.qnet, built.cost
        got = self._kept(real_outputs(qnet, [(b, run_qnet(qnet, quantized(qnet, b))) for b in self.groups]))
        figures = [sqnr_db(self.wanted[name], got[name]) for name in self.names]
        worst = min((db for db in figures if db is not None), default=None)
        return Alternative(flag, worst, cost.flash_weights + cost.flash_tables, cost.ram_state + cost.ram_scratch)

    def _kept(self, results: Mapping[str, list[Floats]]) -> dict[str, Floats]:
        """``[ticks, size]`` of each output, without the first steps of pieces, which serve to reach a state."""
        skips, kept = self.chosen.skips, {}
        for o in self.net.outputs:
            pieces = zip(results[o.name], skips, strict=True)
            kept[o.name] = np.concatenate([y[self.net.ticks(o, skip) if skip else 0 :] for y, skip in pieces])
        return kept
