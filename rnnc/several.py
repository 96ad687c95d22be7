"""Several networks in one firmware: they are compiled as each alone, and share their kernels and tables in one file of C."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from rnnc.backend.emit.together import together
from rnnc.backend.layouts import Contents
from rnnc.backend.names import prefix
from rnnc.compiler import StageCallback, build, ignore_stage
from rnnc.data import Source
from rnnc.errors import Refused, UsageError
from rnnc.files import write_folder
from rnnc.flags import flag_of
from rnnc.frontend.read.load import read_model
from rnnc.options import NAMED, Layout, Options, ProgressCallback, no_progress
from rnnc.package import Package, report_text
from rnnc.verification.arranged import arranged_files
from rnnc.verification.host import selftests


@dataclass(frozen=True)
class NetworkRequest:
    """A network to compile: its file, its calibration data, its options."""

    model: str
    calibration: Source | None
    options: Options


@dataclass(frozen=True, eq=False)
class Several:
    """Compiled networks that share one file of C, ``name``.c, and their kernels."""

    name: str
    packages: tuple[Package, ...]

    @property
    def report(self) -> dict[str, Any]:
        """The reports of all, and what they share: tables are counted once."""
        return {"networks": [p.report for p in self.packages], "shared": self._shared()}

    @property
    def files(self) -> dict[str, str]:
        """The files in one flat folder; the kernels' names begin with "rnnc/"."""
        files = together(self.name, [(p.program, p.files) for p in self.packages])
        pages = {f"{p.name}.html": p.files["report.html"] for p in self.packages}
        return {**files, **pages, "report.json": report_text(self.report)}

    @property
    def contents(self) -> Contents:
        """What build systems are told of it."""
        programs = tuple(p.program for p in self.packages)
        files = tuple(p.model.file for p in self.packages)
        options = self.packages[0].options
        return Contents(self.name, programs, files, options.package_version, options.package_url)

    def arranged(self, layout: Layout = "plain") -> dict[str, str | bytes]:
        """As ``Package.arranged``."""
        pages = {f"{p.name}.html": p.live_page() for p in self.packages}
        return arranged_files(layout, self.contents, {**self.files, **pages})

    def write(self, folder: str | Path, layout: Layout = "plain") -> Path:
        """As ``Package.write``."""
        return write_folder(Path(folder), self.arranged(layout))

    def check_reach(self) -> None:
        """Raise Refused where the constants of all are more than the target's reads reach."""
        target = self.packages[0].program.target
        costs = [p.program.cost for p in self.packages]
        total = sum(c.flash_weights for c in costs) + max(c.flash_tables for c in costs)
        if target.most_constants and total > target.most_constants:
            raise Refused(
                f"target {target.name}: constants need {total} B; its reads of flash reach {target.most_constants} B",
                where=self.name,
                hint="Fewer networks, or smaller ones.",
            )

    def verify(self) -> None:
        """Run all self-tests of the shared C on this machine; raises VerificationError, MissingTool."""
        selftests([p.program for p in self.packages], self.files, self.contents.sources)

    def _shared(self) -> dict[str, Any]:
        programs = [p.program for p in self.packages]
        return {
            "name": self.name,
            "kernels": sorted({name for p in self.packages for name in p.files if name.startswith("rnnc/")}),
            "flash_weights": sum(p.cost.flash_weights for p in programs),
            "ram_state": sum(p.cost.ram_state for p in programs),
            "ram_scratch": sum(p.cost.ram_scratch for p in programs),
        }


def compile_several(
    requests: Sequence[NetworkRequest],
    name: str,
    *,
    verify: bool = True,
    watch: StageCallback = ignore_stage,
    progress: ProgressCallback = no_progress,
    labels: str | None = None,
) -> Several:
    """Compile networks that share kernels and tables.

    Args:
        requests: the networks; an option that names an input is for those that have it. All have one target.
        name: of the file of C, and of the package.
        verify: as in ``rnnc.compile_model``, and all self-tests of the shared C are run.
        labels: as in ``rnnc.compile_model``.

    Raises a subclass of RnncError.
    """
    names = [prefix(r.options.name or Path(r.model).stem) for r in requests]
    for k, repeated in enumerate(names):
        if repeated in names[:k]:
            raise UsageError(f"two networks are called {repeated!r}", hint="Name the files differently.")
    targets = {r.options.target for r in requests}
    if len(targets) > 1:
        raise UsageError(f"networks of targets {' and '.join(sorted(targets))} share no kernels", hint="One --target.")
    packages = [
        build(r.model, r.calibration, options, verify=verify, watch=watch, progress=progress, labels=labels)
        for r, options in zip(requests, _options(requests), strict=True)
    ]
    made = Several(_file(prefix(name), names), tuple(packages))
    made.check_reach()
    if verify:
        made.verify()
    return made


def _file(name: str, networks: Sequence[str]) -> str:
    """``name``, or a longer one where that is a file of a network."""
    own = {f"{n}{part}" for n in networks for part in ("_state", "_selftest")}
    return f"{name}_net" if name in own else name


def _options(requests: Sequence[NetworkRequest]) -> list[Options]:
    """The options of each; raises UsageError where one names an input that no network has."""
    inputs = [{i.name for i in read_model(r.model).model.graph.input} for r in requests]
    known = set[str]().union(*inputs)
    for field in (f.name for f in fields(Options) if f.name in NAMED):
        unknown = {name for r in requests for name in getattr(r.options, field)} - known
        if unknown:
            raise UsageError(f"{flag_of(field)}: no network has an input {sorted(unknown)[0]!r}")
    chosen = []
    for r, own in zip(requests, inputs, strict=True):
        named: dict[str, Any] = {n: {k: v for k, v in getattr(r.options, n).items() if k in own} for n in NAMED}
        chosen.append(replace(r.options, **named))
    return chosen
