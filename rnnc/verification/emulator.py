"""A package on its target: cross-compiled with its self-test, run in an emulator, every step's instructions counted.

The step is measured through a wrapper that the linker puts in its place (--wrap): the self-test itself is the package's
own, so what is counted is also what is compared with the oracle's bits.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rnnc.backend.program import Program
from rnnc.errors import MissingTool, NoRoom, UsageError, VerificationError
from rnnc.files import write_files
from rnnc.interruption import TemporaryFolder, lasting_folder
from rnnc.verification.boards import BOARDS, PACKAGES, Board
from rnnc.verification.counting import Instructions, apart, cycles_of, of_call
from rnnc.verification.cycles import Cycles
from rnnc.verification.footprint import Footprint, footprint, reporting, stack_bound
from rnnc.verification.levels import LEVEL
from rnnc.verification.pipelines import PIPELINES, cost_table
from rnnc.verification.profile import by_op, lines_of_ops, per_step, read_counts
from rnnc.verification.tools import run_tool

FIRMWARE = Path(__file__).parent / "firmware"
OPTIMIZE = (LEVEL,)
SECTIONS = ("-ffunction-sections", "-fdata-sections", "-fno-common")
AVR_MOST_CYCLES = 2_000_000_000
BEYOND = "constants lie beyond"
"""What firmware/avr.ld says of constants, the self-test's vectors included, that reads do not reach."""
HOLDS = "the network holds addresses"
"""What firmware/blob.ld says of a network that could not run at any address."""
SECONDS = 300
ROOM_FOR_CODE, ROOM_FOR_STACK = 48 * 1024, 4 * 1024
"""Bytes of flash beside constants, the self-test's vectors included, and of RAM beside the struct."""
PORTABLE_BOARD = "cortex-m4"
"""Where portable C is measured."""

WRAP = """
#include "firmware.h"
#include "{name}.h"

int wrapped_selftest(void);
{result} __real_{name}_step({parameters});
{result} __wrap_{name}_step({parameters});

{result} __wrap_{name}_step({parameters})
{{
    volatile uint8_t *frame;
    {declare}
    board_frame(frame);
    stack_paint(frame);
    count_begin();
    {assign}__real_{name}_step({arguments});
    count_end();
    stack_look(frame);
    {give}
}}

int wrapped_selftest(void)
{{
    static {name}_t s;
    return {name}_selftest(&s);
}}
"""
WRAP_NEXT = """
int __real_{name}_next({parameters});
int __wrap_{name}_next({parameters});

int __wrap_{name}_next({parameters})
{{
    int result;
    count_begin();
    result = __real_{name}_next({arguments});
    count_end();
    return result;
}}
"""


@dataclass(frozen=True, eq=False)
class TargetMeasurement:
    """What a package costs on its target.

    Args:
        equal: whether every output had the oracle's bits.
        instructions: of a call of step; None where they cannot be counted.
        next_instructions: of a call of NAME_next; None where there is none.
        cycles: clock cycles of a call of step, counted or estimated; None where neither is possible.
        stack: bytes that a step was seen to use below its caller's frame.
        stack_bound: the most that it can use, from the compiler's frames and calls; None where they are not known.
        profile: instructions of a step by function, in the mean, the largest first.
        ops: the same by op of the network, what their kernels call included; empty where it cannot be told.
        compiler: its version and flags.
    """

    target: str
    equal: bool
    failed_step: int
    instructions: Instructions | None
    next_instructions: Instructions | None
    cycles: Cycles | None
    footprint: Footprint
    stack: int
    stack_bound: int | None
    profile: dict[str, int]
    ops: dict[str, int]
    compiler: str


def find_board(target: str) -> Board:
    """The board of a target; raises UsageError where it has none."""
    if target not in BOARDS:
        raise UsageError(f"target {target!r} runs on no board here", hint=f"One of: {', '.join(BOARDS)}.")
    return BOARDS[target]


