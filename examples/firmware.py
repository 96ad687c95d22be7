"""Build an example's main.c with its generated C for a board, run it in an emulator, and show what it prints.

python -m examples.firmware NAME [--network MODEL.onnx] [--board cortex-m4] [--keep DIR]
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from examples.common import EXAMPLES, HERE, Network, Task, compile_network, find_task
from rnnc import Package
from rnnc.backend.targets import TARGETS
from rnnc.errors import RnncError, VerificationError
from rnnc.verification.boards import Board
from rnnc.verification.emulator import FIRMWARE, find_board, require_tools

WARNINGS = "-std=c99 -pedantic -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Werror".split()
START = {"cortex-m": "start_cortex_m.c", "riscv": "start_riscv.c", "hosted": "start_hosted.c"}
SECONDS = 300

PUT = """
#include "firmware.h"
void board_put(char character);
void board_put(char character)
{
    char text[2];
    text[0] = character;
    text[1] = 0;
    board_print(text);
}
"""
"""What the emulated board does with a character."""


def target_of(board: str) -> str:
    """The target to compile for: the board's own, or portable where there is none."""
    return board if board in TARGETS else "portable"


def run_firmware(name: str, package: Package, board: str, folder: Path) -> str:
    """Build in ``folder`` and run; returns what the firmware printed.

    Raises MissingTool; VerificationError where it does not build or does not end.
    """
    chosen = find_board(board)
    require_tools(chosen)
    package.write(folder)
    (folder / "heldout.h").write_text(find_task(name).heldout(package))
    (folder / "put.c").write_text(PUT)
    image = _build(name, package, chosen, folder)
    kernel = [str(image)] if chosen.machine == "hosted" else ["-kernel", str(image)]
    return _command([*chosen.emulator, *kernel], folder)


def _build(name: str, package: Package, board: Board, folder: Path) -> Path:
    common = [board.compiler, *board.flags, "-O2", "-ffunction-sections", "-fdata-sections", "-I.", f"-I{HERE}"]
    own = [path for path in (HERE / name / "main.c", HERE / name / "board.c") if path.exists()]
    for source in (*own, Path(f"{package.name}.c")):
        _command([*common, *WARNINGS, "-c", str(source), "-o", f"{source.stem}.o"], folder)
    link = ["-nostartfiles"] if board.machine != "hosted" else []
    if board.machine == "cortex-m":
        link += ["-T", str(FIRMWARE / "cortex_m.ld"), *(f"-Wl,--defsym={k}={v}" for k, v in board.memory.items())]
    elif board.machine == "riscv":
        link += ["-T", str(FIRMWARE / "riscv.ld")]
    image = folder / "firmware.elf"
    objects = [*(f"{path.stem}.o" for path in own), f"{package.name}.o"]
    start = [f"-I{FIRMWARE}", str(FIRMWARE / START[board.machine]), "put.c"]
    parts = [*start, *objects, *board.libraries]
    _command([*common, "-std=gnu99", *link, "-Wl,--gc-sections", *parts, "-o", str(image)], folder)
    return image


def _command(command: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as e:
        raise VerificationError(f"{Path(command[0]).name} does not end in {SECONDS} s") from e
    if done.returncode:
        raise VerificationError(f"{Path(command[0]).name}: exit {done.returncode}: {(done.stdout + done.stderr)[:600]}")
    return done.stdout or done.stderr  # semihosting writes to either


def _choose(task: Task, model: str) -> Network:
    return next((n for n in task.NETWORKS if n.model == model), task.NETWORKS[0])


def main() -> None:
    parser = argparse.ArgumentParser(description="Run an example's firmware in an emulator.")
    parser.add_argument("name", choices=EXAMPLES)
    parser.add_argument("--network", default="", help="which of the example's networks; the first else")
    parser.add_argument("--board", default="cortex-m4")
    parser.add_argument("--keep", metavar="DIR", help="build here, and leave everything")
    given = parser.parse_args()
    network = _choose(find_task(given.name), given.network)
    try:
        package = compile_network(given.name, network, target=target_of(given.board))
        with tempfile.TemporaryDirectory(prefix="example-") as temporary:
            folder = Path(given.keep or temporary).resolve()
            print(run_firmware(given.name, package, given.board, folder), end="")
    except RnncError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
