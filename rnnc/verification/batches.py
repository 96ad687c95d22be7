"""Sequences of unlike length as lanes that run side by side: what makes hundreds of short recordings as cheap as one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rnnc.net import Array, Clock, Value
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


def batches(sequences: Sequences, inputs: Sequence[Value]) -> list[Batch]:
    """Group sequences so that none is padded to more than twice its length."""
    lengths = [len(s) for s in sequences[inputs[0].name]]
    groups: dict[int, list[int]] = {}
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        groups.setdefault(lengths[i].bit_length(), []).append(i)
    return [_batch(sequences, inputs, members, [lengths[i] for i in members]) for members in groups.values()]


def _batch(sequences: Sequences, inputs: Sequence[Value], members: list[int], lengths: list[int]) -> Batch:
    packed = {}
    for v in inputs:
        lanes = np.zeros((max(lengths), len(members), *v.shape), np.int64 if v.dtype == "index" else np.float64)
        for k, i in enumerate(members):
            lanes[: lengths[k], k] = sequences[v.name][i]
        packed[v.name] = lanes
    return Batch(members, lengths, packed)


def ticks(clock: Clock, steps: int) -> int:
    """How many values a clock has given after ``steps`` steps."""
    return 0 if steps <= clock.phase else (steps - 1 - clock.phase) // clock.rate + 1


def by_sequence(
    found: Sequence[tuple[Batch, Mapping[str, Array]]], clocks: Mapping[str, Clock]
) -> dict[str, list[Array]]:
    """The outputs of all batches, ``[ticks, lanes, *shape]``, as ``[ticks, size]`` of each sequence in order."""
    count = sum(len(b.members) for b, _ in found)
    result: dict[str, list[Array]] = {name: [np.empty(0)] * count for name in clocks}
    for batch, outputs in found:
        for name, clock in clocks.items():
            y = outputs[name].reshape(*outputs[name].shape[:2], -1)
            for k, (i, steps) in enumerate(zip(batch.members, batch.lengths, strict=True)):
                result[name][i] = y[: ticks(clock, steps), k]
    return result


def run_batches(
    run: Callable[[Mapping[str, Array]], Mapping[str, Array]], groups: Sequence[Batch]
) -> Iterator[tuple[Batch, Mapping[str, Array]]]:
    """Each batch with what ``run`` makes of its inputs."""
    for batch in groups:
        yield batch, run(batch.inputs)
