"""Faults planted in the C and in the compiler: each is caught by the test that is named beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from assurance.store import ROOT, Outcome

PARTS = ("rnnc", "runtime_c", "templates", "tests", "assurance", "examples", "docs", "pyproject.toml")
FAILED = 1
"""pytest's exit code where tests ran and failed."""


@dataclass(frozen=True)
class Bug:
    """A line as it is and as it would be with a fault, and the test that must fail."""

    file: str
    right: str
    wrong: str
    gate: str


COUNTERS = "tests/repo/test_counters.py::test_no_loop_counter_wraps"
TABLES = "tests/golden/test_tables.py::test_what_is_generated_is_what_stands_there"
FUNCTIONS = "tests/kernels/test_functions.py"
PROOFS = "tests/unit/test_assurance.py::test_primitives_are_proved"
ALL_INPUTS = "tests/unit/test_assurance.py::test_tables_on_all_inputs"
BLOBS = "tests/unit/test_assurance.py::test_damaged_blobs_are_refused"
REACH = "tests/regression/test_reach_of_16_bits.py"
SMALL = "tests/unit/test_assurance.py::test_the_c_of_a_small_network_equals_the_oracle"
BUGS = {
    "table-index-off-by-one": Bug(
        "runtime_c/lut.h", "k > RNNC_KNOTS ? RNNC_KNOTS : k", "k > RNNC_KNOTS ? RNNC_KNOTS + 1 : k", ALL_INPUTS
    ),
    "loop-off-by-one": Bug(
        "runtime_c/rows.h",
        "for (; rows; rows--) {\n        int32_t sum = 0;\n        for (j = 0; j < n; j++) {",
        "for (; rows; rows--) {\n        int32_t sum = 0;\n        for (j = 0; j + 1 < n; j++) {",
        SMALL,
    ),
    "narrow-multiplication": Bug(
        "runtime_c/fixed.h", "u * (d >> 15) + ((u * (d & 32767) + 16384) >> 15)", "((u * d) + 16384) >> 15", PROOFS
    ),
    "no-rounding": Bug("runtime_c/fixed.h", "(u * (d & 32767) + 16384) >> 15", "(u * (d & 32767)) >> 15", PROOFS),
    "truncation-by-cast": Bug(
        "runtime_c/fixed.h", "return (int8_t)(upper + ((127 - upper) >> 31));", "return (int8_t)upper;", PROOFS
    ),
    "saturation-off-by-one": Bug(
        "runtime_c/fixed.h",
        "rnnc_clip((s + 8192) >> 14, -32767, 32767)",
        "rnnc_clip((s + 8192) >> 14, -32767, 32766)",
        PROOFS,
    ),
    "clip-the-wrong-way": Bug(
        "runtime_c/fixed.h", "return x < lo ? lo : x > hi ? hi : x;", "return x < lo ? hi : x > hi ? lo : x;", PROOFS
    ),
    "shift-by-one-less": Bug(
        "runtime_c/loops.h",
        "(product + rnnc_rom_i32(&line->offset)) >> rnnc_rom_u8(&line->shift)",
        "(product + rnnc_rom_i32(&line->offset)) >> (rnnc_rom_u8(&line->shift) - 1)",
        PROOFS,
    ),
    "state-not-cleared": Bug(
        "templates/state.c.j2", "    (void)memset(s, 0, sizeof *s);\n", "", "tests/golden/test_c_of_a_gru.py"
    ),
    "narrow-counter-of-rows": Bug("runtime_c/dense.h", "size_t i, r;", "uint16_t i, r;", COUNTERS),
    "narrow-counter-of-bytes": Bug("runtime_c/blob.h", "size_t i;\n    for", "uint16_t i;\n    for", COUNTERS),
    "narrow-counter-of-columns": Bug("runtime_c/window_dense.h", "uint16_t r, j;", "uint8_t r, j;", COUNTERS),
    "counts-without-room": Bug(
        "rnnc/net.py", "MOST_ELEMENTS = MOST_COUNTED - 63", "MOST_ELEMENTS = MOST_COUNTED", REACH
    ),
    "field-not-compared": Bug(
        "rnnc/backend/structs.py", "return self.least <= self.value <= self.most", "return True", REACH
    ),
    "table-typed-wrong": Bug("runtime_c/lut.h", "4127, 8392735, 16764959", "4127, 8392734, 16764959", TABLES),
    "checksum-not-looked-at": Bug("templates/state.c.j2", "!rnnc_blob_sealed(saved, {{ upper }}_BLOB_LEN)", "0", BLOBS),
    "length-not-looked-at": Bug("templates/state.c.j2", " || n > {{ upper }}_BLOB_LEN", "", BLOBS),
    "wrong-polynomial": Bug("runtime_c/blob.h", "0xedb88320u", "0xedb88321u", "tests/kernels/test_core.py"),
    "bytes-swapped": Bug(
        "runtime_c/blob.h", "(uint32_t)p[0] | (uint32_t)p[1] << 8", "(uint32_t)p[1] | (uint32_t)p[0] << 8", PROOFS
    ),
    "bound-half-as-large": Bug(
        "rnnc/quantization/certify.py",
        "if b.worst >= 1 << (b.bits - 1):",
        "if b.worst >= 1 << b.bits:",
        "tests/unit/test_assurance.py::test_a_bound_past_31_bits_is_refused",
    ),
    "bound-twice-too-small": Bug(
        "rnnc/rows.py",
        "np.abs(self.weights).sum(1) * self.operand_max",
        "np.abs(self.weights).sum(1) * self.operand_max // 2",
        "tests/unit/test_rederived.py::test_the_certificate_follows_from_the_c",
    ),
    "condition-that-is-a-number": Bug(
        "runtime_c/norm.h",
        "if (p->centred != 0) {",
        "if (p->centred) {",
        "tests/kernels/test_analysers.py::test_misra_and_cppcheck_find_nothing_that_is_not_listed",
    ),
    "loop-budget-gone": Bug(
        "rnnc/frontend/read/inference.py",
        "        if spent > limit:",
        "        if False:",
        "tests/unit/test_resource_bombs.py::test_what_would_be_spent_is_predicted",
    ),
    "products-not-counted": Bug(
        "rnnc/frontend/read/inference.py",
        "            if total > MAX_PRODUCTS:",
        "            if False:",
        "tests/unit/test_resource_bombs.py::test_what_would_be_spent_is_predicted",
    ),
    "links-followed": Bug(
        "rnnc/files.py", "if (folder / parent).is_symlink():", "if False:", "tests/unit/test_written_files.py"
    ),
    "terminal-commanded": Bug(
        "rnnc/cli/output.py",
        "plain = COMMANDS.sub(",
        "plain = text or COMMANDS.sub(",
        "tests/unit/test_written_files.py",
    ),
    "external-data-anywhere": Bug(
        "rnnc/frontend/read/external.py",
        "if path.is_symlink() or not path.is_file():",
        "if not path.exists():",
        "tests/unit/test_frontend_external.py",
    ),
    "nan-attribute": Bug(
        "rnnc/frontend/read/limits.py",
        "    if not np.all(np.isfinite(numbers)) and not bound:",
        "    if False:",
        "tests/unit/test_resource_bombs.py::test_an_attribute_that_is_no_number_is_refused",
    ),
    "array-twice": Bug(
        "rnnc/data/archives.py",
        "            if name in arrays:",
        "            if False:",
        "tests/unit/test_data_budget.py",
    ),
}
"""By name: the ten kinds of RELIABILITY where the C has them, and faults of this project's own rules."""


