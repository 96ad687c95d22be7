"""Random networks x 200 steps under AddressSanitizer and UndefinedBehaviorSanitizer, the bits equal to the oracle's.

Some 120 are drawn by hypothesis, and 80 more by `make targets`; some 50 have every op and kernel function between them. Inputs
go to the extremes of their types. Half-way each stream is saved, its memory overwritten, and restored. At the end each is
restored from forged blobs: whatever their states, nothing overflows and no memory is reached that is not the stream's. A batch
that fails shrinks to one network of few small layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from rnnc.backend.program import Program
from rnnc.errors import Refused
from rnnc.files import write_files
from rnnc.qnet import QNet
from rnnc.streams import start_qnet
from tests.conftest import require
from tests.support.covering import NOT_DRAWN, covering, names, wanted
from tests.support.nets import draw, draw_integers, integers, noise, to_integers
from tests.support.packages import HEADER, blob_of, dtype, in_one, package, run
from tests.support.strategies import batches, integer_nets

PARTS, OF_EVERY_RUN, EXAMPLES, BATCH, STEPS = 10, 6, 3, 12, 200
COVERING_PARTS = 4
FORGED, FORGED_TICKS = 4, 90
FLAGS = "-std=c99 -O0 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all".split()
MEMORY = ("clang", *"-std=c99 -O0 -g1 -DMEMORY -fsanitize=memory -fno-sanitize-recover=all".split())
"""MemorySanitizer: no value depends on memory that was not written."""

MAIN = """
#include <stdio.h>
#include <stdlib.h>
#define READ(a) do { if (fread(a, sizeof a, 1, in) != 1) { exit(2); } } while (0)
#ifdef MEMORY
#include <sanitizer/msan_interface.h>
#define POISON(s) __msan_poison(s, sizeof *(s)) /* memory that nobody has written yet */
#else
#define POISON(s)
#endif
#define WRITE(a) do { if (fwrite(a, sizeof a, 1, out) != 1) { exit(3); } } while (0)
"""
RUN = """
#include "NAME.h"
#include "rnnc/blob.h"
static void run_NAME(FILE *in, FILE *out)
{
    NAME_t *s = malloc(sizeof *s);
    uint8_t *blob = malloc(NAME_BLOB_LEN), id[12];
    XTYPE x[NAME_X_LEN];
    YTYPE y[NAME_Y_LEN];
    memset(s, 0xA5, sizeof *s);
    POISON(s);
    NAME_reset(s);
    for (int t = 0; t < STEPS; t++) {
        int wrote = 1;
        READ(x);
        STEP
        if (wrote) { WRITE(y); }
        if (t == STEPS / 2) {
            NAME_save(s, blob);
            memset(s, 0x5A, sizeof *s);
            POISON(s);
            if (NAME_restore(s, blob, NAME_BLOB_LEN)) { exit(4); }
        }
    }
    NAME_save(s, blob);
    if (fwrite(blob, NAME_BLOB_LEN, 1, out) != 1) { exit(5); }
    FLUSH
    for (int k = 0; k < FORGED; k++) { /* any state that a blob can hold */
        int wrote = 0;
        const size_t end = NAME_BLOB_LEN - RNNC_BLOB_CRC;
        for (size_t i = RNNC_BLOB_HEADER; i < end; i++) { blob[i] = (uint8_t)(k ? rand() >> 7 : 255); }
        rnnc_write_u32(blob + end, rnnc_crc32(blob, end));
        if (NAME_restore(s, blob, NAME_BLOB_LEN)) { exit(6); }
        for (int t = 0; t < FORGED_TICKS; t++) { STEP }
        DRAIN
        (void)wrote;
    }
    free(s);
    free(blob);
}
"""


def give(part: int, check: Callable[[Sequence[QNet]], None]) -> None:
    """Check the batches of a part: the same at every run."""
    chosen = settings(
        max_examples=EXAMPLES, phases=(Phase.generate, Phase.shrink), suppress_health_check=[HealthCheck.too_slow]
    )
    seed(part)(chosen(given(batches(integer_nets(), BATCH))(check)))()


def driver(program: Program) -> str:
    """A function that streams a file through one network, with its state on the heap."""
    step = f"{'wrote = ' if program.returns else ''}{program.name}_step(s, x, y);"
    flush = f"while ({program.name}_flush(s, y)) {{ WRITE(y); }}" if program.flush else ""
    drain = f"while ({program.name}_flush(s, y)) {{ }}" if program.flush else ""
    text = RUN.replace("FORGED_TICKS", str(FORGED_TICKS)).replace("FORGED", str(FORGED)).replace("DRAIN", drain)
    text = text.replace("STEPS", str(STEPS)).replace("STEP", step).replace("FLUSH", flush)
    text = text.replace("XTYPE", program.inputs[0].format.ctype).replace("YTYPE", program.outputs[0].format.ctype)
    for macro in ("X_LEN", "Y_LEN", "BLOB_LEN"):
        text = text.replace(f"NAME_{macro}", f"{program.name}_{macro}".upper())
    return text.replace("NAME", program.name)


@pytest.mark.parametrize(
    "part", [pytest.param(k, marks=() if k < OF_EVERY_RUN else pytest.mark.slow) for k in range(PARTS)]
)
def test_random_networks(part: int, tmp_path: Path) -> None:
    number = count()
    give(part, lambda nets: stream_under_sanitizers(nets, tmp_path / str(next(number))))


def stream_under_sanitizers(nets: Sequence[QNet], folder: Path, compiler: Sequence[str] = ("gcc", *FLAGS)) -> None:
    """One program streams through all of the networks; its output is the oracle's."""
    built = [package(qnet, f"net{k}", steps=1) for k, qnet in enumerate(nets)]
    source, calls, fed = [MAIN], [], b""
    for (program, files), qnet in zip(built, nets, strict=True):
        write_files(folder, files)
        source += [in_one([(program, files)], ("", "_state")), driver(program)]
        calls.append(f"    run_{program.name}(stdin, stdout);\n")
        fed += integers(qnet, STEPS)["x"].astype(dtype(program.inputs[0])).tobytes()
    source += ["int main(void)\n{\n", *calls, "    return 0;\n}\n"]
    write_files(folder, {"main.c": "".join(source), "input": ""})
    (folder / "input").write_bytes(fed)
    run([*compiler, "main.c", "-o", "run"], folder)
    run(["sh", "-c", "./run < input > output"], folder)

    output = (folder / "output").read_bytes()
    for (program, _), qnet in zip(built, nets, strict=True):
        stream, fed_to_it = start_qnet(qnet), integers(qnet, STEPS)
        kind = dtype(program.outputs[0])
        y = stream.advance(fed_to_it)["y"].astype(kind).tobytes()
        assert output[: len(y)] == y, str(qnet)
        blob = blob_of(program, stream, fed_to_it, output[len(y) : len(y) + HEADER])
        assert output[len(y) : len(y) + len(blob)] == blob, str(qnet)
        rest = stream.drain()["y"].astype(kind).tobytes()
        output = output[len(y) + len(blob) :]
        assert output[: len(rest)] == rest, str(qnet)
        output = output[len(rest) :]
    assert not output


