"""A network as a native module of MicroPython: functions over buffers, and a stream that is a bytearray."""

from __future__ import annotations

from typing import Any

from rnnc.backend.emit.ports import port_context
from rnnc.backend.program import ITEM_BYTES, Port, Program

CODES = {f"{u}int{bits}_t": code.upper() if u else code for u in ("", "u") for bits, code in ((8, "b"), (16, "h"))}
CODES |= {"int32_t": "i", "uint32_t": "I"}
"""Type codes of Python's arrays by types of C."""
ARCHITECTURES = {
    "cortex-m0": "armv6m",
    "cortex-m4": "armv7emsp",
    "cortex-m7": "armv7emdp",
    "rv32imc": "rv32imc",
    "xtensa": "xtensawin",
    "host": "x64",
}
"""MicroPython's name of the core of a target; cores that it has no name for run what is for armv7m."""


def micropython_context(program: Program) -> dict[str, Any]:
    """The context of the templates in packages/micropython."""
    inputs, outputs = ([_port(program, p) for p in ports] for ports in (program.inputs, program.outputs))
    for k, port in enumerate(outputs):
        none = f"all[{1 + len(inputs) + k}] == mp_const_none ? NULL : "
        port["null_where_none"] = none if program.continues else ""
    out = [f"out_{p['c_name']}" for p in outputs]
    return {
        "inputs": inputs,
        "outputs": outputs,
        "arguments": ", ".join(p["c_name"] for p in (*inputs, *outputs)),
        "passed": ", ".join([*(f"in_{p['c_name']}" for p in inputs), *out]),
        "flushed": ", ".join(out),
        "taken": 1 + len(inputs) + len(outputs),
        "returns": program.returns,
        "flush": program.flush is not None,
        "value_by_value": program.outputs[0].ticks if program.continues else 0,
        "arch": ARCHITECTURES.get(program.target.name, "armv7m"),
        "module_sources": f"src/module.c src/{program.name}_selftest.c",
    }


def _port(program: Program, port: Port) -> dict[str, Any]:
    return {
        "c_name": port.c_name,
        "ctype": port.format.ctype,
        "code": CODES[port.format.ctype],
        "bytes": port.size * ITEM_BYTES[port.format.ctype],
        "bytes_of_value": port.size * ITEM_BYTES[port.format.ctype] // max(port.ticks, 1),
        "comment": port_context(program, port, "takes")["comment"],
    }
