"""What the emitted C promises, whatever is in the network: no warnings, no library but memcpy and memset, no own state."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from rnnc.backend.program import Program
from rnnc.files import write_files
from tests.conftest import require
from tests.support.nets import LAYERS, draw_integers
from tests.support.packages import WARNINGS, in_one, package, run

KERNELS = Path(__file__).parents[2] / "runtime_c"
INTEGER_HELPERS = {
    "__aeabi_idiv",
    "__aeabi_idivmod",
    "__aeabi_uidiv",
    "__aeabi_uidivmod",
    "__gnu_thumb1_case_sqi",
    "__gnu_thumb1_case_uqi",
    "__gnu_thumb1_case_shi",
    "__gnu_thumb1_case_uhi",
    "__gnu_thumb1_case_si",
    "__clzsi2",
    "__aeabi_memcpy",
    "__aeabi_memset",
    "__aeabi_memclr",
}
"""Functions of 32-bit integers in libgcc that a compiler may call on parts without division, clz or jump tables."""


@pytest.fixture(scope="module")
def packages() -> list[tuple[Program, dict[str, str]]]:
    """A network of each kind of layer, of either profile, and of all together."""
    chosen: list[tuple[int, tuple[str, ...]]] = [(k, (layer,)) for k, layer in enumerate(LAYERS)]
    chosen.append((200, ("conv", "lstm", "skip", "gru_after", "norm", "dense", "softmax")))
    return [package(draw_integers(seed, layers), f"net{seed}") for seed, layers in chosen]


@pytest.fixture(scope="module")
def folder(packages: list[tuple[Program, dict[str, str]]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of them in one folder: they share the kernels."""
    path = tmp_path_factory.mktemp("packages")
    for program, files in packages:
        write_files(path, {**files, f"{program.name}_header.c": headers([program])})
    alone = {"headers.cpp": headers([program for program, _ in packages])}
    write_files(path, {**alone, "all/all.c": in_one(packages), "all/selftests.cpp": in_one(packages, ["_selftest"])})
    return path


def headers(programs: Iterable[Program]) -> str:
    """C that includes the headers of packages."""
    return "".join(f'#include "{p.name}.h"\n#include "{p.name}_float.h"\n' for p in programs)


def sources(folder: Path) -> list[str]:
    """Step, state, self-test and headers of every package, each file by itself."""
    return sorted(f.name for f in folder.glob("*.c"))


@pytest.fixture(scope="module")
def objects(folder: Path) -> list[str]:
    """The object files of every file by itself."""
    run(["gcc", *WARNINGS, "-O2", "-fno-pic", "-fno-stack-protector", "-c", *sources(folder)], folder)
    return [s[:-2] + ".o" for s in sources(folder)]


def test_no_warnings_of_gcc(objects: list[str]) -> None:
    """Also those of what it finds as it optimises."""
    assert len(objects) > 100


