"""Parts: what they are compiled for, how long a step takes there, and what does not fit."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rnnc.backend.parts import PARTS
from rnnc.backend.targets import TARGETS, find_target
from rnnc.errors import UsageError
from rnnc.verification import parts as on_parts
from rnnc.verification.boards import BOARDS
from rnnc.verification.emulator import missing_tools
from rnnc.verification.pipelines import PIPELINES, cost_table, instructions
from tests.conftest import require
from tests.support.small import small
from tests.unit.test_cli import rnnc

LISTING = """
image.elf:     file format elf32-littlearm

00008000 <step>:
    8000:\tpush\t{r4, r5, r6, r7, lr}
    8002:\tldr\tr4, [r0, #0]
    8004:\tldr\tr5, [r0, #4]
    8006:\tsmuad\tr5, r4, r5
    800a:\tbne.n\t8002 <step+0x2>
    800c:\tbic.w\tr4, r4, #3
    8010:\tldmia.w\tsp!, {r4-r8, pc}
    8014:\t.word\t0x00008000
"""


def needs(target: str) -> None:
    for tool in missing_tools(BOARDS[target]):
        require(tool)


def test_every_part_has_a_core_with_a_target_and_its_cycles() -> None:
    for part in PARTS.values():
        assert find_target(part.name) is TARGETS[part.target]
        assert part.core in ("AVR", "LX106") or part.core in PIPELINES  # the one is counted, the other has no table
        assert part.flash > part.ram > 0 and part.source


def test_cycles_of_instructions_are_those_of_the_manual() -> None:
    rows = [tuple(line.split()) for line in cost_table(PIPELINES["Cortex-M4"], LISTING.splitlines()).splitlines()]
    assert rows == [
        ("8000", "6", "0"),
        ("8002", "2", "0"),
        ("8004", "1", "0"),
        ("8006", "1", "0"),
        ("800a", "1", "2"),
        ("800c", "1", "0"),
        ("8010", "7", "2"),
    ]
    slow = {i.address: PIPELINES["Cortex-M0"].cycles(i) for i in instructions(LISTING.splitlines())}
    assert slow[0x8004] == 2


@pytest.mark.usefixtures("with_net")
def test_compile_tells_how_long_a_step_takes_on_the_part() -> None:
    needs("cortex-m4")
    words = (
        "compile",
        "net.onnx",
        "--calib",
        "calib.npy",
        "--target",
        "stm32l476",
        "--rate",
        "50",
        "--clock",
        "40",
        "--no-verify",
    )
    report = json.loads(rnnc(*words, "--json").out)
    part, cost = report["part"], report["cost"]
    (cycles,) = cost["cycles"]
    assert report["target"] == "cortex-m4" and part["name"] == "stm32l476" and part["fits"]
    assert cycles["estimate"] and cycles["max"] >= cycles["min"] > 0
    assert cost["milliseconds"] == pytest.approx(cycles["max"] / 40e3)
    assert part["busy_percent"] == pytest.approx(cost["milliseconds"] * 50 / 1e3 * 100, rel=0.01)
    assert json.loads(Path("net/report.json").read_text())["part"] == part
    text = rnnc(*words).out
    assert " ms" in text and "% of its" in text and max(map(len, text.splitlines())) <= 80


@pytest.mark.usefixtures("with_net")
def test_one_screen_says_whether_it_fits_how_long_how_good_and_what_to_do_next() -> None:
    needs("cortex-m4")
    text = rnnc("compile", "net.onnx", "--calib", "calib.npy", "--target", "stm32l476", "--rate", "50").out
    assert len(text.splitlines()) <= 40
    assert re.search(r"^time .* ms .*^stm32l476 +fits .*^verdict: good$.*^what to do next$", text, re.M | re.S)
    assert "net/net.h " in text and "net/report.html " in text and "rnnc verify " in text


@pytest.mark.usefixtures("with_net")
def test_a_part_that_is_too_small_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    needs("cortex-m0")
    answer = rnnc("compile", "net.onnx", "--calib", "calib.npy", "--target", "nrf51822", "--rate", "1e6", "--no-verify")
    assert answer.code == 1 and "does not fit nrf51822" in answer.err and "of its time" in answer.err
    assert not Path("net").exists()


@pytest.mark.usefixtures("with_net")
def test_without_its_compiler_a_part_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    answer = rnnc("compile", "net.onnx", "--calib", "calib.npy", "--target", "rp2040", "--no-verify", "--json")
    report = json.loads(answer.out)
    assert answer.code == 0 and report["cost"]["milliseconds"] is None
    assert "arm-none-eabi-gcc" in report["part"]["missing"]


@pytest.mark.usefixtures("with_net")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--target", "cortex-m4", "--rate", "50"), "--target cortex-m4 is no part"),
        (("--clock", "80"), "--target portable is no part"),
        (("--target", "stm32l467"), "Is it stm32l476?"),
        (("--target", "stm32l476", "--rate", "0"), "must be above 0"),
        (("--target", "stm32l476", "--clock", "-1"), "must be above 0"),
    ],
)
def test_what_makes_no_sense_of_parts(words: tuple[str, ...], said: str) -> None:
    answer = rnnc("compile", "net.onnx", *words, "--no-verify")
    assert answer.code == 2 and said in answer.err


@pytest.mark.usefixtures("with_net")
def test_parts_are_listed_and_those_that_a_model_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(rnnc("parts").out.splitlines()) == 1 + len(PARTS)
    needs("avr")
    some = {name: PARTS[name] for name in ("atmega328p", "atmega2560")}
    monkeypatch.setattr(on_parts, "PARTS", some)
    found = json.loads(rnnc("parts", "net.onnx", "--calib", "calib.npy", "--rate", "10", "--json").out)["parts"]
    assert [p["name"] for p in found] == list(some)
    assert all(p["milliseconds"] > 0 and p["fits"] and p["ram_percent"] < 100 for p in found)
    text = rnnc("parts", "net.onnx", "--calib", "calib.npy").out
    assert "atmega2560" in text and max(map(len, text.splitlines())) <= 80


def test_a_part_that_is_none() -> None:
    with pytest.raises(UsageError):
        on_parts.find_part("z80")


@pytest.mark.usefixtures("with_net")
def test_what_is_not_told_of_several_networks_on_a_part_is_said() -> None:
    Path("other.onnx").write_bytes(small())
    answer = rnnc("compile", "net.onnx", "other.onnx", "--target", "rp2040", "--no-verify", "-o", "both")
    assert answer.code == 0 and "milliseconds on rp2040" in answer.err
    answer = rnnc(
        "compile", "net.onnx", "other.onnx", "--target", "rp2040", "--rate", "50", "--no-verify", "-o", "both"
    )
    assert answer.code == 2 and "is for one network" in answer.err
