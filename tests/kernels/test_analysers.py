"""Static analysers over the C of packages find nothing but what docs/misra.md lists. ``make assurance`` runs more of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from assurance import analysers
from assurance.analysers import DEVICE
from assurance.store import ROOT
from rnnc.files import write_files
from tests.conftest import require
from tests.support.nets import draw_integers
from tests.support.packages import package, run

SOME = 12
WRONG = {
    "14.4": "int wrong(int n);\nint wrong(int n)\n{\n    int y = 0;\n    if (n) {\n        y = 1;\n    }\n    return y;\n}\n",
    "17.7": "int called(void);\nvoid wrong(void);\nvoid wrong(void)\n{\n    called();\n}\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("analysed")
    analysers.write(path, SOME)
    return path


def test_misra_and_cppcheck_find_nothing_that_is_not_listed(folder: Path) -> None:
    require("cppcheck")
    assert analysers.misra(folder, [DEVICE]) == []
    assert analysers.cppcheck(folder, [DEVICE]) == []


@pytest.mark.parametrize("rule", WRONG)
def test_a_rule_that_is_broken_is_found(rule: str, tmp_path: Path) -> None:
    require("cppcheck")
    (tmp_path / "wrong.c").write_text(WRONG[rule])
    assert rule in analysers.misra_rules(tmp_path, ["wrong.c"])
    assert rule not in analysers.listed()


def test_few_required_rules_are_deviated_from() -> None:
    kinds = list(analysers.listed().values())
    assert kinds.count("required") <= analysers.MOST_REQUIRED and kinds.count("advisory")


def test_nothing_in_the_c_silences_an_analyser(folder: Path) -> None:
    silent = ("cppcheck-suppress", "NOLINT", "LINTED", "coverity")
    for path in [*folder.rglob("*.[ch]"), *(ROOT / "runtime_c").rglob("*.h")]:
        assert not any(word in path.read_text() for word in silent), path.name


def test_the_analyser_of_gcc_finds_nothing(folder: Path) -> None:
    assert analysers.gcc(folder, [DEVICE]) == []


IAR = ["gcc", "-std=c99", "-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-U__GNUC__", "-D__ICCARM__=9"]
"""A compiler of C99 without GNU's extensions."""
ARMCLANG = (
    "clang --target=arm-none-eabi -mcpu=cortex-m4 -mthumb -mfloat-abi=soft -std=c99 -Wall -Wextra -Werror".split()
)


def test_a_compiler_without_extensions_takes_the_portable_package(tmp_path: Path) -> None:
    _, files = package(draw_integers(0, ("gru_after", "dense")), "net")
    write_files(tmp_path, files)
    run([*IAR, "-fsyntax-only", "net.c", "net_state.c", "net_selftest.c"], tmp_path)


def test_a_compiler_without_extensions_is_told_which_target_to_take(tmp_path: Path) -> None:
    _, files = package(draw_integers(0, ("gru_after", "dense")), "net", "cortex-m4")
    write_files(tmp_path, files)
    command = [require("arm-none-eabi-gcc"), *IAR[1:], "-mcpu=cortex-m4", "-mthumb", "-fsyntax-only", "net.c"]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    first = next(line for line in done.stderr.splitlines() if "error" in line)
    assert "GNU inline assembly, which this compiler lacks. Take rnnc --target portable" in first


def test_clang_for_arm_takes_the_kernels_of_cortex_m(tmp_path: Path) -> None:
    _, files = package(draw_integers(0, ("gru_after", "dense")), "net", "cortex-m4")
    write_files(tmp_path, files)
    require("arm-none-eabi-gcc")
    headers = ["-isystem", "/usr/lib/arm-none-eabi/include", "-D__ARMCC_VERSION=6190004"]
    run([require("clang"), *ARMCLANG[1:], *headers, "-O2", "-c", "net.c", "net_state.c", "net_selftest.c"], tmp_path)
