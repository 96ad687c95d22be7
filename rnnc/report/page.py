"""report.html and the page of rnnc tune: self-contained, nothing is loaded from the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from rnnc.backend.emit import data_root
from rnnc.backend.layouts import OPTIMIZATION
from rnnc.backend.program import Program
from rnnc.options import Options
from rnnc.qnet import Constant, Field, QOp, UnitRows, WeightRows
from rnnc.report.advice import advice
from rnnc.report.charts import Mark, Point, Series, largest_of_stretches, lines, scatter
from rnnc.report.drawing import picture
from rnnc.report.in_page import InPage
from rnnc.report.scores import score_tables
from rnnc.verification.alternatives import Alternatives
from rnnc.verification.attribution import Attribution, Loss
from rnnc.verification.occupancy import Occupancy
from rnnc.verification.verdict import Verdict
from rnnc.verification.verify import OutputFigures, Verification

AROUND = 60
"""Values shown before and after the worst."""
MOST_CHANNELS, MOST_BARS = 64, 16
MOST_BITS = 16.0
"""Bits to spare that fill a bar."""
MOST_DB = 100.0
NONE = "\N{EN DASH}"


@dataclass(frozen=True)
class Bar:
    """A row of a bar chart: ``share`` of the bar's width, 0 .. 1."""

    name: str
    share: float
    text: str


@dataclass(frozen=True)
class OutputErrors:
    """One output against onnxruntime: figures, charts, and the worst channel's and channels' SQNR."""

    name: str
    figures: Mapping[str, Any]
    over_time: Markup
    zoom: Markup
    worst: str
    channels: tuple[Bar, ...]


@dataclass(frozen=True)
class Profile:
    """Instructions of one step on a target, by op (where that is known) and by C function."""

    target: str
    least: int
    median: int
    most: int
    ops: tuple[Bar, ...]
    functions: tuple[Bar, ...]


def report_page(
    report: Mapping[str, Any],
    program: Program,
    options: Options,
    *,
    calibrated: bool,
    verified: Verification | None,
    verdict: Verdict | None,
    attribution: Attribution | None,
    notes: Sequence[str] = (),
    live: InPage | None = None,
    beside: Alternatives | None = None,
) -> str:
    """The page as text.

    Args:
        report: the content of report.json.
        calibrated: ranges come from data.
        live: the network itself, which runs in the page; None to leave it out.
        beside: other builds of it; None to leave them out.
    """
    worst = attribution.worst if attribution else None
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            advice=advice(program, options, calibrated, verified, attribution, verdict),
            picture=picture(program.qnet),
            flash=flash_by_layer(program),
            ram=ram_by_layer(program),
            macs=macs_by_layer(program),
            outputs=[_errors(o, f) for o, f in _compared(verified, report)],
            verdict=verdict,
            attribution=attribution,
            losses=_losses(attribution) if attribution else (),
            worst=worst.name if worst else "",
            occupancy=[_occupied(o) for o in verified.measured.occupancy] if verified else (),
            margins=_margins(report["certificate"]),
            profiles=_profiles(report["cost"]["instructions"] or ()),
            calibrated=calibrated,
            notes=notes,
            live=live,
            beside=beside,
            **score_tables(report["verify"] or {}),
        )
    )


