"""The report on a terminal: 80 columns, readable without colour."""

from __future__ import annotations

import io
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from rnnc.backend.program import Program
from rnnc.report.changes import Change
from rnnc.report.scores import (
    RECORDED,
    clear_text,
    confusion_rows,
    record_rows,
    score_rows,
    score_text,
    subject,
    warm_up_text,
)
from rnnc.report.widths import wide_names
from rnnc.report.zeros import sparse_lines

if TYPE_CHECKING:
    from rnnc.frontend.stream.survey import Finding
    from rnnc.tracing import Rewriting

WIDTH = 80
NAME_WIDTH = 30
MOST_CHANNELS = 8
NEXT = "what to do next"
RULE = "\u2500"
"""The character that rich draws lines with, replaced by a minus, which every terminal has."""


def outcome(report: Mapping[str, Any], program: Program) -> str:
    """What compiling gives, on one screen: inputs and outputs, whether it fits and how long it takes, how good it is."""
    parts = _built(report, program)
    if report["verify"]:
        parts.append(_judged(report["verify"]))
    return "\n".join(parts)


def summary(report: Mapping[str, Any], program: Program) -> str:
    """All that is known of a build: what ``outcome`` says, each channel, warm-up, tables of scores."""
    parts = _built(report, program)
    if report["verify"]:
        parts.append(_verification(report["verify"]))
    return "\n".join(parts)


def changed(found: Sequence[Change]) -> str:
    """What changed since an earlier build."""
    if not found:
        return "nothing changed since the earlier build\n"
    rows = [[c.what, c.before, c.after, c.difference] for c in found]
    return table(["changed", "before", "now", ""], rows)


def description(report: Mapping[str, Any], program: Program) -> str:
    """What the network is: its inputs and outputs, its operations, its states, and what a step costs."""
    qnet = program.qnet
    ops = [
        [
            op.name,
            op.op.describe(),
            _thousands(sum(c.macs for c in op.calls())),
            _state_bytes(program, op.name),
            op.op.node,
        ]
        for op in qnet.ops
    ]
    return "\n".join(
        [
            _head(report),
            table(["", "name", "shape", "format", ""], _ports(report, program)),
            table(["op", "what", "MACs", "state B", "in the file"], ops),
            _cost(report),
        ]
    )


def findings(found: Sequence[Finding]) -> str:
    """What became of each node of the file."""
    counts = Counter(f.status for f in found)
    rows = [[_shortened(f.node), f.op_type, f.status, f.why] for f in found]
    heading = f"{len(found)} nodes in the file: {', '.join(f'{n} {status}' for status, n in counts.items())}"
    return f"{heading}\n\n{table(['node', 'operator', '', 'how, or why not'], rows)}"


def rules(found: Sequence[Rewriting]) -> str:
    """Which rules rewrote which nodes of the file."""
    rows = [[r.rule, _shortened(r.node), r.op_type] for r in found]
    return table(["rule", "rewrote", "operator"], rows) if rows else "no rule rewrites a node of this file"


def _shortened(name: str) -> str:
    """A name of at most NAME_WIDTH characters, its middle left out."""
    head = NAME_WIDTH // 3
    return name if len(name) <= NAME_WIDTH else f"{name[:head]}...{name[head + 3 - NAME_WIDTH :]}"


def next_steps(folder: str, files: Iterable[str], networks: Sequence[str], *, part: bool) -> str:
    """What to do with a package that was written: which files to open, which command tells more.

    Args:
        folder: where it was written.
        files: their names in it.
        networks: the prefixes in the C.
        part: the milliseconds on a part are known.
    """
    names = {Path(file).name: f"{folder}/{file}" for file in reversed(list(files))}
    headers = [[at, "how to call it"] for network in networks if (at := names.get(f"{network}.h"))]
    pages = [names[f] for f in ("report.html", *(f"{n}.html" for n in networks)) if f in names]
    rows = [
        *headers,
        *([page, "errors, cost by layer, alternatives, advice"] for page in pages),
        ["rnnc verify", "with the same options and --input DATA: on unseen data"],
        *([] if part else [["--target PART", "does it fit, how many ms is a step? (rnnc parts)"]]),
    ]
    return table([NEXT, ""], rows)


def _built(report: Mapping[str, Any], program: Program) -> list[str]:
    wide = [_widths(report["weights"], program)] if report["weights"]["wide"] else []
    return [_head(report), table(["", "name", "shape", "format", ""], _ports(report, program)), _cost(report), *wide]


