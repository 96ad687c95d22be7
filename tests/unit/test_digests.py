"""States are compared after every step: the check sums of oracle and C agree, and a fault that heals is seen."""

from __future__ import annotations

import numpy as np
import pytest

from rnnc.backend.emit.spelling import statement
from rnnc.qnet import QNet
from rnnc.verification.batches import Batch
from rnnc.verification.digests import of_struct
from rnnc.verification.host import HostPackage, OracleRun, run_oracle
from rnnc.verification.verify import compare_c
from tests.support.nets import LAYERS, SHORT_WINDOW, draw_integers, in_windows, noise
from tests.support.packages import package

STEPS, LANES = 50, 2
HEALS = """
#include <stdint.h>
static void heals(int32_t *p)
{
    static int tick;
    p[1] ^= ++tick == 7 ? 1 : 0;
}
"""


def oracle_run(qnet: QNet) -> OracleRun:
    return run_oracle(qnet, Batch([*range(LANES)], [STEPS] * LANES, noise(qnet.net, STEPS, lanes=LANES)))


@pytest.mark.parametrize("layer", LAYERS)
def test_check_sums_of_the_states_agree_after_every_step(layer: str) -> None:
    qnet = draw_integers(list(LAYERS).index(layer), (layer,))
    agree(qnet)


def agree(qnet: QNet) -> int:
    """After how many steps the check sums are known, which must be those of the C."""
    run, (program, files) = oracle_run(qnet), package(qnet)
    with HostPackage(program, files) as host:
        sums = of_struct(program, run.sums, STEPS)
        assert np.array_equal(host.run(run.inputs).sums[: len(sums)], sums)
    return len(sums)


@pytest.mark.parametrize("layers", [("skip",), ("gru_after", "skip"), ("conv", "lstm")])
@pytest.mark.parametrize("hop", [0, 2, 7])
@pytest.mark.parametrize("columns", [1, 40])
def test_check_sums_agree_in_windows_that_overlap_and_look_ahead(
    layers: tuple[str, ...], hop: int, columns: int
) -> None:
    known = agree(in_windows(layers, hop, columns))
    assert known == STEPS if not hop else known >= STEPS - SHORT_WINDOW


def test_both_ways_to_keep_windows_are_among_them() -> None:
    """Frames, and states for each window that is under way."""
    programs = [package(in_windows(("conv", "lstm"), 7, columns))[0] for columns in (1, 40)]
    assert [bool(p.overlap and p.overlap.rings) for p in programs] == [True, False]


def test_check_sums_change_with_every_step_of_a_moving_state() -> None:
    run = oracle_run(draw_integers(3, ("gru_after",)))
    assert len(np.unique(run.sums)) > LANES * STEPS // 2


def test_a_state_that_is_wrong_for_a_while_is_told_with_its_step() -> None:
    """The last bit of a GRU's 32-bit state: it reaches no output, and is forgotten long before the end."""
    qnet = draw_integers(list(LAYERS).index("gru_after"), ("gru_after",))
    program, files = package(qnet)
    state = next(s for s in qnet.ops[-1].states() if s.name.endswith("_s"))
    call = next(c for c in program.calls if c.op == qnet.ops[-1].name)
    text, name = statement(program, call), f"{program.name}.c"
    planted = {**files, name: HEALS + files[name].replace(text, f"{text}\nheals(s->{state.name});")}
    found = compare_c(program, planted, [oracle_run(qnet)])
    assert f"state {state.name!r}, element 1: C " in found and "step 7 of sequence 0" in found, found
