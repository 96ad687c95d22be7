"""Plots of signals over time."""

from __future__ import annotations

from collections.abc import Mapping

from rnnc.errors import UsageError
from rnnc.net import Array

MOST_LINES = 12
"""More channels than these are shown as a picture."""


def plot_outputs(outputs: Mapping[str, Array], file: str, title: str) -> None:
    """Draw ``[ticks, elements]`` of each output, one below the other, into a PNG.

    Raises UsageError where the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 1 + 2.5 * len(outputs)), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(len(outputs), squeeze=False)[:, 0]
    for ax, (name, y) in zip(axes, outputs.items(), strict=True):
        ax.set_ylabel(name)
        if y.shape[1] <= MOST_LINES:
            ax.plot(y, linewidth=0.8)
        else:
            ax.imshow(y.T, aspect="auto", interpolation="nearest", origin="lower")
    axes[-1].set_xlabel("tick")
    try:
        figure.savefig(file, format="png", dpi=120)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from None
