"""Instructions by op: the lines that call kernels, inlined or not, shared or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnc.verification.emulator import measure
from rnnc.verification.profile import Counts, by_op, lines_of_ops, per_step, read_counts
from tests.conftest import require
from tests.support.nets import draw, to_integers
from tests.support.packages import package


def test_counts_are_read(tmp_path: Path) -> None:
    path = tmp_path / "count.out"
    assert read_counts(path) == Counts([], [], [], [])
    path.write_text("R 12\nR 14\nB 100 3 2\nS 104 20\nC 31\n")
    assert read_counts(path) == Counts([12, 14], [(0x100, 6)], [(0x104, 20)], [31])


def test_means_of_a_step_leave_out_next_to_nothing() -> None:
    assert per_step({"reset": 1, "a": 20, "b": 300}, 10) == {"b": 30, "a": 2}


def test_every_op_has_its_lines() -> None:
    program, files = package(to_integers(draw(3, ["lstm", "lstm", "dense"])), "net")
    lines = files["net.c"].splitlines()
    found = lines_of_ops(program, files["net.c"])
    assert {"lstm0", "lstm1", "dense0"} <= set(found.values())
    assert all(f"net_{op}_" in lines[number - 1] for number, op in found.items() if op.startswith("lstm"))


def test_without_counts_nothing_is_said(tmp_path: Path) -> None:
    assert by_op([], {}, "net.c", tmp_path / "none.elf", "addr2line") == {}


@pytest.mark.target
@pytest.mark.parametrize("target", ["cortex-m4", "rv32imc"])
def test_layers_that_share_a_kernel_are_told_apart(target: str) -> None:
    for tool in ("arm-none-eabi-gcc", "qemu-system-arm", "riscv64-unknown-elf-gcc", "qemu-system-riscv32"):
        require(tool)
    program, files = package(to_integers(draw(7, ["lstm", "lstm", "dense"])), "net", target)
    measured = measure(program, files)
    macs = {op.name: sum(call.macs for call in op.calls()) for op in program.qnet.ops}
    assert macs["lstm1"] > 1.5 * macs["lstm0"] > 20 * macs["dense0"]
    assert measured.instructions is not None
    assert abs(sum(measured.ops.values()) - measured.instructions.median) <= 0.02 * measured.instructions.median
    assert measured.ops["lstm1"] > 1.2 * measured.ops["lstm0"] > 2 * measured.ops["dense0"] > 0
