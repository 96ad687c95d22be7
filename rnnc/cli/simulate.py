"""rnnc simulate."""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from rnnc.cli import complete
from rnnc.cli.output import CommandOutput, show
from rnnc.cli.shared import ModelArguments, tell_judgement
from rnnc.files import write_file

if TYPE_CHECKING:
    from rnnc.net import Array
    from rnnc.package import Package
    from rnnc.verification.engines import Engine
    from rnnc.verification.live import LiveEngine, Ticks

MOST_PLOTTED = 4000
"""Steps in a plot."""


def run(
    output: CommandOutput,
    model: ModelArguments,
    data: Annotated[
        list[str], typer.Option("--input", metavar="DATA|-", help="Data to stream; - reads rows of CSV as they arrive.")
    ],
    file: Annotated[
        str | None, typer.Option("-o", metavar="OUT.npz", help="Where to write; else CSV on stdout.")
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            metavar="c|oracle|float|onnxruntime", help="What computes the outputs.", autocompletion=complete.engines
        ),
    ] = "c",
    plot: Annotated[
        str | None, typer.Option(metavar="PNG", help="Plot inputs, states and outputs against onnxruntime.")
    ] = None,
) -> None:
    """Stream data through the compiled network; outputs in real units."""
    from rnnc.judging import judge_answers, judge_start

    package = model.build(output, verify=False)
    if data == ["-"] and engine in ("c", "oracle", "float") and not (file or plot or output.as_json):
        if model.calib and engine != "float":
            tell_judgement(output, lambda: judge_start(package, package.data.sequences))
        _pipe(output, package, cast("LiveEngine", engine))
        return
    read = package.read(data)
    for note in read.notes:
        output.note(note)
    answers = package.answers(read, cast("Engine", engine))
    results = package.arranged_as(read, answers)
    frames = {o["name"]: len(o["shape"]) for o in package.report["outputs"]}
    if plot is not None:
        _plot(output, package, read.sequences, cast("Engine", engine), plot)
    if file is not None:
        write_file(file, _npz(results))
        output.note(f"wrote {file}: {', '.join(f'{n} {list(a.shape)}' for n, a in results.items())}")
    if output.as_json:
        output.json(_content(results, engine, file))
    elif file is None:
        _print_csv(_flat(results, frames))
    if engine in ("c", "oracle"):
        tell_judgement(output, lambda: judge_answers(package, read.sequences, answers))


# --------------------------------------------------------------------------- a pipe


def _pipe(output: CommandOutput, package: Package, engine: LiveEngine) -> None:
    """A row of CSV in, a row out as soon as there is one."""
    import numpy as np

    from rnnc.data import csv_rows, only_frame, read_data
    from rnnc.errors import DataError

    frame = only_frame(package.frames, "CSV")
    sizes = {p.name: p.size // max(p.ticks, 1) for p in package.program.outputs}
    show(_heading(sizes), flush=True)
    notes: list[str] = []
    count = 0
    with package.stream(engine) as stream:
        try:
            for row in csv_rows(sys.stdin, frame, notes):
                while notes:
                    output.note(notes.pop())
                count += 1
                step = read_data({frame.name: np.array(row).reshape(1, *frame.shape)}, [frame]).sequences[frame.name][
                    0
                ][0]
                _print_ticks(stream.step({frame.name: step}), sizes)
            if not count:
                raise DataError("holds no numbers")
        except DataError as error:
            error.where = f"standard input, row {count}" if error.where else "standard input"
            raise
        for ticks in stream.flush():
            _print_ticks(ticks, sizes)


def _print_ticks(ticks: Ticks, sizes: Mapping[str, int]) -> None:
    for k in range(max(len(y) for y in ticks.values())):
        cells = [ticks[name][k].tolist() if k < len(ticks[name]) else [math.nan] * n for name, n in sizes.items()]
        show(_row(cells), flush=True)


# --------------------------------------------------------------------------- a plot


def _plot(
    output: CommandOutput, package: Package, sequences: Mapping[str, list[Array]], engine: Engine, file: str
) -> None:
    import numpy as np

    from rnnc.report.plot import plot_signals
    from rnnc.verification.metrics import sqnr_db

    shown = _first_steps(sequences, MOST_PLOTTED)
    lengths = [len(s) for s in next(iter(shown.values()))]
    signals = package.traces(shown, engine)
    plot_signals(signals, [0, *np.cumsum(lengths)[:-1].tolist()], file, f"{package.name}, {_engine_name(engine)}")
    restarts = package.program.qnet.net.restarts
    anew = f", which starts anew every {restarts} steps" if restarts else ""
    for s in signals:
        if s.reference is not None:
            asked = np.isfinite(s.reference).all(1)
            db = sqnr_db(s.reference[asked], s.values[asked])
            output.note(f"{s.name}: {'no signal' if db is None else f'{db:.1f} dB'} against onnxruntime{anew}")
    rest = sum(len(s) for s in next(iter(sequences.values()))) - sum(lengths)
    output.note(f"wrote {file}" + (f": the first {MOST_PLOTTED} steps" if rest else ""))


def _first_steps(sequences: Mapping[str, list[Array]], steps: int) -> dict[str, list[Array]]:
    """Whole sequences, and the beginning of one."""
    starts = [0]
    for s in next(iter(sequences.values())):
        starts.append(starts[-1] + len(s))
    count = sum(start < steps for start in starts[:-1])
    return {n: [s[: steps - at] for s, at in zip(all_[:count], starts, strict=False)] for n, all_ in sequences.items()}


def _engine_name(engine: Engine) -> str:
    return {"c": "the C", "oracle": "the oracle", "float": "in real numbers", "onnxruntime": "onnxruntime"}[engine]


# --------------------------------------------------------------------------- files and text


def _npz(results: Mapping[str, Array]) -> bytes:
    import numpy as np

    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **results)
    return content.getvalue()


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
    show(_heading({name: a.shape[1] for name, a in results.items()}))
    for k in range(max(len(a) for a in results.values())):
        show(_row([a[k].tolist() if k < len(a) else [math.nan] * a.shape[1] for a in results.values()]))


def _heading(sizes: Mapping[str, int]) -> str:
    return ",".join(f"{name}[{i}]" if n > 1 else name for name, n in sizes.items() for i in range(n))


def _row(cells: list[list[float]]) -> str:
    return ",".join(f"{x:.7g}" if isfinite(x) else "" for row in cells for x in row)
