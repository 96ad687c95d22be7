"""What values reach once streams have started.

A filter of raw units that starts at 0 comes from there to 101325 +- 15 Pa, and what reads it is used to the 15. Room for the
start would leave 16 bits little of what follows it for ever: values are kept within what they reach later, and rows read
extended values less their middle, where the calibration data come out nearer to the net that way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rnnc.errors import Refused
from rnnc.fixed import Floats
from rnnc.interval import Interval
from rnnc.net import Array, Feedback, Net, Op
from rnnc.ops.add import Add
from rnnc.ops.affine import Affine
from rnnc.ops.dense import Dense
from rnnc.ops.edges import Edges
from rnnc.options import Options
from rnnc.quantization.calibrate import Ranges, Sequences, later_ranges
from rnnc.quantization.centre import Carrier, middles, shifted
from rnnc.quantization.extend import MOST_WEIGHTS, derived_values, extended_values
from rnnc.quantization.heads import free_name
from rnnc.quantization.quantize import INNER_HEADROOM, quantize
from rnnc.quantization.remembered import less_offsets
from rnnc.quantization.search import Yardstick

FAR_START = 16.0
"""A value whose range is so many times what it is once a stream has started, starts far away."""
ROOMS = (4.0, 0.0), (64.0, 0.0)
"""For it, around the middle of what it reaches later, in parts of that and of its start: little, or so much that what saturates
does so as in the net."""
PADDED_ROOMS = (4.0, 0.15), (4.0, 0.075)
"""The same where padding of raw units is the start: made less in proportion, it saturates layers as in the net."""
LEAST = 1 / 64
"""Of its largest element: the room of one that hardly moves later."""
USUAL = 0.5, 0.95
"""Quantiles of the samples between which a value lies once it has settled, whatever came before."""
MOST_STEPS, MOST_SEQUENCES = 1024, 8
"""Of the calibration data, on which builds are compared."""
BESIDE = 0.9
"""Of what a sum with padding has room for: the padding's part."""
NEARER = 0.8
"""The error of the build without room for the start, at the worst channel, beside that of the other: 1 dB less."""

ENOUGH, ENOUGH_WIDE = 45.0, 60.0
"""dB at the worst channel of the usual build, beyond which no other is tried; with int16 weights everywhere."""


Room = tuple[float, float]
"""As in ``ROOMS``."""


@dataclass(frozen=True, eq=False)
class Settled:
    """A net and its ranges, and what there is to say of them."""

    net: Net
    ranges: Ranges
    notes: Sequence[str] = ()


def settle(net: Net, ranges: Ranges, calibration: Sequences | None, options: Options) -> Settled:
    """The net and ranges without room for starts where that serves the calibration data; as they are elsewhere, and without."""
    plain = Settled(net, ranges)
    if not calibration or net.window or not net.states():
        return plain
    known = less_offsets(net, ranges)
    less = Settled(*known) if known else None
    tried = [*_without_room(less, calibration), less] if less else []
    tried += _without_room(plain, calibration) if _may_start_far(net, ranges) else []
    if not tried:
        return plain
    yardstick = Yardstick(net, _shortened(calibration))
    best, least = plain, _worst(plain, yardstick, options)
    if least <= 10 ** (-_enough(options) / 10):
        return plain
    for other in tried:
        error = _worst(other, yardstick, options)
        if error < NEARER * least:
            best, least = other, error
    return best


def _without_room(base: Settled, calibration: Sequences) -> list[Settled]:
    """Builds of a net that give starts little room, or have small layers that read all bits; none where nothing starts far."""
    net, ranges = base.net, base.ranges
    later = later_ranges(net, calibration)
    starting = _starting(net, ranges, later)
    exact = _exactly(net, later, starting)
    nets = [net] if exact is net else [exact, net]
    padded = any(isinstance(op, Edges) for op in net.ops)
    rooms = [*ROOMS, *(PADDED_ROOMS if padded else ())]
    tried = [_given_room(n, ranges, later, starting, room) for n in nets for room in rooms]
    tried += [] if exact is net else [Settled(exact, ranges)]
    return tried if starting or any(other.net is not net for other in tried) else []


def _enough(options: Options) -> float:
    """SQNR at the worst channel beyond which the rounding of weights is the limit, not the room of values (dB)."""
    return max(ENOUGH_WIDE if options.weights == "16" else ENOUGH, (options.min_sqnr or 0.0) + 3)


def _given_room(net: Net, ranges: Ranges, later: Ranges, starting: Sequence[str], room: Room) -> Settled:
    """The net that reads values less their middle, with so much room for each."""
    usual = _without_starts(ranges, later, starting, room)
    return Settled(
        *_read_less(_edges_within(net, usual), usual, later, room), _said(net, starting, ranges, usual, later)
    )


