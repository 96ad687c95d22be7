"""The seam between layers and targets is a contract: what breaks it does not compile, and what keeps it costs nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rnnc.backend.emit.together import together
from rnnc.backend.program import ITEM_BYTES
from rnnc.backend.targets import TARGETS
from rnnc.files import write_files
from tests.conftest import require
from tests.support.nets import draw_integers
from tests.support.packages import WARNINGS, package, run
from tests.support.pruned import dense, quantized

KERNELS = Path(__file__).parents[2] / "runtime_c"
HEADERS = {name: "".join(f'#include "{h}"\n' for h in (*t.isa, "rows.h")) for name, t in TARGETS.items()}
"""What a layer that multiplies rows includes for each target."""
C, CXX = WARNINGS, ["-x", "c++", "-std=c++11", *(w for w in WARNINGS if not w.startswith(("-std", "-Wstrict")))]
COMPILERS = {
    "gcc": C,
    "clang": [*C, "-Wno-unused-function"],
    "g++": CXX,
    "clang++": [*CXX, "-Wno-unused-function"],
    "avr-gcc": [*C, "-mmcu=atmega2560", "-DRNNC_PLAIN"],
    "arm-none-eabi-gcc": [*C, "-mcpu=cortex-m4", "-mthumb", "-DRNNC_PLAIN"],
}
LIMIT = 71
"""Columns up to which operands are looked at: every remainder of every padding."""

GOOD = """
#define RNNC_GROUP 2
#define RNNC_LANES 2
#define RNNC_OPERAND_BYTES(columns, bits) (2 * (columns))
static inline void rnnc_prepare(void *v, const void *x, uint8_t bits, uint16_t columns)
{
    memcpy(v, x, (size_t)columns * (bits / 8u));
}
static inline const int8_t *rnnc_product(int32_t *acc, const int8_t *w, const void *v, uint8_t bits, uint16_t columns,
                                         uint16_t rows)
{
    (void)v;
    (void)bits;
    memset(acc, 0, rows * sizeof *acc);
    return w + columns * rows;
}
static inline const int8_t *
rnnc_product_wide(int32_t *acc, const int8_t *w, const void *v,
                  uint8_t bits, uint16_t columns, uint16_t rows)
{
    (void)v;
    (void)bits;
    memset(acc, 0, rows * sizeof *acc);
    return w + 2 * columns * rows;
}
#define RNNC_SHIFT
static inline int32_t rnnc_shift(int32_t x, uint32_t s) { return x >> (s & 31); }
#define RNNC_LUT_INDEX
static inline uint32_t rnnc_lut_index(uint32_t a) { return a >> 8 > 192 ? 192 : a >> 8; }
"""
"""A target."""
PRODUCT = GOOD[GOOD.index("static inline const int8_t *rnnc_product") : GOOD.index("static inline const int8_t *\n")]
WIDE = GOOD[GOOD.index("static inline const int8_t *\n") : GOOD.index("#define RNNC_SHIFT")]
PREPARE = GOOD[GOOD.index("static inline void rnnc_prepare") : GOOD.index("static inline const int8_t")]
FAULTS = {
    "no product": (PRODUCT, "", "rnnc_product"),
    "no product of wide rows": (WIDE, "", "rnnc_product_wide"),
    "a wide product of 32-bit rows": ("bits, uint16_t columns, uint16_t", "bits, uint16_t columns, uint32_t", "wide"),
    "no prepare": (PREPARE, "", "rnnc_prepare"),
    "a product of 32-bit columns": ("uint16_t columns,\n", "uint32_t columns,\n", "rnnc_product"),
    "a product of int16 vectors": ("const void *v, uint8_t bits", "const int16_t *v, uint8_t bits", "rnnc_product"),
    "a product that gives no constant": (
        "inline const int8_t *rnnc_product",
        "inline void *rnnc_product",
        "rnnc_product",
    ),
    "a prepare of a constant": (
        "void *v, const void *x, uint8_t bits",
        "void *v, void *x, uint8_t bits",
        "rnnc_prepare",
    ),
    "a prepare by signed bits": (
        "const void *x, uint8_t bits, uint16_t",
        "const void *x, int8_t bits, uint16_t",
        "rnnc_prepare",
    ),
    "a shift by a signed number": ("int32_t x, uint32_t s", "int32_t x, int32_t s", "rnnc_shift"),
    "a signed interval": ("inline uint32_t rnnc_lut_index", "inline int32_t rnnc_lut_index", "rnnc_lut_index"),
    "no group": ("#define RNNC_GROUP 2\n", "", "RNNC_GROUP"),
    "no lanes": ("#define RNNC_LANES 2\n", "", "RNNC_LANES"),
    "no operand": ("#define RNNC_OPERAND_BYTES(columns, bits) (2 * (columns))\n", "", "RNNC_OPERAND_BYTES"),
    "a group of three": ("RNNC_GROUP 2", "RNNC_GROUP 3", "RNNC_GROUP"),
    "no lane": ("RNNC_LANES 2", "RNNC_LANES 0", "RNNC_LANES"),
    "an operand that is too short": ("(2 * (columns))", "(columns)", "RNNC_OPERAND_BYTES"),
}
START = "#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n"


def compiled(compiler: str, text: str, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """``text`` as an object, constants and unused functions included; without flags, warnings are let pass."""
    (folder / "seam.c").write_text(text + "typedef int not_empty;\n")
    command = [require(compiler), *flags, "-O0", "-I", str(KERNELS), "-c", "seam.c", "-o", "seam.o"]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_target_keeps_it_without_a_warning(compiler: str, tmp_path: Path) -> None:
    for target, text in HEADERS.items():
        done = compiled(compiler, text, tmp_path, *COMPILERS[compiler])
        assert done.returncode == 0, f"{target}: {done.stderr}"


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("language", ["c", "c++", "another C"])
def test_what_breaks_it_does_not_compile_and_is_named(language: str, fault: str, tmp_path: Path) -> None:
    """As errors, not as warnings; compilers that do not know GNU C declare the functions once more."""
    flags = {"c": ("-std=c99",), "c++": ("-x", "c++"), "another C": ("-std=c99", "-U__GNUC__")}[language]
    before, after, name = FAULTS[fault]
    assert GOOD.count(before) == 1
    good = compiled("gcc", f'{START}{GOOD}#include "rows.h"\n', tmp_path, *flags)
    assert good.returncode == 0, good.stderr
    bad = compiled("gcc", f'{START}{GOOD.replace(before, after)}#include "rows.h"\n', tmp_path, *flags)
    errors = [line for line in bad.stderr.splitlines() if "error:" in line and "contract" in line]
    assert bad.returncode != 0 and errors and name in bad.stderr, bad.stderr


@pytest.mark.parametrize("target", TARGETS)
def test_it_costs_nothing(target: str, tmp_path: Path) -> None:
    """Without optimization, too."""
    symbols = []
    for off in ("", "#define RNNC_CONTRACT_H\n"):
        assert compiled("gcc", off + HEADERS[target], tmp_path).returncode == 0
        symbols.append(run(["size", "-A", "seam.o"], tmp_path))
    assert symbols[0] == symbols[1]


def test_targets_in_python_are_those_in_c(tmp_path: Path) -> None:
    """Group, lanes, and the bytes of an operand: as many are written, none behind."""
    for name, t in TARGETS.items():
        text = f"""
