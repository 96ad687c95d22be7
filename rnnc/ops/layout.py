"""Layout: a vector or matrix made of elements of others: transposed, sliced, joined, repeated. Nothing is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from rnnc.fixed import Floats, Format, Ints
from rnnc.interval import Interval
from rnnc.net import Array, Op, Probe, Quantizer, States, Value, no_probe
from rnnc.qnet import Arg, KernelCall, QOp

MAX_AXES = 4


@dataclass(frozen=True)
class Move:
    """Elements of one input that go to the output: for all indices i below ``lengths``,
    ``y[to_offset + sum i_k to_strides_k] = x[from_offset + sum i_k from_strides_k]``, x and y flattened.
    """

    lengths: tuple[int, ...]
    from_strides: tuple[int, ...]
    to_strides: tuple[int, ...]
    from_offset: int = 0
    to_offset: int = 0

    def merged(self) -> Move:
        """The same move with as few axes as possible."""
        axes: list[tuple[int, int, int]] = []
        for n, source, target in zip(self.lengths, self.from_strides, self.to_strides, strict=True):
            if n == 1:
                continue
            if axes and axes[-1][1:] == (n * source, n * target):
                axes[-1] = (axes[-1][0] * n, source, target)
            else:
                axes.append((n, source, target))
        lengths, sources, targets = zip(*axes, strict=True) if axes else ((), (), ())
        return replace(self, lengths=lengths, from_strides=sources, to_strides=targets)

    @property
    def source(self) -> Ints:
        """The indices into x, in the order of ``target``."""
        return self._indices(self.from_offset, self.from_strides)

    @property
    def target(self) -> Ints:
        """The indices into y."""
        return self._indices(self.to_offset, self.to_strides)

    def _indices(self, offset: int, strides: tuple[int, ...]) -> Ints:
        index = np.full(self.lengths, offset, np.int64)
        for axis, (n, stride) in enumerate(zip(self.lengths, strides, strict=True)):
            index += (np.arange(n) * stride).reshape([-1 if i == axis else 1 for i in range(len(self.lengths))])
        return index.ravel()


def strides(lengths: Sequence[int]) -> tuple[int, ...]:
    """The strides of an array in C order, in elements."""
    return tuple(int(np.prod(lengths[i + 1 :], dtype=np.int64)) for i in range(len(lengths)))


@dataclass(frozen=True, eq=False)
class Layout(Op):
    """Moves elements; move k reads input ``sources[k]``. Each element of the output is written once.

    Args:
        shape: of the output.
    """

    shape: tuple[int, ...]
    moves: tuple[Move, ...]
    sources: tuple[int, ...]
    what: str = "layout"
    kind: ClassVar[str] = "layout"
    linear: ClassVar[bool] = True

    @property
    def by_element(self) -> bool:
        return True

    @property
    def extends(self) -> bool:
        return True

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        moved = sum(int(np.prod(m.lengths, dtype=np.int64)) for m in self.moves)
        assert moved == int(np.prod(self.shape, dtype=np.int64)), f"{self.name}: {moved} elements for {self.shape}"
        return [replace(inputs[0], shape=self.shape, clock=inputs[0].clock)]

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return [self.arrange([x.reshape(*x.shape[:2], -1) for x in inputs])]

    def arrange(self, flat: Sequence[Array]) -> Array:
        """The output of inputs ``[..., elements]``, as ``[..., elements]``."""
        size = int(np.prod(self.shape, dtype=np.int64))
        y = np.empty((*flat[0].shape[:-1], size), np.result_type(*flat))
        for move, k in zip(self.moves, self.sources, strict=True):
            y[..., move.target] = flat[k][..., move.source]
        return y

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        return [Interval(self.arrange([x.lo for x in inputs]), self.arrange([x.hi for x in inputs]))]

    def less(self, offsets: Sequence[Floats]) -> tuple[Op, Floats | None]:
        return self, self.arrange(offsets)

    def accepts_int8(self, index: int) -> bool:
        return True

    def quantize(self, q: Quantizer) -> QLayout:
        sources = tuple(q.input(i) for i in range(len(self.inputs)))
        alike = len({(f.bits, f.zero_point) for f in sources}) == 1
        zero = sources[0].zero_point if alike else 0
        size = int(np.prod(self.shape, dtype=np.int64))
        scale = np.empty(size)
        for move, k in zip(self.moves, self.sources, strict=True):
            count = int(move.source.max()) + 1
            scale[move.target] = _element_scales(sources[k], count)[move.source]
        bits = max(f.bits for f in sources)
        lo = min(f.lo - f.zero_point for f in sources) + zero
        hi = max(f.hi - f.zero_point for f in sources) + zero
        form = replace(sources[0], bits=bits, scale=scale, zero_point=zero, lo=lo, hi=hi)
        return QLayout(self, self.inputs, (form,), sources)

    def describe(self) -> str:
        return f"{self.what} {list(self.shape)}"


def _element_scales(form: Format, at_least: int) -> Floats:
    return form.scale_for(max(at_least, form.scale.size))


@dataclass(frozen=True, eq=False)
class QLayout(QOp):
    """The same integers; where the inputs differ in width or zero point, those of 16 (or 32) bits around zero."""

    op: Layout
    sources: tuple[Format, ...] = field(default=())

    @cached_property
    def zeros(self) -> tuple[int, ...]:
        """What is subtracted from the elements of each input."""
        return tuple(f.zero_point - self.formats[0].zero_point for f in self.sources)

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        flat = [x.reshape(*x.shape[:2], -1) - zero for x, zero in zip(inputs, self.zeros, strict=True)]
        return [self.op.arrange(flat)]

    def calls(self) -> list[KernelCall]:
        y = self.formats[0].bits
        return [
            move_call(move, k, self.zeros[k], self.sources[k].bits, y)
            for move, k in zip(self.op.moves, self.op.sources, strict=True)
        ]


def move_call(move: Move, k: int, zero: int, x_bits: int, y_bits: int) -> KernelCall:
    """The kernel call that makes a move from input ``k``, ``zero`` subtracted from each element."""
    missing = MAX_AXES - len(move.lengths)
    lengths = (1,) * missing + move.lengths
    sources, targets = (0,) * missing + move.from_strides, (0,) * missing + move.to_strides
    return KernelCall(
        "rnnc_layout",
        "layout.h",
        "rnnc_layout_params",
        (
            *((f"n{i}", n) for i, n in enumerate(lengths)),
            *((f"from{i}", n) for i, n in enumerate(sources)),
            *((f"to{i}", n) for i, n in enumerate(targets)),
            ("from", move.from_offset),
            ("to", move.to_offset),
            ("zero", zero),
            ("x_bits", x_bits),
            ("y_bits", y_bits),
        ),
        (Arg("input", str(k)), Arg("output", "0")),
    )
