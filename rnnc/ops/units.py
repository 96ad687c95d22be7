"""A recurrent layer in integers: rows of weights, and the text of its units read as the oracle, the certificate and the C."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from rnnc.activations import IntegerActivation
from rnnc.fixed import Format, Ints
from rnnc.language import Quantity, Reading, run
from rnnc.net import Array, Op, Probe, States, no_probe
from rnnc.ops.cells import Unit
from rnnc.ops.gate_rows import GateRows
from rnnc.ops.library import HEADERS, library_header, mixed_rows
from rnnc.ops.recurrent import HiddenFormats, Recurrent, narrow, upper
from rnnc.qnet import Arg, Bound, ChooseSparse, Constant, Field, KernelCall, Operand, QOp, QState, Scratch
from rnnc.readings import Arrays, Intervals, Range
from rnnc.unit_kernels import CKernel, many_driver


@dataclass(frozen=True, eq=False)
class QRecurrent(QOp):
    """A layer whose units are a text.

    Args:
        unit: the text and what it is told.
        loops: the rows of each loop over units.
        h: the formats of h.
        state: the format of the state beside h; the one named "s" is h with 14 more fraction bits.
    """

    op: Recurrent
    unit: Unit
    loops: tuple[GateRows, ...]
    input_format: Format
    h: HiddenFormats
    state: Format | None

    @cached_property
    def _state_name(self) -> str:
        return f"{self.name}_{self.unit.state[0]}" if self.state else ""

    @property
    def fine(self) -> bool:
        """Whether its preactivations have further fraction bits."""
        return self.unit.fine

    def states(self) -> tuple[QState, ...]:
        h, *more = self.op.states()
        if self.unit.state[0] == "s":
            s = self.h.extended.quantize(h.initial)
            extended = QState(self._state_name, h.shape, self.h.extended, s, h.alias, h.window)
            return extended, QState(
                h.name, h.shape, self.h.operand, narrow(upper(s), self.h.operand), follows=extended.name
            )
        pairs = [(h, self.h.operand), *((c, self.state) for c in more if self.state)]
        return tuple(QState(s.name, s.shape, f, f.quantize(s.initial), s.alias, s.window) for s, f in pairs)

    def output_state(self, index: int) -> str:
        if index == 1:
            return self._state_name
        return f"{self.name}_h" if self.formats[0].bits == self.h.operand.bits else ""

    def _leaf(self, reading: Reading, loop: int, values: Sequence[Any]) -> list[Quantity]:
        return [Quantity(reading, v, e) for v, e in zip(values, self.loops[loop].exponents, strict=True)]

    def _numbers(self, reading: Reading, make: Callable[[Ints], Any]) -> list[Quantity]:
        numbers = self.loops[0].numbers
        given = zip([] if numbers is None else numbers, self.unit.numbers, strict=True)
        return [Quantity(reading, make(n), e) for n, e in given]

    def _read(
        self,
        reading: Reading,
        first: Sequence[Any],
        state: Any,
        later: Callable[[Any], Any],
        make: Callable[[Ints], Any],
    ) -> tuple[Any, Any]:
        """Run the text over what ``first``, ``state`` and the rows ``later`` give; h and the state."""
        s = Quantity(reading, state, self.unit.state[1])
        text = self.unit.text(self.unit, self._leaf(reading, 0, first), s, self._numbers(reading, make))
        h, after = run(text, lambda operand: self._leaf(reading, 1, [later(operand.raw)])[0])
        return h.raw, after and after.raw

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        x, h = inputs[0].reshape(-1, self.op.columns), state[f"{self.name}_h"]
        before = state[self._state_name] if self.state else h

        def later(operand: Ints) -> Ints:
            bits = self.loops[1].operand_bits
            taken = operand if bits == 16 else narrow(operand, self.h.operand)
            return self.loops[1].preactivations(x, taken, self.name)[0]

        first = self.loops[0].preactivations(x, h, self.name)
        reading = Arrays(self.name, iter(self._ranges.short))
        h16, after = self._read(reading, first, before, later, lambda n: n)
        reading.finish()
        h = narrow(h16, self.h.operand)
        state[f"{self.name}_h"] = h
        if self.state:
            state[self._state_name] = after
        return [h if self.formats[0].bits == self.h.operand.bits else h16, after][: len(self.outputs)]

    @cached_property
    def _ranges(self) -> Intervals:
        """The certificate of the units."""
        ranges = Intervals()
        limit = Range(-self.unit.limit, self.unit.limit)
        h, after = self._read(
            ranges,
            self.loops[0].ranges(),
            limit,
            lambda _: self.loops[1].ranges()[0],
            lambda n: Range(int(n.min()), int(n.max())),
        )
        assert h.within(-32768, 32767) and (after is None or after.within(limit.lo, limit.hi)), self.name
        ranges.finish()
        return ranges

    def bounds(self) -> list[Bound]:
        rows = [b for loop in self.loops for b in loop.bounds(self.name)]
        return rows + [Bound(self.name, name, worst) for name, worst in self._ranges.worst.items()]

    # ----------------------------------------------------------------------- the C

    @cached_property
    def _kernels(self) -> list[CKernel]:
        return self.unit.kernels([loop.phase for loop in self.loops])

    @cached_property
    def _headers(self) -> list[str]:
        """What of runtime_c holds each kernel, were all rows int8; "" for nothing."""
        kernels = self.unit.kernels([replace(loop.phase, forms=()) for loop in self.loops])
        return [library_header(kernel) for kernel in kernels]

    def _definition(self, i: int, kernel: CKernel) -> tuple[str, str, str]:
        """Function, header and source of a kernel. One with other rows shares the loop over units that a target replaces."""
        header = self._headers[i]
        if not header:
            return "", "long_gates.h" if self.unit.long else "cell.h", kernel.text
        plain = HEADERS[header]
        if self.loops[i].forms:
            return "", header, mixed_rows(plain, kernel, self.loops[i].forms)
        return plain.name, header, ""

    def many(self, i: int, function: str) -> str:
        """The C of call ``i`` for several streams (unit_kernels.many_driver), where ``function`` is that for one."""
        header, state = self._headers[i], self.unit.state[0]
        units = f"{HEADERS[header].units}_units" if header else f"{function}_each"
        return many_driver(self._kernels[i], self.loops[i].phase, state, units)

    def calls(self) -> list[KernelCall]:
        return [self._call(i, kernel) for i, kernel in enumerate(self._kernels)]

    def _call(self, i: int, kernel: CKernel) -> KernelCall:
        n, loop, last = f"{self.name}_loop{i}" if i else self.name, self.loops[i], i == len(self.loops) - 1
        two, projected = loop.phase.two, loop.apart
        h = Arg("state", f"{self.name}_h")
        hidden, m = Operand("vh", loop.columns("h"), loop.operand_bits, borrowed=not two), Arg("scratch", "m")
        bits = 16 if projected and not last else self.h.operand.bits
        fields: tuple[Field, ...] = (
            *loop.fields(n),
            ("columns", loop.columns("x") if two else 0),
            ("width", loop.columns("h")),
            ("units", loop.units),
            ("x_bits", self.input_format.bits),
            ("h_bits", loop.operand_bits),
            ("next_bits", bits),
            *((f"curve{j}", curve_field(f, f"{n}_curve{j}")) for j, f in kernel.curves),
        )
        args = [*([Arg("input", "0")] if two else []), h if two else m]
        args += [h if last else m] if projected else []
        args += [Arg("state", self._state_name)] if kernel.state else []
        args += [Arg("scratch", "vx"), Arg("scratch", "vh")] if two else [Arg("scratch", "vh")]
        args += [Arg("scratch", name) for name, _ in kernel.kept]
        args.append(Arg("null") if not last or self.output_state(0) else Arg("output", "0"))
        args += [Arg("activation", kernel.activation)] if kernel.activation else []
        x = Operand("vx", self.op.columns, self.input_format.bits, borrowed=True)
        scratch: tuple[Scratch | Operand, ...] = (
            *([x] if two else []),
            hidden,
            *(Scratch(name, t, self.op.hidden) for name, t in kernel.kept),
        )
        scratch += (Scratch("m", "int16_t", self.op.hidden),) if projected else ()
        struct = "rnnc_curved_cell_params" if kernel.curves else "rnnc_cell_params"
        function, header, source = self._definition(i, kernel)
        return KernelCall(
            function, header, struct, fields, tuple(args), scratch, loop.macs, kernel.tables, source=source
        )

    def without_zeros(self, choose: ChooseSparse) -> QOp:
        found = (loop.without_zeros(choose, bool(h)) for loop, h in zip(self.loops, self._headers, strict=True))
        return replace(self, loops=tuple(found))

    def dequantized(self) -> Op:
        op, fx = self.op, self.input_format
        column, hidden = fx.scale_for(op.columns), self.h.operand.scale_for(op.width)
        parts = [loop.real(column, hidden, fx.zero) for loop in self.loops if not loop.apart or loop.phase.two]
        weights, recurrence, bias_x, bias_h = (np.concatenate(p) for p in zip(*parts, strict=True))
        return op.dequantized(self, weights, recurrence, bias_x, bias_h)


def curve_field(f: IntegerActivation, name: str) -> tuple[Field, ...]:
    """A table as the C struct rnnc_chords (runtime_c/activation.h); ``name`` prefixes its arrays."""
    rows = np.array([[s.first, s.offset, s.step] for s in f.segments])
    first = "first (12 fraction bits), knot, log2 step"
    return (
        ("segments", Constant(f"{name}_segments", "rnnc_segment", rows, first, "table")),
        ("knots", Constant(f"{name}_knots", "int32_t", f.knots, f"LSB 2^{f.exponent - 15}", "table")),
        ("n_segments", len(f.segments)),
        ("n_knots", len(f.knots)),
    )