def test_every_kind_of_op_is_covered() -> None:
    """Every op and every kernel function that ops call is in some of the networks that cover."""
    found = set().union(*map(names, covering()))
    kinds, used = wanted()
    assert len(kinds) > 40 and len(used) > 40
    assert (kinds | used) - found == NOT_DRAWN, "python -m tests.support.covering searches for networks anew"


@pytest.mark.parametrize("part", range(COVERING_PARTS))
def test_networks_that_cover(part: int, tmp_path: Path) -> None:
    stream_under_sanitizers(covering()[part::COVERING_PARTS], tmp_path)


def test_no_value_depends_on_memory_that_was_not_written(tmp_path: Path) -> None:
    """Also where the state is reset or restored into memory with anything in it; `make assurance` runs more networks."""
    require("clang")
    nets = [draw_integers(1, (layer,)) for layer in ("lstm", "gru_after", "conv", "pool", "running", "norm")]
    stream_under_sanitizers(nets, tmp_path, MEMORY)


def test_few_random_networks_are_refused() -> None:
    """Of 120, those that a preactivation beyond 2^19 or the like keeps out are the exception."""
    refused = 0
    for k in range(9000, 9120):
        net = draw(k)
        try:
            to_integers(net, noise(net, 64, k) if k % 2 else None)
        except Refused:
            refused += 1
    assert refused <= 2
