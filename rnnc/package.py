"""What a compilation gives: the files of the C, the report, and ways to write and to run them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from rnnc import flags
from rnnc.backend.layouts import Contents
from rnnc.backend.program import Program
from rnnc.data import Data, Frame, Source, read_data
from rnnc.errors import BudgetError, DataError, VerificationError
from rnnc.files import write_folder
from rnnc.fixed import Floats
from rnnc.net import Array, Net
from rnnc.options import Layout, Options, check_limits
from rnnc.quantization.calibrate import Ranges, Sequences
from rnnc.quantization.choice import Choice
from rnnc.report.budget import flash_parts, ram_parts, stack_parts
from rnnc.report.changes import Change, changes
from rnnc.report.content import Report
from rnnc.report.in_page import InPage, in_page
from rnnc.report.page import report_page
from rnnc.report.widths import missed, target_notes, what_limits
from rnnc.tracing import Graph
from rnnc.verification.alternatives import Alternatives, alternatives
from rnnc.verification.arranged import arranged_files
from rnnc.verification.attribution import Attribution
from rnnc.verification.axes import FAR, better_axes
from rnnc.verification.batches import sequences_of
from rnnc.verification.emulator import linked, why_uncounted
from rnnc.verification.engines import Engine, run_engine
from rnnc.verification.levels import LEVEL
from rnnc.verification.live import Live, LiveEngine, start
from rnnc.verification.parts import OnPart, find_part, on_part
from rnnc.verification.single import EXACT
from rnnc.verification.stack import step_frames
from rnnc.verification.traces import Signal, traces
from rnnc.verification.verdict import Verdict
from rnnc.verification.verify import Verification

NOTEBOOK_FRAME = "width:100%;height:600px;border:1px solid #ccc"
LONGER = "It answers after as many steps as its window, or its convolutions, take: give longer sequences."


@dataclass(frozen=True)
class Model:
    """The model's file name, the hash of the file, and the content that onnxruntime runs as the reference."""

    file: str
    sha256: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Package:
    """A compiled network.

    Args:
        files: text by file name; the kernels' names begin with "rnnc/". ``write`` puts the network itself into report.html.
        report: the content of report.json.
        verified: the figures of the verification, None where it was left out.
        notes: what was assumed or left out, to show to the user.
        verdict: what the figures mean, None where nothing was compared.
        cautions: what may make the answers other than expected: a use that the file was not made for, unsuited ranges, states
            that were clipped.
        attribution: what each layer costs, None where it was not measured.
        ranges: what is known of the values that occur.
        data: the calibration's, or the noise that stood in for it.
        choice: which weights are int16, and why.
        stack_frames: bytes of stack of each function on the deepest path, once ``measure_stack`` was called.
    """

    files: dict[str, str]
    report: Report
    model: Model
    graph: Graph
    program: Program
    options: Options
    verified: Verification | None
    verdict: Verdict | None
    notes: tuple[str, ...]
    cautions: tuple[str, ...]
    attribution: Attribution | None
    ranges: Ranges
    data: Data
    choice: Choice
    stack_frames: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._write_reports()

    def __repr__(self) -> str:
        cost = self.report["cost"]
        ram = cost["ram_state"] + cost["ram_scratch"]
        judged = self.verdict.text if self.verdict else "not verified"
        return f"<Package {self.name}: {self.flash} B of flash ({self.code_note}), {ram} B of RAM, {judged}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the report, in a frame of its own."""
        page = escape(self.page(self.report), quote=True)
        return f'<iframe srcdoc="{page}" title="{escape(repr(self))}" style="{NOTEBOOK_FRAME}"></iframe>'

    def page(self, report: Mapping[str, Any], live: InPage | None = None, beside: Alternatives | None = None) -> str:
        """report.html, with ``report`` (more measured, by rnnc bench) in place of the package's own.

        Args:
            live: the network itself, which runs in the page.
            beside: other builds of it.
        """
        return report_page(
            report,
            self.program,
            self.options,
            calibrated=self.ranges.measured,
            verified=self.verified,
            verdict=self.verdict,
            attribution=self.attribution,
            notes=self.notes,
            live=live,
            beside=beside,
        )

    def live_page(self, report: Mapping[str, Any] | None = None) -> str:
        """As ``page``, as ``write`` writes it: with ``alternatives``, and with the network in it, or how to get that."""
        return self.page(report or self.report, self._in_page, self.alternatives)

    @cached_property
    def _in_page(self) -> InPage:
        """The network for its page, built when first asked for."""
        return in_page(self.program, self.files, self.options.wav_hop)

    @cached_property
    def alternatives(self) -> Alternatives | None:
        """Other widths of weights and operands, measured when first asked for; None without a verification, or for a network
        that is too large to find out in passing."""
        if self.verified is None:
            return None
        sequences = sequences_of([run.batch for run in self.verified.measured.runs])
        return alternatives(self.program, self.options, self.ranges, sequences)

    @property
    def name(self) -> str:
        """The prefix of everything in the C."""
        return self.program.name

    def check_exact(self) -> None:
        """Raise VerificationError where the C differs from the oracle or the import is not exact."""
        self._raise(self.verified.problems() if self.verified else [])

    def check(self, min_sqnr: float | None = None) -> None:
        """As ``check_exact``, and raise where the verdict on the user's data is poor, or SQNR is below ``min_sqnr`` dB.

        With ``min_sqnr`` (or where the options have one) that alone decides.
        """
        check_limits(min_sqnr=min_sqnr)
        self.check_exact()
        least = self.options.min_sqnr if min_sqnr is None else min_sqnr
        if least is None:
            if self.verdict and self.verdict.fails:
                self._raise([self.verdict.text], self.verdict.cure)
        elif self.verified:
            self._raise(missed(self.choice, self.verified, least), self._limit())
        elif self.choice.reached is not None and self.choice.reached < least:
            self._raise(target_notes(self.choice, self.program.qnet), self._limit())

    def _limit(self) -> str:
        all_wide = all(b.wide for b in self.program.qnet.blocks)
        return what_limits(self.choice, self.attribution, all_wide=all_wide, calibrated=self.ranges.measured)

    def _raise(self, problems: Sequence[str], hint: str = "") -> None:
        if problems:
            error = VerificationError("; ".join(problems), where=self.model.file, hint=hint or self._other_axes())
            error.package = self
            raise error

    def _other_axes(self) -> str:
        """What to say of an import that computes something else: whether another choice of the time axis is right."""
        if self.verified is None or (self.verified.measured.import_max_rel or 0.0) <= FAR:
            return ""
        flag = better_axes(self.model.content, self.graph, self.options, EXACT)
        if flag:
            return f"With {flag} it is equal to onnxruntime: is that the axis of time?"
        return "No other choice of the time axis is equal either: a fault of rnnc, if the model is sound; please report it."

    def measure_stack(self, level: str = LEVEL) -> None:
        """Add the most stack that a step can use, built at a level of optimization, to the report; raises MissingTool without
        the target's compiler."""
        self.stack_frames.clear()
        self.stack_frames.update(step_frames(self.program, self.files, level))
        self.report["cost"]["stack"] = sum(self.stack_frames.values())
        self._write_reports()

    def measure_code(self, level: str = LEVEL) -> None:
        """Add the bytes of code at a level to the report, where the target is a part whose compiler is here: ``code_note``."""
        if not why_uncounted(self.program):
            self.report["cost"]["flash_code"] = linked(self.program, self.files, (level,)).code
            self._write_reports()

    def measure_part(self, clock: float | None = None, rate: float | None = None, level: str = LEVEL) -> OnPart:
        """Add to the report what the package takes of the part that ``target`` names; raises as ``on_part`` does.

        Args:
            clock: MHz, the part's highest by default.
            rate: steps a second.
            level: of optimization.
        """
        found = on_part(self.program, self.files, find_part(self.options.target).at(clock), rate, level)
        self.report["part"] = found.content()
        if found.measured:
            measured = {"stack": found.measured.stack, "flash_code": found.measured.footprint.code}
            cycles = [found.cycles.content()] if found.cycles else None
            self.report["cost"] |= {**measured, "cycles": cycles, "milliseconds": found.milliseconds}
        self._write_reports()
        return found

    def compare(self, earlier: Mapping[str, Any]) -> list[Change]:
        """Add to the report what changed since an ``earlier`` report (``report.json`` as read); [] for nothing."""
        found = changes(earlier, self.report)
        self.report["changes"] = [c.content() for c in found]
        self._write_reports()
        return found

    def _write_reports(self) -> None:
        self.files.update({"report.json": report_text(self.report), "report.html": self.page(self.report)})

    @property
    def flash(self) -> int:
        """Bytes of weights and tables, and of code where ``measure_code`` has counted it."""
        cost = self.report["cost"]
        return int(cost["flash_weights"] + cost["flash_tables"] + (cost["flash_code"] or 0))

    @property
    def code_note(self) -> str:
        """What ``flash`` has of the code: its bytes, or that it is not counted, and why."""
        code = self.report["cost"]["flash_code"]
        if code is not None:
            return f"code {code} B"
        return f"code not counted: {why_uncounted(self.program) or 'measure_code was not called'}"

    def check_budget(
        self, max_flash: int | None = None, max_ram: int | None = None, max_stack: int | None = None
    ) -> None:
        """Raise BudgetError where flash, RAM (state and scratch), or the stack take more bytes than allowed.

        A limit for the stack needs ``measure_stack`` before; that of flash counts the code after ``measure_code``.
        """
        check_limits(max_flash=max_flash, max_ram=max_ram, max_stack=max_stack)
        cost = self.report["cost"]
        for what, used, allowed, parts in (
            ("flash", self.flash, max_flash, flash_parts(self.program, cost["flash_code"])),
            ("ram", cost["ram_state"] + cost["ram_scratch"], max_ram, ram_parts(self.program)),
            ("stack", cost["stack"], max_stack, stack_parts(self.stack_frames)),
        ):
            if allowed is not None and used > allowed:
                note = f" ({self.code_note})" if what == "flash" else ""
                raise BudgetError(
                    f"{what}: {used} B, {used - allowed} B above --max-{what} {allowed}{note}",
                    where=self.model.file,
                    hint=parts,
                )

    def arranged(self, layout: Layout = "plain") -> dict[str, str | bytes]:
        """The files as a build system wants them; of bare metal with the firmware, where its target's compiler is here.

        Raises UsageError where there is no such layout, or none for the target; NoRoom.
        """
        return arranged_files(layout, self.contents, {**self.files, "report.html": self.live_page()})

    @property
    def contents(self) -> Contents:
        """What build systems are told of it."""
        return Contents(
            self.name, (self.program,), (self.model.file,), self.options.package_version, self.options.package_url
        )

    def write(self, folder: str | Path, layout: Layout = "plain") -> Path:
        """Write all files into a folder, made where it does not exist; nothing is there before all is written.

        Raises UsageError where that is not possible.
        """
        return write_folder(Path(folder), self.arranged(layout))

    @property
    def frames(self) -> list[Frame]:
        """What one step of each input is."""
        return input_frames(self.graph, self.program.qnet.net, self.options)

    def read(self, data: Source) -> Data:
        """Data for the inputs; raises DataError."""
        return read_data(data, self.frames)

    def stream(self, engine: LiveEngine = "c") -> Live:
        """One stream that takes a frame at a time, and is closed as a context manager; raises MissingTool."""
        return start(engine, self.program, self.files)

    def simulate(self, data: Source, engine: Engine = "c") -> dict[str, Array]:
        """Stream data through the network.

        Args:
            data: a path, an array, or arrays by input name (rnnc.data).
            engine: "c" (compiled here), "oracle" (the same bits in NumPy), "float" (the net in float64), "onnxruntime".

        Returns the outputs by name in real units, every tick: ``[time, *frame]``, ``[sequence, time, *frame]`` where the
        data was such an array, else concatenated with ``lengths``. Of onnxruntime, ticks that it cannot be asked for are NaN.

        Raises DataError, MissingTool.
        """
        return self.simulated(self.read(data), engine)

    def simulated(self, read: Data, engine: Engine = "c") -> dict[str, Array]:
        """As ``simulate``, of data that was read."""
        return self.arranged_as(read, self.answers(read, engine))

    def answers(self, read: Data, engine: Engine = "c") -> dict[str, list[Floats]]:
        """What ``simulate`` gives as ``[ticks, size]`` of each sequence."""
        results = run_engine(engine, self.model.content, self.program, self.files, self.options, read.sequences)
        if not any(len(y) for ys in results.values() for y in ys):
            longest = max(read.lengths)
            raise DataError(f"the network gives nothing yet after {longest} steps, the longest sequence", hint=LONGER)
        return results

    def arranged_as(self, read: Data, results: Mapping[str, list[Floats]]) -> dict[str, Array]:
        """Answers in the form that the data had."""
        shapes = output_shapes(self.graph, self.program.qnet.net)
        outputs = {name: [y.reshape(len(y), *shapes[name]) for y in ys] for name, ys in results.items()}
        return arranged(outputs, read.arrangement == "concatenated")

    def traces(self, sequences: Sequences, engine: Engine = "c") -> list[Signal]:
        """Inputs, states and outputs over time, and what onnxruntime says; raises DataError, MissingTool."""
        return traces(engine, self.model.content, self.program, self.files, self.options, sequences)


