"""The header that hands over what one network has found out to another."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnc.backend.accessors import Accessor
from rnnc.backend.emit import render
from rnnc.backend.link import Conversion, Handover
from rnnc.backend.program import Port, Program
from rnnc.fixed import Ints


def link_header(first: Program, second: Program, found: list[Handover]) -> dict[str, str]:
    """The header that hands over: file name to text."""
    name = f"{first.name}_to_{second.name}"
    states = [h for h in found if isinstance(h.pieces[0][0], Accessor)]
    inputs = [h for h in found if isinstance(h.pieces[0][0], Port)]
    text = render(
        "link.h.j2",
        name=name,
        upper=name.upper(),
        first=first.name,
        second=second.name,
        states=[_context(name, h) for h in states],
        inputs=[_context(name, h) for h in inputs],
        multiplies=any(h.source.format.bits == 32 for h in found),
        parameters=", ".join(f"const {h.source.format.ctype} {_parameter(h)}[{h.source.size}]" for h in states),
    )
    return {f"{name}.h": text}


def _parameter(handover: Handover) -> str:
    return f"from_{handover.source.c_name}"


def _context(name: str, handover: Handover) -> dict[str, Any]:
    pieces = [_piece(name, handover, *piece) for piece in handover.pieces]
    return {
        "source": _parameter(handover),
        "ctype": handover.source.format.ctype,
        "size": handover.source.size,
        "comment": f"{handover.source.name} ({handover.source.format}) to {handover.target}",
        "pieces": pieces,
    }


def _piece(name: str, handover: Handover, to: Accessor | Port, elements: Ints, by: Conversion) -> dict[str, Any]:
    own = to.name if isinstance(to, Accessor) else to.c_name
    apart = len(by.m) > 1
    gathered = not np.array_equal(elements, np.arange(len(elements)))
    tables = [("m", "int16_t", by.m), ("s", "int8_t", by.s)] if apart else []
    tables += [("at", "uint16_t", elements)] if gathered else []
    at = "at[i]" if gathered else "i"
    value = f"(int32_t){_parameter(handover)}[{at}]"
    value = f"{value} - {by.source.zero_point}" if by.source.zero_point else value
    m, s = ("m[i]", "s[i]") if apart else (str(int(by.m[0])), str(int(by.s[0])))
    product = f"{name}_multiply({value}, {m})" if by.source.bits == 32 else f"({value}) * {m}"
    convert = f"{name}_shift({product}, {s}, {by.target.hi})"
    return {
        "name": own,
        "ctype": by.target.ctype,
        "size": len(elements),
        "comment": str(by.target),
        "tables": [
            {"name": n, "ctype": ctype, "size": len(data), "text": ", ".join(map(str, data.tolist()))}
            for n, ctype, data in tables
        ],
        "value": f"({by.target.ctype})({convert})",
    }
