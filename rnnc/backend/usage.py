"""The example of use that the header carries and ``rnnc compile`` prints: C that compiles as it stands."""

from __future__ import annotations

from rnnc.backend.program import Port, Program


def usage(program: Program) -> list[str]:
    """Lines of C: a stream, its start, and what to do with each frame."""
    n = program.name
    lines = [f'#include "{n}.h"', "", f"static {n}_t s; // one stream; each sensor has its own", ""]
    lines += ["void start(void)", "{", f"    {n}_reset(&s);", "}", ""]
    lines += [*_signature("on_frame", [f"const {_array(program, p)}" for p in program.inputs]), "{"]
    lines += [f"    {_array(program, p)};" for p in program.outputs]
    inputs, outputs = ([p.c_name for p in ports] for ports in (program.inputs, program.outputs))
    lines += [f"    {line}" for line in _call("if", f"{n}_step(", ["&s", *inputs, *outputs], program.returns, outputs)]
    lines.append("}")
    if program.flush:
        lines += ["", "void on_end(void) // of the sequence: what the network still owes", "{"]
        lines += [f"    {_array(program, p)};" for p in program.outputs]
        lines += [f"    {line}" for line in _call("while", f"{n}_flush(", ["&s", *outputs], True, outputs)]
        lines += [f"    {n}_reset(&s);", "}"]
    return lines


def _array(program: Program, port: Port) -> str:
    length = f"{program.name}_{port.c_name}_LEN".upper()
    return f"{port.format.ctype} {port.c_name}[{length}]"


def _signature(name: str, parameters: list[str]) -> list[str]:
    one = f"void {name}({', '.join(parameters)})"
    if len(one) <= 100:
        return [one]
    return [f"void {name}(", *(f"    {p}{',' if i < len(parameters) - 1 else ')'}" for i, p in enumerate(parameters))]


def _call(keyword: str, function: str, arguments: list[str], tells: bool, outputs: list[str]) -> list[str]:
    use = f"// {', '.join(outputs)}: new here"
    call = f"{function}{', '.join(arguments)})"
    return [f"{keyword} ({call}) {{", f"    {use}", "}"] if tells else [f"{call};", use]