def missing_tools(board: Board) -> list[str]:
    """The commands that a board needs and this machine lacks."""
    needed = [board.compiler, *board.emulator[:1]]
    if board.machine == "avr":
        needed += ["simavr", "gcc"]
    elif board.instructions:
        needed.append("gcc")
    return [name for name in dict.fromkeys(needed) if not shutil.which(name)]


def require_tools(board: Board) -> None:
    """Raise MissingTool where a command that the board needs is not installed."""
    missing = missing_tools(board)
    if missing:
        packages = " ".join(PACKAGES[name] for name in missing)
        raise MissingTool(f"{board.name}: {', '.join(missing)} is not installed", hint=f"apt-get install {packages}")


def measure(
    program: Program, files: Mapping[str, str], board: Board | None = None, optimize: Sequence[str] = OPTIMIZE
) -> TargetMeasurement:
    """Build a package with its self-test for ``board`` (that of the program's target), run it, and measure every step.

    Raises MissingTool; NoRoom where it does not fit; VerificationError where it does not build or does not end.
    """
    board = roomy(board or find_board(program.target.name), program)
    require_tools(board)
    with TemporaryFolder() as folder:
        here = Path(folder)
        image = build_image(here, program, files, board, optimize)
        symbols = _symbols(board, image)
        (here / "costs").write_text(_costs(board, image), encoding="ascii")
        text = _run(here, board, image, symbols, f",costs=costs{_within(program, symbols)}")
        words = dict(line.split() for line in text.splitlines() if len(line.split()) == 2)
        if "selftest" not in words:
            raise VerificationError(f"the self-test does not end on {board.name}: {text.strip()[:200]}")
        counts = read_counts(here / "count.out")
        steps = max(1, len(counts.regions))
        of_steps, of_next = apart(program, counts.regions)
        lines = lines_of_ops(program, files[f"{program.name}.c"])
        ops = by_op(counts.sites, lines, f"{program.name}.c", image, board.addr2line)
        return TargetMeasurement(
            board.name,
            words["selftest"] == "0",
            int(words["selftest"]),
            of_call(of_steps),
            of_call(of_next),
            cycles_of(board, apart(program, counts.cycles)[0]),
            footprint(program, symbols),
            int(words["stack"]),
            stack_bound(here, f"{program.name}_step", board.machine == "avr"),
            per_step(_by_function(symbols, counts.blocks), steps),
            per_step(ops, steps),
            f"{_version(board.compiler)} {' '.join([*optimize, *board.flags])}",
        )


def selftest_output(
    program: Program, files: Mapping[str, str], board: Board, optimize: Sequence[str] = OPTIMIZE
) -> str:
    """What a package prints while its self-test runs on a board; raises as ``measure`` does."""
    board = roomy(board, program)
    require_tools(board)
    with TemporaryFolder() as folder:
        here = Path(folder)
        image = build_image(here, program, files, board, optimize)
        return _run(here, board, image, _symbols(board, image), "")


def why_uncounted(program: Program) -> str:
    """Why ``linked`` cannot count the code of a package; "" where it can."""
    board = BOARDS.get(program.target.name)
    if board is None or not board.counts:
        return f"target {program.target.name} names no part"
    missing = [tool for tool in (board.compiler, board.nm) if not shutil.which(tool)]
    return f"{missing[0]} is not installed" if missing else ""


def linked(program: Program, files: Mapping[str, str], optimize: Sequence[str] = OPTIMIZE) -> Footprint:
    """What a package takes, linked by its target's compiler, without the self-test.

    Raises NoRoom where it does not fit the part, VerificationError where it does not build.
    """
    board = roomy(find_board(program.target.name), program)
    with TemporaryFolder() as folder:
        image = build_image(Path(folder), program, files, board, optimize)
        return footprint(program, _symbols(board, image))


