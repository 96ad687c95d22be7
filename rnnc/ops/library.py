"""The kernels of recurrent layers that runtime_c holds: those of plain layers, which targets replace in part.

Their headers are written by `make golden`; all other units become functions of the package that needs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from rnnc.ctext import Phase, Row
from rnnc.language import GATE
from rnnc.ops.cells import CELL_FRACTION, CELL_MAX, SIGMOID_15, STATE_MAX, TANH_15, Unit, gru, lstm, rnn


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
    """A unit of runtime_c.

    Args:
        functions: of each loop over units, with a line of what it is.
        units: prefix of the functions NAME_each and NAME_units that a target may replace, "" for none.
    """

    functions: tuple[tuple[str, str], ...]
    unit: Unit
    phases: tuple[Phase, ...]
    units: str = ""


HEADERS: dict[str, tuple[Plain, ...]] = {
    "lstm.h": (
        Plain(
            (("rnnc_lstm", "LSTM: rows i o f g. c: [units]."),),
            Unit(lstm, state=("c", -CELL_FRACTION), limit=CELL_MAX),
            (rows("both", "both", "both", "both"),),
            "rnnc_lstm",
        ),
    ),
    "gru.h": (
        Plain(
            (("rnnc_gru_after", "GRU, linear_before_reset = 1: rows z r, n over x, n over h. s: [units]."),),
            Unit(gru, SIGMOID_15, TANH_15, state=("s", -29), limit=STATE_MAX),
            (rows("both", "both", "x", "h"),),
            "rnnc_gru",
        ),
        Plain(
            (
                ("rnnc_gru_reset", "GRU, linear_before_reset = 0, its first half: rows z r; r h becomes the operand."),
                ("rnnc_gru_before", "Its second half: row n over x and r h. s: [units]."),
            ),
            Unit(gru, SIGMOID_15, TANH_15, state=("s", -29), limit=STATE_MAX, reset_after=False),
            (rows("both", "both"), rows("both")),
        ),
    ),
    "rnn.h": (Plain((("rnnc_rnn", "RNN."),), Unit(rnn, TANH_15), (rows("both"),)),),
}


@cache
def library_functions() -> dict[str, tuple[str, str]]:
    """The function and the header of each text that runtime_c holds."""
    return {
        kernel.text: (function, header)
        for header, plains in HEADERS.items()
        for plain in plains
        for kernel, (function, _) in zip(plain.unit.kernels(plain.phases), plain.functions, strict=True)
    }


STEP = (
    "One step. x: [columns]. h: [width], the operand, and where the new one goes. vx, vh: scratch, x and h as\n"
    " * rnnc_product reads them. out: [units] int16, or 0 where h itself is the output."
)


def library_headers() -> dict[str, str]:
    """The text of each header, to be formatted."""
    found = {}
    for header, plains in HEADERS.items():
        guard = f"RNNC_{header.replace('.', '_').upper()}"
        parts = [
            "/* SPDX-License-Identifier: 0BSD */",
            f"#ifndef {guard}",
            f"#define {guard}",
            '/* Written by "make golden" from rnnc/ops/cells.py; do not edit. */',
            '#include "cell.h"',
            f"\n/* {STEP} */",
        ]
        for plain in plains:
            for kernel, (function, what) in zip(
                plain.unit.kernels(plain.phases, plain.units), plain.functions, strict=True
            ):
                name = plain.units
                macro = f"#ifndef {name.upper()}_UNITS\n#define {name}_units {name}_each\n#endif"
                parts += [f"\n{macro}"] if name else []
                parts.append(f"\n/* {what} */\n{kernel.text.replace('@', function)}")
        found[header] = "\n".join([*parts, "", "#endif", ""])
    return found
