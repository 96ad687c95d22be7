"""Networks as bytes: firmware checks them, refuses the bad, and runs them at any address over a state that it keeps."""

from __future__ import annotations

import subprocess
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnc.backend.layouts import Contents, arrange
from rnnc.backend.program import Program
from rnnc.errors import UsageError
from rnnc.files import write_files
from rnnc.net import Net
from rnnc.streams import run_qnet
from rnnc.verification.blob import blob_bytes, blob_sources
from rnnc.verification.boards import BOARDS, Board
from rnnc.verification.emulator import FIRMWARE, missing_tools
from tests.conftest import require
from tests.support.nets import draw, integers, to_integers
from tests.support.packages import contents, package, run

LOADER = """
#include <string.h>
#include "board.h"
#include "fan_blob.h"
#include "rnnc/network.h"

#define STEPS {steps}
__asm__(".section .rodata\\n.balign 16\\n.globl image\\nimage: .incbin \\"fan.blob\\"\\n.text\\n");
extern const uint8_t image[];
static uint8_t places[3][({length} + 15) / 16 * 16 + 2 * 1040] __attribute__((aligned(16)));
static int32_t state[FAN_STATE_BYTES / 4];
static const int16_t x[STEPS][{inputs}] = {{{x}}}, want[STEPS][{outputs}] = {{{want}}};

static int check(const void *at, size_t room)
{{
    return rnnc_network_check(at, room, FAN_FORMATS, sizeof state);
}}

static int refuses(uint8_t *at, size_t place, int expected)
{{
    int found;
    at[place] ^= 0x20u;
    found = check(at, {length});
    at[place] ^= 0x20u;
    return found == expected;
}}

static int right(uint8_t *const at[3])
{{
    int16_t y[{outputs}] = {{0}};
    const void *inputs[1];
    void *outputs[1] = {{y}};
    int t;
    rnnc_network_reset(at[0], state);
    for (t = 0; t < STEPS; t++) {{
        inputs[0] = x[t];
        if (!rnnc_network_step(at[t % 3], state, inputs, outputs) || memcmp(y, want[t], sizeof y) != 0) {{
            return 0;
        }}
    }}
    return 1;
}}

int main(void)
{{
    uint8_t *at[3];
    size_t i;
    int k, wrong = 0;
    for (k = 0; k < 3; k++) {{
        at[k] = places[k] + 1040 * k;
        memcpy(at[k], image, {length});
        wrong |= check(at[k], {length}) != RNNC_NETWORK_OK;
    }}
    board_print(wrong ? "no network\\n" : right(at) ? "equal\\n" : "differ\\n");
    wrong = check(at[0], {length} - 1) != RNNC_NETWORK_TRUNCATED || check(at[0], 20) != RNNC_NETWORK_TRUNCATED;
    wrong |= check(at[0] + 4, {length}) != RNNC_NETWORK_UNALIGNED;
    wrong |= !refuses(at[0], 0, RNNC_NETWORK_FOREIGN) || !refuses(at[0], 4, RNNC_NETWORK_FOREIGN);
    for (i = 8; i < {length}; i += 61) {{
        wrong |= i / 4 != 8 && !refuses(at[0], i, RNNC_NETWORK_CORRUPT);
    }}
    wrong |= rnnc_network_check(at[0], {length}, FAN_FORMATS + 1, sizeof state) != RNNC_NETWORK_PORTS;
    wrong |= rnnc_network_check(at[0], {length}, FAN_FORMATS, sizeof state - 4) != RNNC_NETWORK_STATE;
    board_print(wrong ? "taken\\n" : "refused\\n");
    board_exit(0);
    return 0;
}}
"""
OTHER_CORE = """
#include <string.h>
#include "board.h"
#include "rnnc/network.h"
__asm__(".section .rodata\\n.balign 16\\n.globl image\\nimage: .incbin \\"fan.blob\\"\\n.text\\n");
extern const uint8_t image[];
int main(void)
{{
    int lacks = rnnc_network_check(image, {length}, 0, 0) == RNNC_NETWORK_CORE_LACKS;
    board_print(lacks ? "lacks\\n" : "taken\\n");
    board_exit(0);
    return 0;
}}
"""
CORES = ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m33", "cortex-m55", "rv32imc")


