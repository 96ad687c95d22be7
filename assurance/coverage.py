"""Lines, branches and conditions (MC/DC) of runtime_c that the networks with every op run; what they do not is in a list.

A target's kernels are compiled in their plain reading (RNNC_PLAIN) by clang, which counts. assurance/gaps.txt names each line
that is not wholly covered, with the reason.
"""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from assurance.store import ROOT, Outcome
from rnnc.errors import Refused
from rnnc.files import write_files
from rnnc.qnet import QNet
from tests.property.test_sanitizers import MAIN, STEPS, driver
from tests.support.covering import covering, drawn, large
from tests.support.nets import LAYERS, NAMED, integers
from tests.support.packages import dtype, package

SEEDS, LARGE = 5, 3
"""Below this seed the networks beside those that cover are large."""
GAPS = ROOT / "assurance" / "gaps.txt"
CLANG, PROFDATA, COV = "clang-19", "llvm-profdata-19", "llvm-cov-19"
FLAGS = "-std=c99 -O0 -w -fprofile-instr-generate -fcoverage-mapping -fcoverage-mcdc -DRNNC_PLAIN".split()
TARGETS = ("portable", "cortex-m0", "cortex-m3", "cortex-m4", "cortex-m55", "rv32imc", "avr", "host")


@cache
def networks() -> list[QNet]:
    """Each layer with each of some seeds: other lengths, widths, precisions and forms of the same op."""
    found = list(covering())
    for seed, layer in product(range(1, SEEDS), (*LAYERS, *NAMED)):
        with suppress(Refused):
            found.append(large(seed, layer) if seed < LARGE else drawn(seed, layer))
    return found


def measure(target: str, folder: Path) -> dict[str, Any]:
    """llvm-cov's account of one program that streams through the networks that cover, for a target."""
    source, calls, fed, states = [MAIN], list[str](), b"", list[str]()
    for k, qnet in enumerate(networks()):
        program, files = package(qnet, f"net{k}", target, steps=1)
        write_files(folder, files)
        source += [f'#include "{program.name}.c"\n', driver(program)]
        calls.append(f"    run_{program.name}(stdin, stdout);\n")
        fed += integers(qnet, STEPS)["x"].astype(dtype(program.inputs[0])).tobytes()
        states.append(f"{program.name}_state.c")
    source += ["int main(void)\n{\n", *calls, "    return 0;\n}\n"]
    write_files(folder, {"main.c": "".join(source), "states.c": "".join(f'#include "{s}"\n' for s in states)})
    (folder / "input").write_bytes(fed)
    _run([CLANG, *FLAGS, "-I.", "main.c", "states.c", "-o", "run"], folder)
    _run(["sh", "-c", "./run < input > output"], folder)
    _run([PROFDATA, "merge", "default.profraw", "-o", "profile"], folder)
    return dict(json.loads(_run([COV, "export", "-instr-profile=profile", "./run"], folder)))


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{command[0]} ends with {done.returncode}: {done.stderr[-400:]}")
    return done.stdout


def share(data: dict[str, Any], kind: str) -> tuple[int, int]:
    """How many lines, branches or conditions of the kernels were covered, of how many."""
    found = [f["summary"][kind] for f in _kernels(data)]
    return sum(f["covered"] for f in found), sum(f["count"] for f in found)


def _kernels(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for each in data["data"][0]["files"]:
        if "/rnnc/" in each["filename"]:
            yield each


def gaps(data: dict[str, Any]) -> dict[str, set[str]]:
    """The lines of the kernels that are not wholly covered, as "header: text", and what is not: line, branch, condition."""
    found: dict[str, set[str]] = defaultdict(set)
    for each in _kernels(data):
        path = Path(each["filename"])
        header, lines = str(path).rpartition("/rnnc/")[2], path.read_text().splitlines()

        def at(line: int, what: str, header: str = header, lines: list[str] = lines) -> None:
            found[f"{header}: {' '.join(lines[line - 1].split())}"].add(what)

        for line, _, count, has_count, *_ in each["segments"]:
            if has_count and not count and lines[line - 1].strip() not in ("", "}", "}else{"):
                at(line, "line")
        for line, _, _, _, yes, no, *_ in each["branches"]:
            if not (yes and no):
                at(line, "branch")
        for line, *_, covered in (r if isinstance(r[-1], list) else [*r, []] for r in each.get("mcdc_records", [])):
            if not all(covered):
                at(line, "condition")
    return found


def listed() -> dict[str, str]:
    """The reasons of assurance/gaps.txt, by "header: text"."""
    known, reason = dict[str, str](), ""
    for line in GAPS.read_text().splitlines():
        if line.startswith("# "):
            reason = line.removeprefix("# ")
        elif line:
            known[line] = reason
    return known


def run(shard: str) -> Outcome:
    """One target."""
    with TemporaryDirectory(prefix="rnnc-assurance-") as name:
        data = measure(shard, Path(name))
        known = listed()
        failures = [f"{where} ({', '.join(sorted(what))})" for where, what in gaps(data).items() if where not in known]
    figures: dict[str, float] = {}
    for kind in ("lines", "branches", "mcdc"):
        covered, count = share(data, kind)
        figures[f"{kind} of {shard}"] = count
        figures[f"{kind} of {shard} covered"] = covered
    return Outcome(1, failures, figures)
