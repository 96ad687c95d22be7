"""rnnc parts."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from rnnc.backend.parts import KB, MB, PARTS, TargetPart
from rnnc.cli.output import CommandOutput
from rnnc.cli.shared import ModelArguments

if TYPE_CHECKING:
    from rnnc.verification.parts import OnPart

WIDTH = 80
HEADING = f"{'part':<13}{'core':<12}{'MHz':>5}{'flash':>9}{'RAM':>8}"


def run(
    output: CommandOutput,
    model: ModelArguments,
    rate: Annotated[
        float | None, typer.Option("--rate", metavar="HZ", help="Steps a second.", show_default=False)
    ] = None,
) -> None:
    """List the parts that --target takes; with a model, which it fits, and how long a step takes there."""
    if not model.model:
        output.answer({"parts": [asdict(part) for part in PARTS.values()]}, table(list(PARTS.values())))
        return
    from rnnc.verification.bench import random_sequences
    from rnnc.verification.golden import golden
    from rnnc.verification.parts import on_all_parts

    package = model.build(output, verify=False)
    qnet = package.program.qnet
    sequences = package.read(model.calib).sequences if model.calib else random_sequences(qnet)
    found = on_all_parts(qnet, package.name, golden(qnet, sequences), rate, output.note)
    content = [{**on.content(), "milliseconds": on.milliseconds} for on in found]
    output.answer({"parts": content}, fits(found))


def table(parts: list[TargetPart]) -> str:
    """The parts, a line each, and where their figures are from."""
    return "\n".join([f"{HEADING}  from", *(f"{line(part)}  {part.source}" for part in parts)])


def fits(found: list[OnPart]) -> str:
    """What a network takes of each part, a line each; where a core's tools are missing, that its code is not counted."""
    rows = [f"{HEADING}{'used':>8}{'used':>8}{'ms':>8}{'busy':>8}"]
    for on in found:
        used = f"{on.flash / on.part.flash:>8.1%}{on.ram / on.part.ram:>8.1%}"
        ms = f"{'-':>8}" if on.milliseconds is None else f"{on.milliseconds:>8.3g}"
        busy = f"{'-':>8}" if on.busy is None else f"{on.busy:>8.1%}"
        rows.append(f"{line(on.part)}{used}{ms}{busy}{'' if on.fits else '  TOO SMALL'}")
    rows += dict.fromkeys(f"{on.part.core}: {on.missing}; code and stack are not counted" for on in found if on.missing)
    how = "estimated from the cores' tables of cycles, without wait states (AVR: counted)"
    rows.append(textwrap.fill(f"flash and RAM, stack included, that are used; ms of the longest step, {how}", WIDTH))
    return "\n".join(rows)


def line(part: TargetPart) -> str:
    """Name, core, clock and memories."""
    return f"{part.name:<13}{part.core:<12}{part.mhz:>5g}{size(part.flash):>9}{size(part.ram):>8}"


def size(count: int) -> str:
    """Bytes as datasheets have them."""
    return f"{count / MB:g} MB" if count >= MB else f"{count / KB:g} KB"
