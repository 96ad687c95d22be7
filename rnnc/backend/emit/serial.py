"""The C that serves a network over a serial line: the board's side of verification.board_line."""

from __future__ import annotations

from typing import Any

from rnnc.backend.program import ITEM_BYTES, Port, Program


def serial_context(program: Program) -> dict[str, Any]:
    """The context of serial.c.j2."""
    inputs, outputs = ([_port(p) for p in ports] for ports in (program.inputs, program.outputs))
    out = [f"out_{p.c_name}_" for p in program.outputs]
    step = f"{program.name}_step({', '.join(['s', *(f'in_{p.c_name}_' for p in program.inputs), *out])});"
    flush = f"{program.name}_flush({', '.join(['s', *out])})" if program.flush else "0"
    return {
        "inputs": inputs,
        "outputs": outputs,
        "input_bytes": frame_bytes(program.inputs),
        "output_bytes": frame_bytes(program.outputs),
        "step": [f"wrote = {step}"] if program.returns else [step, "wrote = 1;"],
        "flush": f"wrote = {flush};",
    }


def frame_bytes(ports: tuple[Port, ...]) -> int:
    """The bytes of a step's inputs, or outputs, on the line."""
    return sum(p.size * ITEM_BYTES[p.format.ctype] for p in ports)


def serving_bytes(program: Program) -> int:
    """The bytes of frames on the stack of NAME_serve: the inputs as they come and in C, and the outputs."""
    return 2 * frame_bytes(program.inputs) + frame_bytes(program.outputs)


def _port(port: Port) -> dict[str, Any]:
    """``to`` and ``back``: casts between a pointer to its elements and one to signed ones of as many bits."""
    ctype = port.format.ctype
    bits = 8 * ITEM_BYTES[ctype]
    unsigned = ctype.startswith("u")
    return {
        "c_name": port.c_name,
        "ctype": ctype,
        "size": port.size,
        "bits": bits,
        "to": f"(int{bits}_t *)" if unsigned else "",
        "back": f"(const int{bits}_t *)" if unsigned else "",
    }
