"""rnnc simulate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from rnnc.cli.output import Output
from rnnc.cli.shared import ModelArguments
from rnnc.errors import UsageError

if TYPE_CHECKING:
    from rnnc.net import Array
    from rnnc.verification.engines import Engine


def run(
    output: Output,
    model: ModelArguments,
    data: Annotated[str, typer.Option("--input", metavar="DATA|-", help="Data to stream; - reads CSV from stdin.")],
    file: Annotated[
        str | None, typer.Option("-o", metavar="OUT.npz", help="Where to write; else CSV on stdout.")
    ] = None,
    engine: Annotated[str, typer.Option(metavar="c|oracle|float|onnxruntime", help="What computes it.")] = "c",
    plot: Annotated[str | None, typer.Option(metavar="PNG", help="Plot the outputs over time.")] = None,
) -> None:
    """Stream data through the compiled network; outputs in real units."""
    package = model.build(output, verify=False)
    results = package.simulate(data, engine=cast("Engine", engine))
    frames = {o["name"]: len(o["shape"]) for o in package.report["outputs"]}
    if plot is not None:
        from rnnc.report.plot import plot_outputs

        plot_outputs(_flat(results, frames), plot, f"{package.name}, engine {engine}")
        output.note(f"wrote {plot}")
    if file is not None:
        _save(Path(file), results)
        output.note(f"wrote {file}: {', '.join(f'{n} {list(a.shape)}' for n, a in results.items())}")
    if output.as_json:
        output.json(_content(results, engine, file))
    elif file is None:
        _print_csv(_flat(results, frames))


def _save(path: Path, results: Mapping[str, Array]) -> None:
    """Write the arrays; nothing is left where that fails."""
    import numpy as np

    temporary = path.with_name(f".{path.name}.npz")
    try:
        np.savez_compressed(temporary, allow_pickle=False, **results)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {error.strerror}") from None


def _content(results: Mapping[str, Array], engine: str, file: str | None) -> dict[str, Any]:
    outputs: list[dict[str, Any]] = [{"name": name, "shape": list(a.shape)} for name, a in results.items()]
    if file is None:
        for item in outputs:
            item["values"] = _finite(results[item["name"]].tolist())
    return {"engine": engine, "file": file, "outputs": outputs}


def _finite(values: Any) -> Any:
    """Nested lists with null for what is not a number."""
    if isinstance(values, list):
        return [_finite(v) for v in values]
    return values if isfinite(values) else None


def _flat(results: Mapping[str, Array], frames: Mapping[str, int]) -> dict[str, Array]:
    """Each output as ``[ticks, elements]``, all sequences one after the other; ``frames`` are the ranks of one value."""
    return {
        name: a.reshape(math.prod(a.shape[: a.ndim - frames[name]]), -1)
        for name, a in results.items()
        if name in frames
    }


def _print_csv(results: Mapping[str, Array]) -> None:
    """A row a tick, the outputs side by side; empty where an output has no value."""
    heading = [f"{n}[{i}]" if a.shape[1] > 1 else n for n, a in results.items() for i in range(a.shape[1])]
    print(",".join(heading))
    for k in range(max(len(a) for a in results.values())):
        rows = [a[k].tolist() if k < len(a) else [math.nan] * a.shape[1] for a in results.values()]
        print(",".join(f"{x:.7g}" if isfinite(x) else "" for row in rows for x in row))
