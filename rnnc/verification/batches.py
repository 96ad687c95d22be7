"""Sequences of unlike length as lanes that run side by side: what makes hundreds of short recordings as cheap as one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rnnc.net import Array, Net, Value
from rnnc.quantization.calibrate import Sequences


@dataclass(frozen=True, eq=False)
class Batch:
    """Sequences of similar length, zero past their ends.

    Args:
        members: which sequences the lanes are.
        lengths: steps of each.
        inputs: ``[steps, lanes, *shape]`` of each input.
    """

    members: list[int]
    lengths: list[int]
    inputs: dict[str, Array]

    @property
    def steps(self) -> int:
        """Steps of the longest."""
        return max(self.lengths)


def batches(sequences: Sequences, net: Net) -> list[Batch]:
    """Group sequences so that none is padded to more than twice its length; not at all where the network looks ahead."""
    lengths = [len(s) for s in sequences[net.inputs[0].name]]
    exact = bool(net.drain_steps or net.window)
    groups: dict[int, list[int]] = {}
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        groups.setdefault(lengths[i] if exact else lengths[i].bit_length(), []).append(i)
    return [_batch(sequences, net.inputs, members, [lengths[i] for i in members]) for members in groups.values()]


def _batch(sequences: Sequences, inputs: Sequence[Value], members: list[int], lengths: list[int]) -> Batch:
    packed = {}
    for v in inputs:
        lanes = np.zeros((max(lengths), len(members), *v.shape), np.int64 if v.dtype == "index" else np.float64)
        for k, i in enumerate(members):
            lanes[: lengths[k], k] = sequences[v.name][i]
        packed[v.name] = lanes
    return Batch(members, lengths, packed)


def by_sequence(net: Net, found: Sequence[tuple[Batch, Mapping[str, Array]]]) -> dict[str, list[Array]]:
    """The outputs of all batches, ``[ticks, lanes, *shape]``, as ``[ticks, size]`` of each sequence in order."""
    count = sum(len(b.members) for b, _ in found)
    result: dict[str, list[Array]] = {o.name: [np.empty(0)] * count for o in net.outputs}
    for batch, outputs in found:
        for o in net.outputs:
            ticks, lanes, *shape = outputs[o.name].shape
            y = outputs[o.name].reshape(ticks, lanes, math.prod(shape))
            for k, (i, steps) in enumerate(zip(batch.members, batch.lengths, strict=True)):
                result[o.name][i] = y[: net.ticks(o, steps), k]
    return result


def sequences_of(groups: Sequence[Batch]) -> dict[str, list[Array]]:
    """The sequences of all batches, ``[steps, *shape]``, in order."""
    count = sum(len(b.members) for b in groups)
    result: dict[str, list[Array]] = {name: [np.empty(0)] * count for name in groups[0].inputs}
    for batch in groups:
        for name, x in batch.inputs.items():
            for k, (i, steps) in enumerate(zip(batch.members, batch.lengths, strict=True)):
                result[name][i] = x[:steps, k]
    return result
