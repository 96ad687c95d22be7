"""What a network is for: how well it does by the user's labels, and how near it comes to results that somebody recorded.

Both for onnxruntime and for the C, at the same answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from rnnc.data import LABEL, Data, Part
from rnnc.data.shapes import is_one_hot
from rnnc.errors import DataError
from rnnc.net import Net, Output
from rnnc.verification.matching import Matched, Span, answers, match
from rnnc.verification.metrics import sqnr_db
from rnnc.verification.score import Recorded, Task, chosen_classes, classes_score, values_score
from rnnc.verification.verify import Measurement, OutputFigures

UNSCORED = ""
"""In place of the name of labels: none are looked for, and no recorded results."""
WORDS = "Integers are classes, other numbers are what the output should be."


def wanted(net: Net, labels: str | None) -> list[str]:
    """The arrays that are read for scoring: labels, and recorded results of each output. An input is one only if asked for."""
    if labels == UNSCORED:
        return []
    usual = [LABEL] if LABEL not in {v.name for v in net.inputs} else []
    return [*([array_of(labels)] if labels else usual), *(o.name for o in net.outputs)]


def array_of(labels: str | None) -> str:
    """The array of ``labels``, which is NAME or OUTPUT=NAME; None for the usual one."""
    return (labels or LABEL).rpartition("=")[2]


def recorded(net: Net, measured: Measurement, data: Data, labels: str | None) -> list[Recorded]:
    """Compare with arrays that are named as outputs; raises DataError where one does not fit."""
    found = []
    for o, figures in _compared(net, measured):
        if o.name == array_of(labels) or not _has(data.parts, o.name):
            continue
        matched = _matched(o.name, net, o, figures, measured.spans, data, _tails(net, o))
        if not len(matched.at):
            where = next(p.where for p in data.parts if o.name in p.others)
            raise DataError(f"{o.name!r}: no answer was compared at a step that has a recorded result", where=where)
        values = matched.values.reshape(len(matched.at), -1).astype(np.float64)
        index = net.values[o.value].dtype == "index"
        reference, got = figures.asked.reference[matched.at], figures.got[matched.at]
        dbs = [None, None] if index else [sqnr_db(values, reference), sqnr_db(values, got)]
        found.append(Recorded(o.name, len(values), *dbs))
    return found


def task(net: Net, measured: Measurement, data: Data, labels: str | None) -> Task | None:
    """Score onnxruntime and the C by the data's labels; None where it has none.

    Args:
        labels: the array that holds them, or OUTPUT=NAME where several outputs fit; None for "label" where it is there.

    Raises DataError where there is no such array, or where no output or more than one fits it.
    """
    name, output = array_of(labels), (labels or "").rpartition("=")[0]
    if not _has(data.parts, name):
        if not labels:
            return None
        where = data.parts[0].where if data.parts else ""
        raise DataError(
            f"there is no array {name!r} to take labels from",
            where=where,
            hint="Name an array of numbers, or a column of CSV.",
        )
    compared = [pair for pair in _compared(net, measured) if output in ("", pair[0].name)]
    if not compared and not output:
        return None
    if not compared:
        names = ", ".join(o.name for o in net.outputs)
        raise DataError(f"--labels: no output {output!r} was compared", hint=f"The outputs are {names}.")
    fitting, errors = [], []
    for o, figures in compared:
        try:
            fitting.append((o, figures, _labels(name, net, o, figures, measured.spans, data)))
        except DataError as error:
            errors.append(error)
    if not fitting:
        raise errors[0]
    o, figures, matched = _chosen(name, net, fitting)
    if not len(matched.at):
        raise DataError(f"{name!r}: no answer of {o.name!r} was compared at a step that has a label")
    return _task(name, net, o, figures, matched)


Fitting = tuple[Output, OutputFigures, Matched]


def _chosen(name: str, net: Net, fitting: Sequence[Fitting]) -> Fitting:
    """The output that labels are for: the one they fit; of several, the one that has as many classes or an answer a step."""
    if len(fitting) > 1:
        most = max(int(m.values.max(initial=0)) + 1 if m.values.dtype.kind != "f" else 0 for _, _, m in fitting)
        by_class = [f for f in fitting if most and _classes(net, f[0]) == most]
        by_step = [f for f in fitting if f[2].each == "step" and f[0].kind == "stream"]
        fitting = next((f for f in (by_class, by_step) if len(f) == 1), fitting)
    if len(fitting) > 1:
        names = [o.name for o, _, _ in fitting]
        raise DataError(
            f"{name!r} fits several outputs: {', '.join(names)}", hint=f"Say which: --labels {names[0]}={name}, say."
        )
    return fitting[0]


def _compared(net: Net, measured: Measurement) -> list[tuple[Output, OutputFigures]]:
    return [(o, f) for o, f in zip(net.outputs, measured.outputs, strict=True) if f.points]


def _has(parts: Sequence[Part], name: str) -> bool:
    return any(name in part.others for part in parts)


def _tails(net: Net, output: Output) -> list[tuple[int, ...]]:
    """The shapes of one entry that says what an output should be."""
    shape = net.values[output.value].shape
    return [shape, (prod(shape),)]


def _matched(
    name: str,
    net: Net,
    output: Output,
    figures: OutputFigures,
    spans: Sequence[Span],
    data: Data,
    tails: Sequence[tuple[int, ...]],
) -> Matched:
    """Numbers beside the answers; entries that are NaN are left out."""
    for part in data.parts:
        if name in part.others and part.others[name].dtype.kind not in "fiub":
            raise DataError(f"{name!r} is of type {part.others[name].dtype}, not numbers", where=part.where)
    found = match(name, data.parts, tails, answers(net, output, figures.asked, spans, data.lengths))
    known = np.isfinite(found.values.reshape(len(found.at), -1)).all(1)
    return Matched(found.each, found.at[known], found.values[known])


def _labels(name: str, net: Net, output: Output, figures: OutputFigures, spans: Sequence[Span], data: Data) -> Matched:
    given = [p.others[name] for p in data.parts if name in p.others]
    one_hot = all(is_one_hot(a) and a.shape[-1] == _classes(net, output) for a in given)
    if one_hot or any(a.dtype.kind not in "iub" for a in given):
        try:
            found = _matched(name, net, output, figures, spans, data, _tails(net, output))
        except DataError as error:
            error.hint = f"{error.hint} {WORDS}".strip()
            raise
        return Matched(found.each, found.at, np.argmax(found.values, -1)) if one_hot else found
    classes = _classes(net, output)
    positions = net.values[output.value].size // (1 if net.values[output.value].dtype == "index" else classes or 1)
    shape = net.values[output.value].shape
    tails = [()] if positions == 1 else [shape if _is_index(net, output) else shape[:-1], (positions,)]
    matched = _matched(name, net, output, figures, spans, data, tails)
    lowest, highest = int(matched.values.min(initial=0)), int(matched.values.max(initial=0))
    if lowest < 0 or (classes is not None and highest >= classes):
        bad = lowest if lowest < 0 else highest
        most = f"0..{classes - 1}" if classes is not None else "0 and above"
        where = next(p.where for p in data.parts if np.any(p.others[name] == bad))
        what = f"{name!r} holds {bad}; the classes of output {output.name!r} are {most}"
        raise DataError(what, where=where, hint=WORDS)
    return matched


def _is_index(net: Net, output: Output) -> bool:
    return net.values[output.value].dtype == "index"


def _classes(net: Net, output: Output) -> int | None:
    """How many classes an output tells apart; None of one that gives their numbers."""
    if _is_index(net, output):
        return None
    size = net.values[output.value].size
    return 2 if size == 1 else net.values[output.value].shape[-1]


def _task(name: str, net: Net, o: Output, figures: OutputFigures, matched: Matched) -> Task:
    both = figures.asked.reference[matched.at], figures.got[matched.at]
    if matched.values.dtype.kind == "f":
        truth = matched.values.reshape(len(matched.at), -1).astype(np.float64)
        return Task(o.name, name, matched.each, len(truth), None, *(values_score(truth, y) for y in both))
    labels = matched.values.astype(np.int64).ravel()
    classes = _classes(net, o)
    said = [chosen_classes(y, classes) for y in both]
    count = classes or int(max(labels.max(), *(s.max() for s in said))) + 1
    return Task(o.name, name, matched.each, len(matched.at), count, *(classes_score(labels, s, count) for s in said))