def _edges_within(net: Net, ranges: Ranges) -> Net:
    """The net whose padding of raw units adds no more than the sum with it has room for."""
    sums = {op.inputs[1]: op.outputs[0] for op in net.ops if isinstance(op, Add)}

    def within(op: Op) -> Op:
        if not isinstance(op, Edges) or sums.get(op.outputs[0]) not in ranges.usual:
            return op
        return replace(op, within=BESIDE * INNER_HEADROOM * ranges.usual[sums[op.outputs[0]]])

    return replace(net, ops=tuple(map(within, net.ops)))


def _shortened(calibration: Sequences) -> Sequences:
    """The begins of the longest sequences."""
    lengths = [len(s) for s in next(iter(calibration.values()))]
    longest = np.argsort(lengths, kind="stable")[::-1][:MOST_SEQUENCES]
    return {name: [all_[i][:MOST_STEPS] for i in longest] for name, all_ in calibration.items()}


def _worst(other: Settled, yardstick: Yardstick, options: Options) -> float:
    """The error of another net in integers at the worst channel, beside its variance; infinite where it cannot be built."""
    try:
        return max(yardstick.channel_errors(quantize(other.net, other.ranges, options)), default=0.0)
    except Refused:
        return np.inf


def _exactly(net: Net, later: Ranges, starting: Sequence[str]) -> Net:
    """The net in which small layers read all bits of extended values that start or settle far away, or compute such states."""
    names = {n for n in later.lows if n in starting or middles(later.lows[n], later.highs[n]).any()}
    plain = extended_values(net)
    names |= {n for f in net.feedback if f.next in names or _starts_away(f, later) for n in (f.next, f.state.name)}
    layers = [op for op in net.ops if isinstance(op, Dense) and op.weights.size <= MOST_WEIGHTS]
    states = {f.next for f in net.feedback if f.next in names}
    small = {op.outputs[0] for op in layers if op.inputs[0] in names or states.intersection(net.passed(op.outputs[0]))}
    small -= plain
    chosen = small & extended_values(_reading_all(net, small))
    return _reading_all(net, chosen) if chosen else net


def _starts_away(feedback: Feedback, later: Ranges) -> bool:
    """Whether a state starts far outside of the range in which it is later."""
    low, high = later.lows[feedback.next], later.highs[feedback.next]
    away = np.abs(feedback.state.initial.ravel() - (low + high) / 2)
    return bool(np.any((away > FAR_START * (high - low)) & (high > low)))


def _reading_all(net: Net, outputs: Collection[str]) -> Net:
    """The net whose layers of some outputs read all bits."""
    ops = (replace(op, whole=True) if isinstance(op, Dense) and op.outputs[0] in outputs else op for op in net.ops)
    return replace(net, ops=tuple(ops))


def _said(net: Net, starting: Sequence[str], ranges: Ranges, found: Ranges, later: Ranges) -> list[str]:
    """What the user is told of the value that is kept within least of what it reaches."""
    extended = extended_values(net)
    kept = {n: (float(ranges.peaks[n].max()), float(found.usual[n].max())) for n in starting if n not in extended}
    kept = {n: (peak, INNER_HEADROOM * usual) for n, (peak, usual) in kept.items() if INNER_HEADROOM * usual < peak}
    if not kept:
        return []
    name, (peak, room) = max(kept.items(), key=lambda item: item[1][0] / item[1][1])
    later_peak = float(np.maximum(np.abs(later.lows[name]), np.abs(later.highs[name])).max())
    where = f"value {name!r} reaches {peak:.3g} where a stream starts, and about {later_peak:.3g} later"
    return [f"{where}: its format has room for {room:.3g}, so that the first answers after a reset are less accurate"]


def _may_start_far(net: Net, ranges: Ranges) -> bool:
    """Whether some value may have a start far from where it settles, or settles far from zero."""
    extended = extended_values(net) | derived_values(net) | {f.next for f in net.feedback}
    among = extended.union(_without_own_start(net))
    for name in (n for op in net.ops for n in op.outputs if n in among):
        seen = ranges.samples.get(name)
        if seen is None or not len(seen):
            continue
        low, high = np.quantile(seen, USUAL, axis=0)
        wide = ranges.highs[name] - ranges.lows[name] > FAR_START * (high - low)
        if np.any(wide & (high > low)) or (name in extended and middles(low, high).any()):
            return True
    return False


def _starting(net: Net, ranges: Ranges, later: Ranges) -> list[str]:
    """The values that start far from where they are later, and need no room for that."""
    found = []
    for name in _without_own_start(net):
        if name in later.lows:
            whole, usual = ranges.highs[name] - ranges.lows[name], later.highs[name] - later.lows[name]
            if np.any((whole > FAR_START * usual) & (usual > 0)):
                found.append(name)
    return found


