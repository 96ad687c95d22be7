"""What one network hands to another that starts from it (an encoder, a decoder): which elements, and how they are converted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rnnc.backend.accessors import Accessor, accessors
from rnnc.backend.program import Port, Program
from rnnc.errors import UsageError
from rnnc.fixed import Format, Ints, int32, multiplier

MANTISSA_BITS = 14
SPLIT_BITS = 15
"""An int32 is multiplied in two parts, the upper one of 17 bits; all products with 14 bits are at most 2^30."""


@dataclass(frozen=True, eq=False)
class Conversion:
    """``y = clip((x - zero) m / 2^s)`` of each element: a value of one format in another, to 14 bits.

    s is negative where y has so many more fraction bits that the product is shifted to the left. Of an int32, the product
    is divided by 2^15 first: 15 bits of s are done then.
    """

    source: Format
    target: Format
    m: Ints
    s: Ints

    @staticmethod
    def of(source: Format, target: Format, elements: Ints) -> Conversion:
        """From ``source`` to elements of ``target`` that are the elements ``elements`` of it."""
        size = len(elements)
        ratio = source.scale_for(int(elements.max()) + 1)[elements] / target.scale_for(size)
        ratio = ratio[:1] if np.all(ratio == ratio[0]) else ratio
        left = np.maximum(0, np.floor(np.log2(ratio)).astype(np.int64) - MANTISSA_BITS + 2)
        m, s = multiplier(ratio / 2.0**left, MANTISSA_BITS)
        return Conversion(source, target, m, s - left - (SPLIT_BITS if source.bits == 32 else 0))

    def apply(self, x: Ints) -> Ints:
        """Integers ``[..., elements]`` in the other format: what the C computes."""
        right, left = np.maximum(self.s, 0), np.maximum(-self.s, 0)
        product = int32(self._product(x) + ((1 << right) >> 1), "handed over") >> right
        room = self.target.hi >> left
        return np.where(np.abs(product) > room, np.sign(product) * self.target.hi, product << left)

    def _product(self, x: Ints) -> Ints:
        if self.source.bits < 32:
            return (x - self.source.zero_point) * self.m
        low = int32((x & 32767) * self.m + 16384, "handed over, lower part") >> SPLIT_BITS
        return int32((x >> SPLIT_BITS) * self.m, "handed over, upper part") + low


@dataclass(frozen=True, eq=False)
class Handover:
    """A result of the first network that goes to a state (or an input) of the second, piece by piece.

    ``pieces``: how each accessor's elements are converted; an input has one without an accessor.
    """

    source: Port
    target: str
    pieces: list[tuple[Accessor | Port, Ints, Conversion]]


def handovers(first: Program, second: Program, links: Mapping[str, str]) -> list[Handover]:
    """What ``links``, output of the first to state input or input of the second, hands over.

    Raises UsageError where there is no such output or input, or sizes differ.
    """
    found = []
    for output, target in links.items():
        source = next((p for p in first.outputs if p.name == output), None)
        option = f"--link {output}={target}"
        if source is None:
            raise UsageError(f"{option}: {first.name} has no result {output!r}")
        if source.format.index:
            raise UsageError(f"{option}: {output!r} is a row number")
        states = [a for a in accessors(second) if a.alias == target]
        ports = [p for p in second.inputs if p.name == target and not (p.format.index or p.format.zero)]
        if source.format.offset.any() or any(p.format.offset.any() for p in ports):
            hint = f"One scale alone: --output-scale {output}=common, --input-format {target}=qM.N."
            raise UsageError(f"{option}: real numbers of one of them have an offset", hint=hint)
        if not states and not ports:
            names = dict.fromkeys([*(a.alias for a in accessors(second)), *(p.name for p in second.inputs)])
            raise UsageError(
                f"{option}: {second.name} has no state or input {target!r}", hint=f"It has {', '.join(names)}."
            )
        size = sum(a.size for a in states) if states else ports[0].size
        if size != source.size:
            raise UsageError(f"{option}: {source.size} elements go to {size}")
        pieces: list[tuple[Accessor | Port, Ints, Conversion]] = [
            (a, a.elements, Conversion.of(source.format, a.format, a.elements)) for a in states
        ]
        if not states:
            every = np.arange(size)
            pieces = [(ports[0], every, Conversion.of(source.format, ports[0].format, every))]
        found.append(Handover(source, target, pieces))
    return found
