"""Frama-C Eva over the emitted C of small networks: no undefined behaviour from any state that restore takes, for any input.

One call of each function is analysed, not a sequence: the state before it is whatever a blob can hold. The loop counts that are
``volatile`` for the compiler's sake are plain variables here; nothing else of the C is changed.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from assurance.store import Outcome
from rnnc.backend.program import Program
from rnnc.files import write_files
from tests.support.covering import NETWORKS, covering
from tests.support.packages import package

MACHINES = ("x86_16", "x86_32", "ppc_32")
"""16-bit int; 32-bit int; big-endian with an unsigned char."""
QUICK = ("lstm-0", "gru_relu-0", "dense-0", "norm-0")
"""What a change is checked with, where Frama-C is installed."""
SLEVELS = (100, 2000)
"""How many states of a function are kept apart: more where fewer leave an alarm."""
PATIENCE = 120
"""Seconds of CPU after which an analysis is given up."""
OPTIONS = "-eva -eva-precision 3 -eva-auto-loop-unroll 300 -eva-print-callstacks -eva-no-show-progress"
COUNT = "volatile uint16_t count"
ROOTS = "arguments have been shifted to 2^30 and above; both ends of each upper half are run under UBSan (goal tables: sqrt)"
SHARE = (
    "a term is part of the total, which is not 0: certificates total, difference and change; forged states under UBSan"
)
EXPLAINED = (
    ("rnnc_rsqrt <- ", "overflow", "all arguments that it tells apart are run under UBSan (goal tables: rsqrt)"),
    ("rnnc_sqrt <- ", "overflow", ROOTS),
    ("rnnc_rom_u16 <- rnnc_sqrt <- ", "out of bounds", ROOTS),
    (
        "rnnc_v_squares <- rnnc_norm_vector",
        "x * x",
        "certificate sum of squares: the shift is chosen by the largest |d|",
    ),
    ("rnnc_v_mul <- rnnc_norm_vector", "a * b", "certificate direction: |d| <= 2^15 by the same choice"),
    ("rnnc_v_round <- rnnc_norm_vector", "x + ", "certificate direction: as the product before"),
    ("rnnc_pool_share <- rnnc_pool_weigh", "divisor", SHARE),
    ("rnnc_pool_share <- rnnc_pool_weigh", "overflow", SHARE),
    ("rnnc_pool_weigh <- rnnc_softmax_pool", "sum + term", SHARE),
    ("rnnc_mul15 <- rnnc_pool_share", "overflow", SHARE),
    ("rnnc_mul15 <- rnnc_softmax_pool", "overflow", SHARE),
    ("rnnc_softmax_pool <- ", "overflow", SHARE),
    (
        "rnnc_softmax <- ",
        "divisor",
        "the largest element's own term, 2^term_bits, is in the sum, which is below 2^32 by the choice of term_bits",
    ),
    ("rnnc_running_mean <- ", "leak", "certificate sum: the leak has the sum's sign and is at most as large"),
)
"""What Eva cannot prove because numbers depend on each other: the innermost functions, part of the condition, why it holds."""
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


@dataclass(frozen=True)
class Alarm:
    """A condition that Eva cannot prove: the functions that lead there, innermost first, and the condition."""

    function: str
    condition: str

    @property
    def explained(self) -> str:
        """The reason in EXPLAINED; "" where there is none."""
        return next(
            (why for name, part, why in EXPLAINED if self.function.startswith(name) and part in self.condition), ""
        )


def alarms(text: str) -> list[Alarm]:
    """What Eva says that it cannot exclude."""
    found = re.findall(r"\[eva:alarm\] \S+ Warning:\s*((?:\n?  [^\n]+)+)", text)
    parted = (re.split(r"\s*\bstack: ", " ".join(block.split()), maxsplit=1) for block in found)
    return [
        Alarm(re.sub(r" :: \S+", "", stack), condition)
        for condition, stack in (p if len(p) > 1 else [*p, ""] for p in parted)
    ]


@cache
def packaged(name: str) -> tuple[Program, dict[str, str]]:
    """The C of one of NETWORKS."""
    return package(covering()[NETWORKS.index(name)], "net", steps=1)


def content(shard: str) -> str:
    """What Eva reads, and what explains alarms of functions that are in it."""
    program, files = packaged(shard.partition(" ")[2])
    text = "".join(f"{n}\n{files[n]}" for n in sorted(files) if n.endswith((".c", ".h")) and "selftest" not in n)
    excused = [e for e in EXPLAINED if e[0].partition(" <- ")[0] in text]
    return f"{text}{entry(program)}{OPTIONS}{SLEVELS}{PATIENCE}{COUNT}{excused}"


def analyse(name: str, machine: str, folder: Path, slevel: int) -> tuple[list[Alarm], str]:
    """The alarms of one network on one machine, and the tail of what was said where there was no end."""
    program, files = packaged(name)
    main = entry(program)
    plain = {n: text.replace(COUNT, COUNT.removeprefix("volatile ")) for n, text in files.items()}
    write_files(folder, {**plain, "main.c": main})
    words = ["frama-c", "-machdep", machine, f"-cpp-extra-args=-I{folder} -U__GNUC__", *OPTIONS.split()]
    words += ["-eva-slevel", str(slevel), str(folder / "main.c")]
    command = ["sh", "-c", f"ulimit -t {PATIENCE}; exec {shlex.join(words)}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode or "ANALYSIS SUMMARY" not in said:
        return [], f"no end in {PATIENCE} s" if done.returncode < 0 else said[-400:]
    return alarms(said), ""


def run(shard: str) -> Outcome:
    """One network on one machine."""
    machine, _, name = shard.partition(" ")
    with TemporaryDirectory(prefix="rnnc-assurance-") as folder:
        for slevel in SLEVELS:
            found, failure = analyse(name, machine, Path(folder), slevel)
            open_ = [f"{shard}: {a.condition} ({a.function})" for a in found if not a.explained]
            if not (open_ or failure):
                break
    return Outcome(
        1, [*open_, *([f"{shard}: {failure}"] if failure else [])], {"explained alarms": len(found) - len(open_)}
    )


if __name__ == "__main__":
    outcomes = [run(f"{machine} {name}") for name in QUICK for machine in MACHINES]
    problems = [why for outcome in outcomes for why in outcome.failures]
    print("\n".join([*problems, f"{len(outcomes)} analyses, {len(problems)} unexplained alarms"]))
    sys.exit(int(bool(problems)))
