"""rnnc compile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from rnnc.backend.parts import PARTS
from rnnc.cli import complete
from rnnc.cli.output import CommandOutput, show
from rnnc.cli.shared import Labels, ModelArguments, tell_verdict
from rnnc.cli.values import pairs
from rnnc.errors import UsageError
from rnnc.options import FIRST_VERSION, Layout, Options, check_limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rnnc.package import Package
    from rnnc.report.changes import Change


MaxFlash = Annotated[
    int | None,
    typer.Option(metavar="B", help="Fail above so many bytes of flash, code included on a --target part."),
]
MaxRam = Annotated[int | None, typer.Option(metavar="B", help="Fail above so many bytes of state and scratch.")]
MaxStack = Annotated[
    int | None, typer.Option(metavar="B", help="Fail if a step can use more stack; needs the target's compiler.")
]
Clock = Annotated[
    float | None,
    typer.Option(
        "--clock", metavar="MHZ", help="Clock of the part that --target names; its highest.", show_default=False
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(
        "--rate", metavar="HZ", help="Steps a second: how much of the part's time they take.", show_default=False
    ),
]
Compare = Annotated[
    Path | None,
    typer.Option("--compare", metavar="REPORT", help="An earlier report.json: show what changed.", show_default=False),
]
Others = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL",
        help="Networks that share kernels and tables with the first, or one that starts from its results (--link).",
        show_default=False,
    ),
]
Link = Annotated[
    list[str] | None,
    typer.Option(metavar="OUT=IN", help="The first's output that goes to the other's state or input."),
]
Version = Annotated[
    str, typer.Option(metavar="X.Y.Z", help="Version of the package, in its header and in what build systems read.")
]
Url = Annotated[
    str, typer.Option(metavar="URL", help="Page of the package, in what build systems read.", show_default=False)
]
Optimize = Annotated[
    str | None,
    typer.Option(
        "--optimize",
        metavar="LEVEL",
        help="The compiler's level of optimization that flash, stack and milliseconds are measured at: -O2, -Os, -Og, ...",
        show_default=False,
        autocompletion=complete.levels,
    ),
]
LayoutOption = Annotated[
    Layout,
    typer.Option(metavar="LAYOUT", help=f"What build system to lay the files out for: {', '.join(get_args(Layout))}."),
]


@dataclass(frozen=True)
class Limits:
    """The most bytes of each that a network may take, None for no limit, and the level of optimization that it is built at."""

    flash: int | None
    ram: int | None
    stack: int | None
    level: str


def run(
    output: CommandOutput,
    model: ModelArguments,
    others: Others = None,
    link: Link = None,
    folder: Annotated[str | None, typer.Option("-o", metavar="DIR", help="Where to write; ./NAME by default.")] = None,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Prefix of everything in the C; from the file's name.")
    ] = "",
    package_version: Version = FIRST_VERSION,
    package_url: Url = "",
    package: LayoutOption = "plain",
    max_flash: MaxFlash = None,
    max_ram: MaxRam = None,
    max_stack: MaxStack = None,
    optimize: Optimize = None,
    clock: Clock = None,
    rate: Rate = None,
    compare: Compare = None,
    labels: Labels = None,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Run neither onnxruntime nor the C.")] = False,
) -> None:
    """Compile a network to C, prove it, and write the package."""
    from rnnc.report.changes import read_report
    from rnnc.verification.levels import LEVEL, find_level

    check_limits(max_flash=max_flash, max_ram=max_ram, max_stack=max_stack)
    limits = Limits(max_flash, max_ram, max_stack, find_level(optimize or LEVEL))
    check_part(model.target, clock, rate, several=bool(others or link))
    if compare and (others or link):
        raise UsageError("--compare is for one network", hint="Compile each by itself to see what changed.")
    earlier = read_report(compare) if compare else None
    if others or link:
        identity = package_version, package_url
        compile_more(output, model, others, link, labels, name, identity, folder, package, limits, verify=not no_verify)
        return
    built = model.build(output, name, package_version, package_url, verify=not no_verify, labels=labels)
    measure(built, limits)
    part = built.measure_part(clock, rate, limits.level) if model.target in PARTS else None
    found = built.compare(earlier) if earlier is not None else None
    if output.as_json:
        output.json(built.report)
    check(output, built, limits)
    if part is not None:
        part.check(built.model.file)
    show_build(output, built, found)
    files = write(output, built, Path(folder or built.name), package)
    show_next(output, folder or built.name, files, [built.name], part=part is not None)
    tell_verdict(output, built, fails=model.min_sqnr is None)
    built.check()


def show_build(output: CommandOutput, built: Package, found: Sequence[Change] | None) -> None:
    """Print what was built, and what changed since an earlier build where one was named; nothing with --json."""
    from rnnc.report.terminal import changed, outcome

    if output.as_json:
        return
    show(outcome(built.report, built.program))
    if found is not None:
        show(changed(found))


def show_next(
    output: CommandOutput, folder: str, files: Iterable[str], networks: Sequence[str], *, part: bool = False
) -> None:
    """Print what to do with the files that were written."""
    from rnnc.report.terminal import next_steps

    if not output.as_json:
        show(next_steps(folder.rstrip("/"), files, networks, part=part))


def note_part(output: CommandOutput, target: str) -> None:
    """Say what is not told of a part where several networks share it."""
    if target in PARTS:
        output.note(f"milliseconds on {target}, and whether it fits, are told of one network at a time")


def check_part(target: str, clock: float | None, rate: float | None, *, several: bool) -> None:
    """Raise UsageError where a clock or a rate is given without a part, whose clock it could be, or for several networks."""
    for flag, value in (("--clock", clock), ("--rate", rate)):
        if value is not None and several:
            raise UsageError(
                f"{flag} {value:g} is for one network", hint="Compile each by itself for its milliseconds."
            )
        if value is not None and target not in PARTS:
            raise UsageError(
                f"{flag} {value:g}: --target {target} is no part", hint="`rnnc parts` lists those that are."
            )


def write(output: CommandOutput, built: Package, folder: Path, layout: Layout) -> Iterable[str]:
    """Write the package, and say what is in it and what could not be; the names of its files."""
    from rnnc.files import write_folder
    from rnnc.verification.arranged import image_note

    files = built.arranged(layout)
    written = write_folder(folder, files)
    roots = {f"{name.split('/')[0]}/" if "/" in name else name: None for name in files}
    output.note(f"wrote {written}/: {', '.join(roots)}")
    if note := image_note(layout, built.program):
        output.note(note)
    return files


def measure(built: Package, limits: Limits) -> None:
    """Ask the target's compiler for what the limits are about."""
    if limits.flash is not None:
        built.measure_code(limits.level)
    if limits.stack is not None:
        built.measure_stack(limits.level)


