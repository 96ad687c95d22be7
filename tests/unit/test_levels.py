"""What the network costs at another of the compiler's levels of optimization than packages ask for."""

from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner

from rnnc.backend.layouts import OPTIMIZATION
from rnnc.cli import app
from rnnc.errors import UsageError
from rnnc.verification.levels import COMPARED, LEVEL, LEVELS, find_level
from tests.conftest import require


def test_what_is_measured_is_what_packages_ask_for() -> None:
    assert LEVEL == OPTIMIZATION in COMPARED and set(COMPARED) <= set(LEVELS)


def test_a_word_that_is_no_level_is_refused() -> None:
    assert [find_level(level) for level in LEVELS] == list(LEVELS)
    with pytest.raises(UsageError, match="level='-Ofast': no level"):
        find_level("-Ofast")


@pytest.mark.usefixtures("with_net")
def test_a_limit_of_the_stack_is_held_at_the_level_and_tells_the_others() -> None:
    require("gcc")
    words = ["compile", "net.onnx", "--no-verify", "--optimize", "-O0", "--max-stack", "1"]
    answer = CliRunner().invoke(app, words)
    found = {level: int(size) for size, level in re.findall(r"(\d+) B with (-O\w)", answer.stderr)}
    assert list(found) == ["-O0", *COMPARED] and found["-O0"] > found[LEVEL]
    assert (
        answer.exit_code == 1 and f"stack: {found['-O0']} B, {found['-O0'] - 1} B above --max-stack 1" in answer.stderr
    )


@pytest.mark.usefixtures("with_net")
def test_bench_builds_at_each_level() -> None:
    for tool in ("arm-none-eabi-gcc", "qemu-system-arm", "gcc"):
        require(tool)
    words = ["bench", "net.onnx", "--target", "cortex-m0", "--optimize", "-O2", "--optimize", "-Os"]
    answer = CliRunner().invoke(app, [*words, "--json"])
    assert answer.exit_code == 0, answer.stderr
    fast, small = json.loads(answer.stdout)["cost"]["instructions"]
    assert [found["optimize"] for found in (fast, small)] == ["-O2", "-Os"]
    assert all(found["c_equals_oracle"] and f" {found['optimize']} " in found["compiler"] for found in (fast, small))
    assert small["flash_code"] < fast["flash_code"] and small["median"] > fast["median"]