def roomy(board: Board, *programs: Program) -> Board:
    """A machine that holds the programs: this board, or one of its core with more memory; raises NoRoom."""
    flash = sum(p.cost.flash_weights + p.cost.flash_tables for p in programs)
    ram = sum(p.cost.ram_state + p.cost.ram_scratch for p in programs)
    while not board.holds(flash + ROOM_FOR_CODE, ram + ROOM_FOR_STACK):
        if board.larger is None:
            raise NoRoom(
                f"does not fit {board.name}: {flash} B of constants, {ram} B of state and scratch, code and stack; "
                f"the emulated part has {board.memory['FLASH_LENGTH']} B of flash and {board.memory['RAM_LENGTH']} B of RAM"
            )
        board = board.larger
    return board


@dataclass(frozen=True)
class Symbol:
    """A function or an object of an image: where it is and how long."""

    name: str
    address: int
    size: int
    function: bool


def build_by(command: Sequence[str], here: Path, what: str) -> str:
    """What a command prints; raises VerificationError, or NoRoom of an AVR with too many constants, with its first error."""
    try:
        done = run_tool(command, here, SECONDS)
    except subprocess.TimeoutExpired as e:
        raise VerificationError(f"{what} does not end in {SECONDS} s") from e
    if done.returncode:
        lines = done.stderr.splitlines()
        first = next(
            (
                line
                for line in lines
                if any(word in line for word in ("error", "undefined", "overflowed", BEYOND, HOLDS))
            ),
            done.stderr[-300:],
        )
        if BEYOND in first:
            raise NoRoom(first.partition(": ")[2])
        raise VerificationError(f"{what}: {first}")
    return done.stdout


def build_image(
    here: Path, program: Program, files: Mapping[str, str], board: Board, optimize: Sequence[str] = OPTIMIZE
) -> Path:
    """Build firmware of a package and its self-test in a folder; raises as ``build_by`` does."""
    n = program.name
    write_files(here, {**files, "wrap.c": _wrapper(program)})
    own = [str(FIRMWARE / "main.c"), str(FIRMWARE / board.start), "wrap.c"]
    frame = ["-maccumulate-args"] if board.machine == "avr" else []
    common = [board.compiler, *board.flags, *frame, *SECTIONS, "-I", ".", "-I", str(FIRMWARE), *board.includes]
    for source in (f"{n}.c", f"{n}_selftest.c"):
        _compile(here, source, board, optimize)
    link = board.linking(str(FIRMWARE / board.script))
    link += ["-Wl,--defsym=board_ram_end=__heap_start"] if board.machine == "avr" else []
    image = here / "image.elf"
    wrapped = [f"-Wl,--wrap={n}_{f}" for f in ("step", *(["next"] if program.continues else []))]
    linked = ["-Wl,--gc-sections", *wrapped, *own, f"{n}.o", f"{n}_selftest.o", *board.libraries]
    build_by([*common, "-O1", "-std=gnu99", *link, *linked, "-o", str(image)], here, "linking")
    return image


def _compile(here: Path, source: str, board: Board, optimize: Sequence[str]) -> None:
    """An object file, with what the compiler says of stack and calls."""
    avr = board.machine == "avr"
    said = reporting(avr) + ([] if avr else ["-g"])
    standard = "-std=gnu99" if avr else "-std=c99"
    command = [
        board.compiler,
        *board.flags,
        *SECTIONS,
        "-I",
        ".",
        *board.includes,
        standard,
        *optimize,
        *said,
        "-c",
        source,
    ]
    build_by(command, here, source)


def _wrapper(program: Program) -> str:
    n, returns = program.name, program.returns
    ports = [*(("const ", p) for p in program.inputs), *(("", p) for p in program.outputs)]
    outputs = [f"{p.format.ctype} *a{k}" for k, p in enumerate(program.outputs)]
    given = {"parameters": ", ".join([f"{n}_t *s", *outputs])}
    given["arguments"] = ", ".join(["s", *(f"a{k}" for k in range(len(outputs)))])
    wrap_next = WRAP_NEXT.format(name=n, **given) if program.continues else ""
    return (
        WRAP.format(
            name=n,
            result="int" if returns else "void",
            parameters=", ".join(
                [f"{n}_t *s", *(f"{const}{p.format.ctype} *a{k}" for k, (const, p) in enumerate(ports))]
            ),
            arguments=", ".join(["s", *(f"a{k}" for k in range(len(ports)))]),
            declare="int result;" if returns else "",
            assign="result = " if returns else "",
            give="return result;" if returns else "",
        )
        + wrap_next
    )


