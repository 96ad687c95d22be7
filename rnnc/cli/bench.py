"""rnnc bench."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from rnnc.cli.output import Output
from rnnc.cli.shared import PANEL, ModelArguments
from rnnc.errors import VerificationError

SIZES = ("code", "tables", "weights", "RAM", "stack", "bound")


def run(
    output: Output,
    model: ModelArguments,
    data: Annotated[
        str | None, typer.Option("--input", metavar="DATA", help="Data to run on; else the calibration's, or noise.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="TARGET",
            help="A part to measure on, more than once for several; all that have their tools here by default.",
            rich_help_panel=PANEL,
            show_default=False,
        ),
    ] = None,
    report: Annotated[
        str | None, typer.Option(metavar="HTML", help="Write the report with what was measured.", show_default=False)
    ] = None,
) -> None:
    """Run the C on emulated parts: instructions per step, flash, RAM and stack, and its bits against the oracle's."""
    from rnnc.package import golden, write_text
    from rnnc.verification.bench import bench, random_sequences, runnable_targets

    package = model.build(output, test=data, verify=report is not None)
    qnet, source = package.program.qnet, data or model.calib
    vectors = golden(qnet, package.read(source).sequences if source else random_sequences(qnet))
    targets = target or runnable_targets()
    if not targets:
        output.warn("no emulator is installed: see rnnc doctor")
    results = bench(qnet, package.name, vectors, targets, lambda name: output.note(f"running on {name}"))
    measured = content(package.report, results)
    if report is not None:
        write_text(Path(report), package.page(measured))
        output.note(f"wrote {report}")
    if output.as_json:
        output.json(measured)
    else:
        print(table(results))
    wrong = [r["target"] for r in results if not r["c_equals_oracle"]]
    if wrong:
        raise VerificationError(f"the C differs from the oracle on {', '.join(wrong)}", where=package.model.file)


def content(report: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """report.json with what was measured: the cost of the first target, and ``cost.instructions`` of each."""
    first = results[0] if results else {}
    measured = ("flash_code", "flash_tables", "flash_weights", "ram_state", "ram_scratch", "stack")
    cost = {**report["cost"], **{k: first[k] for k in measured if k in first}, "instructions": list(results)}
    return {**report, "target": first.get("target", report["target"]), "cost": cost}


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """What was measured, a line a target, and what others need below."""
    lines = [f"{'target':<12}{'instructions':>14}{'max':>10}" + "".join(f"{word:>8}" for word in SIZES) + "  bits"]
    for r in results:
        ram = r["ram_state"] + r["ram_scratch"]
        equal = "equal" if r["c_equals_oracle"] else "DIFFER"
        median, most = (r[k] if r[k] is not None else "-" for k in ("median", "max"))
        bound = r["stack_bound"] if r["stack_bound"] is not None else "-"
        lines.append(
            f"{r['target']:<12}{median:>14}{most:>10}{r['flash_code']:>8}{r['flash_tables']:>8}{r['flash_weights']:>8}"
            f"{ram:>8}{r['stack']:>8}{bound:>8}  {equal}"
        )
        for layer, known in r["peers"].items():
            lines += [f"{'':<12}{count:>14}  {name} for {layer} alone" for name, count in known.items()]
    return "\n".join(lines)