def test_no_warnings_of_clang(folder: Path) -> None:
    """It reads each file by itself, as all but those of its passes are of what it reads; and it optimises all in one."""
    run([require("clang"), *WARNINGS, "-fsyntax-only", *sources(folder)], folder)
    run(["clang", *WARNINGS, "-O2", "-I.", "-c", "all/all.c", "-o", "all/clang.o"], folder)


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
@pytest.mark.parametrize("standard", ["c++98", "c++17"])
def test_headers_are_cpp(folder: Path, compiler: str, standard: str) -> None:
    warnings = ["-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
    run([require(compiler), f"-std={standard}", *warnings, "-fsyntax-only", "headers.cpp"], folder)


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
@pytest.mark.parametrize("standard", ["c++98", "c++17"])
def test_the_self_test_is_cpp_and_is_declared(folder: Path, compiler: str, standard: str) -> None:
    warnings = ["-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wmissing-declarations", "-Werror"]
    run([require(compiler), f"-std={standard}", *warnings, "-I.", "-fsyntax-only", "all/selftests.cpp"], folder)


NOT_CODE = re.compile(r"""/\*.*?\*/|//[^\n]*|"(\\.|[^"\\])*"|'.'|\#pragma GCC\b""", re.S)
"""Comments, strings, characters, and what no compiler expands macros in."""


def test_no_macro_of_a_project_meets_a_name_of_ours(packages: list[tuple[Program, dict[str, str]]]) -> None:
    """What a project defines for all its files (-DVERSION=1, -DROWS=4, -DN=8) is in capitals, and none of ours is bare."""
    texts = {path.name: path.read_text() for path in KERNELS.rglob("*.h")}
    for program, files in packages:
        texts |= {name: text.replace(program.name.upper(), "RNNC") for name, text in files.items() if "/" not in name}
    for name, text in texts.items():
        capitals = set(re.findall(r"(?<!\w)[A-Z][A-Z0-9_]*\b", NOT_CODE.sub(" ", text)))
        assert not {word for word in capitals - {"NULL", "AT_HWCAP"} if not word.startswith("RNNC_")}, name


@pytest.mark.parametrize("standard", ["c90", "gnu90"])
def test_an_older_standard_is_told(packages: list[tuple[Program, dict[str, str]]], folder: Path, standard: str) -> None:
    for program, _ in packages[:3]:
        for part in ("", "_state", "_selftest"):
            source = f"{program.name}{part}.c"
            command = ["gcc", f"-std={standard}", "-fsyntax-only", source]
            done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
            first = next(line for line in done.stderr.splitlines() if "error" in line)
            assert "Compile it with -std=c99 or later." in first


def test_no_leftovers(packages: list[tuple[Program, dict[str, str]]]) -> None:
    """Arithmetic, conditions and loops that a person would not have written."""
    leftover = re.compile(
        r"[-+] 0\b(?!\.)|\b1 \* |\* 1\b(?!\.)|if \(1\)|\|\| 0\b|&& 1\b|for \((?:int )?i = 0; i < 1;|step < \d+ \+"
    )
    for program, files in packages:
        n = program.name
        for file in (f"{n}.h", f"{n}.c", f"{n}_state.c", f"{n}_float.h", f"{n}_selftest.c"):
            code = re.sub(r"\{\n[^;]*?\n\};|/\*.*?\*/", "", files[file], flags=re.S)
            assert not leftover.search(code), (file, leftover.search(code))
        told = "wrote" in files[f"{n}_selftest.c"]
        assert told == (program.returns or program.flush is not None)


def undefined(folder: Path, nm: str, objects: Sequence[str]) -> set[str]:
    """What object files need of others."""
    names = run([nm, "-u", *objects], folder)
    return {line.split()[-1] for line in names.splitlines() if line.strip().startswith("U ")}


@pytest.fixture(scope="module")
def own(packages: list[tuple[Program, dict[str, str]]]) -> set[str]:
    """Functions of the packages themselves."""
    found = set()
    for program, files in packages:
        found |= set(re.findall(rf"\b({program.name}_\w+)\(", files[f"{program.name}.h"]))
    return found


def test_nothing_is_called_but_memcpy_and_memset(folder: Path, own: set[str], objects: list[str]) -> None:
    assert undefined(folder, "nm", objects) - own <= {"memcpy", "memset", "memcmp"}
    steps = [name for name in objects if re.fullmatch(r"net\d+\.o", name)]
    assert steps and "memcmp" not in undefined(folder, "nm", steps)


@pytest.mark.parametrize("level", ["-O0", "-Os"])
def test_nor_at_other_levels(folder: Path, level: str) -> None:
    run(["gcc", "-std=c99", "-fno-stack-protector", level, "-I.", "-c", "all/all.c", "-o", f"all/{level}.o"], folder)
    assert undefined(folder, "nm", [f"all/{level}.o"]) <= {"memcpy", "memset", "memcmp"}


def test_a_core_without_division_calls_integer_helpers_only(folder: Path) -> None:
    command = [require("arm-none-eabi-gcc"), "-std=c99", "-mcpu=cortex-m0", "-mthumb", "-O2"]
    run([*command, "-I.", "-c", "all/all.c", "-o", "all/m0.o"], folder)
    assert undefined(folder, "arm-none-eabi-nm", ["all/m0.o"]) <= {"memcpy", "memset", "memcmp"} | INTEGER_HELPERS


def test_no_data_no_bss(folder: Path, objects: list[str]) -> None:
    """Constants only: a part keeps its RAM for the streams."""
    for line in run(["size", "-A", *objects], folder).splitlines():
        words = line.split()
        if words and words[0].split(".")[:2] in (["", "data"], ["", "bss"]) and not words[0].startswith(".data.rel.ro"):
            assert words[1] == "0", line


def code(files: Mapping[str, str]) -> str:
    """All text but comments and the optional float helpers."""
    return re.sub(r"/\*.*?\*/", "", "\n".join(t for n, t in files.items() if not n.endswith("_float.h")), flags=re.S)


def test_no_float_no_64_bit_no_heap(packages: list[tuple[Program, dict[str, str]]]) -> None:
    banned = r"\b(float|double|u?int64_t|long|malloc|calloc|realloc|free|alloca|printf|goto)\b"
    for _, files in packages:
        assert re.findall(banned, code(files)) == []
        includes = set(re.findall(r"#include <(.*?)>", code(files)))
        assert includes <= {"stdint.h", "stddef.h", "string.h"}


def test_every_file_names_its_licence(packages: list[tuple[Program, dict[str, str]]]) -> None:
    for _, files in packages:
        for name, text in files.items():
            assert text.startswith("/* SPDX-License-Identifier: 0BSD */\n"), name


def test_only_the_kernels_used_are_emitted() -> None:
    _, files = package(draw_integers(3, ("dense",)))
    kernels = {n for n in files if n.startswith("rnnc/")}
    used = ("dense", "rows", "contract", "results", "vector", "loops", "fixed", "rom", "blob", "c99", "serial")
    assert kernels == {f"rnnc/{n}.h" for n in used}


def test_the_self_test_passes_and_finds_a_wrong_bit(tmp_path: Path) -> None:
    _, files = package(draw_integers(4, ("gru_after", "dense")), "net", steps=8)
    main = '#include "net.h"\nint main(void) { net_t s; return net_selftest(&s); }\n'
    sources = ["net.c", "net_state.c", "net_selftest.c", "main.c"]
    write_files(tmp_path, {**files, "main.c": main})
    run(["gcc", "-O1", *sources, "-o", "good"], tmp_path)
    run(["./good"], tmp_path)
    text = files["net_selftest.c"]
    start = text.index("out_y_")
    digit = re.search(r"= \{\n\s+(-?\d+)", text[start:])
    assert digit is not None
    at = start + digit.start(1)
    wrong = text[:at] + str(int(digit.group(1)) + 1) + text[at + len(digit.group(1)) :]
    write_files(tmp_path, {"net_selftest.c": wrong})
    run(["gcc", "-O1", *sources, "-o", "bad"], tmp_path)
    with pytest.raises(AssertionError, match="exit 1"):
        run(["./bad"], tmp_path)


SCRIPT = """
import hashlib, sys
from tests.support.nets import draw_integers
from tests.support.packages import package
text = ""
for seed in range(40, 52):
    program, files = package(draw_integers(seed))
    text += str(program) + "".join(f"{n}\\n{t}" for n, t in files.items())
print(hashlib.sha256(text.encode()).hexdigest())
"""


def test_output_is_the_same_whatever_the_folder_and_the_hash_seed(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    digests = set()
    for k, seed in enumerate(("0", "1", "12345")):
        here = tmp_path / f"folder {k}"
        here.mkdir()
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root}
        command = ["env", *(f"{k}={v}" for k, v in env.items() if k.startswith("PYTHON")), sys.executable, "-c", SCRIPT]
        digests.add(run(command, here))
    assert len(digests) == 1
