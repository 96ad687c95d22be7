"""A plot of signals over time: inputs, states, outputs, and how far these are from onnxruntime."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnc.errors import MissingTool
from rnnc.files import write_file
from rnnc.interruption import TemporaryFolder
from rnnc.report.charts import Point
from rnnc.verification.traces import Signal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LINES = 12
"""More elements than these are shown as a picture."""
LEAST_DB = 2.0
"""What the axis of a plot of choices spans at least: less is no difference."""
NAMED = 6
"""More lines than these have no legend."""


def plot_signals(signals: Sequence[Signal], starts: Sequence[int], file: str, title: str) -> None:
    """Draw each signal, one below the other, into a PNG; sequences begin at the steps ``starts``.

    Raises UsageError where the file cannot be written, MissingTool without matplotlib.
    """
    rows = [(s, part) for s in signals for part in (["value", "error"] if _compared(s) else ["value"])]
    heights = [0.6 if part == "error" else 1.0 for _, part in rows]
    figure = _figure(figsize=(11, 1 + 2.0 * sum(heights)))
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(len(rows), sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for ax, (signal, part) in zip(axes, rows, strict=True):
        if part == "error":
            _error(ax, signal)
        else:
            _values(ax, signal)
        for start in starts[1:]:
            ax.axvline(start - 0.5, color="0.75", linewidth=0.6)
        ax.margins(x=0)
        ax.tick_params(labelsize=8)
    axes[-1].set_xlabel("step")
    _save(figure, file)


def _figure(figsize: tuple[float, float]) -> Figure:
    try:
        with _cache_apart():
            from matplotlib.figure import Figure
    except ImportError:
        raise MissingTool("matplotlib is not installed", hint="pip install 'rnnc[plot]'") from None
    return Figure(figsize=figsize, layout="constrained")


@contextmanager
def _cache_apart() -> Iterator[None]:
    """While matplotlib is imported: its list of fonts goes to a temporary folder, unless MPLCONFIGDIR names another."""
    if "matplotlib" in sys.modules or "MPLCONFIGDIR" in os.environ:
        yield
        return
    with TemporaryFolder() as folder:
        os.environ["MPLCONFIGDIR"] = folder
        try:
            yield
        finally:
            del os.environ["MPLCONFIGDIR"]


def _save(figure: Figure, file: str) -> None:
    png = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # a name in another script is shown as boxes
        figure.savefig(png, format="png", dpi=120)
    write_file(file, png.getvalue())


def _compared(signal: Signal) -> bool:
    return signal.reference is not None and bool(np.isfinite(signal.reference).any())


def _values(ax: Axes, signal: Signal) -> None:
    ax.set_ylabel(f"{signal.kind}\n{signal.name}", fontsize=9)
    if signal.values.shape[1] > MOST_LINES:
        _picture(ax, signal)
        return
    style: dict[str, Any] = {"linewidth": 0.9, "marker": "." if len(signal.at) < 40 else ""}
    lines = ax.plot(signal.at, signal.values, **style)
    if signal.reference is not None and _compared(signal):
        for line, reference in zip(lines, signal.reference.T, strict=True):
            ax.plot(signal.at, reference, color=line.get_color(), linewidth=2.4, alpha=0.3)
        ax.set_title("thin: computed, broad: onnxruntime", fontsize=8, loc="right")
    if 1 < len(lines) <= NAMED:
        ax.legend(lines, [str(k) for k in range(len(lines))], fontsize=7, loc="upper left", ncols=len(lines))


def _picture(ax: Axes, signal: Signal) -> None:
    first, last = float(signal.at[0]), float(signal.at[-1])
    most = float(np.nanmax(np.abs(signal.values))) or 1.0
    extent = (first - 0.5, last + 0.5, -0.5, signal.values.shape[1] - 0.5)
    shown = ax.imshow(
        signal.values.T,
        aspect="auto",
        interpolation="nearest",
        origin="lower",
        extent=extent,
        cmap="RdBu_r",
        vmin=-most,
        vmax=most,
    )
    ax.figure.colorbar(shown, ax=ax, pad=0.01)


def _error(ax: Axes, signal: Signal) -> None:
    assert signal.reference is not None
    error = np.abs(signal.values - signal.reference).max(1)
    ax.set_ylabel("largest\nerror", fontsize=8)
    ax.fill_between(signal.at, error, color="tab:red", alpha=0.7, linewidth=0)
    ax.set_ylim(bottom=0)


def plot_choices(choices: Sequence[Point], labels: Sequence[str], file: str) -> None:
    """Draw SQNR over each of the costs into a PNG, side by side; the choices of the front have another colour.

    Raises UsageError where the file cannot be written, MissingTool without matplotlib.
    """
    figure = _figure(figsize=(6 * len(labels), 5))
    figure.suptitle(
        "orange: proposed; blue: no other choice is better in one thing and as good in all others", fontsize=8
    )
    for k, (label, ax) in enumerate(zip(labels, figure.subplots(1, len(labels), squeeze=False)[0], strict=True)):
        for c in choices:
            color = "tab:orange" if c.proposed else "tab:blue" if c.front else "0.6"
            at = c.costs[k], c.sqnr_db
            ax.plot(*at, "o", color=color)
            ax.annotate(c.name, at, textcoords="offset points", xytext=(6, 4), fontsize=7)
        ax.set_xlabel(label)
        ax.set_ylabel("SQNR, dB")
        ax.margins(0.15)
        ax.ticklabel_format(useOffset=False)
        low, high = ax.get_ylim()
        middle, reach = (low + high) / 2, max(high - low, LEAST_DB) / 2
        ax.set_ylim(middle - reach, middle + reach)
    _save(figure, file)
