"""The example that ``rnnc demo`` shows: recognising exercises from a smartwatch, people that the network never saw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnnc.backend.emit import data_root
from rnnc.compiler import StageCallback, build, ignore_stage
from rnnc.data import Array
from rnnc.errors import UnreadableModel
from rnnc.fixed import Ints
from rnnc.options import Options
from rnnc.package import Package
from rnnc.report.terminal import outcome

WARM_UP = 25
"""Steps (two seconds) after the start of a recording before which nobody can know."""
OUTPUT = "logits"


@dataclass(frozen=True)
class Demo:
    """The package, and what the demo says as JSON and as text."""

    package: Package
    content: dict[str, Any]
    text: str


@dataclass(frozen=True)
class Accuracy:
    """Shares of right verdicts: of all steps after the warm-up, and of the majorities within the recordings."""

    steps: float
    recordings: float


def gesture(folder: str | Path, watch: StageCallback = ignore_stage) -> Demo:
    """Compile examples/gesture into ``folder``, stream its held-out recordings through the C, and count right verdicts.

    Raises MissingTool without a C compiler, UnreadableModel where the example is not installed.
    """
    example = data_root() / "examples" / "gesture"
    if not (example / "gesture.onnx").is_file():
        raise UnreadableModel("the example is not installed", where=str(example))
    calibration, test = example / "calib.npz", example / "test.npz"
    package = build(example / "gesture.onnx", calibration, Options(), test=test, watch=watch)
    with np.load(test) as held_out:
        labels, lengths = held_out["label"], held_out["lengths"]
    accuracies = {
        engine: accuracy(package.simulate(test, engine=engine)[OUTPUT], labels, lengths)
        for engine in ("c", "onnxruntime")
    }
    written = package.write(folder)
    content = {
        **package.report,
        "accuracy": {name: {"steps": a.steps, "recordings": a.recordings} for name, a in accuracies.items()},
        "folder": str(written),
    }
    return Demo(package, content, _text(package, accuracies, len(labels), written, example))


def accuracy(logits: Array, labels: Ints, lengths: Ints) -> Accuracy:
    """Compare ``logits [time, classes]`` of concatenated recordings with the class of each."""
    right, majorities = [], []
    for recording, label in zip(np.split(logits, np.cumsum(lengths)[:-1]), labels, strict=True):
        verdicts = recording[WARM_UP:].argmax(1)
        right.append(verdicts == label)
        majorities.append(np.bincount(verdicts).argmax() == label)
    return Accuracy(float(np.concatenate(right).mean()), float(np.mean(majorities)))


def _text(package: Package, accuracies: dict[str, Accuracy], recordings: int, folder: Path, example: Path) -> str:
    lines = [
        "Which of seven exercises is the wearer of a smartwatch doing? Verdicts on",
        f"{recordings} recordings of three people that the network never saw:",
        "",
        "                          right verdicts,       right majorities",
        "                          step by step          of a recording",
    ]
    for name, label in (("onnxruntime", "onnxruntime, float"), ("c", "the C, integers")):
        a = accuracies[name]
        lines.append(f"  {label:<22}  {a.steps:>9.2%}             {a.recordings:>9.2%}")
    lines += ["", outcome(package.report, package.program)]
    lines.append(f"The C is in {folder}/ (start with {folder}/{package.name}.h), a main.c for firmware in")
    lines.append(f"{example}/.")
    return "\n".join(lines)