def check(output: CommandOutput, built: Package, limits: Limits) -> None:
    """Raise where something is not proven or larger than allowed; say what the flash that is limited has in it, and the stack
    at each level of optimization."""
    from rnnc.verification.stack import stack_by_level

    built.check_exact()
    if limits.stack is not None:
        found = stack_by_level(built.program, built.files, limits.level)
        output.note(f"stack: {', '.join(f'{size} B with {level}' for level, size in found.items())}")
    built.check_budget(limits.flash, limits.ram, limits.stack)
    if limits.flash is not None:
        output.note(f"flash: {built.flash} B, within --max-flash {limits.flash} ({built.code_note})")


def compile_more(
    output: CommandOutput,
    model: ModelArguments,
    others: list[str] | None,
    link: list[str] | None,
    labels: str | None,
    name: str,
    identity: tuple[str, str],
    folder: str | None,
    package: Layout,
    limits: Limits,
    *,
    verify: bool,
) -> None:
    """Compile several networks: two that are linked, or any that share kernels; ``identity`` is version and URL."""
    if name:
        raise UsageError("--name is for one network", hint="Several are named after their files.")
    note_part(output, model.target)
    if link:
        options = model.options("", *identity)
        compile_two(output, model, others or [], link, options, folder, package, limits, verify=verify)
    else:
        compile_many(output, model, others or [], labels, identity, folder, package, limits, verify=verify)


