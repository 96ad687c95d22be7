"""What the emulators counted of each call, put into figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnnc.backend.program import Program
from rnnc.verification.boards import Board
from rnnc.verification.cycles import Cycles
from rnnc.verification.pipelines import PIPELINES


@dataclass(frozen=True)
class Instructions:
    """Instructions of a step, over all steps of the self-test."""

    least: int
    median: int
    most: int


def apart(program: Program, regions: Sequence[int]) -> tuple[list[int], list[int]]:
    """The counts of step and of NAME_next, which the self-test calls for every other answer, until it returns 0."""
    if not program.continues:
        return list(regions), []
    window, every, values = program.window, program.qnet.net.every, program.outputs[0].ticks
    steps, nexts, at = list[int](), list[int](), 0
    while at < len(regions):
        step = len(steps)
        steps.append(regions[at])
        answers = step + 1 >= window and (step + 1 - window) % every == 0
        taken = values + 1 if answers and step // every % 2 else 0
        nexts += regions[at + 1 : at + 1 + taken]
        at += 1 + taken
    return steps, nexts


def of_call(regions: Sequence[int]) -> Instructions | None:
    return Instructions(min(regions), int(np.median(regions)), max(regions)) if regions else None


def cycles_of(board: Board, counts: Sequence[int]) -> Cycles | None:
    """Counted by the emulator, or added up from its core's table."""
    if not counts:
        return None
    if not board.core:
        return Cycles.of(board.name, counts)
    return Cycles.of(board.core, counts, estimate=True, assumes=PIPELINES[board.core].source)
