"""The picture of a step: every op, value and state is in it, boxes do not overlap, and each arrow ends at its reader."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

import pytest

from rnnc.qnet import QNet
from rnnc.report.drawing import Box, Track, _nodes, _place, _rows, picture
from rnnc.report.page import bars
from tests.support.nets import LAYERS, draw, noise, to_integers

NETS: list[Sequence[str]] = [["lstm", "dense"], ["gru_after", "rnn", "dense"], ["dense"], list(LAYERS)[:8]]


def _qnet(layers: Sequence[str], seed: int = 5) -> QNet:
    net = draw(seed, layers)
    return to_integers(net, noise(net, 40))


def _boxes(svg: str) -> list[tuple[float, float, float, float]]:
    return [
        tuple(float(rect.get(k, "0")) for k in ("x", "y", "width", "height"))  # type: ignore[misc]
        for rect in ET.fromstring(svg).iter("rect")
    ]


@pytest.mark.parametrize("layers", NETS, ids="-".join)
def test_everything_is_in_the_picture(layers: Sequence[str]) -> None:
    qnet = _qnet(layers)
    svg = str(picture(qnet))
    text = re.sub(r"<[^>]*>", " ", svg)
    for op in qnet.ops:
        assert op.name in text
        for state in op.states():
            assert state.follows or state.name[:20] in text
    assert "input x" in text and "output y" in text
    assert len(_boxes(svg)) == len(qnet.ops) + len(qnet.inputs) + len(qnet.outputs) + len(qnet.feedback)


@pytest.mark.parametrize("seed", range(12))
def test_boxes_do_not_overlap_and_lie_within(seed: int) -> None:
    net = draw(seed)
    root = ET.fromstring(str(picture(to_integers(net, noise(net, 40)))))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    boxes = _boxes(ET.tostring(root, encoding="unicode").replace("ns0:", ""))
    for x, y, w, h in boxes:
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
    for (ax, ay, aw, ah), (bx, by, bw, bh) in itertools.combinations(boxes, 2):
        assert ax + aw <= bx or bx + bw <= ax or ay + ah <= by or by + bh <= ay


def test_a_value_passes_rows_that_do_not_read_it() -> None:
    source, middle = Box("port", ("a",), (), ("a",)), Box("op", ("b",), ("a",), ("b",))
    end, out = Box("op", ("c",), ("a", "b"), ("c",)), Box("port", ("y",), ("c",), ())
    rows = _rows([source, middle, end, out])
    assert rows == [[source], [middle, Track("a")], [end], [out]]
    placed, width, height = _place(rows)
    box, track = placed[1]
    assert abs(track.x - box.x) > 118, "beside the box"
    assert 0 < track.x < width and height > 100


def test_the_rows_of_a_net_hold_each_node_once() -> None:
    nodes = _nodes(_qnet(NETS[-1]))
    rows = _rows(nodes)
    assert sorted(n.lines[0] for row in rows for n in row if isinstance(n, Box)) == sorted(n.lines[0] for n in nodes)


def test_many_bars_are_gathered() -> None:
    parts = {f"layer{k}": k + 1 for k in range(40)} | {"nothing": 0}
    shown = bars(parts, "B")
    assert len(shown) == 17 and shown[-1].name == "24 others" and shown[-1].text == f"{sum(range(25))} B"
    assert [b.name for b in shown[:-1]] == [f"layer{k}" for k in range(24, 40)]
    assert bars({"a": 3, "b": 0}, "B") == bars({"a": 3}, "B")
