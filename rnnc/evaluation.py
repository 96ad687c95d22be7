"""How well a package does on other data than it was made with: after each epoch of a training, for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rnnc.data import LABEL, Source, read_data
from rnnc.errors import DataError, UsageError
from rnnc.net import Array
from rnnc.notebook import NotebookText
from rnnc.package import Package
from rnnc.verification.score import Score, Task
from rnnc.verification.task import task, wanted
from rnnc.verification.verdict import Verdict, judge
from rnnc.verification.verify import measure


@dataclass(frozen=True, repr=False)
class Evaluation(NotebookText):
    """What ``evaluate`` found.

    Args:
        sqnr_db: of each output by name: signal to quantization noise against onnxruntime, dB; None where there is no signal.
        verdict: what that means, without its cause.
        task: how well labels are met; None without labels.
        steps: how many steps were run.
    """

    sqnr_db: dict[str, float | None]
    verdict: Verdict
    task: Task | None
    steps: int

    @property
    def score(self) -> Score | None:
        """Of the integers: accuracy, F1 and confusion of classes, RMSE and MAE of values; None without labels."""
        return self.task.c if self.task else None

    def __str__(self) -> str:
        figures = ", ".join(f"{name} {'-' if db is None else f'{db:.1f} dB'}" for name, db in self.sqnr_db.items())
        scores = (
            f"; {self.task.labels}: {_named(self.task.c)} (float: {_named(self.task.onnxruntime)})" if self.task else ""
        )
        return f"{self.verdict.level or 'not judged'} over {self.steps} steps: {figures}{scores}"


def evaluate(package: Package, x: Source, labels: Array | None = None) -> Evaluation:
    """Run data through a package's integers (the C's bits, in NumPy) and through onnxruntime, and compare.

    Args:
        x: the inputs, as ``Package.simulate`` takes them.
        labels: a number a sequence or a step: integers are classes, others what the output should be. Without, those that
            ``x`` holds under "label" are taken.

    Raises DataError, and UsageError for what is no package.
    """
    if not isinstance(package, Package):
        raise UsageError(
            f"a {type(package).__name__} is no package", hint="evaluate(rnnc.compile_model(...), x, labels)."
        )
    net = package.program.qnet.net
    data = read_data(_with_labels(package, x, labels), package.frames, wanted(net, None))
    model, qnet = package.model.content, package.program.qnet
    measured = measure(model, net, qnet, package.ranges, data.sequences, package.options, same_weights=False)
    scored = task(net, measured, data, None)
    labelled = [scored.output] if scored and scored.classes else []
    return Evaluation(
        {o.name: o.difference.sqnr_db for o in measured.outputs},
        judge(qnet, measured, of_user=True, labelled=labelled),
        scored,
        measured.steps,
    )


def _with_labels(package: Package, x: Source, labels: Array | None) -> Source:
    if labels is None:
        return x
    names = [f.name for f in package.frames]
    if isinstance(x, str | Path) or (not isinstance(x, Mapping) and len(names) > 1):
        raise DataError("labels go with arrays", hint=f"Give a dict of arrays by name: {', '.join(names)}.")
    arrays = x if isinstance(x, Mapping) else {names[0]: cast("Array", x)}
    return {**arrays, LABEL: labels}


def _named(score: Score) -> str:
    figures = {"accuracy": score.accuracy, "F1": score.f1, "RMSE": score.rmse, "MAE": score.mae}
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items() if value is not None)
