"""The example of use that the header carries and ``rnnc compile`` prints: C that compiles as it stands. And
what to do with a package."""

from __future__ import annotations

from rnnc.backend.program import Port, Program
from rnnc.options import Layout

USE: dict[Layout, str] = {
    "arduino": "Copy the folder to `libraries/` of the sketchbook and restart the IDE. `File > Examples > {library}`: "
    "`{name}_selftest` runs the self-test, `{name}_serve` serves the network to a computer.",
    "zephyr": "A module: `list(APPEND ZEPHYR_EXTRA_MODULES FOLDER)` before Zephyr is found, `CONFIG_RNNC_{upper}=y` in "
    "`prj.conf`. `west build -b BOARD samples/serve && west flash` makes firmware that serves the network to a computer.",
    "esp-idf": "A component: in a project's `components/` it is found, `REQUIRES` its folder's name uses it. "
    "`idf.py set-target CHIP flash` in `examples/serve` makes firmware that serves the network to a computer.",
    "cmake": "`add_subdirectory(FOLDER)` and `target_link_libraries(firmware PRIVATE rnnc::{name})`.",
    "platformio": "Copy the folder to the project's `lib/`.",
    "baremetal": "`make run` runs the self-test in an emulator. `make serve.elf` builds firmware that serves the network to a "
    "computer; for a board of your own change what the head of the `Makefile` names.",
    "rust": "A crate, `no_std`, without dependencies: `rnnc_{name} = {{ path = FOLDER }}` in `Cargo.toml`. `build.rs` compiles "
    "the C; `cargo test` runs the self-test on the computer.",
    "micropython": "A native module of MicroPython: `make MPY_DIR=FOLDER ARCH=armv7emsp` with its sources builds `{name}.mpy`; "
    "copied to the board, `import {name}` finds it, and `selftest.py` runs the self-test.",
    "cmsis-pack": "A CMSIS-Pack: `cpackget add {pack}`, then the component `Machine Learning:rnnc:{name}`. It holds "
    "`{pack_name}.pdsc` and `src/`.",
    "wasm": "A module of WebAssembly with its script: `new Stream(await load()).step(frame)` of `index.mjs`, in a page or in "
    "Node.js. `make` builds `{name}.wasm` anew, `make test` runs the self-test.",
    "blob": "`make` builds `{name}.blob`: the network as bytes that run at any address that is a multiple of 16. Firmware "
    "includes `src/{name}_blob.h` and `src/rnnc/network.h`, which checks and calls it; the caller keeps the state.",
}
"""What to do with a package, for its README."""


def usage(program: Program) -> list[str]:
    """Lines of C: a stream, its start, and what to do with each frame; where the file ends after T steps, until its end."""
    n, net = program.name, program.qnet.net
    lines = [f'#include "{n}.h"', ""]
    lines += [f"// {line}" for line in going_on(program)]
    lines += [f"static {n}_t s; // one stream; each sensor has its own"]
    frames = _free("frames", program)
    counter = "uint16_t" if net.restarts < 1 << 16 else "uint32_t"
    lines += [f"static {counter} {frames}; // frames since the start"] if net.restarts else []
    lines += ["", "void start(void)", "{", f"    {n}_reset(&s);"]
    lines += [*([f"    {frames} = 0;"] if net.restarts else []), "}", ""]
    lines += [*_signature("on_frame", [f"const {_array(program, p)}" for p in program.inputs]), "{"]
    lines += [f"    {_array(program, p)};" for p in program.outputs]
    inputs, outputs = ([p.c_name for p in ports] for ports in (program.inputs, program.outputs))
    step = f"{n}_step({', '.join(['&s', *inputs, *outputs])})"
    body = _call("if", step, program.returns, _new(program))
    lines += [f"    {line}" for line in (_until_the_end(program, frames, step, body) if net.restarts else body)]
    lines.append("}")
    if program.continues:
        lines += ["", *_step_by_step(program)]
    if program.flush and not net.restarts:
        lines += ["", "void on_end(void) // of the sequence: what the network still owes", "{"]
        lines += [f"    {_array(program, p)};" for p in program.outputs]
        lines += [f"    {line}" for line in [*_flushed(program), f"{n}_reset(&s);"]]
        lines.append("}")
    return lines


def _step_by_step(program: Program) -> list[str]:
    """The same with the answer of a window one value a call, each about as long as a step."""
    n, inputs, outputs = program.name, [p.c_name for p in program.inputs], [p.c_name for p in program.outputs]
    arrays = [f"{p.format.ctype} {p.c_name}[{f'{n}_{p.c_name}_LEN'.upper()} / {p.ticks}]" for p in program.outputs]
    body = _call("while", f"{n}_next({', '.join(['&s', *outputs])})", True, f"{', '.join(outputs)}: the next value")
    return [
        *_signature("on_frame_step_by_step", [f"const {_array(program, p)}" for p in program.inputs]),
        "{",
        f"    if ({n}_step({', '.join(['&s', *inputs, *['0'] * len(outputs)])})) {{",
        *(f"        {array};" for array in arrays),
        *(f"        {line}" for line in body),
        "    }",
        "}",
    ]


def going_on(program: Program) -> list[str]:
    """What to know of a file that starts anew where the C goes on: nothing where it does not."""
    n, steps = program.name, program.qnet.net.restarts
    if not steps:
        return []
    return [
        f"It starts anew every {steps} steps in the file; this C goes on. Call {n}_reset every {steps} steps,",
        f"as here, or compile with --window {steps} --hop K for the file's answer to the newest {steps} frames.",
    ]


def _until_the_end(program: Program, frames: str, step: str, body: list[str]) -> list[str]:
    """A step of a file that ends after so many, and what its end is."""
    n, net = program.name, program.qnet.net
    once = [p.c_name for p in program.outputs if p.kind == "last"]
    lines = body if len(once) < len(program.outputs) else [f"{step};"]
    answer = [f"// {', '.join(once)}: the file's answer to these {net.restarts} frames"] if once else []
    end = [*answer, *(_flushed(program) if program.flush else []), f"{n}_reset(&s);", f"{frames} = 0;"]
    return [*lines, f"if (++{frames} == {net.restarts}) {{", *(f"    {line}" for line in end), "}"]


def _flushed(program: Program) -> list[str]:
    arguments = ", ".join(["&s", *(p.c_name for p in program.outputs)])
    return _call("while", f"{program.name}_flush({arguments})", True, _new(program))


def _new(program: Program) -> str:
    """What there is to say of outputs that were written."""
    outputs = ", ".join(p.c_name for p in program.outputs)
    if program.window:
        return f"{outputs}: the answer to the newest {program.window} frames"
    return f"{outputs} now holds a new output" if len(program.outputs) == 1 else f"{outputs} now hold new outputs"


def _free(name: str, program: Program) -> str:
    """A name that no argument of step has."""
    while name in {p.c_name for p in (*program.inputs, *program.outputs)}:
        name += "_"
    return name


def _array(program: Program, port: Port) -> str:
    length = f"{program.name}_{port.c_name}_LEN".upper()
    return f"{port.format.ctype} {port.c_name}[{length}]"


def _signature(name: str, parameters: list[str]) -> list[str]:
    one = f"void {name}({', '.join(parameters)})"
    if len(one) <= 100:
        return [one]
    return [f"void {name}(", *(f"    {p}{',' if i < len(parameters) - 1 else ')'}" for i, p in enumerate(parameters))]


def _call(keyword: str, call: str, tells: bool, what: str) -> list[str]:
    return [f"{keyword} ({call}) {{", f"    // {what}", "}"] if tells else [f"{call};", f"// {what}"]
