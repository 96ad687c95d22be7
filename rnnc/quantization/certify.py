"""Proof that no accumulator overflows, from the exact integer weights."""

from __future__ import annotations

from dataclasses import dataclass

from rnnc.errors import Refused
from rnnc.qnet import Bound, QNet


@dataclass(frozen=True)
class Certificate:
    """The worst case of every accumulator over all inputs and states."""

    bounds: tuple[Bound, ...]

    def __str__(self) -> str:
        lines = ["worst case of each accumulator, of 2^31"]
        lines += [f"  {b.op}.{b.accumulator}: {b.worst} ({b.margin_bits:.1f} bits to spare)" for b in self.bounds]
        return "\n".join(lines)


def certify(qnet: QNet) -> Certificate:
    """Collect every op's bounds; raises Refused where one does not hold."""
    bounds = tuple(b for op in qnet.ops for b in op.bounds())
    for b in bounds:
        if b.worst >= 1 << (b.bits - 1):
            raise Refused(
                f"{b.op}: {b.accumulator} can reach {b.worst:.3g}, past 2^{b.bits - 1}",
                where=qnet.net.name,
                hint="Narrow the input's range: --calib DATA, --input-range INPUT=LO:HI or --input-format INPUT=qM.N.",
            )
    return Certificate(bounds)
