"""The kernels of recurrent layers that runtime_c holds: those whose loop over units some target replaces.

Their headers are written by `make golden`; the kernels of all other layers become functions of the package that needs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from rnnc.language import GATE
from rnnc.ops.cells import CELL_FRACTION, CELL_MAX, STATE_MAX, Unit, gru, lstm
from rnnc.row_forms import Forms
from rnnc.unit_kernels import CKernel, Phase, Row


def rows(*operands: Literal["both", "x", "h"]) -> Phase:
    """Gates over x and h, and a row that is taken apart into "x" and "h"; all shifted by 8."""
    found: list[Row] = []
    count = sum(o != "h" for o in operands)
    for operand in operands:
        apart = operand == "h"
        index = len({r.index for r in found}) - apart
        found.append(Row(operand, index, count if apart else index, 8, GATE))
    return Phase(tuple(found), count, len(operands))


@dataclass(frozen=True, eq=False)
class Plain:
    """A kernel of runtime_c.

    Args:
        name: of its function.
        units: prefix of its loop over units, which a target may replace: the macro UNITS_units, the function UNITS_each.
        what: a line about it.
    """

    name: str
    units: str
    what: str
    unit: Unit
    phase: Phase


HEADERS = {
    "lstm.h": Plain(
        "rnnc_lstm",
        "rnnc_lstm",
        "LSTM: rows i o f g.",
        Unit(lstm, state=("c", -CELL_FRACTION), limit=CELL_MAX),
        rows("both", "both", "both", "both"),
    ),
    "gru.h": Plain(
        "rnnc_gru_after",
        "rnnc_gru",
        "GRU, linear_before_reset = 1: rows z r, n over x and over h.",
        Unit(gru, state=("s", -29), limit=STATE_MAX),
        rows("both", "both", "x", "h"),
    ),
}


@cache
def _headers() -> dict[str, str]:
    return {p.unit.kernels([p.phase])[0].code: header for header, p in HEADERS.items()}


def library_header(kernel: CKernel) -> str:
    """The header of runtime_c that holds a kernel, "" where there is none."""
    return _headers().get(kernel.code, "")


def library_headers() -> dict[str, str]:
    """The text of each header, to be formatted."""
    return {header: _header(f"RNNC_{header.replace('.', '_').upper()}", plain) for header, plain in HEADERS.items()}


def mixed_rows(plain: Plain, kernel: CKernel, forms: Forms) -> str:
    """The driver of a kernel some of whose rows are not int8, over the loop over units of ``plain``.

    A target may have a macro that replaces all of it and is told the wide rows of a unit over x and over h as bits. It is for
    candidates that are a tanh, and for rows that are not sparse.
    """
    own = f"{plain.units.upper()}_WIDE"
    head, text = kernel.driver.replace("@_each", f"{plain.units}_units").split("{\n", 1)
    if kernel.activation not in ("", "tanh") or any("sparse" in rows for rows in forms):
        return f"{head}{{\n{text}"
    batch, body = text.removesuffix("}").split("\n", 1)
    bits = ", ".join(str(sum(1 << i for i, form in enumerate(rows) if form == "int16")) for rows in forms)
    given = f"p, x, h, {plain.unit.state[0] if plain.unit.state else ''}, vx, vh, out, batch, {bits}"
    unused = "    (void)activation;\n" if kernel.activation else ""
    return (
        f"{head}{{\n{batch}\n#ifdef {own} /* of a target's own; rows of int16 weights as bits */\n{unused}"
        f"    {own}({given});\n#else\n{body}#endif\n}}"
    )


def _header(guard: str, plain: Plain) -> str:
    """A header. A target may have a macro of the kernel's name, which falls back on the generic one."""
    (kernel,) = plain.unit.kernels([plain.phase], plain.units)
    return f"""/* SPDX-License-Identifier: 0BSD */
#ifndef {guard}
#define {guard}
/* {plain.what} Written by "make golden" from rnnc/ops/cells.py; do not edit. */
#include "cell.h"

#ifndef {plain.units.upper()}_UNITS
#define {plain.units}_units {plain.units}_each
#endif

{kernel.each.replace("@", plain.name)}

#ifdef {plain.name} /* a target's own, which falls back on this one */
#define {plain.name.upper()}_GENERIC {plain.name}_generic
#else
#define {plain.name.upper()}_GENERIC {plain.name}
#endif
{kernel.driver.replace("@", f"{plain.name.upper()}_GENERIC")}

#endif
"""