def _head(report: Mapping[str, Any]) -> str:
    what = f"{report['name']}: {report['model']['file']}, {report['precision']}, target {report['target']}"
    return textwrap.fill(what, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _ports(report: Mapping[str, Any], program: Program) -> list[list[str]]:
    rows = []
    for way, ports in (("in", program.inputs), ("out", program.outputs)):
        for port, entry in zip(ports, report[f"{way}puts"], strict=True):
            shape = " x ".join(map(str, entry["shape"])) or "1"
            rows.append([way, port.name, shape, str(port.format), port.timing if way == "out" else ""])
    return rows


def _cost(report: Mapping[str, Any]) -> str:
    c = report["cost"]
    flash = c["flash_weights"] + c["flash_tables"] + (c["flash_code"] or 0)
    rows = [
        ["flash", f"{_thousands(flash)} B", f"weights {_thousands(c['flash_weights'])}, "
         f"tables {_thousands(c['flash_tables'])}, {_code(c)}"],
        ["RAM", f"{_thousands(c['ram_state'] + c['ram_scratch'])} B", f"state {_thousands(c['ram_state'])}, "
         f"scratch {_thousands(c['ram_scratch'])}, a stream"],
        ["a step", f"{_thousands(c['macs'])}", "multiply-accumulates"],
    ]  # fmt: skip
    rows += sparse_lines(report)
    rows += _time(report["part"], c) if report["part"] else []
    rows += [["windows", f"{w['steps']} steps", _windows(w)]] if (w := c["windows"]) else []
    rows += [["an answer", f"{a['values']} values", _answer(a)]] if w and (a := w["answer"]) else []
    return table(["cost", "", ""], rows)


def _time(part: Mapping[str, Any], cost: Mapping[str, Any]) -> list[list[str]]:
    """How long a step takes on a part, and how much of it the package takes."""
    name, shares = part["name"], [f"flash {part['flash_percent']:g} %", f"RAM {part['ram_percent']:g} % with stack"]
    fits = "fits" if part["fits"] else "TOO SMALL"
    if part["missing"]:
        return [["time", "unknown", part["missing"]], [name, fits, f"{', '.join(shares[:1])} without code"]]
    if cost["milliseconds"] is None:
        return [["time", "unknown", f"no table of the cycles of {part['core']}"], [name, fits, ", ".join(shares)]]
    (cycles,) = cost["cycles"]
    if part["busy_percent"] is not None:
        shares.append(f"{part['busy_percent']:g} % of its time at {part['rate_hz']:g} Hz")
    how = f"estimated: {cycles['assumes']}" if cycles["estimate"] else "counted"
    waits = f" (it has {part['waits']})" if part["waits"] else ""
    count = f"{_thousands(cycles['max'])} cycles at {part['clock_mhz']:g} MHz"
    return [["time", f"{cost['milliseconds']:.3g} ms", f"{count}, {how}{waits}"], [name, fits, ", ".join(shares)]]


def _widths(weights: Mapping[str, Any], program: Program) -> str:
    """Which weights are int16."""
    added = weights["bytes"] - weights["bytes_unwidened"]
    chosen = f", {_thousands(added)} B more than without those that were chosen" if added else ""
    finer = f"; finer preactivations in {', '.join(weights['fine'])}" if weights["fine"] else ""
    return _folded(f"int16 weights: {wide_names(program.qnet)}{chosen}; all others int8{finer}") + "\n"


def _code(cost: Mapping[str, Any]) -> str:
    return "and the code" if cost["flash_code"] is None else f"code {_thousands(cost['flash_code'])}"


def _windows(w: Mapping[str, Any]) -> str:
    """What overlapping windows keep, and the most steps of the network in a call."""
    if w["hop"] == w["steps"]:
        return "one after the other"
    kept = f"{w['frames']} frames kept" if w["frames"] else f"{w['states']} at once, each with its state"
    return f"one every {w['hop']}: {kept}; at most {w['steps_a_call']} steps of the network a call"


def _answer(a: Mapping[str, int]) -> str:
    """What the calls of a window with several answers take."""
    at_once = f"at once {_thousands(a['macs_at_once'])}"
    return (
        f"{at_once}, a frame {_thousands(a['macs_frame'])}, NAME_next {_thousands(a['macs_next'])} multiply-accumulates"
    )


def _compared(verify: Mapping[str, Any]) -> list[str]:
    """Over which steps the C was run, and what onnxruntime was asked."""
    c = "equals the oracle bit for bit" if verify["c_equals_oracle"] else "DIFFERS FROM THE ORACLE"
    sound = verify["c_equals_oracle"] and verify["verdict"] in ("good", "fair")
    lines = [f"{'verified' if sound else 'compared'} over {_thousands(verify['steps'])} steps: the C {c};"]
    lines += [f"{part};" for part in f"compared: {verify['compared']}".split("; ")]
    parting = verify["float32"]
    if parting["parts_at"] is not None:
        lines.append(f"over the {parting['judged']:,} of {parting['points']:,} values before float32 and float64 part;")
    return lines


def _figures(verify: Mapping[str, Any]) -> str:
    """A row for each output."""
    rows = [
        [
            o["name"],
            _or_dash(o["sqnr_db"], ".1f"),
            _or_dash(o["sqnr_same_weights_db"], ".1f"),
            _or_dash(o["max_abs"], ".3g"),
            _or_dash(o["rms"], ".2g"),
            _or_dash(o["argmax_agreement"], ".2%"),
        ]
        for o in verify["outputs"]
    ]
    heading = ["output", "SQNR dB", "same weights dB", "max error", "rms", "same argmax"]
    against = "the integers against onnxruntime, and against floats with the same weights:"
    return f"{against}\n\n{table(heading, rows)}"


def _judged(verify: Mapping[str, Any]) -> str:
    """The figures of each output, the scores in a line, the verdict."""
    recorded = [table(RECORDED, record_rows(verify))] if verify["recorded"] else []
    task = [_folded(score_text(verify["task"]))] if verify["task"] else []
    return "\n".join([*_compared(verify), _figures(verify), *recorded, *task, *_verdict(verify)])


def _verification(verify: Mapping[str, Any]) -> str:
    imported = f"the import is within {_or_dash(verify['import_max_rel'], '.1e')} of onnxruntime"
    channels = [text for o in verify["outputs"] if (text := _channels(o))]
    warm = [_folded(text) for o in verify["outputs"] if (text := warm_up_text(o))]
    lines = [*_compared(verify), imported, _figures(verify)]
    return "\n".join([*lines, *channels, *warm, *_scores(verify), *_verdict(verify)])


def _channels(o: Mapping[str, Any]) -> str:
    """SQNR of each channel where there are a few, else of the worst and the best; those that hardly move are named."""
    judged = {k: db for k, db in enumerate(o["channel_sqnr_db"]) if db is not None and k not in o["unjudged_channels"]}
    if len(o["channel_sqnr_db"]) < 2 or not judged:
        return ""
    if len(judged) <= MOST_CHANNELS:
        text = ", ".join(f"[{k}] {db:.1f}" for k, db in judged.items())
    else:
        worst, best = min(judged, key=lambda k: judged[k]), max(judged, key=lambda k: judged[k])
        text = f"[{worst}] {judged[worst]:.1f} to [{best}] {judged[best]:.1f}"
    still = len(o["channel_sqnr_db"]) - len(judged)
    more = (
        f"; {still} hardly move{'s' if still == 1 else ''} and {'is' if still == 1 else 'are'} not judged"
        if still
        else ""
    )
    return _folded(f"{o['name']} by channel: {text} dB{more}")


def _verdict(verify: Mapping[str, Any]) -> list[str]:
    cause = f": {verify['cause']}. {verify['advice']}" if verify["cause"] else ""
    return [_folded(f"verdict: {verify['verdict'] or 'none'}{cause}"), ""]


def _folded(text: str) -> str:
    return textwrap.fill(_plain(text), WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _scores(verify: Mapping[str, Any]) -> Iterator[str]:
    """Agreement by margin, task metrics, and how far both are from recorded results."""
    if clear := clear_text(verify):
        yield textwrap.fill(f"same argmax {clear}", WIDTH) + "\n"
    if task := verify["task"]:
        yield f"{subject(task)}\n\n{table(*score_rows(task))}"
        if task["classes"] and (confusion := confusion_rows(task)):
            yield f"answers of the C by label (onnxruntime's in brackets where they differ):\n\n{table(*confusion)}"
    if verify["recorded"]:
        yield table(RECORDED, record_rows(verify))


def by_layer(report: Mapping[str, Any]) -> str:
    """The loss of each layer: SQNR in dB with one part at a time as in the C."""
    found = report["verify"]["by_layer"]
    rows = [
        [
            loss["name"],
            loss["what"],
            *(_or_dash(loss[f"{part}_db"], ".1f") for part in ("weights", "activations", "tables", "layer")),
        ]
        for loss in (*found["inputs"], *found["layers"])
    ]
    rows.append(["all", "", "", "", "", _or_dash(found["network_db"], ".1f")])
    heading = ["by layer", "what", "weights", "activations", "tables", "layer"]
    blocks = [
        [b["name"], _thousands(b["weights"]), str(b["bits"]), _or_dash(b["int8_db"], ".1f")] for b in found["blocks"]
    ]
    steps = f"all {_thousands(found['steps'])} steps that were compared"
    if found["steps"] < found["of"]:
        steps = f"{_thousands(found['steps'])} of the {_thousands(found['of'])} steps that were compared, in pieces"
    alone = 'with one part at a time as in the C; "all" is the C against onnxruntime'
    weights = table(["weights (--wide)", "number", "bits", "dB if only they are int8"], blocks)
    return f"SQNR in dB of the worst output over {steps},\n{alone}\n{table(heading, rows)}\n{weights}"


def _state_bytes(program: Program, op: str) -> str:
    names = {s.name for q in program.qnet.ops if q.name == op for s in q.states()}
    return _thousands(sum(m.bytes for m in program.members if m.state.name in names))


def _thousands(n: int) -> str:
    return f"{n:,}"


def _or_dash(x: float | None, form: str) -> str:
    return "-" if x is None else format(x, form)


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under a heading, cells folded to what fits 80 columns."""
    lines = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in heading:
        lines.add_column(title, overflow="fold")
    for row in rows:
        lines.add_row(*(_plain(cell) for cell in row))
    text = io.StringIO()
    Console(file=text, width=WIDTH, no_color=True, highlight=False, markup=False).print(lines)
    return "\n".join(line.rstrip().replace(RULE, "-") for line in text.getvalue().splitlines()) + "\n"


def _plain(cell: str) -> str:
    """Escape control characters: the names of a model may contain any."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in cell)
