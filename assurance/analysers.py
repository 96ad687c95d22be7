"""What compilers' and analysers' checks find in the C of packages that have every op: nothing that is not in a written list.

docs/misra.md holds the rules of MISRA C:2012 that are deviated from (required) or not applied (advisory), each with its reason.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from assurance.networks import c_of
from assurance.store import ROOT, Outcome
from rnnc.files import write_files
from tests.support.covering import NETWORKS, covering
from tests.support.packages import WARNINGS, package

LIST = ROOT / "docs" / "misra.md"
PARTS = ("", "_state", "_serial")
SELF_TESTS = [f"net{k}_selftest.c" for k in range(0, len(NETWORKS), 8)]
"""Each is a program of its own."""
DEVICE = "device.c"
MOST_REQUIRED = 5
CHECKS = "clang-analyzer-*,bugprone-*,cert-*,-clang-analyzer-security.insecureAPI.*"
QUIET = {
    "bugprone-easily-swappable-parameters": "kernels take several counts, in the order of the lexicon",
    "bugprone-narrowing-conversions": "gcc's and clang's -Wconversion judge these",
    "bugprone-implicit-widening-of-multiplication-result": "counts are below 65,472 and sizes within an object (certificate)",
    "bugprone-macro-parentheses": "the parameter is a type or a name that is declared",
    "bugprone-signed-char-misuse": "int8_t weights are numbers",
    "cert-str34-c": "the same",
    "bugprone-branch-clone": "what differs on a target with vectors is equal on the portable one",
    "bugprone-suspicious-include": "the sources that are analysed include the packages",
    "cert-dcl37-c": "no name of ours is reserved: RNNC_ and rnnc_ alone",
}
"""Checks of clang-tidy that are off, and why."""
SUPPRESSED = {
    "shiftTooManyBitsSigned": "x >> 31 is the sign as a mask; fixed.h refuses a compiler whose >> is not arithmetic",
    "unusedFunction": "each network uses some of the kernels",
    "unusedStructMember": "each network uses some of the structs",
    "missingIncludeSystem": "the standard headers are not analysed",
    "ctunullpointer": "a window that is answered by NAME_next is stepped with no y, which its guards do not touch",
    "toomanyconfigs": "the configuration of a hosted gcc is analysed; each target has tests of its own",
}
"""Messages of cppcheck that are off, and why."""
CPPCHECK = ["cppcheck", "-q", "--std=c99", "-D__GNUC__=12", "-D__STDC_VERSION__=199901L"]


def write(folder: Path, count: int | None = None) -> None:
    """Write packages and, for each of PARTS, a source that includes it of all of them; DEVICE includes what runs there."""
    sources = {f"all{part}.c": "" for part in PARTS}
    device = ""
    for k, qnet in enumerate(covering()[:count]):
        program, files = package(qnet, f"net{k}", steps=1)
        write_files(folder, files)
        for part in PARTS:
            if f"{program.name}{part}.c" in files:
                sources[f"all{part}.c"] += f'#include "{program.name}{part}.c"\n'
        device += f'#include "{program.name}.c"\n#include "{program.name}_state.c"\n'
    write_files(folder, {**sources, DEVICE: device})


def content(shard: str) -> str:
    """The C of all packages."""
    return c_of(covering())


def _run(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _warnings(text: str) -> list[str]:
    return [line for line in text.splitlines() if re.search(r": (warning|error): ", line)]


def gcc(folder: Path, sources: Sequence[str]) -> list[str]:
    """gcc's -fanalyzer, and all its warnings."""
    return _warnings(_run(["gcc", *WARNINGS, "-fanalyzer", "-O2", "-c", *sources], folder))


def clang_tidy(folder: Path, sources: Sequence[str]) -> list[str]:
    """The static analyser of clang, and the checks for bugs and of CERT."""
    checks = ",".join([CHECKS, *(f"-{name}" for name in QUIET)])
    return _warnings(
        _run(
            ["clang-tidy", "--quiet", "--header-filter=.*", f"--checks={checks}", *sources, "--", "-std=c99", "-I."],
            folder,
        )
    )


def cppcheck(folder: Path, sources: Sequence[str]) -> list[str]:
    """cppcheck's warnings of every kind but style, which MISRA's rules replace."""
    off = [f"--suppress={name}" for name in SUPPRESSED]
    kinds = "--enable=warning,performance,portability"
    text = _run([*CPPCHECK, kinds, *off, "--template={file}:{line}: {id}: {message}", "-I.", *sources], folder)
    return [line for line in text.splitlines() if re.match(r"\S+:\d+: ", line)]


def misra_rules(folder: Path, sources: Sequence[str]) -> dict[str, list[str]]:
    """The rules of MISRA C:2012 that cppcheck's addon sees broken, and where."""
    template = "--template={file}:{line} {id}"
    text = _run([*CPPCHECK, "--enable=style", "--addon=misra", template, "-I.", *sources], folder)
    found: dict[str, list[str]] = {}
    for where, rule in re.findall(r"^(\S+:\d+) misra-c2012-(\d+\.\d+)$", text, re.MULTILINE):
        found.setdefault(rule, []).append(where)
    return found


@cache
def listed() -> dict[str, str]:
    """The rules in docs/misra.md: "required" or "advisory", by number."""
    return dict(re.findall(r"^\| (\d+\.\d+) \| (required|advisory) \| \S", LIST.read_text(), re.MULTILINE))


def misra(folder: Path, sources: Sequence[str]) -> list[str]:
    """Rules that are broken and not listed, and more required rules in the list than may be."""
    found, known = misra_rules(folder, sources), listed()
    required = [rule for rule, kind in known.items() if kind == "required"]
    many = [f"{len(required)} required rules are deviated from"] if len(required) > MOST_REQUIRED else []
    return many + [f"rule {rule}: {where}" for rule, places in found.items() if rule not in known for where in places]


ALL = [*(f"all{part}.c" for part in PARTS), *SELF_TESTS]
ANALYSERS: dict[str, tuple[Callable[[Path, Sequence[str]], list[str]], list[str]]] = {
    "gcc": (gcc, ALL),
    "clang-tidy": (clang_tidy, ALL),
    "cppcheck": (cppcheck, ALL),
    "misra": (misra, [DEVICE]),
}
"""What runs it, and the sources that it is given."""


def run(shard: str) -> Outcome:
    """One analyser, over every package."""
    analyse, sources = ANALYSERS[shard]
    with TemporaryDirectory(prefix="rnnc-assurance-") as name:
        folder = Path(name)
        write(folder)
        found = analyse(folder, sources)
    return Outcome(1, found[:50], {"packages": len(covering())})
