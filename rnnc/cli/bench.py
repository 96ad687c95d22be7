"""rnnc bench."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnc.cli import complete
from rnnc.cli.board import BAUD, Baud, Device, check_board, run_board
from rnnc.cli.output import CommandOutput, show
from rnnc.cli.shared import PANEL, ModelArguments, tell_judgement, tell_verdict
from rnnc.errors import MissingTool, VerificationError
from rnnc.files import write_file

if TYPE_CHECKING:
    from rnnc.package import Package
    from rnnc.quantization.calibrate import Sequences

COLUMNS = {"instructions": 13, "max": 8, "code": 7, "tables": 7, "weights": 8, "RAM": 7, "stack": 6, "bound": 6}
BOARD_STEPS = 1000
"""The most steps that a board runs."""
WIDTH = 80
"""Of a line, and how wide the columns are."""
Cores = Annotated[
    list[str] | None,
    typer.Option(
        "--core",
        metavar="CORE",
        help="With target rv32imc: count clock cycles on the RTL of a core, repeatable; ibex, ibex3, vexriscv or picorv32.",
        rich_help_panel=PANEL,
        show_default=False,
        autocompletion=complete.cores,
    ),
]
Input = Annotated[
    list[str] | None, typer.Option("--input", metavar="DATA", help="Data to run on; else the calibration's, or noise.")
]
ReportFile = Annotated[
    str | None, typer.Option(metavar="HTML", help="Write the report with the measurements.", show_default=False)
]
Levels = Annotated[
    list[str] | None,
    typer.Option(
        "--optimize",
        metavar="LEVEL",
        help="The compiler's level of optimization, repeatable: -O2 by default, -Os, -Og, ...",
        show_default=False,
        autocompletion=complete.levels,
    ),
]


def run(
    output: CommandOutput,
    model: ModelArguments,
    data: Input = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="TARGET",
            help="A target to measure on, repeatable; by default all whose tools are installed.",
            rich_help_panel=PANEL,
            show_default=False,
            autocompletion=complete.targets,
        ),
    ] = None,
    core: Cores = None,
    optimize: Levels = None,
    port: Device = None,
    baud: Baud = BAUD,
    report: ReportFile = None,
) -> None:
    """Run the C on emulated parts: instructions and cycles of a step, flash, RAM, stack, and its bits against the oracle's;
    with --port on a board, by whose counter a step is timed."""
    from rnnc.judging import judge_start
    from rnnc.verification.bench import bench, random_sequences, runnable_targets
    from rnnc.verification.golden import golden
    from rnnc.verification.levels import LEVEL, find_level
    from rnnc.verification.rtl import find_core

    cores = [find_core(name) for name in core or ()]
    levels = [find_level(name) for name in dict.fromkeys(optimize or (LEVEL,))]
    package = model.build(output, test=data, verify=report is not None)
    qnet, source = package.program.qnet, data or model.calib
    given = package.read(source).sequences if source else None
    if package.verified:
        tell_verdict(output, package)
    else:
        tell_judgement(output, lambda: judge_start(package, given or package.data.sequences))
    run_on = given or random_sequences(qnet)
    if port:
        _on_board(output, package, run_on, port, baud, named=bool(target or cores or optimize))
        return
    vectors = golden(qnet, run_on)
    targets = target or runnable_targets()
    if not targets:
        raise MissingTool("no emulator is installed", hint="rnnc doctor lists what is missing and how to install it.")
    results = bench(qnet, package.name, vectors, targets, output.note, skip=not target, cores=cores, levels=levels)
    measured = content(package.report, results)
    if report is not None:
        write_file(report, package.live_page(measured))
        output.note(f"wrote {report}")
    if output.as_json:
        output.json(measured)
    else:
        show(table(results))
    wrong = [f"{r['target']} at {r['optimize']}: {r['difference']}" for r in results if not r["c_equals_oracle"]]
    if wrong:
        raise VerificationError(f"the C differs from the oracle on {'; on '.join(wrong)}", where=package.model.file)


def _on_board(
    output: CommandOutput, package: Package, sequences: Sequences, port: str, baud: int, *, named: bool
) -> None:
    """Time the first steps on a board in place of emulated parts, which ``named``: options name."""
    if named:
        output.note(f"the board on {port} is measured; --target, --core and --optimize are of emulated parts")
    first = {name: [arrays[0][:BOARD_STEPS]] for name, arrays in sequences.items()}
    run = run_board(output, package, first, port, baud)
    measured = content(package.report, [])
    cost = {**measured["cost"], "cycles": run.cycles(), "milliseconds": run.milliseconds}
    output.answer({**measured, "cost": cost, "board": run.content()}, run.summary())
    check_board(package, run)


def content(report: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """report.json with what was measured: the cost of the first target, ``cost.instructions`` and ``cost.cycles`` of each."""
    first = results[0] if results else {}
    measured = ("flash_code", "flash_tables", "flash_weights", "ram_state", "ram_scratch", "stack")
    cost = {
        **report["cost"],
        **{k: first[k] for k in measured if k in first},
        "instructions": [{k: v for k, v in r.items() if k != "cycles"} for r in results],
        "cycles": [cycles for r in results for cycles in r["cycles"]],
        "milliseconds": first.get("milliseconds"),
    }
    return {**report, "target": first.get("target", report["target"]), "cost": cost}


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """What was measured, a line for each target and level of optimization, and what others need below."""
    from rnnc.verification.levels import LEVEL

    levels = list(dict.fromkeys(r["optimize"] for r in results))
    lines = [f"{'target':<11}" + "".join(f"{word:>{width}}" for word, width in COLUMNS.items()) + "  bits"]
    for r in results:
        ram = r["ram_state"] + r["ram_scratch"]
        flash = [r["flash_code"], r["flash_tables"], r["flash_weights"]]
        figures = zip([r["median"], r["max"], *flash, ram, r["stack"], r["stack_bound"]], COLUMNS.values(), strict=True)
        cells = "".join(f"{'-' if n is None else n:>{width}}" for n, width in figures)
        label = r["target"] if r["optimize"] == levels[0] else f"  {r['optimize']}"
        lines.append(f"{label:<11}{cells}  {'equal' if r['c_equals_oracle'] else 'DIFFER'}")
        lines += [cycles_line(cycles) for cycles in r["cycles"]]
        lines += [f"  {'ms':<9}{r['milliseconds']:>13.3g}{'':>8}  the longest step"] if "milliseconds" in r else []
        for layer, known in r["peers"].items() if r["optimize"] == levels[-1] else ():
            lines += [f"{'':<12}{count:>14}  {name} for {layer} alone" for name, count in known.items()]
    lines += [f"a target's first line is built with {levels[0]}"] if levels not in ([], [LEVEL]) else []
    assumed = {c["core"]: c["assumes"] for r in results for c in r["cycles"] if c["estimate"]}
    lines += [textwrap.fill(f"cycles of {core} are estimated: {what}", WIDTH) for core, what in assumed.items()]
    return "\n".join(lines)


def cycles_line(cycles: Mapping[str, Any]) -> str:
    """Cycles below the instructions: median and most, the least where it is less, and whether they are estimated."""
    least = f", from {cycles['min']} on" if cycles["min"] != cycles["median"] else ""
    how = ", estimated" if cycles["estimate"] else ""
    return f"  {'cycles':<9}{cycles['median']:>13}{cycles['max']:>8}  {cycles['core']}{least}{how}"
