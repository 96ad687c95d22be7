"""What each block of weights costs in int8: how far the outputs move when it alone goes from int16 to int8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rnnc.errors import Refused
from rnnc.fixed import Bools, Floats, OverflowInOracle
from rnnc.net import Array, Net, Op, Output
from rnnc.options import Options, ProgressCallback, no_progress
from rnnc.qnet import QNet, RowBlock
from rnnc.quantization.calibrate import Ranges, Sequences, lanes_of, padded_far
from rnnc.quantization.quantize import requantized
from rnnc.quantization.wide_rows import RowQuantizer
from rnnc.streams import run_net

LANES = 16
"""Pieces of the data that run side by side."""
PIECE = 4096
"""Steps of the pieces that stand for sequences of very unlike lengths."""
DRAWS, ENOUGH = 4, 1 << 14
"""Roundings of a block, with jittered row scales, whose errors are averaged, since one of them may be lucky by 10 dB; fewer
where so many weights average it out."""
OP_STEPS, MACS = 4_000, 1e9
"""How often ops with a state may step in all runs, and what they may multiply: less than a second."""
MOST_OP_STEPS = 250_000
"""How often ops between fed-back states may step in all runs: about half a minute. What it does not hold is not tried."""
LOST = 1e12
UNKNOWN = 1e-30
"""The error of a block that was not tried."""
FEWEST, MOST = 32, 2048
"""Steps of a piece."""


@dataclass(frozen=True, eq=False)
class BlockCost:
    """A block, and the error at each output that it makes by being int8: mean square over the output's variance.

    Of one that was not ``tried`` it is not known; it is as if it were next to nothing.
    """

    block: RowBlock
    errors: Mapping[str, float]
    tried: bool = True

    @property
    def name(self) -> str:
        """Of the block."""
        return self.block.name

    @property
    def error(self) -> float:
        """At all outputs together."""
        return sum(self.errors.values())

    @property
    def db(self) -> float | None:
        """SQNR at the worst output if nothing else made an error; None where it makes none."""
        worst = max(self.errors.values(), default=0.0)
        return -10 * float(np.log10(worst)) if worst > 0 and self.tried else None


def survey(
    qnet: QNet,
    ranges: Ranges,
    options: Options,
    sequences: Sequences,
    effort: float = 1.0,
    progress: ProgressCallback = no_progress,
    most: float = np.inf,
) -> list[BlockCost]:
    """What each block of at most ``most`` weights costs, on pieces of the sequences: it alone in int8, all others in int16.

    ``effort``: so many times the seconds that a build takes by default.

    Rows over each operand are rounded by themselves: what another operand would absorb depends on how wide that is.
    """
    net = replace(qnet.net, hop=0)
    blocks = {b.name: b for b in qnet.blocks if b.weights <= most}
    draws = {name: int(np.clip(ENOUGH // max(b.weights, 1), 1, DRAWS)) for name, b in blocks.items()}
    layers = [op for op in net.ops if any(b.name.split(".")[0] == op.name for b in qnet.blocks)]
    steps = _steps(qnet, (sum(draws.values()) + 1) / effort)
    draws = _affordable(net, blocks, draws, effort * MOST_OP_STEPS / steps)
    inputs, lengths = lanes_of(net, pieces(net, sequences, steps))
    wide = {op.name: _rounded(qnet, ranges, options, op, "", 0) for op in layers}
    base = run_changed(net, wide, inputs)
    valid = {o.name: within(net, o, len(base[o.name]), lengths) for o in _compared(net)}
    power = {name: mean_square(base[name][v] - base[name][v].mean(0)) + 1e-30 for name, v in valid.items() if v.any()}
    valid = {name: valid[name] for name in power}
    found = []
    for k, (name, block) in enumerate(blocks.items()):
        if name not in draws:
            found.append(BlockCost(block, dict.fromkeys(valid, UNKNOWN), tried=False))
            continue
        op = next(op for op in layers if op.name == name.split(".")[0])
        errors: dict[str, float] = dict.fromkeys(valid, 0.0)
        for jitter in range(1, draws[name] + 1):
            got = run_changed(net, wide | {op.name: _rounded(qnet, ranges, options, op, name, jitter)}, inputs)
            for o, v in valid.items():
                errors[o] += mean_square(got[o][v] - base[o][v]) / power[o] / draws[name]
        found.append(BlockCost(block, errors))
        progress(k + 1, len(blocks))
    return found


def _affordable(net: Net, blocks: Mapping[str, RowBlock], draws: dict[str, int], most: float) -> dict[str, int]:
    """How often each block is rounded; where that is too often for ops that run step by step, once, and the smallest alone."""
    loop = _between_states(net)
    if sum(draws.values()) * loop <= most:
        return draws
    smallest = sorted(blocks, key=lambda name: blocks[name].weights)
    return dict.fromkeys(smallest[: max(1, int(most / loop))], 1)


def _between_states(net: Net) -> int:
    """How many ops follow from a fed-back state and lead to one, or to another."""
    reached, needed = {f.state.name for f in net.feedback}, {f.next for f in net.feedback}
    for op in net.ops:
        if reached.intersection(op.inputs):
            reached.update(op.outputs)
    count = 0
    for op in reversed(net.ops):
        if needed.intersection(op.outputs):
            needed.update(op.inputs)
            count += bool(reached.intersection(op.outputs))
    return count


def _rounded(qnet: QNet, ranges: Ranges, options: Options, op: Op, narrow: str, jitter: int) -> Op:
    """The op with all its weights in int16 but the block ``narrow``, in real numbers."""
    rows = RowQuantizer(lambda name: name != narrow, jitter, apart=True)
    try:
        return requantized(qnet, ranges, options, op.name, rows).dequantized()
    except (Refused, OverflowInOracle):  # of rows that the net is not built with
        return op


def run_changed(net: Net, replaced: Mapping[str, Op], inputs: Mapping[str, Array]) -> dict[str, Array]:
    """``run_net`` with some ops replaced, by name; a recurrence may lose its hold, without a warning."""
    with np.errstate(over="ignore", invalid="ignore"):
        return run_net(replace(net, ops=tuple(replaced.get(op.name, op) for op in net.ops)), inputs)


def _compared(net: Net) -> list[Output]:
    return [o for o in net.outputs if net.values[o.value].dtype != "index"]


def mean_square(error: Floats) -> float:
    """Of all channels together, bounded where a recurrence has lost its hold."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float((error.reshape(len(error), -1) ** 2).sum(1).mean())
    return mean if mean < LOST else LOST


