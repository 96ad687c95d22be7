"""A network on many targets: each package built, run in its emulator, and put into plain numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rnnc.backend.emit import Golden, emit
from rnnc.backend.lower import lower
from rnnc.backend.parts import PARTS
from rnnc.backend.program import Program
from rnnc.backend.targets import ALL, TARGETS, find_target
from rnnc.errors import NoRoom, Refused, UsageError
from rnnc.ops.gru import Gru
from rnnc.ops.lstm import Lstm
from rnnc.qnet import QNet
from rnnc.quantization.calibrate import Sequences
from rnnc.verification.boards import BOARDS, Board
from rnnc.verification.cycles import Cycles
from rnnc.verification.emulator import (
    PORTABLE_BOARD,
    TargetMeasurement,
    find_board,
    measure,
    missing_tools,
    require_tools,
)
from rnnc.verification.levels import LEVEL
from rnnc.verification.locate_board import locate_on_board
from rnnc.verification.parts import part_board
from rnnc.verification.peers import peers_of
from rnnc.verification.rtl import TARGET, Core, require_parts, simulate_cycles

STEPS, EXTREME_STEP = 32, 8


def runnable_targets() -> list[str]:
    """The targets whose compiler and emulator are installed here."""
    return [
        name for name in TARGETS if name in BOARDS and BOARDS[name].instructions and not missing_tools(BOARDS[name])
    ]


def random_sequences(qnet: QNet, steps: int = STEPS) -> Sequences:
    """One sequence of each input: noise over a quarter of its range, in between every extreme of its integers."""
    rng = np.random.default_rng(0)
    sequences = {}
    for v in qnet.inputs:
        f = qnet.formats[v.name]
        middle, reach = (f.lo + f.hi) / 2, (f.hi - f.lo) / 8
        q = np.clip(np.round(middle + reach * rng.standard_normal((steps, *v.shape))), f.lo, f.hi).astype(np.int64)
        q[EXTREME_STEP], q[EXTREME_STEP + 1] = f.lo, f.hi
        sequences[v.name] = [f.dequantize(q)]
    return sequences


def board_of(target: str) -> Board:
    """Where a target, or a part, is measured; raises UsageError where it is unknown."""
    name = find_target(target).name
    board = find_board(PORTABLE_BOARD if name in ("portable", ALL.name) else name)
    return part_board(PARTS[target]) if target in PARTS else board


def bench(
    qnet: QNet,
    name: str,
    golden: Golden,
    targets: Sequence[str],
    note: Callable[[str], None],
    skip: bool = False,
    cores: Sequence[Core] = (),
    levels: Sequence[str] = (LEVEL,),
) -> list[dict[str, Any]]:
    """Measure a network's package on each target, at each level of optimization; ``note`` is called with which one is next.

    Args:
        name: prefix of the C.
        golden: the input of every step that is measured, and the oracle's answers.
        cores: whose RTL runs the package of the target rv32imc, for its cycles.
        levels: of optimization, as the compiler takes them.
        skip: leave a target out, and tell why, where the network is too large for it.

    Raises UsageError for an unknown target or cores without theirs, MissingTool, VerificationError where it does not build
    or run, Refused and NoRoom where the network is too large for a target.
    """
    boards = [board_of(t) for t in targets]
    for board in boards:
        require_tools(board)
    if cores and TARGET not in targets:
        raise UsageError(f"cores are of target {TARGET}, which is not measured", hint=f"Add --target {TARGET}.")
    for core in cores:
        require_parts(core)
    results = []
    for target, board in zip(targets, boards, strict=True):
        note(f"running on {target}")
        try:
            program = lower(qnet, target, name)
            files = emit(program, golden)
            on = [_on_target(program, target, board, files, golden, cores, level, note) for level in levels]
        except (Refused, NoRoom) as error:
            if not skip:
                raise
            note(f"left out: {error.what}")
            continue
        results += [{**found, "peers": _peers(qnet, program.target.name)} for found in on]
    return results


def _on_target(
    program: Program,
    target: str,
    board: Board,
    files: Mapping[str, str],
    golden: Golden,
    cores: Sequence[Core],
    level: str,
    note: Callable[[str], None],
) -> dict[str, Any]:
    """What a package costs on one target, at one level of optimization."""
    measured = measure(program, files, board, (level,))
    simulated = _simulated(program, files, cores, level, note) if target == TARGET and measured.equal else []
    where = "" if measured.equal else locate_on_board(program, files, golden, board, (level,))
    found = {"difference": where or f"step {measured.failed_step} of the self-test"} if not measured.equal else {}
    cycles = simulated or ([measured.cycles] if measured.cycles else [])
    known: dict[str, Any] = {"optimize": level, "cycles": [c.content() for c in cycles]}
    if target in PARTS and cycles:
        known |= {"milliseconds": PARTS[target].milliseconds(cycles[0].most)}
    return figures(target, measured) | found | known


def _simulated(
    program: Program, files: Mapping[str, str], cores: Sequence[Core], level: str, note: Callable[[str], None]
) -> list[Cycles]:
    """Cycles of each core."""
    found = []
    for core in cores:
        note(f"simulating {core.name}")
        found.append(simulate_cycles(program, files, core, level))
    return found


def figures(target: str, m: TargetMeasurement) -> dict[str, Any]:
    """A measurement as JSON has it; bytes, instructions of one step."""
    count, following = m.instructions, m.next_instructions
    return {
        "target": target,
        "min": count.least if count else None,
        "median": count.median if count else None,
        "max": count.most if count else None,
        "next": {"min": following.least, "median": following.median, "max": following.most} if following else None,
        "functions": {name: n for name, n in m.profile.items() if not name.startswith("__wrap_")},
        "ops": m.ops,
        "c_equals_oracle": m.equal,
        "flash_code": m.footprint.code,
        "flash_tables": m.footprint.tables,
        "flash_weights": m.footprint.weights,
        "ram_state": m.footprint.ram_state,
        "ram_scratch": m.footprint.ram_scratch,
        "stack": m.stack,
        "stack_bound": m.stack_bound,
        "compiler": m.compiler,
    }


def _peers(qnet: QNet, target: str) -> dict[str, dict[str, int]]:
    """By recurrent layer: what others need for that layer alone, where that is known."""
    found = {}
    for op in qnet.net.ops:
        if isinstance(op, Lstm | Gru):
            known = peers_of(op.kind, op.columns, op.hidden, target)
            if known:
                found[op.name] = known
    return found
