"""The kernel of a recurrent layer: the loop over units that a text of rnnc/ops/cells.py gives, and the rows in front of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from rnnc.activations import TABLES_OF, IntegerActivation
from rnnc.ctext import CText, wrapped
from rnnc.language import Quantity, run
from rnnc.row_forms import Forms, runs, together


@dataclass(frozen=True)
class Row:
    """Where a preactivation comes from: the sum of a row over x and over h, or one of the two.

    Args:
        index: of the row among those of a unit.
        bias: of its constant among those of a unit.
        shift: after the multiplication.
        exponent: of the preactivation.
    """

    operand: Literal["both", "x", "h"]
    index: int
    bias: int
    shift: int
    exponent: int

    @property
    def reach(self) -> int:
        """What 32 bits before the shift leave."""
        return 1 << (31 - self.shift)

    @property
    def text(self) -> str:
        """In C, of unit k."""
        i, b = _at(self.index), _at(self.bias)
        if self.operand == "both" and self.shift == 8:
            return f"rnnc_gate(&b[{b}], &x[{i}], &y[{i}], ax[{i}], ah[{i}])"
        if self.operand == "both":
            return f"rnnc_gate_by(&b[{b}], &x[{i}], &y[{i}], ax[{i}], ah[{i}], {self.shift})"
        a, scale = ("ax", "x") if self.operand == "x" else ("ah", "y")
        return f"rnnc_row(&b[{b}], &{scale}[{i}], {a}[{i}], {self.shift})"


def _at(j: int) -> str:
    return f"k{j or ''}"


@dataclass(frozen=True)
class Phase:
    """One loop over units of a kernel.

    Args:
        rows: the preactivations in order.
        count: rows of weights of a unit, and constants of a unit in the bias.
        two: the rows are over x and h; else over h alone.
        apart: the result does not go where h lies, and may have another size.
        forms: of each operand, how each row is stored; () where all are int8.
    """

    rows: tuple[Row, ...]
    count: int
    constants: int
    two: bool = True
    apart: bool = False
    forms: Forms = ()


@dataclass(frozen=True)
class CKernel:
    """The C of one phase with the name @, and what its call has to give.

    Args:
        each: the loop over the units of a batch.
        driver: the kernel: all batches, with the products of their rows.
        state: whether it takes the state.
        kept: arrays that it writes or reads, name and C type.
        activation: the name of the activation that it is told, "" for none.
        curves: tables that it is given, by number.
        tables: those of runtime_c/lut.h that it reads.
    """

    each: str
    driver: str
    state: bool
    kept: tuple[tuple[str, str], ...]
    activation: str
    curves: tuple[tuple[int, IntegerActivation], ...]
    tables: tuple[str, ...]

    @property
    def text(self) -> str:
        """All of it."""
        return f"{self.each}\n\n{self.driver}"

    @property
    def code(self) -> str:
        """The text without comments: a candidate of ReLU has another LSB, and the same integers."""
        return re.sub(r"\s*/\*.*?\*/", "", self.text, flags=re.S)


def kernels(
    cell: Any, phases: Sequence[Phase], state: tuple[str, int, int] | None, numbers: Sequence[int], library: str = ""
) -> list[CKernel]:
    """The C of each phase of a text.

    Args:
        cell: called with preactivations, state and numbers; a text.
        state: name, exponent and largest magnitude of the state, None for none.
        numbers: the exponents of int16 numbers of each unit, behind its biases.
        library: prefix of functions that a target may replace, "" for a package's own.
    """
    k = CText()
    leaves = [[k.leaf(r.text, r.reach, r.exponent) for r in phase.rows] for phase in phases]
    first = phases[0]
    given = [
        k.leaf(f"rnnc_rom_i32(&b[{_at(first.constants - len(numbers) + j)}])", 32768, e) for j, e in enumerate(numbers)
    ]
    name, exponent, limit = state or ("", 0, 0)

    def rows(operand: Quantity) -> Quantity:
        k.store("h[k]", operand, "int16_t")
        k.phases.append([])
        return leaves[len(k.phases) - 1][0]

    h, s = run(cell(leaves[0], k.leaf(f"{name}[k]", limit, exponent) if state else None, given), rows)
    if s is not None:
        k.store(f"{name}[k]", s)
    k.store("h[k]", h, "int16_t")
    return [_kernel(k, i, phase, name, library) for i, phase in enumerate(phases)]


def _kernel(k: CText, i: int, phase: Phase, state: str, library: str) -> CKernel:
    body = "\n".join(k.phases[i])
    has_state = bool(state) and f"{state}[k]" in body
    kept = tuple((f"kept_{n}", t) for n, t in k.kept.items() if f"kept_{n}[k]" in body)
    named = k.named_activation if "(activation, " in body else None
    curves = tuple((j, f) for j, f in enumerate(k.curves) if f"rnnc_chord(curve{j}, " in body)
    used = [kind for kind in ("sigmoid", "tanh") if f"rnnc_{kind}(" in body or f"rnnc_{kind}_fine(" in body] + (
        [named.kind] if named else []
    )
    long = "rnnc_long_sigmoid(" in body
    tables = tuple(dict.fromkeys(t for kind in used + ["sigmoid"] * long for t in TABLES_OF[kind]))
    tables += ("fine_exp2",) * long
    own = CKernel("", "", has_state, kept, named.kind if named else "", curves, tables)
    each, driver = _each(own, phase, k.phases[i], state, library), _driver(own, phase, state, library)
    return replace(own, each="\n".join(each), driver="\n".join(driver))


def _each(own: CKernel, phase: Phase, statements: Sequence[str], state: str, library: str) -> list[str]:
    """The loop over the units of a batch."""
    operands = ["ax", "ah"] if phase.two else ["ah"]
    scales = ["x", "y"] if phase.two else ["y"]
    arguments = ["const int32_t *b", *(f"const uint32_t *{s}" for s in scales)]
    arguments += [f"const int32_t *{a}" for a in operands]
    arguments += [f"int32_t *{state}"] if own.state else []
    arguments += ["int16_t *h", *(f"{t} *{n}" for n, t in own.kept)]
    arguments += [f"const rnnc_chords *curve{j}" for j, _ in own.curves]
    arguments += ["uint16_t batch", "uint16_t n"] + (["uint8_t activation"] if own.activation else [])
    body = "\n".join(statements)
    used = [j for j in range(1, phase.constants) if re.search(rf"\b{_at(j)}\b", body)]
    at = [f"{_at(j)} = (uint16_t)(k + {_times(j)}batch)" for j in used]
    over = "x, y: scales of rows over x and h, ax, ah: their sums" if phase.two else "y: scales of rows, ah: their sums"
    lines = [
        f"/* The n <= batch units of a batch. b: constants, {over}, [each][batch].",
        f" * {f'{state}, ' if own.state else ''}h: [n]. */",
    ]
    lines += wrapped(f"static inline void {library or '@'}_each({', '.join(arguments)})", 0)
    lines += ["{", "    uint16_t k;"]
    lines += [] if used else ["    (void)batch;"]
    lines += ["    for (k = 0; k < n; k++) {"]
    lines += wrapped(f"uint16_t {', '.join(at)};", 8) if used else []
    for statement in statements:
        lines += wrapped(statement, 8)
    return [*lines, "    }", "}"]


def _driver(own: CKernel, phase: Phase, state: str, library: str) -> list[str]:
    """The kernel: all units in batches, rows by the target."""
    rows, two = phase.count, phase.two
    struct = "rnnc_curved_cell_params" if own.curves else "rnnc_cell_params"
    arguments = [
        f"const {struct} *p",
        *(["const void *x"] if two else []),
        *(["const void *h", "void *next"] if phase.apart else ["void *h"]),
    ]
    to, width = ("next", "width") if phase.apart else ("h", "units")
    arguments += [f"int32_t *{state}"] if own.state else []
    arguments += ["void *vx", "void *vh"] if two else ["void *vh"]
    arguments += [f"{t} *{n}" for n, t in own.kept]
    arguments += ["int16_t *out"] + (["uint8_t activation"] if own.activation else [])
    given = [f"&p->bias[{_times(phase.constants)}u]"]
    given += [f"&p->scale_{s}[{_times(rows)}u]" for s in ("xh" if two else "h")]
    given += ["ax", "ah"] if two else ["ah"]
    given += [f"&{state}[u]"] if own.state else []
    given += ["value", *(f"&{n}[u]" for n, _ in own.kept)]
    given += [f"&p->curve{j}" for j, _ in own.curves]
    given += ["batch", "n"] + (["activation"] if own.activation else [])
    units = f"{library}_units" if library else "@_each"
    batch = f"RNNC_BATCH({together(rows, phase.forms)})"
    operand = "    const void *operand = rnnc_prepared(vx, x, p->x_bits, p->columns);"
    prepare = [operand, "    uint16_t u;", f"    rnnc_prepare(vh, h, p->h_bits, p->{width});"]
    if not two:
        prepare = [f"    const void *operand = rnnc_prepared(vh, h, p->h_bits, p->{width});", "    uint16_t u;"]
    products = _products("ax", "operand", "p->x_bits", "p->columns", phase, 0) if two else []
    products += _products("ah", "vh" if two else "operand", "p->h_bits", f"p->{width}", phase, -1)
    return [
        f"/* One step. h: [{width}], the operand{'' if phase.apart else ', and where the new one goes'}. vx, vh: scratch.",
        f" * out: [units] int16, or 0 where {to} is the output. */",
        *wrapped(f"RNNC_CELL void @({', '.join(arguments)})", 0),
        "{",
        f"    enum {{ batch = {batch}, block = {_times(rows)}batch }};",
        "    const int8_t *w = p->weights;",
        *prepare,
        "    for (u = 0; u < p->units; u = (uint16_t)(u + batch)) {",
        f"        int32_t {'ax[block], ' if two else ''}ah[block];",
        f"        int16_t narrow[batch], *value = rnnc_units_at({to}, p->{to}_bits, u, narrow);",
        "        uint16_t n = rnnc_batch(batch, (uint16_t)(p->units - u));",
        *products,
        *wrapped(f"{units}({', '.join(given)});", 8),
        f"        rnnc_put_units({to}, p->{to}_bits, out, u, value, n);",
        "    }",
        "}",
    ]


def many_driver(own: CKernel, phase: Phase, state: str, units: str) -> str:
    """The kernel for several streams: the C of a function @, which reads each row of weights for all of them.

    Its ``at`` has, in the order of the kernel's arguments, what each of them is for each stream. ``units``: the loop over the
    units of a batch that the kernel for one stream calls.
    """
    rows, two = phase.count, phase.two
    to, width = ("next", "width") if phase.apart else ("h", "units")
    named = [*(["x"] if two else []), *(["h", "next"] if phase.apart else ["h"]), *([state] if own.state else [])]
    named += [*(["vx", "vh"] if two else ["vh"]), *(n for n, _ in own.kept), "out"]
    at = {name: f"at[{i}][k]" for i, name in enumerate(named)}
    types = {state: "int32_t", **dict(own.kept)}
    given = [
        f"&p->bias[{_times(phase.constants)}u]",
        *(f"&p->scale_{s}[{_times(rows)}u]" for s in ("xh" if two else "h")),
    ]
    given += ["ax[k]", "ah[k]"] if two else ["ah[k]"]
    given += [f"({types[n]} *){at[n]} + u" for n in ([state] if own.state else [])]
    given += ["value", *(f"({t} *){at[n]} + u" for n, t in own.kept), *(f"&p->curve{j}" for j, _ in own.curves)]
    given += ["batch", "left"] + (["activation"] if own.activation else [])
    struct = "rnnc_curved_cell_params" if own.curves else "rnnc_cell_params"
    arguments = [f"const {struct} *p", "size_t n", "void *const at[][RNNC_MANY]"]
    arguments += ["uint8_t activation"] if own.activation else []
    prepare = [f"rnnc_prepare({at['vh']}, {at['h']}, p->h_bits, p->{width});", f"vh[k] = {at['vh']};"]
    if not two:
        prepare = [f"vh[k] = rnnc_prepared({at['vh']}, {at['h']}, p->h_bits, p->{width});"]
    prepare += [f"vx[k] = rnnc_prepared({at['vx']}, {at['x']}, p->x_bits, p->columns);"] if two else []
    products = _products("ax[0]", "vx, n", "p->x_bits", "p->columns", phase, 0, many=True) if two else []
    products += _products("ah[0]", "vh, n", "p->h_bits", f"p->{width}", phase, -1, many=True)
    lines = [
        "/* The same of n streams over one pass of the weights: at has each argument of each stream. */",
        *wrapped(f"static void @({', '.join(arguments)})", 0),
        "{",
        f"    enum {{ batch = RNNC_BATCH({together(rows, phase.forms)}), block = {_times(rows)}batch }};",
        "    const int8_t *w = p->weights;",
        f"    const void *{'vx[RNNC_MANY], *' if two else ''}vh[RNNC_MANY];",
        "    uint16_t u;",
        "    size_t k;",
        "    for (k = 0; k < n; k++) {",
        *(f"        {line}" for line in prepare),
        "    }",
        "    for (u = 0; u < p->units; u = (uint16_t)(u + batch)) {",
        f"        int32_t {'ax[RNNC_MANY][block], ' if two else ''}ah[RNNC_MANY][block];",
        "        uint16_t left = rnnc_batch(batch, (uint16_t)(p->units - u));",
        *products,
        "        for (k = 0; k < n; k++) {",
        f"            int16_t narrow[batch], *value = rnnc_units_at({at[to]}, p->{to}_bits, u, narrow);",
        *wrapped(f"{units}({', '.join(given)});", 12),
        f"            rnnc_put_units({at[to]}, p->{to}_bits, (int16_t *){at['out']}, u, value, left);",
        "        }",
        "    }",
        "}",
    ]
    return "\n".join(lines)


def _products(
    acc: str, operand: str, bits: str, columns: str, phase: Phase, block: int, *, many: bool = False
) -> list[str]:
    """The rows of a batch times an operand: a call for each run of rows of one form; ``many``: of several streams."""
    forms = phase.forms[block] if phase.forms else ("int8",) * phase.count
    calls = []
    for first, count, form in runs(forms):
        to = f"{acc} + {_times(first)}batch" if first else acc
        rows = "block" if count == phase.count else f"{_times(count)}batch"
        product = "rnnc_product_few" if phase.forms and form == "int8" else PRODUCTS[form]
        if many:
            product, to = f"{product}_many", f"{to}, block"
        calls += wrapped(f"w = {product}({to}, w, {operand}, {bits}, {columns}, {rows});", 8)
    return calls


PRODUCTS = {"int8": "rnnc_product", "int16": "rnnc_product_wide", "sparse": "rnnc_product_sparse"}
"""Of a run of rows."""


def _times(n: int) -> str:
    return f"{n} * " if n > 1 else ""
