"""What inputs and outputs mean: their comments and macros in the header, and the helpers that take and give real numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnc.backend.emit.spelling import wrapped
from rnnc.backend.program import Port, Program
from rnnc.fixed import Floats, multiplier

MULTIPLIER_BITS = 15
"""A count times a multiplier fits 32 bits."""


def port_context(program: Program, port: Port, verb: str) -> dict[str, Any]:
    """Comment and macros of an input (``verb`` "takes") or output ("gives")."""
    upper, f = f"{program.name}_{port.c_name}".upper(), port.format
    defines = [f"{upper}_LEN {port.size}"]
    if f.index:
        meaning = f"row number 0 .. {f.hi}"
    elif f.fraction is not None:
        defines.append(f"{upper}_FRAC {f.fraction}")
        meaning = f"{f}, real = {port.c_name} / {2**f.fraction}, {f.lo * f.scale[0]:.6g} .. {f.hi * f.scale[0]:.6g}"
    else:
        defines += [f"{upper}_SCALE {_literal(f.scale[0])}"] if f.uniform else []
        defines += [f"{upper}_OFFSET {_literal(f.offset[0])}"] if f.offset.any() and f.offset.size == 1 else []
        meaning = f"real = {_meaning(program, port)}"
    shape = " x ".join(map(str, port.shape)) or "1"
    timing = "" if verb == "takes" else f", {port.timing}"
    return {"comment": f"{port.c_name}: {shape} {f.ctype}{timing}; {meaning}", "defines": defines}


def _meaning(program: Program, port: Port) -> str:
    """A real number in terms of a count, by macros or by the tables of the helpers."""
    f, stem = port.format, f"{program.name}_{port.c_name}"
    by_channel = not f.uniform or f.offset.size > 1
    count = f"({port.c_name} - {f.zero_point})" if f.zero_point else f"{port.c_name}{'[i]' if by_channel else ''}"
    scale = f"{stem.upper()}_SCALE" if f.uniform else f"{stem}_scale[i]"
    offset = f"{stem.upper()}_OFFSET" if f.offset.size == 1 else f"{stem}_offset[i]"
    where = f" ({program.name}_float.h)" if by_channel else ""
    return f"{count} * {scale}{f' + {offset}' if f.offset.any() else ''}{where}"


def loop_lines(program: Program) -> list[str]:
    """C that hands an output back as an input of as many numbers: by a shift where the ratio of their LSBs is one.

    Such pairs are those of equal size whose formats are the same for all channels and have no offset.
    """
    lines = []
    for y in program.outputs:
        for x in program.inputs:
            if y.size == x.size and y.format.bits == x.format.bits == 16 and _plain(x) and _plain(y):
                lines += _loop(program, y, x)
    return lines


def _plain(port: Port) -> bool:
    f = port.format
    return f.uniform and not (f.index or f.zero_point or f.offset.any())


def _loop(program: Program, y: Port, x: Port) -> list[str]:
    """The macros of one pair: shift alone, or multiplier and shift."""
    ratio = float(y.format.scale[0] / x.format.scale[0])
    stem, exponent = f"{program.name}_{y.c_name}_to_{x.c_name}".upper(), np.log2(ratio)
    if exponent == np.floor(exponent) and abs(exponent) < MULTIPLIER_BITS:
        e = int(exponent)
        how = (
            "the same integers" if e == 0 else f"{y.c_name} * {1 << e}" if e > 0 else f"{y.c_name} / {1 << -e}, rounded"
        )
        return [f"/* {y.c_name} fed back as {x.c_name}: {how}, saturated to int16 */", f"#define {stem}_SHIFT {e}"]
    if not 2.0**-MULTIPLIER_BITS < ratio < 2.0**MULTIPLIER_BITS:
        return []
    m, s = multiplier(np.array([ratio]), MULTIPLIER_BITS)
    how = f"({y.c_name} * (int32_t){stem}_M + ((int32_t)1 << {stem}_S >> 1)) >> {stem}_S"
    told = f"/* {y.c_name} fed back as {x.c_name}: {how}, saturated to int16 */"
    return [told, f"#define {stem}_M {int(m[0])}", f"#define {stem}_S {int(s[0])}"]


def float_context(program: Program) -> dict[str, Any]:
    """The helpers between real numbers and integers."""
    real_in = [p for p in program.inputs if not p.format.index]
    real_out = [p for p in program.outputs if not p.format.index]
    tables = []
    for p in [*real_in, *real_out]:
        if not p.format.uniform:
            tables.append(_table(program, p, "scale", f"real units per LSB of {p.c_name}", p.format.scale))
        if p.format.offset.size > 1:
            tables.append(_table(program, p, "offset", f"real units that 0 of {p.c_name} means", p.format.offset))
    inputs, outputs = ([_helper(program, p) for p in ports] for ports in (real_in, real_out))
    return {"tables": tables, "inputs": inputs, "outputs": outputs}


def _table(program: Program, port: Port, what: str, comment: str, values: Floats) -> dict[str, Any]:
    text = wrapped(", ".join(map(_literal, values)))
    return {"comment": comment, "symbol": f"{program.name}_{port.c_name}_{what}", "length": port.size, "text": text}


def _helper(program: Program, p: Port) -> dict[str, Any]:
    f, stem = p.format, f"{program.name}_{p.c_name}"
    scale = _literal(f.scale[0]) if f.uniform else f"{stem}_scale[i]"
    offset = _literal(f.offset[0]) if f.offset.size == 1 else f"{stem}_offset[i]"
    less, more = (f" {sign} {offset}" if f.offset.any() else "" for sign in "-+")
    return {
        "c_name": p.c_name,
        "size": p.size,
        "ctype": f.ctype,
        "real": f"(float){f'(q[i] - {f.zero_point})' if f.zero_point else 'q[i]'} * {scale}{more}",
        "arguments": f"real[i]{less}, {scale}, {f.zero_point}, {f.lo}, {f.hi}",
    }


def _literal(x: float | Floats) -> str:
    text = f"{float(x):.9g}"
    text = text if "." in text or "e" in text else f"{text}.0"
    return f"({text}f)" if text.startswith("-") else f"{text}f"
