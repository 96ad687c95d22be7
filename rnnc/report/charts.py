"""Charts of lines and of points as inline SVG; colours are CSS classes, so the page's style sets them, in dark mode too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup

from rnnc.fixed import Floats

WIDTH, HEIGHT = 760, 200
LEFT, RIGHT, TOP, BOTTOM = 58, 8, 22, 34
MOST_POINTS = 380
"""A longer series is reduced to the largest value of each of so many stretches."""


@dataclass(frozen=True, eq=False)
class Series:
    """A line: ``y`` at ``x``, drawn in the colour of CSS class ``line-STYLE``."""

    label: str
    x: Floats
    y: Floats
    style: str = "a"


@dataclass(frozen=True)
class Mark:
    """A vertical line at ``x``."""

    x: float
    label: str


def lines(
    series: Sequence[Series], x_label: str, title: str, mark: Mark | None = None, *, zero: bool = False
) -> Markup:
    """Draw lines over one axis; ``zero`` starts the vertical axis at 0; screen readers read ``title``.

    Values that are not finite are omitted.
    """
    series = [s for s in map(_finite, series) if len(s.y)]
    if not series:
        return Markup("")
    xs, ys = np.concatenate([s.x for s in series]), np.concatenate([s.y for s in series])
    x_range = _padded(float(xs.min()), float(xs.max()), 0.0)
    y_range = (0.0, float(ys.max()) * 1.05 or 1.0) if zero else _padded(float(ys.min()), float(ys.max()), 0.05)
    plot = _Plot(x_range, y_range)
    parts = [*plot.axes(x_label), *(plot.line(s) for s in series)]
    if mark is not None:
        parts.append(plot.mark(mark))
    if len(series) > 1:
        parts += [plot.legend(i, s) for i, s in enumerate(series)]
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, title, Markup("").join(parts)
    )


@dataclass(frozen=True)
class Point:
    """A choice: what it is called, what it costs (an axis each), and what it gets.

    Args:
        cells: the choice as a table has it.
        a8: operands of some layer have 8 bits.
        front: no other choice is better in one thing and as good in all others.
    """

    name: str
    costs: tuple[float, ...]
    sqnr_db: float
    front: bool
    proposed: bool
    a8: bool = False
    cells: tuple[str, ...] = ()


def scatter(points: Sequence[Point], labels: Sequence[str], title: str) -> Markup:
    """Draw SQNR over each of the costs, one chart below the other; points are numbered from 1 on in the order given."""
    panels = []
    for k, label in enumerate(labels):
        costs, gains = [p.costs[k] for p in points], [p.sqnr_db for p in points]
        plot = _Plot(_padded(min(costs), max(costs), 0.05), _padded(min(gains), max(gains), 0.1))
        dots = [plot.dot(p, p.costs[k], n) for n, p in enumerate(points, 1)]
        unit = Markup('<text x="{}" y="{}" class="end label">dB</text>').format(LEFT - 6, TOP - 8)
        panel = Markup('<g transform="translate(0 {})">{}</g>')
        panels.append(panel.format(HEIGHT * k, Markup("").join([unit, *plot.axes(label), *dots])))
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT * len(labels), title, Markup("").join(panels)
    )


def _finite(series: Series) -> Series:
    kept = np.isfinite(series.y)
    return replace(series, x=series.x[kept], y=series.y[kept])


def largest_of_stretches(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """A series of at most ``MOST_POINTS`` points that keeps every peak."""
    if len(x) <= MOST_POINTS:
        return x, y
    starts = np.linspace(0, len(x), MOST_POINTS + 1).astype(int)[:-1]
    return x[starts], np.maximum.reduceat(y, starts)


def ticks(lo: float, hi: float, about: int) -> list[float]:
    """Round numbers within ``lo .. hi``, steps of 1, 2 or 5 times a power of ten."""
    step = 10.0 ** np.floor(np.log10((hi - lo) / about))
    step = next(step * k for k in (1, 2, 5, 10) if (hi - lo) / (step * k) <= about)
    first = int(np.ceil(lo / step - 1e-9))
    return [k * step for k in range(first, int(np.floor(hi / step + 1e-9)) + 1)]


def _padded(lo: float, hi: float, share: float) -> tuple[float, float]:
    if hi <= lo:
        return lo - 0.5, lo + 0.5
    pad = (hi - lo) * share
    return lo - pad, hi + pad


@dataclass(frozen=True)
class _Plot:
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def at_x(self, x: float) -> float:
        lo, hi = self.x_range
        return LEFT + (x - lo) / (hi - lo) * (WIDTH - LEFT - RIGHT)

    def at_y(self, y: float) -> float:
        lo, hi = self.y_range
        return HEIGHT - BOTTOM - (y - lo) / (hi - lo) * (HEIGHT - TOP - BOTTOM)

    def axes(self, x_label: str) -> list[Markup]:
        parts = []
        for y in ticks(*self.y_range, 5):
            at = self.at_y(y)
            parts.append(Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(LEFT, at, WIDTH - RIGHT))
            parts.append(Markup('<text x="{}" y="{:.1f}" class="end">{:.4g}</text>').format(LEFT - 6, at + 4, y))
        for x in ticks(*self.x_range, 8):
            text = Markup('<text x="{:.1f}" y="{}" class="middle">{:g}</text>')
            parts.append(text.format(self.at_x(x), HEIGHT - BOTTOM + 15, x))
        label = Markup('<text x="{}" y="{}" class="middle label">{}</text>')
        parts.append(label.format((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, x_label))
        return parts

    def line(self, s: Series) -> Markup:
        points = " ".join(f"{self.at_x(float(x)):.1f},{self.at_y(float(y)):.1f}" for x, y in zip(s.x, s.y, strict=True))
        return Markup('<polyline class="line-{}" points="{}"/>').format(s.style, points)

    def dot(self, point: Point, cost: float, number: int) -> Markup:
        x, y = self.at_x(cost), self.at_y(point.sqnr_db)
        style = "proposed" if point.proposed else "front" if point.front else "rest"
        shape = (
            '<rect class="{}" x="{:.1f}" y="{:.1f}" width="8" height="8">{}</rect>'
            if point.a8
            else ('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="4.5">{}</circle>')
        )
        corner = 4 if point.a8 else 0
        told = Markup("<title>{}: {:.1f} dB, {:,g}</title>").format(point.name, point.sqnr_db, cost)
        text = Markup('<text x="{:.1f}" y="{:.1f}">{}</text>').format(x + 7, y - 5, number)
        return Markup(shape).format(style, x - corner, y - corner, told) + text

    def mark(self, mark: Mark) -> Markup:
        at = self.at_x(mark.x)
        side, dx = ("end", -4) if at > WIDTH / 2 else ("start", 4)
        return Markup(
            '<path class="mark" d="M{:.1f} {}V{}"/><text x="{:.1f}" y="{}" class="{} label">{}</text>'
        ).format(at, TOP, HEIGHT - BOTTOM, at + dx, TOP + 10, side, mark.label)

    @staticmethod
    def legend(index: int, s: Series) -> Markup:
        x, y = LEFT + 170 * index, TOP - 12
        return Markup('<path class="line-{}" d="M{} {}h22"/><text x="{}" y="{}" class="label">{}</text>').format(
            s.style, x, y, x + 28, y + 4, s.label
        )
