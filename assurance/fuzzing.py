"""libFuzzer on generated packages: any bytes as a saved state, any state, any inputs, under ASan and UBSan.

The first byte of an input says what the rest is: a blob as it came, or the content of one (a state that a blob can hold) and
inputs for the steps after it. What is found stands in the result as the bytes that show it, with the seed of its network.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from assurance.networks import c_of, network
from assurance.store import Outcome
from rnnc.backend.program import Program
from rnnc.files import write_files
from rnnc.qnet import QNet
from tests.support.packages import package, run

RUNS, SEEDS, FIRST = 5_000, 50, 300_000
FLUSHED = 32
SECONDS = 600
FLAGS = "-std=c99 -O1 -g1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all".split()
HEX = 400
"""Of a crash's input, what the result keeps."""
TARGET = """
#include <stdlib.h>
#include "NAME.c"
#include "rnnc/blob.h"
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t blob[NAME_BLOB_LEN], id[12];
    NAME_t *s = malloc(sizeof *s);
    XTYPE x[NAME_X_LEN];
    YTYPE y[NAME_Y_LEN];
    const size_t end = NAME_BLOB_LEN - RNNC_BLOB_CRC, content = end - RNNC_BLOB_HEADER;
    (void)id;
    NAME_reset(s);
    if (size > 0 && data[0] & 1) {
        uint8_t *exact = malloc(size); /* no byte behind the blob may be read */
        memcpy(exact, data + 1, size - 1);
        (void)NAME_restore(s, exact, size - 1);
        free(exact);
    } else if (size > content) {
        NAME_save(s, blob);
        memcpy(blob + RNNC_BLOB_HEADER, data + 1, content < size - 1 ? content : size - 1);
        rnnc_write_u32(blob + end, rnnc_crc32(blob, end));
        if (NAME_restore(s, blob, NAME_BLOB_LEN)) { abort(); }
        data += content;
        size -= content;
    }
    for (int t = 0; t < 16; t++) {
        int wrote = 0;
        memset(x, t & 1 ? 0x80 : 0x7F, sizeof x);
        if (size > 1) {
            const size_t taken = size - 1 < sizeof x ? size - 1 : sizeof x;
            memcpy(x, data + 1, taken);
            data += taken;
            size -= taken;
        }
        STEP
        (void)wrote;
    }
    DRAIN
    free(s);
    return 0;
}
"""


def target(program: Program) -> str:
    """The C of the fuzz target of a package."""
    step = f"{'wrote = ' if program.returns else ''}{program.name}_step(s, x, y);"
    few = f"for (int k = 0; k < {FLUSHED} && {program.name}_flush(s, y); k++) {{ }}"
    drain = few if program.flush else ""  # a forged counter asks for up to 65,535
    text = TARGET.replace("STEP", step).replace("DRAIN", drain)
    text = text.replace("XTYPE", program.inputs[0].format.ctype).replace("YTYPE", program.outputs[0].format.ctype)
    for macro in ("X_LEN", "Y_LEN", "BLOB_LEN"):
        text = text.replace(f"NAME_{macro}", f"{program.name}_{macro}".upper())
    return text.replace("NAME", program.name)


def fuzzed(shard: str) -> QNet:
    """The network of a shard."""
    first = FIRST + int(shard) * SEEDS
    return next(net for seed in range(first, first + SEEDS) if (net := network(seed)) and net.states())


def c_of_fuzzed(shard: str) -> str:
    """Its C."""
    return c_of([fuzzed(shard)])


def fuzz(shard: str, runs: int = RUNS) -> Outcome:
    """One network, from the saved state of a fresh stream on."""
    first = FIRST + int(shard) * SEEDS
    qnet = fuzzed(shard)
    with TemporaryDirectory(prefix="rnnc-fuzz-") as folder:
        here = Path(folder)
        program, files = package(qnet, "net", steps=1)
        write_files(here, {**files, "fuzz.c": target(program), "corpus/zero": ""})
        for k, odd in enumerate((0, 1, 0, 1)):
            content = Random(first + k).randbytes(200 << k)
            (here / f"corpus/{k}").write_bytes(bytes([odd]) + content)
        run(["clang", *FLAGS, "fuzz.c", f"{program.name}_state.c", "-o", "fuzz"], here)
        command = [
            "./fuzz",
            f"-runs={runs}",
            f"-seed={first + 1}",
            "-max_len=4096",
            "-artifact_prefix=found-",
            "corpus",
        ]
        done = subprocess.run(command, cwd=here, check=False, capture_output=True, timeout=SECONDS)
        crashes = [f"network {first}: {p.name} {p.read_bytes().hex()[:HEX]}" for p in here.glob("found-*")]
        if done.returncode and not crashes:
            crashes = [f"network {first}: exit {done.returncode}: {done.stderr[-200:].decode(errors='replace')}"]
    return Outcome(runs, crashes)