def _steps(qnet: QNet, runs: float) -> int:
    """How many steps of each lane cost no more than a second or two."""
    macs = sum(call.macs for op in qnet.ops for call in op.calls())
    stateful = sum(1 for op in qnet.net.ops if op.states())
    most = min(OP_STEPS / (runs * max(stateful, 1)), MACS / (runs * LANES * max(macs, 1)))
    first = max(v.clock.phase + 8 * v.clock.rate for v in qnet.net.values.values())
    return int(np.clip(most, max(FEWEST, first), max(MOST, first)))


def pieces(net: Net, sequences: Sequences, steps: int) -> Sequences:
    """At most ``LANES`` pieces of at most ``steps`` steps, evenly spaced over all; windows are whole."""
    step = max(net.window, steps - steps % net.window) if net.window else steps
    lengths = [len(s) for s in next(iter(sequences.values()))]
    cuts = [(i, t) for i, length in enumerate(lengths) for t in range(0, max(length - step // 2, 1), step)]
    chosen = [cuts[k] for k in np.unique(np.linspace(0, len(cuts) - 1, min(len(cuts), LANES)).round().astype(int))]
    return {name: [all_[i][t : t + step] for i, t in chosen] for name, all_ in sequences.items()}


def alike(net: Net, sequences: Sequences) -> Sequences:
    """The sequences, or pieces of them where they would be padded far to run side by side."""
    return pieces(net, sequences, PIECE) if padded_far(sequences) else sequences


def within(net: Net, output: Output, ticks: int, lengths: Sequence[int] | Array) -> Bools:
    """Which ticks of an output come before each lane's end, of whole windows where there are any: ``[ticks, lanes]``."""
    if net.window:
        counts = np.array([net.ticks(output, int(n)) for n in lengths])
        return np.asarray(np.arange(ticks)[:, None] < counts[None, :])
    clock = net.values[output.value].clock
    at = clock.phase + clock.rate * np.arange(ticks)
    return np.asarray(at[:, None] < np.asarray(lengths)[None, :])
