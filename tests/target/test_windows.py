"""Windows that overlap, on a Cortex-M4: the oracle's bits, and a step whose cost is bounded evenly."""

from __future__ import annotations

import pytest

from rnnc.backend.program import Program
from rnnc.net import Net
from rnnc.verification.boards import BOARDS
from rnnc.verification.emulator import measure
from tests.support.operators import quantized, sequence
from tests.support.packages import package
from tests.support.sequences import imported
from tests.support.windows import KINDS, T, autoencoder, both_ways, many_to_one
from tests.target.test_targets import need

BOARD = "cortex-m4"
STEPS = 4 * T
COST = {"self_attention": (412, 2016, 90_000), "decoder_of_the_end": (168, 62, 13_500), "forecast": (74, 48, 7_500)}
"""Bytes of state and of scratch, and the most instructions of a call on that board: the T-th, which attends or decodes."""


@pytest.mark.target
@pytest.mark.parametrize(("hop", "frames"), [(1, T), (4, T - 4 + 1), (6, 0)])
def test_a_call_costs_at_most_its_share_of_the_steps(hop: int, frames: int) -> None:
    """Whether frames are kept or states: no call runs more than T / K steps of the network, rounded up."""
    need(BOARD)
    net = imported(many_to_one(), hop=hop)
    qnet = quantized(net, sequence(net, steps=STEPS))
    one, files = package(quantized(imported(many_to_one()), sequence(net, steps=STEPS)), target=BOARD, steps=T)
    single = measure(one, files, BOARDS[BOARD]).instructions
    program, files = package(qnet, target=BOARD, steps=STEPS)
    assert program.overlap is not None and program.overlap.frames == frames
    measured = measure(program, files, BOARDS[BOARD])
    assert measured.equal and measured.instructions and single
    share = -(-T // hop)
    assert measured.instructions.most < share * (single.most + 100) + 200


@pytest.mark.target
def test_a_network_of_both_directions() -> None:
    need(BOARD)
    net = imported(both_ways(), hop=5)
    program, files = package(quantized(net, sequence(net, steps=STEPS)), target=BOARD, steps=STEPS)
    assert measure(program, files, BOARDS[BOARD]).equal


@pytest.mark.target
@pytest.mark.parametrize("board", [BOARD, "avr", "rv32imc"])
@pytest.mark.parametrize("kind", ["self_attention", "decoder_of_the_end", "forecast"])
def test_what_runs_when_the_window_is_full(kind: str, board: str) -> None:
    """Attention over all steps, and a second layer from the states of the first."""
    need(board)
    net = imported(KINDS[kind](), window=T)
    program, files = package(quantized(net, sequence(net, steps=STEPS)), target=board, steps=2 * T)
    measured = measure(program, files, BOARDS[board])
    assert measured.equal and measured.instructions
    assert measured.instructions.most > 2 * measured.instructions.median, "the T-th call does it all"
    if board == BOARD:
        state, scratch, most = COST[kind]
        assert (program.cost.ram_state, program.cost.ram_scratch) == (state, scratch)
        assert measured.instructions.most <= most


@pytest.mark.target
@pytest.mark.parametrize("board", [BOARD, "avr"])
@pytest.mark.parametrize("kind", ["autoencoder", "decoder_of_the_end"])
def test_an_answer_one_value_a_call(kind: str, board: str) -> None:
    """NAME_next gives the bits that step gives at once, and no call of it takes longer than its share."""
    need(board)
    answered_step_by_step(imported(KINDS[kind](), window=T), board)


@pytest.mark.target
@pytest.mark.parametrize(("columns", "kept"), [(3, "frames"), (24, "states")])
def test_an_answer_of_windows_that_overlap_one_value_a_call(columns: int, kept: str) -> None:
    need(BOARD)
    program = answered_step_by_step(imported(autoencoder(columns), window=T, hop=5), BOARD)
    assert program.overlap and bool(program.overlap.rings) == (kept == "frames")


def answered_step_by_step(net: Net, board: str) -> Program:
    """Holds a package's answers, every other of them taken by NAME_next, against the oracle, and what the calls cost."""
    program, files = package(quantized(net, sequence(net, steps=STEPS)), target=board, steps=4 * T)
    measured = measure(program, files, BOARDS[board])
    assert program.continues and measured.equal
    assert measured.instructions and measured.next_instructions
    at_once, share = measured.instructions.most, measured.next_instructions.most
    assert T * measured.next_instructions.median < at_once and 4 * share < at_once
    return program
