"""The network as a picture of one step, inline SVG: inputs above, outputs below, ops with their states, values with formats."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from markupsafe import Markup

from rnnc.fixed import Format
from rnnc.net import Value
from rnnc.qnet import QNet, QOp

WIDTH, LINE, PAD = 236, 16, 8
MARGIN = 60
"""For labels right of the last box."""
ACROSS, DOWN, LABEL, TRACK = 26, 26, 18, 12
LETTERS = 32
"""Characters that fit a line of a box."""
CURVE = 14
LOOP = 16
TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class Box:
    """A box: ``lines`` of text, the first of them its name; ``values`` that it reads and gives, by name."""

    kind: str
    lines: tuple[str, ...]
    reads: tuple[str, ...]
    gives: tuple[str, ...]
    loops: bool = False

    @property
    def height(self) -> int:
        """Of the box."""
        return LINE * len(self.lines) + 2 * PAD - 2


@dataclass(frozen=True)
class Track:
    """Where a value passes a row that neither gives nor reads it."""

    value: str

    @property
    def height(self) -> int:
        """None of its own."""
        return 0


Item = Box | Track


@dataclass(frozen=True)
class Placed:
    """An item, the middle of its top edge, and how high its row is."""

    item: Item
    x: float
    y: float
    row_height: float

    @property
    def bottom(self) -> float:
        """Where what leaves it downwards begins: the lower edge, or that of the row."""
        return self.y + (self.item.height if isinstance(self.item, Box) else self.row_height)


@lru_cache(maxsize=1)
def picture(qnet: QNet) -> Markup:
    """The whole network; the page that has it is written more than once."""
    rows, width, height = _place(_rows(_nodes(qnet)))
    labels = {name: _label(v, qnet.formats[name]) for name, v in qnet.values.items() if name in qnet.formats}
    parts = [_edge(source, to, i, n) for above, row in pairwise(rows) for source, to, i, n in _edges(above, row)]
    boxes = [_box(p, p.item, labels) for row in rows for p in row if isinstance(p.item, Box)]
    return Markup(
        '<svg class="net" viewBox="0 0 {0:.0f} {1:.0f}" style="max-width:{0:.0f}px" role="img" '
        'aria-label="the network as one step">{2}</svg>'
    ).format(width, height, Markup("").join([*parts, *boxes]))


def _nodes(qnet: QNet) -> list[Box]:
    nodes = [Box("port", (f"input {v.name}",), (), (v.name,)) for v in qnet.inputs]
    nodes += [Box("port", (f"state {f.state.name}", f"set to {f.next}"), (), (f.state.name,)) for f in qnet.feedback]
    nodes += [_op(op) for op in qnet.ops]
    for o in qnet.outputs:
        clock = qnet.values[o.value].clock
        nodes.append(Box("port", (f"output {o.name}", f"{o.kind}{clock}"), (o.value,), ()))
    return [_short(n) for n in nodes]


def _op(op: QOp) -> Box:
    what = textwrap.wrap(op.op.describe(), LETTERS) or [""]
    states = [f"{s.name}: {_times(s.shape)} {_brief(s.format)}" for s in op.states() if not s.follows]
    return Box("op", (op.name, *what, *states), op.inputs, op.outputs, bool(states))


def _short(node: Box) -> Box:
    lines = tuple(line if len(line) <= LETTERS else f"{line[: LETTERS - 1]}…" for line in node.lines)
    return Box(node.kind, lines, node.reads, node.gives, node.loops)


def _times(shape: Sequence[int]) -> str:
    return TIMES.join(map(str, shape)) or "1"


def _label(value: Value, form: Format) -> str:
    return f"{_times(value.shape)} {_brief(form)}{value.clock}"


def _brief(form: Format) -> str:
    if form.index or form.fraction is not None:
        return str(form)
    return f"int{form.bits}" if form.uniform else f"int{form.bits} by channel"


def _gives(item: Item) -> tuple[str, ...]:
    return (item.value,) if isinstance(item, Track) else item.gives


def _reads(item: Item) -> tuple[str, ...]:
    return (item.value,) if isinstance(item, Track) else item.reads


def _rows(nodes: Sequence[Box]) -> list[list[Item]]:
    """Rows by the longest way from an input, outputs in the last; every value passes the rows up to its last reader."""
    row_of: dict[str, int] = {}
    rows: list[list[Item]] = []
    last = [n for n in nodes if n.kind == "port" and n.reads]
    for node in [n for n in nodes if n not in last]:
        row = max((row_of[name] + 1 for name in node.reads), default=0)
        row_of |= dict.fromkeys(node.gives, row)
        rows += [[] for _ in range(row + 1 - len(rows))]
        rows[row].append(node)
    rows.append([*last])
    end = {name: k for k, row in enumerate(rows) for item in row for name in _reads(item)}
    for value, first in row_of.items():
        for row_items in rows[first + 1 : end.get(value, first)]:
            row_items.append(Track(value))
    return rows


def _place(rows: Sequence[Sequence[Item]]) -> tuple[list[list[Placed]], float, float]:
    """Each item below what it reads, as far as there is room; and the size of it all."""
    at: dict[str, float] = {}
    xs: list[list[tuple[Item, float]]] = []
    for row in rows:
        wanted = {item: [at[name] for name in _reads(item)] for item in row}
        middle = {item: sum(w) / len(w) if w else 0.0 for item, w in wanted.items()}
        placed = _spread(sorted(row, key=lambda item: middle[item]), middle)
        at |= {name: x for item, x in placed for name in _gives(item)}
        xs.append(placed)
    left = min(x - _width(item) / 2 for placed in xs for item, x in placed) - 2
    right = max(x + _width(item) / 2 for placed in xs for item, x in placed) + MARGIN
    result, y = [], 4.0
    for placed in xs:
        height = max((item.height for item, _ in placed), default=0)
        result.append([Placed(item, x - left, y, height) for item, x in placed])
        y += height + DOWN + LABEL
    return result, right - left, y - DOWN - LABEL + 4


def _spread(row: Sequence[Item], wanted: Mapping[Item, float]) -> list[tuple[Item, float]]:
    """Places from left to right that do not overlap, on the whole no farther left or right than wanted."""
    xs: list[float] = []
    for i, item in enumerate(row):
        room = xs[-1] + (_width(row[i - 1]) + _width(item)) / 2 + ACROSS if xs else -math.inf
        xs.append(max(wanted[item], room))
    shift = sum(wanted[item] - x for item, x in zip(row, xs, strict=True)) / max(1, len(row))
    return [(item, x + shift) for item, x in zip(row, xs, strict=True)]


def _width(item: Item) -> float:
    return WIDTH if isinstance(item, Box) else TRACK


def _edges(above: Sequence[Placed], row: Sequence[Placed]) -> Iterator[tuple[Placed, Placed, int, int]]:
    """From where, to where, to which of how many inputs."""
    sources = {name: p for p in above for name in _gives(p.item)}
    for p in row:
        reads = _reads(p.item)
        for i, name in enumerate(reads):
            yield sources[name], p, i, len(reads)


def _edge(source: Placed, to: Placed, index: int, count: int) -> Markup:
    spread = WIDTH / 2 * ((index + 1) / (count + 1) * 2 - 1) if count > 1 else 0.0
    ends = isinstance(to.item, Box)
    x, y, tx, ty = source.x, source.bottom, to.x + spread, to.y - (2 if ends else 0)
    way = Markup(
        '<path class="edge" d="M{:.0f} {:.0f}V{:.0f}C{:.0f} {:.0f} {:.0f} {:.0f} {:.0f} {:.0f}V{:.0f}"/>'
    ).format(*(x, y, y + 3, x, y + CURVE + LABEL, tx, ty - CURVE, tx, ty, ty if ends else to.bottom))
    return way + (Markup('<path class="tip" d="M{:.0f} {:.0f}l-4 -7h8z"/>').format(tx, ty + 2) if ends else "")


def _box(p: Placed, node: Box, labels: Mapping[str, str]) -> Markup:
    left = p.x - WIDTH / 2
    parts = [
        Markup('<rect class="{}" x="{:.0f}" y="{:.0f}" width="{}" height="{}" rx="6"/>').format(
            node.kind, left, p.y, WIDTH, node.height
        )
    ]
    for i, line in enumerate(node.lines):
        style = "name" if i == 0 else "line"
        text = Markup('<text class="{}" x="{:.0f}" y="{:.0f}">{}</text>')
        parts.append(text.format(style, left + 10, p.y + PAD + 11 + LINE * i, line))
    if node.loops:
        x, y = left + WIDTH, p.bottom
        loop = Markup(
            '<path class="loop" d="M{:.0f} {:.0f}h{}v-{}h-{}"/><path class="tip" d="M{:.0f} {:.0f}l7 -4v8z"/>'
        )
        parts.append(loop.format(x, y - 8, LOOP - 4, 20, LOOP - 8, x, y - 28))
    for i, name in enumerate(node.gives):
        label = Markup('<text class="format" x="{:.0f}" y="{:.0f}">{}</text>')
        parts.append(label.format(p.x + 8, p.bottom + 14 + 13 * i, labels[name]))
    return Markup("").join(parts)
