"""A package on the part that it is for: whether it fits, how long a step takes, and how much of its time that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rnnc.backend.emit import Golden, emit
from rnnc.backend.lower import lower
from rnnc.backend.parts import PARTS, TargetPart
from rnnc.backend.program import Program
from rnnc.errors import BudgetError, MissingTool, NoRoom, Refused, UsageError, VerificationError
from rnnc.notebook import NotebookText
from rnnc.qnet import QNet
from rnnc.verification.boards import Board
from rnnc.verification.cycles import Cycles
from rnnc.verification.emulator import TargetMeasurement, find_board, measure, require_tools
from rnnc.verification.levels import LEVEL
from rnnc.verification.pipelines import PIPELINES


@dataclass(frozen=True, repr=False)
class OnPart(NotebookText):
    """What a package takes of a part.

    Args:
        part: at its clock.
        rate: steps a second, None where that is not known.
        measured: on the emulator of the part's core; None where its compiler or emulator is missing.
        missing: which, and how to get it.
        known: bytes of flash and RAM without code and stack.
    """

    part: TargetPart
    rate: float | None
    measured: TargetMeasurement | None
    missing: str
    known: tuple[int, int]

    @property
    def cycles(self) -> Cycles | None:
        """Of a step."""
        return self.measured.cycles if self.measured else None

    @property
    def milliseconds(self) -> float | None:
        """Of the longest step."""
        return self.part.milliseconds(self.cycles.most) if self.cycles else None

    @property
    def flash(self) -> int:
        """Bytes of weights, tables, and code where it is known."""
        return self.known[0] + (self.measured.footprint.code if self.measured else 0)

    @property
    def ram(self) -> int:
        """Bytes of state, scratch, and stack where it is known."""
        return self.known[1] + (self.measured.stack if self.measured else 0)

    @property
    def fits(self) -> bool:
        """Whether it has as much flash and RAM, and time for as many steps."""
        busy = self.busy
        return self.flash <= self.part.flash and self.ram <= self.part.ram and (busy is None or busy <= 1)

    @property
    def busy(self) -> float | None:
        """The share of its time that steps take, the longest at each."""
        ms = self.milliseconds
        return None if self.rate is None or ms is None else ms / 1e3 * self.rate

    def __str__(self) -> str:
        size = "stack included" if self.measured else "without code and stack"
        taken = [
            f"flash {_percent(self.flash / self.part.flash):g} %, RAM {_percent(self.ram / self.part.ram):g} %, {size}"
        ]
        if self.milliseconds is not None:
            taken.append(f"{self.milliseconds:.3g} ms a step at {self.part.mhz:g} MHz")
        if self.busy is not None:
            taken.append(f"{_percent(self.busy):g} % of its time at {self.rate:g} steps a second")
        what = "fits" if self.fits else "does not fit"
        return f"{what} {self.part.name}: {', '.join([*taken, *([self.missing] if self.missing else [])])}"

    def content(self) -> dict[str, Any]:
        """``part`` of report.json."""
        return {
            "name": self.part.name,
            "core": self.part.core,
            "clock_mhz": self.part.mhz,
            "flash": self.part.flash,
            "ram": self.part.ram,
            "waits": self.part.waits,
            "source": self.part.source,
            "flash_percent": _percent(self.flash / self.part.flash),
            "ram_percent": _percent(self.ram / self.part.ram),
            "rate_hz": self.rate,
            "busy_percent": None if self.busy is None else _percent(self.busy),
            "fits": self.fits,
            "missing": self.missing or None,
        }

    def check(self, where: str) -> None:
        """Raise BudgetError where it does not fit."""
        if not self.fits:
            ways = ((self.flash, self.part.flash, "B of flash"), (self.ram, self.part.ram, "B of RAM"))
            over = [f"{used:,} of {has:,} {what}" for used, has, what in ways if used > has]
            over += [f"{self.busy:.0%} of its time at {self.rate:g} steps a second"] if (self.busy or 0) > 1 else []
            hint = "`rnnc parts MODEL` lists what it fits; int8 weights (--weights 8) and --precision a8 are smaller."
            raise BudgetError(f"does not fit {self.part.name}: {', '.join(over)}", where=where, hint=hint)


def _percent(share: float) -> float:
    return float(f"{100 * share:.3g}")


def find_part(name: str) -> TargetPart:
    """The part of that name; raises UsageError where there is none."""
    if name not in PARTS:
        raise UsageError(f"{name!r} is no part", hint="`rnnc parts` lists those that --target takes.")
    return PARTS[name]


def part_board(part: TargetPart) -> Board:
    """The board of its target, with the cycles of its core where a table has them; those of AVR come from its simulator."""
    return replace(find_board(part.target), core=part.core if part.core in PIPELINES else "")


def on_part(
    program: Program, files: Mapping[str, str], part: TargetPart, rate: float | None = None, level: str = LEVEL
) -> OnPart:
    """Run a package's self-test on the emulator of a part's core.

    Args:
        files: the package's, its self-test among them.
        rate: steps a second.
        level: of optimization.

    Raises UsageError for a rate that is not above 0, NoRoom, VerificationError where it does not build or its bits differ.
    """
    if rate is not None and not rate > 0:
        raise UsageError(f"--rate {rate:g}: must be above 0")
    board = part_board(part)
    measured, missing = None, ""
    try:
        require_tools(board)
        measured = measure(program, files, board, (level,))
    except MissingTool as error:
        missing = f"{error.what}: {error.hint}"
    if measured is not None and not measured.equal:
        step = measured.failed_step
        raise VerificationError(f"the C differs from the oracle on {part.core} at step {step} of the self-test")
    cost = program.cost
    known = cost.flash_weights + cost.flash_tables, cost.ram_state + cost.ram_scratch
    return OnPart(part, rate, measured, missing, known)


def on_all_parts(
    qnet: QNet, name: str, golden: Golden, rate: float | None, note: Callable[[str], None]
) -> list[OnPart]:
    """A network on every part; each core is run once, and ``note`` is called with which one is next.

    Args:
        name: prefix of the C.
        golden: what the self-test runs.

    A core that cannot hold the network is left out, and told. Raises as ``on_part`` does else.
    """
    cores: dict[str, OnPart | None] = {}
    for part in PARTS.values():
        if part.core not in cores:
            note(f"running on {part.core}")
            try:
                program = lower(qnet, part.target, name)
                cores[part.core] = on_part(program, emit(program, golden), part, rate)
            except (Refused, NoRoom) as error:
                cores[part.core] = None
                note(f"{part.core} is left out: {error.what}")
    found = ((part, cores[part.core]) for part in PARTS.values())
    return [replace(on, part=part) for part, on in found if on is not None]
