"""A plot of signals over time: inputs, states, outputs, and how far these are from onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnc.errors import MissingTool, UsageError
from rnnc.verification.traces import Signal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LINES = 12
"""More elements than these are shown as a picture."""
NAMED = 6
"""More lines than these have no legend."""


def plot_signals(signals: Sequence[Signal], starts: Sequence[int], file: str, title: str) -> None:
    """Draw each signal, one below the other, into a PNG; sequences begin at the steps ``starts``.

    Raises UsageError where the file cannot be written, MissingTool without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingTool("matplotlib is not installed", hint="pip install 'rnnc[plot]'") from None
    rows = [(s, part) for s in signals for part in (["value", "error"] if _compared(s) else ["value"])]
    heights = [0.6 if part == "error" else 1.0 for _, part in rows]
    figure = Figure(figsize=(11, 1 + 2.0 * sum(heights)), layout="constrained")
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
    try:
        figure.savefig(file, format="png", dpi=120)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from None


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