def report_text(report: Mapping[str, Any]) -> str:
    """The text of report.json."""
    return json.dumps(report, indent=1) + "\n"


def arranged(outputs: Mapping[str, list[Array]], concatenated: bool) -> dict[str, Array]:
    """One array for each output: a single sequence as it is, equal ones stacked, others concatenated with ``lengths``."""
    first = next(iter(outputs.values()))
    if len(first) == 1 and not concatenated:
        return {name: ys[0] for name, ys in outputs.items()}
    if not concatenated and all(len({len(y) for y in ys}) == 1 for ys in outputs.values()):
        return {name: np.stack(ys) for name, ys in outputs.items()}
    return {name: np.concatenate(ys) for name, ys in outputs.items()} | {"lengths": np.array([len(y) for y in first])}


def input_frames(graph: Graph, net: Net, options: Options) -> list[Frame]:
    """What one step of each input is, for reading data."""
    ranks = {t.name: len(t.shape) for t in graph.inputs}
    hop = options.wav_hop
    return [
        Frame(
            v.name, v.shape or (1,) * (ranks[v.name] > 2), v.shape, v.rows, hop, ranks[v.name], v.time, v.per_sequence
        )
        for v in net.inputs
    ]


def output_shapes(graph: Graph, net: Net) -> dict[str, tuple[int, ...]]:
    """The shape of one value of each output, without batch and time axes."""
    ranks = {t.name: len(t.shape) for t in graph.outputs}
    axes = {o.name: 2 if o.kind == "stream" else 1 for o in net.outputs}
    return {o.name: net.values[o.value].shape or (1,) * (ranks[o.name] > axes[o.name]) for o in net.outputs}


def command_line(file: str, calibration: Source | None, options: Options, linked: Sequence[str] = ()) -> str:
    """The command that compiles the same, with base names and without -o; ``linked`` is what it says in place of ``file``."""
    words = ["rnnc", "compile", *(linked or [file])]
    if calibration is not None:
        given = calibration if isinstance(calibration, list | tuple) else [calibration]
        names = [Path(c).name if isinstance(c, str | Path) else "data" for c in given]
        words += [word for name in dict.fromkeys(names) for word in ("--calib", name)]
    defaults = Options()
    for f in fields(Options):
        value = getattr(options, f.name)
        if value != getattr(defaults, f.name):
            words += flags.words(f.name, value)
    return shlex.join(words)
