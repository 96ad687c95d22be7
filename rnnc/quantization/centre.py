"""Offsets at the network's edge: what lies far from zero is read less its middle, so that 16 bits hold what varies.

An offset goes into the bias of whatever reads the input (``Op.less``); an op that cannot take it reads a copy. An output's
goes into the bias of what computes it, and comes back as the offset of the output's format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rnnc.fixed import Floats
from rnnc.interval import Interval
from rnnc.net import Array, Feedback, Net, Op, Value
from rnnc.ops.affine import Affine, TakesAffine
from rnnc.ops.conv import Conv
from rnnc.ops.edges import split_padding
from rnnc.ops.offset import Offset
from rnnc.options import Options
from rnnc.quantization.calibrate import Ranges
from rnnc.quantization.channels import by_channel, channels_of
from rnnc.quantization.heads import class_scores, free_name, shown

FAR, NEAR = 4.0, 0.25
"""A channel whose middle is so many times further from zero than its ends are from the middle has an offset of its own; of
inputs that have one such channel, all whose middle is as far as ``NEAR`` says."""
FAR_FROM_PADDING = 64.0
"""A channel that is so many times further from zero than it moves keeps fewer than 9 of 16 bits beside padding."""
ZERO_POINT_MAX = 2.0**16
"""The most LSBs from zero that a zero point says."""


def centre_inputs(net: Net, calibration: Mapping[str, Sequence[Array]] | None, options: Options) -> Net:
    """The net with each input that has an offset read less it; the others, and their order, stay."""
    for value in net.inputs:
        if value.dtype == "index" or value.name in options.input_format:
            continue
        offset = _input_offset(value, calibration, options)
        if offset.any():
            net = _without(net, value, offset, options, far=_is_far(value, offset, calibration, options))
    return net


def _is_far(value: Value, offset: Floats, calibration: Mapping[str, Sequence[Array]] | None, options: Options) -> bool:
    """Whether a channel moves so little about its offset that beside 0 it would have few of 16 bits."""
    half = np.zeros(value.size)
    if value.name in options.input_affine:
        half = 32768 * by_channel("--input-affine", value, options.input_affine[value.name][0])
    elif value.name in options.input_range:
        half = by_channel("--input-range", value, options.input_range[value.name][1]) - offset
    elif calibration is not None:
        half = np.max([np.abs(s.reshape(len(s), -1) - offset).max(0) for s in calibration[value.name] if len(s)], 0)
    return bool(np.any(np.abs(offset) > FAR_FROM_PADDING * np.abs(half)))


def _input_offset(value: Value, calibration: Mapping[str, Sequence[Array]] | None, options: Options) -> Floats:
    """``[elements]``."""
    if value.name in options.input_affine:
        return by_channel("--input-affine", value, options.input_affine[value.name][1])
    if value.name in options.input_range:
        low, high = (by_channel("--input-range", value, end) for end in options.input_range[value.name])
    elif calibration is not None:
        seen = [s.reshape(len(s), -1) for s in calibration[value.name] if len(s)]
        low, high = np.min([s.min(0) for s in seen], 0), np.max([s.max(0) for s in seen], 0)
    else:
        return np.zeros(value.size)
    if not np.all(np.isfinite([low, high])):  # said where it is run
        return np.zeros(value.size)
    return middles(*channels_of(value.shape, 0, low, high))


def middles(low: Floats, high: Floats) -> Floats:
    """The offsets of channels that are within ``low..high``, all 0 where none is far from zero."""
    centre, half = _centre_and_half(low, high)
    with np.errstate(over="ignore"):
        far = np.any(np.abs(centre) > FAR * np.where(half > 0, half, half.max()))
    return middle(low, high, NEAR) if far else np.zeros(low.size)


def _centre_and_half(low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Of ranges of finite ends, finite; NaN or infinite of others."""
    with np.errstate(invalid="ignore"):
        return low / 2 + high / 2, high / 2 - low / 2


