"""The native module of MicroPython, against a stand-in of the part of the API that it takes.

tools/real_systems.sh builds it with MicroPython's own sources.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np

import rnnc
from rnnc.backend.identity import model_id
from rnnc.streams import run_qnet
from tests.conftest import require
from tests.support.packages import run
from tests.support.small import recording, small
from tests.support.windows import T, autoencoder

STAND_IN = Path(__file__).parents[1] / "support/micropython"
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def test_a_module_has_the_oracle_s_bits_and_takes_no_wrong_buffer(tmp_path: Path) -> None:
    require("gcc")
    package = rnnc.compile_model(small(), verify=False, name="fan")
    folder, program = package.write(tmp_path / "fan", "micropython"), package.program
    counts = program.qnet.formats[program.inputs[0].value].quantize(recording(20)).astype("<i2")
    (y,) = run_qnet(program.qnet, {"x": counts[:, None].astype(np.int64)}).values()
    sizes = [f"-DX={counts[0].nbytes}", f"-DY={2 * y.shape[-1]}", f"-DID={model_id(program.qnet):#x}u"]
    sources = re.search(r"^SRC = (.*)$", (folder / "Makefile").read_text(), re.M)
    assert sources and sources[1].startswith("src/module.c ")  # the linker takes the first file for that of the entry
    flags = [
        "-std=c99",
        "-Wall",
        "-Wextra",
        "-Wno-unused-function",
        "-Wno-array-bounds",  # of code that the sanitizers pull apart
        "-Werror",
        "-O2",
        "-DRNNC_ANYWHERE",
        *sizes,
        *SANITIZED,
    ]
    command = ["gcc", *flags, "-Isrc", f"-I{STAND_IN}", *sources[1].split(), STAND_IN / "board.c", "-o", "board"]
    run(command, folder)
    done = subprocess.run(
        [folder / "board"],
        input=counts.tobytes(),
        check=False,
        capture_output=True,
        env={"ASAN_OPTIONS": "detect_leaks=0"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert np.array_equal(np.frombuffer(done.stdout, "<i2").reshape(20, -1), y[:, 0])


def test_the_example_in_the_module_names_arrays_that_fit() -> None:
    text = str(rnnc.compile_model(small(), verify=False, name="fan").arranged("micropython")["src/module.c"])
    arrays = {
        name: (code, int(n)) for name, code, n in re.findall(r'(\w+) = array\.array\("(\w)", bytes\((\d+)\)\)', text)
    }
    assert arrays == {"x": ("h", 6), "y": ("h", 4)}


def test_an_answer_of_several_values_is_given_one_a_call(tmp_path: Path) -> None:
    require("gcc")
    package = rnnc.compile_model(autoencoder(3), window=T, name="net", verify=False)
    folder, (y,) = package.write(tmp_path / "net", "micropython"), package.program.outputs
    text = (folder / "src/module.c").read_text()
    assert "== mp_const_none ? NULL : net_buffer_of_(all[2]" in text and "MP_QSTR_next" in text
    assert f"net_buffer_of_(all[1], {2 * y.size // T}, MP_BUFFER_RW)" in text.split("net_next_", 1)[1]
    run(
        ["gcc", "-std=c99", "-Wall", "-Werror", "-Wno-unused-function", "-Isrc", f"-I{STAND_IN}", "-c", "src/module.c"],
        folder,
    )
