"""A network as Rust sees it: a stream with room for the C's, and its functions over arrays of fixed length."""

from __future__ import annotations

from typing import Any

from rnnc.backend.emit.ports import port_context
from rnnc.backend.identity import model_id
from rnnc.backend.program import Port, Program

NUMBERS = {f"{u}int{bits}_t": f"{'u' if u else 'i'}{bits}" for u in ("", "u") for bits in (8, 16, 32)}
"""Types of Rust by those of C."""


def rust_context(program: Program, header_and_crc: int) -> dict[str, Any]:
    """The context of the templates in packages/rust.

    Args:
        header_and_crc: bytes of a saved state beside the states.
    """
    inputs, outputs = program.inputs, program.outputs
    given = [f"in_{p.c_name}: &[{_type(p)}; {_length(p)}]" for p in inputs]
    written = [f"out_{p.c_name}: &mut [{_type(p)}; {_length(p)}]" for p in outputs]
    sent = [f"in_{p.c_name}.as_ptr()" for p in inputs]
    received = [f"out_{p.c_name}.as_mut_ptr()" for p in outputs]
    foreign = [f"out_{p.c_name}: *mut {_type(p)}" for p in outputs]
    return {
        "ports": [_port(program, p) for p in (*inputs, *outputs)],
        "model_id": f"0x{model_id(program.qnet):08x}",
        "blob_len": program.saved_bytes + header_and_crc,
        "foreign": ", ".join([*(f"in_{p.c_name}: *const {_type(p)}" for p in inputs), *foreign]),
        "foreign_outputs": ", ".join(foreign),
        "parameters": ", ".join([*given, *written]),
        "arguments": ", ".join([*sent, *received]),
        "output_parameters": ", ".join(written),
        "output_arguments": ", ".join(received),
        "returns": program.returns,
        "flush": program.flush is not None,
        **_value_by_value(program, given, sent),
        "stream_bytes": stream_bytes(program),
    }


def _value_by_value(program: Program, given: list[str], sent: list[str]) -> dict[str, Any]:
    """What NAME_next adds, where there is one: outputs of one value of an answer, and calls without them."""
    ports = program.outputs if program.continues else ()
    return {
        "next_outputs": ", ".join(f"out_{p.c_name}: &mut [{_type(p)}; {_length(p)} / {p.ticks}]" for p in ports),
        "values": ports[0].ticks if ports else 0,
        "input_parameters": ", ".join(given),
        "unanswered": ", ".join([*sent, *("core::ptr::null_mut()" for _ in ports)]),
    }


def stream_bytes(program: Program) -> int:
    """Bytes that hold the struct of C with any padding: less than 4 bytes before each field."""
    fields = len(program.members) + len(program.counters) + len(program.scratch)
    fields += len(program.overlap.rings) + len(program.overlap.counters) if program.overlap else 0
    windows = program.overlap.lanes if program.overlap else 1
    bound = program.cost.ram_state + program.cost.ram_scratch + 4 * windows * (fields + 1)
    return (bound + 7) // 8 * 8


def _type(port: Port) -> str:
    return NUMBERS[port.format.ctype]


def _length(port: Port) -> str:
    return f"{port.c_name.upper()}_LEN"


def _port(program: Program, port: Port) -> dict[str, Any]:
    """Its comment, and the constants that the C's macros are: FRAC, SCALE, OFFSET."""
    f, upper = port.format, port.c_name.upper()
    constants = []
    for define in port_context(program, port, "gives")["defines"][1:]:
        name, value = define.split(" ", 1)
        kind = name.removeprefix(f"{program.name.upper()}_{upper}_")
        text = value.strip("()").removesuffix("f")
        constants.append((kind, f"i32 = {text}" if kind == "FRAC" else f"f32 = {text}"))
    return {
        "c_name": port.c_name,
        "upper": upper,
        "size": port.size,
        "constants": constants,
        "comment": "row numbers" if f.index else f"{f}, {port.timing}",
    }