def content(shard: str) -> str:
    """The fault, the file that it is planted in, and the test."""
    bug = BUGS[shard]
    return "\0".join([repr(bug), *((ROOT / name).read_text() for name in (bug.file, bug.gate.partition("::")[0]))])


def run(shard: str) -> Outcome:
    """Plant one fault in a copy of the project and run its gate."""
    bug = BUGS[shard]
    with TemporaryDirectory(prefix="rnnc-assurance-") as name:
        copy = Path(name)
        for part in PARTS:
            source = ROOT / part
            skip = shutil.ignore_patterns("__pycache__", "*.pyc")
            if source.is_dir():
                shutil.copytree(source, copy / part, ignore=skip)
            else:
                shutil.copy(source, copy / part)
        path = copy / bug.file
        text = path.read_text()
        if text.count(bug.right) < 1:
            return Outcome(1, [f"{shard}: {bug.file} no longer has the line that the fault is planted in"])
        path.write_text(text.replace(bug.right, bug.wrong, 1))
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", bug.gate]
        paths = os.pathsep.join([str(copy), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))])
        environment = {**os.environ, "PYTHONPATH": paths}
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    caught = done.returncode == FAILED
    return Outcome(1, [] if caught else [f"{shard}: {bug.gate} ends with {done.returncode}: {done.stdout[-200:]}"])