def _run(here: Path, board: Board, image: Path, symbols: Mapping[str, Symbol], within: str) -> str:
    """The program's output; exit codes are the self-test's own and say nothing more."""
    begin, end = (symbols[name].address & ~1 for name in ("count_begin", "count_end"))
    if board.machine == "avr":
        command = [_avr_runner(), str(image), str(begin), str(end), "count.out", str(AVR_MOST_CYCLES)]
    elif not board.instructions:
        command = [*board.emulator, str(image)]
    else:
        plugin = f"{_plugin()},begin={begin:#x},end={end:#x},out=count.out{within}"
        kernel = ["-kernel"] if board.counts else []
        command = [*board.emulator, "-plugin", plugin, *kernel, str(image)]
    try:
        done = run_tool(command, here, SECONDS)
    except subprocess.TimeoutExpired as e:
        raise VerificationError(f"the self-test does not end in {SECONDS} s on {board.name}") from e
    return done.stdout + (done.stderr if "selftest" not in done.stdout else "")


@cache
def _tools_folder() -> Path:
    """Where the emulators' helpers are built, once a process."""
    return lasting_folder("rnnc-tools-")


@cache
def _plugin() -> str:
    path = _tools_folder() / "count.so"
    build_by(
        ["gcc", "-O2", "-shared", "-fPIC", str(FIRMWARE / "count_plugin.c"), "-o", str(path)], path.parent, "plugin"
    )
    return str(path)


@cache
def _avr_runner() -> str:
    path = _tools_folder() / "avr_runner"
    build_by(
        ["gcc", "-O2", str(FIRMWARE / "avr_runner.c"), "-o", str(path), "-lsimavr", "-lelf"], path.parent, "avr_runner"
    )
    return str(path)


def _symbols(board: Board, image: Path) -> dict[str, Symbol]:
    """Functions and objects that have a size, by name; nm's lines are name|address|class|type|size|line|section."""
    symbols = {}
    for line in build_by([board.nm, "-S", "--format=sysv", str(image)], image.parent, "nm").splitlines():
        words = [word.strip() for word in line.split("|")]
        if len(words) == 7 and words[3] in ("FUNC", "OBJECT") and words[4]:
            symbols[words[0]] = Symbol(words[0], int(words[1], 16), int(words[4], 16), words[3] == "FUNC")
    return symbols


def _costs(board: Board, image: Path) -> str:
    """What the plugin reads of the cycles of an image's instructions; "" where its core has no table."""
    if not board.core:
        return ""
    listing = build_by([board.objdump, "-d", "--no-show-raw-insn", str(image)], image.parent, "objdump")
    return cost_table(PIPELINES[board.core], listing.splitlines())


def _by_function(symbols: Mapping[str, Symbol], blocks: Sequence[tuple[int, int]]) -> dict[str, int]:
    code = [s for s in symbols.values() if s.function]
    total: dict[str, int] = {}
    for address, count in blocks:
        name = next((s.name for s in code if s.address & ~1 <= address < (s.address & ~1) + s.size), "?")
        total[name] = total.get(name, 0) + count
    return total


def _within(program: Program, symbols: Mapping[str, Symbol]) -> str:
    """Where the functions that call the ops' kernels are, as the plugin takes it; the compiler may split them."""
    own = {f"{program.name}_{function}" for function in ("step", "window", "tick")}
    code = [s for s in symbols.values() if s.function and s.name.split(".")[0] in own]
    return "".join(f",within={s.address & ~1:#x}-{(s.address & ~1) + s.size:#x}" for s in code)


@cache
def _version(compiler: str) -> str:
    return build_by([compiler, "--version"], Path(), compiler).splitlines()[0]
