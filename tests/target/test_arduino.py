"""Arduino: the sketches of a library, built by Arduino's builder with the AVR core, run in simavr."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import rnnc
from rnnc.verification.on_board import run_on_board
from tests.conftest import require
from tests.support.arduino import MCU, built_sketch
from tests.support.board import PseudoBoard
from tests.support.packages import run
from tests.support.small import recording, small

AVR_SERIAL = Path(__file__).parents[1] / "support/avr_serial.c"


@pytest.mark.target
@pytest.mark.parametrize("target", ["avr", "portable"])
def test_the_sketch_that_serves_a_network_has_the_oracle_s_bits(target: str, tmp_path: Path) -> None:
    package = rnnc.compile_model(small(), target=target, verify=False, name="fan")
    library = package.write(tmp_path / "libraries/fan", "arduino")
    image = built_sketch(library.parent, library / "examples/fan_serve/fan_serve.ino", tmp_path / "build")
    require("simavr")
    run(["gcc", "-O2", AVR_SERIAL, "-o", "avr_serial", "-lsimavr", "-lelf"], tmp_path)
    with PseudoBoard([tmp_path / "avr_serial", image, MCU], tmp_path) as device:
        found = run_on_board(package.program, {"x": [recording(10)]}, device)
    assert (found.steps, found.difference, found.counter) == (10, "", "micros")


@pytest.mark.target
def test_the_sketch_of_the_self_test_says_that_every_bit_is_right(tmp_path: Path) -> None:
    library = rnnc.compile_model(small(), target="avr", verify=False, name="fan").write(
        tmp_path / "libraries/fan", "arduino"
    )
    image = built_sketch(library.parent, library / "examples/fan_selftest/fan_selftest.ino", tmp_path / "build")
    require("simavr")
    run(["gcc", "-O2", AVR_SERIAL, "-o", "avr_serial", "-lsimavr", "-lelf"], tmp_path)
    command = [str(tmp_path / "avr_serial"), str(image), MCU]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as board:  # it ends with its stdin
        assert board.stdin and board.stdout
        said = board.stdout.readline()
        board.stdin.close()
    assert said.startswith(b"fan: equal to the bit, microseconds: ")