def choices_page(
    model: str,
    sentences: Sequence[str],
    points: Sequence[Point],
    costs: Sequence[str],
    heads: Sequence[str],
    command: str,
) -> str:
    """What rnnc tune tried, as a page: the picture, then the table.

    Args:
        model: the file's name.
        sentences: what is to be said beside the figures.
        points: the choices, in the order of the table.
        costs: the axes of the picture.
        heads: the columns of the points' cells.
        command: what compiles the proposal, empty where there is none.
    """
    picture = scatter(points, costs, f"accuracy and cost of {len(points)} choices for {model}")
    page = _environment().get_template("tune.html.j2")
    return page.render(model=model, sentences=sentences, picture=picture, heads=heads, rows=points, command=command)


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(data_root() / "templates")
    environment = Environment(
        loader=loader, undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["thousands"] = lambda n: f"{n:,}"
    environment.filters["db"] = lambda x: NONE if x is None else f"{x:.1f}"
    environment.filters["short"] = lambda x: NONE if x is None else f"{x:.3g}"
    environment.filters["percent"] = lambda x: NONE if x is None else f"{x:.2%}"
    return environment


# --------------------------------------------------------------------------- cost


def bars(parts: Mapping[str, int], unit: str) -> tuple[Bar, ...]:
    """One bar for each nonzero part, as its share of the largest; if there are many, the smallest are combined."""
    shown = {name: n for name, n in parts.items() if n}
    small = sorted(shown, key=lambda name: shown[name])[: max(0, len(shown) - MOST_BARS)]
    if small:
        rest = sum(shown.pop(name) for name in small)
        shown[f"{len(small)} others"] = rest
    most = max(shown.values(), default=0)
    return tuple(Bar(name, n / most, f"{n:,} {unit}".rstrip()) for name, n in shown.items())


def flash_by_layer(program: Program) -> tuple[Bar, ...]:
    """Bytes of each layer's constants, and of the tables that all share."""
    sizes = {a.symbol: a.bytes for a in program.arrays}
    parts: dict[str, int] = {}
    counted: set[str] = set()
    for op in program.qnet.ops:
        symbols = {f"{program.name}_{name}" for call in op.calls() for name in _constants(call.fields)} - counted
        counted |= symbols
        parts[op.name] = sum(sizes.get(s, 0) for s in symbols)
    parts["shared tables"] = program.cost.flash_weights + program.cost.flash_tables - sum(parts.values())
    return bars(parts, "B")


def _constants(fields: Sequence[Field]) -> Iterator[str]:
    for _, value in fields:
        if isinstance(value, tuple):
            yield from _constants(value)
        elif isinstance(value, Constant | WeightRows | UnitRows):
            yield value.name


def ram_by_layer(program: Program) -> tuple[Bar, ...]:
    """Bytes of each layer's states, of what the graph itself feeds back, of counters, and of the scratch that all share."""
    owners = {s.name: op.name for op in program.qnet.ops for s in op.states()}
    parts: dict[str, int] = {}
    for m in program.members:
        owner = owners.get(m.state.name, "feedback")
        parts[owner] = parts.get(owner, 0) + m.bytes
    parts["counters"] = 2 * len(program.counters)
    if program.overlap:
        parts = {name: n * program.overlap.lanes for name, n in parts.items()}
        parts["frames"] = sum(r.bytes for r in program.overlap.rings)
        parts["counters"] += program.cost.ram_state - sum(parts.values())
    parts["scratch"] = program.cost.ram_scratch
    return bars(parts, "B")


def macs_by_layer(program: Program) -> tuple[Bar, ...]:
    """Multiply-accumulates of each layer."""
    return bars({op.name: _macs(op) for op in program.qnet.ops}, "")


def _macs(op: QOp) -> int:
    return sum(call.macs for call in op.calls())


def _profiles(measured: Sequence[Mapping[str, Any]]) -> list[Profile]:
    """What rnnc bench counted, where it could count."""
    return [
        Profile(_built(m), m["min"], m["median"], m["max"], bars(m["ops"], ""), bars(m["functions"], ""))
        for m in measured
        if m["median"] is not None
    ]


def _built(m: Mapping[str, Any]) -> str:
    """The target of a measurement, with the level of optimization where it is not that of packages."""
    return str(m["target"]) if m["optimize"] == OPTIMIZATION else f"{m['target']} with {m['optimize']}"


# --------------------------------------------------------------------------- errors


def _compared(
    verified: Verification | None, report: Mapping[str, Any]
) -> Iterator[tuple[OutputFigures, Mapping[str, Any]]]:
    if verified:
        for o, figures in zip(verified.measured.outputs, report["verify"]["outputs"], strict=True):
            if o.points:
                yield o, figures


def _errors(o: OutputFigures, figures: Mapping[str, Any]) -> OutputErrors:
    reference, error = o.asked.reference, np.abs(o.got - o.asked.reference)
    at, channel = (int(i) for i in np.unravel_index(int(error.argmax()), error.shape))
    steps = np.arange(len(error), dtype=np.float64)
    over_time = lines(
        [Series("largest error of a value", *largest_of_stretches(steps, error.max(1)), "error")],
        "value, all sequences one after the other",
        f"error of {o.name} over time",
        Mark(at, f"worst: {error[at, channel]:.3g}"),
        zero=True,
    )
    same = [
        k
        for k in range(max(0, at - AROUND), min(len(error), at + AROUND + 1))
        if o.asked.sequence[k] == o.asked.sequence[at]
    ]
    when = np.array([o.asked.tick[k] for k in same], np.float64)
    zoom = lines(
        [Series("onnxruntime", when, reference[same, channel]), Series("the C", when, o.got[same, channel], "b")],
        f"value of sequence {o.asked.sequence[at]}",
        f"{o.name} around its worst value",
        Mark(o.asked.tick[at], ""),
    )
    element = f", element {channel}" if error.shape[1] > 1 else ""
    worst = (
        f"value {o.asked.tick[at]} of sequence {o.asked.sequence[at]}{element}: "
        f"onnxruntime {reference[at, channel]:.5g}, the C {o.got[at, channel]:.5g}"
    )
    return OutputErrors(o.name, figures, over_time, zoom, worst, _by_channel(o, figures))


def _by_channel(o: OutputFigures, figures: Mapping[str, Any]) -> tuple[Bar, ...]:
    """SQNR of each element, where there are several and not too many."""
    found = figures["channel_sqnr_db"]
    if not 1 < len(found) <= MOST_CHANNELS or o.difference.sqnr_db is None:
        return ()
    still = figures["unjudged_channels"]
    return tuple(
        Bar(
            f"{o.name}[{k}]",
            _share(db),
            "constant" if db is None else f"{db:.1f} dB{', hardly moves' if k in still else ''}",
        )
        for k, db in enumerate(found)
    )


def _share(db: float | None) -> float:
    return float(np.clip((db or 0.0) / MOST_DB, 0, 1))


def _losses(attribution: Attribution) -> tuple[tuple[Loss, float], ...]:
    """Each input and layer with its share of all noise."""
    losses = (*attribution.inputs, *attribution.layers)
    noise = [0.0 if x.layer is None else 10 ** (-x.layer / 10) for x in losses]
    total = sum(noise) or 1.0
    return tuple((loss, n / total) for loss, n in zip(losses, noise, strict=True))


def _occupied(o: Occupancy) -> dict[str, Any]:
    return {
        "name": o.value,
        "by": o.producer or "input",
        "format": str(o.format),
        "reached": float(o.largest[(o.largest / o.available).argmax()]),
        "available": float(o.available[(o.largest / o.available).argmax()]),
        "used": o.used,
        "saturated": o.share_saturated,
    }


def _margins(certificate: Sequence[Mapping[str, Any]]) -> tuple[tuple[Mapping[str, Any], float], ...]:
    """Each bound with how much of a bar its spare bits fill; those with least first."""
    ordered = sorted(certificate, key=lambda b: b["margin_bits"])
    return tuple((b, min(1.0, b["margin_bits"] / MOST_BITS)) for b in ordered)
