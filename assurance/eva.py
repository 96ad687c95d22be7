"""Frama-C Eva over the emitted C of small networks: no undefined behaviour from any state that restore takes, for any input.

One call of each function is analysed, not a sequence: the state before it is whatever a blob can hold. The loop counts that are
``volatile`` for the compiler's sake are plain variables here; nothing else of the C is changed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from rnnc.backend.program import Program
from rnnc.files import write_files
from tests.support.covering import NETWORKS, covering
from tests.support.packages import package

MACHINES = ("x86_16", "x86_32", "ppc_32")
"""16-bit int; 32-bit int; big-endian with an unsigned char."""
QUICK = ("lstm-0", "dense-0", "norm-0", "queue")
PATIENCE = 600
"""Seconds after which an analysis is given up."""
OPTIONS = (
    "-eva -eva-precision 3 -eva-auto-loop-unroll 300 -eva-no-show-progress -kernel-warn-key annot:missing-spec=inactive"
)
COUNT = "volatile uint16_t count"
MAIN = """
#include "NAME.c"
#include "NAME_state.c"
#include "__fc_builtin.h"

int main(void)
{
    static NAME_t s;
    static uint8_t blob[UPPER_BLOB_LEN];
DECLARED
    NAME_reset(&s);
    NAME_save(&s, blob);
    Frama_C_make_unknown((char *)blob, sizeof blob);
UNKNOWN
    if (NAME_restore(&s, blob, sizeof blob) == 0) {
        if (Frama_C_interval(0, 1)) {
CALLS
        }
        NAME_save(&s, blob);
    }
    return 0;
}
"""


def available() -> bool:
    """Whether Frama-C is installed (Debian: frama-c-base)."""
    return shutil.which("frama-c") is not None


def entry(program: Program) -> str:
    """A program that calls everything once."""
    ports = [("x", p) for p in program.inputs] + [("y", p) for p in program.outputs]
    names = [f"{kind}{k}" for k, (kind, _) in enumerate(ports)]
    declared = [f"    static {p.format.ctype} {name}[{p.size}];" for name, (_, p) in zip(names, ports, strict=True)]
    unknown = [f"    Frama_C_make_unknown((char *){n}, sizeof {n});" for n in names if n[0] == "x"]
    results = ", ".join(["&s", *(n for n in names if n[0] == "y")])
    calls = [f"            (void){program.name}_step({', '.join(['&s', *names])});"]
    if program.continues:
        calls.append(f"            (void){program.name}_next({results});")
    if program.flush:
        calls.append(f"        }} else {{\n            (void){program.name}_flush({results});")
    text = MAIN.replace("DECLARED", "\n".join(declared)).replace("UNKNOWN", "\n".join(unknown))
    text = text.replace("CALLS", "\n".join(calls))
    return text.replace("NAME", program.name).replace("UPPER", program.name.upper())


def alarms(text: str) -> list[str]:
    """What Eva says that it cannot exclude: the file, the line, and the condition."""
    found = re.findall(r"\[eva:alarm\] (\S+): Warning:\s*((?:\n?[^\n\[]+)+)", text)
    return [f"{where.rsplit('/', 1)[-1]} {' '.join(what.split())}" for where, what in found]


def analyse(name: str, machine: str, folder: Path) -> tuple[list[str], str]:
    """The alarms of one network on one machine, and the tail of what was said where there was no end."""
    program, files = package(covering()[NETWORKS.index(name)], "net", steps=1)
    main = entry(program)
    write_files(
        folder,
        {**{n: text.replace(COUNT, COUNT.removeprefix("volatile ")) for n, text in files.items()}, "main.c": main},
    )
    command = [
        "frama-c",
        "-machdep",
        machine,
        f"-cpp-extra-args=-I{folder} -U__GNUC__",
        *OPTIONS.split(),
        str(folder / "main.c"),
    ]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return [], f"no end in {PATIENCE} s"
    said = done.stdout + done.stderr
    if done.returncode or "ANALYSIS SUMMARY" not in said:
        return [], said[-400:]
    return alarms(said), ""