def _without_own_start(net: Net) -> list[str]:
    """The values that may do without room for a start: no outputs, and no layer's own state."""
    extended = extended_values(net)
    kept = {n for o in net.outputs for n in net.passed(o.value)}
    nexts = {f.next for f in net.feedback}
    names = [n for op in net.ops if op.forgets or not op.states() for n in op.outputs]
    return [n for n in names if n in extended or not (n in kept or nexts.intersection(net.passed(n)))]


def _without_starts(ranges: Ranges, later: Ranges, starting: Sequence[str], room: Room) -> Ranges:
    """The ranges in which what starts far away has a usual peak, and samples within it."""
    found = ranges.copied()
    for name in starting:
        low, high = _around(ranges, later, name, room)
        found.usual[name] = np.maximum(np.abs(low), np.abs(high))
        if name in found.samples:
            found.samples[name] = np.clip(found.samples[name], low, high)
    return found


def _around(ranges: Ranges, later: Ranges, name: str, room: Room) -> tuple[Floats, Floats]:
    """What an element that starts far away is kept within; what another reached."""
    low, high = later.lows[name], later.highs[name]
    centre, half = (low + high) / 2, (high - low) / 2
    most = room[0] * np.maximum(half, LEAST * half.max(initial=0.0))
    most = np.maximum(most, room[1] * np.maximum(np.abs(ranges.lows[name]), np.abs(ranges.highs[name])))
    return np.maximum(ranges.lows[name], centre - most), np.minimum(ranges.highs[name], centre + most)


def _read_less(net: Net, ranges: Ranges, later: Ranges, room: Room) -> tuple[Net, Ranges]:
    """The net in which rows read what is derived from extended states, and far from zero, less its middle."""
    extended = extended_values(net)
    names = [n for n in extended | derived_values(net) if n in later.lows]
    offsets = {n: middles(later.lows[n], later.highs[n]) for n in names}
    offsets = {n: offset for n, offset in offsets.items() if offset.any()}
    takes = _takers(net, extended, offsets)
    if not takes:
        return net, ranges
    carrier = Carrier(net, {n: v.shape for n, v in net.values.items()}, {})
    source: dict[str, str] = {}
    for op in net.ops:
        read = [n for n in op.inputs if n in offsets] if op in takes else []
        for name in read:
            if f"{name}.less" in carrier.less:
                continue
            fresh, shape = f"{name}.less", net.values[name].shape
            ones, offset = np.ones(shape), offsets[name].reshape(shape)
            kind = free_name("affine", (*net.ops, *carrier.ops))
            carrier.ops.append(Affine(kind, (name,), (fresh,), ones, -offset, operand=shape, shape=shape))
            carrier.less[fresh], carrier.shapes[fresh], source[fresh] = offsets[name], shape, name
        carrier.add(replace(op, inputs=tuple(f"{n}.less" if n in read else n for n in op.inputs)))
    return carrier.finished(net.feedback), shifted(_named(ranges, source, later, room), carrier.less, {})


def _named(ranges: Ranges, source: Mapping[str, str], later: Ranges, room: Room) -> Ranges:
    """The ranges with those of values under other names as well; what is far from zero has none that is usual."""
    found = ranges.copied()
    for fresh, name in source.items():
        found.also(fresh, name)
        low, high = _around(ranges, later, name, room)
        found.lows[fresh], found.highs[fresh] = low, high
        found.bounds[fresh] = Interval(
            *(np.clip(side, low, high) for side in (ranges.bounds[name].lo, ranges.bounds[name].hi))
        )
        if fresh in found.samples:
            found.samples[fresh] = np.clip(found.samples[fresh], low, high)
        found.usual.pop(fresh, None)
    return found


def _takers(net: Net, extended: set[str], offsets: Mapping[str, Array]) -> list[Op]:
    """The ops that read such values and take their offsets, or pass them on to ops that do."""
    shown = {o.value for o in net.outputs} | {f.next for f in net.feedback}

    def takes(op: Op) -> bool:
        if extended.intersection(op.outputs):
            return False
        nothing = [np.zeros(net.values[n].size) for n in op.inputs]
        if op.less(nothing) is None:
            return False
        if any(op.column_weights(i) is not None for i in range(len(op.inputs))):
            return True
        readers = [r for r, _ in net.readers(op.outputs[0])]
        if offsets.keys() & set(op.outputs):  # its readers take the offset, once
            return False
        return op.kind == "layout" and not shown.intersection(op.outputs) and bool(readers) and all(map(takes, readers))

    return [op for op in net.ops if set(op.inputs).intersection(offsets) and takes(op)]
