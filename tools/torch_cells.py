"""Modern recurrent cells through rnnc: exported by both of torch's exporters, compiled, and compared with what torch gives.

    python tools/torch_cells.py [NAME ...] [--write tests/support/torch.json]

Needs torch and onnxscript (pip install torch onnxscript) beside rnnc. Each cell is exported as a step with its states as inputs
and outputs, and as a Python loop over a sequence, which the exporters unroll. The step is compiled as well, with ranges from
random sequences, and its C compared with onnxruntime. Exit 1 where a net or the C computes something else, or is refused.
``--write`` stores the results, which docs/supported.md shows (make golden).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import sys
import tempfile
import warnings
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from linear_cells import Cell, H, X
from modern_cells import CELLS
from torch import nn

import rnnc
from rnnc.streams import run_net

STEPS = 7
"""Of the sequence that is exported."""
TESTED = 21
"""Steps that a net runs."""
LIMIT = 1e-5
"""An error above it is no rounding."""
FORMS = ("step", "unrolled")
EXPORTERS = {"TorchScript": False, "dynamo": True}
C = "C of the step"
"""The column that tells what became of the step of the first exporter."""
RECORDINGS, RECORDED = 4, 60
"""The recordings that the step is compiled with, and the steps of each."""


class Step(nn.Module):  # type: ignore[misc, unused-ignore]
    """One step: x and the states to y and the next states."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Any, *states: Any) -> Any:
        """Give y and the next states."""
        y, after = self.cell.step(x, *states)
        return (y, *after)


class Unrolled(Step):
    """All steps of ``[batch, time, X]``, from states as the cell starts, and a Dense layer on each."""

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell)
        self.head = nn.Linear(H, 2)

    def forward(self, x: Any, *_: Any) -> Any:
        """Give y of all steps."""
        states, results = starts(self.cell, x.shape[0]), []
        for t in range(x.shape[1]):
            y, states = self.cell.step(x[:, t], *states)
            results.append(y)
        return self.head(torch.stack(results, 1))


def starts(cell: Cell, batch: int) -> list[Any]:
    """What the states start from."""
    values = cell.starts or [0.0] * len(cell.shapes)
    return [torch.full((batch, *shape), float(v)) for shape, v in zip(cell.shapes, values, strict=True)]


def export(cell: Cell, form: str, exporter: str, path: str) -> None:
    """Write the file."""
    states = starts(cell, 1) if form == "step" else []
    x = torch.randn(1, X) if form == "step" else torch.randn(1, STEPS, X)
    names = [f"s{k}" for k in range(len(states))]
    options: dict[str, Any] = {"input_names": ["x", *names], "output_names": ["y", *(f"{n}_out" for n in names)]}
    options["verbose" if EXPORTERS[exporter] else "opset_version"] = False if EXPORTERS[exporter] else 17
    module = (Step(cell) if form == "step" else Unrolled(cell)).eval()
    torch.manual_seed(1)
    with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        torch.onnx.export(module, (x, *states), path, dynamo=EXPORTERS[exporter], external_data=False, **options)
        cell.head = getattr(module, "head", None)


def torch_gives(cell: Cell, form: str, x: Any) -> Any:
    """What torch gives for ``[time, X]``: the step from states of zero, the sequence in pieces from the start."""
    with torch.no_grad():
        frames = torch.tensor(x, dtype=torch.float32)
        if form == "unrolled":
            module = Unrolled(cell)
            module.head = cell.head
            return module(frames.reshape(-1, STEPS, X)).reshape(len(x), 2).numpy()
        states, results = [torch.zeros(1, *shape) for shape in cell.shapes], []
        for frame in frames:
            y, states = cell.step(frame[None], *states)
            results.append(y[0].numpy())
        return np.stack(results)


def result(name: str, form: str, exporter: str, folder: Path) -> dict[str, Any]:
    """How far the net is from torch, relative to the largest value; or why there is none."""
    torch.manual_seed(0)
    cell, path = CELLS[name](), str(folder / "cell.onnx")
    try:
        export(cell, form, exporter, path)
    except Exception as error:
        return {"refused": f"torch does not export it: {str(error).strip().splitlines()[0]}"}
    states = {f"s{k}": f"s{k}_out" for k in range(len(cell.shapes))} if form == "step" else {}
    try:
        net = rnnc.load_net(path, rnnc.Options(states=states))
    except rnnc.RnncError as error:
        return refusal(error)
    x = np.random.default_rng(0).standard_normal((TESTED, 1, X)).astype(np.float32)
    pieces = [x] if form == "step" else np.split(x, TESTED // STEPS)
    got = np.concatenate([run_net(net, {"x": piece})["y"].reshape(len(piece), -1) for piece in pieces])
    wanted = torch_gives(cell, form, x[:, 0])
    return {
        "error": float(np.abs(got - wanted).max() / np.abs(wanted).max()),
        "ops": sorted({op.kind for op in net.ops}),
    }


def compiled(name: str, folder: Path) -> dict[str, Any]:
    """How near the C of the step comes to onnxruntime, in dB; or why there is none."""
    torch.manual_seed(0)
    cell, path = CELLS[name](), str(folder / "cell.onnx")
    states = {f"s{k}": f"s{k}_out" for k in range(len(cell.shapes))}
    x = np.random.default_rng(1).standard_normal((RECORDINGS, RECORDED, X)).astype(np.float32)
    try:
        export(cell, FORMS[0], next(iter(EXPORTERS)), path)
        report = rnnc.compile_model(path, {"x": x}, name="cell", states=states).report["verify"]
    except rnnc.RnncError as error:
        return refusal(error)
    except Exception as error:
        return {"refused": f"torch does not export it: {str(error).strip().splitlines()[0]}"}
    return {"db": min(output["sqnr_db"] for output in report["outputs"]), "exact": report["c_equals_oracle"]}


def refusal(error: rnnc.RnncError) -> dict[str, Any]:
    """What an error tells, as a result."""
    return {"refused": f"{error.what}. {error.hint}".strip()}


def main() -> None:
    """Run the cells that are named, or all, and print or store what became of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    rows: dict[str, dict[str, Any]] = {}
    for name in [n for n in CELLS if not arguments.names or n in arguments.names]:
        rows[name] = {}
        for form, exporter in ((form, exporter) for form in FORMS for exporter in EXPORTERS):
            with tempfile.TemporaryDirectory() as folder:
                rows[name][f"{form}, {exporter}"] = result(name, form, exporter, Path(folder))
        with tempfile.TemporaryDirectory() as folder:
            rows[name][C] = compiled(name, Path(folder))
        print(name, rows[name], flush=True)
        if arguments.write:
            store(arguments.write, rows)
    found = [r for row in rows.values() for r in row.values()]
    sys.exit(int(not all(r.get("error", np.inf) <= LIMIT or r.get("exact", False) for r in found)))


def store(path: Path, rows: dict[str, dict[str, Any]]) -> None:
    """Write what there is so far: a run takes minutes."""
    packages = {package: version(package) for package in ("torch", "onnxscript", "onnx")}
    content = {"date": datetime.now(UTC).date().isoformat(), "versions": packages, "rows": rows}
    path.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
