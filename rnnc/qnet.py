"""A network in integers (QNet): its ops define, bit for bit, what the C computes, and say which kernels compute it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from rnnc.clock import Timing
from rnnc.fixed import Format, Ints
from rnnc.net import Array, Net, Op, Output, Probe, States, Value, no_probe
from rnnc.row_forms import SPARSE_BLOCK, Forms, RowForm, kept_blocks, together

# --------------------------------------------------------------------------- ops in integers


@dataclass(frozen=True)
class Bound:
    """The worst case of one accumulator over all inputs: ``worst < 2^(bits-1)`` is what the C relies on."""

    op: str
    accumulator: str
    worst: int
    bits: int = 32

    @property
    def margin_bits(self) -> float:
        """How many more bits the accumulator could lose before it overflows."""
        return float(self.bits - 1 - np.log2(max(self.worst, 1)))


@dataclass(frozen=True, eq=False)
class QState:
    """A state in integers: C type ``format.ctype``, ``initial`` flattened; ``alias`` and ``window`` as in ``State``.

    One that ``follows`` another is its upper part, ``narrow(saturate((extended + 2^13) >> 14))``: it is neither saved nor set
    on its own.
    """

    name: str
    shape: tuple[int, ...]
    format: Format
    initial: Ints
    alias: str = ""
    window: Ints | None = None
    follows: str = ""

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))


ConstantRole = Literal["weights", "table"]


@dataclass(frozen=True, eq=False)
class Constant:
    """A constant array of the C: ``data [n]``, or ``[n, fields]`` where ``ctype`` is a struct."""

    name: str
    ctype: str
    data: Ints
    comment: str
    role: ConstantRole = "weights"


SAID: dict[RowForm, str] = {
    "int16": "int16, low byte first",
    "sparse": "without their 4 x 4 blocks of zeros",
}


@dataclass(frozen=True, eq=False)
class WeightRows:
    """Weights that a target packs: for each unit in turn, its rows over the first operand, then over the next.

    ``blocks`` are ``[units, rows of a unit, columns]``, one for each operand, which has ``bits``, 8 or 16.
    """

    name: str
    blocks: tuple[Ints, ...]
    bits: tuple[int, ...]
    comment: str
    batched: bool = False
    """The rows of a batch of units are in the order of gates, not of units (``UnitRows``)."""
    forms: Forms = ()
    """Of each block and each row of a unit; () where all are int8."""
    over: tuple[str, ...] = ()
    """The operand of each block; () where there is one."""

    @property
    def span(self) -> tuple[int, int] | None:
        """The least and the largest weight where the bytes of an array do not tell."""
        both = min(int(b.min(initial=0)) for b in self.blocks), max(int(b.max(initial=0)) for b in self.blocks)
        return both if self.forms else None

    @property
    def is_sparse(self) -> bool:
        """Whether blocks of zeros are left out of any rows."""
        return any("sparse" in block for block in self.forms)

    @property
    def kept(self) -> float:
        """The share of blocks of four rows and columns that are not all zero; 1 where none of its columns make whole blocks."""
        rows = [b[:, r] for b in self.blocks if b.shape[2] % SPARSE_BLOCK == 0 for r in range(b.shape[1])]
        return float(np.mean(np.concatenate([kept_blocks(one).ravel() for one in rows]))) if rows else 1.0

    @property
    def whole(self) -> WeightRows:
        """The same with all blocks."""
        forms = tuple(tuple("int8" if one == "sparse" else one for one in block) for block in self.forms)
        return replace(self, forms=forms if any("int16" in block for block in forms) else ())

    @property
    def described(self) -> str:
        """The comment, with how rows are stored that are not int8."""
        return self.comment + "".join(self._said(form, how) for form, how in SAID.items())

    def _said(self, form: RowForm, how: str) -> str:
        """Which rows are stored so."""
        which = [[str(i) for i, one in enumerate(block) if one == form] for block in self.forms]
        if not any(which):
            return ""
        if all(one == form for block in self.forms for one in block):
            return f", {how}"
        named = [
            f"row{'s' if len(rows) > 1 else ''} {', '.join(rows)}{f' over {self.over[k]}' if self.over else ''}"
            for k, rows in enumerate(which)
            if rows
        ]
        return f"; of each unit's, {' and '.join(named)} {'are' if sum(map(len, which)) > 1 else 'is'} {how}"

    @property
    def together(self) -> int:
        """As many rows of a unit, or a multiple, have one width: a batch of units fills whole groups of them."""
        return together(self.blocks[0].shape[1], self.forms)


ChooseSparse = Callable[[Sequence[tuple[Ints, int]], bool], tuple[bool, ...]]
"""Which rows of a layer are to be sparse, given ``[units, columns]`` and the bits of the operand of each, and whether a target
may have a loop of its own over the units."""


@dataclass(frozen=True, eq=False)
class UnitRows:
    """Constants of a recurrent layer's rows, ``data [units, n]``, for a target that computes units in batches.

    They become ``[batch][n][units of a batch]``, zero past the last unit. A batch is that of weights of which ``rows`` rows
    of a unit go together (``WeightRows.together``).
    """

    name: str
    ctype: str
    data: Ints
    rows: int
    comment: str


Field = tuple[str, "int | Constant | WeightRows | UnitRows | tuple[Field, ...]"]
"""A field of a parameter struct: an integer, the address of an array, or a struct inside."""


@dataclass(frozen=True)
class Arg:
    """An argument of a kernel call: where a pointer goes, or an activation, from which the compiler sees what is not needed."""

    place: Literal["input", "output", "state", "scratch", "null", "activation"]
    name: str = ""
    """Index of the input or output as a string, name of the state, of the scratch buffer, or of the activation."""
    strides: tuple[int, ...] = ()
    """By how many elements the pointer moves at each turn of the call's loops; () for one that stays."""

    @property
    def index(self) -> int:
        """Which input or output."""
        return int(self.name)