def middle(low: Floats, high: Floats, least: float = FAR) -> Floats:
    """The offset of channels that are within ``low..high``: a short number near their middle.

    It is 0 where the middle is not further from zero than ``least`` times half of the range, and where no float32 holds it.
    """
    centre, half = _centre_and_half(np.asarray(low, np.float64), np.asarray(high, np.float64))
    with np.errstate(over="ignore", invalid="ignore"):
        step = 10.0 ** np.floor(np.log10(np.maximum(half / 8, np.abs(centre) * 1e-7 + 1e-30)))
        short = np.where(half > 0, np.round(centre / step) * step, centre).astype(np.float32).astype(np.float64)
        return np.where(np.isfinite(short) & (np.abs(centre) > least * half), short, 0.0)


@dataclass
class Carrier:
    """The ops of a net, rewritten one after the other, with what each value is less.

    Args:
        shapes: of all values.
        less: what values are less, by name, ``[elements]``.
        zero_lsb: of each value that ops which cannot fold its offset may read with a zero point, the LSB.
        folded: whether something but copies came of it.
        far: whether 16 bits hold little of what varies where they have to hold 0 as well.
    """

    net: Net
    shapes: dict[str, tuple[int, ...]]
    less: dict[str, Floats]
    ops: list[Op] = field(default_factory=list)
    zero_lsb: dict[str, float] = field(default_factory=dict)
    folded: bool = False
    far: bool = False
    restored: dict[tuple[str, bool], str] = field(default_factory=dict)

    def add(self, op: Op) -> None:
        """The op over what its inputs are now."""
        if not any(name in self.less for name in op.inputs):
            self.ops.append(op)
            return
        offsets = [self.less.get(name, np.zeros(int(np.prod(self.shapes[name])))) for name in op.inputs]
        found = op.less(offsets)
        if found is None:
            parts = self._apart(op, offsets[0]) if isinstance(op, Conv) and self.far else None
            self.folded |= parts is not None
            self.ops += parts or [replace(op, inputs=tuple(self.restore(name) for name in op.inputs))]
            return
        changed, left = found
        self.ops.append(changed)
        self.folded |= changed is not op
        if left is not None:
            self.less[op.outputs[0]] = np.asarray(left, np.float64).ravel()

    def _apart(self, conv: Conv, offset: Floats) -> list[Op] | None:
        """A padded convolution with what its padding is, less the offset, added at the edges."""
        names = [self._free(kind) for kind in ("edges", "add", "clip", "affine")]
        parts = split_padding(conv, offset, names)
        for op in parts or ():
            self.shapes.update(dict.fromkeys(op.outputs, conv.shape))
        return parts

    def restore(self, name: str, *, at_edge: bool = False) -> str:
        """The value as it was: of an output a format with an offset, for an op a zero point or a copy."""
        key = name, at_edge
        if name not in self.less:
            return name
        self.folded |= at_edge
        if key not in self.restored:
            shape, offset, lsb = self.shapes[name], self.less[name], self.zero_lsb.get(name, 0.0)
            by_zero = bool(np.all(offset == offset[0])) and abs(offset[0]) < ZERO_POINT_MAX * lsb and not at_edge
            fresh, offset = f"{name}.{'edge' if at_edge else 'whole'}", offset.reshape(shape)
            if at_edge or by_zero:
                op: Op = Offset(self._free("offset"), (name,), (fresh,), offset=offset, by_zero=by_zero)
            else:
                ones = np.ones(shape)
                op = Affine(self._free("affine"), (name,), (fresh,), ones, offset, operand=shape, shape=shape)
            self.ops.append(op)
            self.restored[key] = fresh
        return self.restored[key]

    def _free(self, kind: str) -> str:
        return free_name(kind, (*self.net.ops, *self.ops))

    def finished(self, feedback: Sequence[Feedback]) -> Net:
        """The net, its outputs and fed-back states as they were."""
        restored = tuple(replace(f, next=self.restore(f.next)) for f in feedback)
        outputs = tuple(replace(o, value=self.restore(o.value, at_edge=True)) for o in self.net.outputs)
        return replace(self.net, ops=tuple(self.ops), outputs=outputs, feedback=restored)


