"""The outputs of the network: one scale for all channels, or one each where their ranges are unlike, or what the user asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from rnnc.errors import UsageError
from rnnc.fixed import Floats, Format, Ints
from rnnc.net import Net, Op, Output
from rnnc.ops.affine import Affine, TakesAffine
from rnnc.ops.offset import Offset
from rnnc.ops.requantize import Requantize
from rnnc.options import Options
from rnnc.quantization.calibrate import Ranges

UNLIKE = 16.0
"""Ratio of two channels' ranges above which their units are unlike."""
OUTPUT_HEADROOM = 8.0
ROOM = 2.0**7
"""How far past the range of an output its accumulator may reach: rescaled, it must fit 32 bits."""


def class_scores(net: Net) -> set[str]:
    """The outputs that a softmax, or its logarithm, computes."""
    found: set[str] = set()
    for op in net.ops:
        if op.scores:
            values = {name for v in op.outputs for name in net.passed(v)}
            values |= {r.outputs[0] for r in net.ops if r.kind == "rescale" and values.intersection(r.inputs)}
            found |= {o.name for o in net.outputs if o.value in values}
    return found


def free_name(kind: str, ops: Sequence[Op]) -> str:
    """A name for one more op."""
    taken = {op.name for op in ops}
    return next(name for k in range(len(taken) + 1) if (name := f"{kind}{k}") not in taken)


@dataclass(frozen=True, eq=False)
class Shown:
    """What an output shows of a value.

    Args:
        elements: of the value, by element of the output; -1 where it shows another value.
        gain: what each is multiplied by.
    """

    output: str
    elements: Ints
    gain: Floats


def shown(net: Net, value: str) -> list[Shown] | None:
    """Where outputs show a value, itself or moved and scaled; None where something else reads it or nothing does."""
    size = net.values[value].size
    found: list[Shown] = []
    todo = [(value, np.arange(1, size + 1, dtype=np.float64), np.ones(size))]
    while todo:
        name, marks, gain = todo.pop()
        if any(f.next == name for f in net.feedback):
            return None
        for o in net.outputs:
            if o.value == name:
                elements = np.where(gain > 0, np.round(marks / np.where(gain > 0, gain, 1)) - 1, -1).astype(np.int64)
                found.append(Shown(o.name, elements, gain))
        for op in net.ops:
            if name not in op.inputs:
                continue
            moved = [_moved(net, op, name, side) for side in (marks, gain)]
            if moved[0] is None or moved[1] is None:
                return None
            todo.append((op.outputs[0], moved[0], moved[1]))
    return found or None


def _moved(net: Net, op: Op, name: str, x: Floats) -> Floats | None:
    """What becomes of a value's elements in an op that only moves and scales them; None in another."""
    if op.kind in ("offset", "rescale"):
        return x
    carried = op.less([x if n == name else np.zeros(net.values[n].size) for n in op.inputs])
    return carried[1] if carried and carried[0] is op and op.kind != "add" else None


def with_output_formats(net: Net, options: Options) -> Net:
    """The net with a rescaling before each output that the user gives a format.

    Raises UsageError where that output is a row number.
    """
    ops, outputs = list(net.ops), list(net.outputs)
    for k, o in enumerate(net.outputs):
        if o.name not in options.output_format:
            continue
        if net.values[o.value].dtype == "index":
            raise UsageError(f"--output-format {o.name}: it is a row number")
        fresh = f"{o.value}.{o.name}"
        ops.append(Requantize(free_name("rescaled", ops), (o.value,), (fresh,)))
        outputs[k] = replace(o, value=fresh)
    return replace(net, ops=tuple(ops), outputs=tuple(outputs))


def denormalised(net: Net) -> Net:
    """The net with a gain and offset before outputs taken into the rows of weights that they follow."""
    producers = {name: op for op in net.ops for name in op.outputs}
    for affine in net.ops:
        layer = producers.get(affine.inputs[0])
        if not isinstance(affine, Affine) or not isinstance(layer, Op) or not isinstance(layer, TakesAffine):
            continue
        only = [op for op in net.ops if set(layer.outputs).intersection(op.inputs)] == [affine]
        between = any(o.value in layer.outputs for o in net.outputs) or any(
            f.next in layer.outputs for f in net.feedback
        )
        if not only or between or not shown(net, affine.outputs[0]):
            continue
        one = layer.scaled(affine)
        if one is not None:
            ops = tuple(one if op is affine else op for op in net.ops if op is not layer)
            return denormalised(replace(net, ops=ops))
    return net


@dataclass(frozen=True, eq=False)
class Heads:
    """The formats of all outputs, and what they ask of the values that they show."""

    net: Net
    ranges: Ranges
    options: Options

    def format(self, value: str, reach: Floats, *, common: bool) -> Format | None:
        """The format of a value that outputs alone show, or that is an output; None of another.

        Args:
            reach: the largest magnitude that its accumulators hold, ``[elements]`` or one for all.
            common: one scale for all elements, which something else that reads it needs.
        """
        seen = shown(self.net, value) or self._itself(value)
        if not seen:
            return None
        scale = np.zeros(self.net.values[value].size)
        for s in seen:
            (o,) = (o for o in self.net.outputs if o.name == s.output)
            known = s.elements >= 0
            wanted = np.broadcast_to(self._scales[o.name], s.elements.shape)[known] / s.gain[known]
            np.maximum.at(scale, s.elements[known], wanted)
        scale[scale == 0] = scale.max()
        least = np.where(np.isfinite(reach), reach, 0.0) / (ROOM * 32767)
        if common or np.all(scale == scale[0]):
            return Format(16, np.array([max(scale.max(), least.max())]))
        return Format(16, np.maximum(scale, least))

    def _itself(self, value: str) -> list[Shown]:
        names = self.net.passed(value)
        size = self.net.values[value].size
        return [Shown(o.name, np.arange(size), np.ones(size)) for o in self.net.outputs if o.value in names]

    @cached_property
    def _scales(self) -> dict[str, Floats]:
        return {o.name: self._scale(o) for o in self.net.outputs}

    def _scale(self, output: Output) -> Floats:
        """The LSB of each element of an output, length 1 where it is the same."""
        if output.name in self.options.output_format:
            return np.array([2.0 ** -self.options.output_format[output.name]])
        peak, bound = self._reach(output)
        channels = np.minimum(bound, OUTPUT_HEADROOM * peak)
        known = channels[channels > 0]
        unlike = known.size > 0 and known.max() > UNLIKE * known.min() and output.name not in class_scores(self.net)
        asked = self.options.output_scale.get(output.name)
        if asked == "common" or not (unlike or asked == "channel"):
            return np.array([float(np.minimum(bound, OUTPUT_HEADROOM * peak.max()).max()) + 1e-9]) / 32767
        return np.where(channels > 0, channels, known.max(initial=1.0)) / 32767

    def _reach(self, output: Output) -> tuple[Floats, Floats]:
        """The magnitude that each element of an output was seen to reach, and the most that it can, without its offset."""
        name = output.value
        offset = sum((op.offset.ravel() for op in self.net.ops if isinstance(op, Offset) and name in op.outputs), 0.0)
        bound = self.ranges.bounds[name]
        most = np.maximum(np.abs(bound.lo - offset), np.abs(bound.hi - offset))
        if not np.any(offset):
            return self.ranges.peaks[name], most
        return np.maximum(np.abs(self.ranges.lows[name] - offset), np.abs(self.ranges.highs[name] - offset)), most
