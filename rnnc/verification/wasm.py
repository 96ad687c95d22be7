"""The generated C as WebAssembly, in report.html and as a package: the same source, so the same bits."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from rnnc.backend.emit import render
from rnnc.backend.layouts import Contents
from rnnc.backend.program import Member, Program
from rnnc.errors import MissingTool, VerificationError
from rnnc.files import write_files
from rnnc.interruption import TemporaryFolder
from rnnc.verification.tools import run_tool

NEEDED = {"clang": "clang", "wasm-ld": "lld"}
"""Commands, and the Debian packages that hold them."""
FLAGS = ("--target=wasm32", "-std=c99", "-O2", "-DRNNC_PLAIN", "-nostdlib", "-Wl,--no-entry", "-Wl,--strip-all")
LICENCE = "/* SPDX-License-Identifier: 0BSD */"
STRING_H = """
#include <stddef.h>
void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
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

/* clang makes calls of this of loops that copy. */
__attribute__((no_builtin)) void *memmove(void *to, const void *from, size_t n)
{{
    unsigned char *d = to;
    const unsigned char *s = from;
    size_t i;
    for (i = 0; i < n; i++) {{
        size_t k = d < s ? i : n - 1 - i;
        d[k] = s[k];
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


OF_PACKAGE = """
/* The state as bytes, and the golden vectors. */
static uint8_t saved[{upper}_BLOB_LEN];

EXPORT(saved) void *rnnc_saved(void) {{ return saved; }}
EXPORT(room) int rnnc_room(void) {{ return {upper}_BLOB_LEN; }}
EXPORT(save) int rnnc_save(void) {{ return (int){name}_save(&s, saved); }}
EXPORT(restore) int rnnc_restore(int n) {{ return {name}_restore(&s, saved, (size_t)n); }}
EXPORT(selftest) int rnnc_selftest(void) {{ return {name}_selftest(&s); }}

__attribute__((no_builtin)) int memcmp(const void *a, const void *b, size_t n)
{{
    const unsigned char *p = a, *q = b;
    for (; n; n--, p++, q++) {{
        if (*p != *q) {{
            return *p < *q ? -1 : 1;
        }}
    }}
    return 0;
}}
"""
SOURCE, LIBRARY = "module.c", "libc"
"""Of a package: its shim, and the folder of the header of the C library."""


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
        _compile(here, [*FLAGS, "-I", "shim", "-I", ".", *sources])
        return (here / "net.wasm").read_bytes()


def wasm_files(contents: Contents, files: Mapping[str, str]) -> dict[str, str | bytes]:
    """The module and what builds it, of a package whose C lies in src/.

    Raises MissingTool without clang and wasm-ld, VerificationError where the C does not compile.
    """
    absent = missing()
    if absent:
        needed = " and ".join(NEEDED)
        raise MissingTool(f"--package wasm: {needed} make the module", hint=f"apt-get install {' '.join(absent)}")
    (program,) = contents.programs
    n, flags = program.name, [*FLAGS, "-Isrc", f"-I{LIBRARY}"]
    sources = [f"src/{file}" for file in (f"{n}.c", f"{n}_state.c", f"{n}_selftest.c", SOURCE)]
    context = {"name": contents.name, "cflags": " ".join(flags), "module_sources": " ".join(sources)}
    added = {
        "Makefile": render("packages/wasm/Makefile.j2", **context),
        f"src/{SOURCE}": LICENCE + _shim(program) + OF_PACKAGE.format(name=n, upper=n.upper()),
        f"{LIBRARY}/string.h": LICENCE + STRING_H,
    }
    with TemporaryFolder() as folder:
        here = Path(folder)
        write_files(here, {**files, **added})
        _compile(here, [*flags, *sources])
        return {**added, f"{contents.name}.wasm": (here / "net.wasm").read_bytes()}


def _compile(here: Path, arguments: Sequence[str]) -> None:
    done = run_tool(["clang", *arguments, "-o", "net.wasm"], here)
    if done.returncode:
        first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[:300])
        raise VerificationError(f"the generated C does not compile as WebAssembly: {first}")


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
