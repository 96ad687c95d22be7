"""Two networks compiled together: the second starts from what the first has found out (an encoder and a decoder)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from rnnc.backend.emit.link import link_header
from rnnc.backend.link import handovers
from rnnc.compiler import StageCallback, build, ignore_stage
from rnnc.data import Source
from rnnc.errors import UsageError
from rnnc.files import write_folder
from rnnc.flags import flag_of
from rnnc.frontend.read.load import load, read_model
from rnnc.frontend.stream.streaming import to_stream
from rnnc.options import NAMED, NAMED_OUTPUTS, Layout, Options, OutputScale, ProgressCallback, no_progress
from rnnc.package import Package
from rnnc.verification.task import UNSCORED

IGNORED = "ignored: "
"""How a note on arrays begins that are for no input of a network."""


@dataclass(frozen=True, eq=False)
class Linked:
    """Two packages, and the header that hands results of the first to the second: name and text."""

    first: Package
    second: Package
    header: dict[str, str]
    links: Mapping[str, str]

    @property
    def name(self) -> str:
        """FIRST_to_SECOND: the header's name, and its function's."""
        return f"{self.first.name}_to_{self.second.name}"

    @property
    def report(self) -> dict[str, Any]:
        """Both reports, and what is handed over."""
        link = {"name": self.name, "pairs": dict(self.links)}
        return {"networks": [self.first.report, self.second.report], "link": link}

    @property
    def notes(self) -> list[str]:
        """What was assumed or left out of both; that the data hold the other's inputs as well goes without saying."""
        packages = (self.first, self.second)
        known = {f.name for package in packages for f in package.frames}
        notes: list[str] = []
        for note in (note for package in packages for note in package.notes):
            names = [n for n in note.removeprefix(IGNORED).split(", ") if n not in known]
            if not note.startswith(IGNORED):
                notes.append(note)
            elif names:
                notes.append(IGNORED + ", ".join(names))
        return list(dict.fromkeys(notes))

    def arranged(self, layout: Layout = "plain") -> dict[str, str | bytes]:
        """Both packages in folders of their names, and the header beside them; raises as ``Package.arranged`` does."""
        files: dict[str, str | bytes] = {**self.header}
        for package in (self.first, self.second):
            files |= {f"{package.name}/{name}": text for name, text in package.arranged(layout).items()}
        return files

    def write(self, folder: str | Path, layout: Layout = "plain") -> Path:
        """Write what ``arranged`` gives; raises UsageError."""
        return write_folder(Path(folder), self.arranged(layout))


def compile_linked(
    first: str | Path,
    second: str | Path,
    links: Mapping[str, str],
    calibration: Source | None = None,
    options: Options | None = None,
    *,
    verify: bool = True,
    watch: StageCallback = ignore_stage,
    progress: ProgressCallback = no_progress,
) -> Linked:
    """Compile two networks, and what hands outputs of the first to state inputs (or inputs) of the second.

    Args:
        links: for each output of ``first`` that is handed over, the input of ``second`` that takes it.
        calibration: arrays for the inputs of both.
        options: of both; what names an input is for the network that has it, ``outputs`` for the first.
        verify: as in ``rnnc.compile_model``.

    Raises a subclass of RnncError.
    """
    chosen = options or Options()
    if chosen.name:
        raise UsageError("--name is for one network", hint="Linked networks are named after their files.")
    own = _options(chosen, first, second)
    words = [Path(first).name, Path(second).name, *(w for pair in links.items() for w in ("--link", "=".join(pair)))]
    outputs = _outputs(first, own[0], links)
    forwarded: dict[str, Any] = {
        "verify": verify,
        "watch": watch,
        "progress": progress,
        "words": words,
        "labels": UNSCORED,
    }
    one = build(first, calibration, _handed_plain(replace(own[0], outputs=outputs), links), **forwarded)
    starts = {to: _reach(one, output) for output, to in links.items()}
    alone = replace(own[1], outputs=())
    two = build(second, calibration, alone, starts=starts, **forwarded)
    if one.name == two.name:
        raise UsageError(f"both networks are called {one.name!r}", hint="Name the files differently.")
    header = link_header(one.program, two.program, handovers(one.program, two.program, links))
    return Linked(one, two, header, links)


def _options(options: Options, *files: str | Path) -> list[Options]:
    """The options of each network; raises UsageError where one names an input or output that neither has."""
    graphs = [read_model(file).model.graph for file in files]
    inputs, outputs = ([{v.name for v in getattr(g, side)} for g in graphs] for side in ("input", "output"))
    known = {**dict.fromkeys(NAMED, ("input", inputs)), **dict.fromkeys(NAMED_OUTPUTS, ("output", outputs))}
    for name, (what, names) in known.items():
        unknown = getattr(options, name).keys() - names[0] - names[1]
        if unknown:
            raise UsageError(f"{flag_of(name)}: neither network has an {what} {sorted(unknown)[0]!r}")
    every = {f.name: getattr(options, f.name) for f in fields(Options)}
    chosen = [{n: {k: v for k, v in every[n].items() if k in own[i]} for n, (_, own) in known.items()} for i in (0, 1)]
    return [Options(**{**every, **part}) for part in chosen]


def _handed_plain(options: Options, links: Mapping[str, str]) -> Options:
    """The options of the first network: what is handed over has one scale and no offset, where nothing else is asked."""
    plain: dict[str, OutputScale] = {name: "common" for name in links if name not in options.output_format}
    return replace(options, output_scale=plain | dict(options.output_scale))


def _outputs(file: str | Path, options: Options, links: Mapping[str, str]) -> tuple[str, ...]:
    """The outputs of the first network where they are not its own: what is handed over may feed a state of its own."""
    own = [o.name for o in to_stream(load(file, options), options).outputs]
    return options.outputs if links.keys() <= set(own) else tuple(dict.fromkeys([*own, *links]))


def _reach(package: Package, output: str) -> float:
    """The largest magnitude that an output can have."""
    port = next((p for p in package.program.outputs if p.name == output), None)
    return 0.0 if port is None else float((port.format.scale * port.format.hi).max())
