"""What a network that is loaded as bytes says of itself, and how firmware calls it."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from rnnc.backend.program import Port, Program


def blob_context(program: Program) -> dict[str, Any]:
    """The context of the templates in packages/blob."""
    n = program.name
    inputs = [f"(const {p.format.ctype} *)inputs[{k}]" for k, p in enumerate(program.inputs)]
    outputs = [f"({p.format.ctype} *)outputs[{k}]" for k, p in enumerate(program.outputs)]
    step = f"{n}_step({', '.join([f'({n}_t *)s', *inputs, *outputs])});"
    return {
        "name": n,
        "upper": n.upper(),
        "inputs": [_port(p) for p in program.inputs],
        "outputs": [_port(p) for p in program.outputs],
        "step": [f"return {step}"] if program.returns else [step, "return 1;"],
        "flush": f"{n}_flush({', '.join([f'({n}_t *)s', *outputs])});" if program.flush else "",
        "functions": [f"{n}_{f}" for f in ("reset", "step", *(["flush"] if program.flush else []))],
        "continues": program.continues,
        "formats": f"{formats_id(program):08x}",
        "state_bytes": (program.cost.ram_state + program.cost.ram_scratch + 3) // 4 * 4,
    }


def formats_id(program: Program) -> int:
    """CRC-32 of what inputs and outputs are: names, shapes, and the meaning of their integers."""
    crc = 0
    for port in (*program.inputs, *program.outputs):
        f = port.format
        crc = zlib.crc32(f"{port.c_name} {f.ctype} {port.shape} {port.timing} {f.index} {f.zero_point}".encode(), crc)
        for numbers in (f.scale, f.offset):
            crc = zlib.crc32(np.ascontiguousarray(numbers, "<f8").tobytes(), crc)
    return crc


def _port(port: Port) -> dict[str, Any]:
    return {"c_name": port.c_name, "ctype": port.format.ctype, "size": port.size}
