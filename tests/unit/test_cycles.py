"""Cycles of a step: what bench tells of cores, and what it says where they cannot be simulated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from rnnc.backend.program import Program
from rnnc.errors import MissingTool, UsageError, VerificationError
from rnnc.verification import rtl
from rnnc.verification.bench import random_sequences
from rnnc.verification.boards import BOARDS
from rnnc.verification.cycles import Cycles
from rnnc.verification.emulator import measure, missing_tools
from rnnc.verification.golden import golden
from rnnc.verification.pipelines import PIPELINES, instructions
from rnnc.verification.rtl import CORES, TARGET, find_core, missing_parts, require_parts, simulate_cycles
from rnnc.verification.tools import RTL
from tests.conftest import require
from tests.support.small import small
from tests.unit.test_cli import rnnc


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.onnx").write_bytes(small())
    return "net.onnx"


def needs(*cores: str) -> None:
    for tool in [*missing_tools(BOARDS[TARGET]), *(part for name in cores for part in missing_parts(CORES[name]))]:
        require(tool)


def test_bench_tells_the_cycles_of_each_core(model: str) -> None:
    needs("ibex", "vexriscv")
    answer = rnnc("bench", model, "--target", TARGET, "--core", "ibex", "--core", "vexriscv", "--json")
    cost = json.loads(answer.out)["cost"]
    assert [c["core"] for c in cost["cycles"]] == ["ibex", "vexriscv"]
    instructions = cost["instructions"][0]["median"]
    assert all(instructions < c["min"] <= c["median"] <= c["max"] and not c["estimate"] for c in cost["cycles"])


def test_bench_tells_the_cycles_of_an_avr_unasked(model: str) -> None:
    for tool in missing_tools(BOARDS["avr"]):
        require(tool)
    answer = rnnc("bench", model, "--target", "avr")
    (line,) = [line for line in answer.out.splitlines() if line.split()[:1] == ["cycles"]]
    assert "  avr" in line and len(line) <= 80


def test_cores_are_of_one_target(model: str) -> None:
    answer = rnnc("bench", model, "--target", "cortex-m0", "--core", "ibex")
    assert answer.code == 2 and "--target rv32imc" in answer.err
    answer = rnnc("bench", model, "--target", TARGET, "--core", "cva6")
    assert answer.code == 2 and "unknown core 'cva6'" in answer.err and "picorv32" in answer.err
    with pytest.raises(UsageError):
        find_core("")


def test_what_a_core_lacks_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtl, "require_tools", lambda _: None)
    monkeypatch.setattr(rtl, "missing_parts", lambda core: ["verilator", core.distribution])
    with pytest.raises(MissingTool, match="core ibex: verilator, pythondata-cpu-ibex is not installed") as caught:
        require_parts(CORES["ibex"])
    assert caught.value.hint == "apt-get install verilator; pip install pythondata-cpu-ibex"


def test_doctor_knows_every_core() -> None:
    assert {core.distribution for core in CORES.values()} == {name for name, _ in RTL}


def test_a_program_that_never_ends_is_reported(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("ibex")
    program, files = packed(model)
    monkeypatch.setattr(rtl, "MOST_CYCLES", 2000)
    with pytest.raises(VerificationError, match=r"does not end in 2,000 cycles on ibex"):
        simulate_cycles(program, files, CORES["ibex"])


def test_bits_that_differ_on_a_core_are_reported(model: str) -> None:
    needs("ibex")
    program, files = packed(model)
    name = f"{program.name}_selftest.c"
    wrong = {**files, name: files[name].replace("return 0;", "return 3;")}
    assert wrong != files
    with pytest.raises(VerificationError, match="differs from the oracle on ibex at step 3"):
        simulate_cycles(program, wrong, CORES["ibex"])


def test_a_simulator_is_built_where_the_cache_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert rtl._folder().is_dir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert rtl._folder() == tmp_path / "cache/rnnc/rtl"


DISASSEMBLY = """
00000100 <f>:
 100:\tpush\t{r4, r5, r6, lr}
 102:\tldr\tr3, [r0, #4]
 104:\tldr.w\tr4, [r0, r2, lsl #2]
 108:\tadds\tr3, #1
 10a:\tsmlald\tr4, r5, r6, r7
 10e:\tstr\tr3, [r0, #0]
 110:\tldmia.w\tr1!, {r2-r5, r7}
 114:\tmla\tr1, r2, r3, r1
 118:\tbne.n\t102 <f+0x2>
 11a:\tpop\t{r4, r5, r6, pc}
"""


@pytest.mark.parametrize(
    ("core", "cycles"),
    [
        ("Cortex-M0", [5, 2, 2, 1, 1, 2, 6, 1, 1, 5]),
        ("Cortex-M3", [5, 2, 1, 1, 7, 1, 6, 2, 1, 5]),
        ("Cortex-M4", [5, 2, 1, 1, 1, 1, 6, 1, 1, 5]),
    ],
)
def test_instructions_cost_what_the_manuals_say(core: str, cycles: list[int]) -> None:
    """Beside the refill after taken branches; of two loads in a row the second overlaps on M3 and M4."""
    pipeline = PIPELINES[core]
    found = [(i.address, pipeline.cycles(i)) for i in instructions(DISASSEMBLY.splitlines())]
    assert [address for address, _ in found] == [0x100, 0x102, 0x104, 0x108, 0x10A, 0x10E, 0x110, 0x114, 0x118, 0x11A]
    if core == "Cortex-M0":
        found[4] = (0x10A, 1)  # it has no smlald
    assert [cost for _, cost in found] == cycles


def test_taken_branches_cost_a_refill(tmp_path: Path) -> None:
    """A step that loops costs more than its instructions one by one."""
    for tool in missing_tools(BOARDS["cortex-m0"]):
        require(tool)
    import rnnc
    from rnnc.backend.emit import emit

    package = rnnc.compile_model(small(), target="cortex-m0", verify=False)
    qnet = package.program.qnet
    measured = measure(package.program, emit(package.program, golden(qnet, random_sequences(qnet))))
    assert measured.cycles and measured.instructions and measured.cycles.estimate
    assert measured.instructions.most < measured.cycles.least < 2 * measured.instructions.least


def test_cycles_in_json() -> None:
    assert Cycles.of("ibex", [3, 5, 4]).content() == {
        "core": "ibex",
        "min": 3,
        "median": 4,
        "max": 5,
        "estimate": False,
        "assumes": "",
    }


def packed(model: str) -> tuple[Program, Mapping[str, str]]:
    import rnnc
    from rnnc.backend.emit import emit

    package = rnnc.compile_model(model, target=TARGET, verify=False)
    qnet = package.program.qnet
    return package.program, emit(package.program, golden(qnet, random_sequences(qnet)))
