"""Mutants of the kernels: an operator or a constant of a header is changed, and the networks that use it must notice.

A mutant is killed where the program no longer compiles, gives other bytes than the sound one, or does not end. The bytes of the
sound one are the oracle's (tests/property/test_sanitizers.py). Those that cannot be noticed are in assurance/equivalent.txt.

``python -m assurance.mutation`` runs the headers that were changed last.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import product
from os import cpu_count
from pathlib import Path
from tempfile import TemporaryDirectory

from assurance.store import ROOT, Outcome
from assurance.tables import SOURCE, TABLES
from rnnc.errors import Refused
from rnnc.files import write_files
from rnnc.qnet import QNet
from tests.kernels.test_many import compared
from tests.kernels.test_many import networks as many_networks
from tests.property.test_sanitizers import MAIN, STEPS, driver
from tests.support.covering import NETWORKS, SEEDS, covering, drawn, large
from tests.support.nets import integers
from tests.support.packages import dtype, package

EQUIVALENT = ROOT / "assurance" / "equivalent.txt"
WANTED = 0.95
ELSEWHERE = {"network.h", "serial.h", "unstack.h", "rom.h", "contract.h"}
"""Not in these networks' steps: tests of serving, of windows and of targets run them."""
MANY = {"many.h", "dense_many.h"}
"""What NAME_step_many adds: the program compares it with NAME_step and ends with 1 where they differ."""
MOST_CANDIDATES, MOST_NETWORKS, ENOUGH_MUTANTS, PATIENCE = 60, 10, 60, 10
LARGE = 4
"""To this seed the networks beside those that cover are large, each layer with another of these seeds at first."""
SANITIZERS = ("-fsanitize=address,bounds", "-fno-sanitize-recover=all")
SWAPS = {
    "+": "-", "-": "+", "*": "+", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==",
    "&&": "||", "||": "&&", "<<": ">>", ">>": "<<", "&": "|", "++": "--", "--": "++", "+=": "-=", "-=": "+=",
}  # fmt: skip
PLACE = re.compile(
    r"(?<=[\w)\]] )(\+=|-=|<<|>>|<=|>=|==|!=|&&|\|\||[-+*<>&])(?= )|(?<![\w.])(\d+)(?=u?\b(?![.x]))|(\+\+|--)"
)
NOT_CODE = re.compile(
    r"/\*.*?\*/|^[ \t]*#(?:[^\n\\]|\\.|\\\n)*|^static const[^;{]*\{.*?\n\};|\"[^\"]*\"", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Mutant:
    """One change: where in the header's text, and what stands there instead."""

    line: str
    start: int
    end: int
    put: str

    def __str__(self) -> str:
        return f"{self.line} -> {self.put}"


def headers() -> list[str]:
    """The portable kernels that have code."""
    paths = sorted((ROOT / "runtime_c").glob("*.h"))
    return [p.name for p in paths if p.name not in ELSEWHERE and next(mutants(p.read_text()), None)]


def mutants(text: str) -> Iterator[Mutant]:
    """All mutants of a header, in order: comments, directives and tables stay."""
    code = NOT_CODE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
    for m in PLACE.finditer(code):
        if code[: m.start()].count("{") == code[: m.start()].count("}"):
            continue
        put = SWAPS.get(m[0], "") or str(int(m[0]) + 1)
        begin, end = text.rfind("\n", 0, m.start()) + 1, text.find("\n", m.end())
        column = len(text[begin : m.start()]) - len(text[begin : m.start()].lstrip())
        shown = f"{' '.join(text[begin:end].split())} [{m.start() - begin - column}: {m[0]}]"
        yield Mutant(shown, m.start(), m.end(), put)


@cache
def _headers() -> list[set[str]]:
    """The headers of each of the networks that cover."""
    emitted = (package(qnet, "net", steps=1)[1] for qnet in covering())
    return [{name.removeprefix("rnnc/") for name in files if name.startswith("rnnc/")} for files in emitted]


def _networks(header: str) -> list[QNet]:
    """Networks that run as many lines of a header as any do, and some more.

    They are of those that cover, and of their layers those of other seeds; those that run most lines which none before them
    runs come first.
    """
    found = [k for k, names in enumerate(_headers()) if header in names]
    candidates = [covering()[k] for k in found]
    layers = sorted({NETWORKS[k].rpartition("-")[0] for k in found})
    for seed, (k, layer) in product(range(1, SEEDS), enumerate(layers)):
        if len(candidates) >= max(MOST_CANDIDATES, len(found)):
            break
        with suppress(Refused):
            candidates.append(large(1 + (seed + k) % LARGE, layer) if seed <= LARGE else drawn(seed, layer))
    with ThreadPoolExecutor(cpu_count()) as pool:
        lines = list(pool.map(lambda qnet: _lines(header, qnet), candidates))
    chosen, seen = list[int](), set[int]()
    while len(chosen) < min(MOST_NETWORKS, len(candidates)):
        rest = [k for k in range(len(candidates)) if k not in chosen]
        best = max(rest, key=lambda k: (len(lines[k] - seen), len(lines[k])))
        chosen.append(best)
        seen |= lines[best]
    return [candidates[k] for k in chosen]


def _lines(header: str, qnet: QNet) -> set[int]:
    """The lines of a header that a network's program runs, by gcov."""
    with TemporaryDirectory(prefix="rnnc-assurance-") as name:
        folder = Path(name)
        _streams(folder, [qnet])
        for command in (
            "gcc -std=c99 -O0 -w --coverage -I. -c main.c",
            "gcc --coverage main.o -o main && ./main < input > output",
        ):
            subprocess.run(["sh", "-c", command], cwd=folder, check=True)
        counted = subprocess.run(["gcov", "-t", "-j", "main.gcda"], cwd=folder, capture_output=True, check=True)
    files = [each for each in json.loads(counted.stdout)["files"] if Path(each["file"]).name == header]
    return {int(line["line_number"]) for each in files for line in each["lines"] if line["count"]}


def _streams(folder: Path, qnets: Sequence[QNet]) -> None:
    """main.c, the packages that it streams through, and its input."""
    source, calls, fed = [MAIN], list[str](), b""
    for k, qnet in enumerate(qnets):
        program, files = package(qnet, f"net{k}", steps=1)
        write_files(folder, files)
        source += [f'#include "{program.name}.c"\n#include "{program.name}_state.c"\n', driver(program)]
        calls.append(f"    run_{program.name}(stdin, stdout);\n")
        fed += integers(qnet, STEPS)["x"].astype(dtype(program.inputs[0])).tobytes()
    write_files(folder, {"main.c": "".join([*source, "int main(void)\n{\n", *calls, "    return 0;\n}\n"])})
    (folder / "input").write_bytes(fed)


def _program(header: str, folder: Path) -> None:
    """A program that streams through networks whose package holds the header, and one of the tables."""
    if header in MANY:
        built = [package(qnet, f"net{k}", steps=1, many=True) for k, qnet in enumerate(many_networks())]
        write_files(folder, compared(built) | {"input": ""})
    else:
        _streams(folder, _networks(header))
    for path in (ROOT / "runtime_c").glob("*.h"):
        shutil.copy(path, folder / "rnnc" / path.name)
    write_files(folder, {"tables.c": SOURCE.replace('#include "', '#include "rnnc/') + _table_main()})


def _table_main() -> str:
    """Every table on its inputs, to stdout."""
    calls = []
    for function, inputs, *_ in TABLES.values():
        first, last = int(inputs[0]), int(inputs[-1])
        calls.append(f"    for (x = {first}; x <= {last}; x++) {{ {function}(&x, &y, 1); WRITE(y); }}\n")
    write = "#include <stdio.h>\n#define WRITE(v) fwrite(&v, 4, 1, stdout)\n"
    return f"{write}int main(void)\n{{\n    int32_t x, y;\n{''.join(calls)}    return 0;\n}}\n"


def _output(folder: Path, header: str) -> bytes | None:
    """What the program writes; None where it does not compile, ends badly or not at all."""
    found = b""
    programs = ["main", *(["tables"] if f'"{header}"' in SOURCE else [])]
    for name in programs:
        build = ["gcc", "-std=c99", "-O0", "-w", "-I.", *SANITIZERS, f"{name}.c", "-o", name]
        if subprocess.run(build, cwd=folder, capture_output=True, check=False).returncode:
            return None
        limits = f"ulimit -t {PATIENCE}; ulimit -f 400000; ./{name} < input > output"
        if subprocess.run(["sh", "-c", limits], cwd=folder, capture_output=True, check=False).returncode:
            return None
        found += (folder / "output").read_bytes()
    return found


def equivalents() -> set[str]:
    """The mutants that nobody can notice, as "header: mutant"; each paragraph of the list says why."""
    return {line for line in EQUIVALENT.read_text().splitlines() if line and not line.startswith("# ")}


def killed(header: str, most: int = ENOUGH_MUTANTS) -> tuple[int, list[str], str]:
    """How many mutants of a header were tried, the survivors, and why none could be tried.

    Where there are more than ``most``, some at equal distances are taken.
    """
    text = (ROOT / "runtime_c" / header).read_text()
    known = equivalents()
    every = [m for m in mutants(text) if f"{header}: {m}" not in known]
    chosen = every[:: -(-len(every) // most)] if every else []
    survivors = []
    with TemporaryDirectory(prefix="rnnc-assurance-") as name:
        folder = Path(name)
        _program(header, folder)
        target = folder / "rnnc" / header
        if not target.exists():
            return 0, [], f"{header}: no network uses it"
        sound = _output(folder, header)
        if sound is None:
            return 0, [], f"{header}: the sound program does not run"
        for mutant in chosen:
            target.write_text(text[: mutant.start] + mutant.put + text[mutant.end :])
            if _output(folder, header) == sound:
                survivors.append(f"{header}: {mutant}")
    return len(chosen), survivors, ""


def run(header: str) -> Outcome:
    """One header."""
    tried, survivors, fault = killed(header)
    if fault:
        return Outcome(0, [fault])
    said = f"{header}: {tried - len(survivors)} of {tried} mutants are killed"
    return Outcome(1, [said] if tried - len(survivors) < WANTED * tried else [], {}, [said, *survivors])


def changed() -> list[str]:
    """The portable kernels that the last commit with changes of any of them changed."""
    git = ["git", "-C", str(ROOT), "log", "-1", "--format=", "--name-only", "--", "runtime_c/*.h", ":!runtime_c/isa"]
    paths = subprocess.run(git, capture_output=True, text=True, check=False).stdout.split()
    return sorted({Path(path).name for path in paths} & set(headers()))


def main() -> int:
    """The headers that were changed last; exit code 1 where fewer mutants than wanted are killed."""
    parser = argparse.ArgumentParser(prog="assurance.mutation", description="Mutants of the kernels changed last.")
    parser.add_argument("--most", type=int, default=ENOUGH_MUTANTS, metavar="N", help="of all headers together, about")
    parser.add_argument("--least", type=float, default=WANTED, metavar="SHARE", help="that must be killed")
    parser.add_argument("header", nargs="*", help="these instead")
    given = parser.parse_args()
    names = given.header or changed()
    if not names:
        print("no kernel was changed in this history")
        return 0
    found = [killed(name, -(-given.most // len(names))) for name in names]
    faults, survivors = [fault for *_, fault in found if fault], [s for _, each, _ in found for s in each]
    tried = sum(count for count, *_ in found)
    print(
        "\n  ".join(
            [f"{tried - len(survivors)} of {tried} mutants of {', '.join(names)} are killed", *faults, *survivors]
        )
    )
    return int(bool(faults) or tried - len(survivors) < given.least * tried)


if __name__ == "__main__":
    sys.exit(main())
