"""Data through a board that is connected by a serial line, compared with the oracle bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnnc.backend.program import Program
from rnnc.net import Array
from rnnc.options import ProgressCallback, no_progress
from rnnc.quantization.calibrate import Sequences
from rnnc.streams import run_qnet
from rnnc.verification.board_line import Answer, BoardLine
from rnnc.verification.host import by_tick
from rnnc.verification.serial_line import DEFAULT_BAUD, SerialLine


@dataclass(frozen=True)
class BoardRun:
    """What a board made of data.

    Args:
        ticks: of each step, by the board's counter.
        hertz: the counter's rate, 0 where it is not known.
        counts_cycles: whether its ticks are the core's clock cycles.
        repeated: requests that were sent again as they, or their answers, came damaged or not at all.
        difference: where an output first differs from the oracle's; "" for nowhere.
    """

    device: str
    version: str
    counter: str
    hertz: int
    counts_cycles: bool
    repeated: int
    difference: str
    ticks: tuple[int, ...] = field(repr=False)

    @property
    def steps(self) -> int:
        """How many were compared."""
        return len(self.ticks)

    @property
    def milliseconds(self) -> float | None:
        """Of the longest step."""
        return 1000 * max(self.ticks) / self.hertz if self.hertz else None

    def content(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "port": self.device,
            "package_version": self.version,
            "steps": self.steps,
            "c_equals_oracle": not self.difference,
            "difference": self.difference or None,
            "repeated": self.repeated,
            "counter": self.counter,
            "hertz": self.hertz or None,
            "ticks": {"min": min(self.ticks), "median": int(np.median(self.ticks)), "max": max(self.ticks)},
            "milliseconds": self.milliseconds,
        }

    def cycles(self) -> list[dict[str, Any]]:
        """Of a step, as JSON's ``cost.cycles`` has them; none where the counter counts something else."""
        ticks = self.content()["ticks"]
        return [{"core": "board", **ticks, "estimate": False}] if self.counts_cycles else []

    def summary(self) -> str:
        """A line for people."""
        t, unit = self.content()["ticks"], "cycles" if self.counts_cycles else "ticks"
        time = f", {self.milliseconds:.3g} ms" if self.milliseconds is not None else ""
        again = f"; {self.repeated} requests were sent again" if self.repeated else ""
        bits = "DIFFER" if self.difference else "equal"
        return (
            f"board     {self.steps} steps on {self.device}, bits {bits}; {unit} of a step by {self.counter}: "
            f"{t['median']}, at most {t['max']}{time}{again}"
        )


def run_on_board(
    program: Program,
    sequences: Sequences,
    device: str,
    baud: int = DEFAULT_BAUD,
    progress: ProgressCallback = no_progress,
) -> BoardRun:
    """Run every sequence on a board and compare each output, up to the first that differs.

    Args:
        sequences: real numbers (or row numbers), ``[steps, *shape]`` of each input.
        progress: called with how many steps are done.

    Raises UsageError where the device does not open, MissingTool where no firmware of rnnc answers there, VerificationError
    where it is another network's, or stops answering.
    """
    qnet, ticks, difference = program.qnet, list[int](), ""
    first = program.inputs[0].name
    total = sum(map(len, sequences[first]))
    with SerialLine(device, baud) as line:
        board = BoardLine(program, line)
        for k in range(len(sequences[first])):
            inputs = {p.name: qnet.formats[p.value].quantize(np.asarray(sequences[p.name][k])) for p in program.inputs}
            answers = _sequence(board, inputs, ticks, lambda: progress(len(ticks), total))
            difference = _difference(program, inputs, answers)
            if difference:
                difference = f"{difference} of sequence {k}" if len(sequences[first]) > 1 else difference
                break
        g = board.greeting
        return BoardRun(
            device, g.version, g.counter, g.hertz, g.counts_cycles, board.repeated, difference, tuple(ticks)
        )


def _sequence(
    board: BoardLine, inputs: Mapping[str, Array], ticks: list[int], done: Callable[[], None]
) -> list[Answer]:
    """The answers of a sequence from reset to its end; their times are added to ``ticks``."""
    board.reset()
    answers = []
    for t in range(len(next(iter(inputs.values())))):
        answers.append(board.step({name: x[t] for name, x in inputs.items()}))
        ticks.append(answers[-1].ticks)
        done()
    while board.program.flush and (late := board.flush()).wrote:
        answers.append(late)
    return answers


def _difference(program: Program, inputs: Mapping[str, Array], answers: list[Answer]) -> str:
    oracle = run_qnet(program.qnet, {name: x[:, None] for name, x in inputs.items()})
    for k, port in enumerate(program.outputs):
        due = [a for a in answers if (a.wrote >> k & 1 if program.apart else a.wrote)]
        written = np.array([a.outputs[k] for a in due], np.int64).reshape(len(due), 1, port.size)
        found = by_tick(port, written)
        want = oracle[port.name].reshape(-1, *found.shape[1:])
        if found.shape != want.shape:
            return f"output {port.name!r} is written {len(found)} times, not {len(want)}"
        if not np.array_equal(found, want):
            tick = int(np.argwhere(found != want)[0][0])
            numbers = f"board {_some(found[tick])}, oracle {_some(want[tick])}"
            return f"output {port.name!r}, value {tick}: {numbers}"
    return ""


def _some(values: Array) -> list[int]:
    return [int(v) for v in values.ravel()[:8]]