def _without(net: Net, value: Value, offset: Floats, options: Options, *, far: bool) -> Net:
    """The net with an input read less its offset; as it is where nothing can use that and nobody asked for it."""
    x, less = value.name, f"{value.name}.less"
    feedback = tuple(replace(f, next=less if f.next == x else f.next) for f in net.feedback)
    first = Offset(free_name("offset", net.ops), (x,), (less,), offset=-offset.reshape(value.shape))
    shapes = {name: v.shape for name, v in net.values.items()} | {less: value.shape}
    carrier = Carrier(net, shapes, {less: offset}, [first], far=far)
    if x in options.input_affine:
        scale = by_channel("--input-affine", value, options.input_affine[x][0])
        carrier.zero_lsb = {less: float(scale[0])} if np.all(scale == scale[0]) else {}
    for op in net.ops:
        carrier.add(replace(op, inputs=tuple(less if name == x else name for name in op.inputs)))
    done = carrier.finished(feedback)
    return done if carrier.folded or x in options.input_affine else net


def centre_outputs(net: Net, ranges: Ranges, options: Options) -> tuple[Net, Ranges]:
    """The net with each op that computes outputs far from zero computing them less their offset, and the ranges of that."""
    plain = class_scores(net) | {n for n, scale in options.output_scale.items() if scale == "common"}
    plain.update(options.output_format)
    for op in net.ops:
        if len(op.outputs) > 1 or net.values[op.outputs[0]].dtype == "index":
            continue
        seen = shown(net, op.outputs[0])
        if not seen or plain & {s.output for s in seen}:
            continue
        for offset in _output_offsets(net, op, ranges):
            ones = np.ones(offset.shape)
            wish = Affine("", op.outputs, op.outputs, ones, -offset, operand=offset.shape, shape=offset.shape)
            lower = op.scaled(wish) if isinstance(op, TakesAffine) else op.absorb(wish)
            if lower is not None and offset.any():
                net, ranges = _raised(net, ranges, replace(lower, inputs=op.inputs), offset.ravel())
                break
    return net, ranges


def _output_offsets(net: Net, op: Op, ranges: Ranges) -> list[Floats]:
    """Offsets of a value ``[*shape]`` to try: by element; of a matrix by its last or first axis as well."""
    name = op.outputs[0]
    shape, bound = net.values[name].shape, ranges.bounds[name]
    low, high = (ranges.lows[name], ranges.highs[name]) if ranges.measured else (bound.lo, bound.hi)
    if not np.all(np.isfinite([low, high])):
        return []
    found = [middle(low, high), *(middle(*channels_of(shape, axis, low, high)) for axis in range(len(shape))[::-1])]
    return [offset.reshape(shape) for offset in (found if len(shape) > 1 else found[:1])]


def _raised(net: Net, ranges: Ranges, lower: Op, offset: Floats) -> tuple[Net, Ranges]:
    """The net with an op that computes its output less an offset, which comes back where outputs show it."""
    name = lower.outputs[0]
    shapes = {n: v.shape for n, v in net.values.items()}
    carrier = Carrier(net, shapes, {})
    for op in net.ops:
        if op.name == lower.name:
            carrier.ops.append(lower)
            carrier.less[name] = offset
        else:
            carrier.add(op)
    done = carrier.finished(net.feedback)
    return done, shifted(ranges, carrier.less, {n: fresh for (n, _), fresh in carrier.restored.items()})


def shifted(ranges: Ranges, less: Mapping[str, Floats], restored: Mapping[str, str]) -> Ranges:
    """What was seen of values that come less an offset now; what shows them as they were has what they had."""
    changed = ranges.copied()
    for name, fresh in restored.items():
        changed.also(fresh, name)
    for name, offset in less.items():
        changed.usual.pop(name, None)
        bound, low, high = ranges.bounds[name], ranges.lows[name] - offset, ranges.highs[name] - offset
        changed.bounds[name] = Interval(bound.lo - offset, bound.hi - offset)
        changed.lows[name], changed.highs[name] = low, high
        changed.peaks[name] = np.maximum(np.abs(low), np.abs(high))
        if name in ranges.samples:
            changed.samples[name] = ranges.samples[name] - offset
    return changed