#include <stdio.h>
{HEADERS[name]}
int main(void)
{{
    static int32_t buffer[200];
    static int16_t x[{LIMIT}];
    uint8_t bits;
    uint16_t n, k;
    printf("%d %d\\n", RNNC_GROUP, RNNC_LANES);
    for (bits = 8; bits <= 16; bits = (uint8_t)(bits + 8)) {{
        for (n = 1; n <= {LIMIT}; n++) {{
            const uint8_t *end = (const uint8_t *)buffer + RNNC_OPERAND_BYTES(n, bits);
            memset(buffer, 0x5a, sizeof buffer);
            rnnc_prepare(buffer, x, bits, n);
            for (k = 0; k < 64 && end[k] == 0x5a; k++) {{ }}
            printf("%d %d\\n", (int)RNNC_OPERAND_BYTES(n, bits), k == 64 && end[-1] != 0x5a);
        }}
    }}
    return 0;
}}
"""
        (tmp_path / "sizes.c").write_text(text)
        run(["gcc", "-w", "-DRNNC_PLAIN", "-I", KERNELS, "sizes.c", "-o", "sizes"], tmp_path)
        lines = run(["./sizes"], tmp_path).splitlines()
        sizes = [t.operand(n, bits) for bits in (8, 16) for n in range(1, LIMIT + 1)]
        assert lines[0] == f"{t.group} {t.lanes}", name
        assert lines[1:] == [f"{length * ITEM_BYTES[ctype]} 1" for ctype, length in sizes], name


@pytest.mark.parametrize(
    "change",
    [("RNNC_GROUP 4", "RNNC_GROUP 8"), ("RNNC_LANES 1", "RNNC_LANES 4"), ("(4 * (2 + ", "(4 * (4 + ")],
    ids=["group", "lanes", "operand"],
)
def test_a_package_refuses_kernels_that_it_is_not_laid_out_for(change: tuple[str, str], tmp_path: Path) -> None:
    program, files = package(draw_integers(0, ("gru_after",)), target="cortex-m4")
    header = files["rnnc/isa/dsp.h"]
    assert header.count(change[0]) == 1 and program.operands
    command = ["gcc", "-fsyntax-only", f"{program.name}.c"]
    write_files(tmp_path, files)
    run(command, tmp_path)
    write_files(tmp_path, {"rnnc/isa/dsp.h": header.replace(*change)})
    with pytest.raises(AssertionError, match="was packed for another target than rnnc/ holds"):
        run(command, tmp_path)


def test_a_package_for_avr_refuses_to_be_told_of_fewer_columns_than_it_has(tmp_path: Path) -> None:
    program, files = package(draw_integers(0, ("gru_after",)), target="avr")
    most = max(o.columns for o in program.operands)
    command = ["gcc", "-fsyntax-only", f"{program.name}.c"]
    write_files(tmp_path, files)
    run([*command, f"-DRNNC_MOST_COLUMNS={most}"], tmp_path)
    run([*command, "-DRNNC_MOST_COLUMNS=257"], tmp_path)
    with pytest.raises(AssertionError, match=f"define it before all that are compiled as one file, {most} or more"):
        run([*command, f"-DRNNC_MOST_COLUMNS={most - 1}"], tmp_path)


def test_networks_in_one_file_are_told_of_the_widest_operand_of_all(tmp_path: Path) -> None:
    """The narrow one comes first; its kernels are those of both."""
    columns = {"narrow": 12, "broad": 300}
    networks = [package(quantized(dense(8, n, 0.0)), name, "avr", 2) for name, n in columns.items()]
    files = together("both", networks)
    write_files(tmp_path, files)
    run(["gcc", "-fsyntax-only", "both.c"], tmp_path)
    assert "#define RNNC_MOST_COLUMNS 300 " in files["both.c"]
    assert "#define RNNC_MOST_COLUMNS 12 " in files["narrow_code.h"]
