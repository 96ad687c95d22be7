"""The copies of values in other formats that the integers make and the network in real numbers does not."""

from __future__ import annotations

from collections.abc import Sequence

from rnnc.fixed import Floats, Format, Ints
from rnnc.net import Array
from rnnc.qnet import QNet, QOp


class InsertedCopies:
    """Of a value the copies that were inserted where an op takes another format: of a copy there may be a copy again."""

    def __init__(self, qnet: QNet) -> None:
        own = set(qnet.net.ops)
        inserted = [q for q in qnet.ops if q.op.kind == "requantize" and q.op not in own]
        self._sources = {q.outputs[0]: q.inputs[0] for q in inserted}
        self._qnet = qnet

    def chain(self, value: str) -> list[str]:
        """The copies that lead to a value, itself the last; none where it is no copy."""
        found: list[str] = []
        while value in self._sources:
            found.insert(0, value)
            value = self._sources[value]
        return found

    def original(self, value: str) -> str:
        """The value of the network that a value is a copy of, or the value."""
        chain = self.chain(value)
        return self._sources[chain[0]] if chain else value

    def formats(self, q: QOp) -> list[list[Format]]:
        """The formats of the copies that lead to each input of an op; none where it reads the value itself."""
        return [[self._qnet.formats[name] for name in self.chain(name)] for name in q.inputs]

    def readers(self, value: str) -> list[str]:
        """The ops of the network that read a copy, or a copy of it."""
        return [
            q.name
            for q in self._qnet.ops
            if q.outputs[0] not in self._sources and any(value in self.chain(name) for name in q.inputs)
        ]


def limited(x: Array, formats: Sequence[Format]) -> Floats:
    """Real numbers ``[..., *shape]`` within the ranges of formats."""
    for f in formats:
        x = f.limit(x)
    return x


def through(x: Array, formats: Sequence[Format]) -> Ints:
    """Real numbers ``[..., *shape]`` in the last of some formats, rounded to each in turn."""
    for f in formats[:-1]:
        x = f.dequantize(f.quantize(x))
    return formats[-1].quantize(x)
