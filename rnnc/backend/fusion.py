"""Elementwise ops that follow each other become one loop of the C: a cell that a graph spells out is one function.

Their integers stay what each op says; what one hands to the next is a variable, not an array, and constants that all elements
share are numbers of the code. Groups without extended values are left alone: their kernels are as quick, and shared. Where a
target has vectors for those ops, they stay outside of loops with extended values as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from rnnc.fixed import Format
from rnnc.loop_text import ARRAYS, LoopText
from rnnc.net import Array, Probe, States, no_probe
from rnnc.ops.element import ByElement
from rnnc.ops.extended import is_extended
from rnnc.qnet import Arg, Constant, Field, KernelCall, QNet, QOp


@dataclass(frozen=True, eq=False)
class QFused(QOp):
    """Ops in one loop, under the name of the last.

    Args:
        members: in order.
        read: the formats of the inputs.
        sizes: elements of each input, 1 where all elements read the same.
        size: elements of each output.
        given: the outputs: what members compute and something else reads.
    """

    members: tuple[QOp, ...]
    read: tuple[Format, ...]
    sizes: tuple[int, ...]
    size: int
    given: tuple[str, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        return self.given

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        values = dict(zip(self.inputs, inputs, strict=True))
        for op in self.members:
            results = op.step([values[n] for n in op.inputs], state, tick)
            assert results is not None
            values.update(zip(op.outputs, results, strict=True))
        return [values[n] for n in self.given]

    @cached_property
    def loop(self) -> LoopText:
        """The C of the loop."""
        k = LoopText(size=self.size)
        parts = zip(self.inputs, self.read, self.sizes, strict=True)
        values = {n: k.given(i, f, shared=size < self.size) for i, (n, f, size) in enumerate(parts)}
        counts: dict[str, int] = {}
        for op in self.members:
            x = [values[n] for n in op.inputs]
            y = op.text(*x) if isinstance(op, ByElement) else x[0]
            kind = op.op.kind
            number = counts.setdefault(kind, 0)
            counts[kind] += 1
            values[op.outputs[0]] = k.variable(f"{kind}{number}", op.op.describe(), op.formats[0], y.raw)
        for i, (name, form) in enumerate(zip(self.given, self.formats, strict=True)):
            k.put(i, form, values[name])
        return k

    def calls(self) -> list[KernelCall]:
        k = self.loop
        args = [Arg("input", str(i)) for i in range(len(self.inputs))]
        args += [Arg("output", str(i)) for i in range(len(self.given))]
        fields: list[Field] = []
        for ctype, name in ARRAYS.items():
            data = k.constants[ctype]
            comment = f"constants of each element, {len(data)} arrays"
            fields.append((name, Constant(f"{self.name}_{name}", ctype, np.concatenate(data), comment) if data else 0))
        first, *more = k.headers()
        return [
            KernelCall(
                "",
                first,
                "rnnc_fused_params" if k.has_constants else "",
                tuple(fields[::-1]) if k.has_constants else (),
                tuple(args),
                tables=k.tables(),
                source=k.kernel(list(self.read), list(self.formats)),
                more_headers=tuple(more),
            )
        ]


Key = tuple[int, int, int]
"""Elements of the results, and rate and phase of their clock."""


def fused(qnet: QNet, *, vectors: bool = False) -> QNet:
    """The qnet with runs of elementwise ops as one op each; what it computes is the same.

    Args:
        vectors: of the target's kernels for elementwise ops without extended values.
    """
    if qnet.net.drain_steps:
        return qnet
    keys = {op.name: _key(qnet, op) for op in qnet.ops if not vectors or _is_extended(qnet, [op])}
    ops = qnet.ops
    for key in dict.fromkeys(filter(None, keys.values())):
        gathering = _Gathering(qnet, ops)
        for op in ops:
            gathering.add(op, joins=keys.get(op.name) == key)
        gathering.close()
        ops = tuple(gathering.done)
    return replace(qnet, ops=ops)


def maker(op: QOp, value: str) -> str:
    """The name of the op that computes a value: of a loop, one of those that are in it."""
    return next(m.name for m in op.members if value in m.outputs) if isinstance(op, QFused) else op.name


def _is_extended(qnet: QNet, ops: Sequence[QOp]) -> bool:
    """Whether any of the ops reads or computes an extended value."""
    return any(is_extended(qnet.formats[n]) for op in ops for n in (*op.inputs, *op.outputs))


def _key(qnet: QNet, op: QOp) -> Key | None:
    """Size and clock of an op that may be one of several in a loop; None for others."""
    if not isinstance(op, ByElement) or not op.joins:
        return None
    result = qnet.values[op.outputs[0]]
    sizes = [qnet.values[n].size for n in op.inputs]
    clock = result.clock
    if any(n not in (1, result.size) for n in sizes):
        return None
    return result.size, clock.rate or 1, clock.phase if clock.rate else 0


@dataclass
class _Gathering:
    """Gathers the ops of one key: others move before or behind them, as what they read allows.

    Args:
        members: the ops that will be one loop; ``made`` are the values that they compute.
        behind: the ops that read what members compute; ``late`` are the values that they compute.
        done: all that is before them.
    """

    qnet: QNet
    ops: Sequence[QOp]
    members: list[QOp] = field(default_factory=list)
    made: set[str] = field(default_factory=set)
    behind: list[QOp] = field(default_factory=list)
    late: set[str] = field(default_factory=set)
    done: list[QOp] = field(default_factory=list)

    def add(self, op: QOp, *, joins: bool) -> None:
        """Take the next op of the net."""
        late = not self.late.isdisjoint(op.inputs)
        if joins or self._passes(op):
            if late:
                self.close()
            self.members.append(op)
            self.made.update(op.outputs)
        elif late or not self.made.isdisjoint(op.inputs):
            self.behind.append(op)
            self.late.update(op.outputs)
        else:
            self.done.append(op)

    def _passes(self, op: QOp) -> bool:
        """Whether an op gives what a member computes as it is."""
        same = op.inputs[0] in self.made and self.qnet.values[op.outputs[0]].size == self.qnet.values[op.inputs[0]].size
        return same and len(op.inputs) == 1 and not isinstance(op, QFused) and not op.calls()

    def close(self) -> None:
        """Make a loop of what is gathered."""
        if self.members:
            self.done += _joined(self.qnet, self.members, self.ops)
        self.done += self.behind
        self.members, self.made, self.behind, self.late = [], set(), [], set()


def _joined(qnet: QNet, members: Sequence[QOp], ops: Sequence[QOp]) -> list[QOp]:
    """The members as one op where that pays."""
    made = [n for m in members for n in m.outputs]
    if not _is_extended(qnet, members):
        return list(members)
    inside = {id(m) for m in members}
    wanted = {n for op in ops if id(op) not in inside for n in op.inputs}
    wanted |= {o.value for o in qnet.outputs} | {f.next for f in qnet.feedback}
    given = tuple(n for n in made if n in wanted)
    inputs = tuple(dict.fromkeys(n for m in members for n in m.inputs if n not in made))
    read = tuple(qnet.formats[n] for n in inputs)
    sizes = tuple(qnet.values[n].size for n in inputs)
    size = qnet.values[made[0]].size
    formats = tuple(qnet.formats[n] for n in given)
    one = QFused(members[-1].op, inputs, formats, tuple(members), read, sizes, size, given)
    return [one] if one.loop.holds else list(members)
