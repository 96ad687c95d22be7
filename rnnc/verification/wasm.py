"""The generated C as WebAssembly, which report.html runs: the same source, so the same bits."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from rnnc.backend.program import Member, Program
from rnnc.errors import VerificationError
from rnnc.files import write_files
from rnnc.interruption import TemporaryFolder
from rnnc.verification.tools import run_tool

NEEDED = {"clang": "clang", "wasm-ld": "lld"}
"""Commands, and the Debian packages that hold them."""
FLAGS = ("--target=wasm32", "-std=c99", "-O2", "-DRNNC_PLAIN", "-nostdlib", "-Wl,--no-entry", "-Wl,--strip-all")
STRING_H = """
#include <stddef.h>
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
"""
SHIM = """
#include <string.h>
#include "{name}.h"
#define EXPORT(name) __attribute__((export_name(#name)))

static {name}_t s;
{buffers}

EXPORT(reset) void rnnc_reset(void) {{ {name}_reset(&s); }}
EXPORT(step) int rnnc_step(void) {{ {step} }}
EXPORT(flush) int rnnc_flush(void) {{ {flush} }}
EXPORT(input) void *rnnc_input(int k) {{ void *const all[] = {{{inputs}}}; return all[k]; }}
EXPORT(output) void *rnnc_output(int k) {{ void *const all[] = {{{outputs}}}; return all[k]; }}
EXPORT(state) void *rnnc_state(int k) {{ void *const all[] = {{{states}}}; return all[k]; }}

__attribute__((no_builtin)) void *memcpy(void *to, const void *from, size_t n)
{{
    size_t i;
    for (i = 0; i < n; i++) {{
        ((unsigned char *)to)[i] = ((const unsigned char *)from)[i];
    }}
    return to;
}}

__attribute__((no_builtin)) void *memset(void *to, int byte, size_t n)
{{
    size_t i;
    for (i = 0; i < n; i++) {{
        ((unsigned char *)to)[i] = (unsigned char)byte;
    }}
    return to;
}}
"""


def missing() -> list[str]:
    """The Debian packages without which there is no WebAssembly here."""
    return [package for command, package in NEEDED.items() if not shutil.which(command)]


def build_wasm(program: Program, files: Mapping[str, str]) -> bytes:
    """The module: reset, step, flush, and where inputs, outputs and states stand, by number.

    Needs what ``missing`` names; raises VerificationError where the C does not compile.
    """
    with TemporaryFolder() as folder:
        here = Path(folder)
        write_files(here, {**files, "shim/string.h": STRING_H, "shim.c": _shim(program)})
        sources = [f"{program.name}.c", "shim.c"]
        done = run_tool(["clang", *FLAGS, "-I", "shim", "-I", ".", *sources, "-o", "net.wasm"], here)
        if done.returncode:
            first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[:300])
            raise VerificationError(f"the generated C does not compile as WebAssembly: {first}")
        return (here / "net.wasm").read_bytes()


def shown_states(program: Program) -> list[Member]:
    """The states that the module shows: none where windows overlap, each of which has its own; no rounded copy of another."""
    return [] if program.overlap else [m for m in program.members if not m.state.follows]


def _shim(program: Program) -> str:
    inputs = [f"in{k}" for k, _ in enumerate(program.inputs)]
    outputs = [f"out{k}" for k, _ in enumerate(program.outputs)]
    ports = [*zip(inputs, program.inputs, strict=True), *zip(outputs, program.outputs, strict=True)]
    call = f"{program.name}_step(&s, {', '.join([*inputs, *outputs])});"
    return SHIM.format(
        name=program.name,
        buffers="\n".join(f"static {p.format.ctype} {name}[{p.size}];" for name, p in ports),
        step=f"return {call}" if program.returns else f"{call} return 1;",
        flush=f"return {program.name}_flush(&s, {', '.join(outputs)});" if program.flush else "return 0;",
        inputs=", ".join(inputs),
        outputs=", ".join(outputs),
        states=", ".join([*(f"(void *)&s.{m.c_name}" for m in shown_states(program)), "0"]),
    )
