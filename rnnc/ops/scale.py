"""Scale: ``y = gain x`` with positive constants. It costs nothing: the integers stay, their format changes its scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from rnnc.fixed import Floats
from rnnc.interval import Interval
from rnnc.net import Array, Op, Probe, Quantizer, States, no_probe
from rnnc.ops.elementwise import Pointwise
from rnnc.ops.extended import extended_copy
from rnnc.qnet import KernelCall, QOp


@dataclass(frozen=True, eq=False)
class Scale(Pointwise):
    """``y = gain x``.

    Args:
        gain: > 0, ``[*shape]`` of x.
    """

    gain: Floats
    kind: ClassVar[str] = "scale"
    linear: ClassVar[bool] = True

    @property
    def by_element(self) -> bool:
        return True

    @property
    def extends(self) -> bool:
        return True

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return [inputs[0] * self.gain]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        gain = self.gain.ravel()
        return [Interval(inputs[0].lo * gain, inputs[0].hi * gain)]

    def less(self, offsets: Sequence[Floats]) -> tuple[Op, Floats | None]:
        return self, offsets[0] * self.gain.ravel()

    def quantize(self, q: Quantizer) -> QOp:
        x = q.input(0)
        if extended := q.extended():
            return extended_copy(self, self.inputs, x, self.gain, extended)
        return QScale(self, self.inputs, (replace(x, scale=x.scale_for(self.gain.size) * self.gain.ravel()),))

    def describe(self) -> str:
        return f"gain {self.gain.min():.4g} .. {self.gain.max():.4g}"


@dataclass(frozen=True, eq=False)
class QScale(QOp):
    """The same memory."""

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return [inputs[0]]

    def calls(self) -> list[KernelCall]:
        return []
