"""Task metrics and recorded results, in JSON and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rnnc.verification.score import CLEAR, Recorded, Task
from rnnc.verification.verify import Verification
from rnnc.verification.warm_up import AGREE

DIGITS = 6
MOST_SHOWN = 10
"""Classes of a confusion matrix on a terminal."""
RECORDED = ["recorded output", "onnxruntime dB", "the C dB"]
NAMES = {"onnxruntime": "onnxruntime", "c": "the C"}


def scores(verified: Verification) -> dict[str, Any]:
    """The keys of ``verify`` in report.json."""
    return {
        "task": _task(verified.task) if verified.task else None,
        "recorded": [_recorded(r) for r in verified.recorded],
    }


def _task(task: Task) -> dict[str, Any]:
    """``classes`` is null where labels are values."""
    return {key: _short(value) for key, value in asdict(task).items()}


def _recorded(r: Recorded) -> dict[str, Any]:
    return {key: _short(value) for key, value in asdict(r).items()}


def _short(x: Any) -> Any:
    if isinstance(x, dict):
        return {key: _short(value) for key, value in x.items()}
    if isinstance(x, float):
        return float(f"{x:.{DIGITS}g}") if math.isfinite(x) else None
    return x


def score_tables(verify: Mapping[str, Any]) -> dict[str, Any]:
    """What report.html shows: headings with rows, None where nothing was scored or recorded."""
    found: dict[str, Any] = {"scored": None, "recorded": None, "clear": clear_text(verify) if verify else ""}
    found["warm_up"] = [text for o in verify.get("outputs", []) if (text := warm_up_text(o))]
    if task := verify.get("task"):
        confusion = confusion_rows(task) if task["classes"] else None
        found["scored"] = {"subject": subject(task), "scores": score_rows(task), "confusion": confusion}
    if verify.get("recorded"):
        found["recorded"] = RECORDED, record_rows(verify)
    return found


def clear_text(verify: Mapping[str, Any]) -> str:
    """How often the largest element is the same where onnxruntime's is clear; "" where no output has one."""
    known = {o["name"]: o["argmax_agreement_clear"] for o in verify["outputs"]}
    shares = [f"{_form(share, '.2%')} of {name}" for name, share in known.items() if share is not None]
    return f"where the largest is clear (more than {CLEAR} above the next): {', '.join(shares)}" if shares else ""


def warm_up_text(output: Mapping[str, Any]) -> str:
    """After how many steps from reset an output can be trusted; "" where that was not measured."""
    warm = output["warm_up"]
    if not warm:
        return ""
    median, worst = (f"more than {warm['followed']}" if warm[k] is None else str(warm[k]) for k in ("median", "worst"))
    agrees = f"{output['name']} agrees with the endless stream, within {AGREE:.0%} of its variation,"
    return f"warm-up: {agrees} {median} steps after a reset; at the worst of {warm['starts']} resets, {worst}"


def score_rows(task: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """A heading and a row for each of onnxruntime and the C."""
    kinds = {"accuracy": ".2%", "f1": ".4f"} if task["classes"] else {"rmse": ".4g", "mae": ".4g"}
    titles = {"f1": "F1 (macro)", "rmse": "RMSE", "mae": "MAE"}
    rows = [[shown, *(_form(task[key][kind], form) for kind, form in kinds.items())] for key, shown in NAMES.items()]
    return ["", *(titles.get(kind, kind) for kind in kinds)], rows


def score_text(task: Mapping[str, Any]) -> str:
    """ "label, one a step, of output y: 3,000 answers; accuracy 95.24% of the C, 95.24% of onnxruntime"."""
    (_, title, *_), rows = score_rows(task)
    shares = ", ".join(f"{row[1]} of {row[0]}" for row in reversed(rows))
    return f"{subject(task)}; {title} {shares}"


def subject(task: Mapping[str, Any]) -> str:
    """ "label, one a step, of output y: 3,000 answers"."""
    return f"{task['labels']}, one a {task['each']}, for output {task['output']}: {task['points']:,} answers"


def confusion_rows(task: Mapping[str, Any]) -> tuple[list[str], list[list[str]]] | None:
    """How often the C answered what for each class, and onnxruntime in brackets where it differs; None for many classes."""
    c, reference = task["c"]["confusion"], task["onnxruntime"]["confusion"]
    if c is None or len(c) > MOST_SHOWN:
        return None
    rows = [
        [str(k), *(str(n) if n == m else f"{n} ({m})" for n, m in zip(mine, theirs, strict=True))]
        for k, (mine, theirs) in enumerate(zip(c, reference, strict=True))
    ]
    return ["label", *(f"as {k}" for k in range(len(c)))], rows


def record_rows(verify: Mapping[str, Any]) -> list[list[str]]:
    """A row for each output with recorded results."""
    return [[r["name"], _form(r["onnxruntime_db"], ".1f"), _form(r["c_db"], ".1f")] for r in verify["recorded"]]


def _form(x: float | None, form: str) -> str:
    return "-" if x is None else format(x, form)
