"""The network as a picture of one step, inline SVG: inputs above, outputs below, ops with their states, values with formats."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rnnc.fixed import Format
from rnnc.net import QNet, QOp, Value

WIDTH, LINE, PAD = 236, 16, 8
MARGIN = 60
"""For labels right of the last box."""
ACROSS, DOWN, LABEL = 26, 26, 18
LETTERS = 32
"""Characters that fit a line of a box."""
CURVE = 14
LOOP = 16
TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class Node:
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
class Placed:
    """A node and where the middle of its top edge is."""

    node: Node
    x: float
    y: float

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.y + self.node.height


def picture(qnet: QNet) -> Markup:
    """The whole network."""
    nodes = _nodes(qnet)
    placed, width, height = _place(nodes)
    labels = {name: _label(qnet.values[name], qnet.formats[name]) for p in placed for name in p.node.gives}
    producers = {name: p for p in placed for name in p.node.gives}
    edges = [_edge(producers[name], p, i, len(p.node.reads)) for p in placed for i, name in enumerate(p.node.reads)]
    return Markup(
        '<svg class="net" viewBox="0 0 {0} {1}" style="max-width:{0}px" role="img" '
        'aria-label="the network as one step">{2}</svg>'
    ).format(width, height, Markup("").join([*edges, *(_box(p, labels) for p in placed)]))


def _nodes(qnet: QNet) -> list[Node]:
    nodes = [Node("port", (f"input {v.name}",), (), (v.name,)) for v in qnet.inputs]
    nodes += [Node("port", (f"state {f.state.name}", f"set to {f.next}"), (), (f.state.name,)) for f in qnet.feedback]
    nodes += [_op(op) for op in qnet.ops]
    for o in qnet.outputs:
        clock = qnet.values[o.value].clock
        nodes.append(Node("port", (f"output {o.name}", f"{o.kind}{clock}"), (o.value,), ()))
    return [_short(n) for n in nodes]


def _op(op: QOp) -> Node:
    what = textwrap.wrap(op.op.describe(), LETTERS) or [""]
    states = [f"{s.name}: {_times(s.shape)} {_brief(s.format)}" for s in op.states() if not s.follows]
    return Node("op", (op.name, *what, *states), op.inputs, op.outputs, bool(states))


def _short(node: Node) -> Node:
    lines = tuple(line if len(line) <= LETTERS else f"{line[: LETTERS - 1]}…" for line in node.lines)
    return Node(node.kind, lines, node.reads, node.gives, node.loops)


def _times(shape: Sequence[int]) -> str:
    return TIMES.join(map(str, shape)) or "1"


def _label(value: Value, form: Format) -> str:
    return f"{_times(value.shape)} {_brief(form)}{value.clock}"


def _brief(form: Format) -> str:
    if form.index or form.fraction is not None:
        return str(form)
    return f"int{form.bits}" if form.uniform else f"int{form.bits} by channel"


def _place(nodes: Sequence[Node]) -> tuple[list[Placed], float, float]:
    """Rows by the longest way from an input; outputs in a row of their own; the size of it all."""
    row_of: dict[str, int] = {}
    rows: list[list[Node]] = []
    last = [n for n in nodes if n.kind == "port" and n.reads]
    for node in [n for n in nodes if n not in last]:
        row = max((row_of[name] + 1 for name in node.reads), default=0)
        row_of |= dict.fromkeys(node.gives, row)
        while len(rows) <= row:
            rows.append([])
        rows[row].append(node)
    rows.append(last)
    width = max(len(row) for row in rows) * (WIDTH + ACROSS) + 2 * MARGIN
    placed, y = [], 4.0
    for nodes_of_row in rows:
        start = (width - len(nodes_of_row) * (WIDTH + ACROSS) + ACROSS + WIDTH) / 2
        placed += [Placed(node, start + i * (WIDTH + ACROSS), y) for i, node in enumerate(nodes_of_row)]
        y += max((n.height for n in nodes_of_row), default=0) + DOWN + LABEL
    return placed, width, y - DOWN - LABEL + 4


def _edge(source: Placed, to: Placed, index: int, count: int) -> Markup:
    spread = WIDTH / 2 * ((index + 1) / (count + 1) * 2 - 1) if count > 1 else 0.0
    x, y, tx, ty = source.x, source.bottom, to.x + spread, to.y - 2
    return Markup('<path class="edge" d="M{:.0f} {:.0f}V{:.0f}C{:.0f} {:.0f} {:.0f} {:.0f} {:.0f} {:.0f}"/>').format(
        x, y, y + 3, x, y + CURVE + LABEL, tx, ty - CURVE, tx, ty
    ) + Markup('<path class="tip" d="M{:.0f} {:.0f}l-4 -7h8z"/>').format(tx, ty + 2)


def _box(p: Placed, labels: dict[str, str]) -> Markup:
    left, node = p.x - WIDTH / 2, p.node
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
