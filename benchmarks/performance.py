"""Instructions, flash, RAM and stack of one step on every target; writes docs/performance.md.

python benchmarks/performance.py
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import many_streams
import op_cost
from _cells import SIZES, Cell, cell_qnet, package
from host_speed import compare, fast_table, table

from rnnc.backend.targets import TARGETS
from rnnc.errors import Refused
from rnnc.options import Precision
from rnnc.verification.boards import BOARDS
from rnnc.verification.cycles import Cycles
from rnnc.verification.emulator import TargetMeasurement, measure, require_tools
from rnnc.verification.peers import peers
from rnnc.verification.rtl import CORES, TARGET, simulate_cycles

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
MEASURED = [name for name in TARGETS if name in BOARDS and BOARDS[name].instructions]
TITLES: dict[Cell, str] = {"lstm": "LSTM", "gru": "GRU (linear_before_reset = 1)", "rnn": "RNN (tanh)"}
STEPS = 12
WIDE: dict[Cell, dict[str, tuple[str, ...]]] = {
    "lstm": {"": (), "over x": ("i.x", "o.x", "f.x", "c.x"), "the candidate's": ("c",), "all": ("",)},
    "gru": {"": (), "over x": ("z.x", "r.x", "h.x"), "the candidate's": ("h",), "all": ("",)},
}
"""Blocks of int16 weights that are counted, by what they are called; none first."""
WIDE_SIZE = SIZES[1]

INTRODUCTION = """# What one step costs

