"""The rows of weights of recurrent layers: quantized, multiplied, bounded, and as the constants of a kernel.

GateRows are ordered unit by unit and, within a unit, gate by gate as ONNX orders them; the kernels compute all gates of a batch
of units at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from rnnc.fixed import Floats, Format, Ints
from rnnc.language import FINE, GATE
from rnnc.net import Quantizer
from rnnc.qnet import Bound, ChooseSparse, Field, UnitRows, WeightRows
from rnnc.readings import Range
from rnnc.row_forms import Forms, RowForm, together
from rnnc.rows import Block, OneBlock, TwoBlock
from rnnc.unit_kernels import Phase, Row


@dataclass(frozen=True, eq=False)
class Apart:
    """One row a unit over x and one over h that are not added: the candidate of a GRU that resets after the rows."""

    x: OneBlock
    h: OneBlock

    @property
    def representable(self) -> bool:
        """Whether every multiplier and product fits its width."""
        return self.x.representable and self.h.representable

    def safe(self, zero: float) -> Apart:
        """As ``TwoBlock.safe``."""
        return Apart(self.x.safe(self.x.real_bias(zero), zero), self.h.safe(self.h.real_bias(0), 0))


Part = TwoBlock | Apart | OneBlock


@dataclass(frozen=True, eq=False)
class GateRows:
    """The rows of one loop over units.

    Args:
        parts: rows over x and h, apart, or over h alone (OneBlock); each with its name in the certificate.
        units: what the loop computes.
        exponents: of each preactivation.
        numbers: further constants of each unit, ``[n, units]``.
        apart: what the loop computes does not go where h lies.
        sparse: of each operand, which rows of a unit are stored without their blocks of zeros; () for none.
    """

    parts: tuple[tuple[str, Part], ...]
    units: int
    exponents: tuple[int, ...]
    numbers: Ints | None = None
    apart: bool = False
    sparse: tuple[tuple[bool, ...], ...] = ()

    @property
    def operand_bits(self) -> int:
        """8 or 16, of h."""
        return _bits(_block(self.parts[0][1], "h"))

    def preactivations(self, x: Ints, h: Ints, what: str) -> list[Ints]:
        """One array ``[lanes, units]`` for each preactivation."""
        found: list[Ints] = []
        for name, part in self.parts:
            if isinstance(part, TwoBlock):
                gates = part(x, h, f"{what}.{name}").reshape(len(h), self.units, -1)
                found += [gates[..., j] for j in range(gates.shape[-1])]
            elif isinstance(part, Apart):
                found += [part.x(x, f"{what}.{name}.x"), part.h(h, f"{what}.{name}.h")]
            else:
                found.append(part(h, f"{what}.{name}"))
        return found

    def ranges(self) -> list[Range]:
        """What each preactivation can be."""
        found = []
        for _, part in self.parts:
            for one in (part.x, part.h) if isinstance(part, Apart) else (part,):
                worst = one.worst_product().reshape(self.units, -1).max(0).tolist()
                found += [Range(-w >> one.shift, w >> one.shift) for w in worst]
        return found

    def bounds(self, op: str) -> list[Bound]:
        """The worst cases of the accumulators."""
        found = []
        for name, part in self.parts:
            if isinstance(part, TwoBlock):
                found += two_block_bounds(op, name, part)
            elif isinstance(part, Apart):
                found += [*one_block_bounds(op, f"{name}.x", part.x), *one_block_bounds(op, f"{name}.h", part.h)]
            else:
                found += one_block_bounds(op, name, part)
        return found

    def real(self, column: Floats, hidden: Floats, zero: float) -> tuple[Floats, Floats, Floats, Floats]:
        """Weights, recurrence and both biases in real units, gate by gate, given the operands' LSBs and what is 0 in x."""
        found = []
        for _, part in self.parts:
            if isinstance(part, TwoBlock):
                bias = part.real_bias(zero)
                rows, other = (part.x.real(column), part.h.real(hidden), bias), np.zeros_like(bias)
            else:
                assert isinstance(part, Apart)
                rows = (part.x.block.real(column), part.h.block.real(hidden), part.x.real_bias(zero))
                other = part.h.real_bias(0)
            found.append([by_gate(a, len(other) // self.units) for a in (*rows, other)])
        weights, recurrence, bias_x, bias_h = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return weights, recurrence, bias_x, bias_h

    @property
    def phase(self) -> Phase:
        """Where each preactivation of the C comes from."""
        rows: list[Row] = []
        count, later = self._count, self._count
        exponents = iter(self.exponents)
        index = 0
        for _, part in self.parts:
            if isinstance(part, Apart):
                rows.append(Row("x", index, index, part.x.shift, next(exponents)))
                rows.append(Row("h", index, later, part.h.shift, next(exponents)))
                index, later = index + 1, later + 1
                continue
            for _ in range(len(part.bias) // self.units):
                rows.append(Row("both" if self._two else "h", index, index, part.shift, next(exponents)))
                index += 1
        constants = later + (0 if self.numbers is None else len(self.numbers))
        return Phase(tuple(rows), count, constants, self._two, self.apart, self.forms)

    def columns(self, operand: str) -> int:
        """Elements of x or h."""
        return int(_block(self.parts[0][1], operand).weights.shape[1])

    @property
    def forms(self) -> Forms:
        """For each operand, how each row of a unit is stored; () where all are int8."""
        sparse = self.sparse or ((False,) * self._count,) * len(self._operands)
        found = []
        for o, without_zeros in zip(self._operands, sparse, strict=True):
            wide = chain.from_iterable(wide_rows(_block(part, o), self.units) for _, part in self.parts)
            found.append(tuple(map(_form, wide, without_zeros)))
        return tuple(found) if any(one != "int8" for block in found for one in block) else ()

    def without_zeros(self, choose: ChooseSparse, loop_of_its_own: bool) -> GateRows:
        """The rows with those sparse that ``choose`` picks of those that are int8."""
        rows, where = [], []
        for o, forms in enumerate(self.forms or (("int8",) * self._count,) * len(self._operands)):
            operand = self._operands[o]
            weights, bits = self._weights(operand), _bits(_block(self.parts[0][1], operand))
            for r in (r for r, form in enumerate(forms) if form == "int8"):
                rows.append((weights[:, r], bits))
                where.append((o, r))
        picked = {at for at, chosen in zip(where, choose(rows, loop_of_its_own), strict=True) if chosen}
        sparse = tuple(tuple((o, r) in picked for r in range(self._count)) for o in range(len(self._operands)))
        return replace(self, sparse=sparse) if picked else self

    def _weights(self, operand: str) -> Ints:
        """``[units, rows of a unit, columns]``."""
        blocks = [_block(part, operand).weights for _, part in self.parts]
        return np.concatenate([b.reshape(self.units, -1, b.shape[1]) for b in blocks], 1)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all rows."""
        return self.units * self._count * sum(map(self.columns, self._operands))

    @property
    def _two(self) -> bool:
        return not isinstance(self.parts[0][1], OneBlock)

    @property
    def _operands(self) -> str:
        return "xh" if self._two else "h"

    @property
    def _count(self) -> int:
        return sum(len(_block(part, "h").weights) // self.units for _, part in self.parts)

    def fields(self, n: str) -> tuple[Field, ...]:
        """weights, bias and scales of the kernel's struct; ``n`` prefixes their names."""
        blocks, bits, scales = [], [], []
        for operand in self._operands:
            found = [_block(part, operand) for _, part in self.parts]
            blocks.append(self._weights(operand))
            bits.append(_bits(found[0]))
            words = [b.scale.m << 16 | b.scale.p for b in found]
            scales.append(np.concatenate([w.reshape(self.units, -1) for w in words], 1))
        rows = together(self._count, self.forms)
        first = [part.x.bias if isinstance(part, Apart) else part.bias for _, part in self.parts]
        bias = [b.reshape(self.units, -1) for b in first]
        bias += [part.h.bias[:, None] for _, part in self.parts if isinstance(part, Apart)]
        bias += [] if self.numbers is None else [self.numbers.T]
        over = " over x, then over h" if self._two else ""
        named = tuple(self._operands) if self._two else ()
        comment = f"rows of each unit{over}"
        fields: list[Field] = [
            ("weights", WeightRows(f"{n}_w", tuple(blocks), tuple(bits), comment, True, self.forms, named)),
            ("bias", UnitRows(f"{n}_b", "int32_t", np.concatenate(bias, 1), rows, "constants of each unit")),
        ]
        for operand, scale in zip(self._operands, scales, strict=True):
            comment = f"scales over {operand}, m << 16 | p"
            fields.append((f"scale_{operand}", UnitRows(f"{n}_s{operand}", "uint32_t", scale, rows, comment)))
        return tuple(fields)


def _bits(block: Block) -> int:
    """8 or 16, of the operand."""
    return 8 if block.operand_max == 128 else 16


def wide_rows(block: Block, units: int) -> tuple[bool, ...]:
    """Which rows of a unit are stored as int16: those that are wide in any of ``units`` units."""
    if block.wide is None:
        return (False,) * (len(block.weights) // units)
    return tuple(bool(row.any()) for row in block.wide.reshape(units, -1).T)


def all_wide(block: Block) -> bool:
    """Whether rows that no unit holds are stored as int16, all of them: where any is wide."""
    return any(wide_rows(block, len(block.weights)))


def layer_rows(name: str, block: Block, comment: str, *, sparse: bool = False) -> WeightRows:
    """Rows that no unit holds, as a constant."""
    form = _form(all_wide(block), sparse)
    return WeightRows(
        name, (block.weights[:, None],), (_bits(block),), comment, forms=() if form == "int8" else ((form,),)
    )


def _form(wide: bool, sparse: bool) -> RowForm:
    return "int16" if wide else "sparse" if sparse else "int8"


def _block(part: Part, operand: str) -> Block:
    """A part's rows over an operand."""
    if isinstance(part, OneBlock):
        return part.block
    found = part.x if operand == "x" else part.h
    return found.block if isinstance(found, OneBlock) else found


def by_unit(gates: Floats) -> Floats:
    """``[gates, hidden, ...]`` as rows ``[hidden * gates, ...]``, unit by unit."""
    swapped = np.swapaxes(gates, 0, 1)
    return np.ascontiguousarray(swapped.reshape(-1, *gates.shape[2:]))


def by_gate(rows: Floats, gates: int) -> Floats:
    """The inverse of ``by_unit``."""
    return np.ascontiguousarray(np.swapaxes(rows.reshape(-1, gates, *rows.shape[1:]), 0, 1))


def gate_target(rows: int, exponent: int = GATE) -> Floats:
    """The LSB of a preactivation for each of ``rows`` rows."""
    return np.full(rows, 2.0**exponent)


def finest(rows: Callable[[int], tuple[Part, ...]], *, fine: bool) -> int:
    """The exponent of preactivations: of the finer form where that is wanted and its rows fit 32 bits."""
    return FINE if fine and all(part.representable for part in rows(FINE)) else GATE


def two_block(
    q: Quantizer,
    weights: Floats,
    recurrence: Floats,
    bias: Floats,
    operand: Format,
    hidden_samples: str,
    target: Floats,
    gates: Sequence[str],
) -> TwoBlock:
    """Quantize gate rows over input 0 and the hidden operand; all arrays unit by unit (``by_unit``)."""
    fx = q.input(0)
    parts = (
        (weights, fx.scale_for(weights.shape[1]), fx.amax, q.samples(0)),
        (recurrence, operand.scale_for(recurrence.shape[1]), operand.amax, q.samples(hidden_samples)),
    )
    (x, h), correction = q.round_rows(parts, target, bias, fx.zero, gates)
    return TwoBlock.build(x, h, bias + correction, fx.zero)


def safe(rows: TwoBlock, zero: float) -> TwoBlock:
    """``TwoBlock.safe`` with the bias as quantized."""
    return rows.safe(rows.real_bias(zero), zero)


def two_block_bounds(op: str, name: str, rows: TwoBlock) -> list[Bound]:
    """The worst cases of the accumulators of gate rows."""
    return [
        Bound(op, f"{name}.x", int(rows.x.worst(rows.bias).max())),
        Bound(op, f"{name}.h", int(rows.h.worst(0).max())),
        Bound(op, f"{name}.sum", int(rows.worst_product().max())),
    ]


def one_block_bounds(op: str, name: str, rows: OneBlock) -> list[Bound]:
    """The worst cases of the accumulators of rows over one operand."""
    return [
        Bound(op, f"{name}.accumulator", int(rows.block.worst(rows.bias).max())),
        Bound(op, f"{name}.product", int(rows.worst_product().max())),
    ]