def made(target: str, layers: list[str] | Net, folder: Path) -> tuple[Program, bytes]:
    """The files of a blob, and its bytes."""
    require(BOARDS[target].compiler)
    program, files = package(to_integers(draw(3, layers) if isinstance(layers, list) else layers), "fan", target)
    of = contents(program)
    placed = {**arrange("blob", of, files), **blob_sources(of)}
    image = blob_bytes(of, placed)
    assert image
    write_files(folder, {**placed, "fan.blob": image})
    return program, image


def output(board: Board, main: str, folder: Path) -> list[str]:
    """What a program that loads fan.blob prints on a board."""
    for tool in missing_tools(board):
        require(tool)
    write_files(folder, {"load.c": main})
    sources: list[str | Path] = [
        FIRMWARE / board.start,
        "load.c",
        *board.linking(str(FIRMWARE / board.script)),
        *board.libraries,
    ]
    flags = ["-std=gnu99", "-O2", "-Wall", "-Wextra", "-Werror", "-Isrc", f"-I{FIRMWARE}"]
    run([board.compiler, *board.flags, *flags, *sources, "-o", "load.elf"], folder)
    command = [*board.emulator, "-kernel", "load.elf"]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    return (done.stdout + done.stderr).splitlines()


def numbers(array: np.ndarray[Any, Any]) -> str:
    return ", ".join("{" + ", ".join(map(str, row)) + "}" for row in array.reshape(len(array), -1).tolist())


@pytest.mark.target
@pytest.mark.parametrize("target", CORES)
def test_it_runs_at_three_addresses_in_turn_over_one_state(target: str, tmp_path: Path) -> None:
    program, image = made(target, ["gru_after", "lstm", "lstm", "dense"], tmp_path)
    x = integers(program.qnet, steps := 24)
    want = run_qnet(program.qnet, x)["y"]
    given = {"steps": steps, "length": len(image), "inputs": program.inputs[0].size, "outputs": program.outputs[0].size}
    board = BOARDS[target].larger or BOARDS[target]
    main = LOADER.format(x=numbers(x["x"]), want=numbers(want), **given)
    assert output(board, main, tmp_path) == ["equal", "refused"]


@pytest.mark.target
def test_a_core_that_lacks_its_instructions_refuses_it(tmp_path: Path) -> None:
    _, image = made("cortex-m4", ["dense"], tmp_path)
    assert output(BOARDS["cortex-m3"], OTHER_CORE.format(length=len(image)), tmp_path) == ["lacks"]


def test_make_builds_the_same_bytes(tmp_path: Path) -> None:
    """Of a network whose kernels become functions that several ops share, which hold no addresses either."""
    require("make")
    program, image = made("cortex-m0", draw(105), tmp_path)
    assert program.folded
    (tmp_path / "fan.blob").unlink()
    run(["make", f"HOST_CC={require('gcc')}"], tmp_path)
    assert (tmp_path / "fan.blob").read_bytes() == image
    assert zlib.crc32(image[:-4]) == int.from_bytes(image[-4:], "little") and len(image) == int.from_bytes(
        image[32:36], "little"
    )


def test_formats_tell_networks_apart_whose_numbers_mean_something_else() -> None:
    program, _ = package(to_integers(draw(3, ["dense"])), "fan")
    (port,) = program.inputs
    other = replace(program, inputs=(replace(port, format=replace(port.format, scale=port.format.scale * 2)),))
    again, changed = (blob_sources(contents(p))["src/fan_blob.h"] for p in (program, other))
    assert again != changed and again == blob_sources(contents(program))["src/fan_blob.h"]


def test_what_cannot_be_a_blob_is_named() -> None:
    program, _ = package(to_integers(draw(3, ["dense"])), "fan", "avr")
    with pytest.raises(UsageError, match=r"target 'avr' runs no code that is loaded"):
        blob_sources(contents(program))
    with pytest.raises(UsageError, match="holds one network"):
        blob_sources(Contents("both", (program, program), ("a.onnx", "b.onnx"), "1.0.0"))
