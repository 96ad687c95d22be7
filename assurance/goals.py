"""The goals, cheapest first."""

from __future__ import annotations

from assurance import analysers, bombs, bugs, corpus, coverage, eva, fuzzing, mutation, networks, proofs, tables
from assurance.store import Goal
from tests.support.covering import NETWORKS

LOADER = (
    *("rnnc/frontend/**/*.py", "rnnc/data/*.py", "rnnc/wav.py", "rnnc/files.py", "rnnc/errors.py", "rnnc/cli/*.py"),
    *("tests/support/mutants.py", "tests/support/small.py"),
)
"""What reads models and data, and says what is wrong with them."""
HEADERS = ("runtime_c/*.h",)
INTEGERS = (
    "rnnc/ops/*.py",
    "rnnc/*.py",
    "rnnc/backend/**/*.py",
    "templates/*",
    "runtime_c/*.h",
    "tests/support/nets.py",
)

ORACLE = ("rnnc/ops/*.py", "rnnc/fixed.py", "rnnc/functions.py", "rnnc/streams.py")
COVERED = (*INTEGERS, "tests/support/covering.py", "tests/support/wide.py")


def _numbers(count: int) -> list[str]:
    return [str(k) for k in range(count)]


GOALS = [
    Goal(
        "tables",
        "tables on all their inputs, against the oracle and the real function",
        list(tables.TABLES),
        1,
        (
            "runtime_c/lut.h",
            "runtime_c/functions.h",
            "runtime_c/fixed.h",
            "rnnc/fixed.py",
            "rnnc/functions.py",
            "assurance/tables.py",
        ),
        tables.run,
    ),
    Goal(
        "proofs",
        "fixed-point primitives proved by z3 from the text of the C",
        list(proofs.THEOREMS),
        1,
        (*HEADERS, "assurance/proofs.py"),
        proofs.run,
    ),
    Goal(
        "bombs",
        "small files that would take all time or memory",
        bombs.NAMES,
        1,
        ("rnnc/frontend/**/*.py", "rnnc/data/*.py", "rnnc/wav.py", "assurance/bombs.py"),
        bombs.run,
    ),
    Goal(
        "bugs",
        "planted faults, each caught by a named test",
        list(bugs.BUGS),
        1,
        (),
        bugs.run,
        content=bugs.content,
    ),
    Goal(
        "analysers",
        "gcc -fanalyzer, clang-tidy, cppcheck and MISRA C over packages that have every op: nothing that is not listed",
        list(analysers.ANALYSERS),
        1,
        ("docs/misra.md", "assurance/analysers.py"),
        analysers.run,
        ("gcc", "clang-tidy", "cppcheck"),
        analysers.content,
    ),
    Goal(
        "eva",
        "Frama-C Eva, any state and any input of a step: no undefined behaviour, three machines",
        [f"{machine} {name}" for name in NETWORKS for machine in eva.MACHINES],
        1,
        (),
        eva.run,
        ("frama-c",),
        eva.content,
    ),
    Goal(
        "rederived",
        "certificates derived again from the text of the C, by a program of its own",
        _numbers(20),
        networks.SEEDS,
        (*INTEGERS, "assurance/networks.py", "assurance/rederive.py"),
        networks.rederived,
    ),
    Goal(
        "coverage",
        "lines, branches and conditions of the kernels, each target's plain reading: all, or listed with the reason",
        list(coverage.TARGETS),
        1,
        (*COVERED, "runtime_c/isa/*.h", "assurance/coverage.py", "assurance/gaps.txt"),
        coverage.run,
        (coverage.CLANG, coverage.COV),
    ),
    Goal(
        "mutation",
        "mutants of the kernels, killed by the networks that use them: 95 of 100; survivors are listed",
        mutation.headers(),
        1,
        (
            "runtime_c/{shard}",
            "tests/support/nets.py",
            "tests/support/covering.py",
            "assurance/mutation.py",
            "assurance/equivalent.txt",
        ),
        mutation.run,
        ("gcc",),
    ),
    Goal(
        "blobs",
        "damaged saved states, none accepted",
        _numbers(40),
        networks.BLOBS,
        ("assurance/networks.py",),
        networks.blobs,
        content=networks.c_of_stored,
    ),
    Goal(
        "sanitizers",
        "random networks x 200 steps under ASan and UBSan, bits equal to the oracle",
        _numbers(125),
        networks.NETWORKS,
        (*ORACLE, "tests/property/test_sanitizers.py"),
        networks.sanitized,
        content=networks.c_of_streamed,
    ),
    Goal(
        "memory",
        "random networks x 200 steps under MSan: no value depends on memory that was not written",
        _numbers(125),
        networks.NETWORKS,
        ("tests/property/test_sanitizers.py",),
        networks.written,
        content=networks.c_of_streamed,
    ),
    Goal(
        "fuzz",
        "runs of libFuzzer on step and restore of random networks, under ASan and UBSan",
        _numbers(50),
        fuzzing.RUNS,
        ("assurance/fuzzing.py",),
        fuzzing.fuzz,
        content=fuzzing.c_of_fuzzed,
    ),
    Goal(
        "corpus",
        "damaged models and data: documented code, one message, 10 s, 1 GiB, nothing left",
        _numbers(200),
        corpus.CASES,
        (*LOADER, "assurance/corpus.py", "assurance/worker.py"),
        corpus.run,
    ),
]