Executed instructions of one complete step (rows times vectors, rescaling, gates, state), counted in QEMU (AVR: simavr) from the
call to the return; random weights, input noise and every extreme of int16. Each run's outputs were compared with the oracle's,
bit for bit. Where a range is given, the count depends on the data; the cause is named below. Instructions are not cycles:
these are [below](#clock-cycles).

This page is written by `make bench`.
"""
ESTIMATED = ("cortex-m0", "cortex-m3", "cortex-m4")
"""Targets whose cores' manuals have a table of cycles."""
CYCLES = """Of a step, at most. RV32: the core's RTL, simulated with memory that has no wait states; Ibex with a multiplier of
one cycle, in two and (ibex3) three stages; VexRiscv's variant Full, five stages and caches of 4 KB, whose data are not cached
where this memory lies; picorv32 with its fast multiplier and barrel shifter. AVR: simavr's counter. Estimates: the cycles of
Arm's instruction tables for what was executed, memory without wait states, 2 cycles more for a branch that is taken, loads in
a row overlapping (not on M0), a multiplier of one cycle on M0, long products of M3 at their most. M7, M33 and M55 have no
tables of their own (`rnnc bench` takes those of M4 for them, and says so).
"""
FAST_OPPONENT = """Against the float C that whoever wants it fast would take on this machine: weights in the order of columns,
these flags for it alone; rnnc as above. A processor with AVX-512 VNNI, which rnnc found at run time.
"""
NOTES = """## Notes

- A count that varies by a few instructions does so where a value is saturated (a comparison is a branch there): the cell of an
  LSTM at +-128, the recurrent part of a GRU's candidate at +-16, the index of the tables; and on AVR a shift by a variable
  amount is a loop. On Cortex-M0 to M55 the count is one for all inputs, every extreme of int16 included.
- Code includes the library functions that it needs (memcpy) and the ops' parameters; tables are those of sigmoid and tanh,
  shared by all layers; weights include rows' biases and scales, and padding. RAM is the whole struct: states and scratch.
- Cortex-M4, M7, M33: an LSTM or GRU is one loop of assembly. With some int16 rows, as calibration mostly gives, an LSTM takes
  one, two or four units at a time, a GRU four; at 10,20 a step is then 13 % shorter to 3 % longer than with int8, at 32,64 17 %
  shorter to 1 % longer, for 420 to 540 bytes more code and 24 to 120 more stack. Units that do not fill a batch cost as much as
  those that do: an LSTM of 13 units with mixed rows takes up to 21 % more.
- Stack: seen in use below the caller's frame, and the bound from the compiler's frames and the assembly's pushes.
- AArch64 is counted in QEMU's user mode, as a program of Linux, with SDOT (Armv8.2 with the dot product); a core without takes
  NEON's long products, about three times the instructions. No stack is measured under an operating system.
"""


def measured(
    cell: Cell,
    columns: int,
    hidden: int,
    precision: Precision,
    target: str,
    wide: tuple[str, ...] = (),
) -> TargetMeasurement | None:
    """None where the weights do not fit; ``wide``: blocks of int16 weights (``cell_qnet``)."""
    try:
        program, files = package(cell_qnet(cell, columns, hidden, precision, wide=wide), target, STEPS)
    except Refused:
        return None
    result = measure(program, files, BOARDS[target])
    if not result.equal:
        raise SystemExit(f"{cell} {columns},{hidden} {precision} on {target} differs from the oracle")
    return result


def count(m: TargetMeasurement | None) -> str:
    """``1234``, or ``1234-1240`` where it depends on the data."""
    if m is None or m.instructions is None:
        return "-"
    i = m.instructions
    return str(i.least) if i.least == i.most else f"{i.least}-{i.most}"


def sections() -> Iterator[str]:
    """The page, part by part."""
    yield INTRODUCTION
    head = " | ".join(f"{columns},{hidden}" for columns, hidden in SIZES)
    footprints, kernel = [], ""
    for cell, title in TITLES.items():
        for precision in ("a16", "a8"):
            yield f"## {title}, {precision}\n"
            yield f"| target | {head} | instructions per MAC at 64,128 |\n|---|" + "---|" * (len(SIZES) + 1)
            for target in MEASURED:
                row = [measured(cell, *size, precision, target) for size in SIZES]
                print(f"{cell} {precision} {target}: {' '.join(map(count, row))}", file=sys.stderr)
                yield f"| {target} | {' | '.join(map(count, row))} | {_per_mac(cell, row[-1])} |"
                if precision == "a16":
                    yield from (
                        f"| *{p.name}* | {' | '.join(map(str, p.instructions))} | |" for p in peers(cell, target)
                    )
                    if cell == "rnn" and target == "cortex-m4":
                        kernel = _kernel_alone(row[2])
                    footprints += [_footprint(title, target, row[2])] if cell != "rnn" else []
            yield ""
    yield from wide_rows()
    yield from ops()
    yield from cycles()
    yield "## Memory and stack at 32,64, a16, bytes\n"
    yield (
        "| cell | target | code | tables | weights | state | scratch | stack seen | stack bound |\n|---"
        + "|---" * 8
        + "|"
    )
    yield from footprints
    yield ""
    yield NOTES
    yield kernel
    yield from _host()
    yield "## Compilers\n"
    for target in MEASURED:
        compiler = measured("rnn", 10, 20, "a16", target)
        yield f"- {target}: `{compiler.compiler if compiler else ''}`"


def wide_rows() -> Iterator[str]:
    """What int16 weights cost: instructions, and bytes of weights."""
    columns, hidden = WIDE_SIZE
    kinds = list(WIDE["lstm"])
    yield f"## Rows of int16 weights, {columns},{hidden}, a16\n"
    yield "Instructions of a step, and bytes of weights with biases and scales: int8 weights, then some of them in int16.\n"
    yield f"| cell | target | int8 | {' | '.join(f'int16: {kind}' for kind in kinds[1:])} |\n|---|---|" + "---|" * len(
        kinds
    )
    for cell, blocks in WIDE.items():
        for target in MEASURED:
            found = [measured(cell, *WIDE_SIZE, "a16", target, wide) for wide in blocks.values()]
            cells = [f"{count(m)}; {m.footprint.weights if m else '-'} B" for m in found]
            print(f"{cell} int16 {target}: {' '.join(cells)}", file=sys.stderr)
            yield f"| {TITLES[cell]} | {target} | {' | '.join(cells)} |"
    yield ""


def cycles() -> Iterator[str]:
    """Clock cycles of a step: RV32 on RTL, AVR in its simulator, Cortex-M as far as manuals tell."""
    yield "## Clock cycles\n"
    yield CYCLES
    head = " | ".join(f"{columns},{hidden}" for columns, hidden in SIZES)
    yield f"| cell | core | {head} | cycles per MAC at 64,128 |\n|---|---|" + "---|" * (len(SIZES) + 1)
    kinds: list[tuple[Cell, Precision]] = [("lstm", "a16"), ("lstm", "a8"), ("gru", "a16"), ("gru", "a8")]
    for cell, precision in kinds:
        counts = {}
        for target in ("avr", *ESTIMATED):
            row = [measured(cell, *size, precision, target) for size in SIZES]
            counts[target + (", estimate" if target in ESTIMATED else "")] = [m.cycles if m else None for m in row]
        if precision == "a16":
            packages = [package(cell_qnet(cell, *size, precision), TARGET, STEPS) for size in SIZES]
            counts |= {c.name: [simulate_cycles(*package, c) for package in packages] for c in CORES.values()}
        for core, found in counts.items():
            print(f"{cell} {precision} {core}: {' '.join(map(_cycles, found))}", file=sys.stderr)
            figures = " | ".join([*map(_cycles, found), _cycles_per_mac(cell, found)])
            yield f"| {TITLES[cell]}, {precision} | {core} | {figures} |"
    yield ""


def _cycles(c: Cycles | None) -> str:
    return "-" if c is None else str(c.most)


def _cycles_per_mac(cell: Cell, found: list[Cycles | None]) -> str:
    last = found[-1]
    return f"{last.most / _macs(cell):.2f}" if last else "-"


def ops() -> Iterator[str]:
    """What one op costs alone in a package: instructions, and bytes of code."""
    yield "## One op, from call to return\n"
    yield "Median and most instructions of a step, and bytes of code; int16 in and out, int8 weights.\n"
    yield f"| op | {' | '.join(op_cost.TARGETS)} |\n|---|" + "---|" * len(op_cost.TARGETS)
    for name in op_cost.ROWS:
        yield f"| {name} | {' | '.join(op_cost.counted(name))} |"
    yield ""


MANY = """Microseconds of a step of one of {} streams: `NAME_step` for each, and `NAME_step_many`, by turns in one run.
"""


def _host() -> Iterator[str]:
    yield "## On the machine that wrote this page\n"
    yield (
        "Microseconds of a step, the best of many rounds of 7 processes; `gcc -O3` without -march; onnxruntime's one-step\n"
        "run, the median.\n"
    )
    found = {target: compare(target) for target in ("portable", "host")}
    for target, rows in found.items():
        yield from table(target, rows)
        yield ""
    yield FAST_OPPONENT
    yield from fast_table(found)
    yield "\n### Many streams on the machine that wrote this page\n"
    yield MANY.format(many_streams.STREAMS)
    yield from many_streams.table()
    yield ""


def _kernel_alone(m: TargetMeasurement | None) -> str:
    columns, hidden = SIZES[2]
    per_mac = m.profile["rnnc_dsp_block"] / (hidden * (columns + hidden)) if m else 0.0
    return f"The rows' kernel alone on Cortex-M4, {hidden} rows by {columns} and {hidden} columns, a16: {per_mac:.3f} a MAC.\n"


def _per_mac(cell: Cell, m: TargetMeasurement | None) -> str:
    if m is None or m.instructions is None:
        return "-"
    return f"{m.instructions.median / _macs(cell):.2f}"


def _macs(cell: Cell) -> int:
    """Of the largest size."""
    columns, hidden = SIZES[-1]
    return {"lstm": 4, "gru": 3, "rnn": 1}[cell] * hidden * (columns + hidden)


def _footprint(title: str, target: str, m: TargetMeasurement | None) -> str:
    if m is None:
        return f"| {title} | {target} |" + " - |" * 7
    f = m.footprint
    return (
        f"| {title} | {target} | {f.code} | {f.tables} | {f.weights} | {f.ram_state} | {f.ram_scratch} "
        f"| {m.stack or '-'} | {m.stack_bound} |"
    )


def main() -> None:
    """Write the page."""
    for target in MEASURED:
        require_tools(BOARDS[target])
    text = "\n".join(sections()) + "\n"
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