@dataclass(frozen=True)
class Scratch:
    """Memory that a call needs only while it runs."""

    name: str
    ctype: str
    length: int


@dataclass(frozen=True)
class Operand:
    """Scratch for a vector as the target's product of rows takes it: ``columns`` elements of ``bits`` bits.

    ``borrowed``: the kernel may read the vector where it lies, if the target can (rnnc_prepared).
    """

    name: str
    columns: int
    bits: int
    borrowed: bool = False


@dataclass(frozen=True, eq=False)
class KernelCall:
    """``function(&params, args...)``: one call of a kernel from a header of runtime_c.

    Args:
        function: name of the C function; "" for one that ``source`` defines.
        header: file in runtime_c that defines it.
        struct: C type of its parameters ("" when it takes none).
        fields: the parameter struct's initialiser in order; an array stands for its address.
        args: what follows, in order.
        scratch: buffers named by ``Arg("scratch", ...)``.
        macs: multiply-accumulates of the call.
        tables: the constant tables of runtime_c that it reads, by the names of ``Target.table_bytes``.
        when: run at the ticks of the op's "input", of its input and tail ("tick"), or of its "output". Under "tick" an
            ``Arg("input", ...)`` is 0 once the input has ended.
        source: C that defines the function under the name @; equal sources become one function.
        times: turns of the loops that the call is in, the outermost first; () for none. Calls of an op that follow each other
            and have the same ``times`` are in one nest of loops.
        more_headers: of runtime_c that ``source`` needs besides.
    """

    function: str
    header: str
    struct: str
    fields: tuple[Field, ...]
    args: tuple[Arg, ...]
    scratch: tuple[Scratch | Operand, ...] = ()
    macs: int = 0
    tables: tuple[str, ...] = ()
    when: Literal["input", "tick", "output"] = "output"
    source: str = ""
    times: tuple[int, ...] = ()
    more_headers: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class QOp(ABC):
    """One operation of a step, in integers: the definition of what the C computes.

    ``formats`` are those of the outputs. An output that *is* a state (an LSTM's h) is named in ``output_state``.
    """

    op: Op
    inputs: tuple[str, ...]
    formats: tuple[Format, ...]

    @property
    def name(self) -> str:
        """As the op."""
        return self.op.name

    @property
    def outputs(self) -> tuple[str, ...]:
        """As the op."""
        return self.op.outputs

    @property
    def timing(self) -> Timing:
        """As the op's."""
        return self.op.timing

    @property
    def elastic(self) -> bool:
        """As the op's."""
        return self.op.elastic

    def states(self) -> tuple[QState, ...]:
        """What it keeps."""
        return ()

    def output_state(self, index: int) -> str:
        """The state that output ``index`` lies in, "" where it has memory of its own."""
        return ""

    @abstractmethod
    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        """As ``Op.step``, on int64 arrays; every width that the C has is asserted."""

    def drain(self, state: States, tick: int) -> list[Array] | None:
        """As ``Op.drain``, on int64 arrays."""
        raise AssertionError(f"{self.op.kind} has no tail")

    def bounds(self) -> list[Bound]:
        """The worst case of each accumulator."""
        return []

    @abstractmethod
    def calls(self) -> list[KernelCall]:
        """The kernel calls that compute it in C, in order."""

    def without_zeros(self, choose: ChooseSparse) -> QOp:
        """The op with the rows that ``choose`` picks stored without their blocks of zeros."""
        return self

    def dequantized(self) -> Op:
        """The op in real numbers with the weights as quantized."""
        return self.op


# --------------------------------------------------------------------------- networks


@dataclass(frozen=True, eq=False)
class QFeedback:
    """``Feedback`` in integers; ``next`` has the state's format."""

    state: QState
    next: str


@dataclass(frozen=True)
class RowBlock:
    """The rows of one gate over one operand ("lstm0.i.x"), or all of an op: how many weights, and whether they are int16."""

    name: str
    weights: int
    wide: bool


@dataclass(frozen=True, eq=False)
class QNet:
    """A network in integers. ``formats`` holds the format of every value, ``net`` what it came from."""

    net: Net
    precision: str
    ops: tuple[QOp, ...]
    outputs: tuple[Output, ...]
    feedback: tuple[QFeedback, ...]
    formats: Mapping[str, Format]
    values: Mapping[str, Value]
    blocks: tuple[RowBlock, ...] = ()

    @property
    def inputs(self) -> tuple[Value, ...]:
        """As the net's."""
        return self.net.inputs

    def states(self) -> list[QState]:
        """Every state, in order."""
        return [f.state for f in self.feedback] + [s for op in self.ops for s in op.states()]

    def dequantized(self) -> Net:
        """The network in real numbers with the weights as quantized, for telling arithmetic from rounding."""
        return replace(self.net, ops=tuple(q.dequantized() for q in self.ops if q.op in self.net.ops))

    def __str__(self) -> str:
        lines = [f"qnet {self.net.name} {self.precision}"]
        lines += [f"  input  {v.name} {list(v.shape)}: {self.formats[v.name]}" for v in self.inputs]
        for op in self.ops:
            lines.append(f"  {op.name}({', '.join(op.inputs)})")
            lines += [f"    {n}: {f}" for n, f in zip(op.outputs, op.formats, strict=True)]
            lines += [f"    state {s.name} {list(s.shape)}: {s.format}" for s in op.states()]
        lines += [f"  output {o.name} = {o.value} ({o.kind})" for o in self.outputs]
        return "\n".join(lines)