def compile_two(
    output: CommandOutput,
    model: ModelArguments,
    others: list[str],
    link: list[str],
    options: Options,
    folder: str | None,
    package: Layout,
    limits: Limits,
    *,
    verify: bool,
) -> None:
    """Compile MODEL and another, and what hands results of the one to the other."""
    from rnnc.files import write_folder
    from rnnc.linking import compile_linked

    if len(others) != 1:
        raise UsageError("two networks are linked by --link OUT=IN", hint="rnnc compile FIRST SECOND --link OUT=IN")
    with output.progress() as (watch, progress):
        linked = compile_linked(
            model.model,
            others[0],
            pairs("--link", link, str),
            model.calib or None,
            options,
            verify=verify,
            watch=watch,
            progress=progress,
        )
    if output.as_json:
        output.json(linked.report)
    for note in linked.notes:
        output.note(note)
    for each in (linked.first, linked.second):
        measure(each, limits)
        check(output, each, limits)
        show_build(output, each, None)
    model.remark(output)
    files = linked.arranged(package)
    written = write_folder(Path(folder or linked.name), files)
    output.note(f"wrote {written}/: {', '.join([f'{linked.first.name}/', f'{linked.second.name}/', *linked.header])}")
    show_next(output, str(written), files, [linked.name, linked.first.name, linked.second.name])
    for each in (linked.first, linked.second):
        tell_verdict(output, each, fails=True)
    for each in (linked.first, linked.second):
        each.check()


def compile_many(
    output: CommandOutput,
    model: ModelArguments,
    others: list[str],
    labels: str | None,
    identity: tuple[str, str],
    folder: str | None,
    package: Layout,
    limits: Limits,
    *,
    verify: bool,
) -> None:
    """Compile networks that share kernels and tables; ``identity`` is version and URL."""
    from rnnc.backend.names import prefix
    from rnnc.files import write_folder
    from rnnc.several import NetworkRequest, compile_several
    from rnnc.verification.arranged import image_note

    data = [other for other in others if Path(other).suffix in (".npz", ".npy", ".csv", ".wav")]
    if data:
        hint = f"{data[0]} is data: quote a glob, so that the shell leaves it alone, or give --calib again."
        raise UsageError(f"{data[0]} is no network", hint=hint)
    files = [model.model, *others]
    own = [model.of(file, [prefix(Path(other).stem) for other in files]) for file in files]
    requests = [NetworkRequest(a.model, a.calib or None, a.options("", *identity)) for a in own]
    target = Path(folder or "networks")
    with output.progress() as (watch, progress):
        made = compile_several(
            requests, target.resolve().name, verify=verify, watch=watch, progress=progress, labels=labels
        )
    if output.as_json:
        output.json(made.report)
    for each, arguments in zip(made.packages, own, strict=True):
        for note in each.notes:
            output.note(f"{each.name}: {note}")
        for caution in each.cautions:
            output.warn(f"{each.name}: {caution}")
        measure(each, limits)
        check(output, each, limits)
        show_build(output, each, None)
        arguments.remark(output)
    arranged = made.arranged(package)
    written = write_folder(target, arranged)
    output.note(f"wrote {written}/: {', '.join(p.name for p in made.packages)}, which share {made.name}.c")
    if note := image_note(package, made.packages[0].program):
        output.note(note)
    show_next(output, str(written), arranged, [p.name for p in made.packages])
    for each in made.packages:
        tell_verdict(output, each, fails=True)
    for each in made.packages:
        each.check()
